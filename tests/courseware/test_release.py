"""What students get: the course without its answers."""

import subprocess

import pytest

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
