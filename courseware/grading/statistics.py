"""What the records of a class say about its questions: how many solved each, how well each tells students apart."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from courseware.classroom.cases import Question
from courseware.grading.records import Record
from llmlib.infer import wilson_interval

RESAMPLES = 2000
FEW = 10  # students: below this no correlation is shown
NOT_STARTED = ("not started yet", "depends on")


@dataclass(frozen=True)
class Discrimination:
    """Correlation of solving a question with the points on all others (point-biserial, item-rest), over ``n``
    students; ``low`` and ``high`` are a 95 % bootstrap interval over students. None where it is not defined."""

    r: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Item:
    """One question of one class."""

    question: Question
    n: int
    solved: int
    not_started: int
    refused: int
    low: float  # 95 % Wilson interval of the share that solved it
    high: float
    discrimination: Discrimination

    @property
    def share(self) -> float:
        return self.solved / self.n

    @property
    def wrong(self) -> int:
        return self.n - self.solved - self.not_started - self.refused


@dataclass(frozen=True)
class Mistake:
    """A message and how many submissions it was said to; ``told``: students could read it."""

    message: str
    count: int
    told: bool


def items(records: Sequence[Record]) -> list[Item]:
    """One item for each question that every record has, in the lab's order."""
    lab, found = records[0].lab, []
    points = {q.id: np.array([r.points().get(q.id, -1) for r in records]) for q in lab.questions}
    points = {q: given for q, given in points.items() if (given >= 0).all()}
    total = sum(points.values())
    for question in lab.questions:
        if question.id not in points:
            continue
        results = [next(r for r in record.report.results if r.question.id == question.id) for record in records]
        solved = np.array([r.passed for r in results])
        idle = [not r.passed and r.message.startswith(NOT_STARTED) for r in results]
        refused = [not r.passed and "you are asked to write yourself" in r.message for r in results]
        low, high = wilson_interval(int(solved.sum()), len(results))
        told_apart = discrimination(solved, total - points[question.id])
        counts = (len(results), int(solved.sum()), sum(idle), sum(refused))
        found.append(Item(question, *counts, float(low), float(high), told_apart))
    return found


def discrimination(solved: np.ndarray, rest: np.ndarray, *, resamples: int = RESAMPLES) -> Discrimination:
    """``solved``, ``rest``: (students,), whether each solved the question, and the points on all others."""
    n = len(solved)
    r = _correlations(solved[None].astype(float), rest[None].astype(float))[0]
    if n < FEW or np.isnan(r):
        return Discrimination(None, None, None, n)
    drawn = np.random.default_rng(0).integers(0, n, (resamples, n))
    values = _correlations(solved[drawn].astype(float), rest[drawn].astype(float))
    values = values[~np.isnan(values)]  # resamples in which everybody solved it say nothing
    if len(values) < 0.9 * resamples:
        return Discrimination(float(r), None, None, n)
    low, high = np.quantile(values, [0.025, 0.975])
    return Discrimination(float(r), float(low), float(high), n)


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's r of each row; NaN where one of the two does not vary. (rows, n), (rows, n) -> (rows,)"""
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    spread = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12, (x * y).sum(1) / spread, np.nan)


def common_mistakes(records: Sequence[Record], question: str, limit: int = 5) -> list[Mistake]:
    """The messages most submissions got, those that differ only in numbers taken together; the first one is shown."""
    counts: Counter[str] = Counter()
    shown: dict[str, tuple[str, bool]] = {}
    for record in records:
        result = next((r for r in record.report.results if r.question.id == question), None)
        if result is None or result.passed:
            continue
        keys = {_without_numbers(m): m for m in reversed(result.mistakes) if not m.startswith(NOT_STARTED)}
        for key, message in keys.items():
            counts[key] += 1
            shown.setdefault(key, (message, message in result.public_message))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Mistake(shown[key][0], count, shown[key][1]) for key, count in ranked[:limit]]


def _without_numbers(text: str) -> str:
    text = re.sub(r"(?<![\w.])[-+]?\d+(\.\d+)?(e[-+]?\d+)?(?!\w)", "#", text)
    return re.sub(r"#(, #)+", "#", text)  # places in arrays of any number of axes
