"""How sure a score is, and whether one model is better than another: resampling whole questions. Lecture 18."""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean and the two ends of its interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two models on the same questions: the mean of b - a with its interval, and on how many questions who was ahead.

    p_value: how often a fair coin would share out the questions that differ at least as unevenly (sign test, both
    sides).
    """

    difference: float
    low: float
    high: float
    a_better: int
    b_better: int
    ties: int
    p_value: float


def bootstrap_interval(
    values: Sequence[float] | Sequence[Sequence[float]],
    *,
    groups: Sequence[Hashable] | None = None,
    times: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of the questions' scores and the middle `level` of its resamples (Efron, 1979). Lecture 18.

    values: one score a question, or a row of scores a question, of its several answers, samples or seeds. Whole
    questions are drawn: the answers to one question are no independent witnesses, and an interval over answers comes
    out too narrow. groups: the question of each value, where they stand in one flat list; or what else errs together,
    such as the passage that questions share. A group's values are drawn together, and the mean is over all values.
    For a statistic other than the mean see `llmlib.data.bootstrap_interval`, for a rate without resampling
    `llmlib.infer.wilson_interval`.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1: 0.95 leaves out 2.5 % on each side")
    if times < 1:
        raise ValueError(f"times={times} must be at least 1; 1000 or more give ends that hardly move")
    sums, counts = _questions(values, groups)
    rng = np.random.default_rng(seed)
    found = np.empty(times)
    step = max(1, 2_000_000 // len(sums))
    for start in range(0, times, step):
        rows = rng.integers(0, len(sums), (min(step, times - start), len(sums)))
        found[start : start + len(rows)] = sums[rows].sum(1) / counts[rows].sum(1)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))


def compare(
    a: Sequence[float] | Sequence[Sequence[float]],
    b: Sequence[float] | Sequence[Sequence[float]],
    *,
    groups: Sequence[Hashable] | None = None,
    times: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """b against a on the same questions in the same order, by paired bootstrap. Lecture 18.

    Both models find the same questions hard, so the interval of the difference is narrower than two separate intervals
    suggest: b can be better although theirs overlap. Arguments as for `bootstrap_interval`.
    """
    a, b = _matrix(a, "a"), _matrix(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}: give both models' scores on the same questions")
    difference = bootstrap_interval(b - a, groups=groups, times=times, level=level, seed=seed)
    sums, _ = _questions(b - a, groups)
    ahead, behind = int((sums > 1e-12).sum()), int((sums < -1e-12).sum())
    return Comparison(*difference, behind, ahead, len(sums) - ahead - behind, sign_test(ahead, behind))


def sign_test(wins: int, losses: int) -> float:
    """The probability that a fair coin is as uneven as this or more, on either side; 1 if nothing differs."""
    n = wins + losses
    if wins < 0 or losses < 0:
        raise ValueError(f"wins={wins} and losses={losses} must be counts of 0 or more")
    tail = sum(math.comb(n, i) for i in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**n)


def _matrix(values: Sequence, name: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except ValueError:
        raise ValueError(
            f"{name} has rows of different lengths: give a flat list and groups=, a question each"
        ) from None
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"{name} has shape {array.shape}: give one score a question, or a row of scores a question")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a number that is not finite: score a missing answer 0, or leave it out openly")
    return array


def _questions(values: Sequence, groups: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each question's values and how many they are."""
    array = _matrix(values, "values")
    sums, counts = array.reshape(len(array), -1).sum(1), np.full(len(array), array[0].size, dtype=float)
    if groups is None:
        return sums, counts
    if len(groups) != len(array):
        raise ValueError(f"groups has length {len(groups)} and values {len(array)}: name each one's question")
    number: dict[Hashable, int] = {}
    of = np.array([number.setdefault(group, len(number)) for group in groups])
    return np.bincount(of, sums), np.bincount(of, counts)
