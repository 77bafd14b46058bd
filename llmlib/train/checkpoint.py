"""Checkpoints: one safetensors file that holds the weights, the optimizers' state and, as JSON in its header, the rest.

Nothing in it is executed on loading, unlike pickle. The file appears under its name only when it is complete, and a
fingerprint of all of it tells on loading whether it still is what was saved.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor, nn
from torch.optim import Optimizer

from llmlib.files import atomic_write
from llmlib.model import ModelConfig, Transformer
from llmlib.train import distributed
from llmlib.train.optimizer_state import as_list, prepare_optimizers
from llmlib.train.packing import digest, pack, unpack
from llmlib.train.tokenizer_notes import pack_tokenizer, unpack_tokenizer

FORMAT = "next-token-checkpoint-2"
LARGEST_TABLES = 2**28  # bytes of position tables, which a config of a few characters could make as large as it likes
WEIGHTS = ("all", "trainable")


@dataclass
class Checkpoint:
    """What `load_checkpoint` returns. tokenizer is None if none was saved; state is what was given on saving."""

    model: nn.Module
    step: int
    tokenizer: object | None = None
    state: object = None


def save_checkpoint(
    path: str | Path | BinaryIO,
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    step: int = 0,
    tokenizer: object | None = None,
    *,
    weights: str = "all",
    state: object = None,
) -> Path | BinaryIO:
    """Write the model, and what is needed to go on training, to one file; returns its path.

    path: gets the ending .safetensors if it has none, and missing folders are made; or a file opened for writing
    bytes. An interrupted save leaves an earlier file under the same name as it was. model: any module; one without a
    `.config` can be loaded into a model only. It may be wrapped or sharded: then every process calls this and the first
    one writes. weights: "trainable" leaves out what `requires_grad` says is frozen, and notes a fingerprint of it, so
    that the file loads into the same base only. state: anything made of tensors, numbers, texts, lists, tuples and
    dicts, such as `Trainer.save` adds.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights={weights!r} is unknown: choose one of {', '.join(WEIGHTS)}")
    model = distributed.unwrapped(model)
    kept = named_weights(model)
    frozen = {}
    if weights == "trainable":
        frozen = {name: w for name, w in kept.items() if not w.requires_grad}
        kept = {name: w for name, w in kept.items() if w.requires_grad}
        if not kept:
            raise ValueError("weights='trainable' and the model has no trainable parameter: use weights='all'")
    tensors = {f"model.{name}": w for name, w in kept.items()}
    optimizers = as_list(optimizer)
    config = getattr(model, "config", None)
    notes = dict(
        format=FORMAT,
        config=pack(config.to_dict(), {}, "config") if isinstance(config, ModelConfig) else None,
        step=step,
        optimizers=[
            dict(type=type(each).__name__, state=pack(each.state_dict(), tensors, f"optimizer.{number}"))
            for number, each in enumerate(optimizers)
        ],
        tokenizer=None if tokenizer is None else pack_tokenizer(tokenizer),
        state=pack(state, tensors, "state"),
        weights=weights,
    )
    writes = distributed.rank() == 0
    notes["base"] = digest(_gathered(frozen, writes)) if frozen else None
    tensors = _gathered(tensors, writes)
    try:
        if writes:
            notes["digest"] = digest(tensors, _canonical(notes))
            _write(path, tensors, notes)
    finally:  # also when the disk is full, or the others would wait for ever
        distributed.barrier()
    return path if hasattr(path, "write") else _with_ending(path)


def load_checkpoint(
    path: str | Path | BinaryIO,
    model: nn.Module | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
) -> Checkpoint:
    """Read a checkpoint. Without `model` one is built from the saved config, in evaluation mode, on the CPU.

    model, optimizer: loaded in place where given; the optimizers must be built like those that were saved.
    ValueError, in one line, for a file that is no checkpoint or is damaged, and for a model or an optimizer of another
    shape; FileNotFoundError where there is none. In those cases nothing has been changed.
    """
    contents = Contents(path)
    if model is None:
        model = contents.new_model()
    apply = contents.prepare(model, as_list(optimizer))
    checkpoint = Checkpoint(model, contents.step, contents.tokenizer(), contents.state)
    apply()
    return checkpoint


