"""Codes of a few bits, packed side by side into bytes, and out again. Lecture 15."""

import torch
from torch import Tensor


def pack_bits(codes: Tensor, bits: int) -> Tensor:
    """Integers of so many bits, packed along the last dimension: (..., n) -> (..., ceil(n * bits / 8)) uint8.

    The first code takes the lowest bits of the first byte, so with 4 bits codes 0 and 1 are the low and the high half
    of byte 0. (GGUF puts codes 0 and 16 of a block of 32 there: `to_blocks`.) Negative codes are packed as two's
    complement, which `unpack_bits(..., signed=True)` undoes. The last byte of a row is filled up with zeros. ValueError
    for codes that do not fit.
    """
    _check_bits(bits)
    codes = codes.to(torch.int16)
    if codes.numel():
        low, high = (int(value) for value in codes.aminmax())
        if low < -(1 << bits - 1) or high >= 1 << (bits - 1 if low < 0 else bits):
            room = f"{-(1 << bits - 1)}..{(1 << bits - 1) - 1} or 0..{(1 << bits) - 1}"
            raise ValueError(f"codes holds {low} to {high}, which {bits} bits do not: give {room}, or more bits")
    codes = codes & (1 << bits) - 1
    per_byte = 8 // bits
    if 8 % bits == 0:  # whole codes in each byte
        codes = _filled(codes, per_byte).unflatten(-1, (-1, per_byte))
        return (codes << bits * torch.arange(per_byte, dtype=torch.int16, device=codes.device)).sum(-1).to(torch.uint8)
    ones = codes[..., None] >> torch.arange(bits, dtype=torch.int16, device=codes.device) & 1  # a code may span 2 bytes
    ones = _filled(ones.flatten(-2), 8).unflatten(-1, (-1, 8))
    return (ones << torch.arange(8, dtype=torch.int16, device=codes.device)).sum(-1).to(torch.uint8)


def unpack_bits(packed: Tensor, bits: int, n: int, signed: bool = False) -> Tensor:
    """The n codes of each row that `pack_bits` packed: (..., bytes) uint8 -> (..., n), int8 if signed, else uint8."""
    _check_bits(bits)
    if packed.dtype != torch.uint8 or packed.shape[-1] != -(-n * bits // 8):
        raise ValueError(
            f"packed is {packed.dtype} {tuple(packed.shape)}: {n} codes of {bits} bits are "
            f"{-(-n * bits // 8)} uint8 a row"
        )
    if 8 % bits == 0:
        shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
        codes = (packed[..., None] >> shifts & (1 << bits) - 1).flatten(-2)[..., :n]
    else:
        ones = packed[..., None] >> torch.arange(8, dtype=torch.uint8, device=packed.device) & 1
        ones = ones.flatten(-2)[..., : n * bits].unflatten(-1, (n, bits))
        codes = (ones << torch.arange(bits, dtype=torch.uint8, device=packed.device)).sum(-1, dtype=torch.uint8)
    if not signed:
        return codes
    top = 8 - bits  # shift the sign to where int8 has it, and back
    return (codes << top).view(torch.int8) >> top


def pack_int4(codes: Tensor) -> Tensor:
    """Two codes a byte, the first in the low half: (..., n) -> (..., n / 2) uint8. codes from 0 to 15, or -8 to 7."""
    if codes.shape[-1] % 2:
        raise ValueError(f"codes has {codes.shape[-1]} a row, an odd number: two share a byte, so add one to each row")
    return pack_bits(codes, 4)


def unpack_int4(packed: Tensor, signed: bool = False) -> Tensor:
    """(..., bytes) uint8 -> (..., 2 * bytes) codes: 0 to 15 as uint8, or if signed -8 to 7 as int8."""
    return unpack_bits(packed, 4, 2 * packed.shape[-1], signed)


def _check_bits(bits: int) -> None:
    if bits not in range(1, 9):
        raise ValueError(f"bits={bits} must be a whole number from 1 to 8: a code has to fit in a byte")


def _filled(codes: Tensor, multiple: int) -> Tensor:
    """With zeros at the end of each row, up to a multiple."""
    missing = -codes.shape[-1] % multiple
    return torch.cat([codes, codes.new_zeros(*codes.shape[:-1], missing)], -1) if missing else codes
