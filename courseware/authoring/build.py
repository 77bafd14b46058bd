"""Write notebooks from their percent-format sources.

lectures/source/NN_topic.py -> lectures/NN_topic.ipynb   outputs are kept while the source they came from is unchanged
solutions/labNN_topic.py    -> labs/labNN_topic.ipynb    the student's version, without solutions and outputs
                            -> build/solutions/...       on demand, with solutions

The same source always gives the same bytes, and the bytes are what JupyterLab writes when it saves, so that opening a
notebook changes nothing; only the Python version is left as a notebook has it. stubs.py says how a lab's source marks
what is a solution; a cell tagged "solution-only" is left out.
"""

import argparse
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from courseware.authoring import badges
from courseware.authoring.folding import fold, prepare
from courseware.authoring.stubs import BuildError, reveal_solutions, strip_solutions

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


# ---------------------------------------------------------------------------------------------------------- sources


def lecture_sources(root: Path = ROOT) -> list[Path]:
    """All lecture sources, in order."""
    return sorted((root / "lectures" / "source").glob("[0-9]*_*.py"))


def lab_sources(root: Path = ROOT) -> list[Path]:
    """All lab sources, in order."""
    return sorted((root / "solutions").glob("lab[0-9]*_*.py"))


def select(paths: Iterable[Path], names: Sequence[str]) -> list[Path]:
    """The paths whose name starts with one of `names` ("03", "lab03", "03_attention_to_gpt"); all when there are none.

    A bare number picks the lecture and the lab of that number.
    """
    paths = list(paths)
    if not names:
        return paths
    stems = [Path(name).stem for name in names]
    return [path for path in paths if any(path.stem.startswith((stem, f"lab{stem}")) for stem in stems)]


def read_source(source: Path) -> NotebookNode:
    """The cells of a percent-format source, with ids: `id="..."` on the cell's line, else the name and a number."""
    notebook = jupytext.read(source, fmt="py:percent")
    short = source.stem.split("_")[0]
    seen: dict[str, int] = {}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = cell.metadata.pop("id", f"{short}-{number:03d}")
        cell.metadata.pop("lines_to_next_cell", None)  # how many blank lines the source has here
        if cell["id"] in seen:
            raise BuildError(f"{source.name}: cells {seen[cell['id']]} and {number} share the id {cell['id']!r}")
        seen[cell["id"]] = number
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": language_info()})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def language_info(version: str = "") -> dict:
    """What a Python kernel tells JupyterLab of its language, which JupyterLab writes when it opens a notebook."""
    return {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": version or platform.python_version(),
    }


def with_kept_version(notebook: NotebookNode, target: Path) -> NotebookNode:
    """Let `target` keep the Python version it names: a notebook is not out of date because somebody else opened it."""
    if target.exists():
        known = json.loads(target.read_text(encoding="utf-8"))["metadata"].get("language_info", {})
        notebook.metadata.language_info = nbformat.from_dict(language_info(known.get("version", "")))
    return notebook


def source_hash(source: Path) -> str:
    """The stamp: SHA-256 of the source's text, whatever its line ends."""
    return hashlib.sha256("\n".join(source.read_text(encoding="utf-8").splitlines()).encode()).hexdigest()


# --------------------------------------------------------------------------------------------------------- lectures


def lecture_notebook(source: Path, root: Path = ROOT) -> NotebookNode:
    """The lecture without outputs: its cells, the badge row on top and the set-up cell before the first code."""
    notebook = read_source(source)
    for cell in notebook.cells:
        if "SOLUTION" in cell.source and re.search(r"# (BEGIN |END )?SOLUTION\b", cell.source):
            raise BuildError(f"{source.name}: {_where(cell)}: a solution marker; those belong in solutions/")
        prepare(cell, f"{source.name}: {_where(cell)}")
    target = f"lectures/{source.stem}.ipynb"
    _inject(notebook, badges.row(target, f"lectures/source/{source.name}", root), root)
    notebook.metadata["courseware"] = NotebookNode(
        {"source": f"lectures/source/{source.name}", "sha256": source_hash(source)}
    )
    return _valid(notebook, source)


