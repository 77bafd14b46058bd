"""Fitting a few parameters to data that may hold outliers, from many starts at once."""

from collections.abc import Callable

import numpy as np

Residuals = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def huber(residuals: np.ndarray, delta: float) -> np.ndarray:
    """Half the square up to delta, then a straight line (Huber, 1964): an outlier pulls with a bounded force."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def minimize_huber(residuals: Residuals, starts: np.ndarray, delta: float, iterations: int = 300) -> np.ndarray:
    """The parameters (p,) with the least sum of `huber(residuals, delta)` that any start leads to.

    residuals: parameters (s, p) -> residuals (s, n) and their derivatives (s, n, p). starts: (s, p). Every start goes
    its own way by Levenberg-Marquardt steps on reweighted squares (a residual beyond delta weighs delta / |r|), all in
    one batch. ValueError if no start leads to finite parameters.
    """
    p = np.array(starts, dtype=float)
    damping, idle = np.full(len(p), 1e-2), 0
    with np.errstate(all="ignore"):  # a step too far overflows and is not taken
        r, slopes = residuals(p)
        value = huber(r, delta).sum(axis=1)
        for _ in range(iterations):
            weights = delta / np.maximum(np.abs(r), delta)
            weighted = slopes * weights[:, :, None]
            gradient = (weighted * r[:, :, None]).sum(axis=1)
            curvature = weighted.swapaxes(1, 2) @ slopes
            sizes = np.einsum("sii->si", curvature)
            curvature = curvature + np.eye(p.shape[1]) * (damping[:, None] * sizes + 1e-12)[:, None, :]
            step = np.linalg.solve(np.nan_to_num(curvature) + 1e-14 * np.eye(p.shape[1]), -gradient[:, :, None])
            tried = p + np.clip(step[:, :, 0], -3.0, 3.0)
            new_r, new_slopes = residuals(tried)
            new_value = huber(new_r, delta).sum(axis=1)
            better = new_value < value
            gained = np.max(np.where(better, value - new_value, 0.0) / (value + 1e-300), initial=0.0)
            p[better], r[better], slopes[better] = tried[better], new_r[better], new_slopes[better]
            value = np.where(better, new_value, value)
            damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-12, 1e9)
            idle = 0 if gained > 1e-9 else idle + 1
            if idle == 10:
                break
    value = np.where(np.isfinite(value) & np.isfinite(p).all(axis=1), value, np.inf)
    if not np.isfinite(value).any():
        raise ValueError("no start leads to finite parameters: check the data for zeros and infinities")
    return p[value.argmin()]
