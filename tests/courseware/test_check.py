"""check() in the notebook: what a student reads, and that nothing makes it raise."""

import json

import numpy as np
import pytest
import torch
from minilab import LAB, RIGHT, WRONG

from courseware import check, log_prediction
from courseware.classroom import cases
from courseware.classroom.cases import Case, Draw, Lab, Mistake, Question, Tolerance, Ungraded, set_parameters
from courseware.classroom.checker import forbidden_names
from courseware.classroom.compare import difference, recipe_text
from courseware.classroom.notebook_run import run_case


def answer(question, source):
    space = {"np": np}
    exec("import math\n" + source, space)
    return space[LAB.question(f"lab90.{question}").name]


def said(capsys):
    return capsys.readouterr().out


@pytest.mark.parametrize("question", ["q1", "q2", "q3", "q5"])
def test_right_answers_pass_every_public_case(question, capsys):
    check(f"lab90.{question}", answer(question, RIGHT[question]))
    out = said(capsys)
    assert "wrong" not in out
    assert "grading adds hidden ones" in out


@pytest.mark.parametrize("question", ["q1", "q2", "q3"])
def test_wrong_answers_are_told_what_to_look_at(question, capsys):
    check(f"lab90.{question}", answer(question, WRONG[question]))
    out = said(capsys)
    named = {"q1": "did you forget to divide by the sum?", "q2": "should not be empty", "q3": "whole number"}
    assert named[question] in out
    assert "grading adds" not in out


def test_hint_where_no_mistake_is_recognised(capsys):
    check("lab90.q1", lambda x: np.ones(len(x)) / 2)
    assert "divide by the sum of what?" in said(capsys)


def raises(error):
    def stub(*args):
        raise error

    return stub


@pytest.mark.parametrize("stub", [..., raises(NotImplementedError("your code here"))], ids=["ellipsis", "stub"])
def test_untouched_answers_are_not_started(stub, capsys):
    for question in ("q1", "q2", "q4", "q5"):
        check(f"lab90.{question}", stub)
        out = said(capsys)
        assert "not started yet" in out and "wrong" not in out
    check("lab90.q3", ...)
    assert "not started yet" in said(capsys)


class AlwaysEqual:
    def __eq__(self, other):
        return True

    def __array__(self, dtype=None, copy=None):
        return np.array([0.5, 0.5])


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (None, "TypeError"),
        (3, "TypeError"),
        (lambda x: None, "is there a return?"),
        (lambda x: AlwaysEqual(), "AlwaysEqual object"),
        (lambda x: list(x), "wrong"),
        (lambda x: x[:1], "expected shape"),
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x.astype(int), "expected floats"),
        (lambda: 1, "TypeError"),
        (raises(Unprintable()), "Unprintable"),
        (raises(SystemExit("bye")), "SystemExit: bye"),
        (raises(KeyboardInterrupt()), "interrupted"),
        (raises(ValueError("a\nb" * 500)), "ValueError: a b"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_nothing_makes_check_raise(thing, expected, capsys):
    check("lab90.q1", thing)
    out = said(capsys)
    assert expected in out
    assert max(map(len, out.splitlines())) < 330


@pytest.mark.parametrize("entry", ["lab90.q77", "lab77.q1", "nonsense", "", None, 3])
def test_unknown_questions_are_named_not_raised(entry, capsys):
    check(entry, 1)
    assert said(capsys).strip()


def test_an_answer_cannot_change_the_inputs_it_is_judged_on(capsys):
    def spoil(x):
        p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        x[:] = 0
        return p

    check("lab90.q1", spoil)
    assert "wrong" not in said(capsys)


def test_public_inputs_are_the_same_every_time():
    seen = []
    for _ in range(2):
        run_case(LAB, LAB.question("lab90.q1"), LAB.question("lab90.q1").cases[1], lambda x: seen.append(x) or x)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_predictions_are_logged_with_their_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    log_prediction("lab90.p1", 7)
    check("lab90.p1", 8)
    log_prediction("lab90.p1", ...)
    out = said(capsys)
    assert out.count("logged") == 2 and "write your answer down first" in out
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [(line["id"], line["value"]) for line in lines] == [("lab90.p1", 7), ("lab90.p1", 8)]
    assert all("T" in line["time"] for line in lines)


def test_texts_are_noted_and_not_logged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check("lab90.t1", "exp overflows")
    assert "a person will read it" in said(capsys)
    assert list(tmp_path.iterdir()) == []


# -- comparing ----

T = torch.tensor


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (T([1.0, 2.0]), T([1.0, 2.00001])),
        (T([1.0], dtype=torch.float64), T([1.0])),
        (T(3), 3),
        (np.float64(2.0), 2.0),
        (2, 2.0),
        ((1, 2), [1, 2]),
        ({"a": T([1])}, {"a": T([1])}),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (T([float("-inf"), 0.0]), T([float("-inf"), 0.0])),
    ],
)
def test_equal_values_are_equal(got, expected):
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (T([1.0, 4.0]), T([1.0, 2.0]), "1 of 2 entries differ: expected 2 at [1], got 4"),
        (T([2.0, 4.0]), T([1.0, 2.0]), "every entry is 2 times the expected one"),
        (T([1.5, 2.5]), T([1.0, 2.0]), "every entry is off by 0.5"),
        (T([[1.0]]), T([1.0]), "expected shape (1,), got (1, 1)"),
        (T([1]), T([1.0]), "expected floats, got integers"),
        (T([float("nan")]), T([1.0]), "NaN in 1 of 1 entries"),
        (np.ones(2), torch.ones(2), "expected a tensor, got an array"),
        ([1.0, 1.0], torch.ones(2), "expected a tensor"),
        (True, 1, "expected 1"),
        (1, True, "expected True"),
        ("a", "b", "expected 'b', got 'a'"),
        ([1, 2], [1, 2, 3], "expected 3 items, got 2"),
        ([1, [2, 3]], [1, [2, 4]], "expected 4 at [1][1], got 3"),
        ({"a": 1}, {"a": 1, "b": 2}, "'b' is missing"),
        ({"a": 1, "c": 2}, {"a": 1}, "'c' should not be there"),
        (float("nan"), 1.0, "NaN"),
        (None, 1, "is there a return?"),
    ],
)
def test_differences_are_said_in_a_few_words(got, expected, words):
    assert words in difference(got, expected)


