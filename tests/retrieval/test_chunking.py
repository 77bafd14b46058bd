"""Sections and pieces: nothing is lost, nothing is torn that need not be; the two libraries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.retrieval import Passage, chunk_text, locate, python_docs, split_sections, wikipedia_passages

PAGE = """Before the first heading.

Title
*****

Intro text.

Part one
========

Words.

   code ::= "x"

Sub
---

Deep.

Part two
========

Last.
"""


def test_sections_know_the_headings_above_them():
    sections = split_sections(PAGE)
    assert [section.path for section in sections] == [
        (),
        ("Title",),
        ("Title", "Part one"),
        ("Title", "Part one", "Sub"),
        ("Title", "Part two"),
    ]
    assert sections[2].text.strip() == 'Words.\n\n   code ::= "x"' and sections[4].text.strip() == "Last."
    assert split_sections("no heading at all")[0].text == "no heading at all" and split_sections("") == []


def test_a_table_or_rule_is_no_heading():
    text = "Title\n*****\n\n   ======\n   a  b\n   ======\n\nlong sentence here\n-----\n"
    assert [section.path for section in split_sections(text)] == [("Title",)]


def test_a_piece_ends_with_a_paragraph_if_it_can():
    text = "a b c d e f.\n\ng h i j k l\n\nm n o p q r s"
    assert chunk_text(text, size=8, overlap=2) == ["a b c d e f.", "g h i j k l", "m n o p q r s"]


def test_a_torn_paragraph_overlaps_and_ends_with_a_sentence_if_it_can():
    text = "One two three. Four five six. Seven eight nine ten eleven twelve thirteen."
    assert chunk_text(text, size=7, overlap=2)[:2] == [
        "One two three. Four five six.",
        "five six. Seven eight nine ten eleven",
    ]
    assert chunk_text("a b c d e f g", size=4, overlap=1) == ["a b c d", "d e f g"]


def test_code_keeps_its_indentation():
    code = "x x\n\n    if y:\n        z\n"
    assert chunk_text(code, size=3, overlap=0) == ["x x", "    if y:\n        z"]


word = st.sampled_from(["a", "b.", "cc", "d!", "    e"])
gap = st.sampled_from([" ", "\n", "\n\n"])


@settings(max_examples=60)
@given(st.lists(st.tuples(word, gap), max_size=60), st.integers(2, 15), st.integers(0, 5))
def test_no_word_is_lost_and_no_piece_is_too_long(parts, size, overlap):
    overlap = min(overlap, (size - 1) // 2)
    text = "".join(word + gap for word, gap in parts)
    pieces = chunk_text(text, size, overlap)
    left = text.split()
    for i, piece in enumerate(pieces):
        words = piece.split()
        assert piece in text and 1 <= len(words) <= size
        repeated = next(r for r in range(overlap + 1) if words[r:] == left[: len(words) - r])
        assert i or not repeated
        left = left[len(words) - repeated :]
    assert not left


def test_sizes_that_cannot_work_are_refused():
    for size, overlap in [(1, 0), (10, 5), (10, -1)]:
        with pytest.raises(ValueError, match=f"size={size} must be 2 or more words and overlap={overlap}"):
            chunk_text("a b", size, overlap)


def test_python_has_its_documentation_with_it():
    """Counts differ between versions, so only what every version has is asked for."""
    passages = python_docs()
    assert len(passages) > 400 and len({passage.id for passage in passages}) == len(passages)
    assert max(len(passage.text.split()) for passage in passages) <= 120
    assert len({passage.text for passage in passages}) > 0.98 * len(passages)
    first = next(passage for passage in passages if passage.id == "python/assert/0")
    assert first.title == 'The "assert" statement' and first.text.startswith("Assert statements are")
    assert str(first).startswith('The "assert" statement\nAssert') and len(first.digest) == 8
    found = locate(passages, "convenient way to insert debugging  assertions\ninto a program")
    assert [passages[i].id for i in found] == ["python/assert/0"]
    assert locate(passages, "no such words anywhere") == []
    with pytest.raises(ValueError, match="quote is empty"):
        locate(passages, " ")


def test_wikipedia_passages_have_titles_and_stay_in_order():
    passages = wikipedia_passages(5)
    assert [passage.id for passage in passages] == [f"wikipedia/{i}" for i in range(5)]
    assert passages[0].title == "Home Run Derby" and passages[0].text.startswith("Some notable")
    with pytest.raises(ValueError, match="limit=0 must lie between 1 and the 12271 passages"):
        wikipedia_passages(0)


def test_a_digest_follows_the_words_and_not_the_line_breaks():
    one, two = Passage("a", "t", "x  y\nz"), Passage("b", "u", "x y z")
    assert one.digest == two.digest != Passage("a", "t", "x y").digest
    assert str(Passage("a", "", "x")) == "x"
