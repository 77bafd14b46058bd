"""The zip for Gradescope, tried in a bare tree of folders as Gradescope lays it out.

/autograder/source is the unpacked zip, run_autograder is copied to /autograder, submission/ and
submission_metadata.json are there, results/results.json is to be written.
"""

import json
import os
import stat
import subprocess
import sys
import zipfile

import pytest

from courseware.classroom import cases
from courseware.grading import autograder
from courseware.grading.staff_files import load_staff_files, notebook_of
from courseware.grading.submission import SubmissionError
from llmlib.sandbox import available_backend

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)
LAB = cases.load_lab("lab01")
METADATA = {
    "id": 123456,
    "assignment": {"title": "Lab 1", "total_points": "20.0"},
    "users": [{"email": "ada@uni.edu", "id": 1234, "name": "Ada Lovelace"}],
    "previous_submissions": [],
}


def reference():
    return [cell.source for cell in load_staff_files(LAB).reference]


def unpacked(folder, *, public=False):
    """/autograder as Gradescope makes it, without setup.sh having run."""
    assert autograder.main(["01", "--out", str(folder / "lab.zip"), *["--public"] * public]) == 0
    root = folder / "autograder"
    (root / "submission").mkdir(parents=True)
    (root / "results").mkdir()
    with zipfile.ZipFile(folder / "lab.zip") as archive:
        archive.extractall(root / "source")
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert {"setup.sh", "run_autograder"} <= set(modes), "at the root of the archive"
    assert all(modes[name] & stat.S_IXUSR for name in ("setup.sh", "run_autograder"))
    (root / "run_autograder").write_bytes((root / "source" / "run_autograder").read_bytes())
    (root / "run_autograder").chmod(0o755)
    (root / "submission_metadata.json").write_text(json.dumps(METADATA))
    return root


def run(root, **more):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"AUTOGRADER_ROOT": str(root), "COURSE_PYTHON": sys.executable, **more}
    return subprocess.run([root / "run_autograder"], cwd="/", env=env, capture_output=True, text=True, timeout=900)


def results(root):
    """results.json by Gradescope's specification."""
    found = json.loads((root / "results" / "results.json").read_text())
    assert isinstance(found["score"], int | float) and found["stdout_visibility"] == "hidden"
    assert set(found) <= {"score", "output", "tests", "extra_data", "execution_time", "stdout_visibility", "visibility"}
    for test in found["tests"]:
        assert 0 <= test["score"] <= test["max_score"] and test["status"] in ("passed", "failed")
        assert test["visibility"] == "visible" and isinstance(test["name"], str) and isinstance(test["output"], str)
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return unpacked(tmp_path_factory.mktemp("gradescope"))


@needs_sandbox
def test_a_submission_is_graded_in_a_bare_tree(tree):
    sources = [s.replace('STUDENT = "student-1"', 'STUDENT = "ada"') for s in reference()]
    (tree / "submission" / "my lab.ipynb").write_text(notebook_of(sources))
    done = run(tree)
    assert done.returncode == 0, done.stderr + done.stdout
    found = results(tree)
    assert "Ada Lovelace" in done.stdout and len(found["tests"]) == len(LAB.questions)
    assert sum(test["max_score"] for test in found["tests"]) == LAB.points
    assert found["score"] == sum(test["score"] for test in found["tests"])
    if "took longer than its time limit" in found["output"]:
        pytest.skip("this machine is too busy to import torch in a cell's 20 seconds")
    drawn = [q.id for q in LAB.questions if q.kind == "diagnosis"]  # ada's run is not the reference's
    assert {t["name"].split()[0] for t in found["tests"] if t["status"] == "failed"} <= set(drawn)
    assert not any("not verified" in note for note in found["output"].splitlines()), "the metadata name her"


@needs_sandbox
def test_a_submission_without_the_notebook_is_told_what_to_hand_in(tree):
    for path in (tree / "submission").iterdir():
        path.unlink()
    (tree / "submission" / "notes.txt").write_text("hello")
    assert run(tree).returncode == 0
    found = results(tree)
    assert found["score"] == 0 and "no notebooks were handed in: hand in the one of lab01" in found["output"]


