"""The question sets: what is in them, what was left out, and that nobody's split moves."""

from collections import Counter

import pytest

from llmlib.data import choice_questions, choice_sets, code_problems, open_questions, open_sets, split_of
from llmlib.data.question_sets import SPLITS, ChoiceQuestion, OpenQuestion, digest

SIZES = {  # questions, and those of the report split; a digest of all
    "boolq": (12_697, 8_877, "f4c5087c925d9bcd"),
    "openbookqa": (500, 335, "b2f6640fa3a6d4a7"),
    "commonsenseqa": (1_191, 839, "174684b0a4e1a11f"),
    "piqa": (1_500, 1_064, "b0eb1a8511257323"),
    "siqa": (1_925, 1_359, "446e7e3ab1d2c6c1"),
    "mmlu": (2_840, 1_984, "0a498464783bf8f5"),
    "hellaswag": (100, 69, "89cb67dfd397560c"),
    "truthfulqa-mc1": (100, 65, "f021dae943fee25c"),
    "nq-open": (3_569, 2_431, "fecd7790c1df6b67"),
    "truthfulqa": (817, 569, "a7bca9601689dc3d"),
    "gsm8k": (100, 74, "bff2bddd52f34605"),
}


def test_every_set_has_its_size_here():
    assert set(SIZES) == {*choice_sets(), *open_sets()}


@pytest.mark.parametrize("name", SIZES)
def test_no_question_has_moved(name):
    items = (choice_questions if name in choice_sets() else open_questions)(name)
    report = [item for item in items if split_of(item) == "report"]
    assert (len(items), len(report), digest(items)) == SIZES[name]
    assert len({item.id for item in items}) == len(items)


@pytest.mark.parametrize("name", choice_sets())
def test_each_question_has_one_right_option_and_no_place_gives_it_away(name):
    items = choice_questions(name)
    for item in items:
        assert 0 <= item.answer < len(item.options) and all(item.options) and (item.question or item.context)
        assert len(set(item.options)) == len(item.options) >= 2
    places = Counter(item.answer / (len(item.options) - 1) for item in items)
    assert max(places.values()) < 0.75 * len(items)


def test_known_questions_are_read_right():
    first = choice_questions("openbookqa")[0]
    assert first.question.startswith("A person wants to start saving money") and first.answer == 1
    assert first.options[1] == "quit eating lunch out" and first.context == ""
    social = choice_questions("siqa")[0]
    assert social.context.startswith("Tracy didn't go home") and social.options[2] == "Find somewhere to go"
    assert "Meghan Trainor" in open_questions("nq-open")[0].answers
    problem = open_questions("gsm8k")[0]
    assert problem.answers == ("18",) and problem.worked.endswith("#### 18") and "<<" not in problem.worked
    truth = next(q for q in choice_questions("truthfulqa-mc1") if q.question.startswith("Which blood type makes"))
    assert truth.options[truth.answer] == "Blood type has no impact on someone's abilities."


def test_splits_cover_the_set_and_keep_a_passage_on_one_side():
    parts = {split: choice_questions("boolq", split) for split in SPLITS}
    assert sum(map(len, parts.values())) == 12_697
    contexts = [{item.context for item in part} for part in parts.values()]
    assert not (contexts[0] & contexts[1] or contexts[0] & contexts[2] or contexts[1] & contexts[2])
    for split, share in SPLITS.items():
        assert len(parts[split]) / 12_697 == pytest.approx(share, abs=0.02)


def test_the_side_depends_on_the_words_alone():
    item = OpenQuestion("x", "How many legs has a spider?", ("8",))
    assert split_of(item) == split_of(OpenQuestion("y", "How many legs has a spider?", ("eight",)))
    with_context = [ChoiceQuestion("a", q, ("no", "yes"), 0, "One passage.") for q in ("Is it?", "Was it?", "Will it?")]
    assert len(set(map(split_of, with_context))) == 1


def test_code_problems_are_whole():
    problems = code_problems()
    assert len(problems) == 164 and problems[0].id == "HumanEval/0"
    for problem in problems:
        assert f"def {problem.entry_point}(" in problem.prompt and "def check(" in problem.test
        compile(problem.prompt + problem.solution, problem.id, "exec")


def test_errors_name_what_there_is():
    with pytest.raises(ValueError, match="name is 'nq': choose one of nq-open"):
        open_questions("nq")
    with pytest.raises(ValueError, match="split is 'test': choose one of shots, choose, report"):
        choice_questions("piqa", "test")
