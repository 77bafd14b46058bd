"""GPT-1's input transformations: figure 1 of the paper, what is cut from a long text, and texts that cannot be."""

import warnings

import pytest
import torch

from llmlib.data import TaskTokens, choice_rows, pad_rows, pair_row, similarity_rows, single_row
from llmlib.text import BPETokenizer

S, D, E = 100, 101, 102
TOKENS = TaskTokens(start=S, delimiter=D, extract=E)
A, B = [1, 2, 3], [11, 12]


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_rows_are_those_of_the_paper():
    assert single_row(A, TOKENS, 5) == [S, 1, 2, 3, E]
    assert pair_row(A, B, TOKENS, 8) == [S, 1, 2, 3, D, 11, 12, E]
    assert similarity_rows(A, B, TOKENS, 8) == [[S, 1, 2, 3, D, 11, 12, E], [S, 11, 12, D, 1, 2, 3, E]]
    assert choice_rows(A, [B, [21]], TOKENS, 8) == [[S, 1, 2, 3, D, 11, 12, E], [S, 1, 2, 3, D, 21, E]]
    assert single_row([], TOKENS, 5) == [S, E]


def test_a_long_text_loses_its_end_and_never_the_extract_token():
    with pytest.warns(UserWarning, match="does not fit limit=4 and loses its end; the extract token stays"):
        assert single_row(A, TOKENS, 4) == [S, 1, 2, E]


@pytest.mark.parametrize("lengths", [(2, 9), (9, 2), (9, 9), (6, 4), (5, 6), (0, 12), (4, 5)])
@pytest.mark.parametrize("limit", [4, 7, 12])
def test_of_a_pair_the_longer_text_is_cut(lengths, limit):
    first, second = [list(range(10, 10 + n)) for n in lengths]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = pair_row(first, second, TOKENS, limit)
    at = row.index(D)
    a, b = row[1:at], row[at + 1 : -1]
    assert (row[0], row[-1]) == (S, E) and len(row) == min(limit, sum(lengths) + 3)
    assert a == first[: len(a)] and b == second[: len(b)]
    if len(a) < len(first):
        assert len(a) >= len(b) - 1
    if len(b) < len(second):
        assert len(b) >= len(a) - 1


def test_of_a_choice_the_context_loses_its_beginning_in_all_rows():
    with pytest.warns(UserWarning, match="loses its beginning"):
        rows = choice_rows([1, 2, 3, 4], [[21], [31, 32, 33]], TOKENS, 8)
    assert rows == [[S, 3, 4, D, 21, E], [S, 3, 4, D, 31, 32, 33, E]]
    with pytest.warns(UserWarning, match="loses its beginning"):
        assert choice_rows(A, [[21], [31, 32]], TOKENS, 5)[1] == [S, D, 31, 32, E]
    with pytest.raises(ValueError, match="limit=5 has no room for an option of 3 tokens and 3 marks"):
        choice_rows(A, [[21], [31, 32, 33]], TOKENS, 5)
    with pytest.raises(ValueError, match="options holds 1"):
        choice_rows(A, [[21]], TOKENS, 8)


def test_what_cannot_be_a_row_is_refused():
    with pytest.raises(ValueError, match="limit=2 must be more than 2"):
        single_row(A, TOKENS, 2)
    with pytest.raises(ValueError, match="limit=3 must be more than 3"):
        pair_row(A, B, TOKENS, 3)
    with pytest.raises(ValueError, match="second holds 102, the id of extract"):
        pair_row(A, [E], TOKENS, 9)
    with pytest.raises(ValueError, match=r"options\[1\] holds 100, the id of start"):
        choice_rows(A, [B, [S]], TOKENS, 9)
    for wrong in ((1, 1, 2), (-1, 0, 1)):
        with pytest.raises(ValueError, match="must be three different ids"):
            TaskTokens(*wrong)


def test_unknown_characters_and_written_marks_are_text():
    tokenizer = BPETokenizer.train("some plain headline text", 259, ["<start>", "<delimiter>", "<extract>"])
    marks = TaskTokens(*(tokenizer.special_tokens[f"<{name}>"] for name in ("start", "delimiter", "extract")))
    for text in ("naïve café ☃ 日本語 \x00", "a text that says <extract> and <start>", ""):
        row = single_row(tokenizer.encode(text), marks, 200)
        assert row.count(marks.extract) == 1 and tokenizer.decode(row[1:-1]) == text


def test_padding_is_on_the_right_and_marked():
    ids, pad_mask = pad_rows([[5, 6, 7], [8]], pad_id=9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9]] and ids.dtype == torch.long
    assert pad_mask.tolist() == [[True, True, True], [True, False, False]]
    for rows in ([], [[1], []]):
        with pytest.raises(ValueError, match="leave out empty ones"):
            pad_rows(rows)
