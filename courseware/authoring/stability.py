"""A term's drift: lectures run on several seeds, and what their claims tables say each time.

    python -m courseware stability 03 09        these lectures, three seeds each
    python -m courseware stability --report     write docs/stability.md from the runs there are

A lecture runs as its source stands, once with its own seeds and then with all of them shifted (see `shifted_seeds`).
It is stable if on every seed each cell ends without an error (cells hold the assertions that the prose builds on), each
verdict is the same, and each claim whose measured figure moves has its verdict's rule in code (`Claim.rule`), which
holds every time. A verdict that nobody computes beside a figure that moves counts as open: reading it is not a test.

The run on a page's own seeds is the committed one, as long as it is of the source as it stands. The others are kept
under build/stability, so that lectures can be run one by one; each says which source it ran.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from itertools import repeat
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from courseware.authoring import execute
from courseware.authoring.build import ROOT, BuildError, lecture_notebook, lecture_sources, select, source_hash
from courseware.classroom.claims import Claim, table_cell

STEP = 1000  # between the seeds of two runs: further than any page's own seeds are apart
CELL_SECONDS = 600
STABLE, OPEN, UNSTABLE = "stable", "open", "changes"


@dataclass(frozen=True)
class Run:
    """One lecture on one seed. errors: (cell, last line of its error); texts: what each cell printed, by its id."""

    offset: int
    seconds: float
    claims: list[dict]
    errors: list[tuple[str, str]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


def run_shifted(source: Path, offset: int, root: Path = ROOT) -> Run:
    """Run a lecture with all its seeds moved by `offset`. A cell that raises is noted and the next one runs."""
    notebook = lecture_notebook(source, root)
    cells = list(notebook.cells)
    hook = f"from courseware.authoring.shifted_seeds import shift_seeds\nshift_seeds({offset})"
    notebook.cells = [nbformat.v4.new_code_cell(hook), *cells]
    report = execute.run(notebook, cell_seconds=CELL_SECONDS, allow_errors=True)
    if errors := _errors(notebook.cells[:1]):
        raise BuildError(f"seeds could not be shifted: {errors[0][1]}")
    return _run(offset, report.seconds, cells)


def committed(source: Path, root: Path = ROOT) -> Run | None:
    """The run on the page's own seeds that the repository holds, or None if its source has changed since."""
    target = root / "lectures" / f"{source.stem}.ipynb"
    return _run(0, 0.0, nbformat.read(target, as_version=4).cells) if execute.is_fresh(source, target) else None


def _run(offset: int, seconds: float, cells: Sequence[NotebookNode]) -> Run:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    claims = [row for o in outputs for row in o.get("metadata", {}).get("courseware", {}).get("claims", [])]
    texts = {cell.id: _text(cell) for cell in cells if _text(cell)}
    return Run(offset, round(seconds, 1), claims, _errors(cells), texts)


