"""Counts of n-grams of any length, in sorted numpy arrays.

Five word ids packed side by side do not fit into 64 bits, so an n-gram gets its number by induction: its key is
`id of its first n-1 tokens * vocab_size + last token`, and its id is the rank of that key among the distinct keys. Ids
stay below the length of the corpus whatever the order. Two things follow: counting is one `np.unique` per order, and
the tokens that follow a context lie next to each other (a sparse matrix, contexts by tokens). Built in lecture 01.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
UNKNOWN = -1  # the id of an n-gram never seen; used as an index it picks the zero at the end of every array of a Level


@dataclass(frozen=True)
class Level:
    """All distinct n-grams of one length. U is their number, C that of their contexts (one token shorter).

    Every array ends in one entry more than it needs, so that index -1 (`UNKNOWN`) reads a count of zero.
    """

    keys: IntArray  # (U+1,) context id * vocab_size + token, ascending
    raw: IntArray  # (U+1,) how often each n-gram was seen
    count: IntArray  # (U+1,) what smoothing works with: `raw`, or continuation counts for Kneser-Ney
    total: IntArray  # (C+1,) sum of `count` over the tokens that follow a context
    types: IntArray  # (C+1,) number of distinct tokens that follow a context
    row: IntArray  # (C+1,) the n-grams of context c are the entries row[c] to row[c+1]
    vocab_size: int

    @property
    def size(self) -> int:
        """Number of distinct n-grams."""
        return len(self.keys) - 1

    def find(self, context: IntArray, token: IntArray) -> IntArray:
        """Ids of the n-grams (context, token), `UNKNOWN` where there is none; the inputs broadcast."""
        wanted = context * self.vocab_size + token  # negative, hence never found, where the context is unknown
        ids = np.searchsorted(self.keys, wanted)
        return np.where(self.keys[ids] == wanted, ids, UNKNOWN)

    def continuation_counts(self, context: int) -> NDArray[np.float64]:
        """(V,) the count of every token after one context; all zero for an unknown context."""
        counts = np.zeros(self.vocab_size)
        if context != UNKNOWN:
            entries = slice(self.row[context], self.row[context + 1])
            counts[self.keys[entries] - context * self.vocab_size] = self.count[entries]
        return counts


def previous(ids: IntArray, starts: IntArray) -> IntArray:
    """(N,) for each position the id of the n-gram that ended one token earlier; `UNKNOWN` where a sequence starts."""
    shifted = np.empty_like(ids)
    shifted[1:] = ids[:-1]
    shifted[starts] = UNKNOWN
    return shifted


def count_levels(tokens: IntArray, starts: IntArray, order: int, vocab_size: int, continuation: bool) -> list[Level]:
    """Count all n-grams of length 1 to `order` that lie within one sequence.

    tokens: (N,) ids, the sequences one after the other; starts: (S,) where each begins.
    continuation: below the highest order, `count` is the number of distinct tokens seen *before* the n-gram instead of
    how often it was seen (Kneser and Ney, 1995). Where nothing ever came before it (only ever at the start of a
    sequence), it keeps its raw count, as in Heafield et al. (2013); else a start token would predict nothing.
    """
    context = np.zeros(len(tokens), np.int64)  # the empty context has id 0 and precedes every token
    n_contexts = 1
    found: list[tuple[IntArray, IntArray, int]] = []  # keys, raw counts, number of contexts
    followed: list[IntArray] = []  # per level: in how many distinct ways the n-gram can be extended to the left
    shorter = np.empty(0, np.int64)
    for _ in range(order):
        here = np.flatnonzero(context != UNKNOWN)
        keys, ids_here, raw = _distinct(context[here] * vocab_size + tokens[here], n_contexts * vocab_size)
        if continuation and found:
            an_end = np.empty(len(keys), np.int64)
            an_end[ids_here] = here  # any one position at which the n-gram ends tells what it is an extension of
            followed.append(np.bincount(shorter[an_end], minlength=len(found[-1][0])))
        found.append((keys, raw, n_contexts))
        shorter = np.full(len(tokens), UNKNOWN)
        shorter[here] = ids_here
        context, n_contexts = previous(shorter, starts), len(keys)

    levels = []
    for m, (keys, raw, n_contexts) in enumerate(found):
        count = np.where(followed[m] > 0, followed[m], raw) if m < len(followed) else raw
        of = keys // vocab_size
        types = np.bincount(of, minlength=n_contexts + 1)
        total = np.bincount(of, weights=count, minlength=n_contexts + 1).astype(np.int64)
        row = np.concatenate([[0], np.cumsum(types[:-1])])
        end = np.iinfo(np.int64).max
        levels.append(
            Level(np.append(keys, end), np.append(raw, 0), np.append(count, 0), total, types, row, vocab_size)
        )
    return levels


def _distinct(keys: IntArray, bound: int) -> tuple[IntArray, IntArray, IntArray]:
    """np.unique with inverse and counts. All keys lie in [0, bound); a table beats sorting where it stays small."""
    if bound > 8 * len(keys):
        return np.unique(keys, return_inverse=True, return_counts=True)
    table = np.bincount(keys, minlength=bound)
    distinct = np.flatnonzero(table)
    counts = table[distinct]
    table[distinct] = np.arange(len(distinct))
    return distinct, table[keys], counts


def as_tokens(
    tokens: ArrayLike | Sequence[ArrayLike], vocab_size: int | None, name: str = "tokens"
) -> tuple[IntArray, IntArray]:
    """One sequence of token ids, or a list of sequences, as a flat (N,) array and the (S,) starts of the sequences.

    Raises TypeError for anything but integers, ValueError for no token at all and for ids outside the vocabulary.
    """
    several = isinstance(tokens, (list, tuple)) and len(tokens) > 0 and np.ndim(tokens[0]) == 1
    sequences = [np.asarray(s) for s in (tokens if several else [tokens])]
    for s in sequences:
        if s.ndim != 1 or (s.size and s.dtype.kind not in "iu"):
            got = f"a {s.ndim}-D array" if s.ndim > 1 else type(tokens).__name__
            raise TypeError(
                f"{name} must be a 1-D sequence of integer token ids (or a list of such sequences), got {got} "
                f"with dtype {s.dtype}: encode text with a tokenizer first"
            )
    sequences = [s.astype(np.int64) for s in sequences if s.size]
    if not sequences:
        raise ValueError(f"{name} is empty: pass at least one token")
    flat = np.concatenate(sequences)
    outside = (flat < 0) | (flat >= (np.inf if vocab_size is None else vocab_size))
    if outside.any():
        i = int(outside.argmax())
        limit = "not negative" if vocab_size is None else f"in 0..{vocab_size - 1}"
        raise ValueError(
            f"{name} must be {limit}, got id {flat[i]} at position {i}: "
            "use the tokenizer of the training text, or pass a larger vocab_size"
        )
    lengths = [len(s) for s in sequences]
    return flat, np.cumsum([0, *lengths[:-1]])
