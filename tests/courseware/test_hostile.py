"""Submissions that reach for what is not theirs: references, forbidden functions, the grader's time and its reports."""

import dataclasses
import json

import pytest
from minilab import HERE, LAB, RIGHT, STAFF, WRONG, cells, graded, sources

from courseware.classroom.cases import Case, Key, Question
from courseware.classroom.diagnosing import drawn_run
from courseware.grading import command, exports, feedback
from courseware.grading.grader import grade_cells, unpacked
from courseware.grading.staff_files import StaffFilesMissing, load_staff_files, notebook_of
from courseware.grading.submission import Cell, SubmissionError, read_cells, runnable
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
    report = graded(LAB, STAFF, cells(**given), salt="a")
    told = json.dumps(report.packed(), default=str)
    line = "e = np.exp(x - x.max())"
    assert line in STAFF.reference_definition("softmax") and line not in told
    assert passed(report) == {"q2", "q3", "q5"}


def test_no_hidden_case_is_told_by_a_later_public_one():
    given = {
        "q1": "seen = []\ndef softmax(x):\n    seen.append(x)\n    e = np.exp(x - x.max())\n    return e / e.sum()",
        "q2": "def bigrams(text):\n    raise RuntimeError(f'{len(seen)} seen')",
    }
    report = graded(LAB, STAFF, cells(**given), salt="a")
    public = len(LAB.question("lab90.q1").cases)
    assert STAFF.hidden["lab90.q1"] and f"RuntimeError: {public} seen" in report.results[1].public_message
    assert passed(report) == {"q1"}


def test_what_an_answer_is_shown_does_not_reach_the_kept_texts():
    given = {**RIGHT, "q1": "why = 'mine'\ndef softmax(x):\n    global why\n    why = repr(x)\n    return x"}
    assert graded(LAB, STAFF, cells(**given), salt="a").ungraded["lab90.t1"] == "mine"


def test_a_later_answer_that_needs_more_than_values_keeps_its_first_verdict():
    given = {**RIGHT, "q1": WRONG["q1"], "q4": "def surprise(x, t):\n    return -math.log(softmax.helper(x)[t])"}
    assert passed(graded(LAB, STAFF, cells(**given), salt="a")) == {"q2", "q3", "q5"}


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
    report = graded(LAB, STAFF, cells(**{**RIGHT, "q1": FORBIDDEN[way]}), salt="a")
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
    assert "q1" in passed(graded(LAB, STAFF, cells(**{**RIGHT, "q1": answer}), salt="a"))


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
    assert "q1" not in passed(graded(LAB, STAFF, cells(**{**RIGHT, "q1": answer}), salt="a"))


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


def test_no_value_loses_a_report(tmp_path, capsys):
    for number, value in enumerate(VALUES):
        given = {
            "q1": f"guess = why = {value}\ndef softmax(x):\n    return {value}",
            "q2": f"def bigrams(t):\n    return [{value}]",
            "q3": f"vocab_size = {value}",
            "q4": f"def surprise(x, t):\n    return {value}",
            "q5": f"def Table(size):\n    raise ValueError({value})",
        }
        (tmp_path / f"ada{number}.ipynb").write_text(notebook_of(sources(**given)))
    out = tmp_path / "g.csv"
    options = ["--lab", "90", "--out", str(out), "--json", str(tmp_path / "j"), "--feedback", str(tmp_path / "f")]
    assert command.main([str(tmp_path), "--hidden", str(HERE), *options]) == 0
    told = capsys.readouterr().out
    for number, value in enumerate(VALUES):
        assert f"ada{number}: 0 of 7 points" in told, value
        assert f"ada{number}" in out.read_text(encoding="utf-8")
    texts = [p.read_text(encoding="utf-8") for folder in ("j", "f") for p in (tmp_path / folder).iterdir()]
    assert len(texts) == 3 * len(VALUES)
    assert not [c for text in texts for c in text if not c.isprintable() and c != "\n"]


