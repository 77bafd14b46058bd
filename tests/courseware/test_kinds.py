"""The kinds of question beside "write": their check in the notebook, and the driver that the grader shares."""

import pytest
import torch

from courseware import Stopwatch, as_number, check, my_run
from courseware.classroom import cases
from courseware.classroom.cases import Budget, Case, Key, Lab, Mistake, Number, Question, Score, Subject, Ungraded
from courseware.classroom.compare import Failure, case_seed, difference, draw_inputs
from courseware.classroom.diagnosing import drawn_run, normal_id
from courseware.classroom.judging import judge_question
from courseware.classroom.notebook_run import _named, ask


def short_list(numbers):
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
        return "an example holds one list of whole numbers"
    return None if len(numbers) <= 20 else "at most 20 numbers"


SORTED = Question(
    id="lab92.q1",
    title="Test a sort",
    name="holds",
    points=2,
    difficulty=2,
    minutes=5,
    kind="test",
    examples="examples",
    valid=short_list,
    right=(Subject("lists", sorted), Subject("tuples", lambda numbers: tuple(sorted(numbers)))),
    wrong=(
        Subject("drops duplicates", lambda numbers: sorted(set(numbers))),
        Subject("sorts downwards", lambda numbers: sorted(numbers, reverse=True)),
    ),
)
RUN = Question(
    id="lab92.q2",
    title="What broke?",
    name="diagnosis",
    points=2,
    difficulty=2,
    minutes=5,
    kind="diagnosis",
    faults={"A": "leak", "B": "rate", "C": "noise"},
    observations={"a": "low loss", "b": "bad text", "c": "spikes", "d": "odd"},
    runs=("r0", "r1", "r2"),
)
KEY = Key(runs={"r0": "A", "r1": "B", "r2": "C"}, true={"A": "ab", "B": "bc", "C": "ac"})
SIZE = Question(
    id="lab92.q3",
    title="Design",
    name="design",
    points=1,
    difficulty=2,
    minutes=5,
    kind="design",
    valid=lambda v: None if isinstance(v, dict) and type(v.get("width")) is int else "give a dict with a whole width",
    budgets=(Budget("parameters", "numbers", 100, lambda v: v["width"] ** 2),),
    score=Score("width", "units", 8, lambda v: v["width"]),
)
DOUBLE = Question(
    id="lab92.q4",
    title="Double",
    name="double",
    points=1,
    difficulty=1,
    minutes=1,
    uses=("lab92.q5",),
    cases=(
        Case(
            "a list",
            inputs=lambda draw: ([draw.integer(0, 9) for _ in range(draw.integer(1, 9))],),
            expected=lambda numbers: [2 * n for n in numbers],
            separates=(lambda numbers: [n + n % 3 for n in numbers], lambda numbers: sorted(2 * n for n in numbers)),
        ),
    ),
    mistakes=(Mistake("one was lost", wrong=lambda numbers: [2 * n for n in numbers[1:]]),),
)
HELPER = Question("lab92.q5", "Helper", "helper", 1, 1, 1, cases=(Case("c", inputs=lambda draw: (1,), expected=2),))
LAB = Lab(
    "lab92",
    "Kinds",
    (SORTED, RUN, SIZE, DOUBLE, HELPER),
    (
        Ungraded("lab92.p1", "Hits", "hits", number=Number(0, 100, whole=True, unit="%")),
        Ungraded(
            "lab92.c1", "Loss", "loss", kind="challenge", baseline=2.5, seconds=30, number=Number(0, 9, unit="nats")
        ),
        Ungraded("lab92.t1", "Why", "why", kind="text", points=3),
    ),
)
cases.register(LAB)


def examples():
    return [([3, 1, 2],), ([1, 1, 0],)]


def holds(inputs, output):
    return list(output) == sorted(inputs[0])


def said(capsys):
    return capsys.readouterr().out


def judged(question, hidden=(), student="", **answers):
    verdicts = judge_question(question, hidden, lambda r: ask(LAB, question, answers, r), salt="one", student=student)
    return {v.case: v.message if not v.passed else "" for v in verdicts}


def test_a_good_test_passes_the_right_and_fails_the_wrong(capsys):
    check("lab92.q1", examples, holds)
    out = said(capsys)
    assert "public cases only" in out and "wrong" not in out.replace("wrong implementation", "")
    hidden = (Subject("forgets the last number", lambda numbers: sorted(numbers[:-1])),)
    assert set(judged(SORTED, hidden, examples=examples, holds=holds).values()) == {""}


