"""Scaling laws: how loss falls with parameters, tokens and compute, fitted to runs and asked about other runs.

Losses are in nats per token (or any positive unit, the same for all runs), N counts parameters, D tokens, C floating
point operations. A point is the *end* of a run whose learning rate has been brought down, on text seen once: a value
from the middle of a run lies above the law, and a repeated epoch is not data. Built in lecture 08.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from llmlib.train.huber import minimize_huber

Law = TypeVar("Law")

DELTA = 1e-3  # of log-loss: where Hoffmann et al. (2022) go from squares to absolute values
ALPHAS = (0.1, 0.3, 0.6, 1.0)  # starts of the exponents
SHARES = (0.02, 0.5, 0.9)  # starts of E, as a share of the least loss
SHARPEST = (1 / 30, 30.0)  # beyond, the law no longer changes


@dataclass(frozen=True)
class PowerLaw:
    """loss = E + A * x^-alpha; E, the irreducible loss, is what no amount of x takes away."""

    E: float
    A: float
    alpha: float

    def predict(self, x: Any) -> Any:
        """Loss at x, number or array."""
        return self.E + self.A * np.asarray(x, dtype=float) ** -self.alpha

    def needed(self, loss: float) -> float:
        """The x at which the law reaches `loss`; infinity at or below E."""
        return math.inf if loss <= self.E else (self.A / (loss - self.E)) ** (1 / self.alpha)


@dataclass(frozen=True)
class ScalingLaw:
    """loss = E + (u^q + v^q)^(1/q) with u = A / N^alpha, v = B / D^beta and q the sharpness.

    With sharpness 1 it is the sum of Hoffmann et al. (2022, equation 2). A larger one lets the scarcer resource decide;
    Kaplan et al. (2020, equation 1.5) have such a law, with sharpness 1 / beta and without E.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    sharpness: float = 1.0

    def predict(self, n: Any, d: Any) -> Any:
        """Loss of a model of n parameters after d tokens, numbers or arrays."""
        n, d = np.asarray(n, dtype=float), np.asarray(d, dtype=float)
        u, v = math.log(self.A) - self.alpha * np.log(n), math.log(self.B) - self.beta * np.log(d)
        return self.E + np.exp(np.logaddexp(self.sharpness * u, self.sharpness * v) / self.sharpness)

    def optimum(self, compute: Any, flops_per_parameter: float = 6.0) -> tuple[Any, Any]:
        """The N and D that a budget C = flops_per_parameter * N * D is best spent on (Hoffmann's equation 4)."""
        product = np.asarray(compute, dtype=float) / flops_per_parameter
        if not (product > 0).all():
            raise ValueError(f"compute={compute} must be positive: it is a number of floating-point operations")
        ratio = self.alpha / self.beta * (self.A / self.B) ** self.sharpness
        g = ratio ** (1 / (self.sharpness * (self.alpha + self.beta)))
        n = g * product ** (self.beta / (self.alpha + self.beta))
        return n, product / n

    @property
    def exponents(self) -> tuple[float, float]:
        """a and b of N_opt ~ C^a and D_opt ~ C^b; they sum to 1."""
        return self.beta / (self.alpha + self.beta), self.alpha / (self.alpha + self.beta)


# Fits that others published, for models of other data and tokenizers: their losses do not compare with ours.
HOFFMANN_2022 = ScalingLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)  # section D.3
BESIROGLU_2024 = ScalingLaw(E=1.82, A=482.0, B=2085.4, alpha=0.3478, beta=0.3658)  # the same runs, fitted anew
KAPLAN_2020 = dict(  # section 1.2: each alone, the other without limit; N without embeddings
    parameters=PowerLaw(E=0.0, A=8.8e13**0.076, alpha=0.076),
    tokens=PowerLaw(E=0.0, A=5.4e13**0.095, alpha=0.095),
    optimal_n=0.73,  # N_opt ~ C^0.73
)


def fit_power_law(
    x: Sequence[float], loss: Sequence[float], *, irreducible: bool = True, near: PowerLaw | None = None
) -> PowerLaw:
    """Fit loss = E + A x^-alpha to runs, or A x^-alpha without `irreducible`.

    x, loss: (n,) positive; at least 4 runs with 4 different x (3 without E). Minimises the Huber loss of log-losses
    from many starts, or from those near a law. ValueError for too few runs, or numbers that cannot be.
    """
    x, loss = _checked(dict(x=x), loss, needed=4 if irreducible else 3)
    starts = None if near is None else _starts_near(near.E, [(near.A, near.alpha)])
    e, terms, _ = _fit(np.log(x), np.log(loss), irreducible, starts, 1.0)
    return PowerLaw(e, *terms[0])


