"""Exact search in blocks equals the whole product sorted; files; the same by faiss where it is installed."""

import tracemalloc

import numpy as np
import pytest

from llmlib.retrieval import FaissIndex, VectorIndex


def unit(n, d=16, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def whole(vectors, queries, k):
    scores = queries @ vectors.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.mark.parametrize("memory_mb", [64, 0.01])
@pytest.mark.parametrize("k", [1, 7, 500])
def test_blocks_give_what_the_whole_gives(memory_mb, k):
    vectors, queries = unit(300), unit(20, seed=1)
    found = VectorIndex(vectors, memory_mb=memory_mb).search(queries, k)
    scores, _ = whole(vectors, queries, k)
    assert found.indices.shape == (20, min(k, 300))
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(queries @ vectors.T, found.indices, axis=1), scores, atol=1e-6)


def test_equal_scores_come_in_order():
    vectors = np.ones((50, 2), np.float32)
    vectors[30] = 2
    for memory_mb in (64, 1e-4):
        found = VectorIndex(vectors, memory_mb=memory_mb).search(np.ones(2, np.float32), 4)
        assert found.indices.tolist() == [[30, 0, 1, 2]]


def test_half_precision_takes_half_and_errs_little():
    vectors, queries = unit(2000, 64), unit(10, 64, seed=2)
    exact, half = VectorIndex(vectors).search(queries), VectorIndex(vectors, dtype="float16")
    assert half.vectors.nbytes * 2 == vectors.nbytes
    found = half.search(queries)
    assert np.abs(found.scores - exact.scores).max() < 1e-3
    shared = [len(set(a) & set(b)) for a, b in zip(found.indices.tolist(), exact.indices.tolist())]
    assert sum(shared) >= 95


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_memory_stays_bounded(dtype):
    """100,000 vectors, 2,000 questions: all scores would take 800 MB."""
    vectors, queries = unit(100_000, 8).astype(dtype), unit(2000, 8, seed=3)
    index = VectorIndex(vectors, dtype=dtype, memory_mb=8)
    tracemalloc.start()
    index.search(queries[:64], 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6


def test_files_are_mapped(tmp_path):
    vectors, queries = unit(100), unit(3, seed=4)
    index = VectorIndex(vectors)
    assert index.save(tmp_path / "vectors") == tmp_path / "vectors.npy"
    mapped = VectorIndex.load(tmp_path / "vectors")
    assert isinstance(mapped.vectors, np.memmap) and len(mapped) == 100
    np.testing.assert_array_equal(mapped.search(queries).indices, index.search(queries).indices)
    index.save(tmp_path / "half.npy", dtype="float16")
    half = VectorIndex.load(tmp_path / "half.npy")
    assert half.vectors.dtype == np.float16 and (tmp_path / "half.npy").stat().st_size < 100 * 16 * 2 + 200
    assert VectorIndex.load(tmp_path / "half.npy", dtype="float32").vectors.dtype == np.float32
    assert not isinstance(VectorIndex.load(tmp_path / "half.npy", memory_map=False).vectors, np.memmap)


def test_no_query_no_neighbour():
    found = VectorIndex(unit(5)).search(np.empty((0, 16), np.float32), 3)
    assert found.scores.shape == found.indices.shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VectorIndex(np.ones(3)), r"vectors has shape \(3,\)"),
        (lambda: VectorIndex(np.ones((3, 2), int)), "dtype int64: give floats"),
        (lambda: VectorIndex(unit(3), dtype="int8"), "dtype is 'int8': choose one of float16, float32"),
        (lambda: VectorIndex(unit(3), memory_mb=0), "memory_mb=0 must be positive"),
        (lambda: VectorIndex(unit(3)).search(unit(1, 8)), "queries has 8 columns and the index 16"),
        (lambda: VectorIndex(unit(3)).search(unit(1), 0), "k=0 must be at least 1"),
        (lambda: FaissIndex(unit(3), kind="ivf"), "kind is 'ivf': choose one of flat, hnsw"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_faiss_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install faiss-cpu.*or use VectorIndex"):
        FaissIndex(unit(3))


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_faiss_finds_the_same(kind):
    pytest.importorskip("faiss")
    vectors, queries = unit(500), unit(20, seed=5)
    exact, found = VectorIndex(vectors).search(queries, 5), FaissIndex(vectors, kind=kind).search(queries, 5)
    assert found.indices.dtype == np.int64 and found.scores.dtype == np.float32
    agree = (found.indices == exact.indices).mean()
    assert agree == 1 if kind == "flat" else agree > 0.9
    assert len(FaissIndex(vectors)) == 500 and FaissIndex(vectors[:2]).search(queries[0], 5).indices.shape == (1, 2)
