"""Where a token stands: rotary and sinusoidal positions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .config import RopeScaling


def rope_tables(
    positions: Tensor,
    head_dim: int,
    theta: float = 10_000.0,
    layout: str = "half",
    scaling: RopeScaling | None = None,
) -> Tensor:
    """Cosines and signed sines of rotary position embedding (Su et al., 2021, section 3.2). Lecture 04.

    Pair i of a head turns by the angle position / theta**(2i / head_dim); `scaling` slows some of them, see
    `stretch_frequencies`. Two layouts say which coordinates make a pair: "interleaved" takes (0, 1), (2, 3), ... as
    the paper does; "half" takes (0, d/2), (1, d/2 + 1), ... as Hugging Face's conversion of the published Llama
    checkpoints does. Both express the same functions, with the rows of the query and key matrices in another order:
    `permute_rope_rows` goes from one to the other.

    positions: (...,) integers -> (2, ..., head_dim) float32, [0] the cosines and [1] the sines with the sign the
    rotation needs, so that `rotate` is one multiply-add.
    """
    pair = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device)
    # Not theta ** -x: the last bit of a frequency, times a position of thousands, is a visible part of a turn.
    frequency = 1.0 / theta ** (pair / head_dim)
    if scaling is not None:
        frequency = stretch_frequencies(frequency, scaling)
    angle = positions[..., None].float() * frequency
    cos, sin = angle.cos(), angle.sin()
    if layout == "half":
        return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])
    if layout == "interleaved":
        return torch.stack([cos.repeat_interleave(2, -1), torch.stack([-sin, sin], -1).flatten(-2)])
    raise ValueError(f"layout is {layout!r}; choose one of half, interleaved")


def stretch_frequencies(frequency: Tensor, scaling: RopeScaling) -> Tensor:
    """Llama 3's frequencies for contexts longer than those it was trained on first (Dubey et al., 2024). Lecture 04.

    Pairs that turn many times within the old context stay, those that turn less than once are slowed by
    scaling.factor, and in between the two are blended.
    """
    turns = scaling.original_max_seq_len / (2 * math.pi / frequency)  # within the old context
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = kept.clamp(0.0, 1.0)
    return kept * frequency + (1.0 - kept) * frequency / scaling.factor


def rotate(x: Tensor, cos: Tensor, sin: Tensor, layout: str = "half") -> Tensor:
    """Turn the pairs of x: (..., head_dim) by tables that broadcast against it."""
    if layout == "half":
        partner = x.roll(x.shape[-1] // 2, -1)
    else:
        partner = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * cos, partner, sin)


def apply_rope(x: Tensor, positions: Tensor, theta: float = 10_000.0, layout: str = "half") -> Tensor:
    """Rotary position embedding of queries or keys (Su et al., 2021). Lecture 04 builds it.

    x: (..., T, head_dim); positions: (T,) integers, or with the first dimensions of x before, as (B, T) for a batch of
    heads (B, H, T, head_dim) -> like x. The dot product of a rotated query and a rotated key depends on the difference
    of their positions only.
    """
    if positions.shape[-1] != x.shape[-2]:
        raise ValueError(f"positions has {positions.shape[-1]} entries for {x.shape[-2]} tokens; give one per token")
    first = positions.shape[:-1]
    if first != x.shape[: len(first)] or x.dim() < positions.dim() + 1:
        raise ValueError(
            f"positions has shape {tuple(positions.shape)}, which does not fit x {tuple(x.shape)}; give (T,) or (B, T)"
        )
    cos, sin = rope_tables(positions, x.shape[-1], theta, layout).to(x.dtype)
    between = [1] * (x.dim() - positions.dim() - 1)  # (B, T, D) -> (B, 1, T, D), the same for every head
    cos, sin = (t.view(*first, *between, *t.shape[-2:]) for t in (cos, sin))
    return rotate(x, cos, sin, layout)


def permute_rope_rows(weight: Tensor, head_dim: int, to: str) -> Tensor:
    """Reorder the rows of a query or key matrix (n_heads * head_dim, ...) for the RoPE layout `to`.

    A matrix trained with one layout computes the same attention with the other once its rows are in that order.
    Published Llama checkpoints are "half"; GGUF files of the same models are "interleaved".
    """
    heads = weight.unflatten(0, (-1, head_dim))
    if to == "interleaved":
        heads = heads.unflatten(1, (2, head_dim // 2)).transpose(1, 2)
    elif to == "half":
        heads = heads.unflatten(1, (head_dim // 2, 2)).transpose(1, 2)
    else:
        raise ValueError(f"to is {to!r}; choose one of half, interleaved")
    return heads.reshape(weight.shape)


def sinusoidal_table(positions: Tensor, d_model: int) -> Tensor:
    """The fixed position embedding of the first Transformer (Vaswani et al., 2017, section 3.5). Lecture 03.

    positions: (...,) integers -> (..., d_model) float32; even coordinates are sines, odd ones cosines.
    """
    pair = torch.arange(0, d_model, 2, dtype=torch.float32, device=positions.device)
    angle = positions[..., None].float() * 10_000.0 ** (-pair / d_model)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)


class FixedTable(nn.Module):
    """A table of numbers that follow from the config: it moves with the model but is neither trained nor saved.

    It is made anew whenever the model is moved or cast, which keeps it float32 (bfloat16 and back would lose digits)
    and gives it values when a model built on the meta device is materialised.
    """

    table: Tensor

    def __init__(self, make: Callable[[Tensor], Tensor], n_positions: int):
        """make: positions (n,) -> table."""
        super().__init__()
        self.make, self.n_positions = make, n_positions
        self.register_buffer("table", make(torch.arange(n_positions)), persistent=False)

    def _apply(self, fn, recurse: bool = True):
        super()._apply(fn, recurse)
        self.table = self.make(torch.arange(self.n_positions, device=self.table.device))
        return self
