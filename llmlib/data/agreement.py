"""How well people agree with one another about ratings, and how well a model agrees with them."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

Ratings = Sequence[Sequence[float]]


def average_ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 1, as floats (n,); equal values share the mean of the ranks they take up."""
    _, place, count = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's (1904) correlation of two lists of n >= 2 numbers: Pearson's, of their ranks. From -1 to 1.

    It asks for the same order and not for the same scale, which suits rewards. Lecture 12 uses it.
    """
    return _pearson(average_ranks(a), average_ranks(b))


def pair_accuracy(scores: Sequence[float], targets: Sequence[float]) -> float:
    """Of all pairs whose targets differ, the share that the scores put in the same order; equal scores count half.

    What a reward model's accuracy is, with every pair of the texts as a comparison. One half is chance. Lecture 12.
    """
    scores, targets = np.asarray(scores, dtype=float), np.asarray(targets, dtype=float)
    if scores.shape != targets.shape:
        raise ValueError(f"scores has {len(scores)} numbers and targets {len(targets)}: give one of each a text")
    right = pairs = 0.0
    for i in range(1, len(scores)):
        truth = np.sign(targets[i] - targets[:i])
        agree = truth * np.sign(scores[i] - scores[:i])
        right += float((agree[truth != 0] + 1).sum() / 2)
        pairs += float((truth != 0).sum())
    if not pairs:
        raise ValueError(f"targets holds no two different numbers in {len(targets)}: there is no pair to order")
    return right / pairs


def one_against_rest(
    ratings: Ratings, measure: Callable[[np.ndarray, np.ndarray], float] = spearman, times: int = 20, seed: int = 0
) -> float:
    """How well one rater agrees with the mean of all others. ratings: of each text two or more, not all as many.

    For each text a rater is drawn; the mean of `measure(one, rest)` over `times` draws. A model that does better than
    this predicts the crowd better than a member of it does.
    """
    rng = np.random.default_rng(seed)
    rows = _checked(ratings)
    totals, sizes = np.array([row.sum() for row in rows]), np.array([len(row) for row in rows])
    found = []
    for _ in range(times):
        one = np.array([row[i] for row, i in zip(rows, rng.integers(0, sizes))])
        found.append(measure(one, (totals - one) / (sizes - 1)))
    return float(np.mean(found))


def half_against_half(
    ratings: Ratings, measure: Callable[[np.ndarray, np.ndarray], float] = spearman, times: int = 20, seed: int = 0
) -> float:
    """How well the means of two halves of the raters agree, halves drawn anew for each text, over `times` draws.

    `spearman_brown` of it is the reliability of the mean of all. Of an odd number of raters one is left out.
    """
    rng = np.random.default_rng(seed)
    rows = _checked(ratings)
    found = []
    for _ in range(times):
        halves = np.array([_halves(rng.permutation(row)) for row in rows])
        found.append(measure(halves[:, 0], halves[:, 1]))
    return float(np.mean(found))


def spearman_brown(correlation: float, factor: float = 2.0) -> float:
    """The reliability of a mean over `factor` times as many raters (Spearman, 1910; Brown, 1910).

    correlation: between two means over as many raters each, in (-1, 1]. The square root of a mean's reliability is the
    highest correlation with it that any predictor can reach, one that knew what everybody thinks included.
    """
    if not -1 < correlation <= 1 or factor <= 0:
        raise ValueError(f"correlation={correlation} must lie in (-1, 1] and factor={factor} be positive")
    return factor * correlation / (1 + (factor - 1) * correlation)


def bootstrap_interval(
    statistic: Callable[..., float],
    *data: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    times: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The middle `level` of statistic(*data) over `times` resamples of the rows, drawn with replacement (Efron, 1979).

    data: of one length, resampled together; pass two models' scores to compare them on the same texts. groups: one of
    each row, if whole groups are to be drawn, whose rows do not err independently.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1: 0.95 leaves out 2.5 % on each side")
    columns = [np.asarray(values) for values in data]
    if not columns or {len(column) for column in columns} != {len(columns[0])} or not len(columns[0]):
        raise ValueError(f"data has lengths {[len(column) for column in columns]}: give rows, as many in each")
    members = [np.array([i]) for i in range(len(columns[0]))]
    if groups is not None:
        if len(groups) != len(columns[0]):
            raise ValueError(f"groups has length {len(groups)} and data {len(columns[0])}: name each row's group")
        of_group: dict[Hashable, list[int]] = {}
        for i, group in enumerate(groups):
            of_group.setdefault(group, []).append(i)
        members = [np.array(rows) for rows in of_group.values()]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(times):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        found.append(statistic(*(column[rows] for column in columns)))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}: give two lists of the same length, 2 or more")
    a, b = a - a.mean(), b - b.mean()
    if not (a.any() and b.any()):
        raise ValueError("a or b is the same number throughout: a correlation needs values that differ")
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _checked(ratings: Ratings) -> list[np.ndarray]:
    rows = [np.asarray(row, dtype=float) for row in ratings]
    few = next((i for i, row in enumerate(rows) if len(row) < 2), None)
    if few is not None:
        raise ValueError(f"ratings[{few}] holds fewer than 2 ratings: leave that text out")
    return rows


def _halves(row: np.ndarray) -> tuple[float, float]:
    half = len(row) // 2
    return row[:half].mean(), row[half : 2 * half].mean()
