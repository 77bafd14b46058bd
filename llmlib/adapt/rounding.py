"""Round to nearest: a weight becomes a small integer times a scale that its group shares. Lecture 15.

Symmetric ("absmax"): value = scale * code, codes from -(2^(bits-1) - 1) to 2^(bits-1) - 1, zero is exact. Asymmetric:
value = scale * code + offset, codes from 0 to 2^bits - 1, the smallest and the largest weight of the group are exact.
Every method in this room ends in a `Quantized`; they differ in how they choose scales and codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

GroupSize = int | Literal["channel", "tensor"]


@dataclass(frozen=True, eq=False)
class Quantized:
    """A matrix (n_out, n_in) as integer codes and what turns them back into numbers."""

    codes: Tensor
    """(n_out, n_in): int8 if symmetric, else uint8."""
    scale: Tensor
    """(n_out, n_groups); (1, 1) for one scale a tensor."""
    bits: int
    offset: Tensor | None = None
    """Like scale: the value of code 0. None if symmetric, and with levels."""
    levels: Tensor | None = None
    """(2^bits,): the value of each code before scaling where the steps are unequal (NF4)."""

    def dequantize(self) -> Tensor:
        """The matrix as float32 (n_out, n_in)."""
        grouped = self.codes.reshape(*self.scale.shape, -1)
        values = grouped.float() if self.levels is None else self.levels.float()[grouped.int()]
        values = values * self.scale.float()[..., None]
        if self.offset is not None:
            values = values + self.offset.float()[..., None]
        return values.view(self.codes.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of codes, packed without gaps, scales and offsets; the levels are the format's, not the matrix's."""
        shared = [self.scale] if self.offset is None else [self.scale, self.offset]
        return -(-self.codes.numel() * self.bits // 8) + sum(part.numel() * part.itemsize for part in shared)

    @property
    def bits_per_weight(self) -> float:
        """Scales and offsets included: 4 bits in groups of 32 with a float16 scale and offset are 5."""
        return 8 * self.nbytes / self.codes.numel()


def quantize(
    weight: Tensor,
    bits: int = 4,
    group_size: GroupSize = 32,
    symmetric: bool = False,
    scale_dtype: torch.dtype = torch.float32,
) -> Quantized:
    """Round a matrix (n_out, n_in) to the nearest representable numbers.

    group_size: how many neighbours in a row, that is inputs of one output, share a scale; "channel": a whole row;
    "tensor": all. scale_dtype: what scales and offsets are kept in; the codes are chosen for the scales as kept. Scales
    in float16 overflow for weights beyond 65504. ValueError for bits outside 2 to 8, a group size that does not divide
    n_in, and weights that are no finite numbers.
    """
    grouped = groups(weight.detach().float(), group_size)
    scale, offset = scales(grouped, bits, symmetric, scale_dtype)
    codes = to_codes(grouped, scale[..., None], None if offset is None else offset[..., None], bits)
    return Quantized(codes.view(weight.shape), scale, bits, offset)


def groups(weight: Tensor, group_size: GroupSize) -> Tensor:
    """A matrix (n_out, n_in) as (n_out, n_groups, group_size), (n_out, 1, n_in) or (1, 1, n_out * n_in)."""
    if weight.dim() != 2 or not weight.numel():
        raise ValueError(f"weight has shape {tuple(weight.shape)}: give a matrix (n_out, n_in)")
    if not weight.isfinite().all():
        raise ValueError(
            "weight holds numbers that are not finite: nothing can be rounded to them; look into the model"
        )
    return weight.reshape(1, 1, -1) if group_size == "tensor" else weight.unflatten(1, (-1, width(weight, group_size)))


def width(weight: Tensor, group_size: GroupSize) -> int:
    """How many weights of a row share a scale; ValueError for a group size that does not divide the row."""
    n_in = weight.shape[1]
    if group_size in ("channel", "tensor"):
        return n_in
    if not isinstance(group_size, int) or isinstance(group_size, bool) or group_size < 1:
        raise ValueError(f"group_size={group_size!r} must be a whole number of at least 1, 'channel' or 'tensor'")
    if n_in % group_size:
        divisor = max(d for d in range(1, min(group_size, n_in) + 1) if n_in % d == 0)
        raise ValueError(
            f"group_size={group_size} does not divide the {n_in} inputs of a {tuple(weight.shape)} matrix: use a "
            f"divisor, say {divisor}, or 'channel'"
        )
    return group_size


def check_bits(bits: int) -> None:
    """ValueError for bits outside 2 to 8."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise ValueError(f"bits={bits!r} must be a whole number from 2 to 8")


def scales(
    grouped: Tensor, bits: int, symmetric: bool, scale_dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor | None]:
    """Scale and offset of each group, offset None if symmetric: (..., group_size) -> (...), (...)."""
    check_bits(bits)
    if symmetric:
        scale, offset = grouped.abs().amax(-1) / (2 ** (bits - 1) - 1), None
    else:
        low, high = grouped.aminmax(dim=-1)
        scale, offset = (high - low) / (2**bits - 1), low.to(scale_dtype)
    scale = scale.to(scale_dtype)
    if not scale.isfinite().all() or (offset is not None and not offset.isfinite().all()):
        raise ValueError(f"weight has numbers whose scales scale_dtype={scale_dtype} does not hold: use torch.float32")
    return scale, offset


def to_codes(values: Tensor, scale: Tensor, offset: Tensor | None, bits: int) -> Tensor:
    """The code nearest to each value, halves to the even one; scale and offset broadcast to values."""
    scale = scale.float()
    scale = torch.where(scale == 0, 1.0, scale)  # all weights of the group alike: code 0 says everything
    if offset is None:
        largest = 2 ** (bits - 1) - 1
        return (values / scale).round_().clamp_(-largest, largest).to(torch.int8)
    return ((values - offset.float()) / scale).round_().clamp_(0, 2**bits - 1).to(torch.uint8)


def from_codes(codes: Tensor, scale: Tensor, offset: Tensor | None) -> Tensor:
    """The numbers that codes stand for, as float32; scale and offset broadcast to codes."""
    values = codes.float() * scale.float()
    return values if offset is None else values + offset.float()


def output_error(weight: Tensor, approximation: Tensor, second_moment: Tensor | None = None) -> float:
    """E|x (W - W')^T|^2 / E|x W^T|^2, what an approximation W' of a layer's weight costs at its output.

    weight, approximation: (n_out, n_in). second_moment: (n_in, n_in), the mean of x x^T over the layer's inputs; None
    stands for inputs that are independent and equally large. 0 for a weight that puts out nothing and is kept.
    """
    weight = weight.detach().float()
    error, size = mean_square(weight - approximation.float(), second_moment), mean_square(weight, second_moment)
    return error / size if size else (0.0 if error == 0 else float("inf"))


def mean_square(weight: Tensor, second_moment: Tensor | None = None) -> float:
    """E|x W^T|^2 of a matrix (n_out, n_in), see `output_error`."""
    return float((weight * (weight if second_moment is None else weight @ second_moment)).sum().clamp_min(0))
