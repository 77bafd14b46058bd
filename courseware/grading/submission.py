"""Reading a submission: the code cells of a notebook nobody has vetted, and the definitions in a reference solution."""

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 40 << 20
SKIP = "not-graded"
SETUP = "colab-setup"


class SubmissionError(ValueError):
    """A file that cannot be graded; the message is one line for the report."""


@dataclass(frozen=True)
class Cell:
    """A code cell: ``number`` counts code cells from 1, as a reader would."""

    number: int
    source: str


def read_cells(path: Path) -> list[Cell]:
    """The code cells to grade, in order. Cells tagged "not-graded", or starting with "# not graded", are left out."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SubmissionError(f"the file is larger than {MAX_BYTES >> 20} MB")
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SubmissionError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SubmissionError("is not a notebook: its text is not valid JSON") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise SubmissionError("is not a notebook of format 4: it has no list of cells")
    code = [c for c in cells if isinstance(c, dict) and c.get("cell_type") == "code"]
    if not code:
        raise SubmissionError("holds no code cell")
    return [Cell(number, runnable(_source(cell))) for number, cell in enumerate(code, 1) if not _skipped(cell)]


def _source(cell: dict) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _skipped(cell: dict) -> bool:
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    tags = metadata.get("tags") if isinstance(metadata.get("tags"), list) else []
    # Colab keeps a cell's id in its metadata
    is_setup = SETUP in (cell.get("id"), metadata.get("id"))
    return SKIP in tags or is_setup or _source(cell).lstrip().lower().startswith("# not graded")


def runnable(source: str) -> str:
    """The cell as plain Python: lines for the notebook itself (``%time``, ``!pip``) do nothing."""
    if source.lstrip().startswith("%%"):
        magic, _, body = source.lstrip().partition("\n")
        return body if magic.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return re.sub(r"^(\s*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)
    return source


def guess_lab(path: Path, cells: list[Cell]) -> str | None:
    """The lab a notebook belongs to: the one its checks name most often, else the one in its file name."""
    named = Counter(re.findall(r"""["'](lab\d\d)\.[qpct]\d+["']""", "\n".join(cell.source for cell in cells)))
    if named:
        return named.most_common(1)[0][0]
    found = re.search(r"lab_?(\d\d)", path.name.lower())
    return f"lab{found.group(1)}" if found else None


def defining_cells(cells: list[Cell], name: str) -> list[Cell]:
    """Cells that define, assign or import ``name`` at their top level."""
    return [cell for cell in cells if name in definitions(cell.source)]


def definitions(source: str) -> dict[str, str]:
    """Names a piece of code binds at top level -> the statement that does; empty where it does not parse."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names, first = [node.name], min([node.lineno, *(d.lineno for d in node.decorator_list)])
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names, first = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)], node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names, first = [(a.asname or a.name).split(".")[0] for a in node.names], node.lineno
        else:
            continue
        statement = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
        found.update(dict.fromkeys(names, statement))
    return found
