"""Lab 15: absmax, groups with a zero point, nibbles, bytes of a model, a step of GPTQ, a loss of distillation, a test of
quantizers, a wrong run of quantization-aware distillation."""

import functools
import math

import torch
import torch.nn.functional as F

from courseware.classroom.cases import Case, Draw, Lab, Mistake, Number, Question, Subject, Ungraded

# ------------------------------------------------------------------------------------------------------- 1: absmax


def _between(draw: Draw, *shape: int) -> torch.Tensor:
    """What is added to whole numbers: never so near a half that rounding decides."""
    return draw.uniform(*shape, low=-0.4, high=0.4)


def _rows(draw: Draw, bits: int) -> tuple:
    """Rows of unequal size, each with one weight that is the largest by its absolute value; in row 0 it is negative."""
    n_out, n_in, most = 3 + draw.integer(0, 3), 4 + draw.integer(0, 4), 2 ** (bits - 1) - 1
    codes = draw.integers(-most, most + 1, n_out, n_in) + _between(draw, n_out, n_in)
    codes = codes.clamp(-0.9 * most, 0.9 * most)
    codes = codes + torch.where((codes - codes.round()).abs() > 0.45, 0.1, 0.0)
    for row in range(n_out):
        codes[row, draw.integer(0, n_in)] = most * (-1 if row == 0 else draw.choice([-1, 1]))
    sizes = torch.tensor([0.03 * 1.7**row for row in range(n_out)])
    return codes * sizes[:, None], bits


def rows_of_weights(draw: Draw) -> tuple:
    return _rows(draw, draw.choice([3, 4]))


def eight_bits(draw: Draw) -> tuple:
    return _rows(draw, 8)


def with_a_row_of_zeros(draw: Draw) -> tuple:
    weight, bits = _rows(draw, 4)
    weight[draw.integer(1, len(weight))] = 0.0
    return weight, bits


def run_absmax(student, weight, bits):
    """Recipe: codes, as int8 holds them, and scales."""
    codes, scale = student(weight.clone(), bits)
    codes = (torch.as_tensor(codes).double() + 128) % 256 - 128
    return {"codes": codes, "scale": torch.as_tensor(scale).double().reshape(-1)}


def absmax(weight, bits, slip=""):
    """Codes (n_out, n_in) and scales (n_out,), or those of a slip."""
    most = {"one level more": 2 ** (bits - 1), "unsigned": 2**bits - 1, "always 8": 127}.get(slip, 2 ** (bits - 1) - 1)
    size = weight if slip == "largest only" else weight.abs()
    size = size.amax(0, keepdim=True) if slip == "columns" else size.amax(1, keepdim=True)
    if slip == "tensor":
        size = weight.abs().max().expand(len(weight), 1)
    elif slip == "mean":
        size = weight.abs().mean(1, keepdim=True)
    elif slip == "range":
        size = weight.amax(1, keepdim=True) - weight.amin(1, keepdim=True)
    scale = size / most
    if slip != "zero scale":
        scale = torch.where(scale == 0, 1.0, scale)
    ratio = weight / torch.where(scale == 0, 1.0, scale)
    if slip == "truncated":
        codes = ratio.trunc()
    elif slip == "floor":
        codes = ratio.floor()
    elif slip == "not rounded":
        codes = ratio
    elif slip == "sign lost":
        codes = ratio.abs().round()
    elif slip == "shifted":
        codes = ratio.round() + 2 ** (bits - 1)
    elif slip == "values":
        codes = ratio.round() * scale
    else:
        codes = ratio.round()
    return codes, 1 / scale if slip == "inverse" else scale


@functools.cache
def _absmax(slip: str):
    return lambda *inputs: run_absmax(functools.partial(absmax, slip=slip), *inputs)


ABSMAX_SLIPS = {
    "one level more": "the largest code is 2^(bits - 1) - 1: signed numbers of so many bits go one step further below zero than above, and the code 2^(bits - 1) does not fit",
    "unsigned": "half of the codes are for negative weights: the largest is 2^(bits - 1) - 1, not 2^bits - 1",
    "always 8": "is bits used? 127 is the largest code of 8 bits",
    "tensor": "one scale for all rows: a row of small weights then has few codes left. Every row has its own",
    "columns": "the scales are those of the columns: a row, the weights of one output, shares one",
    "largest only": "the largest by its *absolute value*: a negative weight may be the largest",
    "mean": "the scale comes from the largest absolute value of a row, not from the mean",
    "range": "the scale comes from the largest absolute value, not from the distance between the smallest and the largest weight",
    "truncated": "the codes are cut off towards zero: round to the nearest",
    "floor": "the codes are rounded down: round to the nearest",
    "not rounded": "the codes are not rounded: they are whole numbers",
    "sign lost": "the sign is lost: codes go from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1",
    "shifted": "symmetric codes have no zero point: code 0 stands for the weight 0",
    "values": "those are the rounded weights: the codes are whole numbers, before they are multiplied by the scale",
    "inverse": "the scale is what a code is multiplied by: you give the number that a weight is multiplied by",
    "zero scale": "a row of zeros has the scale 1: with 0 its codes are 0 / 0, and a tiny number in its place is 0 in half precision",
}
_ROWS = tuple(_absmax(s) for s in ABSMAX_SLIPS if s != "zero scale")
_EIGHT = tuple(_absmax(s) for s in ABSMAX_SLIPS if s not in ("zero scale", "always 8"))


def _zeros_not_numbers(value, weight, bits) -> bool:
    """What 0 / 0 leaves behind in a row of zeros."""
    where = (weight == 0).all(1)
    return bool(where.any()) and not bool(
        value["scale"][where].isfinite().all() and value["codes"][where].isfinite().all()
    )


# ------------------------------------------------------------------------------------------ 2: groups with a zero point


