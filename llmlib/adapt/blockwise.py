"""Four-bit weights times eight-bit activations, block by block, as integers. Lecture 15.

torch's int4 kernel unpacks every weight to a float before it multiplies, and that takes longer than reading it. Here x
is rounded as well, 32 neighbours to 8 bits with a scale of their own (GGUF's Q8_0), so that a block's product is one of
small integers, which a processor does 64 at a time; floats come in once a block. The idea is llama.cpp's (Gerganov,
2023). `blockwise_matmul_plain` says what is computed, `BlockwiseMatrix` computes it with the compiled kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .native import NativeKernel, native_kernel
from .rounding import Quantized

BLOCK, OUTPUTS = 32, 16  # a tile of the kernel: 16 outputs of 32 inputs
TILE_BYTES = {4: 320, 8: 544}


def round_activations(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (..., n_in) is about codes * scale: -> codes (..., n_blocks, 32), int8, and scales (..., n_blocks, 1)."""
    blocks = x.float().unflatten(-1, (-1, BLOCK))
    largest = blocks.abs().amax(-1, keepdim=True)
    inverse = torch.where(largest > 0, 127 / largest, 0.0)
    return (blocks * inverse).round().to(torch.int8), largest / 127


def blockwise_matmul_plain(x: Tensor, matrix: Quantized) -> Tensor:
    """x W^T with x rounded by `round_activations`: (n, n_in) -> (n, n_out), float32. What the kernel computes.

    matrix: 4 bits asymmetric or 8 bits symmetric, in groups of 32.
    """
    scale, offset = _in_blocks(matrix)
    codes, x_scale = round_activations(x)
    blocks = codes.float().transpose(0, 1)  # (n_blocks, n, 32): sums of 32 products are exact in float32
    weights = matrix.codes.unflatten(1, (-1, BLOCK)).float().permute(1, 2, 0)  # (n_blocks, 32, n_out)
    sums = (blocks @ weights) * scale.T[:, None]
    if offset is not None:
        sums = sums + blocks.sum(-1, keepdim=True) * offset.T[:, None]
    return (sums * x_scale.transpose(0, 1)).sum(0)


def pack_tiles(matrix: Quantized) -> Tensor:
    """The bytes as the kernel reads them, see blockwise.c: (n_out / 16, n_blocks, 320 or 544) uint8.

    matrix: as for `blockwise_matmul_plain`, groups of 32 or a multiple of it. n_out is filled up to a multiple of 16
    with outputs that are 0. 5 bits a weight, or 8.5.
    """
    scale, offset = _in_blocks(matrix)
    codes = matrix.codes.to(torch.int16)
    if matrix.bits == 8:
        codes = codes + 128
    missing = -len(codes) % OUTPUTS
    if missing:
        pad = lambda t, value: torch.cat([t, t.new_full((missing, *t.shape[1:]), value)])
        codes, scale = pad(codes, 128 if matrix.bits == 8 else 0), pad(scale, 0)
        offset = None if offset is None else pad(offset, 0)
    rows, n_blocks = len(codes) // OUTPUTS, scale.shape[1]
    halves = [part.half().view(rows, OUTPUTS, n_blocks).transpose(1, 2) for part in (scale, offset) if part is not None]
    # (rows, outputs, blocks, chunks, 4) -> a chunk is 16 outputs x 4 inputs
    chunks = codes.to(torch.uint8).view(rows, OUTPUTS, n_blocks, 8, 4).permute(0, 2, 3, 1, 4)
    if matrix.bits == 4:
        chunks = chunks[:, :, :4] | chunks[:, :, 4:] << 4
    parts = [part.contiguous().view(torch.uint8) for part in halves] + [chunks.flatten(2)]
    return torch.cat(parts, -1).contiguous()


