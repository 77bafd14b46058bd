"""Nearest vectors, exactly, in blocks: memory stays bounded whatever the number of vectors. Built in lecture 17."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from llmlib.files import atomic_write

KINDS = ("float16", "float32")
HALF_BLOCK = 1 << 20  # numbers of a block that are turned from float16 to float32 at a time


class Neighbours(NamedTuple):
    """scores (Q, k) float32 and indices (Q, k) int64 of the nearest vectors, the nearest first."""

    scores: np.ndarray
    indices: np.ndarray


class VectorIndex:
    """Vectors (N, d) and the search for those with the largest dot product. Vectors of length 1 make it the cosine.

    dtype: how they are kept. "float16" takes half the memory and, for cosines, errs by some 0.0003; each block is
    turned to float32 before it is multiplied, which costs next to nothing as there is less to read.
    memory_mb: how much a search may use beside the vectors. A single question to 10^5 vectors of 384 numbers in
    float32 reads 154 MB and takes about 15 ms of one core; many questions at once share the reading. `FaissIndex` is
    for what outgrows a million vectors.
    """

    def __init__(self, vectors: np.ndarray, *, dtype: str = "float32", memory_mb: float = 64):
        if dtype not in KINDS:
            raise ValueError(f"dtype is {dtype!r}: choose one of {', '.join(KINDS)}")
        if memory_mb <= 0:
            raise ValueError(f"memory_mb={memory_mb} must be positive")
        self.vectors = _matrix(vectors, "vectors").astype(dtype, copy=False)
        self.memory_mb = memory_mb

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int = 10) -> Neighbours:
        """The min(k, N) nearest of each query (Q, d), exactly; of equal scores the lower index comes first.

        One query (d,) gives arrays (1, k).
        """
        queries = _matrix(np.atleast_2d(queries), "queries").astype(np.float32, copy=False)
        if queries.shape[1] != self.vectors.shape[1]:
            raise ValueError(f"queries has {queries.shape[1]} columns and the index {self.vectors.shape[1]}")
        if k < 1:
            raise ValueError(f"k={k} must be at least 1, the vectors wanted")
        found = [self._nearest(queries[rows], min(k, len(self))) for rows in self._batches(len(queries))]
        if not found:
            return Neighbours(np.empty((0, min(k, len(self))), np.float32), np.empty((0, min(k, len(self))), np.int64))
        return Neighbours(*(np.concatenate(parts) for parts in zip(*found)))

    def save(self, path: str | PathLike, *, dtype: str | None = None) -> Path:
        """Write path (".npy" is added where it lacks), which `load` can map into memory instead of reading it."""
        if dtype is not None and dtype not in KINDS:
            raise ValueError(f"dtype is {dtype!r}: choose one of {', '.join(KINDS)}, or None for the index's own")
        path = _with_suffix(path)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.save(file, np.ascontiguousarray(self.vectors, dtype=dtype or self.vectors.dtype), allow_pickle=False)
        return path

    @classmethod
    def load(
        cls, path: str | PathLike, *, memory_map: bool = True, dtype: str | None = None, memory_mb: float = 64
    ) -> "VectorIndex":
        """An index that `save` wrote. memory_map: leave the vectors on disk; the system reads them block by block.

        dtype: by default that of the file; "float32" unpacks a float16 file into memory, for speed.
        """
        vectors = np.load(_with_suffix(path), mmap_mode="c" if memory_map else None, allow_pickle=False)
        return cls(vectors, dtype=dtype or str(vectors.dtype), memory_mb=memory_mb)

    def _batches(self, n_queries: int) -> Iterator[slice]:
        """At most 1024 questions at a time: their best so far and one block's scores have to fit."""
        for start in range(0, n_queries, 1024):
            yield slice(start, min(start + 1024, n_queries))

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        n, d = self.vectors.shape
        # A row of a block takes d numbers as float32 and, for each question, a score and its place in a partial sort.
        row_bytes = 4 * d * (self.vectors.dtype != np.float32) + (4 + 8) * len(queries)
        block = max(k, int(self.memory_mb * 1e6 / row_bytes), 1)
        scores = np.empty((len(queries), 0), np.float32)
        indices = np.empty((len(queries), 0), np.int64)
        half = self.vectors.dtype == np.float16
        if half:  # blocks that stay in the processor's cache, turned to float32 in one and the same place
            block = min(block, max(k, HALF_BLOCK // d, 1))
            buffer = torch.empty(min(block, n), d, dtype=torch.float32)
        for start in range(0, n, block):
            piece = self.vectors[start : start + block]
            if half:
                piece = piece if piece.flags.writeable else piece.copy()  # torch warns of what it must not write
                piece = buffer[: len(piece)].copy_(torch.from_numpy(np.asarray(piece))).numpy()
            fresh_scores, fresh = _top(queries @ piece.T, k)
            scores = np.concatenate([scores, fresh_scores], axis=1)
            indices = np.concatenate([indices, fresh + start], axis=1)
            scores, places = _top(scores, k)
            indices = np.take_along_axis(indices, places, axis=1)
        return scores, indices


def _top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row in order, equal ones from left to right, and their columns."""
    if scores.shape[1] <= k:
        columns = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, columns, axis=1), columns
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, [scores.shape[1] - k]]
    columns = np.empty((len(scores), k), np.int64)
    for row, (values, least) in enumerate(zip(scores, kth[:, 0])):
        sure, tied = np.flatnonzero(values > least), np.flatnonzero(values == least)
        chosen = np.sort(np.concatenate([sure, tied[: k - len(sure)]]))
        columns[row] = chosen[np.argsort(-values[chosen], kind="stable")]
    return np.take_along_axis(scores, columns, axis=1), columns


def _matrix(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asanyarray(values)
    if values.ndim != 2 or not values.shape[1] or values.dtype.kind != "f":
        raise ValueError(f"{name} has shape {values.shape} and dtype {values.dtype}: give floats (N, d)")
    return values


def _with_suffix(path: str | PathLike) -> Path:
    path = Path(path)
    return path if path.suffix == ".npy" else path.with_name(path.name + ".npy")
