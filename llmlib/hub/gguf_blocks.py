"""How GGUF stores weights: plain floats, or blocks of 32 small integers that share a scale (lectures 04 and 15).

A quantized block is one or two float16 numbers and then its integers. Two four-bit integers share a byte: the low
halves are the first 16 weights of the block, the high halves the last 16. Q4_1 thus takes 20 bytes for 32 weights,
5 bits a weight. Format: the ggml project.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BLOCK = 32  # weights that share one scale


class Format(NamedTuple):
    """A tensor type: how many values a block holds, in how many bytes, and how to unpack blocks.

    unpack: (n_blocks, block_bytes) uint8 -> (n_blocks, block_values) float32, a new array.
    """

    name: str
    block_values: int
    block_bytes: int
    unpack: Callable[[np.ndarray], np.ndarray]


def _halves(blocks: np.ndarray, column: int) -> np.ndarray:
    """The float16 at byte 2 * column of every block, as (n_blocks, 1) float32."""
    return blocks[:, 2 * column : 2 * column + 2].copy().view("<f2").astype(np.float32)


def _nibbles(blocks: np.ndarray, first_byte: int) -> np.ndarray:
    packed = blocks[:, first_byte:]
    values = np.empty((len(blocks), BLOCK), np.float32)
    values[:, : BLOCK // 2] = packed & 15
    values[:, BLOCK // 2 :] = packed >> 4
    return values


def _f32(blocks: np.ndarray) -> np.ndarray:
    return blocks.copy().view("<f4").astype(np.float32, copy=False)


def _f16(blocks: np.ndarray) -> np.ndarray:
    return _halves(blocks, 0)


def _q8_0(blocks: np.ndarray) -> np.ndarray:
    """scale * q, q from -127 to 127."""
    values = blocks[:, 2:].view(np.int8).astype(np.float32)
    with np.errstate(all="ignore"):  # a scale of infinity is the file's business
        values *= _halves(blocks, 0)
    return values


def _q4_0(blocks: np.ndarray) -> np.ndarray:
    """scale * (q - 8), q from 0 to 15."""
    values = _nibbles(blocks, 2)
    with np.errstate(all="ignore"):
        values -= 8
        values *= _halves(blocks, 0)
    return values


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    """scale * q + minimum, q from 0 to 15."""
    values = _nibbles(blocks, 4)
    with np.errstate(all="ignore"):
        values *= _halves(blocks, 0)
        values += _halves(blocks, 1)
    return values


FORMATS = {
    0: Format("F32", 1, 4, _f32),
    1: Format("F16", 1, 2, _f16),
    2: Format("Q4_0", BLOCK, 18, _q4_0),
    3: Format("Q4_1", BLOCK, 20, _q4_1),
    8: Format("Q8_0", BLOCK, 34, _q8_0),
}
BY_NAME = {layout.name: layout for layout in FORMATS.values()}
