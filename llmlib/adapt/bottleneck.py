"""Bottleneck adapters: a small network after each sub-layer, there and back through a narrow middle."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.train.distributed import unwrapped

from .selection import Adaptation, refuse_adapted, train_only
from .wrapping import PeftReport, Wrapper, match_linears, placement, put

PLACES = {"attention": "*.attention.o_proj", "mlp": "*.mlp.down_proj"}


class Bottleneck(Wrapper):
    """y + up(gelu(down(y))) for y = base(x), the output of a sub-layer: Houlsby et al. (2019), section 2.1.

    (..., in_features) -> (..., out_features). `up` starts at zero, so the layer says what it said before. The curve in
    the middle is why this, unlike LoRA, cannot be merged into the matrix.
    """

    def __init__(self, base: nn.Module, size: int):
        super().__init__(base)
        device, dtype = placement(base)
        self.down = nn.Linear(base.out_features, size, device=device, dtype=dtype)
        self.up = nn.Linear(size, base.out_features, device=device, dtype=dtype)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.new_parts_follow_base()

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        return y + self.up(F.gelu(self.down(y.to(self.down.weight.dtype)))).to(y.dtype)


def add_bottlenecks(model: nn.Module, size: int = 16, places: tuple[str, ...] = ("attention", "mlp")) -> PeftReport:
    """Adapters with `size` numbers in the middle, the rest frozen (Houlsby et al., 2019). Lecture 14.

    places: of "attention" and "mlp"; the second alone is the cheaper layout of Pfeiffer et al. (2021). The authors
    train the norms as well; here they are frozen. ValueError for a size below 1, other places and a model whose blocks
    have no attention.o_proj and mlp.down_proj.
    """
    model = unwrapped(model)
    refuse_adapted(model, "bottleneck")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"size is {size!r}; use a whole number of at least 1")
    places = (places,) if isinstance(places, str) else tuple(places)
    if not places or not set(places) <= set(PLACES):
        raise ValueError(f"places is {places!r}; choose from {', '.join(PLACES)}")
    found = match_linears(model, [PLACES[place] for place in places])
    for name, base in found.items():
        put(model, name, Bottleneck(base, size))
    new = (f"{name}.{part}.{kind}" for name in found for part in ("down", "up") for kind in ("weight", "bias"))
    return train_only(model, new, Adaptation("bottleneck", dict(size=size, places=list(places)), adds=True))
