"""Does a model know what it knows? Confidence against correctness (Guo et al., 2017). Lecture 17.

A model that is right in 70 % of the cases in which it is 70 % sure is calibrated; one that makes things up is not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llmlib.infer import wilson_interval

from .choices import Normalisation, option_scores
from .records import ItemResult


class ReliabilityBin(NamedTuple):
    """Answers of like confidence: their mean confidence, the share that was right with its 95 % interval, how many."""

    confidence: float
    accuracy: float
    low: float
    high: float
    count: int


def reliability(confidence: Sequence[float], correct: Sequence[float], bins: int = 10) -> list[ReliabilityBin]:
    """The points of a calibration plot: the answers sorted by confidence, in bins of (nearly) equal counts.

    confidence: of each answer, from 0 to 1. correct: 1 or 0, or a score between. Equal counts, so that no point rests
    on three answers; fewer bins where there are fewer answers.
    """
    sure, right = _checked(confidence, correct)
    if bins < 1:
        raise ValueError(f"bins={bins} must be at least 1")
    order = np.argsort(sure, kind="stable")
    found = []
    for rows in np.array_split(order, min(bins, len(order))):
        low, high = wilson_interval(float(right[rows].sum()), len(rows))
        found.append(
            ReliabilityBin(float(sure[rows].mean()), float(right[rows].mean()), float(low), float(high), len(rows))
        )
    return found


def calibration_error(confidence: Sequence[float], correct: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over the bins of `reliability`.

    Weighted by counts. It is above 0 for a perfect model too, by chance, the more so the fewer answers a bin holds.
    """
    found = reliability(confidence, correct, bins)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in found) / sum(b.count for b in found)


def selective_accuracy(confidence: Sequence[float], correct: Sequence[float], coverage: float) -> float:
    """How often the model is right if it answers only the most confident share `coverage` of the questions.

    What "say that you do not know" can gain: flat over coverage if confidence says nothing. 0 < coverage <= 1.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage} must lie in (0, 1]: the share of questions that are answered")
    sure, right = _checked(confidence, correct)
    order = np.argsort(-sure, kind="stable")[: max(1, round(coverage * len(sure)))]
    return float(right[order].mean())


def option_probabilities(result: ItemResult, normalisation: Normalisation = "raw") -> list[float]:
    """How likely each option of a multiple-choice result is, if one of them must be said: softmax of its scores.

    "raw" is the model's own belief; "token" and "byte" divide the log-probabilities and so flatten them.
    """
    scores = option_scores(result, normalisation)
    weights = [math.exp(score - max(scores)) for score in scores]
    return [weight / sum(weights) for weight in weights]


def _checked(confidence: Sequence[float], correct: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    sure, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if sure.shape != right.shape or sure.ndim != 1 or not len(sure):
        raise ValueError(f"confidence has shape {sure.shape} and correct {right.shape}: give one of each an answer")
    for name, values in (("confidence", sure), ("correct", right)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name} holds a number outside 0 to 1")
    return sure, right