def test_without_a_sandbox_nobody_is_given_a_zero(tree, tmp_path):
    (tree / "results" / "results.json").unlink(missing_ok=True)
    (tree / "submission" / "lab01.ipynb").write_text(notebook_of(reference()))
    hidden = tmp_path / "sitecustomize.py"  # as in a container that lets nothing open a namespace
    hidden.write_text("import llmlib.sandbox.backends as b\nb.available_backend = lambda *a, **k: None\n"
                      "import llmlib.sandbox as s\ns.available_backend = b.available_backend\n")  # fmt: skip
    script = (tree / "run_autograder").read_text()
    changed = script.replace('source/course"', f'source/course:{tmp_path}"')
    assert changed != script
    (tree / "run_autograder").write_text(changed)
    try:
        done = run(tree)
    finally:
        (tree / "run_autograder").write_text(script)
    assert done.returncode == 1 and "NOT SCORED: there is no sandbox" in done.stdout, done.stderr
    assert not (tree / "results" / "results.json").exists()


def test_a_public_zip_holds_no_answers_and_says_that_it_is_a_guide(tmp_path):
    root = unpacked(tmp_path, public=True)
    names = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    assert not [n for n in names if "_hidden" in n or "solutions/" in n or "tests/" in n]
    (root / "submission" / "lab01.ipynb").write_text(notebook_of(reference()))
    done = run(root)
    assert done.returncode == 0, done.stderr
    assert results(root)["output"].startswith("Public cases only: the points that count are given later")


def test_the_zip_holds_what_grades_this_lab_and_no_other(tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    for out in (first, second):
        assert autograder.main(["01", "--out", str(out)]) == 0
    assert first.read_bytes() == second.read_bytes(), "the same course, the same bytes"
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        setup = archive.read("setup.sh").decode()
    staff = [n for n in names if n.startswith(("course/tests/", "course/solutions/"))]
    assert [n.rsplit("/", 1)[1][:5] for n in staff] == ["lab01", "lab01"]
    assert not [n for n in names if n.endswith((".pyc", ".safetensors"))]
    assert "bubblewrap" in setup and "-c course/constraints.txt" in setup
    assert subprocess.run(["bash", "-n"], input=setup, text=True).returncode == 0
    assert first.stat().st_size < 10_000_000


def test_wrong_arguments_write_nothing(tmp_path, capsys):
    assert autograder.main(["77", "--out", str(tmp_path / "x.zip")]) == 2
    assert "there is no lab 'lab77'" in capsys.readouterr().err
    assert autograder.main(["01", "--out", str(tmp_path / "no" / "x.zip")]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_is_the_labs_own(tmp_path):
    with pytest.raises(SubmissionError, match="no notebooks"):
        autograder.the_notebook(tmp_path, "lab01")
    (tmp_path / "a.ipynb").write_text(notebook_of(["check('lab02.q1', x)"]))
    assert autograder.the_notebook(tmp_path, "lab01").name == "a.ipynb", "the grader says what is wrong with it"
    (tmp_path / "b.ipynb").write_text(notebook_of(["check('lab01.q1', x)"]))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "b.ipynb").write_text("{}")
    assert autograder.the_notebook(tmp_path, "lab01").name == "b.ipynb"
    (tmp_path / "c.ipynb").write_text(notebook_of(["check('lab01.q1', x)"]))
    with pytest.raises(SubmissionError, match=r"2 notebooks were handed in \(b.ipynb, c.ipynb\)"):
        autograder.the_notebook(tmp_path, "lab01")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"users": 3}', '{"users": [3]}', "{}"])
def test_metadata_that_cannot_be_read_name_nobody(text, tmp_path):
    path = tmp_path / "submission_metadata.json"
    path.write_text(text)
    assert autograder.submitters(path) == [] == autograder.submitters(tmp_path / "missing")
    path.write_text(json.dumps(METADATA))
    assert autograder.submitters(path) == ["Ada Lovelace", "ada@uni.edu", "1234"]
