"""Overlap of word runs, exact copies and canaries, by hand."""

import math

import pytest

from llmlib import data
from llmlib.evaluate import canary, exact_duplicates, exposure, find_overlaps

TEST = ["The cat sat on the mat by the door", "A dog barked", "nothing of this sort occurs anywhere", ""]
TRAIN = [
    "Once upon a time a cat sat on the mat and slept.",
    "He said: the CAT sat, on the mat by the door! And left.",
    "a dog barked",
]


def test_overlaps_by_hand():
    found = find_overlaps(TEST, TRAIN, n=4)
    assert (found[0].share, found[0].longest, found[0].document, found[0].exact) == (1, 9, 1, True)
    assert (found[1].share, found[1].longest, found[1].document, found[1].exact) == (1, 3, 2, True)
    assert (found[2].share, found[2].longest, found[2].document, found[2].exact) == (0, 0, None, False)
    assert found[3].share == 0 and not found[3].exact
    first = find_overlaps(TEST[:1], TRAIN[:1], n=4)[0]
    assert first.share == pytest.approx(2 / 6) and first.longest == 5  # cat sat on the mat, less than the whole
    assert first.document == 0 and not first.exact


def test_pieces_from_two_documents_are_no_exact_copy():
    halves = ["the cat sat on the mat", "on the mat by the door"]
    both = find_overlaps(TEST[:1], halves, n=3)[0]
    assert both.share == 1 and both.longest == 9 and not both.exact


def test_the_share_is_that_of_the_cleaning_room():
    words = [f"w{i % 17} w{i % 5} w{i % 3}" for i in range(60)]
    test, train = [" ".join(words[i : i + 12]) for i in (0, 9, 40)], [" ".join(words[4:30]), " ".join(words[::-1])]
    for n in (2, 5, 13):
        ours = [overlap.share for overlap in find_overlaps(test, iter(train), n)]
        assert ours == pytest.approx(data.contamination(test, train, n))


def test_a_paraphrase_is_not_found():
    assert find_overlaps(["How many legs does a spider have?"], ["Spiders have how many legs?"], n=4)[0].share == 0


def test_copies_ignore_case_and_punctuation_alone():
    assert exact_duplicates(["A dog, barked!", "a cat", "A dog barked"], ["x", "a dog barked"]) == {0: 1, 2: 1}
    assert exact_duplicates(["a dog"], ["a dog barked"]) == {}


def test_canaries_and_their_exposure():
    assert canary(1) == canary(1) != canary(2) and canary(3).rstrip(".").rpartition(" ")[2].isdigit()
    assert len(canary(5, "{}", digits=3)) == 3
    assert exposure(1, 1024) == 10 and exposure(1024, 1024) == 0
    average = sum(exposure(rank, 4096) for rank in range(1, 4097)) / 4096
    assert average == pytest.approx(1 / math.log(2), abs=0.01)
    with pytest.raises(ValueError, match="rank=0 must lie between 1"):
        exposure(0, 10)
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        find_overlaps(["a"], ["a"], n=0)
