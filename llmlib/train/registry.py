"""Optimizers by name: what `TrainConfig(optimizer=...)` may say."""

from collections.abc import Callable, Sequence

from torch.optim import Optimizer

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


def optimizer_factory(name: str) -> Factory:
    """What was registered under a name."""
    return _FACTORIES[name]