@pytest.mark.parametrize(
    ("examples", "holds", "words"),
    [
        (lambda: [([3, 1, 2],)], holds, "accepts an implementation that drops duplicates"),
        (examples, lambda inputs, output: True, "accepts an implementation that sorts downwards"),
        (examples, lambda inputs, output: output == sorted(inputs[0]), "refuses a right answer, written with tuples"),
        (examples, lambda inputs, output: False, "refuses a right answer"),
        (examples, lambda inputs, output: 1 / 0, "ZeroDivisionError"),
        (examples, lambda inputs, output: None, "return True or False"),
        (lambda: [], holds, "a list of 1 to 24 examples"),
        (lambda: 7, holds, "TypeError"),
        (lambda: [([1] * 50,)], holds, "at most 20 numbers"),
        (lambda: [(1, 2, 3)], holds, "not the inputs that the question describes"),
        (lambda: [([1, object()],)], holds, "plain values"),
        (lambda: [[1, 2]] * 99, holds, "got 99"),
    ],
)
def test_a_bad_test_is_told_why(examples, holds, words, capsys):
    check("lab92.q1", examples, holds)
    out = said(capsys)
    assert words in out and "grading adds" not in out


def test_assertions_are_a_way_to_write_a_predicate():
    def asserting(inputs, output):
        assert list(output) == sorted(inputs[0])
        return True

    assert set(judged(SORTED, examples=examples, holds=asserting).values()) == {""}


def test_a_predicate_that_compares_implementations_with_each_other_gains_little():
    """It sees one implementation after the other, wrong ones among the first: something gets past it."""
    passed = 0
    for salt in range(40):
        seen = {}

        def stateful(inputs, output, seen=seen):
            return list(seen.setdefault(str(inputs), output)) == list(output)

        verdicts = judge_question(
            SORTED, (), lambda r, f=stateful: ask(LAB, SORTED, {"examples": examples, "holds": f}, r), salt=str(salt)
        )
        passed += all(v.passed for v in verdicts)
    assert passed <= 30  # the first one seen is right half of the time here; labs have more wrong ones


def test_a_stub_of_a_test_is_not_started(capsys):
    def stub(*args):
        raise NotImplementedError("your code here")

    check("lab92.q1", stub, stub)
    check("lab92.q1", ..., ...)
    assert said(capsys).count("not started yet") == 2
    check("lab92.q1", examples)
    assert "examples and holds, in this order" in said(capsys)


def test_runs_are_drawn_by_id_whatever_its_spelling():
    assert normal_id(" Ann Example ") == normal_id("annexample") == normal_id("ＡＮＮexample")
    assert normal_id(1234) == "1234" and normal_id(...) == "" and normal_id(True) == ""
    assert drawn_run(RUN, "Ann Example") == drawn_run(RUN, "annexample")
    assert {drawn_run(RUN, f"student {i}") for i in range(60)} == set(RUN.runs)


def test_the_notebook_draws_the_same_run(capsys):
    assert my_run("lab92.q2", "ann") == drawn_run(RUN, "ann")
    assert my_run("lab92.q2", ...) is None
    assert "fill in STUDENT" in said(capsys)


def _student_with(run):
    return next(f"s{i}" for i in range(99) if drawn_run(RUN, f"s{i}") == run)


@pytest.mark.parametrize(
    ("run", "answer", "words"),
    [
        ("r0", {"cause": "A", "evidence": ["a", "b"]}, ""),
        ("r0", {"cause": "A", "evidence": ["a"]}, "also be seen under another cause"),
        ("r0", {"cause": "A", "evidence": ["a", "c"]}, "c is not true of your run"),
        ("r0", {"cause": "B", "evidence": ["b"]}, "not what went wrong"),
        ("r1", {"cause": "B", "evidence": ("b", "c")}, ""),
    ],
)
def test_a_diagnosis_needs_its_cause_and_evidence(run, answer, words):
    got = judged(RUN, (KEY,), _student_with(run), diagnosis=answer)
    assert got["format"] == "" and words in got["cause and evidence"] and bool(words) == bool(got["cause and evidence"])


def test_check_says_of_a_diagnosis_only_whether_its_format_is_right(capsys):
    for answer in ({"cause": "A", "evidence": ["a"]}, {"cause": "C", "evidence": ["d"]}):
        check("lab92.q2", answer)
        out = said(capsys)
        assert "the format is right" in out and "wrong" not in out and "grading adds" not in out
    for answer in (
        "A",
        {"cause": "Z", "evidence": ["a"]},
        {"cause": "A", "evidence": ["z"]},
        {"cause": "A", "evidence": "a"},
        {"cause": "A", "evidence": ["a", "b", "c", "d"]},
        {"cause": ["A"], "evidence": ["a"]},
    ):
        check("lab92.q2", answer)
        assert "wrong" in said(capsys)
    check("lab92.q2", ...)
    assert "not started yet" in said(capsys)


def test_without_an_id_no_run_is_drawn():
    assert "not filled in" in judged(RUN, (KEY,), "", diagnosis={"cause": "A", "evidence": ["a"]})["cause and evidence"]


