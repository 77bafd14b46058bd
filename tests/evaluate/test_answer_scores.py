"""Exact match, containment and token F1, by hand."""

import pytest

from llmlib.evaluate import contains_match, exact_match, plain_answer, token_f1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("U.S.A.", "usa"),
        ("“An” answer", "answer"),
        ("a", ""),
        ("Theatre and", "theatre and"),
        ("", ""),
    ],
)
def test_plain_form(text, plain):
    assert plain_answer(text) == plain


def test_exact_match_takes_any_right_answer():
    assert exact_match("the Beatles!", ["Stones", "Beatles"]) == 1
    assert exact_match("Beatles band", ["Beatles"]) == 0
    assert exact_match(None, ["Beatles"]) == exact_match("", ["Beatles"]) == 0


def test_contains_match_wants_whole_words_side_by_side():
    assert contains_match("It was in the year 1912, I think.", ["1912"]) == 1
    assert contains_match("1912", ["9"]) == 0
    assert contains_match("Glenn and his Orchestra, led by Miller", ["Glenn Miller"]) == 0
    assert contains_match("anything", ["the"]) == contains_match(None, ["x"]) == 0


def test_token_f1_by_hand():
    assert token_f1("Glenn Miller Orchestra", ["Glenn Miller"]) == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert token_f1("new new york", ["new york new york"]) == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert token_f1("paris", ["london", "Paris"]) == 1
    assert token_f1("rome", ["paris"]) == token_f1("", ["paris"]) == token_f1(None, ["paris"]) == 0
    assert token_f1("the", ["a"]) == 1  # nothing is left of either


@pytest.mark.parametrize("score", [exact_match, contains_match, token_f1])
@pytest.mark.parametrize("answers", ["Paris", []])
def test_right_answers_are_a_list(score, answers):
    with pytest.raises(ValueError, match="give a list of right answers"):
        score("Paris", answers)
