"""NormalFloat: 16 levels, each as likely as the others for weights that are normally distributed. Lecture 15.

Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023, section 3 and appendix E.
"""

from functools import lru_cache

import torch
from torch import Tensor

from .rounding import Quantized, groups

TAIL = 1 - (1 / 30 + 1 / 32) / 2  # the quantile that becomes 1: halfway between those of the last of 15 and of 16 bins


@lru_cache
def _levels() -> Tensor:
    above = torch.special.ndtri(torch.linspace(TAIL, 0.5, 9, dtype=torch.float64)[:-1])  # 8 quantiles above zero
    below = -torch.special.ndtri(torch.linspace(TAIL, 0.5, 8, dtype=torch.float64)[:-1])  # 7 below
    levels = torch.cat([below, above.new_zeros(1), above]).sort().values
    return (levels / levels.abs().max()).float()


def nf4_levels() -> Tensor:
    """The 16 levels, ascending from -1 to 1, float32: quantiles of the standard normal distribution, scaled.

    Eight are spread over the positive half and seven over the negative one, each half evenly in probability, and zero
    stands between them, so that a zero weight stays zero.
    """
    return _levels().clone()


def quantize_nf4(weight: Tensor, group_size: int = 64, scale_dtype: torch.dtype = torch.float32) -> Quantized:
    """Scale each group of a matrix (n_out, n_in) by its largest weight and take the nearest level.

    group_size as in `quantize`; QLoRA's is 64. ValueError where `quantize` raises one.
    """
    grouped = groups(weight.detach().float(), group_size)
    scale = grouped.abs().amax(-1).to(scale_dtype)
    if not scale.isfinite().all():
        raise ValueError(f"weight has numbers whose scales scale_dtype={scale_dtype} does not hold: use torch.float32")
    levels = nf4_levels().to(weight.device)
    ratio = grouped / torch.where(scale == 0, 1, scale).float()[..., None]
    codes = torch.bucketize(ratio, (levels[1:] + levels[:-1]) / 2).to(torch.uint8)
    return Quantized(codes.view(weight.shape), scale, 4, levels=levels)
