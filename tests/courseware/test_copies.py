"""Everyone works on copies: nothing that was written is lost, and an update of the course meets no changed file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from courseware.classroom import copies, lab

LECTURE, LAB = "lectures/90_waves.ipynb", "labs/lab90_waves.ipynb"


def notebook(*sources: str, output: str = "") -> str:
    cells = [{"cell_type": "markdown", "id": "0", "source": ["# 90 · Waves\n", "text"], "metadata": {}}]
    for number, source in enumerate(sources, 1):
        outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
        cell = {"cell_type": "code", "id": str(number), "source": source, "outputs": outputs, "metadata": {}}
        cells.append({**cell, "execution_count": None})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def root(tmp_path):
    for name in (LECTURE, LAB):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(notebook("answer = ..."))
    return tmp_path


def names(root: Path) -> set[str]:
    return {path.relative_to(root / "work").as_posix() for path in (root / "work").rglob("*.ipynb")}


def test_everything_is_copied_once(root):
    assert copies.refresh(root) == [f"your copy: work/{LECTURE}", f"your copy: work/{LAB}"]
    assert (root / "work" / LAB).read_text() == (root / LAB).read_text()
    assert copies.refresh(root) == []
    assert names(root) == {LECTURE, LAB}
    assert not list((root / "work").rglob(".*.ipynb.*")), "no scratch files are left"


def test_a_copy_in_which_nobody_wrote_is_updated_even_if_it_was_run(root):
    copies.refresh(root)
    (root / "work" / LECTURE).write_text(notebook("answer = ...", output="run by a student"))
    for name in (LECTURE, LAB):
        (root / name).write_text(notebook("answer = ...", "new = 1"))
    assert copies.refresh(root) == [f"updated: work/{LECTURE}", f"updated: work/{LAB}"]
    assert (root / "work" / LECTURE).read_text() == (root / LECTURE).read_text()
    assert names(root) == {LECTURE, LAB}


def test_a_changed_copy_stays_and_the_new_version_is_put_beside_it_once(root):
    copies.refresh(root)
    mine = notebook("answer = 42")
    (root / "work" / LAB).write_text(mine)
    assert copies.refresh(root) == []
    (root / LAB).write_text(notebook("answer = ...", "second = ..."))
    (line,) = copies.refresh(root)
    assert "work/labs/lab90_waves.update.ipynb" in line and "has your changes and stays" in line
    assert copies.refresh(root) == [], "said once"
    assert (root / "work" / LAB).read_text() == mine
    beside = root / "work" / "labs" / "lab90_waves.update.ipynb"
    assert beside.read_text() == (root / LAB).read_text()

    (root / LAB).write_text(notebook("answer = ...", "third = ..."))
    copies.refresh(root)
    assert beside.read_text() == (root / LAB).read_text(), "nobody had written in it"
    beside.write_text(notebook("answer = 43", "third = ..."))
    (root / LAB).write_text(notebook("answer = ...", "fourth = ..."))
    (line,) = copies.refresh(root)
    assert "lab90_waves.update2.ipynb" in line
    assert "answer = 43" in beside.read_text() and (root / "work" / LAB).read_text() == mine


def test_new_outputs_of_the_course_do_not_replace_ones_own(root):
    copies.refresh(root)
    mine = notebook("answer = ...", output="my run")
    (root / "work" / LECTURE).write_text(mine)
    (root / LECTURE).write_text(notebook("answer = ...", output="the course's run"))
    assert copies.refresh(root) == []
    assert (root / "work" / LECTURE).read_text() == mine


@pytest.mark.parametrize("damage", ["{", "[]", '{"labs/lab90_waves.ipynb": 3}', None])
def test_without_its_record_a_changed_copy_still_stays(root, damage):
    copies.refresh(root)
    (root / "work" / LAB).write_text("my answers, not even a notebook")
    record = root / "work" / copies.RECORD
    record.unlink() if damage is None else record.write_text(damage)
    (line,) = copies.refresh(root)
    assert "stays" in line
    assert (root / "work" / LAB).read_text() == "my answers, not even a notebook"


def test_a_deleted_copy_is_made_afresh(root):
    copies.refresh(root)
    (root / "work" / LAB).unlink()
    assert copies.refresh(root) == [f"your copy: work/{LAB}"]


def test_start_takes_some_and_refuses_what_is_not_there(root, capsys):
    (root / "lectures" / "91_more.ipynb").write_text(notebook())
    assert lab.start(["lab90"], root) == 0
    assert names(root) == {LECTURE, LAB}
    assert lab.start(["92"], root) == 2
    assert "no lecture or lab 92: choose from 90, 91" in capsys.readouterr().err


def test_the_page_links_the_copies_and_says_how_to_work_and_hand_in(root):
    copies.refresh(root)
    (root / "work" / LAB).write_text("mine")
    (root / LAB).write_text(notebook("b = ..."))
    copies.refresh(root)
    page = (root / copies.PAGE).read_text()
    row = "| 90 | [90 · Waves](lectures/90_waves.ipynb) | [90 · Waves](labs/lab90_waves.ipynb), [new version](labs/"
    assert row in page
    for word in ("check-lab", "Hand it in", "Begin again", "slider"):
        assert word in page


# --- with git ---------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def student(root, tmp_path_factory):
    """A student's clone of a course that is published on a (local, bare) remote; `root` is the instructor's."""
    (root / ".gitignore").write_text("work/\n")
    folder = tmp_path_factory.mktemp("git")
    git(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "week 1")
    git(root, "remote", "add", "origin", str(folder / "remote.git"))
    git(root, "push", "-q", "origin", "main")
    git(folder, "clone", "-q", "remote.git", "student")
    return folder / "student"


def publish(root: Path) -> None:
    for name in (LECTURE, LAB):
        (root / name).write_text(notebook("answer = ...", "week = 2"))
    git(root, "commit", "-q", "-am", "week 2")
    git(root, "push", "-q", "origin", "main")


def test_run_save_pull_and_the_answers_are_still_there(root, student):
    copies.refresh(student)
    (student / "work" / LECTURE).write_text(notebook("answer = ...", output="ran"))
    (student / "work" / LAB).write_text(notebook("answer = 42", output="ok"))
    assert git(student, "status", "--porcelain") == ""
    publish(root)
    git(student, "pull", "-q", "--ff-only")
    told = copies.refresh(student)
    assert told[0] == f"updated: work/{LECTURE}" and "stays" in told[1]
    assert "answer = 42" in (student / "work" / LAB).read_text()
    assert "week = 2" in (student / "work" / "labs" / "lab90_waves.update.ipynb").read_text()
    assert git(student, "status", "--porcelain") == ""


def test_update_moves_what_was_written_in_the_originals_and_pulls(root, student):
    """In an editor that knows nothing of work/: one original was run, one filled in."""
    (student / LECTURE).write_text(notebook("answer = ...", output="ran"))
    (student / LAB).write_text(notebook("answer = 42"))
    publish(root)
    with pytest.raises(subprocess.CalledProcessError):
        git(student, "pull", "-q", "--ff-only")
    program = f"import sys; sys.path.insert(0, {str(copies.ROOT)!r})\nimport tasks\nfrom pathlib import Path\n"
    program += "tasks.ROOT = Path.cwd()\nsys.exit(tasks.main(['update']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=student, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{LAB} was changed in place; your version is now work/{LAB}" in done.stdout
    assert f"{LECTURE} was changed" not in done.stdout, "it was only run"
    assert (student / LAB).read_text() == (root / LAB).read_text()
    assert "answer = 42" in (student / "work" / LAB).read_text()
    assert git(student, "status", "--porcelain") == ""


def test_a_rescued_notebook_overwrites_no_copy(student):
    copies.refresh(student)
    (student / "work" / LAB).write_text("mine, in work")
    (student / LAB).write_text(notebook("answer = 42"))
    assert "work/labs/lab90_waves.mine.ipynb" in copies.rescue(student)[0]
    (student / LAB).write_text(notebook("answer = 43"))
    assert "work/labs/lab90_waves.mine1.ipynb" in copies.rescue(student)[0]
    assert (student / "work" / LAB).read_text() == "mine, in work"
    (student / LAB).unlink()
    assert copies.rescue(student) == [] and (student / LAB).exists()


def test_outside_git_an_update_says_so(root):
    with pytest.raises(copies.GitError, match="git diff"):
        copies.rescue(root)


# --- JupyterLab's files -----------------------------------------------------------------------------------------------


@pytest.fixture
def files(root):
    from courseware.classroom.course_files import CourseFiles

    copies.refresh(root)
    manager = CourseFiles(root_dir=str(root))
    manager.course = root.resolve()
    return manager


def wait(coroutine):
    import asyncio

    return asyncio.run(coroutine)


def test_originals_can_be_read_and_not_written(root, files):
    from tornado.web import HTTPError

    before = (root / LAB).read_text()
    model = wait(files.get(LAB))
    assert model["writable"] is False
    for refused in (
        lambda: files.save(model, LAB),
        lambda: files.rename_file(LAB, "work/x.ipynb"),
        lambda: files.delete_file(LAB),
        lambda: files.save(model, "labs/new.ipynb"),
        lambda: files.save(model, "work/../labs/lab90_waves.ipynb"),
    ):
        with pytest.raises(HTTPError, match=r"read-only here: save it as work/"):
            wait(refused())
    assert (root / LAB).read_text() == before and not (root / "labs" / "new.ipynb").exists()


def test_copies_can_be_written(root, files):
    model = wait(files.get(f"work/{LAB}"))
    assert model["writable"] is True
    model["content"]["cells"][1]["source"] = "answer = 42"
    wait(files.save(model, f"work/{LAB}"))
    wait(files.rename_file(f"work/{LAB}", "work/labs/mine.ipynb"))
    assert "answer = 42" in (root / "work" / "labs" / "mine.ipynb").read_text()


def test_authors_open_the_originals_for_writing():
    assert not [a for a in lab.server_arguments(author=True) if "contents_manager" in a]
    assert [a for a in lab.server_arguments(author=False) if a.endswith("CourseFiles")]
