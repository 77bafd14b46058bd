"""LoRA: a frozen matrix, and beside it a product of two thin ones that learns."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .wrapping import Wrapper, dense_weight, placement

INITS = ("uniform", "gaussian", "swapped")


@dataclass(frozen=True)
class LoRAConfig:
    """What `apply_lora` adds, and where. Raises ValueError for values that no adapter can have."""

    rank: int = 8
    """r: the rows of A and columns of B. At least 1, at most the smaller side of each matrix it goes to."""
    alpha: float = 16.0
    """The product B A is scaled by alpha / rank, so that the rank can change and the learning rate stay."""
    dropout: float = 0.0
    """Applied to the input of the low-rank path alone, in training."""
    targets: tuple[str, ...] = ("*.q_proj", "*.v_proj")
    """Patterns of names as in `fnmatch`. Queries and values are the paper's choice; "blocks.*" takes every matrix."""
    init: str = "uniform"
    """One of the two factors starts at zero, so that training starts from the base model. "uniform": A within
    1 / sqrt(in_features), as in the authors' code; "gaussian": A with deviation 1 / rank; "swapped": A is the zero one
    and B is drawn, within 1 / sqrt(rank) (Hayou et al., 2024)."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(rank), which keeps large ranks from learning ever more slowly (Kalajdzievski, 2023)."""
    use_dora: bool = False
    """Train the length of each row of the matrix apart from its direction (Liu et al., 2024)."""

    def __post_init__(self) -> None:
        targets = (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)
        object.__setattr__(self, "targets", targets)
        if not isinstance(self.rank, int) or isinstance(self.rank, bool) or self.rank < 1:
            raise ValueError(f"rank is {self.rank!r}; use a whole number of at least 1")
        if not _is_number(self.alpha) or not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha is {self.alpha!r}; use a number above 0, say {2 * self.rank}")
        if not _is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}; use a probability, from 0 to below 1")
        if not targets or not all(isinstance(pattern, str) and pattern for pattern in targets):
            raise ValueError(f"targets is {self.targets!r}; give one or more patterns of names, say '*.q_proj'")
        if self.init not in INITS:
            raise ValueError(f"init is {self.init!r}; choose one of {', '.join(INITS)}")

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.use_rslora else self.rank)

    def to_dict(self) -> dict:
        """Plain values, for a file."""
        return asdict(self) | {"targets": list(self.targets)}


