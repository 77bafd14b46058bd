from collections import Counter

from llmlib.data.bigbench import disambiguation_questions


def test_the_task_is_whole_and_its_answers_vary():
    items = disambiguation_questions()
    assert len(items) == len({item.id for item in items})
    assert len(items) == 258
    assert all(len(item.options) == 3 and item.context for item in items)
    assert min(Counter(item.answer for item in items).values()) > 40
