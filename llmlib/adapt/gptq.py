"""GPTQ: round one column after the other, and let the columns not yet rounded make up for the error. Lecture 15.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2023, after
Optimal Brain Surgeon (Hassibi and Stork, 1992).
"""

import torch
from torch import Tensor

from .rounding import GroupSize, Quantized, check_bits, from_codes, groups, scales, to_codes, width

BLOCK = 128  # columns whose corrections are carried out at once to the rest of the matrix: only a matter of speed


@torch.no_grad()
def quantize_gptq(
    weight: Tensor,
    second_moment: Tensor,
    bits: int = 4,
    group_size: GroupSize = 32,
    symmetric: bool = False,
    damping: float = 0.01,
    scale_dtype: torch.dtype = torch.float32,
) -> Quantized:
    """Quantize a matrix (n_out, n_in) so that its output, not its weights, is close to what it was.

    second_moment: (n_in, n_in), the mean of x x^T over the layer's inputs (`calibrate`); with the identity no column
    can help another, and the result is that of `quantize`. A group's scale is chosen when its first column's turn
    comes, for the weights as corrected by then. damping: this share of the mean diagonal is added to the diagonal,
    which keeps the inverse sane where inputs were few or alike. ValueError where `quantize` raises one, for a damping
    that is not positive, inputs that are all zero, and a second moment that does not fit or is none.
    """
    check_bits(bits)
    whole = groups(weight.detach().float(), group_size)
    upper = inverse_factor(second_moment, weight.shape[1], damping)
    left, size = weight.detach().float().clone(), width(weight, group_size)  # left: corrected as we go
    codes, chosen = [], []
    for start in range(0, left.shape[1], size):
        group = whole[0] if group_size == "tensor" else left[:, start : start + size]
        scale, offset = scales(group, bits, symmetric, scale_dtype)  # (n_out,) each, or (1,)
        chosen.append((scale, offset))
        for first in range(start, start + size, BLOCK):
            last = min(first + BLOCK, start + size)
            errors = []
            for column in range(first, last):
                codes.append(to_codes(left[:, column], scale, offset, bits))
                error = (left[:, column] - from_codes(codes[-1], scale, offset)) / upper[column, column]
                left[:, column + 1 : last] -= torch.outer(error, upper[column, column + 1 : last])
                errors.append(error)
            left[:, last:] -= torch.stack(errors, 1) @ upper[first:last, last:]
    offset = None if symmetric else torch.stack([offset for _, offset in chosen], 1)
    return Quantized(torch.stack(codes, 1), torch.stack([scale for scale, _ in chosen], 1), bits, offset)


def inverse_factor(second_moment: Tensor, n_in: int, damping: float = 0.01) -> Tensor:
    """U, upper triangular (n_in, n_in), with U^T U the inverse of the damped second moment.

    When column j is rounded with an error e, the best correction of the columns after it is -e U[j, j+1:] / U[j, j].
    """
    if second_moment.shape != (n_in, n_in):
        raise ValueError(
            f"second_moment has shape {tuple(second_moment.shape)}: give the mean of x x^T, {(n_in, n_in)}"
        )
    if not damping > 0:
        raise ValueError(f"damping={damping} must be positive, 0.01 is usual: few inputs leave directions unseen")
    moment = second_moment.cpu().double() if second_moment.device.type == "mps" else second_moment.double()
    size = moment.diagonal().mean()
    if not size > 0:
        raise ValueError("second_moment is zero: the layer read nothing but zeros, so calibrate with real text")
    moment = moment + damping * size * torch.eye(n_in, dtype=moment.dtype, device=moment.device)
    factor, info = torch.linalg.cholesky_ex(moment)
    if not info:
        factor, info = torch.linalg.cholesky_ex(torch.cholesky_inverse(factor), upper=True)
    if info:
        raise ValueError(f"second_moment is no mean of x x^T, or damping={damping} is too small for it: take more")
    return factor.float().to(second_moment.device)
