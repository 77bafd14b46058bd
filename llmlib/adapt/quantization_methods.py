"""The methods `quantize_model` knows by name, and the layer that each makes of a linear layer. Lecture 15."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .awq import awq_scales
from .calibration import InputStatistics
from .gguf_encoding import quantize_q4_1, quantize_q8_0
from .gptq import quantize_gptq
from .nf4 import quantize_nf4
from .quantized_linears import FrozenLinear, Int4Linear, Int8Linear, QuantizedLinear, W8A8Linear
from .rounding import GroupSize, Quantized, check_bits, quantize

Form = Literal["packed", "kernel", "simulated"]


class Method(NamedTuple):
    """A method's bits and group size, whether they may be others, and whether it has to see what layers read."""

    bits: int
    group_size: GroupSize
    fixed_bits: bool = False
    fixed_groups: bool = False
    calibrated: bool = False


QUANTIZATION_METHODS = {
    "absmax": Method(4, 32),
    "rtn": Method(4, 32),
    "awq": Method(4, 32, calibrated=True),
    "gptq": Method(4, 32, calibrated=True),
    "nf4": Method(4, 64, fixed_bits=True),
    "q8_0": Method(8, 32, fixed_bits=True, fixed_groups=True),
    "q4_1": Method(4, 32, fixed_bits=True, fixed_groups=True),
    "w8a8": Method(8, "channel", fixed_bits=True, fixed_groups=True),
}


def resolve(method: str, bits: int | None, group_size: GroupSize | None) -> tuple[int, GroupSize]:
    """Bits and group size, the method's own where None is given; ValueError for what it does not do."""
    if method not in QUANTIZATION_METHODS:
        raise ValueError(f"method={method!r} is none of {', '.join(QUANTIZATION_METHODS)}")
    own = QUANTIZATION_METHODS[method]
    if bits is not None:
        check_bits(bits)
        if own.fixed_bits and bits != own.bits:
            raise ValueError(f"bits={bits}, but {method} has {own.bits}: leave bits out or choose another method")
    if group_size is not None and own.fixed_groups and group_size != own.group_size:
        raise ValueError(
            f"group_size={group_size!r}, but {method} has {own.group_size!r}: leave it out or choose another method"
        )
    return bits or own.bits, own.group_size if group_size is None else group_size


def check_form(form: str, method: str, bits: int, group_size: GroupSize) -> None:
    """ValueError for a form that `quantize_model` does not know, or not of this method."""
    if form not in ("packed", "kernel", "simulated"):
        raise ValueError(f"form={form!r} is none of packed, kernel, simulated")
    if method == "w8a8":
        if form == "simulated":
            raise ValueError("form='simulated' keeps activations as they are, w8a8 rounds them: use form='packed'")
        return
    if form != "kernel":
        return
    eight = bits == 8 and method == "absmax" and group_size == "channel"
    four = bits == 4 and method != "nf4" and group_size != "tensor"
    if not (eight or four):
        raise ValueError(
            f"form='kernel' has no kernel for method={method!r}, bits={bits}, group_size={group_size!r}: use 4 bits in "
            "groups, or method='absmax', bits=8, group_size='channel'"
        )


def quantized_layer(
    linear: nn.Linear, inputs: InputStatistics | None, method: str, bits: int, group_size: GroupSize, form: Form
) -> FrozenLinear:
    """A linear layer rounded by a method, as the module for its place; "simulated" is left to the caller."""
    weight = linear.weight.detach()
    if method == "awq":
        input_scale = awq_scales(weight, inputs, bits, group_size)
        weight = weight.float() * input_scale
    else:
        input_scale = None
    quantized = _round(method, weight, None if inputs is None else inputs.second_moment, bits, group_size)
    if method == "w8a8":
        module: FrozenLinear = W8A8Linear(linear, quantized)
    elif form == "kernel" and bits in (4, 8) and quantized.levels is None:
        module = (Int4Linear if bits == 4 else Int8Linear)(linear, quantized, input_scale)
    else:
        module = QuantizedLinear(linear, quantized, input_scale)
    return module.train(linear.training)


def _round(method: str, weight: Tensor, moment: Tensor | None, bits: int, group_size: GroupSize) -> Quantized:
    if method == "gptq":
        return quantize_gptq(weight, moment, bits, group_size, scale_dtype=torch.float16)
    if method == "nf4":
        return quantize_nf4(weight, group_size, torch.float16)
    if method in ("q8_0", "q4_1"):
        return (quantize_q8_0 if method == "q8_0" else quantize_q4_1)(weight)
    symmetric = method in ("absmax", "w8a8")
    return quantize(weight, bits, group_size, symmetric, torch.float16)
