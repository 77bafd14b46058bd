"""Optimizers by name: what `TrainConfig(optimizer=...)` may say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from llmlib.train.config import TrainConfig

Factory = Callable[..., Sequence[Optimizer]]

_FACTORIES: dict[str, Factory] = {}


def register_optimizer(name: str, factory: Factory) -> None:
    """Make `TrainConfig(optimizer=name)` build its optimizers with `factory(model, config, **optimizer_options)`.

    The factory returns a list of optimizers that share out the trainable parameters; `route_parameters` and
    `group_parameters` help. It may be registered again under the same name, as when a notebook cell is run twice.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name={name!r} must be a text of at least one character")
    if not callable(factory):
        raise ValueError(f"factory={factory!r} must be a function of a model and a TrainConfig")
    _FACTORIES[name] = factory


def optimizer_names() -> tuple[str, ...]:
    """The names registered so far."""
    return tuple(_FACTORIES)


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The optimizers a config asks for. ValueError if they leave out a trainable parameter or share one."""
    factory = _FACTORIES[config.optimizer]
    try:
        inspect.signature(factory).bind(model, config, **config.optimizer_options)
    except TypeError as problem:
        raise ValueError(
            f"optimizer_options={dict(config.optimizer_options)} do not suit optimizer={config.optimizer!r} ({problem})"
        ) from None
    optimizers = list(factory(model, config, **config.optimizer_options))
    routed = [id(w) for optimizer in optimizers for group in optimizer.param_groups for w in group["params"]]
    wanted = {id(w): name for name, w in model.named_parameters() if w.requires_grad}
    left_out = [name for identity, name in wanted.items() if identity not in routed]
    if left_out or len(routed) != len(set(routed)):
        problem = f"leave out {left_out[0]!r}" if left_out else "share a parameter between two groups"
        raise ValueError(f"the optimizers of optimizer={config.optimizer!r} {problem}: each parameter needs one place")
    return optimizers
