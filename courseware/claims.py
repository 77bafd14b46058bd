"""The claims table that ends a lecture, and the ledger collected from all of them.

A claim is one number or statement of the source lectures, beside what the paper says and what the notebook measured.
`python -m courseware claims` gathers the tables of all executed lectures into docs/claims.md.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from IPython.display import display

VERDICTS = ("holds", "fails", "cannot be tested at this scale")
_HEAD = "| the lectures say | the paper says | measured here | verdict |\n| --- | --- | --- | --- |"


@dataclass(frozen=True)
class Claim:
    """One row. `verdict` starts with one of VERDICTS; what limits it follows, best after a semicolon.

    says:     the statement, with the letter of the deck that makes it, e.g. "GPT-2 small has 117M parameters (J)".
    paper:    what the paper says, with its name and year.
    measured: what the cells above found, with its spread.
    Each may hold Markdown and LaTeX, on one line. Raises ValueError for an unknown verdict or an empty field.
    """

    says: str
    paper: str
    measured: str
    verdict: str

    def __post_init__(self) -> None:
        for field, value in asdict(self).items():
            if not value.strip():
                raise ValueError(
                    f"Claim({self.says!r}): {field} is empty; write a dash with a reason if there is nothing"
                )
        if not self.verdict_kind:
            raise ValueError(f"verdict={self.verdict!r}: start with one of {', '.join(map(repr, VERDICTS))}")

    @property
    def verdict_kind(self) -> str:
        """Which of VERDICTS this is, or the empty string."""
        for kind in VERDICTS:
            rest = self.verdict.removeprefix(kind)
            if rest != self.verdict and (not rest or rest[0] in " ;,:"):
                return kind
        return ""


def claims_table(claims: Iterable[Claim]) -> None:
    """Display the claims as a Markdown table. The rows travel in the output's metadata too, for the ledger."""
    claims = list(claims)
    if not claims:
        raise ValueError("claims is empty: give at least one Claim")
    plain = "\n".join(f"{c.verdict}: {c.says}" for c in claims)
    metadata = {"courseware": {"claims": [asdict(c) for c in claims]}}
    display({"text/markdown": markdown_table(claims), "text/plain": plain}, metadata=metadata, raw=True)


def markdown_table(claims: Sequence[Claim]) -> str:
    """The claims as a GitHub-style table."""
    rows = (
        f"| {_cell(c.says)} | {_cell(c.paper)} | {_cell(c.measured)} | **{c.verdict_kind}**{_rest(c)} |" for c in claims
    )
    return "\n".join([_HEAD, *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _rest(claim: Claim) -> str:
    rest = _cell(claim.verdict.removeprefix(claim.verdict_kind))
    return rest if not rest or rest[0] in ";,:" else " " + rest


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
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    root = args.root
    page, target = ledger(sorted((root / "lectures").glob("[0-9]*.ipynb"))), root / "docs" / "claims.md"
    if args.check:
        fresh = target.exists() and target.read_text(encoding="utf-8") == page
        print(f"docs/claims.md {'is up to date' if fresh else 'is stale: run python -m courseware claims'}")
        return 0 if fresh else 1
    target.write_text(page, encoding="utf-8", newline="\n")
    print(f"wrote docs/claims.md: {page.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
