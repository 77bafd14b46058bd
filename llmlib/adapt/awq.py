"""Activation-aware weight quantization: spend the precision on the inputs that are large. Lecture 15.

Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", 2023. A few channels of
a layer's input are much larger than the others, and the error of the weights they meet counts accordingly. Multiply
these weights by s > 1 before rounding and divide the channel by s at run time: the product is the same, and the error
of those weights s times smaller, as long as they do not set the scale of their group.
"""

import torch
from torch import Tensor

from .calibration import InputStatistics
from .rounding import GroupSize, mean_square, quantize


@torch.no_grad()
def awq_scales(
    weight: Tensor,
    inputs: InputStatistics,
    bits: int = 4,
    group_size: GroupSize = 32,
    symmetric: bool = False,
    steps: int = 20,
) -> Tensor:
    """By how much to multiply each column of a matrix (n_out, n_in) before rounding: (n_in,), of float16's precision.

    The scale of a channel is its mean |x| to the power a, divided by the geometric mean of the largest and smallest; a
    is the one of 0, 1 / steps, ..., 1 with the least output error. a = 0 leaves the weight as it is, so on the inputs
    it was chosen for the result is never worse than rounding to nearest.
    """
    if inputs.mean_abs.shape != weight.shape[1:]:
        raise ValueError(
            f"inputs are statistics of {len(inputs.mean_abs)} channels, weight is {tuple(weight.shape)}: calibrate "
            "the layer that the weight is from"
        )
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1: how many exponents above 0 to try")
    weight = weight.detach().float()
    size = inputs.mean_abs.clamp_min(1e-4 * float(inputs.mean_abs.max()) or 1.0)
    best, least = None, float("inf")
    for step in range(steps + 1):
        scales = size ** (step / steps)
        scales = (scales / (scales.max() * scales.min()).sqrt()).half().float()
        rounded = quantize(weight * scales, bits, group_size, symmetric).dequantize() / scales
        error = mean_square(weight - rounded, inputs.second_moment)
        if error < least:
            best, least = scales, error
    return best
