"""How good is a ranking? Recall, reciprocal rank, and discounted gain. Lecture 17."""

import math
from collections.abc import Collection, Hashable, Sequence


def recall_at_k(ranking: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """The share of the relevant documents among the first k. With one relevant document: is it there, 1 or 0?"""
    wanted = _wanted(relevant)
    _check(k)
    return len(wanted & set(ranking[:k])) / len(wanted)


def reciprocal_rank(ranking: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """1 / the rank of the first relevant document, from 1; 0 if none is in the ranking."""
    wanted = _wanted(relevant)
    return next((1 / rank for rank, document in enumerate(ranking, 1) if document in wanted), 0.0)


def mean_reciprocal_rank(rankings: Sequence[Sequence[Hashable]], relevant: Sequence[Collection[Hashable]]) -> float:
    """The mean of `reciprocal_rank` over questions (MRR)."""
    if len(rankings) != len(relevant) or not rankings:
        raise ValueError(f"rankings has {len(rankings)} and relevant {len(relevant)}: give one each, a question")
    return sum(map(reciprocal_rank, rankings, relevant)) / len(rankings)


def dcg(relevance: Sequence[float], k: int | None = None) -> float:
    """The sum of relevance / log2(rank + 1) over the first k (Järvelin and Kekäläinen, 2002)."""
    _check(k)
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(relevance[:k], 1))


def ndcg(relevance: Sequence[float], k: int | None = None, *, ideal: Sequence[float] | None = None) -> float:
    """DCG of the first k over that of the best order: from 0 to 1; 0 where nothing is relevant.

    relevance: of each document in the order found, 0 for an irrelevant one. ideal: the relevances of *all* documents,
    in any order; without it the best order of those found, which forgives what was not found at all. Gains count as
    they are; another convention takes 2^relevance - 1, the same for 0 and 1.
    """
    if any(gain < 0 for gain in [*relevance, *(ideal or ())]):
        raise ValueError("relevance holds a negative number: 0 is the least, for a document that does not help")
    best = dcg(sorted(relevance if ideal is None else ideal, reverse=True), k)
    return dcg(relevance, k) / best if best else 0.0


def _wanted(relevant: Collection[Hashable]) -> set[Hashable]:
    if isinstance(relevant, str) or not relevant:
        raise ValueError(f"relevant is {relevant!r}: give a set of documents; leave unanswerable questions out")
    return set(relevant)


def _check(k: int | None) -> None:
    if k is not None and k < 1:
        raise ValueError(f"k={k} must be at least 1, the places that count")
