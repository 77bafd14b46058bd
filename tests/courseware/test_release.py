"""What students get: the course without its answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from courseware.authoring import build
from courseware.grading import release
from courseware.grading.release import ReleaseError, release_student, student_files


@pytest.fixture
def course(tmp_path):
    root = tmp_path / "course"
    files = {
        "README.md": "hello",
        "tasks.py": "",
        "labs/lab90_mini.ipynb": "{}",
        "solutions/lab90_mini.py": "answer",
        "tests/labs/lab90_hidden.py": "MUTANTS",
        "tests/model/test_x.py": "",
        "tests/courseware/minilab/lab90_hidden.py": "MUTANTS",
        "experiments/lab90_runs.py": "cause",
        "courseware/classroom/cases/lab90.py": "LAB",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    (root / "private_notes.txt").write_text("not committed")
    return root


def test_students_get_no_answers(course, tmp_path):
    destination = tmp_path / "student"
    assert release_student(destination, course) == 5
    found = {str(p.relative_to(destination)) for p in destination.rglob("*") if p.is_file()}
    assert found == {
        "README.md",
        "tasks.py",
        "labs/lab90_mini.ipynb",
        "tests/model/test_x.py",
        "courseware/classroom/cases/lab90.py",
    }


def test_a_release_overwrites_nothing_and_is_complete(course, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(ReleaseError, match="not an empty folder"):
        release_student(tmp_path / "full", course)
    subprocess.run(["git", "rm", "-q", "--cached", "labs/lab90_mini.ipynb"], cwd=course, check=True)
    with pytest.raises(ReleaseError, match="courseware build"):
        release_student(tmp_path / "new", course)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ReleaseError, match="not a git checkout"):
        student_files(tmp_path)


def test_this_course_releases_no_staff_file(capsys, tmp_path):
    try:
        names = [str(path) for path in student_files()]
    except ReleaseError:
        pytest.skip("not a git checkout")
    assert "pyproject.toml" in names
    assert not [name for name in names if "hidden" in name or "solution" in name.lower()]
    (tmp_path / "x").write_text("")
    assert release.main(["--student", str(tmp_path)]) == 2
    assert "release:" in capsys.readouterr().err


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The students' copy of this course."""
    destination = tmp_path_factory.mktemp("release") / "student"
    try:
        release_student(destination)
    except ReleaseError as error:
        pytest.skip(str(error))
    return destination


def run_there(released: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(released)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=released, env=environment, capture_output=True, text=True)


def test_the_students_copy_passes_the_checks_of_its_notebooks(released):
    """Whether a notebook is what its source builds does not depend on the place; whether it needs a source does."""
    assert build.orphans(released) == []
    for command in ("badges", "claims"):
        done = run_there(released, "courseware", command, "--check")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_that_students_get_hold_there(released):
    """Those that look at the repository; the rest test the library and do not know where they are."""
    about_sources = "tests/test_notebooks.py::test_there_is_a_notebook_for_every_source_and_a_source_for_every_notebook"
    tests = [about_sources, "tests/test_repo.py"]
    done = run_there(released, "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_test_that_students_get_needs_a_file_of_staffs(released):
    for path in sorted((released / "tests").rglob("*.py")):
        for module in re.findall(r"^\s*(?:from|import) (tests[.\w]*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            place = released / module.replace(".", "/")
            assert place.exists() or place.with_suffix(".py").exists(), f"{path.name} imports {module}"
