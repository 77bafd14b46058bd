"""Several rankings made one: reciprocal rank fusion, and the hybrid search that uses it. Lecture 17."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from .hits import Hit, Retriever


class Fused(NamedTuple):
    """document: as the rankings name it. score: the sum of 1 / (k + rank)."""

    document: Hashable
    score: float


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Hashable]], k: float = 60, *, weights: Sequence[float] | None = None
) -> list[Fused]:
    """Documents by the sum over rankings of weight / (k + rank), rank from 1; best first (Cormack et al., 2009).

    rankings: names of documents, best first, each at most once in a ranking; a list need not hold all. It asks for
    places alone, so scores of different kinds need no common scale. k: how little the first places stand out. Ties go
    to the document met first, rank by rank.
    """
    if k <= -1:
        raise ValueError(f"k={k} must be above -1; the usual one is 60")
    weights = [1.0] * len(rankings) if weights is None else list(weights)
    if len(weights) != len(rankings):
        raise ValueError(f"weights has length {len(weights)} and rankings {len(rankings)}: give one each")
    scores: dict[Hashable, float] = {}
    met: dict[Hashable, tuple[int, int]] = {}
    for number, (ranking, weight) in enumerate(zip(rankings, weights)):
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"rankings[{number}] names a document twice: keep its best place")
        for rank, document in enumerate(ranking, 1):
            scores[document] = scores.get(document, 0.0) + weight / (k + rank)
            met[document] = min(met.get(document, (rank, number)), (rank, number))
    order = sorted(scores, key=lambda document: (-scores[document], met[document]))
    return [Fused(document, scores[document]) for document in order]


class HybridRetriever:
    """Several retrievers over the same documents, their rankings fused. depth: how many hits of each take part.

    The scores are those of the fusion and say nothing of how relevant a document is: a ranking has a first place even
    where nothing fits. Ask a retriever whose scores mean something, see `answer_from_sources`.
    """

    def __init__(
        self,
        retrievers: Sequence[Retriever],
        *,
        depth: int = 100,
        k: float = 60,
        weights: Sequence[float] | None = None,
    ):
        if not retrievers or depth < 1:
            raise ValueError(f"retrievers has {len(retrievers)} and depth={depth}: give at least one of each")
        self.retrievers, self.depth, self.k, self.weights = list(retrievers), depth, k, weights

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """The k best documents, best first."""
        depth = max(self.depth, k)
        rankings = [[hit.document for hit in each.search(query, depth)] for each in self.retrievers]
        fused = reciprocal_rank_fusion(rankings, self.k, weights=self.weights)
        return [Hit(document, score) for document, score in fused[:k]]
