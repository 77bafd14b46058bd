"""Putting a saved state into optimizers, after it has been found to fit."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.optim import Optimizer

from llmlib.train.distributed import sharded_like

LIKE_THE_PARAMETER = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
OF_THE_MACHINE = ("foreach", "fused", "capturable")  # how a kernel is launched, not what it computes


def as_list(optimizer: Optimizer | Sequence[Optimizer] | None) -> list[Optimizer]:
    """One optimizer, several or none, as a list."""
    if optimizer is None:
        return []
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def prepare_optimizers(optimizers: list[Optimizer], saved: list[tuple[str, object]]) -> Callable[[], None]:
    """Check saved (type name, state dict) pairs against the optimizers; returns the function that loads them.

    ValueError if they do not fit. No optimizers: the saved state is left alone.
    """
    if not optimizers:
        return lambda: None
    sizes = [[len(group["params"]) for group in each.param_groups] for each in optimizers]
    types, saved_types = [type(each).__name__ for each in optimizers], [name for name, _ in saved]
    try:
        saved_sizes = [[len(group["params"]) for group in state["param_groups"]] for _, state in saved]
    except (TypeError, KeyError):
        raise ValueError("is damaged (its optimizer state has no groups): save it anew") from None
    if types != saved_types or sizes != saved_sizes:
        raise ValueError(
            f"holds the state of {saved_types or 'no optimizer'} with groups of {saved_sizes} parameters, but "
            f"optimizer is {types} with {sizes}: build them with the TrainConfig of the saved run"
        )
    loads = [_prepare(each, state) for each, (_, state) in zip(optimizers, saved)]
    return lambda: [load() for load in loads]


def _prepare(optimizer: Optimizer, saved: dict) -> Callable[[], None]:
    if type(optimizer).load_state_dict is not Optimizer.load_state_dict:  # it has a way of its own
        return lambda: optimizer.load_state_dict(saved)
    groups = [_settings(group, given) for group, given in zip(optimizer.param_groups, saved["param_groups"])]
    parameters = [w for group in optimizer.param_groups for w in group["params"]]
    if not isinstance(saved.get("state"), dict):
        raise ValueError("is damaged (its optimizer state is none): save it anew")
    state = {}
    for key, values in saved["state"].items():
        if isinstance(key, int):
            if not 0 <= key < len(parameters):
                raise ValueError(f"is damaged (it has optimizer state of a parameter {key}): save it anew")
            parameter = parameters[key]
            _check_state(optimizer, key, values, parameter)
            state[parameter] = _place(values, parameter)
        else:
            state[key] = values

    def load() -> None:
        for group, settings in zip(optimizer.param_groups, groups):
            group.update(settings)
        optimizer.state.clear()
        optimizer.state.update(state)

    return load


def _settings(group: dict, saved: object) -> dict:
    """The saved settings of a group. torch's own load_state_dict would take any."""
    saved = saved if isinstance(saved, dict) else {}
    settings = {name: value for name, value in saved.items() if name != "params" and name not in OF_THE_MACHINE}
    for name, value in settings.items():
        if name in group and not _alike(group[name], value):
            raise ValueError(
                f"is damaged (its optimizer's {name} is {value!r}, not like {group[name]!r}): save it anew"
            )
    missing = [name for name in ("lr",) if name in group and name not in settings]
    if missing:
        raise ValueError(f"is damaged (its optimizer has no {missing[0]}): save it anew")
    return settings


def _alike(ours: object, saved: object) -> bool:
    if isinstance(ours, bool) or isinstance(saved, bool) or ours is None or saved is None:
        return type(ours) is type(saved) or (ours is None) != (saved is None)
    if isinstance(ours, int | float) and isinstance(saved, int | float):
        return True
    if isinstance(ours, tuple | list) and type(ours) is type(saved):
        return len(ours) == len(saved) and all(_alike(a, b) for a, b in zip(ours, saved))
    return type(ours) is type(saved)


def _check_state(optimizer: Optimizer, key: int, values: object, parameter: Tensor) -> None:
    fits = isinstance(values, dict) and all(isinstance(name, str) for name in values)
    if fits and values and type(optimizer).__name__ == "AdamW":
        fits = {"step", "exp_avg", "exp_avg_sq"} <= values.keys() and _is_count(values["step"])
    if fits:
        known = [values[name] for name in LIKE_THE_PARAMETER if name in values and values[name] is not None]
        fits = all(isinstance(v, Tensor) and v.shape == parameter.shape and v.is_floating_point() for v in known)
    if not fits:
        raise ValueError(f"is damaged (its optimizer state does not fit parameter {key}): save it anew")


def _is_count(step: object) -> bool:
    return isinstance(step, int) or (isinstance(step, Tensor) and step.numel() == 1 and bool(step >= 0))


def _place(value: object, parameter: Tensor, name: str = "") -> object:
    """Tensors where the parameter is, and cut as it is. The count of steps stays on the CPU, where torch wants it."""
    if isinstance(value, Tensor):
        if name == "step" and value.ndim == 0 and not _counts_on_device(parameter):
            return value.clone()
        return sharded_like(value, parameter) if value.shape == parameter.shape else value.to(parameter.device)
    if isinstance(value, dict):
        return {key: _place(each, parameter, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_place(each, parameter) for each in value)
    return value


def _counts_on_device(parameter: Tensor) -> bool:
    return parameter.is_cuda  # the fused kernel, which is what we build there
