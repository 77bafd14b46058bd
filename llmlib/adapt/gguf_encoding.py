"""Matrices as GGUF's blocks of 32 weights, bit for bit as the ggml project encodes them. Lectures 04 and 15.

`llmlib.hub.gguf_blocks` reads such blocks out of a file; here they are made, and taken as a `Quantized` without
rounding anything again.
"""

import torch
from torch import Tensor

from llmlib.hub.gguf_blocks import BLOCK

from .rounding import Quantized, groups

BYTES = {"Q8_0": 34, "Q4_1": 20}


def quantize_q8_0(weight: Tensor) -> Quantized:
    """Symmetric, 8 bits, a float16 scale for 32 weights: 8.5 bits a weight. (n_out, n_in), 32 divides n_in.

    As in ggml the code is chosen for the scale before that is rounded to float16, and halves go away from zero.
    """
    grouped = _blocks(weight)
    scale = grouped.abs().amax(-1) / 127
    ratio = grouped * _inverse(scale)
    codes = ratio.trunc() + ratio.sign() * ((ratio - ratio.trunc()).abs() >= 0.5)
    return Quantized(codes.to(torch.int8).view(weight.shape), _half(scale), 8)


def quantize_q4_1(weight: Tensor) -> Quantized:
    """Asymmetric, 4 bits, a float16 scale and a float16 minimum for 32 weights: 5 bits a weight. As in ggml."""
    grouped = _blocks(weight)
    low, high = grouped.aminmax(dim=-1)
    scale = (high - low) / 15
    codes = ((grouped - low[..., None]) * _inverse(scale) + 0.5).floor().clamp_max(15)
    return Quantized(codes.to(torch.uint8).view(weight.shape), _half(scale), 4, _half(low))


def to_blocks(quantized: Quantized) -> Tensor:
    """The bytes of a file: (n_out, n_in / 32, 34 or 20) uint8, Q8_0 or Q4_1 as the matrix is.

    A block is its float16 scale, in Q4_1 then the minimum, and its codes; of two 4-bit codes in a byte the low one
    belongs to the first 16 weights, the high one to the last 16. ValueError for any other kind of `Quantized`.
    """
    kind = _kind(quantized)
    codes = quantized.codes.reshape(*quantized.scale.shape, BLOCK)
    head = quantized.scale[..., None].contiguous().view(torch.uint8)
    if kind == "Q8_0":
        return torch.cat([head, codes.view(torch.uint8)], -1)
    minimum = quantized.offset[..., None].contiguous().view(torch.uint8)
    return torch.cat([head, minimum, codes[..., : BLOCK // 2] | codes[..., BLOCK // 2 :] << 4], -1)


def from_blocks(blocks: Tensor, kind: str) -> Quantized:
    """What `to_blocks` made, or a file holds: (n_out, n_blocks, bytes) uint8, kind "Q8_0" or "Q4_1"."""
    if kind not in BYTES:
        raise ValueError(f"kind={kind!r} is none of {', '.join(BYTES)}")
    if blocks.dtype != torch.uint8 or blocks.dim() != 3 or blocks.shape[-1] != BYTES[kind]:
        raise ValueError(
            f"blocks is {blocks.dtype} {tuple(blocks.shape)}: {kind} is uint8 (n_out, n_blocks, {BYTES[kind]})"
        )
    half = lambda start: blocks[..., start : start + 2].contiguous().view(torch.float16)[..., 0]
    if kind == "Q8_0":
        return Quantized(blocks[..., 2:].contiguous().view(torch.int8).flatten(1), half(0), 8)
    packed = blocks[..., 4:]
    return Quantized(torch.cat([packed & 15, packed >> 4], -1).flatten(1), half(0), 4, half(2))


def _blocks(weight: Tensor) -> Tensor:
    return groups(weight.detach().float(), BLOCK)


def _inverse(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 0.0, 1 / scale)[..., None]


def _half(scale: Tensor) -> Tensor:
    half = scale.half()
    if not half.isfinite().all():
        raise ValueError("weight has numbers whose scales float16 does not hold: these blocks are not for it")
    return half


def _kind(quantized: Quantized) -> str:
    form = (quantized.bits, quantized.offset is not None, quantized.scale.dtype)
    n_blocks = quantized.codes.numel() // BLOCK
    kind = {(8, False, torch.float16): "Q8_0", (4, True, torch.float16): "Q4_1"}.get(form)
    if kind is None or quantized.levels is not None or quantized.scale.numel() != n_blocks:
        raise ValueError(
            f"quantized has {quantized.bits} bits, {quantized.scale.dtype} scales of shape "
            f"{tuple(quantized.scale.shape)}: make it with quantize_q8_0 or quantize_q4_1"
        )
    return kind
