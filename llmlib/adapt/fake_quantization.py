"""Quantization-aware training: the forward pass sees rounded weights, the backward pass looks through. Lecture 15."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model import replace_linears

from .rounding import GroupSize, check_bits, quantize, width


def fake_quantize(
    weight: Tensor,
    bits: int = 4,
    group_size: GroupSize = 32,
    symmetric: bool = False,
    scale_dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The values of `quantize(weight, ...)`, with the gradient of the identity: (n_out, n_in) -> (n_out, n_in).

    The straight-through estimator (Bengio et al., 2013): rounding has the slope 0 almost everywhere, so nothing would
    be learned through it. Pretend that its slope is 1.
    """
    rounded = quantize(weight, bits, group_size, symmetric, scale_dtype).dequantize().to(weight.dtype)
    return weight + (rounded - weight).detach()


class FakeQuantLinear(nn.Linear):
    """A linear layer that trains full-precision weights and computes with their rounded values.

    It holds the very weight and bias of the layer it replaces. As in `quantize_model`, scales are float16.
    """

    def __init__(self, like: nn.Linear, bits: int = 4, group_size: GroupSize = 32, symmetric: bool = False):
        nn.Module.__init__(self)
        check_bits(bits)
        width(like.weight, group_size)
        self.in_features, self.out_features = like.in_features, like.out_features
        self.weight, self.bits, self.group_size, self.symmetric = like.weight, bits, group_size, symmetric
        self.register_parameter("bias", like.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = fake_quantize(self.weight, self.bits, self.group_size, self.symmetric, torch.float16)
        return F.linear(x, weight, self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bits={self.bits}, group_size={self.group_size}"


def prepare_qat(
    model: nn.Module,
    bits: int = 4,
    group_size: GroupSize = 32,
    symmetric: bool = False,
    targets: str = "blocks.*",
) -> list[str]:
    """Put a `FakeQuantLinear` in the place of each linear layer that matches; -> their names. In place.

    Then train as usual, and call `quantize_model` with the same bits, group size and targets and method "rtn", or
    "absmax" if symmetric: the model puts out what it did in training. ValueError as in `quantize` and
    `replace_linears`, and for a layer that is not a plain one; the model is then as it was.
    """

    def make(name: str, linear: nn.Linear) -> FakeQuantLinear:
        if type(linear) is not nn.Linear:
            raise ValueError(f"targets={targets!r} matches {name}, a {type(linear).__name__}: name plain linear layers")
        return FakeQuantLinear(linear, bits, group_size, symmetric)

    return replace_linears(model, targets, make)
