"""Rank fusion, recall, reciprocal rank and nDCG: by hand, and by other definitions."""

import math
from itertools import permutations

import pytest

from llmlib.retrieval import (
    BM25,
    Hit,
    HybridRetriever,
    dcg,
    mean_reciprocal_rank,
    ndcg,
    recall_at_k,
    reciprocal_rank,
    reciprocal_rank_fusion,
)


def test_fusion_by_hand():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["b", "d"]])
    assert [each.document for each in fused] == ["b", "a", "d", "c"]
    assert fused[0].score == pytest.approx(1 / 62 + 1 / 61) and fused[1].score == pytest.approx(1 / 61)


def test_fusion_asks_for_ranks_alone_and_k_flattens():
    first_or_second_twice = [["x", "y"], ["z", "y"]]
    assert reciprocal_rank_fusion(first_or_second_twice, k=60)[0].document == "y"
    assert reciprocal_rank_fusion(first_or_second_twice, k=-0.9)[0].document == "x"
    weighted = reciprocal_rank_fusion([["x"], ["z"]], weights=[1, 2])
    assert [each.document for each in weighted] == ["z", "x"] and weighted[0].score == pytest.approx(2 / 61)
    assert reciprocal_rank_fusion([]) == [] and reciprocal_rank_fusion([[], [1]])[0].document == 1


def test_ties_go_to_the_document_met_first():
    assert [each.document for each in reciprocal_rank_fusion([["b", "c"], ["a", "d"]])] == ["b", "a", "c", "d"]


class Fixed:
    def __init__(self, *documents):
        self.documents = documents

    def search(self, query, k=10):
        return [Hit(document, 1.0) for document in self.documents[:k]]


def test_hybrid_search_is_the_fusion_of_what_both_find():
    hybrid = HybridRetriever([Fixed(3, 1, 2), Fixed(1, 0)])
    assert [hit.document for hit in hybrid.search("?", 3)] == [1, 3, 0]
    assert [hit.document for hit in HybridRetriever([Fixed(3, 1), Fixed(0, 1)], depth=1).search("?", 1)] == [3]
    real = HybridRetriever([BM25(["a cat", "a dog"]), Fixed(1, 0)])
    assert [hit.document for hit in real.search("cat")] == [0, 1]


def test_recall_and_reciprocal_rank_by_hand():
    ranking, relevant = [4, 7, 2, 9], {2, 9, 5}
    assert [recall_at_k(ranking, relevant, k) for k in (1, 3, 4, 10)] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert reciprocal_rank(ranking, relevant) == pytest.approx(1 / 3) and reciprocal_rank(ranking, {1}) == 0
    assert mean_reciprocal_rank([[1, 2], [3]], [{2}, {3}]) == pytest.approx(0.75)


def test_ndcg_by_hand():
    gains = [3, 2, 0, 1]
    expected = 3 + 2 / math.log2(3) + 1 / math.log2(5)
    assert dcg(gains) == pytest.approx(expected)
    assert ndcg(gains) == pytest.approx(expected / (3 + 2 / math.log2(3) + 1 / math.log2(4)))
    assert dcg(gains, 1) == 3 and ndcg(gains, 1) == 1
    assert ndcg([0, 0]) == ndcg([]) == 0
    assert ndcg([1, 0], ideal=[1, 1, 0]) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_the_best_order_has_ndcg_1_and_no_other_more():
    values = {order: ndcg(order, 3) for order in permutations([3, 1, 1, 0])}
    assert max(values.values()) == values[(3, 1, 1, 0)] == pytest.approx(1)
    assert min(values, key=values.get)[0] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reciprocal_rank_fusion([[1, 1]]), r"rankings\[0\] names a document twice"),
        (lambda: reciprocal_rank_fusion([[1]], k=-1), "k=-1 must be above -1"),
        (lambda: reciprocal_rank_fusion([[1]], weights=[1, 2]), "weights has length 2 and rankings 1"),
        (lambda: HybridRetriever([]), "retrievers has 0"),
        (lambda: recall_at_k([1], set(), 1), "leave unanswerable questions out"),
        (lambda: recall_at_k([1], {1}, 0), "k=0 must be at least 1"),
        (lambda: mean_reciprocal_rank([[1]], []), "rankings has 1 and relevant 0"),
        (lambda: ndcg([-1, 2]), "relevance holds a negative number"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