BY_THE_WAY = """
import ctypes, os, sys, types
import wire
np.isclose = np.allclose = lambda *a, **k: np.True_
wire.encode = lambda value: {"float": "nan"}
wire.Unsupported = sys.modules["json"].loads = None
for place in ("/dev/shm/x", "/tmp/x"):
    open(place, "wb").write(b"x" * 1000)
libc = ctypes.CDLL(None)
assert libc.memfd_create(b"x", 0) == -1
class Sly(np.ndarray):
    def __eq__(self, other): return True
    def __array__(self, *a, **k): raise SystemExit(0)
    def __array_ufunc__(self, *a, **k): return np.True_
"""


def test_what_the_comparison_is_made_of_is_out_of_reach():
    given = {"q1": BY_THE_WAY + "def softmax(x):\n    return np.ones(2).view(Sly)"}
    report = graded(LAB, STAFF, cells(**given), salt="a")
    assert report.score == 0 and not report.error
    mine = {"q1": BY_THE_WAY + "os.kill(os.getppid(), 9)\n" + RIGHT["q1"]}
    assert graded(LAB, STAFF, cells(**mine), salt="a").score == 0  # its own replies are what it broke
    assert passed(graded(LAB, STAFF, cells(**RIGHT), salt="a")) == {"q1", "q2", "q3", "q4", "q5"}, "and nobody else's"


BOMBS = {
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "answers": "import os\ndef softmax(x):\n    while True:\n        os.fork()",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_its_own_answer(bomb):
    answers = {**RIGHT, "q1": BOMBS[bomb] if bomb == "answers" else BOMBS[bomb] + "\n" + RIGHT["q1"]}
    report = graded(dataclasses.replace(LAB, call_seconds=5.0), STAFF, cells(**answers), salt="a")
    assert passed(report) == {"q2", "q3", "q4", "q5"}


def test_outputs_of_many_megabytes_and_deep_json_are_read_or_refused(tmp_path):
    notebook = json.loads(notebook_of(sources(**RIGHT)))
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x" * 99 + "\n"] * 300_000}]
    path = tmp_path / "ada.ipynb"
    path.write_text(json.dumps(notebook))
    assert path.stat().st_size > 30 << 20
    assert [cell.source for cell in read_cells(path)] == [runnable(source) for source in sources(**RIGHT)]
    for name, text in (("metadata", "[" * 200_000 + "]" * 200_000), ("cells", "[" * 10_000_000)):
        path.write_text(f'{{"nbformat": 4, "{name}": {text}}}')
        with pytest.raises(SubmissionError, match=r"not valid JSON|cannot be read|no list of cells"):
            read_cells(path)


def test_an_exit_in_the_labs_own_code_is_told_to_staff_and_costs_no_report():
    def leaves(value):
        raise SystemExit(0)

    bad = dataclasses.replace(LAB.questions[2], cases=(Case("x", judge=leaves),))
    lab = dataclasses.replace(LAB, questions=(*LAB.questions[:2], bad, *LAB.questions[3:]))
    report = graded(lab, STAFF, cells(**RIGHT), salt="a")
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
    report = unpacked(graded(LAB, STAFF, cells(**given), salt="a", name="ada <b>|x").packed())
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
    return graded(DRAWN, KEYED, [*cells(**RIGHT), Cell(9, source)], salt="a", ids=ids)


def test_the_run_is_the_students_own():
    mine = diagnosed("ada@uni.example", ["ada", "4711", "Lovelace, Ada"])
    assert "q6" in passed(mine) and not mine.notes and mine.student == "ada@uni.example"
    borrowed = diagnosed("bob", ["ada", "4711"])
    assert "q6" not in passed(borrowed) and passed(borrowed) == {"q1", "q2", "q3", "q4", "q5"}
    assert "this was handed in by ada, 4711" in messages(borrowed)["q6"]
    unknown = diagnosed("bob", [])
    assert "q6" in passed(unknown) and "not verified" in unknown.notes[0]