class BlockwiseMatrix:
    """A matrix in the kernel's tiles, and the products with it.

    matrix = BlockwiseMatrix(quantize_q4_1(weight)); y = matrix.matmul(x): (n, n_in) -> (n, n_out), float32, equal to
    `blockwise_matmul_plain` to rounding. Raises NativeError where the kernel cannot be had.
    """

    def __init__(self, matrix: Quantized, kernel: NativeKernel | None = None):
        self.kernel = kernel or native_kernel()
        self.n_out, self.n_in = matrix.codes.shape
        self.bits, self.tiles = matrix.bits, pack_tiles(matrix)
        self._width = len(self.tiles) * OUTPUTS
        self._scratch = torch.empty(48 * self.n_in // BLOCK, dtype=torch.uint8)
        self._address = self.tiles.data_ptr()

    @property
    def nbytes(self) -> int:
        return self.tiles.nbytes

    def matmul(self, x: Tensor) -> Tensor:
        x = x.float().contiguous()
        y = x.new_empty(len(x), self._width)
        scratch = self._scratch if len(x) == 1 else torch.empty(len(x) * len(self._scratch), dtype=torch.uint8)
        self.kernel.matmul(
            x.data_ptr(), self._address, y.data_ptr(), scratch.data_ptr(), len(x), self.n_in, self._width, self.bits, 0,
            torch.get_num_threads(),
        )  # fmt: skip
        return y if self._width == self.n_out else y[:, : self.n_out]

    def bind(self, x: Tensor, y: Tensor, add: bool = False):
        """A function of the number of threads that computes y = W x, or with `add` y += W x, and wastes nothing.

        x: (n_in,), y: (n_out,), float32 and in one piece; the function keeps both alive.
        """
        whole = self._width == self.n_out
        into = y if whole else torch.empty(self._width)
        places = (x.data_ptr(), self._address, into.data_ptr(), self._scratch.data_ptr())
        shape, kernel = (1, self.n_in, self._width, self.bits, int(add and whole)), self.kernel.matmul

        def product(threads: int, kept=(self, x, into)) -> None:
            kernel(*places, *shape, threads)

        def product_cut(threads: int) -> None:
            product(threads)
            (y.add_ if add else y.copy_)(into[: self.n_out])

        return product if whole else product_cut

    def rows(self, ids: Tensor) -> Tensor:
        """Rows of W as numbers: (n,) int64 -> (n, n_in) float32."""
        tiles, places = self.tiles[ids // OUTPUTS], ids % OUTPUTS  # (n, n_blocks, bytes)
        pick = lambda part: part.gather(
            2, places[:, None, None, None].expand(-1, part.shape[1], 1, part.shape[3])
        ).squeeze(2)
        n_heads = 2 if self.bits == 4 else 1
        heads = tiles[..., : 32 * n_heads].reshape(*tiles.shape[:2], n_heads, 32).contiguous().view(torch.float16)
        heads = heads.transpose(2, 3)  # (n, n_blocks, 16, n_heads)
        head = pick(heads.float())
        chunks = tiles[..., 32 * n_heads :].reshape(*tiles.shape[:2], self.bits, OUTPUTS, 4).transpose(2, 3)
        chunk = pick(chunks.reshape(*tiles.shape[:2], OUTPUTS, self.bits * 4))  # (n, n_blocks, bytes of the row)
        if self.bits == 4:
            codes = torch.cat([chunk & 15, chunk >> 4], -1).float()
            return (codes * head[..., :1] + head[..., 1:]).flatten(1)
        return ((chunk.float() - 128) * head).flatten(1)


def _in_blocks(matrix: Quantized) -> tuple[Tensor, Tensor | None]:
    """Scale and offset of each block of 32 as float16 has them, (n_out, n_blocks); ValueError for what does not fit."""
    n_out, n_in = matrix.codes.shape
    kind = (matrix.bits, matrix.offset is not None)
    n_groups = matrix.scale.shape[-1]
    fits = kind in ((4, True), (8, False)) and matrix.levels is None and len(matrix.scale) == n_out
    if not fits or n_in % BLOCK or n_in // n_groups % BLOCK:
        raise ValueError(
            f"matrix has {matrix.bits} bits, shape {(n_out, n_in)} and scales {tuple(matrix.scale.shape)}: the "
            "blockwise kernel takes 4 bits asymmetric or 8 bits symmetric, in groups of 32 or a multiple of it"
        )
    times = n_in // n_groups // BLOCK
    spread = lambda part: part.half().float().repeat_interleave(times, 1)
    return spread(matrix.scale), None if matrix.offset is None else spread(matrix.offset)
