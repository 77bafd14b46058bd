"""What a student does in JupyterLab: open, run, answer, save, come back; and none of it touches the course."""

import json
import os
import re
import time

import pytest

from courseware.authoring import build

LECTURE = os.environ.get("LECTURE", "03")
MINUTES = 8  # for all cells of a lecture, on a busy machine


class Notebook:
    """The notebook in the current tab. Cells are found by what they hold; JupyterLab draws only what is in view."""

    def __init__(self, page, course, path: str) -> None:
        self.page, self.file = page, course.folder / path
        self.page.wait_for_function(
            "path => { const book = window.jupyterapp?.shell.currentWidget; return book?.context?.path === path"
            " && book.context.isReady && book.content.isAttached; }",
            arg=path,
        )
        self.page.locator(".jp-Notebook:visible .jp-Cell").first.wait_for()
        self.idle(60)

    def cells(self) -> list[dict]:
        return json.loads(self.file.read_text(encoding="utf-8"))["cells"]

    def find(self, pattern: str) -> list[int]:
        """Numbers of the code cells whose source matches."""
        found = enumerate(self.cells())
        source = {n: "".join(cell["source"]) for n, cell in found if cell["cell_type"] == "code"}
        return [n for n, text in source.items() if re.search(pattern, text, re.MULTILINE)]

    def open_cells(self) -> list[int]:
        """Numbers of the code cells whose code is not folded away."""
        hidden = {n for n, cell in enumerate(self.cells()) if cell["metadata"].get("jupyter", {}).get("source_hidden")}
        return [n for n in self.find(r"\S") if n not in hidden]

    def errors(self) -> list[str]:
        """What went wrong, and in which cell."""
        return [
            f"cell {n}: {output['ename']}: {output['evalue']}"
            for n, cell in enumerate(self.cells())
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]

    def show(self, number: int):
        """Scroll to a cell; returns where it is on the page."""
        self.page.evaluate(
            "n => { const book = window.jupyterapp.shell.currentWidget.content; book.activeCellIndex = n;"
            " book.deselectAll(); return book.scrollToItem(n, 'start'); }",
            number,
        )
        cell = self.page.locator(f".jp-Notebook:visible .jp-Cell[data-windowed-list-index='{number}']")
        cell.wait_for()
        return cell

    def menu(self, *names: str) -> None:
        bar = self.page.locator("#jp-MainMenu")
        bar.get_by_text(names[0], exact=True).click()
        for name in names[1:]:
            self.page.locator(".lm-Menu").get_by_text(name, exact=True).first.click()

    def run_all(self) -> None:
        self.menu("Edit", "Clear Outputs of All Cells")
        self.menu("Run", "Run All Cells")
        done = "cells.every(c => c.type !== 'code' || !c.sharedModel.source.trim() || c.executionCount)"
        stopped = "cells.some(c => c.type === 'code' && c.toJSON().outputs.some(o => o.output_type === 'error'))"
        self.idle(60 * MINUTES, f"(cells => {done} || {stopped})(Array.from(book.content.model.cells))")
        self.save()

    def idle(self, seconds: float, more: str = "true") -> None:
        """Wait until the kernel has nothing to do."""
        kernel = "book?.context?.sessionContext?.session?.kernel?.status === 'idle'"
        script = f"() => {{ const book = window.jupyterapp.shell.currentWidget; return {kernel} && {more}; }}"
        self.page.wait_for_function(script, timeout=1000 * seconds)

    def save(self) -> None:
        """Ctrl+S, and wait until nothing is left to be written."""
        self.page.keyboard.press("Control+s")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def write(self, number: int, text: str, says: str) -> str:
        """Replace a cell's text, run it as one does, wait until it says something, and return all that it says."""
        cell = self.show(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        count = "window.jupyterapp.shell.currentWidget.content.activeCell.model.executionCount"
        before = self.page.evaluate(count)
        self.page.keyboard.press("Control+Enter")
        # The number comes with the kernel's last word on the cell, and what it printed is drawn a little later.
        self.page.wait_for_function(f"before => {count} && {count} !== before", arg=before)
        output = cell.locator(".jp-OutputArea-output")
        output.filter(has_text=says).first.wait_for()
        return "\n".join(output.all_inner_texts())


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

    moved = 0
    for number in book.find(r"^explore\("):
        cell = book.show(number)
        cell.locator(".widget-html, .jp-OutputArea-output").first.wait_for()
        handle = cell.locator(".noUi-handle").first
        if handle.count():
            view = cell.locator(".widget-html-content").last
            before = view.inner_html()
            handle.focus()
            page.keyboard.press("ArrowRight")
            page.wait_for_function("([node, old]) => node.innerHTML !== old", arg=[view.element_handle(), before])
            moved += 1
    assert moved > 0, "no slider moved"

    number = book.find(r"^poll\(")[0]
    cell = book.show(number)
    answer = cell.locator("details").first
    answer.locator("summary").wait_for()
    assert answer.get_attribute("open") is None
    answer.locator("summary").click()
    assert answer.get_attribute("open") is not None
    cell.get_by_role("button", name="A", exact=True).click()
    said = cell.locator(".widget-html-content, .widget-htmlmath-content").last.element_handle()
    page.wait_for_function("node => node.innerText.trim().length > 10", arg=said)

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
