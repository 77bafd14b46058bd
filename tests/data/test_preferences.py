"""The 300 preference pairs: their form, and what is odd about them."""

from collections import Counter

import numpy as np
import pytest

from llmlib.data import preference_pairs
from llmlib.text import render_chat


@pytest.fixture(scope="module")
def pairs():
    return preference_pairs()


def test_there_are_300_that_a_chat_template_takes(pairs):
    assert len(pairs) == 300
    for pair in pairs:
        assert pair.prompt[-1]["role"] == "user" and pair.chosen.strip() and pair.rejected.strip()
        assert pair.chosen != pair.rejected
        text = render_chat([*pair.prompt, {"role": "assistant", "content": pair.chosen}], add_generation_prompt=False)
        assert pair.chosen in text
    assert pairs[0].prompt[0]["content"].startswith("Hi! I'd like to create a new language game")
    assert pairs[0].chosen.startswith("That sounds like a fun") and pairs[0].rejected.startswith("Hello! I'd be happy")


def test_what_the_docstring_says_of_them_is_so(pairs):
    assert sum(len(pair.chosen) > len(pair.rejected) for pair in pairs) == 131
    assert sum(pair.prompt[0]["role"] == "system" for pair in pairs) == 80
    assert sum(sum(turn["role"] == "user" for turn in pair.prompt) > 1 for pair in pairs) == 106
    prompts = Counter(str(pair.prompt) for pair in pairs)
    assert Counter(prompts.values()) == {1: 290, 2: 5} and len(set(map(str, pairs))) == 295
    assert sum(pair.chosen[:51] == pair.rejected[:51] for pair in pairs) == 14
    lengths = [sum(len(turn["content"]) for turn in pair.prompt) for pair in pairs]
    assert np.median(lengths) == pytest.approx(760, abs=10) and 13_000 < max(lengths) < 14_000
    answers = [len(answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    assert np.mean(answers) == pytest.approx(1500, abs=20)
