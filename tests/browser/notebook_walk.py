"""A notebook in a tab of JupyterLab, as the walks use it."""

import json
import re

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

    def write(self, number: int, text: str, says: str | None) -> str:
        """Replace a cell's text, run it as one does, wait until it says something, and return all that it says.

        says=None: it may say nothing, and nothing is waited for but its end.
        """
        cell = self.show(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        count = "window.jupyterapp.shell.currentWidget.content.activeCell.model.executionCount"
        before = self.page.evaluate(count)
        self.page.keyboard.press("Control+Enter")
        # The number comes with the kernel's last word on the cell, and what it printed is drawn a little later.
        self.page.wait_for_function(f"before => {count} && {count} !== before", arg=before)
        if says is None:
            self.idle(240)
            return ""
        output = cell.locator(".jp-OutputArea-output")
        output.filter(has_text=says).first.wait_for()
        return "\n".join(output.all_inner_texts())
