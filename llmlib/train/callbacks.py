"""Callbacks of a run: save it now and then, write its numbers down, end it when it gains nothing more."""

import json
import math
from pathlib import Path
from typing import TextIO

from llmlib.files import write_file
from llmlib.train import distributed
from llmlib.train.loop import Trainer


class SaveEvery:
    """Save the run every `steps` updates and when it ends, an interrupted one included.

        Trainer(model, config, tokens, callbacks=[SaveEvery("runs/first", 100)]).run()

    `trainer.resume("runs/first")` goes on. With keep_powers_of_two each checkpoint whose number of updates is a power
    of two is kept beside it, as "runs/first-00000064". A machine that dies loses at most `steps` updates.
    """

    def __init__(
        self, path: str | Path, steps: int, *, tokenizer: object | None = None, keep_powers_of_two: bool = False
    ) -> None:
        if steps < 1:
            raise ValueError(f"steps={steps} must be at least 1")
        self.path, self.steps, self.tokenizer = Path(path), steps, tokenizer
        self.keep_powers_of_two = keep_powers_of_two

    def __call__(self, trainer: Trainer, event: str) -> None:
        step = trainer.step
        if event == "end" or (event == "step" and step % self.steps == 0):
            trainer.save(self.path, self.tokenizer)
        if self.keep_powers_of_two and event == "step" and step & (step - 1) == 0:
            trainer.save(self.path.with_name(f"{self.path.name}-{step:08}"), self.tokenizer)


class WriteMetrics:
    """One JSON object a line for each update and each evaluation, as they happen.

    Keys: step, tokens, seconds (of training), lr; loss after an update, held_out after an evaluation. A resumed run
    goes on behind what is there, except for lines of steps that it is about to do again, which go.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def __call__(self, trainer: Trainer, event: str) -> None:
        if distributed.rank() != 0:
            return
        if self._file is None:
            self._file = self._open(trainer.step)
        history = trainer.history
        line: dict[str, float] = dict(
            step=trainer.step,
            tokens=trainer.step * trainer.config.tokens_per_step * distributed.world_size(),
            seconds=round(history.training_seconds, 3),
        )
        if event == "step":
            self._write(line | dict(loss=history.train_loss[-1], lr=trainer.optimizers[0].param_groups[0]["lr"]))
        elif event == "eval":
            self._write(line | dict(held_out=history.val_loss[-1]))
        elif event == "end":
            self._file.close()
            self._file = None

    def _open(self, step: int) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_metrics(self.path) if line["step"] <= step] if self.path.exists() and step else []
        write_file(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        return self.path.open("a", encoding="utf-8")

    def _write(self, line: dict[str, float]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class StopEarly:
    """End the run when `patience` evaluations in a row have not lowered the held-out loss by `least`."""

    def __init__(self, patience: int = 3, least: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience={patience} must be at least 1")
        self.patience, self.least = patience, least

    def __call__(self, trainer: Trainer, event: str) -> None:
        losses = trainer.history.val_loss
        if event == "eval" and len(losses) > self.patience:
            before = min(losses[: -self.patience])
            trainer.stop = trainer.stop or min(losses[-self.patience :]) > before - self.least


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """The lines of a `WriteMetrics` file; one that a crash cut off at the end is left out."""
    lines = []
    for text in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int) and math.isfinite(line.get("seconds", 0.0)):
            lines.append(line)
    return lines
