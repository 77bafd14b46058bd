"""Matrices as decoding wants them: packed once, then multiplied with one vector after another. Lecture 15.

Each kind answers to the same four requests: `bind` makes the product with one vector at a fixed place in memory, which
then costs nothing but the kernel; `matmul` takes many vectors, as in reading a prompt; `rows` gives rows back as
numbers, so that an embedding tied to the head needs no copy of its own; `nbytes` and `extra_nbytes` count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.infer.cpu_decoder import bags, fast_bags

from . import kernels
from .blockwise import BLOCK, BlockwiseMatrix
from .gguf_encoding import quantize_q8_0
from .quantized_linears import FEW_ROWS
from .rounding import Quantized, quantize

Weights = Literal["fp32", "bf16", "int8", "int4"]
Product = Callable[[int], None]
"""A product of fixed operands; its argument is the number of threads."""


class Source(NamedTuple):
    """A matrix (n_out, n_in) that is to be packed: its numbers, and its codes where it is quantized already."""

    weight: Tensor
    quantized: Quantized | None = None


class Columns:
    """A float32 or bfloat16 matrix stored by columns: a product is the weighted sum of them, see `weighted_sum`."""

    name = "torch by columns"

    def __init__(self, columns: Tensor, vectors: torch.dtype | None = None):
        """columns: (n_in, n_out), its rows in one piece; vectors: what x comes in, the same type unless said."""
        self.columns, self.dtype = columns, vectors or columns.dtype
        self.n_in, self.n_out = columns.shape
        self.nbytes, self.extra_nbytes = columns.nbytes, 0

    @classmethod
    def of(cls, weight: Tensor, dtype: torch.dtype, vectors: torch.dtype | None = None) -> Columns:
        columns = torch.empty(weight.shape[1], weight.shape[0], dtype=dtype)
        return cls(columns.copy_(weight.T), vectors)

    def bind(self, x: Tensor, y: Tensor, add: bool = False) -> Product:
        columns, out, n_in, bag = self.columns, y[None], self.n_in, torch.embedding_bag
        alike = x.dtype == columns.dtype
        if not fast_bags():
            return lambda threads: _into(out, (x.to(columns.dtype) @ columns)[None], add)

        def product(threads: int) -> None:
            numbers, starts = bags(n_in, threads)
            sums = bag(columns, numbers, starts, False, 0, False, x if alike else x.to(columns.dtype))[0]
            _into(out, sums if threads == 1 else sums.sum(0, keepdim=True), add)

        return product

    def matmul(self, x: Tensor) -> Tensor:
        return x.to(self.dtype).to(self.columns.dtype) @ self.columns

    def rows(self, ids: Tensor) -> Tensor:
        return self.columns[:, ids].T.float()


class TorchInt8:
    """8 bits, a scale a row, through torch's kernel; many vectors through a copy in `dense`'s type."""

    name, dtype = "torch int8", torch.bfloat16

    def __init__(self, matrix: Quantized, dense: torch.dtype | None):
        self.codes, self.scale = matrix.codes.contiguous(), matrix.scale[:, 0].bfloat16()
        self.n_out, self.n_in = self.codes.shape
        self.nbytes = self.codes.nbytes + self.scale.nbytes
        self.dense = None if dense is None else self._numbers().to(dense)
        self.extra_nbytes = 0 if dense is None else self.dense.nbytes

    def _numbers(self) -> Tensor:
        return self.codes.float() * self.scale.float()[:, None]

    def bind(self, x: Tensor, y: Tensor, add: bool = False) -> Product:
        kernel, codes, scale = torch.ops.aten._weight_int8pack_mm.default, self.codes, self.scale
        x, out = x[None], y[None]
        return lambda threads: _into(out, kernel(x, codes, scale), add)

    def matmul(self, x: Tensor) -> Tensor:
        if self.dense is None or len(x) <= FEW_ROWS:
            return kernels.int8_matmul(x.bfloat16(), self.codes, self.scale)
        return F.linear(x.to(self.dense.dtype), self.dense)

    def rows(self, ids: Tensor) -> Tensor:
        return self.codes[ids].float() * self.scale[ids].float()[:, None]


class TorchInt4:
    """4 bits in groups through torch's kernel; otherwise as `TorchInt8`."""

    name, dtype, rows = "torch int4", torch.bfloat16, None

    def __init__(self, matrix: Quantized, dense: torch.dtype | None):
        self.n_out, self.n_in = matrix.codes.shape
        self.group_size = self.n_in // matrix.scale.shape[1]
        codes = matrix.codes if matrix.offset is not None else matrix.codes + 8
        scale = matrix.scale.bfloat16().float()
        zero = torch.zeros_like(scale) if matrix.offset is None else matrix.offset.float() + 8 * scale
        self.scales_and_zeros = torch.stack([scale.T, zero.T], -1).bfloat16().contiguous()
        self.layout = kernels.int4_layout(codes)
        self.nbytes = self.layout.nbytes + self.scales_and_zeros.nbytes
        self.dense = None if dense is None else _int4_numbers(codes, self).to(dense)
        self.extra_nbytes = 0 if dense is None else self.dense.nbytes

    def bind(self, x: Tensor, y: Tensor, add: bool = False) -> Product:
        kernel, layout = torch.ops.aten._weight_int4pack_mm_for_cpu.default, self.layout
        group_size, scales, x, out = self.group_size, self.scales_and_zeros, x[None], y[None]
        return lambda threads: _into(out, kernel(x, layout, group_size, scales), add)

    def matmul(self, x: Tensor) -> Tensor:
        if self.dense is None or len(x) <= FEW_ROWS:
            return kernels.int4_matmul(x.bfloat16(), self.layout, self.scales_and_zeros, self.group_size)
        return F.linear(x.to(self.dense.dtype), self.dense)


