"""Where the stages work: a run's folder, what was left in it, and how a model there writes its replies."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from llmlib.adapt import quantize_model
from llmlib.align import RewardModel, sample_replies
from llmlib.data import Request, SupportDesk
from llmlib.data.support_desk import GROUPS
from llmlib.files import write_file
from llmlib.hub.packaged import load_packaged, packaged_config
from llmlib.model import Transformer, default_device
from llmlib.text import BPETokenizer
from llmlib.train import Checkpoint, ProgressBar, SaveEvery, TrainConfig, Trainer
from llmlib.train.losses import Loss, next_token_loss

from .settings import CapstoneSettings

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CONTEXT, ROW, BATCH, LONGEST_REPLY = 192, 128, 16, 48  # BATCH: of demonstrations


@dataclass(frozen=True)
class Workshop:
    """Where a stage works: the run's folder, a folder for what is unfinished, the settings, somebody to tell.

    bars: whether long stages show a bar with the time left.
    """

    folder: Path
    partial: Path
    settings: CapstoneSettings
    tell: Callable[[str], None]
    bars: bool = False

    @cached_property
    def desk(self) -> SupportDesk:
        return SupportDesk(self.settings.world)

    @cached_property
    def tokenizer(self) -> BPETokenizer:
        return BPETokenizer.load(self.folder / "vocabulary.bpe")

    def draws(self, purpose: str) -> random.Random:
        """Random numbers of one purpose's own."""
        return random.Random(f"capstone {purpose} {self.settings.seed}")

    def prose(self, part: str) -> list[str]:
        """The prose of a part, train or report; none where the settings leave it out."""
        return read_lines(self.folder / f"prose_{part}.jsonl") if self.settings.prose else []

    def held_out(self, part: str = "report") -> dict[str, list[Request]]:
        """Requests of each group that no stage trains on; those of "choose" are for choosing."""
        n, draws = self.settings.held_out, random.Random(f"capstone held out {part} {self.settings.world}")
        return {group: self.desk.requests(n, draws, (group,)) for group in GROUPS}

    def model(self, stage: str) -> Transformer:
        """The model as a stage left it: base, sft, policy."""
        return load_packaged(self.folder / f"{stage}.safetensors", None, torch.float32)

    def reward(self) -> RewardModel:
        return load_packaged(self.folder / "reward.safetensors", None, torch.float32, RewardModel)

    def small_model(self) -> Transformer:
        """The quantized policy, read from its file."""
        path, s = self.folder / "policy_small.safetensors", self.settings
        model = Transformer(packaged_config(path))
        quantize_model(model, "rtn", bits=s.bits, group_size=s.group_size)
        model.load_state_dict(load_file(path))
        return model.eval().to(default_device())

    @contextmanager
    def bar(self, total: int) -> Iterator[Callable[[int, str], None]]:
        """A bar of so many steps, to be told how many are done; nothing is drawn without `bars`."""
        if not self.bars:
            yield lambda done, note="": None
            return
        bar = ProgressBar(total)
        try:
            yield bar.update
        finally:
            bar.close()

    def resumed(self, path: Path, load: Callable[[Path], Checkpoint]) -> Checkpoint | None:
        """What `load` makes of the checkpoint an earlier attempt left; None where there is none that can be used."""
        if not path.with_suffix(".safetensors").exists():
            return None
        try:
            found = load(path)
        except ValueError as problem:  # damaged, or of other code
            self.tell(f"begins anew: {problem}")
            return None
        self.tell(f"goes on after update {found.step}")
        return found

    def train(self, model: nn.Module, config: TrainConfig, batches: Any, loss: Loss = next_token_loss) -> list[float]:
        """Train with a checkpoint every so many updates, from the last one if there is one; the losses."""
        path, config = self.partial / "training", dataclasses.replace(config, progress=self.bars)
        trainer = Trainer(model, config, batches, loss=loss, callbacks=[SaveEvery(path, self.settings.save_every)])
        self.resumed(path, trainer.resume)
        losses = trainer.run().train_loss
        if trainer.step < config.steps:  # a Trainer ends in good order when it is interrupted; the stage isn't done
            raise KeyboardInterrupt
        return losses


def write_replies(
    model: Transformer, prompts: Sequence[list[int]], end: int, seed: int = 0, greedy: bool = False, at_once: int = 512,
    done: Callable[[int, str], None] | None = None,
) -> list[list[int]]:  # fmt: skip
    """A reply to each prompt, as ids without the end. done: told how many are written, and nothing."""
    generator = torch.Generator(next(model.parameters()).device.type).manual_seed(seed)
    parts = [prompts[i : i + at_once] for i in range(0, len(prompts), at_once)]
    replies: list[list[int]] = []
    for part in parts:
        replies += sample_replies(model, part, end, LONGEST_REPLY, greedy=greedy, generator=generator).replies
        if done is not None:
            done(len(replies), "")
    return replies


def write_lines(path: Path, items: Sequence[Any]) -> None:
    write_file(path, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
