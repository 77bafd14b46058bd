"""The grader against honest, broken and hostile submissions."""

import csv
import dataclasses
import json

import pytest
from minilab import HASTY, HERE, LAB, RIGHT, STAFF, STUBS, WRONG, cells, graded, sources

from courseware.grading import command as grade
from courseware.grading import grader as grading
from courseware.grading.grader import grade_cells, judge_mutants
from courseware.grading.staff_files import StaffFilesMissing, load_staff_files, notebook_of, percent_cells
from courseware.grading.submission import SubmissionError, definitions, guess_lab, read_cells, runnable
from llmlib.sandbox import available_backend

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)
OK1, OK2, OK3 = (RIGHT[q] for q in ("q1", "q2", "q3"))
W1, W2, W3 = (WRONG[q] for q in ("q1", "q2", "q3"))


def passed(report):
    return {r.question.id.split(".")[1] for r in report.results if r.passed}


@needs_sandbox
def test_reference_gets_everything_and_the_untouched_lab_nothing():
    full = grade_cells(LAB, STAFF, STAFF.reference, salt="a")
    assert full.score == LAB.points and full.notes == ()
    assert full.ungraded["lab90.p1"] == "4"
    untouched = graded(LAB, STAFF, cells(), salt="a")
    assert untouched.score == 0 and untouched.notes == ()
    assert {r.message for r in untouched.results} == {"not started yet"}
    assert set(untouched.ungraded.values()) == {""}


@needs_sandbox
def test_each_mutant_loses_its_own_question_and_is_named():
    for mutant, results in judge_mutants(LAB, STAFF, salt="tests"):
        assert [r.question.id for r in results if not r.passed] == [mutant.question], mutant.name
        assert mutant.message in next(r.message for r in results if r.question.id == mutant.question)


@needs_sandbox
def test_an_early_mistake_costs_its_points_once():
    report = graded(LAB, STAFF, cells(**{**RIGHT, "q1": W1}), salt="a")
    assert passed(report) == {"q2", "q3", "q4", "q5"}
    assert "given a correct answer" in next(r.message for r in report.results if r.question.id == "lab90.q4")
    broken = graded(LAB, STAFF, cells(q1=W1, q4="def surprise(x, target):\n    return 0.0"), salt="a")
    assert passed(broken) == set()


@needs_sandbox
def test_hidden_answers_are_not_told():
    report = graded(LAB, STAFF, cells(q3="vocab_size = 9"), salt="a")
    message = next(r.message for r in report.results if r.question.id == "lab90.q3")
    assert "not the right answer" in message and "4" not in message


