"""What a reader should not see first: code that only draws, and the answers of polls. And the box of sources.

Everything done here to a source's cells is undone by `restore`, so that `courseware adopt` gives back what the author
wrote.
"""

import re

from nbformat import NotebookNode

from courseware.authoring.stubs import BuildError
from courseware.classroom.polls import sealed_poll, unsealed_poll
from courseware.classroom.sources import sources_box

FOLDED = {"figure", "diagram"}  # tags of cells whose code is hidden; polls, votes and claims tables need none
_BY_ITSELF = re.compile(r"\s*(poll|claims_table|show_concept_test|\w*ballot\.(vote|shift))\(")
_SOURCES = re.compile(r"^<!-- sources: *([\w, ]*?) *-->$", re.MULTILINE)
_BOX = re.compile(r"^(<!-- sources: *[\w, ]*? *-->)\n.*?<!-- /sources -->$", re.MULTILINE | re.DOTALL)


def prepare(cell: NotebookNode, where: str) -> None:
    """Make a source's cell what the notebook holds: folded if its code only draws, a poll sealed, sources in a box."""
    if cell.cell_type == "markdown":
        cell.source = _with_box(cell.source, where)
    elif cell.cell_type == "code":
        if is_folded(cell):
            fold(cell)
        cell.source = sealed_poll(cell.source)


def restore(cell: NotebookNode, where: str) -> None:
    """Make a notebook's cell what its source holds: `prepare` undone."""
    if cell.cell_type == "markdown":
        cell.source = _BOX.sub(r"\1", cell.source)
    elif cell.cell_type == "code":
        unfold(cell)
        try:
            cell.source = unsealed_poll(cell.source)
        except ValueError as error:
            raise BuildError(f"{where}: {error}") from None


def is_folded(cell: NotebookNode) -> bool:
    """Is this code not for reading: a figure or diagram by its tag; a poll, whose answer it holds; a vote; claims?"""
    return bool(FOLDED & set(cell.metadata.get("tags", []))) or bool(_BY_ITSELF.match(cell.source))


def fold(cell: NotebookNode) -> None:
    """Fold away a cell's code in JupyterLab, on Colab and on the site; `unfold` undoes it."""
    cell.metadata["jupyter"] = {"source_hidden": True}
    cell.metadata["cellView"] = "form"
    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]


def unfold(cell: NotebookNode) -> None:
    """Take back what folding added to the metadata."""
    cell.metadata.pop("jupyter", None)
    cell.metadata.pop("cellView", None)
    tags = [tag for tag in cell.metadata.pop("tags", []) if tag != "hide-input"]
    if tags:
        cell.metadata["tags"] = tags


def _with_box(text: str, where: str) -> str:
    def box(mark: re.Match[str]) -> str:
        try:
            lines = sources_box([key.strip() for key in mark[1].split(",") if key.strip()])
        except ValueError as error:
            raise BuildError(f"{where}: {mark[0]}: {error}") from None
        return f"{mark[0]}\n\n{lines}\n\n<!-- /sources -->"

    return _SOURCES.sub(box, text)
