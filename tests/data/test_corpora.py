"""The real texts. They are fetched once, about 14 MB, and then come from the cache."""

import hashlib
import re

import pytest

from llmlib.data import alice, all_plays, botchan, first_names, split_text, tiny_shakespeare

TINY_SHA256 = "2d6c16043f2bb00255c7840c7bace770f45bafb7826fcb80e87132aedcf197a7"


def test_tiny_shakespeare_is_the_text_that_results_refer_to():
    text = tiny_shakespeare()
    assert len(text) == 1_115_394 and len(set(text)) == 64
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\n")
    assert hashlib.sha256(text.encode()).hexdigest() == TINY_SHA256
    assert TINY_SHA256 in tiny_shakespeare.__doc__


def test_the_plays_hold_speeches_and_nothing_else():
    text = all_plays()
    assert len(text) == 4_782_200
    assert not set(text) & set("_*[]#\\\t\r")
    assert "To be, or not to be: that is the question:" in text
    assert "Enter HAMLET" not in text
    speeches = text.split("\n\n")
    assert len(speeches) > 30_000
    assert all(re.match(r"[^\n]+:\n.", speech) for speech in speeches)


def test_first_names_are_words_of_letters():
    names = first_names()
    assert len(names) == 5163 and names == sorted(set(names))
    assert {"mary", "james", "zoe"} <= set(names)
    assert all(re.fullmatch("[a-z]+", name) for name in names)


def test_the_novels_are_whole_and_without_wrapping():
    novel = botchan()
    assert novel.startswith("BOTCHAN (MASTER DARLING)\n") and novel.endswith("Yogen temple at Kobinata.\n")
    assert "Gutenberg" not in novel and "\r" not in novel and len(novel) > 250_000
    book = alice()
    assert "Alice was beginning to get very tired" in book and book.endswith("THE END\n")
    assert not {"\r", "\x1a"} & set(book)


def test_split_keeps_every_character_in_order():
    text = "abcdefghij" * 10
    train, val = split_text(text)
    assert train + val == text and len(val) == 10
    assert len(split_text(text, 0.25)[1]) == 25
    train, val = split_text("x" * 1_115_394)
    assert (len(train), len(val)) == (1_003_854, 111_540), "nanoGPT's split"


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 10])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(ValueError, match="val_fraction must lie between 0 and 1, got"):
        split_text("text", fraction)
