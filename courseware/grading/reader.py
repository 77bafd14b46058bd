"""Parse a notebook nobody has vetted. This text is run in a limited process of its own: standard library only.

What comes back is plain data: the code cells to run and the lab they name, or one line that says why not.
"""

import ast
import json
import re
from collections import Counter

MAX_CODE = 2_000_000  # characters of code in all: a lab has 20,000
SKIP = "not-graded"
SETUP = "colab-setup"


def read(data: bytes) -> dict:
    """``{"cells": [[number, source], ...], "lab": "lab03" or ""}``, or ``{"error": one line}``."""
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except MemoryError:
        return {"error": "holds too much to be read"}
    except (ValueError, RecursionError):
        return {"error": "is not a notebook: its text is not valid JSON"}
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        return {"error": "is not a notebook of format 4: it has no list of cells"}
    code = [c for c in cells if isinstance(c, dict) and c.get("cell_type") == "code"]
    if not code:
        return {"error": "holds no code cell"}
    sources = [source_of(cell) for cell in code]
    if sum(map(len, sources)) > MAX_CODE:
        return {"error": f"holds more than {MAX_CODE:,} characters of code"}
    kept = [[n, runnable(s)] for n, (cell, s) in enumerate(zip(code, sources), 1) if not skipped(cell, s)]
    return {"cells": kept, "lab": named_lab(sources)}


def source_of(cell: dict) -> str:
    source = cell.get("source", "")
    text = "".join(line for line in source if isinstance(line, str)) if isinstance(source, list) else source
    return text if isinstance(text, str) else ""


def skipped(cell: dict, source: str) -> bool:
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    tags = metadata.get("tags") if isinstance(metadata.get("tags"), list) else []
    # Colab keeps a cell's id in its metadata
    is_setup = SETUP in (cell.get("id"), metadata.get("id"))
    return SKIP in tags or is_setup or source.lstrip().lower().startswith("# not graded")


def runnable(source: str) -> str:
    """The cell as plain Python: lines for the notebook itself (``%time``, ``!pip``) do nothing."""
    if source.lstrip().startswith("%%"):
        magic, _, body = source.lstrip().partition("\n")
        return body if magic.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
    if not re.search(r"^[ \t]*[%!?]", source, flags=re.MULTILINE):
        return source
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)
    return source


def named_lab(sources: list) -> str:
    """The lab that the checks of these cells name most often; empty if they name none."""
    found = Counter(m for s in sources for m in re.findall(r"""["'](lab\d\d)\.[qpct]\d{1,3}["']""", s))
    return found.most_common(1)[0][0] if found else ""
