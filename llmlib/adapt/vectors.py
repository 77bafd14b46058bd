"""One number per feature: (IA)^3 stretches what a layer passes on, BitFit shifts it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from llmlib.train.distributed import unwrapped

from .selection import Adaptation, refuse_adapted, train_only
from .wrapping import PeftReport, Wrapper, dense_weight, match_linears, placement, put

OUTPUTS = ("*.attention.k_proj", "*.attention.v_proj")
INPUTS = ("*.mlp.down_proj",)


class Stretched(Wrapper):
    """A linear layer whose output, or input, is multiplied by a trained vector that starts at one. Lecture 14.

    side: "output", or "input", which for an mlp's down_proj are the activations in its middle.
    """

    def __init__(self, base: nn.Module, side: str):
        super().__init__(base)
        self.side = side
        device, dtype = placement(base)
        size = base.out_features if side == "output" else base.in_features
        self.scale = nn.Parameter(torch.ones(size, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        if self.side == "input":
            return self.base(x * self.scale.to(x.dtype))
        out = self.base(x)
        return out * self.scale.to(out.dtype)

    def extra_repr(self) -> str:
        return f"side={self.side!r}"


class Shifted(Wrapper):
    """A linear layer without a bias, and a bias for it that starts at zero."""

    def __init__(self, base: nn.Module):
        super().__init__(base)
        device, dtype = placement(base)
        self.shift = nn.Parameter(torch.zeros(base.out_features, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        out = self.base(x)
        return out + self.shift.to(out.dtype)


def add_ia3(model: nn.Module) -> PeftReport:
    """Vectors on keys, values and the mlp's activations, the rest frozen: (IA)^3 (Liu et al., 2022). Lecture 14.

    ValueError for a model whose blocks have no attention.k_proj, attention.v_proj and mlp.down_proj.
    """
    model = unwrapped(model)
    refuse_adapted(model, "ia3")
    sides = {side: match_linears(model, patterns) for side, patterns in (("output", OUTPUTS), ("input", INPUTS))}
    for side, found in sides.items():
        for name, base in found.items():
            put(model, name, Stretched(base, side))
    places = [f"{name}.scale" for found in sides.values() for name in found]
    return train_only(model, places, Adaptation("ia3", adds=True))


@torch.no_grad()
def merge_ia3(model: nn.Module) -> list[str]:
    """Multiply the vectors into the matrices and put the plain layers back, for good -> their names.

    ValueError, with nothing changed, for a model without (IA)^3 and for packed weights.
    """
    model = unwrapped(model)
    found = {name: part for name, part in model.named_modules() if isinstance(part, Stretched)}
    if not found:
        raise ValueError("model has no (IA)^3 vectors; apply_peft(model, 'ia3') adds them")
    packed = next((name for name, part in found.items() if dense_weight(part.base) is None), None)
    if packed is not None:
        raise ValueError(f"{packed} keeps its weights packed, which takes no factor; leave the vectors unmerged")
    for name, part in found.items():
        weight, bias = part.base.weight, getattr(part.base, "bias", None)
        scale = part.scale.to(weight.dtype)
        weight.mul_(scale if part.side == "input" else scale[:, None])
        if bias is not None and part.side == "output":
            bias.mul_(scale)
        put(model, name, part.base)
    model.adaptation = None
    return list(found)


def tune_biases(model: nn.Module, add: bool = False) -> PeftReport:
    """The biases alone: BitFit (Ben Zaken et al., 2022). Lecture 14.

    Llama and its kind, SmolLM2 among them, have none: add=True gives every linear layer of the blocks that lacks a bias
    one that starts at zero. ValueError, without it, for a model that has none.
    """
    model = unwrapped(model)
    refuse_adapted(model, "bitfit")
    names = [name for name, _ in model.named_parameters() if name.rpartition(".")[2] == "bias"]
    if not names and not add:
        raise ValueError("model has no bias, as models of Llama's kind; with add=True its layers get some, at zero")
    bare: dict[str, nn.Module] = {}
    if add:
        found = match_linears(model, ["blocks.*"])
        bare = {name: part for name, part in found.items() if getattr(part, "bias", None) is None}
        for name, part in bare.items():
            put(model, name, Shifted(part))
    names += [f"{name}.shift" for name in bare]
    return train_only(model, names, Adaptation("bitfit", dict(add=add), adds=bool(bare)))
