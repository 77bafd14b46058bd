"""The keys of the labs' questions about a broken run hold for every seed that was recorded, not for the shown one."""

import importlib.util
from pathlib import Path

import pytest

from llmlib.data import recorded

QUESTIONS = (
    "lab05.q8",
    "lab06.q8",
    "lab09.q8",
    "lab10.q7",
    "lab15.q8",
    "lab16.q8",
    "lab17.q8",
    "lab18.q8",
    "lab19.q8",
    "lab20.q8",
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_true_of_a_run_is_true_under_every_seed(question):
    name = f"{question.partition('.')[0]}_hidden"
    spec = importlib.util.spec_from_file_location(f"{name}_for_its_diagnosis", Path(__file__).parent / f"{name}.py")
    hidden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hidden)
    (key,) = hidden.HIDDEN[question]
    results = recorded(hidden.RECORDING)["results"]
    for run, fault in {**key.runs, "correct": "correct"}.items():
        others = results[run]["other seeds"]
        assert len(others) >= 2
        for log in others:
            seen = {letter for letter, holds in hidden.OBSERVED.items() if holds(log, None)}
            assert seen == set(key.true[fault]), (run, fault)
