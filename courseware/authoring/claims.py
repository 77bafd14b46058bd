"""The claim ledger, docs/claims.md: the claims tables of all executed lectures, on one page."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from courseware.classroom.claims import VERDICTS, Claim, markdown_table


def claims_of(notebook: Path) -> list[Claim]:
    """The claims that an executed notebook displays, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    rows = (row for output in outputs for row in output.get("metadata", {}).get("courseware", {}).get("claims", []))
    return [Claim(**row) for row in rows]


def ledger(notebooks: Sequence[Path]) -> str:
    """One Markdown page with the claims of all lectures."""
    found = {path: claims_of(path) for path in notebooks}
    counts = Counter(c.verdict_kind for claims in found.values() for c in claims)
    tally = ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS)
    page = [
        "# Claim ledger",
        "",
        "What the source lectures say, what the papers say, and what the notebooks measured. "
        "Collected from the lectures by `python -m courseware claims`; do not edit.",
        "",
        f"{counts.total()} claims: {tally}.",
    ]
    for path, claims in found.items():
        if claims:
            page += ["", f"## [{_title(path)}](../lectures/{path.name})", "", markdown_table(claims)]
    return "\n".join(page) + "\n"


def _title(notebook: Path) -> str:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").strip()
    return notebook.stem


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware claims", description=ledger.__doc__)
    parser.add_argument("--check", action="store_true", help="say whether docs/claims.md is up to date; write nothing")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root = args.root
    notebooks, target = sorted((root / "lectures").glob("[0-9]*.ipynb")), root / "docs" / "claims.md"
    page = ledger(notebooks)
    contradicted = [(n.stem, c.says) for n in notebooks for c in claims_of(n) if c.rule is False]
    for lecture, says in contradicted:
        print(f"{lecture}: its committed run contradicts the verdict on {says!r}: reword it", file=sys.stderr)
    if args.check:
        fresh = target.exists() and target.read_text(encoding="utf-8") == page
        print(f"docs/claims.md {'is up to date' if fresh else 'is stale: run python -m courseware claims'}")
        return 0 if fresh and not contradicted else 1
    target.write_text(page, encoding="utf-8", newline="\n")
    print(f"wrote docs/claims.md: {page.count(chr(10))} lines")
    return 1 if contradicted else 0


if __name__ == "__main__":
    sys.exit(main())
