"""What a student does in JupyterLab: open, run, answer, save, come back; and none of it touches the course."""

import json
import os
import re
import time

import pytest
from notebook_walk import Notebook

from courseware.authoring import build

LECTURE = os.environ.get("LECTURE", "00")
LABS = os.environ.get("LABS", "01 10 16").split()


def open_from_the_page(page, course, kind: str, number: str) -> Notebook:
    link = page.locator(f".jp-RenderedMarkdown a[href*='{kind}']").filter(has_text=re.compile(rf"\b{number}\b")).first
    path = next((course.folder / "work" / kind.split("/")[0]).glob(f"*{number}_*.ipynb"))
    link.click()
    return Notebook(page, course, path.relative_to(course.folder).as_posix())


@pytest.fixture(autouse=True)
def the_course_is_untouched(course):
    """Not a byte: `git pull` goes on and every check of `make check` says what it said before."""
    yield
    assert course.changed() == ""


def test_a_lecture_from_the_first_page_to_the_next_day(page, course):
    book = open_from_the_page(page, course, "lectures", LECTURE)
    book.run_all()
    assert book.errors() == []

    first = book.open_cells()[0]
    book.write(first, "".join(book.cells()[first]["source"]) + "\nprint('noted')  # my note", says="noted")
    book.save()
    page.reload()
    again = Notebook(page, course, book.file.relative_to(course.folder).as_posix())
    assert "# my note" in again.show(first).inner_text()


def test_a_lab_with_a_failing_and_a_passing_check(page, course):
    book = open_from_the_page(page, course, "labs", "01")
    book.run_all()
    source = next((course.folder / "solutions").glob("lab01_*.py"))
    solved = {cell["id"]: cell["source"] for cell in build.solution_notebook(source, course.folder).cells}
    number = next(n for n in book.find(r"raise NotImplementedError") if "check(" in "".join(book.cells()[n]["source"]))
    cell = book.cells()[number]
    book.write(number, re.sub(r"raise NotImplementedError.*", "return None", "".join(cell["source"])), says="wrong")
    assert "wrong" not in book.write(number, solved[cell["id"]], says="pass")
    book.save()
    said = course.run("-m", "courseware", "check", str(book.file)).stdout
    assert "lab01.q1" in said
    check = course.run("-m", "courseware", "build", "--check", "lab01")
    assert check.returncode == 0, check.stdout

    page.reload()
    again = Notebook(page, course, book.file.relative_to(course.folder).as_posix())
    assert "".join(again.cells()[number]["source"]) == solved[cell["id"]]
    assert "pass" in again.show(number).inner_text()


@pytest.mark.parametrize("number", LABS)
def test_a_lab_from_the_first_cell_to_the_points(number, page, course, server):
    """Untouched, then solved cell by cell, saved, handed in, graded."""
    path = next((course.folder / "labs").glob(f"lab{number}_*.ipynb")).name
    page.goto(server.address(f"work/labs/{path}", f"lab-{number}"))
    book = Notebook(page, course, f"work/labs/{path}")
    book.run_all()
    assert book.errors() == []
    source = next((course.folder / "solutions").glob(f"lab{number}_*.py"))
    solved = {cell["id"]: cell["source"] for cell in build.solution_notebook(source, course.folder).cells}
    mine = {n: solved[cell["id"]] for n, cell in enumerate(book.cells()) if cell["id"] in solved}
    answers = {n: text for n, text in mine.items() if text != "".join(book.cells()[n]["source"])}
    assert len(answers) >= 5
    for n, text in answers.items():
        if book.cells()[n]["cell_type"] == "code":
            book.write(n, text, says=None)
    book.save()
    assert book.errors() == []
    said = "\n".join("".join(o.get("text", "")) for cell in book.cells() for o in cell.get("outputs", []))
    assert "not started yet" not in said and not re.search(r"^ +wrong ", said, re.MULTILINE), said
    graded = course.run("-m", "courseware", "grade", str(book.file), "--lab", number).stdout
    points = re.search(r"(\d+) of (\d+) points", graded)
    assert points and points[1] == points[2], graded


def test_an_original_runs_but_cannot_be_saved(page, course, server):
    path = next(p for p in sorted((course.folder / "labs").glob("*.ipynb")))
    page.goto(server.address(f"labs/{path.name}", "originals"))
    book = Notebook(page, course, f"labs/{path.name}")
    before = path.read_bytes()
    number = book.open_cells()[0]
    book.write(number, "print(6 * 7)", says="42")
    page.get_by_text("notebook is read-only").locator("visible=true").first.wait_for()
    page.keyboard.press("Control+s")
    status, said = server.put(f"labs/{path.name}", json.loads(before))
    assert status >= 400 and "belongs to the course and is read-only" in said, "the server would write it"
    assert path.read_bytes() == before


def test_ctrl_c_asks_once_and_keeps_the_kernels(page, course, server):
    open_from_the_page(page, course, "lectures", "00")
    alive = {kernel["id"] for kernel in server.kernels()}
    assert alive
    server.process.send_signal(2)
    while "Shut down this Jupyter server" not in server.said():
        assert server.process.poll() is None
        time.sleep(0.1)
    os.write(server.terminal, b"n\n")
    time.sleep(1)
    assert {kernel["id"] for kernel in server.kernels()} >= alive
    assert server.process.poll() is None
