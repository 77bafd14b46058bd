"""Look inside a model while it runs, and change what happens there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .attention import Attention

Change = Callable[[Tensor], Tensor] | Tensor | str


@contextmanager
def record(model: nn.Module, *names: str) -> Iterator[dict[str, Tensor]]:
    """Keep what the named parts of a model put out, for figures and questions. Lecture 03.

        with record(model, "blocks.0.mlp", "blocks.*.attention.weights") as seen:
            model(ids)
        seen["blocks.0.attention.weights"]   # (B, H, T_q, T_k), rows sum to one

    A name is a path of `model.named_modules()`; `*` stands for anything. Of an attention, ".heads" are the values its
    heads bring, (B, H, T, head_dim), and ".weights" whom they look at, which makes it run its plain twin meanwhile;
    ".heads.3" and ".weights.3" are those of one head. The tensors are detached, and a later call of the model inside
    the block replaces those of an earlier one. A compiled model does not notice hooks: look into the model itself.
    Raises ValueError for a name that matches nothing.
    """
    parts = _find(model, names)
    seen: dict[str, Tensor] = {}

    def keep(part: _Part, out: Tensor) -> None:
        seen[part.name] = (out if part.head is None else out[:, part.head]).detach()

    with _hooked([(part, keep) for part in parts]):
        yield seen


@contextmanager
def intervene(model: nn.Module, changes: Mapping[str, Change]) -> Iterator[None]:
    """Change what the named parts of a model put out: ablate, replace, patch (Vig et al., 2020; Meng et al., 2022).

        with intervene(model, {"blocks.3.attention.heads.5": "zero", "blocks.*.mlp": lambda out: 2 * out}):
            model(ids)
        with record(model, "blocks.2") as clean:
            model(ids)
        with intervene(model, {"blocks.2": clean["blocks.2"]}):   # activation patching
            model(corrupted)

    Names are those of `record`. A change is a function of the output, a tensor that takes its place (of its shape, or
    one that broadcasts to it), "zero", or "mean": its mean over texts and tokens, of attention weights over texts.
    Gradients flow through. Blocks may be nested: the inner one, and a `record` inside, see what the outer one left. All
    is as before afterwards, also after an error. Raises ValueError for a name that matches nothing, another kind of
    change, and a change that gives another shape.
    """
    hooks = []
    for name, change in changes.items():
        if not (callable(change) or isinstance(change, Tensor) or change in ("zero", "mean")):
            raise ValueError(f"changes[{name!r}] is {change!r}; give a function, a tensor, 'zero' or 'mean'")
        apply = lambda part, out, change=change: _changed(part, out, change)
        hooks += [(part, apply) for part in _find(model, [name])]
    with _hooked(hooks):
        yield


class _Part(NamedTuple):
    """A module of a model under its name, or one head of what it puts out."""

    name: str
    module: nn.Module
    head: int | None = None

    @property
    def kind(self) -> str:
        """ "heads" or "weights" for these parts of an attention."""
        path = self.name if self.head is None else self.name.rpartition(".")[0]
        return path.rpartition(".")[2] if isinstance(self.module, nn.Identity) else ""


def _find(model: nn.Module, names: list[str] | tuple[str, ...]) -> list[_Part]:
    """The parts that the names match, each once; ValueError for a name that matches none."""
    modules = {path: module for path, module in model.named_modules() if path}
    found = []
    for name in names:
        single = re.fullmatch(r"(.+\.(?:heads|weights))\.(\d+)", name)
        pattern, head = (single[1], int(single[2])) if single and name not in modules else (name, None)
        parts = []
        for path, module in modules.items():
            if fnmatchcase(path, pattern):
                if head is None:
                    parts.append(_Part(path, module))
                    continue
                owner = model.get_submodule(path.rpartition(".")[0])
                if isinstance(owner, Attention) and head < owner.n_heads:
                    parts.append(_Part(f"{path}.{head}", module, head))
        if not parts:
            close = difflib.get_close_matches(name, modules, n=1)
            remedy = f"did you mean {close[0]}?" if close else "print(model) shows the names"
            raise ValueError(f"names holds {name!r}, which matches no part of the model; {remedy}")
        found += parts
    return list({part.name: part for part in found}.values())


@contextmanager
def _hooked(hooks: list[tuple[_Part, Callable[[_Part, Tensor], Tensor | None]]]) -> Iterator[None]:
    """Call each function with what its part puts out, every time it runs; a result takes the output's place."""

    def guarded(part: _Part, function: Callable, out: object) -> Tensor | None:
        if not isinstance(out, Tensor):
            raise ValueError(f"{part.name} puts out a {type(out).__name__}; name a part that puts out one tensor")
        return function(part, out)

    handles = []
    try:
        for part, function in hooks:
            hook = lambda _module, _inputs, out, part=part, function=function: guarded(part, function, out)
            handles.append(part.module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _changed(part: _Part, out: Tensor, change: Change) -> Tensor:
    """out with the change made, to one head of it or to all."""
    piece = out if part.head is None else out[:, part.head]
    if isinstance(change, str):
        new = torch.zeros_like(piece) if change == "zero" else _mean(part, piece).expand_as(piece)
    else:
        new = change.to(piece) if isinstance(change, Tensor) else change(piece)
        if isinstance(change, Tensor) and _broadcasts(new.shape, piece.shape):
            new = new.expand_as(piece)
        if not isinstance(new, Tensor) or new.shape != piece.shape:
            shape = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
            raise ValueError(f"the change of {part.name} gives {shape}; give its output's shape {tuple(piece.shape)}")
    if part.head is None:
        return new
    whole = out.clone()
    whole[:, part.head] = new
    return whole


def _mean(part: _Part, piece: Tensor) -> Tensor:
    """The mean over texts and tokens; of attention weights, whose tokens differ in whom they may see, over texts."""
    if part.kind == "weights":
        return piece.mean(0, keepdim=True)
    if part.kind == "heads" and part.head is None:  # (B, H, T, head_dim)
        return piece.mean((0, 2), keepdim=True)
    return piece.mean(tuple(range(piece.dim() - 1)), keepdim=True)


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(reversed(shape), reversed(to)))
