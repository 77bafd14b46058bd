"""k-means, repeats and merges, against plain loops and this library's byte-pair encoding."""

import random
from itertools import pairwise

import pytest
import torch

from llmlib.multimodal import deduplicate, kmeans, learn_unit_merges, merge_units, nearest_codes, split_units
from llmlib.text import BPETokenizer


def test_kmeans_finds_clusters_that_are_there():
    torch.manual_seed(0)
    middles = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = (middles[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)
    for seed in range(5):
        centres = kmeans(points, 4, seed=seed)
        assert torch.cdist(middles, centres).min(1).values.max() < 0.1
        codes = nearest_codes(points, centres).view(4, 50)
        assert (codes == codes[:, :1]).all() and len(codes[:, 0].unique()) == 4


def test_kmeans_ends_where_no_round_changes_anything():
    torch.manual_seed(1)
    points = torch.randn(200, 3)
    centres = kmeans(points, 7, iterations=200)
    codes = torch.tensor([min(range(7), key=lambda c: float((x - centres[c]).square().sum())) for x in points])
    assert torch.equal(codes, nearest_codes(points, centres))
    for c in range(7):
        assert torch.allclose(centres[c], points[codes == c].mean(0), atol=1e-5)


def test_kmeans_takes_as_many_codes_as_there_are_points_and_no_more():
    points = torch.tensor([[0.0], [1.0], [1.0], [5.0]])
    assert sorted(kmeans(points, 3)[:, 0].tolist()) == [0.0, 1.0, 5.0]
    with pytest.raises(ValueError, match=r"n_codes=4 .* different points, 3"):
        kmeans(points, 4)
    with pytest.raises(ValueError, match="n_codes=0"):
        kmeans(points, 0)
    with pytest.raises(ValueError, match=r"\(N, d\)"):
        kmeans(torch.empty(0, 2), 1)


def test_codes_keep_the_leading_shape():
    assert nearest_codes(torch.randn(2, 5, 3), torch.randn(4, 3)).shape == (2, 5)


def test_repeats_are_written_once_and_counted():
    assert deduplicate([7, 7, 7, 2, 2, 7]) == ([7, 2, 7], [3, 2, 1])
    assert deduplicate([]) == ([], [])
    units = random.Random(0).choices(range(3), k=200)
    kept, lengths = deduplicate(units)
    assert [u for u, n in zip(kept, lengths) for _ in range(n)] == units
    assert all(a != b for a, b in pairwise(kept))


def test_merges_are_those_of_byte_pair_encoding():
    draw = random.Random(3)
    rows = [draw.choices(range(6), weights=[8, 5, 3, 2, 1, 1], k=60) for _ in range(20)]
    texts = ["".join(chr(97 + unit) for unit in row) for row in rows]
    tokenizer = BPETokenizer.train(texts, 256 + 10)
    merges = learn_unit_merges(rows, 6, 10)
    for row, text in zip(rows, texts):
        assert len(merge_units(row, merges, 6)) <= 1.02 * len(tokenizer.encode(text))


def test_a_merge_joins_the_most_frequent_pair_and_can_be_undone():
    rows = [[0, 1, 0, 1, 2, 0, 1], [2, 2, 0, 1]]
    merges = learn_unit_merges(rows, 3, 5)
    assert merges[0] == (0, 1)
    for row in rows:
        assert split_units(merge_units(row, merges, 3), merges, 3) == row
    assert merge_units([0, 1, 0, 1, 2, 0, 1], merges[:1], 3) == [3, 3, 2, 3]
    assert merge_units([0, 0, 0], [(0, 0)], 1) == [1, 0]  # from the left


def test_merging_stops_where_no_pair_stands_twice():
    assert learn_unit_merges([[0, 1, 2]], 3, 5) == []
    with pytest.raises(ValueError, match="unit 3"):
        learn_unit_merges([[0, 3]], 3, 1)