# Prototype attacks and more: answers to q1, q2, q3 (None: the stub), and the questions they may earn.
ATTACKS = {
    "public_only": (
        "def softmax(x):\n    e = np.exp(x)\n    return e / e.sum()",
        "def bigrams(t):\n    return [('a', 'b')]",
        "vocab_size = 5",
        "",
    ),
    "syntax_error": ("def softmax(x:\n  return", OK2, OK3, "q2 q3"),
    "raise_at_top": ("raise RuntimeError('x')", OK2, OK3, "q2 q3"),
    "loop_cell": (OK1, "while True: pass", OK3, "q1 q3"),
    "loop_in_function": (OK1, "def bigrams(t):\n    while True: pass", OK3, "q1 q3"),
    "os_exit": (OK1, "import os; os._exit(0)", OK3, "q1 q3"),
    "os_exit_in_function": (OK1, "def bigrams(t):\n    import os; os._exit(0)", W3, "q1"),
    "sys_exit": (W1, "import sys; sys.exit(0)", OK3, "q3"),
    "sys_exit_in_function": (
        "def softmax(x):\n    import sys; sys.exit(0)",
        "def bigrams(t):\n    raise SystemExit(0)",
        OK3,
        "q3",
    ),
    "keyboard_interrupt": ("def softmax(x):\n    raise KeyboardInterrupt", OK2, W3, "q2"),
    "patch_numpy": (
        "import numpy.testing\nnumpy.testing.assert_allclose = lambda *a, **k: None\n"
        "np.isclose = np.allclose = lambda *a, **k: True\n" + W1,
        W2,
        W3,
        "",
    ),
    "patch_builtins": (W1, "import builtins\nbuiltins.isinstance = lambda *a: True\n" + W2, W3, ""),
    "patch_json": ("import json\njson.dumps = lambda *a, **k: '{}'\nnp.save = lambda *a, **k: None\n" + W1, W2, W3, ""),
    "always_equal": (
        "class E:\n    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n"
        "    def __len__(s): return 0\n"
        "    def sum(s, *a, **k): return 1.0\n    def __array__(s, *a, **k): return np.array([.5, .5])\n"
        "def softmax(x): return E()",
        "def bigrams(t): return E()",
        "class I(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\nvocab_size = I(0)",
        "",
    ),
    "print_score": ("print('{\"score\": 6}')\nprint('6/6 passed')\n" + W1, W2, W3, ""),
    "detached_child": ("import subprocess; subprocess.Popen(['sleep', '45'], start_new_session=True)\n" + OK1, OK2, OK3,
                       "q1 q2 q3"),
    "fork": ("import os\npid = os.fork()\n" + OK1, OK2, OK3, "q1 q2 q3"),
    "threads_left": (
        "import threading, time\nthreading.Thread(target=lambda: time.sleep(30)).start()\n" + OK1, OK2, OK3, "q1 q2 q3"
    ),
    "huge_allocation": ("big = bytearray(100 * 1024**3)\n" + OK1, OK2, OK3, "q2 q3"),
    "huge_output": (OK1 + "\nfor i in range(100000): print('x' * 100)", OK2, OK3, "q1 q2 q3"),
    "huge_value": ("def softmax(x):\n    return np.zeros(60_000_000)", OK2, OK3, "q2 q3"),
    "delete_tests": (
        "import os, glob\nfor p in glob.glob('tests/*') + glob.glob('/sandbox/*') + glob.glob('../tests/*'):\n"
        "    os.remove(p)\n" + W1,
        W2,
        W3,
        "",
    ),
    "needs_input": ("name = input('?')\n" + OK1, OK2, OK3, "q2 q3"),
    "network": (
        "import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:9', timeout=2)\n"
        "except OSError as e: print('net', e)\n" + OK1,
        OK2,
        OK3,
        "q1 q2 q3",
    ),
    "forge_early": (
        "import os, json\nfor d in range(3, 20):\n    for nonce in ('', None, 0):\n        try:\n"
        "            os.write(d, (json.dumps({'nonce': nonce, 'value': 4, 'score': 99}) + '\\n').encode())\n"
        "        except OSError: pass\n" + W1,
        W2,
        W3,
        "",
    ),
    "read_tests": (
        W1,
        W2,
        "import glob, sys\nplaces = ['/*', '/*/*', '/*/*/*', '/sandbox/**/*', sys.prefix + '/../*']\n"
        "names = [n for p in places for n in glob.glob(p, recursive=True)]\n"
        "vocab_size = [n for n in names if any(w in n for w in ('hidden', 'courseware', 'solutions', 'minilab'))] or 4",
        "q3",
    ),
    "import_the_answer": (
        "from courseware.grading.staff_files import StaffFiles\nfrom llmlib.sandbox import decode\n" + OK1,
        "from minilab.lab90 import pairs as bigrams",
        OK3,
        "q3",
    ),
    "forbidden_name": ("def softmax(x):\n    return np.exp(x - np.logaddexp.reduce(x))", OK2, OK3, "q2 q3"),
    "magics_and_extra_cells": ("%matplotlib inline\n!pip list\n" + OK1, OK2, OK3, "q1 q2 q3"),
    "redefined_later": (OK1, OK2, OK3 + "\nsoftmax = None", "q2 q3"),
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("attack", ATTACKS)
def test_submissions_earn_what_they_compute_and_nothing_else(attack):
    *answers, expected = ATTACKS[attack]
    given = {q: a for q, a in zip(("q1", "q2", "q3"), answers) if a is not None}
    lab = HASTY if attack.startswith("loop") else LAB
    report = graded(lab, STAFF, cells(**given), salt="a")
    assert passed(report) == set(expected.split())
    assert [r.question.id for r in report.results] == [q.id for q in LAB.questions]


@needs_sandbox
def test_reasons_reach_the_report():
    given = {
        "q1": "def softmax(x:\n  return",
        "q2": "def bigrams(t):\n    import os; os._exit(0)",
        "q3": "while 1: pass",
    }
    report = graded(HASTY, STAFF, cells(**given), salt="a")
    assert any(note.startswith("code cell 2, line 1: SyntaxError") for note in report.notes)
    assert "code cell 4 took longer than its time limit and was left out" in report.notes
    messages = {r.question.id: r.message for r in report.results}
    assert "Missing: softmax is not defined" in messages["lab90.q1"]
    assert "ended the interpreter" in messages["lab90.q2"]


@needs_sandbox
def test_a_submission_that_hangs_everywhere_ends(monkeypatch):
    monkeypatch.setattr(grading, "MAX_RESTARTS", 2)
    lab = dataclasses.replace(LAB, cell_seconds=0.3)
    report = grade_cells(lab, STAFF, [dataclasses.replace(c, source="while 1: pass") for c in cells()], salt="a")
    assert report.score == 0
    assert ["too often" in r.message for r in report.results] == [True] * len(LAB.questions)


# -- reading notebooks ----


def write_notebook(path, **answers):
    path.write_text(notebook_of(sources(**answers)))
    return path


def test_cells_are_read_whatever_the_editor_did(tmp_path):
    path = tmp_path / "lab.ipynb"
    notebook = json.loads(notebook_of(["x = 1", "y = 2", "z = 3", "# not graded\nw = 4", "v = 5"]))
    notebook["cells"][0]["source"] = ["x = 1\n", "x += 1"]
    notebook["cells"][1]["metadata"] = {"tags": ["not-graded"]}
    notebook["cells"][2]["metadata"] = {"id": "colab-setup"}
    del notebook["cells"][4]["metadata"], notebook["cells"][4]["id"]
    notebook["cells"].insert(1, {"cell_type": "markdown", "source": "text"})
    path.write_text(json.dumps(notebook))
    assert [(c.number, c.source) for c in read_cells(path)] == [(1, "x = 1\nx += 1"), (5, "v = 5")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "format 4"),
        ('{"worksheets": []}', "format 4"),
        ('{"cells": 3}', "format 4"),
        ('{"cells": []}', "no code cell"),
        ('{"cells": [1, {"cell_type": "markdown", "source": "x"}]}', "no code cell"),
    ],
)
def test_corrupt_notebooks_are_refused_in_one_line(text, says, tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text(text)
    with pytest.raises(SubmissionError, match=says):
        read_cells(path)
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_cells(tmp_path / "missing.ipynb")


def test_magics_do_nothing_and_percent_signs_survive():
    assert runnable("%time f()\n  !ls") == "pass\n  pass"
    assert runnable("%%time\nx = 1") == "x = 1"
    assert runnable("%%bash\nrm -r x") == ""
    assert runnable("x = (10\n% 3)") == "x = (10\n% 3)"


def test_definitions_are_found_by_name():
    found = definitions(
        "import numpy as np\n@wraps\ndef f():\n    pass\nclass A: pass\nx = y = 1\na, b = 1, 2\nz: int = 3"
    )
    assert set(found) == {"np", "f", "A", "x", "y", "a", "b", "z"}
    assert found["f"] == "@wraps\ndef f():\n    pass"
    assert definitions("def f(:") == {}


def test_the_lab_is_guessed_from_the_checks_then_the_name(tmp_path):
    path = write_notebook(tmp_path / "lab03_mine.ipynb")
    assert guess_lab(path, read_cells(path)) == "lab90"
    assert guess_lab(path, []) == "lab03"
    assert guess_lab(tmp_path / "mine.ipynb", []) is None


def test_the_reference_leaves_ungraded_cells_out():
    cells = percent_cells(HERE / "solutions" / "lab90_mini.py")
    assert "Table" in cells[-1].source
    assert all("RuntimeError" not in cell.source for cell in cells)


def test_missing_hidden_cases_are_missed(tmp_path):
    with pytest.raises(StaffFilesMissing, match="no hidden cases for lab90"):
        load_staff_files(LAB, tmp_path)


# -- the command ----


def rows_of(path):
    return {row["Student"]: row for row in csv.DictReader(path.open())}


@needs_sandbox
def test_a_batch_is_graded_whatever_is_in_it(tmp_path, capsys):
    good = write_notebook(tmp_path / "ada_11_22_lab90.ipynb", **RIGHT)
    part = write_notebook(tmp_path / "bob_12_23_lab90.ipynb", q1=OK1)
    hangs = write_notebook(tmp_path / "eve_13_24_lab90.ipynb", q2="import os; os._exit(0)")
    corrupt = tmp_path / "mal_14_25_lab90.ipynb"
    corrupt.write_text("{")
    out, results = tmp_path / "grades.csv", tmp_path / "gradescope"
    files = [str(p) for p in (good, corrupt, hangs, part)]
    assert grade.main([*files, "--out", str(out), "--json", str(results), "--hidden", str(HERE)]) == 1
    rows = rows_of(out)
    points = {"    Points Possible": "7", "ada": "7", "mal": "", "eve": "0", "bob": "2"}
    assert {name: row["lab90"] for name, row in rows.items()} == points
    details = rows_of(tmp_path / "grades.details.csv")
    assert rows["ada"]["ID"] == "11" and details["bob"]["lab90.q1"] == "2"
    assert details["mal"]["Note"].startswith("ERROR: is not a notebook")
    assert "ERROR: is not a notebook: its text is not valid JSON" in capsys.readouterr().out
    found = {p.stem: json.loads(p.read_text()) for p in results.iterdir()}
    assert set(found) == {"ada_11", "bob_12", "eve_13", "mal_14"}
    assert [t["score"] for t in found["ada_11"]["tests"]] == [2, 2, 1, 1, 1]
    assert found["mal_14"]["score"] == 0 and "could not be graded" in found["mal_14"]["output"]
    # A later batch updates the gradebook; a corrupt second hand-in costs nobody their score.
    good.write_text("{")
    better = write_notebook(part, **RIGHT)
    assert grade.main([str(good), str(better), "--out", str(out), "--hidden", str(HERE)]) == 1
    rows = rows_of(out)
    assert (rows["ada"]["lab90"], rows["bob"]["lab90"], rows["eve"]["lab90"]) == ("7", "7", "0")
    assert rows_of(tmp_path / "grades.details.csv")["ada"]["Note"].startswith("ERROR")


@needs_sandbox
def test_inputs_are_fresh_unless_the_salt_is_given(tmp_path, capsys):
    path = write_notebook(tmp_path / "a.ipynb", q1="def softmax(x):\n    return x")
    shown = []
    for salt in (["--salt", "x"], ["--salt", "x"], [], []):
        grade.main([str(path), "--hidden", str(HERE), *salt])
        shown.append(capsys.readouterr().out.split("lab90.q1")[1].split("\n")[0])
    assert shown[0] == shown[1]
    assert len({*shown[1:]}) == 3


def test_without_a_sandbox_nothing_is_scored(tmp_path, monkeypatch, capsys):
    path = write_notebook(tmp_path / "lab90.ipynb", q1=OK1)
    monkeypatch.setattr("llmlib.sandbox.backends.works", lambda name: False)
    assert grade.main([str(path), "--hidden", str(HERE), "--out", str(tmp_path / "g.csv")]) == 2
    assert "nothing is scored" in capsys.readouterr().err
    assert not (tmp_path / "g.csv").exists()
    assert grade.main([str(path), "--hidden", str(HERE), "--unsafe"]) == 0
    assert "2 of 7 points" in capsys.readouterr().out


@needs_sandbox
def test_wrong_arguments_are_said_in_one_line(tmp_path, capsys):
    path = write_notebook(tmp_path / "x.ipynb", q1=OK1)
    assert grade.main([str(path), "--hidden", str(tmp_path)]) == 2
    assert "no hidden cases" in capsys.readouterr().err
    assert grade.main([str(path), "--lab", "98", "--hidden", str(HERE)]) == 1
    assert "there is no lab 'lab98'" in capsys.readouterr().out
    other = tmp_path / "notes.csv"
    other.write_text("a,b\n1,2\n")
    assert grade.main([str(path), "--hidden", str(HERE), "--out", str(other)]) == 2
    assert "is no gradebook" in capsys.readouterr().err
    assert other.read_text() == "a,b\n1,2\n"


def test_a_notebook_of_ones_own_is_checked_on_public_cases(tmp_path, capsys):
    assert grade.check_notebook(write_notebook(tmp_path / "lab90.ipynb", q1=OK1, q3="vocab_size = 8")) == 0
    out = capsys.readouterr().out
    assert "lab90.q1   2/2" in out and "lab90.q3   1/1" in out  # 8 is wrong, but only hidden cases know


def test_a_fault_of_the_grader_is_not_a_zero(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "grade_cells", lambda *a, **k: 1 / 0)
    report = grade.grade_file(write_notebook(tmp_path / "a.ipynb"), hidden_folder=HERE)
    assert "the grader failed (ZeroDivisionError" in report.error


def test_stubs_are_what_students_get():
    assert all("NotImplementedError" in s or "..." in s for s in STUBS.values())