def test_a_design_is_measured_against_its_budget(capsys):
    check("lab92.q3", {"width": 9})
    out = said(capsys)
    assert "parameters: 81 of at most 100 numbers" in out and "wrong" not in out
    for value, words in (
        ({"width": 11}, "over the budget (parameters): 121 of at most 100"),
        ({"width": 3}, "not good enough"),
        ("wide", "a whole width"),
        (None, "a whole width"),
    ):
        check("lab92.q3", value)
        assert words in said(capsys)


def test_cases_are_drawn_until_they_separate_the_mistakes():
    case = DOUBLE.cases[0]
    for salt in range(100):
        seed = case_seed(DOUBLE, case, str(salt))
        (numbers,) = draw_inputs(case, seed)
        assert draw_inputs(case, seed) == (numbers,)
        assert all(difference(wrong(numbers), case.expected(numbers)) for wrong in case.separates)
    never = Case("c", inputs=lambda draw: (1,), expected=lambda x: x, separates=(lambda x: x,))
    with pytest.raises(ValueError, match="never tell a mistake"):
        draw_inputs(never, 0)


def test_the_smallest_failing_input_is_shown_with_both_outputs(capsys):
    check("lab92.q4", lambda numbers: [2 * n for n in numbers[1:]])
    out = said(capsys)
    assert "one was lost" in out
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines() if line.startswith(" " * 9)}
    numbers = eval(shown["input"].removeprefix("numbers="))
    assert len(numbers) <= 3 and eval(shown["expected"]) == [2 * n for n in numbers] != eval(shown["yours"])


def test_inputs_are_shown_under_the_names_of_what_takes_them():
    """A recipe takes the inputs of its case, and may give the answer others."""

    def answer(x, y, z):
        return x

    def recipe(student, numbers, settings):
        return student(*numbers, **settings)

    def hands_on(student, *inputs):
        return student(*inputs)

    numbers = torch.tensor([0.1, 0.25])
    assert _named((numbers, {"z": 1}), answer, recipe) == "numbers=[0.1, 0.25], settings={'z': 1}"
    assert _named((1, 2, 3), answer, hands_on) == _named((1, 2, 3), answer) == "x=1, y=2, z=3"
    assert _named((1,), object, hands_on) == "1"


def test_an_earlier_question_that_is_not_started_is_named(capsys):
    def helper():
        raise NotImplementedError("your code here")

    check("lab92.q4", lambda numbers: helper())
    assert "depends on q5 (helper), which is not started yet" not in said(capsys)  # helper here is this test's own

    space = {}
    exec("def helper(x):\n    raise NotImplementedError\n\ndef double(numbers):\n    return helper(numbers)", space)
    check("lab92.q4", space["double"])
    assert "depends on q5 (helper), which is not started yet" in said(capsys)
    failed = judge_question(DOUBLE, (), lambda r: Failure("not started", ""), salt="one")
    assert failed[0].message == "not started yet" and failed[0].not_started


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (40, "logged"),
        (200, "200 is not"),
        (-1, "-1 is not"),
        (2.5, "2.5 is not"),
        (True, "give a whole number"),
        (float("nan"), "give a whole number"),
        ("40", "'40' is not"),
        (..., "write your answer down"),
    ],
)
def test_predictions_are_numbers_in_range(value, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check("lab92.p1", value)
    assert words in said(capsys)
    assert (tmp_path / "predictions.jsonl").exists() == (words == "logged")


def test_a_challenge_prints_its_standing_and_a_line_for_the_leaderboard(capsys):
    check("lab92.c1", 2.25, seconds=12.3)
    out = said(capsys)
    assert "baseline 2.5 nats; yours 2.25 nats: 0.25 better" in out and "lab92.c1 | 2.25 nats | 12 s" in out
    check("lab92.c1", 2.6, seconds=31)
    out = said(capsys)
    assert "0.1 worse" in out and "30 s are allowed" in out and "leaderboard" not in out
    check("lab92.c1", -2)
    assert "-2 is not a number from 0 to 9 (nats)" in said(capsys)


def test_the_stopwatch_measures_and_plots_draw_integers(capsys):
    with Stopwatch(60) as clock:
        assert 0 < clock.left <= 60
    assert 0 <= clock.seconds < 60 and "of 60 s" in said(capsys)
    assert as_number(3) == 3.0 and as_number(...) != as_number(...)


def test_points_are_told_apart():
    assert (LAB.points, LAB.staff_points, LAB.total_points) == (7, 3, 10) and LAB.needs_student


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "riddle"},
        {"kind": "test", "examples": "examples"},
        {"kind": "diagnosis", "faults": {"A": "x", "B": "y"}},
        {"kind": "design"},
    ],
)
def test_incomplete_kinds_are_refused(changes):
    with pytest.raises(ValueError, match=r"lab92\.q9"):
        Question("lab92.q9", "", "f", 1, 1, 1, **changes)