def test_tolerance_applies_to_floats_only():
    assert difference(1.05, 1.0, Tolerance(atol=0.1)) is None
    assert difference(2, 1, Tolerance(atol=5)) is not None


# -- the schema ----


def test_parameters_are_set_by_name_whatever_the_initialisation():
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    set_parameters(first)
    set_parameters(second)
    assert torch.equal(first.weight, second.weight) and not torch.equal(first.weight[0], first.weight[1])
    set_parameters(second, seed=1)
    assert not torch.equal(first.weight, second.weight)


def head(student, d, x):
    """A recipe for a module."""
    module = student(d, 2)
    set_parameters(module)
    out = module(x)
    out.sum().backward()
    return {"out": out, "grads": {n: p.grad for n, p in module.named_parameters()}}


def test_modules_are_run_by_recipes_that_stand_alone():
    assert "def set_parameters" in recipe_text(head) and "import torch" in recipe_text(head)
    case = Case(
        "a batch",
        inputs=lambda draw: (3, draw.normal(4, 3)),
        expected=lambda d, x: head(torch.nn.Linear, d, x),
    )
    question = Question("lab91.q1", "A layer", "Layer", 1, 1, 1, recipe=head, cases=[case])
    lab = Lab("lab91", "", (question,))
    assert run_case(lab, question, question.cases[0], torch.nn.Linear).passed
    biased = run_case(lab, question, question.cases[0], lambda d, n: torch.nn.Linear(d, n, bias=False))
    assert not biased.passed
    with pytest.raises(ValueError, match="must be a plain function"):
        recipe_text(lambda student: 1)


def test_draws_are_reproducible():
    for method, args in [("normal", (2, 3)), ("uniform", (4,)), ("integers", (0, 9, 5))]:
        assert torch.equal(getattr(Draw(1), method)(*args), getattr(Draw(1), method)(*args))
        assert not torch.equal(getattr(Draw(1), method)(*args), getattr(Draw(2), method)(*args))
    assert Draw(3).text(5) == Draw(3).text(5)


def _question(**changes):
    return Question(**{"id": "lab91.q1", "title": "", "name": "f", "points": 1, "difficulty": 1, "minutes": 1,
                       "cases": [Case("c", expected=1)]} | changes)  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [
        lambda: Case("empty"),
        lambda: Mistake("nothing recognises it"),
        lambda: _question(id="q1"),
        lambda: _question(name="two words"),
        lambda: _question(points=0),
        lambda: _question(difficulty=6),
        lambda: _question(cases=[]),
        lambda: Lab("lab91", "", (_question(), _question())),
        lambda: Lab("lab92", "", (_question(),)),
        lambda: Lab("lab91", "", (_question(uses=("lab91.q9",)),)),
        lambda: Ungraded("lab91.p1", "", "x", kind="poem"),
        lambda: Ungraded("lab91.q1", "", "x"),
    ],
)
def test_a_lab_that_cannot_be_graded_is_refused(build):
    with pytest.raises(ValueError):
        build()


def test_unknown_labs_and_questions_are_named():
    with pytest.raises(KeyError, match="known labs"):
        cases.load_lab("lab98")
    with pytest.raises(KeyError, match="it has lab90"):
        cases.find("lab90.q9")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("F.scaled_dot_product_attention(q)", ["scaled_dot_product_attention"]),
        ("from torch.nn.functional import scaled_dot_product_attention as f", ["scaled_dot_product_attention"]),
        ("import transformers.models", ["transformers"]),
        ("from llmlib.model import Transformer", ["llmlib.model"]),
        ("from llmlib import model", ["llmlib.model"]),
        ("model = 3; modeltransformers = 4", []),
        ("# scaled_dot_product_attention", []),
        ("def f(:", []),
    ],
)
def test_forbidden_names_are_found_in_code_only(source, found):
    lab = Lab("lab91", "", (_question(),), forbids=("scaled_dot_product_attention", "transformers", "llmlib.model"))
    assert forbidden_names(lab, lab.questions[0], source) == found


def test_a_mistake_that_blows_up_is_recognised_beside_its_rounding_errors():
    wrong = np.array([3000.0, 0.0])
    got = wrong + np.array([0.0, 2e-3])
    assert difference(got, wrong, Tolerance()) is not None, "an answer is not judged so"
    assert difference(got, wrong, Tolerance(to_scale=True)) is None
    assert difference(got + 0.1, wrong, Tolerance(to_scale=True)) is not None
    small = np.array([0.5, 0.0])
    assert difference(small + 2e-5, small, Tolerance(to_scale=True)) is not None, "small numbers as before"