def _errors(cells: Sequence[NotebookNode]) -> list[tuple[str, str]]:
    return [
        (cell.get("id", ""), f"{output.ename}: {output.evalue}".splitlines()[0])
        for cell in cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def _text(cell: NotebookNode) -> str:
    shown = (o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", []))
    return "\n".join(text for text in shown if text)


@dataclass(frozen=True)
class Row:
    """One claim over all runs: its verdicts and measured figures, a run each, and what of them is judged how."""

    says: str
    verdicts: list[str]
    measured: list[str]
    rules: list[bool | None]

    @property
    def moves(self) -> bool:
        return len(set(self.measured)) > 1

    @property
    def judged(self) -> str:
        """STABLE, UNSTABLE, or OPEN: the figure moves and no code says whether the verdict follows it."""
        if len(set(self.verdicts)) > 1 or False in self.rules:
            return UNSTABLE
        return OPEN if self.moves and None in self.rules else STABLE


def compare(runs: Sequence[Run]) -> list[Row]:
    """The claims of a lecture, over its runs. ValueError if a run shows other claims than the first (a cell failed)."""
    claims = [[Claim(**row) for row in run.claims] for run in runs]
    says = [[claim.says for claim in of_run] for of_run in claims]
    for run, of_run in zip(runs, says):
        if of_run != says[0]:
            raise ValueError(f"seeds + {run.offset} show {len(of_run)} claims, seeds + {runs[0].offset} {len(says[0])}")
    return [
        Row(row[0].says, [c.verdict for c in row], [c.measured for c in row], [c.rule for c in row])
        for row in zip(*claims)
    ]


def problems(runs: Sequence[Run]) -> list[str]:
    """What keeps a lecture from being stable, a line each; empty if nothing does."""
    found = [f"seeds + {run.offset}: {cell}: {error}" for run in runs for cell, error in run.errors]
    try:
        rows = compare(runs)
    except ValueError as error:
        return [*found, str(error)]
    for row in rows:
        if row.judged == UNSTABLE:
            found.append(f"the verdict changes: {row.says!r}: {' / '.join(row.measured)}")
        if row.judged == OPEN:
            found.append(f"moves, and no code computes the verdict: {row.says!r}: {' / '.join(row.measured)}")
    return found


# --- kept runs and the report -----------------------------------------------------------------------------------------


def store(source: Path, runs: Sequence[Run], root: Path = ROOT) -> Path:
    path = root / "build" / "stability" / f"{source.stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"sha256": source_hash(source), "date": date.today().isoformat(), "runs": [asdict(run) for run in runs]}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(source: Path, root: Path = ROOT) -> tuple[str, list[Run]] | None:
    """The date and the runs kept of a lecture, or None if there are none of its source as it stands."""
    path = root / "build" / "stability" / f"{source.stem}.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["sha256"] != source_hash(source):
        return None
    return kept["date"], [Run(**run) for run in kept["runs"]]


def report(kept: dict[str, tuple[str, list[Run]]], missing: Sequence[str] = ()) -> str:
    """docs/stability.md: a line a lecture, then every claim whose figure moves, side by side."""
    seeds = max((len(runs) for _, runs in kept.values()), default=0)
    rows = {name: _rows(runs) for name, (_, runs) in kept.items()}
    every = [row for found in rows.values() for row in found or []]
    moving = [row for row in every if row.moves]
    judged = {kind: sum(row.judged == kind for row in every) for kind in (STABLE, OPEN, UNSTABLE)}
    errors = sum(len(run.errors) for _, runs in kept.values() for run in runs)
    dates = sorted({when for when, _ in kept.values()})
    page = [
        "# A term's drift",
        "",
        "Lectures run on several seeds, and what its claims table says each time. Written by "
        f"`python -m courseware stability --seeds {seeds}` (`make stability`) "
        f"on {' to '.join(dict.fromkeys((dates[0], dates[-1]))) if dates else 'no day'}, "
        f"with torch {version('torch').split('+')[0]} and Python {platform.python_version()}, one thread each; do not "
        "edit.",
        "",
        "The first run uses each page's own seeds, the others move all of them, those in the notebook and those in "
        f"llmlib, by {STEP} each time: initial weights, batches, samples, drawn examples, bootstraps. What stays: the "
        "support desk's world and the splits of data sets, from which the course's small models learned, and all "
        "recordings, whose own seeds stand beside their numbers.",
        "",
        "A *moving* claim is one whose measured figure is not the same in all runs, by the seed or by the clock. Its "
        "verdict must then be computed: the comparison it rests on stands in the claim as code, and is checked on each "
        "run. Cells hold assertions too; a failed one counts as a cell that failed.",
        "",
        f"{len(kept)} lectures, {seeds} seeds: {errors} cells failed. {len(every)} claims, of which {len(moving)} "
        f"move: {judged[UNSTABLE]} change their verdict, {judged[OPEN]} have a verdict that no code computes.",
        "",
        "| lecture | claims | move | change | not computed | cells failed | seconds a run |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (_, runs) in kept.items():
        found = rows[name]
        counts = ["?"] * 4 if found is None else _counts(found)
        timed = [run.seconds for run in runs if run.seconds] or [0.0]
        seconds = sum(timed) / len(timed)
        page.append(f"| {name} | {' | '.join(counts)} | {sum(len(r.errors) for r in runs)} | {seconds:.0f} |")
    page += [f"\nNot run as they stand: {', '.join(missing)}."] if missing else []
    for name, (_, runs) in kept.items():
        page += _details(name, runs, rows[name])
    return "\n".join(page) + "\n"


def _rows(runs: Sequence[Run]) -> list[Row] | None:
    try:
        return compare(runs)
    except ValueError:
        return None


def _counts(rows: Sequence[Row]) -> list[str]:
    of = [row.judged for row in rows]
    return [str(n) for n in (len(rows), sum(row.moves for row in rows), of.count(UNSTABLE), of.count(OPEN))]


def _details(name: str, runs: Sequence[Run], rows: Sequence[Row] | None) -> list[str]:
    failed = [
        f"- seeds + {run.offset}, cell `{cell}`: {table_cell(error)}" for run in runs for cell, error in run.errors
    ]
    shown = [row for row in rows or [] if row.moves or row.judged != STABLE]
    if not failed and not shown and rows is not None:
        return []
    lines = ["", f"## {name}", ""]
    lines += [*failed, ""] if failed else []
    if rows is None:
        lines += ["The runs do not show the same claims.", ""]
    if shown:
        columns = ["its own seeds" if run.offset == 0 else f"seeds + {run.offset:,}" for run in runs]
        lines += [f"| claim | {' | '.join(columns)} | verdict | computed |", "| --- " * (len(runs) + 3) + "|"]
        for row in shown:
            computed = "no" if None in row.rules else ", ".join("holds" if rule else "**fails**" for rule in row.rules)
            if computed == ", ".join(["holds"] * len(runs)):
                computed = "holds each time"
            cells = [row.says, *row.measured, " / ".join(dict.fromkeys(row.verdicts)), computed]
            lines.append(f"| {' | '.join(map(table_cell, cells))} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware stability", description="Run lectures on several seeds.")
    parser.add_argument("names", nargs="*", help="03, 04, ...; every lecture when left out")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each lecture, its own seeds first (default 3)")
    parser.add_argument("-n", "--workers", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time")
    parser.add_argument("--report", action="store_true", help="run nothing; write docs/stability.md from kept runs")
    parser.add_argument("--keep", action="store_true", help="leave out lectures whose runs are kept already")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.seeds < 2:
        parser.error(f"--seeds {args.seeds} has nothing to compare: give 2 or more")
    root, failed = args.root, False
    for source in [] if args.report else select(lecture_sources(root), args.names):
        if args.keep and (kept := load(source, root)) and len(kept[1]) >= args.seeds:
            continue
        began = time.monotonic()
        own = committed(source, root)
        offsets = [STEP * number for number in range(bool(own), args.seeds)]
        with ThreadPoolExecutor(args.workers) as pool:
            runs = [*([own] if own else []), *pool.map(run_shifted, repeat(source), offsets, repeat(root))]
        store(source, runs, root)
        found = problems(runs)
        print(f"{source.stem}: {'stable' if not found else 'not stable'}, {time.monotonic() - began:.0f} s", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
    kept, missing = {}, []
    for source in lecture_sources(root):
        if one := load(source, root):
            kept[source.stem] = one
            failed = failed or bool(problems(one[1]))
        else:
            missing.append(source.stem)
    target = root / "docs" / "stability.md"
    target.write_text(report(kept, missing), encoding="utf-8", newline="\n")
    print(f"wrote docs/stability.md: {len(kept)} lectures" + (f", without {', '.join(missing)}" if missing else ""))
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