def _group(draw: Draw, size: int, bits: int, side: str) -> torch.Tensor:
    """Weights on both sides of zero, or on one."""
    most, scale = 2**bits - 1, 0.05 * (1 + draw.integer(0, 6))
    if side != "both":
        codes = draw.integers(most // 2, most, size) + _between(draw, size)
        codes[draw.integer(0, size)] = most
        return (codes if side == "above" else -codes) * scale
    zero = 1 + draw.integer(0, most - 1)
    off = draw.choice([-0.3, -0.2, 0.2, 0.3])
    low, high = -(zero + off), most - zero - off
    codes = (draw.integers(0, most + 1, size) - zero + _between(draw, size)).clamp(low, high)
    codes = codes + torch.where((codes - codes.round()).abs() > 0.45, 0.1, 0.0)
    first, second = draw.numpy.permutation(size)[:2].tolist()
    codes[first], codes[second] = low, high
    return codes * scale


def _grouped(draw: Draw, sides: list[str], bits: int) -> tuple:
    size = draw.choice([4, 8])
    n_out, n_groups = size, 2 + draw.integer(0, 2)
    cells = [[_group(draw, size, bits, draw.choice(sides)) for _ in range(n_groups)] for _ in range(n_out)]
    return torch.stack([torch.cat(row) for row in cells]), bits, size


def both_sides(draw: Draw) -> tuple:
    return _grouped(draw, ["both"], draw.choice([3, 5]))


def one_side(draw: Draw) -> tuple:
    """Groups whose weights all lie above zero, or all below."""
    return _grouped(draw, ["above", "below"], 4)


def as_far_below_as_above(draw: Draw) -> tuple:
    """The zero point lies at exactly a half: nothing may be pushed out of the codes."""
    n_out, scale = 4, 2.0 ** -draw.integer(1, 6)
    weight = draw.uniform(n_out, 8, low=-7.0, high=7.0)
    weight[:, 1], weight[:, 2] = 7.5, -7.5
    weight[:, 5], weight[:, 7] = -7.5, 7.5
    return weight * scale, 4, 4


def a_group_of_zeros(draw: Draw) -> tuple:
    weight, bits, size = both_sides(draw)
    weight[draw.integer(0, len(weight)), :size] = 0.0
    return weight, bits, size


def no_divisor(draw: Draw) -> tuple:
    return draw.normal(4, 12), 4, draw.choice([5, 8])


def run_groups(student, weight, bits, group_size):
    """Recipe: codes, scales and zero points; or that a ValueError was raised."""
    try:
        codes, scale, zero = student(weight.clone(), bits, group_size)
    except ValueError as error:
        if weight.shape[1] % group_size:
            return "a ValueError"
        raise error
    return {"codes": torch.as_tensor(codes).double(), "scale": torch.as_tensor(scale).double(),
            "zero": torch.as_tensor(zero).double()}  # fmt: skip


def quantize_groups(weight, bits, group_size, slip=""):
    """Codes (n_out, n_in), scales and zero points (n_out, n_in / group_size), or those of a slip."""
    if weight.shape[1] % group_size and slip != "remainder":
        raise ValueError("group_size does not divide n_in")
    if slip == "remainder":  # what does not fill a group is left as a shorter one
        parts = [quantize_groups(part, bits, part.shape[1]) for part in weight.split(group_size, 1)]
        return tuple(torch.cat(each, 1) for each in zip(*parts))
    if slip in ("columns", "columns turned"):
        codes, scale, zero = quantize_groups(weight.T.contiguous(), bits, group_size)
        return (codes.T, scale, zero) if slip == "columns turned" else (codes.T, scale.T, zero.T)
    n_out, n_in = weight.shape
    if slip == "strided":
        grouped = weight.view(n_out, group_size, -1).transpose(1, 2)
    elif slip == "row":
        grouped = weight.view(n_out, 1, n_in)
    elif slip == "tensor":
        grouped = weight.view(1, 1, -1)
    else:
        grouped = weight.view(n_out, -1, group_size)
    low, high = grouped.amin(-1, keepdim=True), grouped.amax(-1, keepdim=True)
    if slip not in ("without zero", "offset"):
        low, high = low.clamp(max=0), high.clamp(min=0)
    most = {"one level more": 2**bits, "always 4": 15, "signed": 2 ** (bits - 1) - 1}.get(slip, 2**bits - 1)
    scale = (high - low) / most
    if slip == "symmetric":
        scale = grouped.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    if slip != "zero scale":
        scale = torch.where(scale == 0, 1.0, scale)
    safe = torch.where(scale == 0, 1.0, scale)
    zero = -low / safe
    if slip == "symmetric":
        zero = torch.full_like(zero, 2.0 ** (bits - 1))
    if slip not in ("zero not rounded", "offset"):
        zero = zero.floor() if slip == "zero floored" else zero.round()
    if slip == "sign of zero":
        zero = -zero
    codes = grouped / safe
    if slip == "truncated":
        codes = codes.trunc() + zero
    elif slip in ("zero not rounded", "low subtracted", "offset"):
        codes = ((grouped - low) / safe).round()
    elif slip == "not rounded":
        codes = codes + zero
    elif slip == "zero subtracted":
        codes = codes.round() - zero
    elif slip == "zero forgotten":
        codes = codes.round()
    else:
        codes = codes.round() + zero
    if slip == "clamped to signed":
        codes = codes.clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    elif slip != "not clamped":
        codes = codes.clamp(0, 2**bits - 1)
    if slip == "offset":
        zero = low
    if slip == "strided":
        codes = codes.transpose(1, 2)
    return codes.reshape(n_out, n_in), scale.squeeze(-1), zero.squeeze(-1)


@functools.cache
def _by_group(slip: str):
    return lambda *inputs: run_groups(functools.partial(quantize_groups, slip=slip), *inputs)


GROUP_SLIPS = {
    "columns": "the groups lie along the wrong axis: a group is neighbours in a *row*, inputs of the same output, for that is what is added up",
    "columns turned": "the groups lie along the wrong axis: a group is neighbours in a *row*. Group the matrix as it is, not its transpose",
    "strided": "a group is neighbours in a row: here every n-th weight is taken (view(n_out, group_size, -1))",
    "row": "one scale for a whole row: is group_size used?",
    "tensor": "one scale for the whole matrix: is group_size used?",
    "without zero": "the range of a group has to reach to 0: where all weights lie on one side of it, the zero point falls outside of the codes",
    "offset": "that is an offset, the value of code 0: the zero point is the *code* of the value 0",
    "one level more": "2^bits codes have 2^bits - 1 steps between them",
    "always 4": "is bits used? 15 is the largest code of 4 bits",
    "signed": "with a zero point the codes have no sign: they go from 0 to 2^bits - 1",
    "symmetric": "that is absmax with the zero point in the middle: here the range goes from the smallest weight to the largest, or 0",
    "zero not rounded": "the zero point is a whole number: only then is the weight 0 kept exactly",
    "zero floored": "the zero point is rounded down: round to the nearest",
    "sign of zero": "the sign of the zero point: it is the code of the value 0, so it is not negative",
    "low subtracted": "rounded (w - low) / scale is the distance from the smallest weight: together with a rounded zero point that may be a whole step off. Round w / scale, then add zero",
    "truncated": "the codes are cut off towards zero: round to the nearest",
    "not rounded": "the codes are not rounded: they are whole numbers",
    "zero subtracted": "the zero point is added to w / scale; it is subtracted on the way back",
    "zero forgotten": "where is the zero point? Codes go from 0 to 2^bits - 1",
    "clamped to signed": "with a zero point the codes go from 0 to 2^bits - 1: they have no sign",
    "zero scale": "a group of zeros has the scale 1: with 0 its codes are 0 / 0, and a tiny number in its place is 0 in half precision",
    "remainder": "raise a ValueError where group_size does not divide n_in: here a shorter group is left over",
}
_NOT_BOTH = ("without zero", "zero scale", "remainder")
_BOTH = tuple(_by_group(s) for s in GROUP_SLIPS if s not in _NOT_BOTH)
_ONE_SIDE = tuple(map(_by_group, ("columns", "strided", "without zero", "zero forgotten", "one level more")))


def _in_the_codes(value, weight, bits, group_size) -> str | None:
    """For weights whose zero point may be rounded either way: codes that fit, and at most half a step off."""
    if not isinstance(value, dict):
        return "group_size divides n_in here: no error"
    codes, scale, zero = value["codes"], value["scale"], value["zero"]
    if codes.shape != weight.shape or scale.shape != (len(weight), weight.shape[1] // group_size) != zero.shape:
        return "codes (n_out, n_in), scale and zero (n_out, n_in / group_size)"
    if bool((codes != codes.round()).any()) or codes.min() < 0 or codes.max() > 2**bits - 1:
        return "a code lies outside of 0 to 2^bits - 1: both w / scale and the zero point were rounded up. Clamp"
    spread = lambda each: each.repeat_interleave(group_size, 1)
    off = (spread(scale) * (codes - spread(zero)) - weight.double()).abs() / spread(scale)
    return "a weight is more than half a step off" if off.max() > 0.5 + 1e-3 else None


# ------------------------------------------------------------------------------------------------------- 3: nibbles


def signed_codes(draw: Draw) -> tuple:
    """Both halves of a byte get negative and positive codes, -8 among them."""
    codes = draw.integers(-8, 8, 2 * (1 + draw.integer(0, 2)), 4 + 2 * draw.integer(0, 3)).to(torch.int8)
    codes[0, :4] = torch.tensor([-3, 5, -8, -1])
    codes[-1, :2] = torch.tensor([6, -2])
    return (codes,)


def some_bytes(draw: Draw) -> tuple:
    packed = draw.integers(0, 256, 1 + draw.integer(1, 4), 2 + draw.integer(0, 3)).to(torch.uint8)
    packed[0, :2] = torch.tensor([0x5D, 0x8F], dtype=torch.uint8)
    packed[1, :2] = torch.tensor([0xF0, 0x07], dtype=torch.uint8)
    return (packed,)


def run_pack(student, codes):
    """Recipe: the bytes."""
    packed = student.pack(codes.clone())
    return {"packed": packed.long(), "bytes each": packed.element_size()}


def run_unpack(student, packed):
    """Recipe: the codes."""
    return student.unpack(packed.clone()).long()


def pack(codes, slip=""):
    """(n_out, n_in) -> (n_out, n_in / 2) bytes, as int64, or those of a slip."""
    codes = codes.long()
    if slip == "offset":
        codes = codes + 8
    elif slip == "sign lost":
        codes = codes.abs()
    elif slip == "sign and size":
        codes = torch.where(codes < 0, 8 + codes.abs() % 8, codes)
    first, second = codes[:, ::2], codes[:, 1::2]
    if slip == "halves":
        first, second = codes.chunk(2, 1)
    elif slip == "rows":
        first, second = codes[::2], codes[1::2]
    elif slip == "swapped":
        first, second = second, first
    if slip == "not masked":
        return ((second << 4) | first) & 255
    if slip == "added":
        return ((second << 4) + first) & 255
    if slip == "by 8":
        return (((second & 15) << 3) | (first & 15)) & 255
    return ((second & 15) << 4) | (first & 15)


def unpack(packed, slip=""):
    """(n_out, bytes) -> (n_out, 2 bytes) codes, as int64, or those of a slip."""
    packed = packed.long()
    low, high = packed & 15, packed >> 4
    signed = lambda x: torch.where(x > 7, x - 16, x)
    if slip == "high unsigned":
        low = signed(low)
    elif slip == "low unsigned":
        high = signed(high)
    elif slip == "offset":
        low, high = low - 8, high - 8
    elif slip == "sign and size":
        low, high = (torch.where(x > 7, -(x - 8), x) for x in (low, high))
    elif slip == "ones' complement":
        low, high = (torch.where(x > 7, x - 15, x) for x in (low, high))
    elif slip == "8 is positive":
        low, high = (torch.where(x > 8, x - 16, x) for x in (low, high))
    elif slip != "unsigned":
        low, high = signed(low), signed(high)
    if slip == "swapped":
        low, high = high, low
    if slip == "one after the other":
        return torch.cat([low, high], 1)
    if slip == "in rows":
        return torch.stack([low, high], 1).flatten(0, 1)
    return torch.stack([low, high], -1).flatten(1)


def _bytes_of(packed, each=1):
    return {"packed": packed, "bytes each": each}


@functools.cache
def _packed(slip: str):
    def made(codes):
        if codes.dtype == torch.uint8:
            raise TypeError("these are packed already")
        return _bytes_of(pack(codes, slip))

    return made


@functools.cache
def _unpacked(slip: str):
    def made(packed):
        if packed.dtype != torch.uint8:
            raise TypeError("these are not packed")
        return unpack(packed, slip)

    return made


def _wide(value, codes) -> bool:
    return isinstance(value, dict) and value["bytes each"] > 1


PACK_SLIPS = {
    "swapped": "pack: the order of the nibbles: the first code of a pair goes into the low half of its byte",
    "halves": "pack: two *neighbours* share a byte: here a code shares it with one half a row further on",
    "rows": "pack: two neighbours in a row share a byte: here it is two rows",
    "not masked": "pack: the sign: a negative code has ones in all of its upper bits, and they spill into the other half. Keep four bits of it, & 15",
    "added": "pack: the sign: a negative code takes one off the other half when it is added. Keep four bits of it, & 15",
    "offset": "pack: the sign: 8 has been added to the codes. Keep four bits of the two's complement as it is, & 15",
    "sign lost": "pack: the sign is lost",
    "sign and size": "pack: the sign: that is a sign bit and an absolute value, in which -8 has no place. Keep four bits of the two's complement, & 15",
    "by 8": "pack: the second code is shifted by four bits",
}
UNPACK_SLIPS = {
    "swapped": "unpack: the order of the nibbles: the first code of a pair is in the low half of its byte",
    "unsigned": "unpack: the sign: a nibble above 7 stands for a negative code, 16 less",
    "high unsigned": "unpack: the sign of the high half is lost: a nibble above 7 stands for 16 less",
    "low unsigned": "unpack: the sign of the low half is lost: a nibble above 7 stands for 16 less",
    "offset": "unpack: the sign: 8 has been taken off all codes. A nibble above 7 stands for 16 less, the others for themselves",
    "sign and size": "unpack: the sign: that reads a sign bit and an absolute value; in two's complement a nibble above 7 stands for 16 less",
    "ones' complement": "unpack: the sign: a nibble above 7 stands for 16 less, not 15",
    "8 is positive": "unpack: the sign: 8 stands for -8: all nibbles above 7 are negative",
    "one after the other": "unpack: the two codes of a byte stand side by side: here all low halves come first",
    "in rows": "unpack: the two codes of a byte stand side by side in their row: here they are in two rows",
}
_PACKS, _UNPACKS = tuple(map(_packed, PACK_SLIPS)), tuple(map(_unpacked, UNPACK_SLIPS))

# ---------------------------------------------------------------------------------------------- 4: bytes of a model


def some_tensors(draw: Draw) -> tuple:
    """Rows that fill neither bytes nor groups, a matrix and a vector that are kept."""
    matrix = lambda: (3 + draw.integer(0, 40), 20 + draw.integer(0, 100), True)
    tensors = [matrix(), matrix(), (50 + draw.integer(0, 50), 24, False), (1, 30 + draw.integer(0, 20), False)]
    return tensors, draw.choice([2, 3, 5]), draw.choice([16, 24])


def whole_groups(draw: Draw) -> tuple:
    """As in most models: everything divides."""
    width = 64 * (1 + draw.integer(0, 3))
    return [(width, width, True), (3 * width, width, True), (1, width, False)], draw.choice([4, 8]), 32


def small_groups(draw: Draw) -> tuple:
    tensors, _, _ = some_tensors(draw)
    return tensors, draw.choice([2, 3]), 4


def run_bytes(student, tensors, bits, group_size):
    """Recipe: two numbers."""
    found = student([tuple(each) for each in tensors], bits, group_size)
    return {"bytes": float(found["bytes"]), "bits": float(found["bits"])}


def model_bytes(tensors, bits, group_size, slip=""):
    """Bytes and bits a weight, or those of a slip."""
    floor = lambda a, b: a // b
    ceil = lambda a, b: -(-a // b)
    eighths = floor if slip == "bytes cut off" else ceil
    total = numbers = coded = 0
    for n_out, n_in, quantized in tensors:
        count = n_out * n_in
        if slip == "everything":
            quantized = True
        elif slip == "nothing kept" and not quantized:
            continue
        if not quantized:
            total += count * (4 if slip == "kept in 32" else 2)
            numbers += count
            continue
        groups = ceil(n_in, group_size)
        if slip == "groups cut off":
            groups = floor(n_in, group_size)
        elif slip == "one group":
            groups = 1
        scale = {"no scales": 0, "32-bit scales": 4, "scales of bits": bits / 8, "1 byte": 1}.get(slip, 2)
        zeros = eighths(groups * bits, 8)
        if slip == "no zeros":
            zeros = 0
        elif slip == "zeros of 16":
            zeros = 2 * groups
        elif slip == "zeros of 8":
            zeros = groups
        elif slip == "one zero":
            zeros = eighths(bits, 8)
        codes = eighths(n_in * bits, 8)
        if slip == "byte a code":
            codes = n_in
        elif slip == "bits for bytes":
            codes = n_in * bits
        if slip == "scales only once":
            total += n_out * codes + groups * scale + zeros
        elif slip == "one stream":
            total += ceil(count * bits, 8) + n_out * groups * scale + ceil(n_out * groups * bits, 8)
        elif slip == "wrong axis":
            groups = ceil(n_out, group_size)
            total += n_out * codes + n_in * (groups * scale + ceil(groups * bits, 8))
        else:
            total += n_out * (codes + groups * scale + zeros)
        numbers += count
        coded += count
    numbers = coded if slip == "quantized only" else numbers
    per = total / numbers if slip == "bytes a weight" else 8 * total / numbers
    if slip == "codes only":
        per = float(bits)
    return {"bytes": total, "bits": per}


@functools.cache
def _counted(slip: str):
    return lambda *inputs: {k: float(v) for k, v in model_bytes(*inputs, slip=slip).items()}


BYTE_SLIPS = {
    "no scales": "where are the scales? Every group has one, of two bytes",
    "no zeros": "where are the zero points? Every group has one, of as many bits as a code",
    "32-bit scales": "a scale takes 16 bits, two bytes",
    "1 byte": "a scale takes 16 bits, two bytes",
    "scales of bits": "a scale takes two bytes, however few bits a code has",
    "zeros of 16": "a zero point is a code: it takes as many bits as one, not 16",
    "zeros of 8": "a zero point takes as many bits as a code, and those of a row are packed side by side",
    "one zero": "every group has a zero point, not every row",
    "one group": "a row has n_in / group_size groups, rounded up: is group_size used?",
    "scales only once": "every row has groups of its own: the scales and zero points are those of all rows",
    "wrong axis": "the groups are counted along the wrong axis: a group is neighbours in a row, which has n_in weights",
    "groups cut off": "the last group of a row may be a shorter one: it has a scale and a zero point, too. Round up",
    "bytes cut off": "a row begins with a new byte: bits that fill no byte take one all the same. Round up",
    "one stream": "every row begins with a new byte: round up for each row, not once for the matrix",
    "byte a code": "codes are packed: bits / 8 bytes each, not one",
    "bits for bytes": "those are bits: 8 of them are a byte",
    "everything": "what is not quantized keeps 16 bits a number",
    "nothing kept": "what is not quantized counts as well, 16 bits a number",
    "kept in 32": "what is not quantized takes 16 bits, two bytes, a number",
    "quantized only": "bits a weight: over all weights of the list, also those that are kept",
    "bytes a weight": "that is bytes a weight: there are 8 bits in a byte",
    "codes only": "bits a weight: all bytes, scales and what is kept among them, over all weights",
}
_COUNTS = tuple(map(_counted, BYTE_SLIPS))
_WHOLE_COUNTS = tuple(
    _counted(s)
    for s in BYTE_SLIPS
    if s not in ("groups cut off", "bytes cut off", "one stream", "zeros of 8", "byte a code", "wrong axis")
)
_SMALL_COUNTS = tuple(map(_counted, ("zeros of 8", "one zero", "bytes cut off", "wrong axis")))

# -------------------------------------------------------------------------------------------------- 5: a step of GPTQ


def _inverse(draw: Draw, n: int) -> torch.Tensor:
    """The inverse of a mean of x x^T over inputs that go together; its first diagonal entry is not near 1."""
    x = draw.normal(40, n) + 0.8 * draw.normal(40, 1)
    x = x * draw.uniform(n, low=0.4, high=1.6)
    return torch.linalg.inv((x.T @ x / 40 + 0.05 * torch.eye(n)).double()).float()


def a_column(draw: Draw) -> tuple:
    n_out, n = 2 + draw.integer(0, 4), 3 + draw.integer(0, 5)
    left = draw.normal(n_out, n)
    return left, (left[:, 0] + draw.uniform(n_out, low=-0.5, high=0.5)), _inverse(draw, n)


def a_column_rounded_to_halves(draw: Draw) -> tuple:
    left, _, inverse = a_column(draw)
    return left, (2 * left[:, 0]).round() / 2, inverse


def inputs_unrelated(draw: Draw) -> tuple:
    """A diagonal inverse: no column can make up for another."""
    left, rounded, inverse = a_column(draw)
    return left, rounded, inverse.diagonal().diag()


def the_last_column(draw: Draw) -> tuple:
    left, rounded, inverse = a_column(draw)
    return left[:, :1], rounded, inverse[:1, :1]


def run_step(student, left, rounded, inverse):
    """Recipe: the corrected columns, and the inverse for them."""
    corrected, rest = student(left.clone(), rounded.clone(), inverse.clone())
    return {"corrected": torch.as_tensor(corrected).double(), "inverse": torch.as_tensor(rest).double()}


def gptq_step(left, rounded, inverse, slip=""):
    """Columns (n_out, n - 1) and inverse (n - 1, n - 1), or those of a slip."""
    left, rounded, inverse = left.double(), rounded.double(), inverse.double()
    error, h = left[:, 0] - rounded, inverse[0, 0]
    row = inverse[0, 1:]
    if slip == "weight for error":
        error = left[:, 0]
    elif slip == "rounded for error":
        error = rounded
    elif slip == "absolute":
        error = error.abs()
    elif slip == "mean of rows":
        error = error.mean().expand_as(error)
    elif slip == "hessian":
        hessian = torch.linalg.inv(inverse)
        row, h = hessian[0, 1:], hessian[0, 0]
    divisor = {"not divided": 1.0, "root": h.sqrt(), "own diagonal": inverse.diagonal()[1:], "squared": h**2}.get(
        slip, h
    )
    correction = error[:, None] * row / divisor
    if slip == "shared out":
        correction = (error[:, None] / max(1, left.shape[1] - 1)).expand_as(left[:, 1:])
    elif slip == "next only":
        correction = correction.clone()
        correction[:, 1:] = 0
    corrected = left[:, 1:] + correction if slip == "sign" else left[:, 1:] - correction
    if slip == "not corrected":
        corrected = left[:, 1:]
    outer = torch.outer(inverse[1:, 0], inverse[0, 1:])
    rest = inverse[1:, 1:] - outer / h
    if slip == "inverse sliced":
        rest = inverse[1:, 1:]
    elif slip == "inverse not divided":
        rest = inverse[1:, 1:] - outer
    elif slip == "inverse added":
        rest = inverse[1:, 1:] + outer / h
    elif slip == "hessian":
        rest = inverse[1:, 1:] - outer / inverse[0, 0]
    elif slip == "last dropped":
        rest = (inverse - torch.outer(inverse[:, 0], inverse[0]) / h)[:-1, :-1]
    elif slip == "not dropped":
        rest = inverse - torch.outer(inverse[:, 0], inverse[0]) / h
    return corrected, rest


@functools.cache
def _stepped(slip: str):
    return lambda *inputs: run_step(functools.partial(gptq_step, slip=slip), *inputs)


GPTQ_SLIPS = {
    "sign": "the sign: the columns that are left make up for the error, so the correction is subtracted. Added, it doubles the harm",
    "not divided": "the correction is divided by inverse[0, 0]",
    "root": "the correction is divided by inverse[0, 0], not by its root: that belongs to the Cholesky form of the same step",
    "squared": "the correction is divided by inverse[0, 0] once",
    "own diagonal": "all columns are divided by the diagonal entry of the column that was *rounded*, inverse[0, 0]",
    "hessian": "the corrections come from the *inverse* of H, which is given: here H itself is used",
    "weight for error": "what is pushed on is the error, left[:, 0] - rounded: here it is the weight",
    "rounded for error": "what is pushed on is the error, left[:, 0] - rounded: here it is the rounded weight",
    "absolute": "the error has a sign",
    "mean of rows": "every row has its own error: rows are different outputs, and one cannot make up for another",
    "shared out": "the error is shared out evenly: how much a column can make up for depends on how its inputs go with those of the first, which the inverse says",
    "next only": "all columns that are left make up for the error, not only the next one",
    "not corrected": "the columns that are left are not corrected",
    "inverse sliced": "the inverse for the columns that are left is not a part of the old one: the first column can no longer move, so subtract its share, the outer product over inverse[0, 0]",
    "inverse not divided": "the outer product in the new inverse is divided by inverse[0, 0]",
    "inverse added": "the outer product is subtracted from the inverse: with one column fixed, less can be made up for",
    "last dropped": "the first row and column of the inverse are dropped, not the last",
    "not dropped": "the new inverse is for the n - 1 columns that are left: drop the first row and column",
}
_CORRECTED = tuple(map(_stepped, GPTQ_SLIPS))
_UNRELATED = tuple(map(_stepped, ("shared out", "last dropped", "not dropped")))

# ------------------------------------------------------------------------------------------- 6: a loss of distillation


def two_models(draw: Draw) -> tuple:
    """Logits of both, targets with some padding in every row."""
    B, T, V = 2 + draw.integer(0, 2), 3 + draw.integer(0, 3), 5 + draw.integer(0, 4)
    targets = draw.integers(0, V, B, T)
    for row in range(B - 1):  # the last is full, and one row has more padding than another
        targets[row, T - 1 - row % 2 :] = -100
    teacher = draw.normal(B, T, V, scale=2.0)
    return draw.normal(B, T, V, scale=1.5), teacher, targets, draw.choice([2.0, 3.0, 4.0]), draw.choice([0.3, 0.6, 0.8])


def student_agrees(draw: Draw) -> tuple:
    _, teacher, targets, temperature, weight = two_models(draw)
    shift = draw.normal(*teacher.shape[:2], 1)
    return teacher + shift, teacher, targets, temperature, weight


def temperature_one(draw: Draw) -> tuple:
    student, teacher, targets, _, _ = two_models(draw)
    return student, teacher, targets, 1.0, 1.0


def certain_teacher(draw: Draw) -> tuple:
    """Some of the teacher's probabilities are 0 in single precision."""
    student, teacher, targets, _, weight = two_models(draw)
    teacher = teacher * 200
    return student, teacher, targets, 2.0, weight


def run_distillation(student, logits, teacher, targets, temperature, weight):
    """Recipe: the loss and its gradients."""
    ours, theirs = logits.clone().requires_grad_(), teacher.clone().requires_grad_()
    loss = student(ours, theirs, targets.clone(), temperature, weight)
    loss.backward()
    zero = lambda x: torch.zeros_like(x) if x.grad is None else x.grad
    return {"loss": loss.item(), "gradient": zero(ours), "teacher's gradient": zero(theirs)}


def distillation_loss(logits, teacher, targets, temperature, weight, slip=""):
    """The loss, or that of a slip."""
    real = targets != -100
    if slip == "teacher learns":
        guide = teacher
    else:
        guide = teacher.detach()
    axis = 1 if slip == "over places" else -1
    hot_student = 1.0 if slip in ("student not softened", "not softened") else temperature
    hot_teacher = 1.0 if slip in ("teacher not softened", "not softened") else temperature
    if slip == "multiplied":
        hot_student = hot_teacher = 1 / temperature
    if slip == "weights exchanged":
        weight = 1 - weight
    if slip == "teacher shifted":  # what the teacher says of the place before
        guide = guide.roll(1, 1)
    ours, theirs = F.log_softmax(logits / hot_student, axis), F.log_softmax(guide / hot_teacher, axis)
    if slip == "reversed":
        each = (ours.exp() * (ours - theirs)).sum(-1)
    elif slip == "symmetric":
        each = ((ours.exp() - theirs.exp()) * (ours - theirs)).sum(-1) / 2
    elif slip == "cross-entropy":
        each = -(theirs.exp() * ours).sum(-1)
    elif slip == "sign":
        each = (theirs.exp() * (ours - theirs)).sum(-1)
    elif slip == "squared logits":
        each = (logits - guide).square().mean(-1)
    elif slip == "over the vocabulary":
        each = (theirs.exp() * (theirs - ours)).mean(-1)
    elif slip == "best token":
        each = -ours.gather(-1, guide.argmax(-1, keepdim=True))[..., 0]
    else:
        each = (theirs.exp() * (theirs - ours)).sum(-1)
    count = real.sum()
    if slip in ("padding taught", "batchmean"):
        soft = each.sum() / (len(each) if slip == "batchmean" else each.numel())
    elif slip == "batchmean, masked":
        soft = (each * real).sum() / len(each)
    elif slip == "all places":
        soft = (each * real).sum() / each.numel()
    elif slip == "mean of means":
        soft = ((each * real).sum(1) / real.sum(1)).mean()
    elif slip == "sum":
        soft = (each * real).sum()
    else:
        soft = (each * real).sum() / count
    factor = {"no T^2": 1.0, "T": temperature, "1 / T^2": temperature**-2.0}.get(slip, temperature**2)
    if slip == "T^2 over both":
        factor = 1.0
    hard_logits = logits / temperature if slip == "hard softened" else logits
    hard = F.cross_entropy(hard_logits.flatten(0, 1), targets.flatten(), reduction="sum")
    hard = hard / targets.numel() if slip == "all places" else hard if slip == "sum" else hard / count
    if slip == "padding is a target":
        filled = targets.clamp(min=0)
        hard = F.cross_entropy(logits.flatten(0, 1), filled.flatten())
    if slip == "hard of the teacher":
        hard = F.cross_entropy(guide.flatten(0, 1), targets.flatten())
    if slip == "soft only":
        return factor * soft + 0 * hard
    if slip == "added":
        return weight * factor * soft + hard
    if slip == "not weighted":
        return factor * soft + hard
    total = weight * factor * soft + (1 - weight) * hard
    return temperature**2 * total if slip == "T^2 over both" else total


@functools.cache
def _distilled(slip: str):
    return lambda *inputs: run_distillation(functools.partial(distillation_loss, slip=slip), *inputs)


def _reaches_nothing(value, *inputs) -> bool:
    return isinstance(value, dict) and not value["gradient"].any()


DISTILLATION_SLIPS = {
    "no T^2": "where is T^2? The gradient of the softened part shrinks as 1 / T^2: without the factor the teacher is hardly heard at high temperatures",
    "T": "the factor is T^2: one 1 / T comes from the logits, the other from how alike softened distributions are",
    "1 / T^2": "the factor T^2 makes up for what the temperature takes away: multiply by it",
    "T^2 over both": "T^2 belongs to the teacher's part only: the cross-entropy is not softened",
    "reversed": "the divergence is the other way round: KL(teacher || student) weighs by the *teacher's* probabilities. F.kl_div(input, target) is KL(target || input)",
    "symmetric": "that is the mean of both directions: KL(teacher || student) is asked for",
    "cross-entropy": "that is the cross-entropy with the teacher's distribution: the divergence is less by the teacher's entropy, and 0 where both agree",
    "sign": "the sign: a divergence is never negative",
    "squared logits": "that compares logits: the divergence compares the distributions that they make",
    "best token": "only the teacher's likeliest token is used: what it thinks of all others is the point of a teacher",
    "over the vocabulary": "the divergence of a place is the *sum* over the vocabulary: reduction='mean' of F.kl_div divides by its size as well",
    "over places": "the softmax runs over the wrong axis: the vocabulary is the last one",
    "student not softened": "both are softened: the student's logits are divided by T as well",
    "teacher not softened": "both are softened: the teacher's logits are divided by T as well",
    "not softened": "is the temperature used? Both logits are divided by T before the softmax",
    "multiplied": "logits are divided by T: multiplied, the distributions become sharper",
    "hard softened": "the cross-entropy is the plain one, at temperature 1: in use the student has no other",
    "hard of the teacher": "the cross-entropy is the student's, not the teacher's",
    "weights exchanged": "the weights are exchanged: weight is the teacher's share",
    "soft only": "where is the cross-entropy with the targets? Its share is 1 - weight",
    "added": "the cross-entropy has the weight 1 - weight",
    "not weighted": "is weight used?",
    "teacher shifted": "the teacher's distributions are shifted by one place: both models read the same tokens, so place t goes with place t",
    "padding taught": "where the target is -100 there is nothing to learn, from the teacher neither: N counts the others",
    "padding is a target": "the places whose target is -100 count in the cross-entropy: they are padding",
    "batchmean": "'batchmean' divides by the number of rows, and padding is counted: divide by the number N of tokens that have a target",
    "batchmean, masked": "divided by the number of rows: divide by the number N of tokens that have a target",
    "all places": "divided by all places: divide by the number N of tokens that have a target",
    "mean of means": "the mean of the rows' means: a token of a short row counts more. Take one mean over all tokens that have a target",
    "sum": "that is the sum over tokens: the mean",
    "teacher learns": "a gradient reaches the teacher: detach its logits, or it learns to agree with the student",
}
_SPLIT = tuple(_distilled(s) for s in DISTILLATION_SLIPS)
_AGREES = tuple(
    map(_distilled, ("cross-entropy", "student not softened", "teacher not softened", "best token", "teacher shifted"))
)
_ALONE = tuple(map(_distilled, ("reversed", "symmetric", "weights exchanged", "padding taught", "sign")))


def _not_a_number(value, *inputs) -> bool:
    return isinstance(value, dict) and not math.isfinite(value["loss"])


# ------------------------------------------------------------------------------------------ 7: a test of quantizers

MOST, LONGEST, ROWS = 10, 16, 6


def a_matrix(weights: object, bits: object, group_size: object) -> str | None:
    if not isinstance(weights, list) or not 1 <= len(weights) <= ROWS or not all(isinstance(r, list) for r in weights):
        return f"weights is a list of 1 to {ROWS} rows, each a list"
    if not 1 <= len(weights[0]) <= LONGEST or len({len(row) for row in weights}) > 1:
        return f"the rows have the same length, 1 to {LONGEST}"
    if any(type(x) not in (int, float) or not abs(x) <= MOST for row in weights for x in row):
        return f"weights are numbers from -{MOST} to {MOST}"
    if type(bits) is not int or not 2 <= bits <= 8:
        return "bits is a whole number from 2 to 8"
    if type(group_size) is not int or group_size < 1 or len(weights[0]) % group_size:
        return "group_size is a whole number that divides the length of a row"
    if any(max(map(abs, group)) < 0.01 for row in weights for group in _cut(row, group_size)):
        return "every group has a weight of at least 0.01 or at most -0.01: groups of zeros are another question"
    return None


def _cut(row: list, size: int) -> list[list]:
    return [row[i : i + size] for i in range(0, len(row), size)]


def _ranged(group: list, bits: int) -> tuple[float, float]:
    """Scale and zero point as in question 2."""
    low, high = min(0.0, *group), max(0.0, *group)
    scale = (high - low) / (2**bits - 1)
    return scale, float(round(-low / scale))


def _symmetric(group: list, bits: int) -> tuple[float, float]:
    return max(map(abs, group)) / (2 ** (bits - 1) - 1), 2.0 ** (bits - 1)


def _coded(group: list, scale: float, zero: float, bits: int, rounding=round) -> list[int]:
    return [int(min(max(rounding(w / scale) + zero, 0), 2**bits - 1)) for w in group]


def _all(weights: list, bits: int, size: int, choose, rounding=round) -> tuple:
    codes, scales, zeros = [], [], []
    for row in weights:
        chosen = [choose(group, bits) for group in _cut(row, size)]
        scales.append([scale for scale, _ in chosen])
        zeros.append([zero for _, zero in chosen])
        codes.append([c for g, (s, z) in zip(_cut(row, size), chosen) for c in _coded(g, s, z, bits, rounding)])
    return codes, scales, zeros


def rounds_the_range(weights, bits, group_size):
    return _all(weights, bits, group_size, _ranged)


def rounds_absmax(weights, bits, group_size):
    return _all(weights, bits, group_size, _symmetric)


def rounds_halves_up(weights, bits, group_size):
    return _all(weights, bits, group_size, _ranged, lambda x: math.floor(x + 0.5))


def rounds_with_some_room(weights, bits, group_size):
    """A scale between that of the range and that of absmax."""

    def choose(group, bits):
        scale = (_ranged(group, bits)[0] + _symmetric(group, bits)[0]) / 2
        return scale, float(round(-min(0.0, *group) / scale))

    return _all(weights, bits, group_size, choose)


def truncates(weights, bits, group_size):
    return _all(weights, bits, group_size, _ranged, math.trunc)


def groups_down_the_columns(weights, bits, group_size):
    """Scales of the columns' groups, as many as there should be, read as if they were those of the rows."""
    codes = [[0] * len(row) for row in weights]
    scales = [[1.0] * (len(row) // group_size) for row in weights]
    zeros = [[0.0] * (len(row) // group_size) for row in weights]
    for i, row in enumerate(weights):
        for g, group in enumerate(_cut(row, group_size)):
            column = [weights[(i + k) % len(weights)][g * group_size] for k in range(group_size)]
            column = column if any(abs(w) > 0.01 for w in column) else group
            scales[i][g], zeros[i][g] = _ranged(column, bits)
            codes[i][g * group_size : (g + 1) * group_size] = _coded(group, scales[i][g], zeros[i][g], bits)
    return codes, scales, zeros


def one_scale_for_all(weights, bits, group_size):
    chosen = _ranged([w for row in weights for w in row], bits)
    return _all(weights, bits, group_size, lambda *_: chosen)


def one_code_too_many(weights, bits, group_size):
    """absmax over 2^(bits - 1): the largest weight gets the code 2^bits."""
    codes, scales, zeros = [], [], []
    for row in weights:
        cut = _cut(row, group_size)
        scales.append([max(map(abs, g)) / 2 ** (bits - 1) for g in cut])
        zeros.append([2.0 ** (bits - 1)] * len(cut))
        codes.append([round(w / s) + 2 ** (bits - 1) for g, s in zip(cut, scales[-1]) for w in g])
    return codes, scales, zeros


def range_without_zero(weights, bits, group_size):
    """From the smallest weight to the largest; the zero point is cut off where it falls outside of the codes."""

    def choose(group, bits):
        low, high = min(group), max(group)
        scale = (high - low) / (2**bits - 1) or max(map(abs, group))
        return scale, float(min(max(round(-low / scale), 0), 2**bits - 1))

    return _all(weights, bits, group_size, choose)


def loses_the_sign(weights, bits, group_size):
    return _all([[abs(w) for w in row] for row in weights], bits, group_size, _ranged)


# ------------------------------------------------------------------------------------------------------- 8: a wrong run

BASELINE = 1.35  # perplexity over that of full precision: `distilled(..., updates=60)` of the notebook, two seeds 1.34 and 1.36

FAULTS = {
    "A": "rounding lets no gradient through",
    "B": "the targets are not shifted: every token is its own",
    "C": "the factor T^2 is missing",
    "D": "the teacher's distributions are shifted by one token",
    "E": "the teacher is rounded to 2 bits as well",
    "F": "nothing is rounded in training, only afterwards",
    "G": "the learning rate is 30 times too low",
    "H": "the teacher's weights are trained along",
    "I": "every update reads the same 4 rows",
    "J": "the teacher's logits are not divided by the temperature",
}
RUNS = ("a3", "c8", "d1", "f6", "h2", "k9", "m4", "q7", "t5", "x0")
OBSERVATIONS = {
    "a": "fewer than 2 % of the codes have changed",
    "b": "the gradient of the matrices is below 0.2",
    "c": "the gradient of the matrices is above 0.75",
    "d": "the soft loss of the first 3 updates is below 0.2",
    "e": "the soft loss of the last 20 updates is less than nine tenths of that of the first 3",
    "f": "the teacher's perplexity after training is above 105",
    "g": "the rounded student's held-out perplexity is above 195",
    "h": "the hard loss of the last 20 updates is below 4.6",
    "i": "the perplexity that the program computes is more than 50 below that of the rounded student",
    "j": "the rounded student's perplexity on 4 rows of the training text is less than a quarter of that on held-out text",
    "k": "the student's entropy is below 4 nats",
    "l": "the soft loss of the first 3 updates is above 3",
    "m": "the rounded student's held-out perplexity is below 150",
    "n": "the rounded student's held-out perplexity is between 150 and 195",
}


LAB = Lab(
    id="lab15",
    title="Quantization and distillation",
    provides=("llmlib.data", "llmlib.text"),
    forbids=(
        "fake_quantize_per_tensor_affine",
        "fake_quantize_per_channel_affine",
        "quantize_per_channel",
        "quantize_per_tensor",
    ),
    questions=(
        Question(
            id="lab15.q1",
            title="absmax",
            name="absmax",
            points=2,
            difficulty=2,
            minutes=10,
            printed=True,
            recipe=run_absmax,
            hint="for one row by hand: its largest absolute value, divided by 2^(bits - 1) - 1, is the scale; the codes are the weights over the scale, rounded",
            cases=(
                Case("rows of unequal size", inputs=rows_of_weights, expected=_absmax(""), separates=_ROWS),
                Case("eight bits", inputs=eight_bits, expected=_absmax(""), separates=_EIGHT),
                Case(
                    "a row of zeros",
                    inputs=with_a_row_of_zeros,
                    expected=_absmax(""),
                    separates=(_absmax("zero scale"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_absmax(slip)) for slip, message in ABSMAX_SLIPS.items()),
                Mistake(
                    "a row of zeros has the scale 1: with 0 its codes are 0 / 0, no numbers", when=_zeros_not_numbers
                ),
            ),
        ),
        Question(
            id="lab15.q2",
            title="Groups with a zero point",
            name="quantize_groups",
            points=3,
            difficulty=3,
            minutes=18,
            recipe=run_groups,
            hint="take the first group of the first row: low, high, scale, zero, codes, in this order, by hand",
            cases=(
                Case("weights on both sides of zero", inputs=both_sides, expected=_by_group(""), separates=_BOTH),
                Case("groups on one side of zero", inputs=one_side, expected=_by_group(""), separates=_ONE_SIDE),
                Case(
                    "a group of zeros",
                    inputs=a_group_of_zeros,
                    expected=_by_group(""),
                    separates=(_by_group("zero scale"),),
                ),
                Case(
                    "a group size that does not divide",
                    inputs=no_divisor,
                    expected=_by_group(""),
                    separates=(_by_group("remainder"),),
                ),
                Case("as far below zero as above", inputs=as_far_below_as_above, judge=_in_the_codes),
            ),
            mistakes=(
                *(Mistake(message, wrong=_by_group(slip)) for slip, message in GROUP_SLIPS.items()),
                Mistake(
                    "raise a ValueError where group_size does not divide n_in",
                    when=lambda value, weight, bits, group_size: (
                        isinstance(value, dict) and weight.shape[1] % group_size > 0
                    ),
                ),
                Mistake(
                    "raise a ValueError where group_size does not divide n_in",
                    error="shape .* is invalid for input|not divisible|must be divisible",
                ),
            ),
        ),
        Question(
            id="lab15.q3",
            title="Nibbles",
            name="Nibbles",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            hint="write one byte down in hexadecimal: its second digit is the first code of the pair",
            cases=(
                Case("codes into bytes", inputs=signed_codes, expected=_packed(""), recipe=run_pack, separates=_PACKS),
                Case(
                    "bytes into codes", inputs=some_bytes, expected=_unpacked(""), recipe=run_unpack, separates=_UNPACKS
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_packed(slip)) for slip, message in PACK_SLIPS.items()),
                *(Mistake(message, wrong=_unpacked(slip)) for slip, message in UNPACK_SLIPS.items()),
                Mistake("pack: a packed byte takes one byte: torch.uint8", when=_wide),
            ),
        ),
        Question(
            id="lab15.q4",
            title="What it weighs",
            name="model_bytes",
            points=2,
            difficulty=2,
            minutes=12,
            recipe=run_bytes,
            hint="one row of one matrix first: codes, scales, zero points, each in whole bytes",
            cases=(
                Case(
                    "rows that fill neither bytes nor groups",
                    inputs=some_tensors,
                    expected=_counted(""),
                    separates=_COUNTS,
                ),
                Case("everything divides", inputs=whole_groups, expected=_counted(""), separates=_WHOLE_COUNTS),
                Case("groups of four", inputs=small_groups, expected=_counted(""), separates=_SMALL_COUNTS),
            ),
            mistakes=(
                *(Mistake(message, wrong=_counted(slip)) for slip, message in BYTE_SLIPS.items()),
                Mistake(
                    'return a dict with the keys "bytes" and "bits"', error="KeyError|not subscriptable|indices must be"
                ),
            ),
        ),
        Question(
            id="lab15.q5",
            title="A step of GPTQ",
            name="gptq_step",
            points=4,
            difficulty=4,
            minutes=20,
            printed=True,
            recipe=run_step,
            hint="one row and two columns, by hand: by how much does the second weight move, and what is left of the inverse?",
            cases=(
                Case("a column is rounded", inputs=a_column, expected=_stepped(""), separates=_CORRECTED),
                Case(
                    "to whole and half numbers",
                    inputs=a_column_rounded_to_halves,
                    expected=_stepped(""),
                    separates=_CORRECTED,
                ),
                Case(
                    "inputs that have nothing to do with each other",
                    inputs=inputs_unrelated,
                    expected=_stepped(""),
                    separates=_UNRELATED,
                ),
                Case("the last column", inputs=the_last_column, expected=_stepped("")),
            ),
            mistakes=tuple(Mistake(message, wrong=_stepped(slip)) for slip, message in GPTQ_SLIPS.items()),
        ),
        Question(
            id="lab15.q6",
            title="A loss of distillation",
            name="distillation_loss",
            points=3,
            difficulty=3,
            minutes=15,
            printed=True,
            recipe=run_distillation,
            hint="one token first: both softmaxes at T, the divergence, times T^2; then the cross-entropy at 1; then the mean over tokens that have a target",
            cases=(
                Case("two models", inputs=two_models, expected=_distilled(""), separates=_SPLIT),
                Case(
                    "the student agrees with the teacher",
                    inputs=student_agrees,
                    expected=_distilled(""),
                    separates=_AGREES,
                ),
                Case(
                    "temperature 1, the teacher alone",
                    inputs=temperature_one,
                    expected=_distilled(""),
                    separates=_ALONE,
                ),
                Case(
                    "a teacher that is certain",
                    inputs=certain_teacher,
                    expected=_distilled(""),
                    separates=(_distilled("no T^2"),),
                ),
            ),
            mistakes=(
                *(Mistake(message, wrong=_distilled(slip)) for slip, message in DISTILLATION_SLIPS.items()),
                Mistake(
                    "not a number: a probability of 0 in single precision has the logarithm -inf. Use F.log_softmax for the logarithms",
                    when=_not_a_number,
                ),
                Mistake(
                    "no gradient reaches the student: something in the loss is detached or copied",
                    when=_reaches_nothing,
                ),
                Mistake(
                    "the loss is cut off from the student (.item(), .detach(), torch.tensor)",
                    error="does not require grad|has no attribute 'backward'|has no attribute 'item'",
                ),
            ),
        ),
        Question(
            id="lab15.q7",
            title="Test somebody else's quantizer",
            name="holds",
            kind="test",
            examples="examples",
            points=4,
            difficulty=4,
            minutes=20,
            valid=a_matrix,
            right=(
                Subject("takes the range of a group", rounds_the_range),
                Subject("is symmetric, its zero point in the middle", rounds_absmax),
                Subject("rounds halves up", rounds_halves_up),
                Subject("leaves some room in its scale", rounds_with_some_room),
            ),
            wrong=(
                Subject("cuts codes off towards zero", truncates),
                Subject("takes the scales of groups down the columns", groups_down_the_columns),
                Subject("has one scale for all groups", one_scale_for_all),
                Subject("gives the largest weight a code that does not fit", one_code_too_many),
                Subject("takes a range that does not reach to zero", range_without_zero),
                Subject("loses the sign", loses_the_sign),
            ),
        ),
        Question(
            id="lab15.q8",
            title="A run that went wrong",
            name="diagnosis",
            kind="diagnosis",
            points=4,
            difficulty=4,
            minutes=20,
            faults=FAULTS,
            observations=OBSERVATIONS,
            runs=RUNS,
        ),
    ),
    ungraded=(
        Ungraded(
            "lab15.p1",
            "Perplexity of 2 bits in groups over that of 3 bits in rows",
            name="predicted_ratio",
            number=Number(0.3, 10, unit="perplexity over perplexity"),
        ),
        Ungraded("lab15.t1", "Your own plot, read", name="interpretation", kind="text", points=3),
        Ungraded(
            "lab15.c1",
            "Least perplexity in 3 bits a weight",
            name="best_ratio",
            kind="challenge",
            number=Number(0.5, 100, unit="times the perplexity of full precision"),
            baseline=BASELINE,
            better="lower",
            seconds=60,
        ),
    ),
)
