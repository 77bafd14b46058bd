"""Carry an edit made in a lecture's .ipynb back to its percent-format source.

    python -m courseware adopt 03

The cells come from the notebook, without outputs, badge row and set-up cell; the ids that the source gives stay.
Nothing is written when the source changed after the notebook was built: then both sides have edits, and a person must
choose.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat

from courseware.authoring import badges
from courseware.authoring.build import ROOT, BuildError, lecture_sources, read_source, select, source_hash
from courseware.authoring.folding import restore


def adopt(source: Path, notebook_path: Path, force: bool = False) -> bool:
    """Rewrite `source` from the notebook's cells. Returns whether anything changed.

    Raises BuildError when the source is not the one that the notebook was built from, unless `force`.
    """
    notebook = nbformat.read(notebook_path, as_version=4)
    built_from = notebook.metadata.get("courseware", {}).get("sha256")
    if built_from != source_hash(source) and not force:
        raise BuildError(
            f"{source.name} changed after {notebook_path.name} was built: merge by hand, or lose its edits with --force"
        )
    named = _ids_given_by(source)
    cells = []
    for cell in notebook.cells:
        if cell.get("id") in {badges.ROW_ID, badges.SETUP_ID}:
            continue
        restore(cell, f"{notebook_path.name}: cell {cell.get('id')}")
        for key in ("execution", "collapsed", "scrolled", "editable", "slideshow"):
            cell.metadata.pop(key, None)
        if cell.get("id") in named:
            cell.metadata["id"] = cell["id"]
        cells.append(cell)
    plain = nbformat.v4.new_notebook(cells=cells, metadata={"jupytext": {"notebook_metadata_filter": "-all"}})
    text = jupytext.writes(plain, fmt="py:percent")
    text = _header(source) + text[text.index("# %%") :]
    if _cells_of(text) == _cells_of(source.read_text(encoding="utf-8")):
        return False
    source.write_text(text, encoding="utf-8", newline="\n")
    return True


def _ids_given_by(source: Path) -> set[str]:
    return {
        cell["id"] for cell in read_source(source).cells if f'id="{cell["id"]}"' in source.read_text(encoding="utf-8")
    }


def _header(source: Path) -> str:
    """What stands before the first cell, such as jupytext's header."""
    text = source.read_text(encoding="utf-8")
    return text[: text.index("# %%")]


def _cells_of(text: str) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt="py:percent").cells]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware adopt", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", help="03, ...")
    parser.add_argument("--force", action="store_true", help="overwrite a source that has changed too")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    failed = False
    for source in select(lecture_sources(args.root), args.names):
        try:
            changed = adopt(source, args.root / "lectures" / f"{source.stem}.ipynb", args.force)
        except (BuildError, FileNotFoundError) as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)
            continue
        after = "rewritten; now run python -m courseware execute" if changed else "already says the same"
        print(f"{source.name}: {after}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