class Contents:
    """What a file holds, checked as far as it can be without knowing where it will go."""

    def __init__(self, path: str | Path | BinaryIO) -> None:
        self.name = "path=<file object>" if hasattr(path, "read") else f"path={str(_with_ending(path))!r}"
        notes, tensors = self._read(path)
        try:
            self.step, self.kind, self.base = notes["step"], notes["weights"], notes["base"]
            self.state = unpack(notes["state"], tensors)
            config = unpack(notes["config"], {})
            self.config = None if config is None else ModelConfig.from_dict(config)
            self.optimizers = [(each["type"], unpack(each["state"], tensors)) for each in notes["optimizers"]]
            self.packed_tokenizer, fingerprint = notes["tokenizer"], notes["digest"]
            if self.kind not in WEIGHTS or not isinstance(self.step, int) or self.step < 0:
                raise ValueError("its step or kind of weights is none that save_checkpoint writes")
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as problem:
            raise self.refusal(f"is damaged ({_first_line(problem)}): save it anew") from None
        self.weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        self.whole = fingerprint == digest(tensors, _canonical(notes))

    def _read(self, path: str | Path | BinaryIO) -> tuple[dict, dict[str, Tensor]]:
        if hasattr(path, "read"):
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "checkpoint.safetensors"
                with copy.open("wb") as file:
                    shutil.copyfileobj(path, file)
                return self._read(copy)
        path = _with_ending(path)
        if not path.is_file():
            raise FileNotFoundError(f"{self.name} does not exist: check the name, or save_checkpoint first")
        try:
            with safe_open(path, framework="pt") as file:
                notes = json.loads((file.metadata() or {})["next_token"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError, RuntimeError) as problem:  # RecursionError is a RuntimeError
            raise self.refusal(f"is damaged or no safetensors file ({_first_line(problem)}): save it anew") from None
        except (KeyError, ValueError):
            raise self.refusal("was not written by save_checkpoint: it has no notes of ours") from None
        found = notes.get("format") if isinstance(notes, dict) else None
        if found != FORMAT:
            raise self.refusal(f"has format {found!r}, not {FORMAT!r}: save it anew with this version of the course")
        return notes, tensors

    def refusal(self, problem: str) -> ValueError:
        """An error about this file, in one line whatever a forger has put into it."""
        words = " ".join(problem.split())
        return ValueError(f"{self.name} {words if len(words) < 600 else words[:300] + ' ... ' + words[-200:]}")

    def new_model(self) -> Transformer:
        """A model of the saved config, in evaluation mode, its weights not yet loaded."""
        if self.config is None or self.kind == "trainable":
            missing = "no config of a Transformer" if self.config is None else "the trainable weights only"
            raise self.refusal(f"holds {missing}: build the model, or its base, and pass it as model=")
        if self.config.n_layers > len(self.weights):  # or a forged number would be built, block after block
            raise self.refusal("does not hold the weights its config promises: save it anew")
        try:
            with torch.device("meta"):
                plan = Transformer(self.config)
            tables = sum(b.numel() * b.element_size() for b in plan.buffers())
        except (RuntimeError, TypeError, ValueError, OverflowError) as problem:
            raise self.refusal(f"has a config that no model can have ({_first_line(problem)})") from None
        if tables > LARGEST_TABLES:
            raise self.refusal(f"asks for {tables:,} bytes of position tables: its max_seq_len is damaged")
        self.check_weights(plan)
        return Transformer(self.config).eval()

    def check_weights(self, model: nn.Module) -> None:
        """ValueError unless the saved weights are those of such a model."""
        expected = named_weights(model)
        if self.kind == "trainable":
            expected = {name: w for name, w in expected.items() if name in self.weights}
        fits = self.weights.keys() == expected.keys() and all(
            saved.shape == expected[name].shape and saved.is_floating_point() == expected[name].is_floating_point()
            for name, saved in self.weights.items()
        )
        if not fits and self.config is None:
            raise self.refusal("holds the weights of another model: build model= as it was when saved")
        if not fits:
            raise self.refusal("does not hold the weights its config promises: save it anew")

    def prepare(self, model: nn.Module, optimizers: list[Optimizer]) -> Callable[[], None]:
        """Check that everything fits; returns the function that puts it in place, after which nothing can fail."""
        model = distributed.unwrapped(model)
        self._check_config(getattr(model, "config", None))
        try:
            load_optimizers = prepare_optimizers(optimizers, self.optimizers)
        except ValueError as problem:
            raise self.refusal(str(problem)) from None
        self.check_weights(model)
        if not self.whole:
            raise self.refusal("is damaged, its contents are not those that were saved: save it anew")
        if self.kind == "trainable":
            rest = {name: w for name, w in named_weights(model).items() if name not in self.weights}
            if self.base != (digest(_gathered(rest)) if rest else None):
                raise self.refusal("was trained on a base with other frozen weights than model=: load that base first")

        @torch.no_grad()
        def apply() -> None:
            for name, weight in named_weights(model).items():
                if name in self.weights:
                    weight.copy_(distributed.sharded_like(self.weights[name], weight))
            load_optimizers()

        return apply

    def _check_config(self, config: object) -> None:
        if self.config is None or not isinstance(config, ModelConfig):
            return
        saved, given = self.config.to_dict(), config.to_dict()
        different = [f"{k}={saved[k]!r} (the model has {given[k]!r})" for k in saved if saved[k] != given[k]]
        if different:
            raise self.refusal(
                f"is a checkpoint of another config, with {', '.join(different)}: "
                "load it without model=, which builds the right one"
            )

    def tokenizer(self) -> object | None:
        """The saved tokenizer; None if none was."""
        if self.packed_tokenizer is None:
            return None
        try:
            return unpack_tokenizer(self.packed_tokenizer)
        except ValueError as problem:
            raise self.refusal(str(problem)) from None


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and saved buffers themselves, each once, though tied ones have two names."""
    unique: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in state.items():
        unique.setdefault(id(tensor), name)
    return {name: state[name] for name in unique.values() if isinstance(state[name], Tensor)}


def _gathered(tensors: dict[str, Tensor], keep: bool = True) -> dict[str, Tensor]:
    """In full, on the CPU, each with a memory of its own; of sharded ones every process must ask for the same.

    keep: hold on to them; what does not write the file only takes part.
    """
    gathered, places = {}, set()
    for name, tensor in tensors.items():
        full = distributed.whole(tensor.detach())
        if not keep:
            continue
        full = full.cpu().contiguous()
        if full.numel() and full.data_ptr() in places:  # safetensors refuses two names for one memory
            full = full.clone()
        places.add(full.data_ptr())
        gathered[name] = full
    return gathered


def _write(path: str | Path | BinaryIO, tensors: dict[str, Tensor], notes: dict) -> None:
    metadata = {"next_token": json.dumps(notes)}
    if hasattr(path, "write"):
        path.write(save_bytes(tensors, metadata))
        return
    path = _with_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:  # safetensors' own save_file makes a file of its own, which a crash leaves
        partial.write_bytes(save_bytes(tensors, metadata))


def _canonical(notes: dict) -> str:
    return json.dumps({name: value for name, value in notes.items() if name != "digest"}, sort_keys=True)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _with_ending(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
