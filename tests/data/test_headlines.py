"""Headlines: what the file holds, splits that leak nothing, and draws of k examples a class."""

import random
from collections import Counter
from itertools import combinations

import pytest

from llmlib.data import Headline, draw_per_class, headlines
from llmlib.data.headlines import SPLITS, same_words


@pytest.fixture(scope="module")
def splits():
    return {name: headlines(name) for name in SPLITS}


def test_the_splits_hold_every_row_once_in_their_shares(splits):
    everything = [each for part in splits.values() for each in part]
    assert len(everything) == 28_614 and Counter(each.label for each in everything) == {0: 14_984, 1: 13_630}
    for name, share in SPLITS.items():
        assert len(splits[name]) == pytest.approx(share * len(everything), abs=25)
        assert sum(each.label for each in splits[name]) / len(splits[name]) == pytest.approx(0.476, abs=0.03)
    assert Headline("area man killed in committee", 1, 0).text in {each.text for each in everything}
    assert all(each.text and each.text == " ".join(each.text.split()) for each in everything)


def test_no_headline_has_its_like_in_another_split(splits):
    groups = {name: {each.group for each in part} for name, part in splits.items()}
    words = {name: {frozenset(each.text.replace("'", " ").split()) for each in part} for name, part in splits.items()}
    for one, other in combinations(SPLITS, 2):
        assert not groups[one] & groups[other]
        assert not words[one] & words[other]


def test_the_order_is_shuffled_and_the_lists_are_ours(splits):
    for part in splits.values():
        assert sum(each.label for each in part[:600]) / 600 == pytest.approx(0.476, abs=0.07)
    headlines("choose").clear()
    assert headlines("choose") == splits["choose"]
    with pytest.raises(ValueError, match="split is 'test': choose one of unlabelled, train, choose, report"):
        headlines("test")


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6, 1.0])
def test_alike_texts_are_found_as_by_comparing_all(threshold):
    rng = random.Random(0)
    texts = [" ".join(rng.choices("abcdefgh", k=rng.randint(1, 7))) for _ in range(60)] + ["?", "?", ""]
    sets = [frozenset(text.split()) or frozenset([text]) for text in texts]
    first = list(range(len(texts)))
    for _ in texts:
        for i, j in combinations(range(len(texts)), 2):
            if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j]) - 1e-9:
                first[i] = first[j] = min(first[i], first[j])
    assert same_words(texts, threshold) == first
    with pytest.raises(ValueError, match="threshold=0 must lie"):
        same_words(texts, 0)


def test_a_draw_holds_k_of_each_class_and_grows_with_k():
    examples = [Headline(f"headline {i}", i % 3, i) for i in range(90)]
    few, more = draw_per_class(examples, 4, seed=1), draw_per_class(examples, 20, seed=1)
    assert Counter(each.label for each in few) == {0: 4, 1: 4, 2: 4}
    assert set(few) < set(more) and len(set(more)) == 60
    assert few == draw_per_class(examples, 4, seed=1) != draw_per_class(examples, 4, seed=2)
    assert [each.label for each in more] != sorted(each.label for each in more)
    assert len(draw_per_class(["a", "bb", "cc"], 1, label=len)) == 2


def test_a_class_without_enough_examples_is_named():
    examples = [Headline("one", 0, 0), Headline("two", 0, 1), Headline("three", 1, 2)]
    with pytest.raises(ValueError, match="class 1 has only 1, k=2 are asked for: draw fewer"):
        draw_per_class(examples, 2)
    with pytest.raises(ValueError, match="class 2 has no example, k=1"):
        draw_per_class(examples, 1, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"examples has the class 1, classes only \[0\]"):
        draw_per_class(examples, 1, classes=[0])
    with pytest.raises(ValueError, match="examples is empty"):
        draw_per_class([], 1)
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        draw_per_class(examples, 0)
