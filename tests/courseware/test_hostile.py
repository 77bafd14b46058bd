"""Submissions that reach for what is not theirs: references, forbidden functions, the grader's time and its reports."""

import dataclasses
import json

import pytest
from minilab import HERE, LAB, RIGHT, STAFF, WRONG, cells, sources

from courseware.classroom.cases import Case, Key, Question
from courseware.classroom.diagnosing import drawn_run
from courseware.grading import command, exports, feedback
from courseware.grading.grader import grade_cells, unpacked
from courseware.grading.staff_files import StaffFilesMissing, load_staff_files, notebook_of
from courseware.grading.submission import Cell
from llmlib.sandbox import available_backend

pytestmark = pytest.mark.skipif(available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine")


def passed(report):
    return {r.question.id.split(".")[1] for r in report.results if r.passed}


def messages(report):
    return {r.question.id.split(".")[1]: r.message for r in report.results}


# -- references ----

SPY = """
import gc, inspect, sys
why = "nothing"
def hook(event, args):
    global why
    if event == "compile":
        why += str(args[0])
sys.addaudithook(hook)
"""
READS_THE_REFERENCE = """
def surprise(x, target):
    global why
    try:
        why += inspect.getsource(softmax) + str(softmax.__code__.co_names) + str(softmax.__code__.co_consts)
    except Exception as error:
        why += str(error)
    why += str([f.__code__.co_names for f in gc.get_objects() if getattr(f, "__name__", "") == "softmax"])
    raise RuntimeError(why[-300:])
"""


def test_a_reference_is_never_in_the_process_of_a_student():
    given = {**RIGHT, "q1": SPY + WRONG["q1"], "q4": READS_THE_REFERENCE}
    report = grade_cells(LAB, STAFF, cells(**given), salt="a")
    told = json.dumps(report.packed(), default=str)
    line = "e = np.exp(x - x.max())"
    assert line in STAFF.reference_definition("softmax") and line not in told
    assert passed(report) == {"q2", "q3", "q5"}


def test_what_an_answer_is_shown_does_not_reach_the_kept_texts():
    given = {**RIGHT, "q1": "why = 'mine'\ndef softmax(x):\n    global why\n    why = repr(x)\n    return x"}
    assert grade_cells(LAB, STAFF, cells(**given), salt="a").ungraded["lab90.t1"] == "mine"


def test_a_later_answer_that_needs_more_than_values_keeps_its_first_verdict():
    given = {**RIGHT, "q1": WRONG["q1"], "q4": "def surprise(x, t):\n    return -math.log(softmax.helper(x)[t])"}
    assert passed(grade_cells(LAB, STAFF, cells(**given), salt="a")) == {"q2", "q3", "q5"}


def test_a_recipe_written_in_the_hidden_file_is_refused(tmp_path):
    (tmp_path / "lab90_hidden.py").write_text(
        "from courseware.classroom.cases import Case\n"
        "def secret(student, size, seen):\n    return 42\n"
        "HIDDEN = {'lab90.q5': [Case('x', inputs=lambda draw: (1, []), expected=42, recipe=secret)]}\nMUTANTS = []\n"
    )
    with pytest.raises(StaffFilesMissing, match="recipe 'secret'"):
        load_staff_files(LAB, tmp_path)


# -- forbidden calls ----

FORBIDDEN = {
    "below an if": "if True:\n    def softmax(x):\n        return np.exp(x - np.logaddexp.reduce(x))",
    "by getattr": "f = getattr(np, 'log' + 'addexp')\ndef softmax(x):\n    return np.exp(x - f.reduce(x))",
    "by import": "from numpy import logaddexp as f\ndef softmax(x):\n    return np.exp(x - f.reduce(x))",
    "by exec": "exec('def softmax(x):\\n    return np.exp(x - np.logaddexp.reduce(x))')",
    "umath": "def softmax(x):\n    return np.exp(x - np.core.umath.logaddexp.reduce(x))",
}


@pytest.mark.parametrize("way", FORBIDDEN)
def test_forbidden_is_what_is_called(way):
    report = grade_cells(LAB, STAFF, cells(**{**RIGHT, "q1": FORBIDDEN[way]}), salt="a")
    assert "q1" not in passed(report)
    assert "logaddexp" in messages(report)["q1"]


def test_a_question_may_forbid_what_others_may_use():
    first = dataclasses.replace(LAB.questions[0], forbids=("log1p",))
    lab = dataclasses.replace(LAB, questions=(first, *LAB.questions[1:]))
    given = {
        "q1": "def softmax(x):\n    e = np.exp(x - x.max() - 0 * getattr(np, 'log1p')(1.0))\n    return e / e.sum()",
        "q4": "def surprise(x, t):\n    p = np.exp(x - 0 * np.log1p(1.0))\n    return -math.log((p / p.sum())[t])",
    }
    report = grade_cells(lab, STAFF, cells(**{**RIGHT, **given}), salt="a")
    assert passed(report) == {"q2", "q3", "q4", "q5"}
    assert messages(report)["q1"] == "the answer uses log1p, which you are asked to write yourself"


def test_a_word_is_not_a_call():
    answer = (
        "def softmax(x):\n    logaddexp = np.exp(x - x.max())  # np.logaddexp\n    return logaddexp / logaddexp.sum()"
    )
    assert "q1" in passed(grade_cells(LAB, STAFF, cells(**{**RIGHT, "q1": answer}), salt="a"))


HELPER = """
import subprocess, sys
server = subprocess.Popen(
    [sys.executable, "-c", "import numpy as np\\nwhile True: print(np.logaddexp.reduce(eval(input())), flush=True)"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def ask(x):
    print(x.tolist(), file=server.stdin, flush=True)
    return float(server.stdout.readline())
def fresh(x):
    code = f"import numpy as np; print(np.logaddexp.reduce({x.tolist()}))"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
"""


@pytest.mark.parametrize("helper", ["ask", "fresh"])
def test_no_other_interpreter_does_the_work(helper):
    answer = HELPER + f"def softmax(x):\n    return np.exp(x - {helper}(x))"
    assert "q1" not in passed(grade_cells(LAB, STAFF, cells(**{**RIGHT, "q1": answer}), salt="a"))


# -- values and hooks that lost a report ----

VALUES = [
    "10**6000",
    "-(10**400)",
    "'\\ud800\\x1b[2J'",
    "float('nan')",
    "[10**6000]",
    "{'\\ud800': 1}",
    "1 + 2j",
    "b'x'",
]


@pytest.mark.parametrize("value", VALUES)
def test_no_value_loses_a_report(value, tmp_path, capsys):
    given = {
        "q1": f"guess = why = {value}\ndef softmax(x):\n    return {value}",
        "q2": f"def bigrams(t):\n    return [{value}]",
        "q3": f"vocab_size = {value}",
        "q4": f"def surprise(x, t):\n    return {value}",
        "q5": f"def Table(size):\n    raise ValueError({value})",
    }
    path = tmp_path / "ada.ipynb"
    path.write_text(notebook_of(sources(**given)))
    out = tmp_path / "g.csv"
    options = ["--lab", "90", "--out", str(out), "--json", str(tmp_path / "j"), "--feedback", str(tmp_path / "f")]
    assert command.main([str(path), "--hidden", str(HERE), *options]) == 0
    assert "0 of 7 points" in capsys.readouterr().out
    assert "ada" in out.read_text(encoding="utf-8")
    texts = [p.read_text(encoding="utf-8") for folder in ("j", "f") for p in (tmp_path / folder).iterdir()]
    assert len(texts) == 3
    assert not [c for text in texts for c in text if not c.isprintable() and c != "\n"]


def test_an_exit_in_the_labs_own_code_is_told_to_staff_and_costs_no_report():
    def leaves(value):
        raise SystemExit(0)

    bad = dataclasses.replace(LAB.questions[2], cases=(Case("x", judge=leaves),))
    lab = dataclasses.replace(LAB, questions=(*LAB.questions[:2], bad, *LAB.questions[3:]))
    report = grade_cells(lab, STAFF, cells(**RIGHT), salt="a")
    assert passed(report) == {"q1", "q2", "q4", "q5"}
    assert any("SystemExit in the lab's own code" in note for note in report.notes)


def test_the_budget_is_a_clock_over_the_whole_submission():
    slow = {
        q: a.replace("    return", "    while True: pass\n    return") for q, a in RIGHT.items() if q in ("q1", "q2")
    }
    lab = dataclasses.replace(LAB, call_seconds=3.0)
    report = grade_cells(lab, STAFF, cells(**{**RIGHT, **slow}), salt="a", budget=2.5)
    assert report.score == 0
    assert "the time for the whole submission is used up" in messages(report)["q1"]
    assert "the time for the whole submission is used up" in messages(report)["q5"]


# -- what students read ----


def test_feedback_and_gradescope_say_nothing_of_hidden_cases(tmp_path):
    given = {**RIGHT, "q3": "vocab_size = 9", "q2": "def bigrams(t):\n    return list(zip(t, t[1:]))[:7]"}
    report = unpacked(grade_cells(LAB, STAFF, cells(**given), salt="a", name="ada <b>|x").packed())
    staff = messages(report)
    assert "not the right answer" in staff["q3"]
    page, text = (path.read_text() for path in feedback.write_feedback(tmp_path, report))
    results = exports.gradescope(report)["tests"]
    for told in (page, text, json.dumps(results)):
        assert "a hidden case fails" in told and "not the right answer" not in told
    assert "ada &lt;b&gt;|x" in page and "ada \\<b\\>\\|x" in text
    assert "6 of 7 points" in page or "4 of 7 points" in page


# -- a run drawn per student ----

DIAGNOSIS = Question(
    id="lab90.q6",
    title="What happened?",
    name="diagnosis",
    points=1,
    difficulty=2,
    minutes=5,
    kind="diagnosis",
    faults={"A": "one", "B": "two"},
    observations={"a": "first", "b": "second"},
    runs=("r1", "r2"),
)
DRAWN = dataclasses.replace(LAB, questions=(*LAB.questions, DIAGNOSIS))
KEYED = dataclasses.replace(
    STAFF, hidden={**STAFF.hidden, "lab90.q6": (Key({"r1": "A", "r2": "B"}, {"A": "a", "B": "b"}),)}
)


def diagnosed(student, ids):
    right = {"r1": ("A", "a"), "r2": ("B", "b")}[drawn_run(DIAGNOSIS, student)]
    source = f"STUDENT = {student!r}\ndiagnosis = {{'cause': {right[0]!r}, 'evidence': [{right[1]!r}]}}"
    return grade_cells(DRAWN, KEYED, [*cells(**RIGHT), Cell(9, source)], salt="a", ids=ids)


def test_the_run_is_the_students_own():
    mine = diagnosed("ada@uni.example", ["ada", "4711", "Lovelace, Ada"])
    assert "q6" in passed(mine) and not mine.notes and mine.student == "ada@uni.example"
    borrowed = diagnosed("bob", ["ada", "4711"])
    assert "q6" not in passed(borrowed) and passed(borrowed) == {"q1", "q2", "q3", "q4", "q5"}
    assert "this was handed in by ada, 4711" in messages(borrowed)["q6"]
    unknown = diagnosed("bob", [])
    assert "q6" in passed(unknown) and "not verified" in unknown.notes[0]
