"""One answer out of many samples: by vote, or by somebody who scores them. Lecture 16.

All of these choose among samples that have been drawn, so that one pool of sixteen serves every method and every
number of samples up to sixteen: `compute_curve` reads accuracy against tokens off it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from llmlib.data.agreement import bootstrap_interval

T = TypeVar("T")


@dataclass(frozen=True)
class Tally:
    """What a vote came to."""

    answer: Hashable | None
    """The answer with most votes; None if nobody gave one."""
    votes: dict[Hashable, float]
    """Each answer's votes, most first; of equals the one that was given first."""
    tied: tuple[Hashable, ...]
    """All answers with most votes: more than one is a tie."""
    abstained: int
    """How many answers were None."""

    @property
    def share(self) -> float:
        """The winner's share of the votes that were cast: how sure the vote is. 0 if none was."""
        return self.votes[self.answer] / sum(self.votes.values()) if self.votes else 0.0


def tally(answers: Sequence[Hashable | None], weights: Sequence[float] | None = None) -> Tally:
    """Count the votes. None is no vote. weights: of each answer, at least 0, such as a verifier's score; by default 1.

    Of answers with equally many votes the one that was given first wins, and `tied` names them all.
    """
    if weights is not None and (len(weights) != len(answers) or not all(0 <= w < float("inf") for w in weights)):
        raise ValueError(
            f"weights={list(weights)[:8]}: give one number of at least 0 for each of {len(answers)} answers"
        )
    votes: dict[Hashable, float] = {}
    for answer, weight in zip(answers, [1] * len(answers) if weights is None else weights):
        if answer is not None:
            votes[answer] = votes.get(answer, 0) + weight
    votes = dict(sorted(votes.items(), key=lambda item: -item[1]))  # stable: of equals the first stays first
    most = max(votes.values(), default=0)
    tied = tuple(answer for answer, count in votes.items() if count == most)
    return Tally(tied[0] if tied else None, votes, tied, sum(answer is None for answer in answers))


def majority_vote(answers: Sequence[Hashable | None], weights: Sequence[float] | None = None) -> Hashable | None:
    """The answer that most samples arrive at: self-consistency (Wang et al., 2023). Lecture 16.

    None, a sample without an answer, never wins: the result is None only where nothing else is given. Ties go to the
    answer given first; see `tally`, which reports them. With a verifier's scores as weights it is weighted voting.
    """
    return tally(answers, weights).answer


def self_consistency(texts: Sequence[str], extract: Callable[[str], Hashable | None]) -> Tally:
    """The vote over what `extract`, such as `extract_answer`, finds in several samples of one prompt. Lecture 16.

    With sampled ways to an answer and one that they agree on, whatever the way (Wang et al., 2023).
    """
    return tally([extract(text) for text in texts])


def best_of(samples: Sequence[T], scores: Sequence[float]) -> T:
    """The sample with the highest score, of equals the first: best of n by a verifier (Cobbe et al., 2021) or a reward.

    For token ids and a `Reward`, drawn and chosen in one go, there is `llmlib.align.best_of_n`.
    """
    if not len(samples) or len(samples) != len(scores):
        raise ValueError(f"samples holds {len(samples)} and scores {len(scores)}: give as many, at least one")
    if any(score != score for score in scores):
        raise ValueError("scores holds a NaN, which is neither better nor worse than anything")
    return samples[max(range(len(samples)), key=lambda i: scores[i])]


@dataclass(frozen=True)
class ComputePoint:
    """What n samples a problem cost and achieve."""

    n: int
    tokens: float
    """Generated tokens a problem, the mean."""
    accuracy: float
    low: float
    high: float
    """The two ends of a 95 % interval for the accuracy, resampling problems."""


def compute_curve(
    pools: Sequence[Sequence[T]],
    choose: Callable[[int, Sequence[T]], Any],
    is_right: Callable[[int, Any], bool],
    sizes: Sequence[int] = (1, 2, 4, 8, 16),
    tokens: Callable[[T], int] = lambda sample: len(sample.tokens),
    seed: int = 0,
) -> list[ComputePoint]:
    """Accuracy against test-time compute for one way to choose, from one pool of samples for each problem.

    pools: as many samples for each problem. choose(problem's number, n samples) -> what is answered; is_right(problem's
    number, answer). For each n a pool is cut into as many parts of n as it holds, and a problem counts with its mean
    over them, so that small n are known best. The interval is over problems: parts of one pool are not independent.
    """
    held = {len(pool) for pool in pools}
    if len(held) != 1 or not 1 <= min(sizes) <= max(sizes) <= min(held):
        raise ValueError(
            f"pools of {sorted(held)} samples do not serve sizes={list(sizes)}: draw as many for each problem"
        )
    points = []
    for n in sizes:
        parts = [[pool[k : k + n] for k in range(0, len(pool) - n + 1, n)] for pool in pools]
        right = [np.mean([bool(is_right(i, choose(i, part))) for part in mine]) for i, mine in enumerate(parts)]
        cost = np.mean([sum(map(tokens, part)) for mine in parts for part in mine])
        points.append(
            ComputePoint(n, float(cost), float(np.mean(right)), *bootstrap_interval(np.mean, right, seed=seed))
        )
    return points
