"""What every search returns, and what every searcher looks like."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Hit(NamedTuple):
    """document: its place in the list that was indexed. score: higher is better; comparable within one search only,
    unless the searcher says otherwise."""

    document: int
    score: float


class Retriever(Protocol):
    """Anything that finds documents for a question: BM25, DenseRetriever, HybridRetriever, or your own."""

    def search(self, query: str, k: int = 10) -> list[Hit]: ...


def best(scores: np.ndarray, k: int, above: float = -np.inf) -> list[Hit]:
    """The k highest of scores (N,) that exceed `above`, best first; of equal scores the lower index comes first."""
    if k < 1:
        raise ValueError(f"k={k} must be at least 1, the documents wanted")
    candidates = np.flatnonzero(scores > above)
    if len(candidates) > k:
        kth = np.partition(scores[candidates], -k)[-k]
        sure, tied = candidates[scores[candidates] > kth], candidates[scores[candidates] == kth]
        candidates = np.concatenate([sure, tied[: k - len(sure)]])
    order = np.lexsort((candidates, -scores[candidates]))
    return [Hit(int(i), float(scores[i])) for i in candidates[order]]


def check_documents(documents: Sequence[str]) -> None:
    if isinstance(documents, str) or not len(documents):
        raise ValueError(f"documents is {documents[:40]!r}: give a list of texts, at least one")
