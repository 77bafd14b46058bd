"""The hand-written questions over Python's documentation and Wikipedia: form, and what needs no passage."""

import pytest

from llmlib.data import lookup_questions, one_wording


def test_every_id_is_unique_and_every_question_different():
    questions = lookup_questions()
    assert len({each.id for each in questions}) == len({each.question for each in questions}) == len(questions)


def test_there_are_enough_of_each_kind_on_each_side():
    test = one_wording(lookup_questions("test"))
    assert len(test) >= 150
    assert sum(not each.answerable for each in test) >= 25
    assert sum(bool(each.wrong) for each in test) >= 100
    assert sum(each.kind == "paraphrased" for each in test) >= 50
    assert 30 <= len(one_wording(lookup_questions("development"))) <= 60
    assert {each.corpus for each in test if each.answerable} == {"python", "wikipedia"}


def test_both_wordings_of_a_fact_are_on_one_side():
    sides = {}
    for each in lookup_questions():
        sides.setdefault(each.fact, set()).add(each.split)
    assert all(len(side) == 1 for side in sides.values())


def test_the_kinds_alternate_and_each_fact_is_asked_once():
    once = [each for each in one_wording(lookup_questions("test")) if each.answerable]
    assert [each.kind for each in once[:4]] == ["plain", "paraphrased", "plain", "paraphrased"]
    assert len({each.fact for each in once}) == len(once)


def test_options_are_four_different_ones_in_an_order_of_their_own():
    places = []
    for each in lookup_questions(kind="plain"):
        item = each.as_choice("A text.")
        assert len(set(item.options)) == 4 and item.options[item.answer] == each.answers[0]
        assert item.context == "A text."
        places.append(item.answer)
    assert all(30 < places.count(place) < 70 for place in range(4))


def test_as_open_gives_all_answers():
    question = lookup_questions("test", "paraphrased", "wikipedia")[0]
    assert question.as_open().answers == question.answers and question.corpus == "wikipedia"


def test_what_is_not_known_is_said_with_the_choices():
    with pytest.raises(ValueError, match="split is 'dev': choose one of development, test"):
        lookup_questions("dev")
    with pytest.raises(ValueError, match="unanswerable and has no answers"):
        lookup_questions(kind="unanswerable")[0].as_choice()
