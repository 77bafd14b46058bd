"""The hand-written questions against the passages that they are about."""

import numpy as np
import pytest

from llmlib.data import lookup_questions
from llmlib.evaluate import contains_match
from llmlib.retrieval import Passage, pin_questions, python_docs, wikipedia_passages
from llmlib.retrieval.bm25 import words
from llmlib.retrieval.citations import COMMON


@pytest.fixture(scope="module")
def passages():
    return [*python_docs(), *wikipedia_passages()]


@pytest.fixture(scope="module")
def pinned(passages):
    return pin_questions(lookup_questions(), passages)


def test_every_question_about_wikipedia_has_its_passage_among_the_first_1400(passages):
    start = len(python_docs())
    found, left_out = pin_questions(lookup_questions(corpus="wikipedia"), passages[start : start + 1400])
    assert len(found) == 2 * 122 and not left_out


def test_most_questions_about_python_have_their_passage_in_this_version(pinned):
    found, left_out = pinned
    python = [each for each in found if each.question.corpus == "python"]
    assert len(python) >= 100 and all(each.corpus == "python" for each in left_out)


def test_a_right_answer_stands_in_every_pinned_passage(pinned, passages):
    for question, relevant in pinned[0]:
        for index in relevant:
            assert contains_match(passages[index].text, question.answers), (question.id, passages[index].id)


def test_a_pin_points_to_few_passages(pinned):
    assert max(len(relevant) for _, relevant in pinned[0]) <= 6


def test_no_passage_holds_the_words_that_an_answer_to_an_unanswerable_question_would(pinned, passages):
    everything = "\n".join(map(str, passages)).lower()
    for question, relevant in pinned[0]:
        if not question.answerable:
            assert not relevant and question.absent
            assert not [each for each in question.absent if each.lower() in everything], question.id


def test_paraphrases_share_few_words_with_their_passage_and_plain_questions_most(pinned, passages):
    shares = {"plain": [], "paraphrased": []}
    for question, relevant in pinned[0]:
        if question.answerable:
            there = {word for index in relevant for word in words(str(passages[index]))}
            asked = [word for word in words(question.question) if word not in COMMON]
            shares[question.kind].append(np.mean([word in there for word in asked]))
    assert np.mean(shares["plain"]) > 0.85 and np.mean(shares["paraphrased"]) < 0.2


def test_no_question_gives_its_answer_away(pinned):
    for question, _ in pinned[0]:
        if question.answerable:
            assert not contains_match(question.question, question.answers), question.id


def test_what_passages_do_not_hold_is_left_out_and_counted():
    plain = lookup_questions(kind="plain")
    found, left_out = pin_questions(plain, [Passage("a", "", plain[0].quotes[0]), Passage("b", "", "nothing")])
    assert [(each.question.id, each.relevant) for each in found] == [(plain[0].id, {0})]
    assert left_out == plain[1:]