def with_kept_outputs(notebook: NotebookNode, target: Path) -> NotebookNode:
    """Take over the outputs that `target` has, if it was executed from this very source."""
    old = stamped(target)
    if old is None or old.metadata.courseware.sha256 != notebook.metadata.courseware.sha256:
        return notebook
    outputs = {cell["id"]: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell["id"] in outputs:
            cell.outputs = outputs[cell["id"]].outputs
            cell.execution_count = outputs[cell["id"]].execution_count
    notebook.metadata.courseware["executed"] = True
    return notebook


def stamped(target: Path) -> NotebookNode | None:
    """The notebook at `target` if it exists and was executed by `courseware execute`, else None."""
    if not target.exists():
        return None
    notebook = nbformat.read(target, as_version=4)
    return notebook if notebook.metadata.get("courseware", {}).get("executed") else None


# ------------------------------------------------------------------------------------------------------------- labs


def student_notebook(source: Path, root: Path = ROOT) -> NotebookNode:
    """What students get: stubs for solutions, no solution-only cells, no outputs."""
    notebook = read_source(source)
    notebook.cells = [cell for cell in notebook.cells if "solution-only" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        where = f"{source.name}: {_where(cell)}"
        if cell.cell_type == "code":
            cell.source = strip_solutions(cell.source, where)
        if "SOLUTION" in cell.source:
            raise BuildError(f"{where}: a solution marker would reach the students; check its spelling and place")
    _inject(notebook, badges.row(f"labs/{source.stem}.ipynb", None, root), root)
    return _valid(notebook, source)


def solution_notebook(source: Path, root: Path = ROOT) -> NotebookNode:
    """The lab with its solutions in place and the markers gone."""
    notebook = read_source(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = reveal_solutions(cell.source, f"{source.name}: {_where(cell)}")
    _inject(notebook, badges.row(f"labs/{source.stem}.ipynb", None, root), root)
    return _valid(notebook, source)


# ------------------------------------------------------------------------------------------------------------ parts


def _inject(notebook: NotebookNode, badge_row: str, root: Path) -> None:
    """Put the badge row on top and the set-up cell before the first code cell."""
    code_at = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    setup = nbformat.v4.new_code_cell(badges.setup_cell(root), id=badges.SETUP_ID)
    fold(setup)
    notebook.cells.insert(code_at[0] if code_at else len(notebook.cells), setup)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(badge_row, id=badges.ROW_ID))


def _where(cell: NotebookNode) -> str:
    return f"cell {cell['id']} ({cell.source.strip().splitlines()[0][:60] if cell.source.strip() else 'empty'})"


def _valid(notebook: NotebookNode, source: Path) -> NotebookNode:
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise BuildError(f"{source.name}: not a valid notebook: {error.message}") from None
    return notebook


def notebook_text(notebook: NotebookNode) -> str:
    """The notebook as JSON text, the same on every machine."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def build_all(root: Path = ROOT, names: Sequence[str] = (), solutions: Path | None = None) -> dict[Path, str]:
    """Path -> text of every notebook that the sources ask for."""
    texts: dict[Path, str] = {}
    for source in select(lecture_sources(root), names):
        target = root / "lectures" / f"{source.stem}.ipynb"
        notebook = with_kept_outputs(lecture_notebook(source, root), target)
        texts[target] = notebook_text(with_kept_version(notebook, target))
    for source in select(lab_sources(root), names):
        target = root / "labs" / f"{source.stem}.ipynb"
        texts[target] = notebook_text(with_kept_version(student_notebook(source, root), target))
        if solutions:
            texts[solutions / f"{source.stem}.ipynb"] = notebook_text(solution_notebook(source, root))
    return texts


def orphans(root: Path = ROOT) -> list[Path]:
    """Notebooks in lectures/ and labs/ that no source stands behind. Students get the labs without their sources."""
    known = {f"lectures/{s.stem}.ipynb" for s in lecture_sources(root)} | {
        f"labs/{s.stem}.ipynb" for s in lab_sources(root)
    }
    labs = sorted((root / "labs").glob("*.ipynb")) if (root / "solutions").is_dir() else []
    found = [*sorted((root / "lectures").glob("*.ipynb")), *labs]
    return [path for path in found if path.relative_to(root).as_posix() not in known]


def _shown(path: Path, root: Path) -> Path:
    """As one would name it in the repository; a folder elsewhere by its whole path."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware build", description="Write notebooks from their sources.")
    parser.add_argument("names", nargs="*", help="03, lab03, ...; everything when left out")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is out of sync")
    parser.add_argument(
        "--solutions",
        nargs="?",
        type=Path,
        const=Path("build/solutions"),
        metavar="DIR",
        help="write the solution notebooks too (default folder: build/solutions)",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    solutions = args.root / args.solutions if args.solutions else None
    try:
        texts = build_all(args.root, args.names, solutions)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.names and not texts:
        print(f"error: no source is called {' or '.join(args.names)}", file=sys.stderr)
        return 1
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text := texts[path], encoding="utf-8", newline="\n")
            print(f"wrote {_shown(path, args.root)} ({len(text) / 1000:.0f} kB)")
        else:
            print(f"{_shown(path, args.root)} is out of sync: run python -m courseware build")
    unknown = orphans(args.root)
    for path in unknown:
        print(f"{_shown(path, args.root)} has no source: delete it, or write one")
    if not stale:
        print(f"{len(texts)} notebooks in sync")
    return 1 if unknown or (args.check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