def fit_scaling_law(
    n: Sequence[float],
    d: Sequence[float],
    loss: Sequence[float],
    *,
    sharpness: float | None = 1.0,
    near: ScalingLaw | None = None,
) -> ScalingLaw:
    """Fit loss = E + A / N^alpha + B / D^beta to runs: Chinchilla's third approach.

    n, d, loss: (runs,) positive; at least 6 runs, of at least 3 different n and 3 different d. sharpness: of the law,
    None to fit it as well, which takes 7 runs. Minimises the Huber loss of log-losses, delta 1e-3 as in Hoffmann et
    al. (2022), from many starts, or from those near a law.
    """
    if sharpness is not None and not sharpness > 0:
        raise ValueError(f"sharpness={sharpness} must be positive: 1 adds the two terms, None fits it")
    values, loss = _checked(dict(n=n, d=d), loss, needed=6 if sharpness else 7)
    starts = None if near is None else _starts_near(near.E, [(near.A, near.alpha), (near.B, near.beta)])
    e, terms, sharpness = _fit(np.log(values), np.log(loss), True, starts, sharpness, near and near.sharpness)
    (a, alpha), (b, beta) = terms
    return ScalingLaw(e, a, b, alpha, beta, sharpness)


def fit_isoflop(n: Sequence[float], loss: Sequence[float]) -> tuple[float, float]:
    """The best size at one budget, and its loss: the vertex of a parabola in log N (Chinchilla's second approach).

    n, loss: (runs,) of runs that cost the same, at least 3 different n. ValueError if the parabola opens downwards or
    its vertex lies outside the sizes tried: then the best size has not been bracketed.
    """
    (n,), loss = _checked(dict(n=n), loss, needed=3)
    c, b, a = np.polynomial.polynomial.polyfit(np.log(n), loss, 2)
    vertex = -b / (2 * a) if a > 0 else math.nan
    if not (np.log(n).min() <= vertex <= np.log(n).max()):
        raise ValueError(
            f"n from {n.min():.3g} to {n.max():.3g} does not bracket the best size at this budget: try "
            + ("larger ones" if loss[np.argmax(n)] <= loss[np.argmin(n)] else "smaller ones")
        )
    return float(np.exp(vertex)), float(c - b * b / (4 * a))


