"""A made-up language whose entropy is known exactly. Built in lecture 01.

How good can a language model get? On real text nobody knows. On text drawn from a Markov chain the limit is a number,
the entropy rate, and a model's distance to it can be watched as order and data grow.
"""

from bisect import bisect_right
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
MAX_STATES = 1 << 22


class MarkovSource:
    """A Markov chain of order k over V symbols: the next symbol depends on the last k and on nothing else.

    transitions: (V,) * k + (V,) probabilities; transitions[a, b, c] is P(c | a, b) for k = 2. Every context needs to be
    reachable from every other (as in any chain without zeros), otherwise "the" entropy rate does not exist.

    Attributes:
        transitions: as given. order, vocab_size: k and V.
        stationary: (V,) * k, the long-run share of each context.
        entropy_rate: bits per symbol, the least any model can need on average (Shannon, 1948, section 7).
    """

    def __init__(self, transitions: ArrayLike) -> None:
        p = np.asarray(transitions, dtype=float)
        if p.ndim < 1 or len(set(p.shape)) != 1:
            raise ValueError(
                f"transitions must have shape (V,) * (order + 1), got {p.shape}: order 1 takes a square table"
            )
        if not ((p >= 0).all() and np.allclose(p.sum(-1), 1)):
            worst = p.sum(-1).flat[np.argmax(np.abs(p.sum(-1) - 1))]
            raise ValueError(
                f"transitions must be non-negative and sum to 1 over the last axis, got a minimum of {p.min():.3g} and "
                f"a sum of {worst:.3g}: divide each row by its sum"
            )
        self.transitions = p
        self.order = p.ndim - 1
        self.vocab_size = p.shape[-1]
        self.stationary = _stationary(p)
        surprise = -np.log2(p, where=p > 0, out=np.zeros_like(p))
        self.entropy_rate = float((self.stationary[..., None] * p * surprise).sum())

    @classmethod
    def random(
        cls, order: int, vocab_size: int, *, concentration: float = 0.3, rng: np.random.Generator | int | None = None
    ) -> Self:
        """A chain whose every row is drawn from a symmetric Dirichlet distribution.

        concentration: small values make a predictable source (a few likely successors per context), large ones a
        nearly uniform one. rng: a generator or a seed.
        """
        if order < 0:
            raise ValueError(f"order must not be negative, got {order!r}: 0 draws every symbol independently")
        if vocab_size < 2:
            raise ValueError(f"vocab_size must be at least 2, got {vocab_size!r}: one symbol carries no information")
        if vocab_size ** (order + 1) > MAX_STATES:
            raise ValueError(
                f"vocab_size ** (order + 1) must be at most {MAX_STATES}, got {vocab_size} ** {order + 1}: "
                "lower the order or the vocabulary"
            )
        if not concentration > 0:
            raise ValueError(f"concentration must be positive, got {concentration!r}: try 0.3")
        rng = np.random.default_rng(rng)
        rows = rng.dirichlet(np.full(vocab_size, concentration), size=(vocab_size,) * order)
        return cls(rows)

    @property
    def perplexity(self) -> float:
        """2 ** entropy_rate: no model has a lower perplexity on a long sample."""
        return 2**self.entropy_rate

    def bits_per_symbol(self, symbols: ArrayLike) -> float:
        """What the chain itself, the best of all models, spends on (N,) symbols after the first k.."""
        symbols = np.asarray(symbols)
        windows = len(symbols) - self.order
        if windows < 1:
            raise ValueError(
                f"symbols must be more than {self.order}, got {len(symbols)}: the first {self.order} are given"
            )
        p = self.transitions[tuple(symbols[i : i + windows] for i in range(self.order + 1))]
        with np.errstate(divide="ignore"):
            return float(-np.log2(p).mean())

    def sample(self, n: int, rng: np.random.Generator | int | None = None) -> NDArray[np.int64]:
        """(n,) symbols of a chain in its stationary state; 0.2 s per million. rng: a generator or a seed."""
        if n < 0:
            raise ValueError(f"n must not be negative, got {n!r}: it is the number of symbols to draw")
        rng = np.random.default_rng(rng)
        # A chain cannot be drawn in parallel; plain lists and bisect are many times faster here than numpy scalars.
        states = self.vocab_size**self.order
        cumulative = np.cumsum(self.transitions.reshape(states, self.vocab_size), axis=-1)
        cumulative /= cumulative[:, -1:]  # the last entry is exactly 1, above every uniform draw
        rows = cumulative.tolist()
        state = int(rng.choice(states, p=self.stationary.ravel()))
        drawn = []
        for u in rng.random(n).tolist():
            symbol = bisect_right(rows[state], u)
            state = (state * self.vocab_size + symbol) % states
            drawn.append(symbol)
        return np.array(drawn, dtype=np.int64)


def _stationary(p: FloatArray, tolerance: float = 1e-15, max_steps: int = 100_000) -> FloatArray:
    """(V,) * order, the distribution over contexts that one step leaves as it is, by power iteration."""
    if p.ndim == 1:
        return np.ones(())
    share = np.full(p.shape[:-1], 1 / p[..., 0].size)
    for _ in range(max_steps):
        # One step: the oldest symbol is summed out, the new one becomes the last. Averaging with the old value leaves
        # the solution alone and keeps a chain that runs in circles from swinging for ever.
        after = (share + (share[..., None] * p).sum(axis=0)) / 2
        if np.abs(after - share).sum() < tolerance * 10:
            return after / after.sum()
        share = after
    raise ValueError(
        f"transitions mix too slowly: no stationary distribution after {max_steps} steps; "
        "is every context reachable from every other?"
    )
