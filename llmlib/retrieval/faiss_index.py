"""The same search through faiss, for collections that an exact search in numpy is too slow for. Lecture 17."""

import importlib
from types import ModuleType

import numpy as np

from .vector_index import Neighbours, _matrix

KINDS = ("flat", "hnsw")


class FaissIndex:
    """`VectorIndex`'s search by faiss (Johnson et al., 2019): `pip install faiss-cpu`, an extra of the course.

    kind: "flat" is exact; "hnsw" walks a graph of neighbours (Malkov and Yashunin, 2018), which finds most of the
    nearest in a small part of the time. links: of each vector in the graph; breadth: of the walk, more finds more.
    """

    def __init__(self, vectors: np.ndarray, *, kind: str = "flat", links: int = 32, breadth: int = 64):
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: choose one of {', '.join(KINDS)}")
        faiss = _faiss()
        vectors = np.ascontiguousarray(_matrix(vectors, "vectors"), dtype=np.float32)
        if kind == "flat":
            self.index = faiss.IndexFlatIP(vectors.shape[1])
        else:
            self.index = faiss.IndexHNSWFlat(vectors.shape[1], links, faiss.METRIC_INNER_PRODUCT)
            self.index.hnsw.efSearch = breadth
        self.index.add(vectors)

    def __len__(self) -> int:
        return self.index.ntotal

    def search(self, queries: np.ndarray, k: int = 10) -> Neighbours:
        """As `VectorIndex.search`; the order of equal scores is faiss's own."""
        queries = np.ascontiguousarray(_matrix(np.atleast_2d(queries), "queries"), dtype=np.float32)
        if k < 1:
            raise ValueError(f"k={k} must be at least 1, the vectors wanted")
        return Neighbours(*self.index.search(queries, min(k, len(self))))


def _faiss() -> ModuleType:
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise ImportError(
            "faiss is not installed: run `pip install faiss-cpu`, or use VectorIndex, which needs nothing"
        ) from None