def envelope(
    curves: Sequence[tuple[Sequence[float], Sequence[float]]], budgets: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """For each budget the curve that is lowest there, and its loss: Chinchilla's first approach.

    curves: of each run its compute so far, ascending, and its loss. A curve says nothing outside its own range; a
    budget outside all of them gives -1 and NaN. Values between two points are interpolated in log compute.
    -> (budgets,) indices and (budgets,) losses.
    """
    if not curves:
        raise ValueError("curves is empty: give the compute and loss of at least one run")
    at = np.log(np.asarray(budgets, dtype=float))
    table = np.array([np.interp(at, np.log(c), loss, left=np.nan, right=np.nan) for c, loss in curves])
    known = ~np.isnan(table).all(axis=0)
    best = np.where(known, np.where(np.isnan(table), np.inf, table).argmin(axis=0), -1)
    return best, np.where(known, np.nanmin(np.where(known, table, np.inf), axis=0), np.nan)


def bootstrap(
    fit: Callable[..., Law], *data: Sequence[float], times: int = 200, seed: int = 0, **options: Any
) -> list[Law]:
    """Fit to `times` resamples of the runs (drawn with replacement): how far the fit rests on single runs.

    fit: `fit_power_law`, `fit_scaling_law` or one that takes `near` as they do. data: what it takes, all of one length.
    A resample with too few different runs is drawn again. Apply anything to the laws, such as `law.predict(n, d)`, and
    take `interval` of the results.
    """
    data = [np.asarray(values, dtype=float) for values in data]
    whole = fit(*data, **options)
    rng, laws, refused = np.random.default_rng(seed), [], 0
    while len(laws) < times:
        rows = rng.integers(0, len(data[0]), len(data[0]))
        try:
            laws.append(fit(*(values[rows] for values in data), near=whole, **options))
        except ValueError:
            refused += 1
            if refused > 10 * times:
                raise
    return laws


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The range that holds the middle `level` of the values."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1: 0.95 leaves out 2.5 % on each side")
    low, high = np.quantile(np.asarray(values, dtype=float), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(
    variables: dict[str, Sequence[float]], loss: Sequence[float], needed: int
) -> tuple[np.ndarray, np.ndarray]:
    loss = np.asarray(loss, dtype=float)
    rows = []
    for name, values in (*variables.items(), ("loss", loss)):
        values = np.asarray(values, dtype=float)
        if values.ndim != 1 or values.shape != loss.shape:
            raise ValueError(f"{name} has shape {values.shape} and loss {loss.shape}: give one number a run")
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(f"{name} holds {values[~(np.isfinite(values) & (values > 0))][0]}: all must be positive")
        rows.append(values)
    several = len(variables) > 1
    least = 3 if several else needed
    for (name, _), values in zip(variables.items(), rows):
        if len(loss) < needed or len(np.unique(values)) < least:
            raise ValueError(
                f"{name} holds {len(np.unique(values))} different values in {len(loss)} runs, too few for this fit: "
                f"it takes {needed} runs with {least} of them different"
            )
    return np.stack(rows[:-1]), loss


def _starts_near(e: float, terms: list[tuple[float, float]]) -> list[list[float]]:
    """The law itself, and the law with every exponent or E a little smaller and larger."""
    starts = []
    for by_e, by_alpha in ((1.0, 1.0), (0.8, 1.0), (1.1, 1.0), (1.0, 0.8), (1.0, 1.25)):
        start = [math.log(max(e * by_e, 1e-9))] if e > 0 else []
        for a, alpha in terms:
            start += [math.log(a) * by_alpha, alpha * by_alpha]
        starts.append(start)
    return starts


def _all_starts(logs: np.ndarray, log_loss: np.ndarray, irreducible: bool) -> list[list[float]]:
    """Exponents and E from a grid, each with the A that meets the middle of the data."""
    m = len(logs)
    middle = np.median(logs, axis=1)
    starts: list[list[float]] = []
    least = np.exp(log_loss.min())
    for share in SHARES if irreducible else (0.0,):
        rest = (np.exp(np.median(log_loss)) - share * least) / m
        for alphas in np.stack(np.meshgrid(*[ALPHAS] * m), axis=-1).reshape(-1, m):
            start = [np.log(share * least)] if irreducible else []
            for alpha, log_x in zip(alphas, middle):
                start += [np.log(rest) + alpha * log_x, alpha]
            starts.append(start)
    return starts


def _fit(
    logs: np.ndarray,
    log_loss: np.ndarray,
    irreducible: bool,
    starts: list[list[float]] | None,
    sharpness: float | None,
    near: float | None = None,
) -> tuple[float, list[tuple[float, float]], float]:
    """E, (A, alpha) of each variable, and the sharpness. logs: (m, runs). Fitted are log E, log A, alpha and, where it
    is None, the log of the sharpness, as log-loss is then a logsumexp of logsumexps."""
    m = len(logs)
    starts = _all_starts(logs, log_loss, irreducible) if starts is None else starts
    if sharpness is None:
        starts = [[*start, math.log(q)] for start in starts for q in ((1.0, 4.0) if near is None else (near,))]
    first = 1 if irreducible else 0
    last = first + 2 * m

    def residuals(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p: (starts, parameters) -> log-loss minus the observed one (starts, runs), and its derivatives."""
        q = np.exp(np.clip(p[:, last:], *np.log(SHARPEST)))[:, None] if sharpness is None else sharpness
        terms = p[:, first:last:2, None] - p[:, first + 1 : last : 2, None] * logs  # (starts, m, runs)
        excess, shares = _logsumexp(q * terms)  # shares: of each term in the excess
        excess = excess / (q[:, 0] if sharpness is None else q)
        slopes = []
        for i in range(m):
            w = shares[:, i, :, None]
            slopes += [w, -w * logs[i, :, None]]
        if sharpness is None:
            inside = np.abs(p[:, last:, None]) < np.log(SHARPEST[1])
            slopes.append(inside * ((shares * terms).sum(axis=1) - excess)[:, :, None])
        derivatives = np.concatenate(slopes, axis=2)
        if not irreducible:
            return excess - log_loss, derivatives
        total, parts = _logsumexp(np.stack([np.broadcast_to(p[:, :1], excess.shape), excess], axis=1))
        floor, rest = parts[:, 0, :, None], parts[:, 1, :, None]
        return total - log_loss, np.concatenate([floor, rest * derivatives], axis=2)

    p = minimize_huber(residuals, np.array(starts), DELTA)
    e = float(np.exp(p[0])) if irreducible else 0.0
    terms = [(float(np.exp(p[first + 2 * i])), float(p[first + 2 * i + 1])) for i in range(m)]
    return e, terms, float(np.exp(np.clip(p[last], *np.log(SHARPEST)))) if sharpness is None else sharpness


def _logsumexp(terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over axis 1, and each term's share in it."""
    top = terms.max(axis=1, keepdims=True)
    weights = np.exp(terms - top)
    total = weights.sum(axis=1, keepdims=True)
    return (top + np.log(total))[:, 0], weights / total
