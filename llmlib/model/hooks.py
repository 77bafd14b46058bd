"""Look inside a model while it runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import Tensor, nn

from .attention import Attention


@contextmanager
def record(model: nn.Module, *names: str) -> Iterator[dict[str, Tensor]]:
    """Keep what the named parts of a model put out, for figures and questions. Lecture 03.

        with record(model, "blocks.0.mlp", "blocks.*.attention.weights") as seen:
            model(ids)
        seen["blocks.0.attention.weights"]   # (B, H, T_q, T_k), rows sum to one

    A name is a path of `model.named_modules()`, or that of an attention followed by ".weights", which makes that
    attention run its plain twin meanwhile; `*` stands for anything. The tensors are detached, and a later call of the
    model inside the block replaces those of an earlier one. Raises ValueError for a name that matches nothing.
    """
    parts = {path: module for path, module in model.named_modules() if path}
    attentions = {f"{path}.weights": part for path, part in parts.items() if isinstance(part, Attention)}
    wanted = [path for path in (*parts, *attentions) if any(fnmatchcase(path, name) for name in names)]
    for name in names:
        if not any(fnmatchcase(path, name) for path in wanted):
            close = difflib.get_close_matches(name, (*parts, *attentions), n=1)
            remedy = f"did you mean {close[0]}?" if close else "print(model) shows the names"
            raise ValueError(f"names holds {name!r}, which matches no part of the model; {remedy}")

    seen: dict[str, Tensor] = {}
    handles, previous = [], {path: part.on_weights for path, part in attentions.items()}
    try:
        for path in wanted:
            keep = lambda tensor, path=path: seen.__setitem__(path, tensor.detach())
            if path in attentions:
                attentions[path].on_weights = keep
            else:
                handles.append(parts[path].register_forward_hook(lambda _m, _i, out, keep=keep: keep(out)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()
        for path, part in attentions.items():
            part.on_weights = previous[path]
