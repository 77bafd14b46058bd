"""How sure a measured rate is: the interval that belongs to every accuracy."""

from typing import TypeVar

import numpy as np
from torch import Tensor

Number = TypeVar("Number", float, np.ndarray, Tensor)

__all__ = ["wilson_interval"]


def wilson_interval(right: Number, total: int, z: float = 1.96) -> tuple[Number, Number]:
    """The two ends, as fractions, of an interval for the rate behind `right` successes in `total` trials.

    Wilson (1927): all rates p from which the count is at most z standard deviations, sqrt(p (1 - p) total), away.
    Unlike the rate +- z standard errors it keeps within 0 and 1 and has a width at 0 and at `total`. z: 1.96 for 95 %.
    right may be a fraction of a count, an array or a tensor; the ends have its shape. Built in lecture 00.
    """
    if not total > 0:
        raise ValueError(f"total is {total}: a rate needs at least one trial")
    inside = (right >= 0) & (right <= total)
    if not (inside if isinstance(inside, bool) else inside.all()):
        raise ValueError(f"right is {right}: give counts from 0 to {total}")
    centre = (right + z * z / 2) / (total + z * z)
    half = z * (right * (total - right) / total + z * z / 4) ** 0.5 / (total + z * z)
    return centre - half, centre + half
