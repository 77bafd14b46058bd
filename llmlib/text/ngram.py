"""n-gram language models: the next token from counts of the last order - 1 tokens. Built in lecture 01.

The smoothing formulas are in `llmlib.text.smoothing`, the counting in `llmlib.text.ngram_counts`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmlib.text import smoothing as formulas
from llmlib.text.ngram_counts import UNKNOWN, IntArray, Level, as_tokens, count_levels, previous

Smoothing = Literal["mle", "add_k", "jelinek_mercer", "witten_bell", "kneser_ney"]
FloatArray = NDArray[np.float64]


class NGramModel:
    """P(token | last order - 1 tokens) by counting, with one of five smoothings.

    order: length of the longest n-gram, 1 for single tokens; any length works.
    smoothing: "mle" (relative frequencies), "add_k" (uses `k`), "jelinek_mercer" (uses `lambdas`: one weight, or one
        per order from single tokens up), "witten_bell", "kneser_ney" (interpolated; uses `discount`).
    vocab_size: number of token ids; None takes the largest id in the training tokens plus one.

    Start of a text: nothing is padded. The first token has no context, the second one token of context, and so on; such
    a token is estimated at the order that its context allows. Give several texts as a list and no n-gram crosses from
    one to the next; put a start or end token into them if the model should learn where texts start and end.

    Unseen: the interpolated smoothings pass to shorter contexts and, where part of the vocabulary never occurred, on to
    the uniform distribution, so every probability is positive. With "mle" an unseen n-gram has probability 0, log
    probability -inf, and the text that contains it perplexity inf: that is its point, not an error.

    Equal to nltk.lm's MLE, Lidstone (whose vocabulary holds one more token, <UNK>), WittenBellInterpolated and
    KneserNeyInterpolated; the last unless some n-gram shorter than `order` only ever opens a text, so that nothing was
    ever seen before it. nltk gives it a continuation count of 0, this model its raw count (Heafield et al., 2013). And
    tokens of the vocabulary that training never held have probability 0 in nltk's two interpolated models.
    """

    def __init__(
        self,
        order: int,
        smoothing: Smoothing = "kneser_ney",
        *,
        k: float = 1.0,
        lambdas: float | Sequence[float] = 0.5,
        discount: float = 0.75,
        vocab_size: int | None = None,
    ) -> None:
        if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 1:
            raise ValueError(f"order must be an integer of at least 1, got {order!r}: 1 counts single tokens, 2 pairs")
        if smoothing not in formulas.SMOOTHINGS:
            raise ValueError(f"smoothing must be one of {', '.join(formulas.SMOOTHINGS)}, got {smoothing!r}")
        if not 0 < k < math.inf:
            raise ValueError(f"k must be positive, got {k!r}: use smoothing='mle' to add nothing")
        if not 0 < discount < 1:
            raise ValueError(f"discount must lie between 0 and 1, both excluded, got {discount!r}: 0.75 is usual")
        weights = np.asarray(lambdas, float)
        if weights.shape not in ((), (order,)):
            raise ValueError(
                f"lambdas must be one number or {order} (one per order), got shape {weights.shape}: "
                "the first weighs single tokens, the last the full context"
            )
        if not ((weights >= 0) & (weights <= 1)).all():
            raise ValueError(
                f"lambdas must lie in 0..1, got {lambdas!r}: each is the weight of one order's frequencies"
            )
        if vocab_size is not None and vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, got {vocab_size!r}: pass the tokenizer's vocab_size")
        self.order = int(order)
        self.smoothing = smoothing
        self.k = k
        self.discount = discount
        self.lambdas = np.broadcast_to(weights, (self.order,)).copy()
        self.vocab_size = self._given_vocab_size = vocab_size
        self._levels: list[Level] = []

    def __repr__(self) -> str:
        return f"NGramModel(order={self.order}, smoothing={self.smoothing!r}, vocab_size={self.vocab_size})"

    # --- counting -----------------------------------------------------------------------------------------------

    def fit(self, tokens: ArrayLike | Sequence[ArrayLike]) -> Self:
        """Count the n-grams of a 1-D sequence of token ids, or of a list of sequences; replaces earlier counts."""
        flat, starts = as_tokens(tokens, self._given_vocab_size)
        self.vocab_size = self._given_vocab_size or int(flat.max()) + 1
        self._levels = count_levels(flat, starts, self.order, self.vocab_size, self.smoothing == "kneser_ney")
        return self

    @property
    def distinct(self) -> list[int]:
        """How many distinct n-grams of length 1, 2, ..., order the training tokens hold."""
        return [level.size for level in self._fitted()]

    def count(self, ngram: Sequence[int]) -> int:
        """How often an n-gram of length 1 to order occurred in the training tokens."""
        levels = self._fitted()
        if not 1 <= len(ngram) <= self.order:
            raise ValueError(f"ngram must have 1 to {self.order} tokens, got {len(ngram)}: raise the model's order")
        flat, _ = as_tokens(ngram, self.vocab_size, "ngram")
        found = 0
        for level, token in zip(levels, flat):
            found = level.find(np.int64(found), token)
        return int(level.raw[found])

    def unseen(self, tokens: ArrayLike | Sequence[ArrayLike]) -> FloatArray:
        """(order,) the fraction of the n-grams of a text, length 1 up, that training never saw; nan if it has none."""
        self._fitted()
        flat, starts = as_tokens(tokens, self.vocab_size)
        length = _context_length(len(flat), starts)
        fractions = []
        for m, _, ids in self._walk(flat, starts):
            complete = ids[length >= m - 1]
            fractions.append(np.mean(complete == UNKNOWN) if len(complete) else np.nan)
        return np.array(fractions)

    # --- probabilities ------------------------------------------------------------------------------------------

    def logprob(self, tokens: ArrayLike | Sequence[ArrayLike]) -> FloatArray:
        """(N,) log-probability in nats of every token given those before it (several sequences: one after the other).

        -inf where the probability is zero, which only "mle" has (or `lambdas` of 0 or 1).
        """
        self._fitted()
        flat, starts = as_tokens(tokens, self.vocab_size)
        length = _context_length(len(flat), starts)
        p = np.full(len(flat), 1 / self.vocab_size)
        for m, context, ids in self._walk(flat, starts):
            level = self._levels[m - 1]
            estimate = self._estimate(m, level.count[ids], level.total[context], level.types[context], p)
            p = np.where(length >= m - 1, estimate, p)
        with np.errstate(divide="ignore"):
            return np.log(p)

    def prob(self, token: int, context: Sequence[int] = ()) -> float:
        """P(token | context). Only the last order - 1 tokens of the context matter; a shorter one is as good."""
        self._fitted()
        return float(np.exp(self.logprob([*self._context(context), token])[-1]))

    def probs(self, context: Sequence[int] = ()) -> FloatArray:
        """(V,) P(. | context), summing to 1; all zeros where "mle" never saw the context, for there is no estimate."""
        self._fitted()
        return self._distribution(self._state(self._context(context)))

    def topk(self, context: Sequence[int] = (), k: int = 10) -> tuple[IntArray, FloatArray]:
        """The k most probable next tokens and their probabilities, best first (ties: the smaller id first)."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k!r}: it is the number of tokens to return")
        p = self.probs(context)
        best = np.argsort(-p, kind="stable")[:k]
        return best, p[best]

    # --- how well a text is predicted ---------------------------------------------------------------------------

    def perplexity(self, tokens: ArrayLike | Sequence[ArrayLike]) -> float:
        """exp of the mean negative log-probability: the number of equally likely tokens that would surprise as much."""
        return float(np.exp(-self.logprob(tokens).mean()))

    def bits_per_token(self, tokens: ArrayLike | Sequence[ArrayLike]) -> float:
        """Mean negative log2-probability: the bits a perfect code driven by this model spends per token."""
        return -float(self.logprob(tokens).mean()) / math.log(2)

    def bits_per_char(self, tokens: ArrayLike | Sequence[ArrayLike], text: str) -> float:
        """Bits for `tokens` per character of the `text` that they encode: comparable across tokenizers."""
        if not text:
            raise ValueError("text is empty: pass the text that the tokens encode")
        return -float(self.logprob(tokens).sum()) / math.log(2) / len(text)

    def bits_per_byte(self, tokens: ArrayLike | Sequence[ArrayLike], text: str) -> float:
        """Bits for `tokens` per UTF-8 byte of `text`: comparable across tokenizers and scripts."""
        return self.bits_per_char(tokens, text) * len(text) / max(len(text.encode()), 1)

    def tune_lambdas(self, held_out: ArrayLike | Sequence[ArrayLike], n_steps: int = 20) -> Self:
        """Set `lambdas` by expectation-maximisation on text not used for counting (Jelinek and Mercer, 1980).

        On the training text itself the longest context would take all the weight: it has seen everything there.
        """
        if self.smoothing != "jelinek_mercer":
            raise ValueError(f"smoothing is {self.smoothing!r}, which has no lambdas: use smoothing='jelinek_mercer'")
        self._fitted()
        flat, starts = as_tokens(held_out, self.vocab_size, "held_out")
        usable, frequency = [], []
        for m, context, ids in self._walk(flat, starts):
            level = self._levels[m - 1]
            usable.append(level.total[context] > 0)
            frequency.append(formulas.mle(level.count[ids], level.total[context]))
        uniform = np.full(len(flat), 1 / self.vocab_size)
        self.lambdas = formulas.tune_weights(self.lambdas, frequency, usable, uniform, n_steps)
        return self

    # --- writing ------------------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        context: Sequence[int] = (),
        *,
        temperature: float = 1.0,
        rng: np.random.Generator | int | None = None,
    ) -> IntArray:
        """(n,) tokens drawn one after the other, each given the context and the tokens drawn before it.

        temperature: p ** (1 / temperature), renormalised; below 1 keeps to frequent continuations. rng: a generator or
        a seed. "mle" shortens a context that it never saw until it knows it, so that it always has something to say.
        """
        self._fitted()
        if n < 0:
            raise ValueError(f"n must not be negative, got {n!r}: it is the number of tokens to draw")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature!r}: for the most probable, use topk(...)")
        rng = np.random.default_rng(rng)
        state = self._state(self._context(context))
        drawn = np.empty(n, np.int64)
        for i, u in enumerate(rng.random(n)):
            while self.smoothing == "mle" and self._levels[len(state) - 1].total[state[-1]] == 0:
                state.pop()
            p = self._distribution(state)
            if temperature != 1:
                p = (p / p.max()) ** (1 / temperature)
            cumulative = np.cumsum(p)
            drawn[i] = np.searchsorted(cumulative, u * cumulative[-1], side="right")
            state = self._advance(state, drawn[i])
        return drawn

    # --- inside -------------------------------------------------------------------------------------------------

    def _fitted(self) -> list[Level]:
        if not self._levels:
            raise RuntimeError("NGramModel has no counts yet: call fit(tokens) first")
        return self._levels

    def _estimate(
        self, m: int, count: FloatArray, total: FloatArray, types: FloatArray, lower: FloatArray
    ) -> FloatArray:
        """The smoothing's probability at order m from its counts and the estimate of order m - 1."""
        if self.smoothing == "mle":
            return formulas.mle(count, total)
        if self.smoothing == "add_k":
            return formulas.add_k(count, total, self.k, self.vocab_size)
        if self.smoothing == "jelinek_mercer":
            return formulas.jelinek_mercer(count, total, lower, self.lambdas[m - 1])
        if m == 1 and self._levels[0].size == self.vocab_size:
            return formulas.mle(count, total)  # every token occurred: there is no unseen one to save probability for
        if self.smoothing == "witten_bell":
            return formulas.witten_bell(count, total, types, lower)
        return formulas.kneser_ney(count, total, types, lower, self.discount)

    def _walk(self, tokens: IntArray, starts: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
        """For m = 1..order: m, and for every position the ids of its (m-1)-token context and of its m-gram."""
        context = np.zeros(len(tokens), np.int64)
        for m, level in enumerate(self._levels, start=1):
            ids = level.find(context, tokens)
            yield m, context, ids
            context = previous(ids, starts)

    def _context(self, context: Sequence[int]) -> IntArray:
        """The part of a context that matters: its last order - 1 tokens, or all of it where it has fewer."""
        if isinstance(context, (str, bytes)) or np.ndim(context) != 1:
            raise TypeError(
                f"context must be a sequence of token ids, got {context!r}: "
                "encode text with a tokenizer, put a single id into a list"
            )
        if len(context) == 0:
            return np.empty(0, np.int64)
        tokens, _ = as_tokens(context, self.vocab_size, "context")
        return tokens[max(0, len(tokens) - (self.order - 1)) :]

    def _state(self, context: IntArray) -> list[int]:
        """The ids of the last 0, 1, ... tokens of a context: all that the next distribution depends on."""
        state = [0]
        for token in context:
            state = self._advance(state, token)
        return state

    def _advance(self, state: list[int], token: int) -> list[int]:
        longer = [int(level.find(np.int64(s), token)) for level, s in zip(self._levels[: self.order - 1], state)]
        return [0, *longer]

    def _distribution(self, state: list[int]) -> FloatArray:
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for m, (level, s) in enumerate(zip(self._levels, state), start=1):
            p = self._estimate(m, level.continuation_counts(s), level.total[s], level.types[s], p)
        return p


def _context_length(n: int, starts: IntArray) -> IntArray:
    """(n,) how many tokens of the same sequence stand before each position."""
    position = np.arange(n)
    return position - starts[np.searchsorted(starts, position, side="right") - 1]
