"""Products with quantized matrices: torch's own kernels for a CPU, and for each a plain twin. Lecture 15.

A kernel multiplies the codes as they lie in memory, so that a step of decoding reads a quarter or half of the bytes.
All three are private to torch and may be missing; `has_kernel` tries them once. The twins give the same numbers: those
of the integers exactly, the others to the rounding of bfloat16.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from .rounding import to_codes

Kernel = Literal["int4", "int8", "w8a8"]
INT4_GROUPS = (32, 64, 128, 256)


def int4_fits(n_out: int, n_in: int, group_size: int) -> bool:
    """Whether torch's int4 kernel takes a matrix of this shape."""
    return group_size in INT4_GROUPS and n_in % group_size == 0 and n_out % 16 == 0


def int4_layout(codes: Tensor) -> Tensor:
    """Codes (n_out, n_in) from 0 to 15 as the kernel wants them: (n_out, n_in / 2) uint8, its own order."""
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)


def int4_matmul(x: Tensor, layout: Tensor, scales_and_zeros: Tensor, group_size: int) -> Tensor:
    """x W^T with W = scale * (code - 8) + zero: (n, n_in) bfloat16 -> (n, n_out) bfloat16.

    scales_and_zeros: (n_in / group_size, n_out, 2) bfloat16; layout: from `int4_layout`.
    """
    return torch.ops.aten._weight_int4pack_mm_for_cpu(x, layout, group_size, scales_and_zeros)


def int4_matmul_plain(x: Tensor, codes: Tensor, scales_and_zeros: Tensor, group_size: int) -> Tensor:
    """`int4_matmul` from the codes themselves, (n_out, n_in)."""
    weight = int4_weight(codes, scales_and_zeros, group_size)
    return (x.float() @ weight.T).to(x.dtype)


def int4_weight(codes: Tensor, scales_and_zeros: Tensor, group_size: int) -> Tensor:
    """The matrix (n_out, n_in), float32, that the kernel multiplies with."""
    scale, zero = scales_and_zeros.float().permute(2, 1, 0)[..., None]  # (n_out, n_groups, 1) each
    return ((codes.unflatten(1, (-1, group_size)).float() - 8) * scale + zero).flatten(1)


def int8_matmul(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """x (scale * codes)^T: (n, n_in) bfloat16, codes (n_out, n_in) int8, scale (n_out,) bfloat16 -> (n, n_out)."""
    return torch.ops.aten._weight_int8pack_mm(x, codes, scale)


def int8_matmul_plain(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """`int8_matmul` in float32, rounded at the end."""
    return ((x.float() @ codes.float().T) * scale.float()).to(x.dtype)


def w8a8_matmul(x: Tensor, codes: Tensor, scale: Tensor, kernel: bool = True) -> Tensor:
    """Both sides as int8, their product as integers: (n, n_in) -> (n, n_out), of x's dtype.

    codes: (n_out, n_in) int8; scale: (n_out,). Each row of x is rounded on the spot, symmetrically to 8 bits with a
    scale of its own ("dynamic"), so one large number in a row costs all the others their precision. Without the kernel
    the integers are summed up in float64, which is exact.
    """
    row_scale = x.float().abs().amax(-1, keepdim=True) / 127
    rounded = to_codes(x.float(), row_scale, None, 8)
    if kernel:
        sums = torch._int_mm(rounded, codes.T)
    else:
        sums = rounded.double() @ codes.double().T
    return (sums.float() * row_scale * scale.float()).to(x.dtype)


@lru_cache
def has_kernel(name: Kernel) -> bool:
    """Whether this torch, on this CPU, has the kernel: tried on a matrix of 32 x 32."""
    x, codes = torch.ones(1, 32, dtype=torch.bfloat16), torch.ones(32, 32, dtype=torch.int8)
    try:
        if name == "int4":
            int4_matmul(x, int4_layout(codes), x.new_ones(1, 32, 2), 32)
        elif name == "int8":
            int8_matmul(x, codes, x.new_ones(32))
        else:
            torch._int_mm(codes[:1], codes.T)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True
