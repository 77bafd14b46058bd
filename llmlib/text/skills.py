"""A made-up language of facts, a few common and most of them rare, whose entropy is known. Built in lecture 08."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class SkillSource:
    """Records of three symbols: two that name a skill, and the skill's answer, which is sometimes wrong.

    Of n_symbols ** 2 skills the k-th most common one turns up with probability proportional to k ** -(1 + exponent)
    (Zipf, 1949). Its answer, one of n_answers and drawn once for all, is replaced with probability `noise` by one drawn
    at random. Whoever knows the n most common skills only still misses a share of about n ** -exponent of the records,
    so that loss falls as a power of what a learner can hold or has seen (Hutter, 2021; Michaud et al., 2023).

    Attributes:
        probabilities: (n_skills,), descending. answers: (n_skills,), from 0. names: (n_skills, 2).
        vocab_size: n_symbols + n_answers; the answer a stands in a record as n_symbols + a.
        entropy_rate: bits per answer once its skill is named, the least any model can need on average.
    """

    def __init__(
        self,
        n_symbols: int = 128,
        n_answers: int = 16,
        *,
        exponent: float = 0.8,
        noise: float = 0.3,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        for name, value in (("n_symbols", n_symbols), ("n_answers", n_answers)):
            if value < 2:
                raise ValueError(f"{name} must be at least 2, got {value!r}: with one there is nothing to learn")
        if not exponent > 0:
            raise ValueError(f"exponent must be positive, got {exponent!r}: try 0.8")
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must lie between 0 and 1, got {noise!r}: it is a probability")
        rng = np.random.default_rng(rng)
        n_skills = n_symbols**2
        shares = np.arange(1, n_skills + 1.0) ** -(1 + exponent)
        self.n_symbols, self.n_answers, self.exponent, self.noise = n_symbols, n_answers, exponent, noise
        self.vocab_size = n_symbols + n_answers
        self.probabilities: FloatArray = shares / shares.sum()
        self.names: IntArray = np.stack(np.divmod(rng.permutation(n_skills), n_symbols), axis=1)
        self.answers: IntArray = rng.integers(0, n_answers, n_skills)
        right, wrong = 1 - noise + noise / n_answers, noise / n_answers
        surprises = [p * math.log2(p) for p in [right] + [wrong] * (n_answers - 1) if p > 0]
        self.entropy_rate = -sum(surprises) + 0.0

    def sample(self, n: int, rng: np.random.Generator | int | None = None) -> tuple[IntArray, IntArray]:
        """n records: their symbols (n, 3) and the number of each one's skill (n,), 0 the most common."""
        if n < 0:
            raise ValueError(f"n must not be negative, got {n!r}: it is the number of records to draw")
        rng = np.random.default_rng(rng)
        cumulative = np.cumsum(self.probabilities)
        skills = np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right")
        drawn = np.where(rng.random(n) < self.noise, rng.integers(0, self.n_answers, n), self.answers[skills])
        return np.column_stack([self.names[skills], self.n_symbols + drawn]), skills

    def cross_entropy(self, log_probabilities: ArrayLike, skills: ArrayLike) -> float:
        """Mean nats that a model spends on an answer, the mean over all answers that could have come.

        log_probabilities: (n, vocab_size), natural logarithms, of the symbol after the name of each of `skills` (n,).
        Free of the luck of the answers drawn, so that small differences show. At least entropy_rate * ln 2.
        """
        log_p = np.asarray(log_probabilities, dtype=float)
        skills = np.asarray(skills)
        if log_p.shape != (*skills.shape, self.vocab_size) or skills.ndim != 1:
            raise ValueError(
                f"log_probabilities has shape {log_p.shape}: give ({len(skills)}, {self.vocab_size}), a row a skill"
            )
        log_p = log_p[:, self.n_symbols :]
        right = np.take_along_axis(log_p, self.answers[skills][:, None], axis=1)[:, 0]
        return float(-((1 - self.noise) * right + self.noise * log_p.mean(axis=1)).mean())