class LoRAWeights(nn.Module):
    """One adapter of one layer: a (rank, in_features), b (out_features, rank) and, for DoRA, magnitude (out_features,).

    With the other factor at zero it adds nothing yet.
    """

    def __init__(self, base: nn.Module, config: LoRAConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.active_fraction = 1.0  # the share of these weights that a token meets, for flops_per_token
        device, dtype = placement(base)
        rank, n_in, n_out = config.rank, base.in_features, base.out_features
        where = dict(device="meta" if device.type == "meta" else "cpu", dtype=dtype)
        a, b = torch.zeros(rank, n_in, **where), torch.zeros(n_out, rank, **where)
        if config.init == "uniform":
            a.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        elif config.init == "gaussian":
            a.normal_(0.0, 1 / rank, generator=generator)
        else:
            b.uniform_(-(rank**-0.5), rank**-0.5, generator=generator)
        self.a, self.b = nn.Parameter(a.to(device)), nn.Parameter(b.to(device))
        self.magnitude = None
        if config.use_dora:
            self.magnitude = nn.Parameter(dense_weight(base).detach().to(dtype).norm(dim=1))

    def forward(self, x: Tensor, out: Tensor, base: nn.Module) -> Tensor:
        """out = base(x) with the adapter's part added: (..., in_features), (..., out_features) -> like out."""
        h = F.dropout(x.to(self.a.dtype), self.config.dropout, self.training)
        change = F.linear(F.linear(h, self.a) * self.config.scale, self.b)
        if self.magnitude is None:
            return out + change.to(out.dtype)
        bias = getattr(base, "bias", None)
        plain = out.to(change.dtype) if bias is None else out.to(change.dtype) - bias
        turned = (plain + change) * self._stretch(dense_weight(base)).to(change.dtype)
        return (turned if bias is None else turned + bias).to(out.dtype)

    def delta(self) -> Tensor:
        """scale B A: (out_features, in_features), what LoRA adds to the matrix. Without DoRA's change of length."""
        return self.config.scale * (self.b @ self.a)

    def merged(self, weight: Tensor) -> Tensor:
        """The matrix that does by itself what `weight` and the adapter do together, in the adapter's type."""
        total = weight.to(self.a.dtype) + self.delta()
        return total if self.magnitude is None else total * self._stretch(weight)[:, None]

    def _stretch(self, weight: Tensor) -> Tensor:
        """(out_features,): the trained length of each row by its present one, which is taken for a constant."""
        with torch.no_grad():
            length = (weight.to(self.a.dtype) + self.delta()).norm(dim=1)
        return self.magnitude / length.clamp_min(torch.finfo(length.dtype).tiny)

    def extra_repr(self) -> str:
        kind = "DoRA" if self.magnitude is not None else "LoRA"
        return f"{kind}, rank={self.config.rank}, scale={self.config.scale:.3g}"


class LoRALinear(Wrapper):
    """A linear layer with any number of named adapters, one of which works: h = W0 x + scale B A x. Lecture 14.

    (..., in_features) -> (..., out_features) (Hu et al., 2021, section 4.1). `base` is the layer, frozen; `adapters`
    the `LoRAWeights` by name; `active` the name of the one in use, or None; `merged` the name of the one that has been
    added into the base's own matrix, or None.
    """

    def __init__(self, base: nn.Module):
        super().__init__(base)
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.merged: str | None = None
        self._original: Tensor | None = None  # the matrix before merging, where subtracting would not bring it back

    def forward(self, x: Tensor) -> Tensor:
        out = self.base(x)
        if self.active is None or self.merged is not None:
            return out
        return self.adapters[self.active](x, out, self.base)

    def add(self, name: str, config: LoRAConfig, generator: torch.Generator | None = None) -> None:
        """One more adapter, which is not yet the active one."""
        self.adapters[name] = LoRAWeights(self.base, config, generator)
        self.new_parts_follow_base()

    def use(self, name: str | None) -> None:
        """Let this adapter work and learn, and no other; None, or a name that this layer lacks: the base alone."""
        self.active = name if name in self.adapters else None
        for each, weights in self.adapters.items():
            works = each == self.active and self.merged is None
            weights.active_fraction = float(works)
            for parameter in weights._parameters.values():
                if parameter is not None:
                    parameter.requires_grad = works

    @torch.no_grad()
    def merge(self, name: str, keep: bool = True) -> None:
        """Add the adapter into the base's matrix. keep: so that `unmerge` can bring the old one back."""
        weight, weights = self.base.weight, self.adapters[name]
        total = weights.merged(weight)
        exact = weight.dtype == total.dtype and weights.magnitude is None
        if keep and not exact:
            self._original = weight.detach().clone()
        weight.copy_(total)
        self.merged = name
        self.use(self.active)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the adapter out of the base's matrix again."""
        weight = self.base.weight
        weight.copy_(weight - self.adapters[self.merged].delta() if self._original is None else self._original)
        self.merged = self._original = None
        self.use(self.active)

    def extra_repr(self) -> str:
        return f"active={self.active!r}" + ("" if self.merged is None else f", merged={self.merged!r}")


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The layers of a model that have adapters, each once, by name."""
    return {name: part for name, part in model.named_modules() if isinstance(part, LoRALinear)}


def check_fits(name: str, base: nn.Module, config: LoRAConfig) -> None:
    """ValueError if the layer of that name cannot have such an adapter."""
    smaller = min(base.in_features, base.out_features)
    if config.rank > smaller:
        raise ValueError(
            f"rank is {config.rank}, but {name} maps {base.in_features} to {base.out_features}: a matrix of that shape "
            f"has rank {smaller} at most; use a smaller rank or leave the layer out of targets"
        )
    if config.use_dora and dense_weight(base) is None:
        raise ValueError(
            f"use_dora needs the length of each row, and {name} ({type(base).__name__}) keeps its weights packed; "
            "use plain LoRA there"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
