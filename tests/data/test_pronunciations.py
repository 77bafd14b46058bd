"""Words and their sounds: no word family on two sides, and errors counted as by hand."""

import re

import pytest

from llmlib.data import Pronunciation, edit_distance, phoneme_errors, pronunciations


def test_no_family_is_on_two_sides():
    sides = {split: pronunciations(split) for split in ("train", "choose", "report")}
    families = {split: {each.word[:5] for each in words} for split, words in sides.items()}
    assert not families["train"] & families["report"] and not families["train"] & families["choose"]
    assert not families["choose"] & families["report"]
    sizes = {split: len(words) for split, words in sides.items()}
    assert sum(sizes.values()) > 116_000 and 4_000 < sizes["report"] < 8_000 and 4_000 < sizes["choose"] < 8_000


def test_words_are_letters_and_sounds_have_no_stress():
    for split in ("choose", "report"):
        for each in pronunciations(split):
            assert re.fullmatch("[a-z]{2,14}", each.word)
            assert each.spoken and len(set(each.spoken)) == len(each.spoken)
            assert all(re.fullmatch("[A-Z]{1,2}", sound) for way in each.spoken for sound in way)
    with pytest.raises(ValueError, match="choose one of"):
        pronunciations("test")


def test_what_a_dictionary_says():
    words = {each.word: each.spoken for split in ("train", "choose", "report") for each in pronunciations(split)}
    assert words["language"] == (("L", "AE", "NG", "G", "W", "AH", "JH"), ("L", "AE", "NG", "G", "W", "IH", "JH"))
    assert "HH AE V".split() == list(words["have"][0])


@pytest.mark.parametrize(
    ("a", "b", "n"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 2), ("flaw", "lawn", 2)]
)
def test_edit_distance(a, b, n):
    assert edit_distance(a, b) == edit_distance(b, a) == n


def test_the_closest_way_counts():
    word = Pronunciation("either", (("IY", "DH", "ER"), ("AY", "DH", "ER")))
    assert phoneme_errors(word, ["AY", "DH", "ER"]) == (0, 3)
    assert phoneme_errors(word, ["AY", "D", "ER", "Z"]) == (2, 3)
    assert phoneme_errors(word, []) == (3, 3)
