"""Which linear layers of a model an adapter goes to, and the module that takes a layer's place and keeps it inside."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PeftReport:
    """What a method trains: every `apply_...` of this room returns one. print(report) shows it in a line."""

    method: str
    places: tuple[str, ...]
    """Names of the modules or parameters it trains or adds to."""
    trainable: int
    """Trainable parameters, each counted once."""
    total: int
    """All parameters of the model, those that the method has added included."""

    @property
    def share(self) -> float:
        """trainable / total."""
        return self.trainable / self.total

    def __str__(self) -> str:
        return f"{self.method}: {self.trainable:,} of {self.total:,} parameters trained ({self.share:.2%})"


def report(model: nn.Module, method: str, places: Iterable[str]) -> PeftReport:
    """A report of what is trainable in `model` now."""
    weights = list(model.parameters())
    trainable = sum(p.numel() for p in weights if p.requires_grad)
    return PeftReport(method, tuple(places), trainable, sum(p.numel() for p in weights))


class Wrapper(nn.Module):
    """Stands in the place of a linear layer, which it keeps as `base`: (..., in_features) -> (..., out_features).

    base: an nn.Linear, or any module with its in_features and out_features, such as packed weights.
    """

    def __init__(self, base: nn.Module):
        super().__init__()
        self.base = base
        self.in_features, self.out_features = base.in_features, base.out_features
        self.training = base.training  # or new parts would drop units of a model that is in evaluation mode

    def new_parts_follow_base(self) -> None:
        """Bring the parts just made into the mode of the base."""
        self.train(self.base.training)


def is_linear(part: nn.Module) -> bool:
    """An nn.Linear, or a module of another make that says it maps in_features to out_features."""
    if isinstance(part, nn.Linear):
        return True
    sizes = getattr(part, "in_features", None), getattr(part, "out_features", None)
    return all(isinstance(size, int) for size in sizes) and not any(True for _ in part.children())


def linear_places(model: nn.Module) -> dict[str, nn.Module]:
    """The linear layers by name, or what wraps them; the parts inside of a wrapper are not places of their own."""
    places: dict[str, nn.Module] = {}
    inside = None  # parents come before their parts
    for name, part in model.named_modules(remove_duplicate=False):
        if inside is not None and name.startswith(inside):
            continue
        if isinstance(part, Wrapper):
            inside = f"{name}."
            places[name] = part
        elif name and is_linear(part):
            places[name] = part
    return places


def match_linears(model: nn.Module, patterns: Iterable[str]) -> dict[str, nn.Module]:
    """The linear layers whose names match any of the patterns, in the model's order; ValueError if one matches none."""
    places = linear_places(model)
    patterns = tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in places):
            close = difflib.get_close_matches(pattern, places, n=1)
            longer = f"*.{pattern}"
            if any(fnmatchcase(name, longer) for name in places):
                remedy = f"did you mean {longer!r}?"
            else:
                remedy = f"did you mean {close[0]!r}?" if close else "print(model) shows the names"
            raise ValueError(f"targets holds {pattern!r}, which matches no linear layer of the model; {remedy}")
    return {name: part for name, part in places.items() if any(fnmatchcase(name, p) for p in patterns)}


def put(model: nn.Module, name: str, part: nn.Module) -> None:
    """Set the module of that name."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, part)


def dense_weight(base: nn.Module) -> Tensor | None:
    """The layer's matrix (out_features, in_features), or None where it is packed."""
    weight = getattr(base, "weight", None)
    fits = isinstance(weight, Tensor) and weight.shape == (base.out_features, base.in_features)
    return weight if fits and weight.is_floating_point() else None


def placement(base: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and type for the new parameters of a layer: float32 also beside bf16 or packed weights.

    A learning rate of 1e-4 moves a bf16 number near 1 by less than half its last digit: it would not move at all.
    """
    weight = dense_weight(base)
    tensor = weight if weight is not None else next(chain(base.parameters(), base.buffers()), torch.empty(0))
    return tensor.device, torch.float64 if tensor.dtype == torch.float64 else torch.float32
