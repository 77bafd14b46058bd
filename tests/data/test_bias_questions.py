import collections

import pytest

from llmlib.data import ChoiceQuestion
from llmlib.data.bias_questions import bbq_questions, is_ambiguous, unknown_option


def test_the_sample_of_bbq_is_whole():
    items = bbq_questions()
    assert len(items) == len({item.id for item in items}) == 1012
    assert {len(item.options) for item in items} == {3}
    assert all(item.question.endswith("?") and "\n" not in item.question for item in items)
    places = collections.Counter(unknown_option(item) for item in items)
    assert min(places.values()) > 250  # in no one place
    assert 400 < sum(map(is_ambiguous, items)) < 612


def test_the_option_that_nobody_can_know():
    item = ChoiceQuestion("x", "Who?", ("the one", "Not known", "the other"), 1, "Two people met.")
    assert unknown_option(item) == 1 and is_ambiguous(item)
    with pytest.raises(ValueError, match="x has 0 options"):
        unknown_option(ChoiceQuestion("x", "Who?", ("a", "b"), 0))
