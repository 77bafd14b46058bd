"""What a run knows besides weights and optimizers, so that a broken-off one can go on as if it had not been."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Protocol

import torch
from torch import Tensor, nn

from llmlib.train import distributed
from llmlib.train.averaging import WeightAverage
from llmlib.train.config import TrainConfig
from llmlib.train.feed import Feed
from llmlib.train.history import History

MAY_DIFFER = {"steps", "eval_every", "device", "compile", "progress"}  # the rest decides what the run computes


class Run(Protocol):
    """The parts of a Trainer that this is about."""

    config: TrainConfig
    model: nn.Module
    parameters: list[Tensor]
    device: torch.device
    feed: Feed
    average: WeightAverage | None
    scaler: torch.amp.GradScaler | None
    history: History
    step: int
    stop: bool


def collect_state(trainer: Run) -> dict:
    """Settings, history, average, and of every process where its batches and random numbers are."""
    own = dict(feed=trainer.feed.state_dict(), rng=torch.get_rng_state(), cuda=None)
    if trainer.device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(trainer.device)
    return dict(
        config=trainer.config.to_dict(),
        history=asdict(trainer.history),
        average=trainer.average.state_dict() if trainer.average else None,
        scaler=trainer.scaler.state_dict() if trainer.scaler else None,
        processes=distributed.gather_objects(own),
    )


def prepare_state(trainer: Run, state: object, step: int) -> Callable[[], None]:
    """Check that `state` belongs to this trainer; returns the function that goes on from it."""
    try:
        saved, history, average = state["config"], History(**state["history"]), state["average"]
        processes = state["processes"]
        own = processes[distributed.rank() if len(processes) == distributed.world_size() else 0]
        feed, rng, cuda = own["feed"], own["rng"], own["cuda"]
        assert all(isinstance(getattr(history, field.name), list) for field in fields(History))
        torch.Generator().set_state(rng)
    except (TypeError, KeyError, IndexError, AssertionError, RuntimeError, AttributeError):
        raise ValueError("the checkpoint holds no state of a run: write it with Trainer.save") from None
    _check_settings(saved, trainer.config.to_dict())
    if len(processes) != distributed.world_size() and distributed.world_size() > 1:
        raise ValueError(
            f"the run was saved by {len(processes)} processes and this is one of {distributed.world_size()}: "
            "start as many"
        )
    if (average is None) != (trainer.average is None):
        raise ValueError("the saved run and this one do not both average their weights: use the same config")
    if average is not None:
        average = _sharded_average(trainer, average)
        trainer.average.check_state(average)
    _load_feed(trainer, feed)

    def apply() -> None:
        if average is not None:
            trainer.average.load_state_dict(average)
        if trainer.scaler is not None and isinstance(state.get("scaler"), dict):
            trainer.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(rng)
        if cuda is not None and trainer.device.type == "cuda":
            torch.cuda.set_rng_state(cuda, trainer.device)
        trainer.step, trainer.history, trainer.stop = step, history, False

    return apply


def _check_settings(saved: object, given: dict) -> None:
    if not isinstance(saved, dict) or saved.keys() != given.keys():
        raise ValueError("the checkpoint's training settings are of another version: load its weights alone")
    different = [
        f"{name}={saved[name]!r} (here {given[name]!r})"
        for name in given
        if name not in MAY_DIFFER and (isinstance(saved[name], Tensor) or saved[name] != given[name])
    ]
    if different:
        raise ValueError(f"the run was saved with {', '.join(different)}: resume it with the config it had")


def _sharded_average(trainer: Run, average: object) -> dict:
    """The saved average, cut as the parameters are if these are sharded."""
    if not distributed.is_sharded(trainer.model) or not isinstance(average, dict):
        return average
    cut = dict(average)
    for name in ("average", "set_aside"):
        values = cut.get(name)
        if isinstance(values, list) and len(values) == len(trainer.parameters):
            cut[name] = [
                distributed.sharded_like(value, p) if getattr(value, "shape", None) == p.shape else value
                for value, p in zip(values, trainer.parameters)
            ]
    return cut


def _load_feed(trainer: Run, feed: object) -> None:
    """The last of the checks, since only the batches themselves can say whether they know their state."""
    before = trainer.feed.state_dict()
    try:
        trainer.feed.load_state_dict(feed)
    except Exception as problem:
        trainer.feed.load_state_dict(before)
        first_line = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise ValueError(f"batches cannot go on from the saved run ({first_line}): pass the same batches") from None