class Native(BlockwiseMatrix):
    """4 or 8 bits in blocks of 32 through the compiled kernel, one vector or many."""

    dtype, extra_nbytes = torch.float32, 0

    @property
    def name(self) -> str:
        return f"native int{self.bits}"


Matrix = Columns | TorchInt8 | TorchInt4 | Native


def _int4_numbers(codes: Tensor, matrix: TorchInt4) -> Tensor:
    return kernels.int4_weight(codes, matrix.scales_and_zeros, matrix.group_size)


def _into(y: Tensor, product: Tensor, add: bool) -> None:
    if add:
        y.add_(product)
    else:
        y.copy_(product)


def pack(source: Source, weights: Weights, native: bool, group_size: int, dense: torch.dtype | None) -> Matrix:
    """The matrix for decoding. dense: the type of the copy for many vectors; None for none, the head needs it not.

    Where torch lacks a kernel, or it does not take the shape, the rounded numbers are kept in float32.
    """
    weight = source.weight
    if weights in ("fp32", "bf16"):
        wide = weights == "fp32" or not fast_bf16()
        return Columns.of(weight if weights == "fp32" else weight.bfloat16(), torch.float32 if wide else torch.bfloat16)
    if weights == "int8":
        if native:
            return Native(_quantized(source, 8, BLOCK) or quantize_q8_0(weight))
        matrix = _quantized(source, 8, weight.shape[1]) or quantize(weight, 8, "channel", symmetric=True)
        if kernels.has_kernel("int8"):
            return TorchInt8(matrix, dense)
        return Columns.of(matrix.dequantize(), torch.float32, vectors=torch.bfloat16)
    matrix = _quantized(source, 4, group_size) or quantize(weight, 4, group_size, scale_dtype=torch.float16)
    if native and matrix.offset is not None:
        return Native(matrix)
    if kernels.has_kernel("int4") and kernels.int4_fits(*weight.shape, weight.shape[1] // matrix.scale.shape[1]):
        return TorchInt4(matrix, dense)
    return Columns.of(matrix.dequantize(), torch.float32, vectors=torch.bfloat16)


def _quantized(source: Source, bits: int, group_size: int) -> Quantized | None:
    """The codes that the source has already, if they are of this kind: nothing is rounded twice."""
    matrix = source.quantized
    if matrix is None or matrix.bits != bits or matrix.levels is not None:
        return None
    symmetric_enough = bits == 4 or matrix.offset is None
    fits = len(matrix.scale) == len(matrix.codes) and matrix.codes.shape[1] // matrix.scale.shape[1] == group_size
    return matrix if fits and symmetric_enough else None


def fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 by itself (avx512_bf16, AMX or ARM's): without, bfloat16 is the slower."""
    told = getattr(torch.cpu, "get_capabilities", dict)()
    names = ("avx512_bf16", "amx_bf16", "amx_tile", "arm_bf16", "bf16", "sve_bf16")
    if any(told.get(name) for name in names):
        return True
    old = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return not told and old is not None and bool(old())
