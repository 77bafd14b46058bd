"""Scores for other systems: a gradebook in CSV as Canvas imports it, results in JSON as Gradescope reads them.

A file is written beside its place and moved there, so that a crash leaves the old one whole.
"""

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from courseware.grading.grader import Report

FIXED = ["Student", "ID"]
NOTE = "Note"
# The name Canvas gives a downloaded submission: adalovelace_LATE_12345_67890_lab03.ipynb
_CANVAS_NAME = re.compile(r"(?P<student>[^_]+)(_LATE)?_(?P<id>\d+)_\d+_.*", re.IGNORECASE)


class GradebookError(ValueError):
    """An existing file that is not a gradebook; it is left as it is."""


def who(report: Report) -> tuple[str, str]:
    """(student, id) of a submission, read from its file name; the id is empty unless Canvas named the file."""
    found = _CANVAS_NAME.fullmatch(report.name)
    return (found["student"], found["id"]) if found else (report.name, "")


def read_gradebook(path: Path) -> list[dict[str, str]]:
    """Rows of an existing gradebook, none if there is no file. GradebookError if it is something else."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError):
        raise GradebookError(f"{path} is not a CSV file: give another --out") from None
    if reader.fieldnames is None or not set(FIXED) <= set(reader.fieldnames) or any(None in row for row in rows):
        raise GradebookError(f"{path} is no gradebook (it has no columns {' and '.join(FIXED)}): give another --out")
    return rows


def write_gradebook(path: Path, rows: Sequence[dict[str, str]], reports: Sequence[Report]) -> None:
    """Write ``rows`` updated by ``reports``. A submission in error keeps the scores its student had."""
    table = {(row["Student"], row["ID"]): dict(row) for row in rows}
    columns = list(FIXED)
    for row in rows:
        columns += [column for column in row if column not in columns and column != NOTE]
    for report in reports:
        student, number = who(report)
        row = table.setdefault((_safe(student), number), {"Student": _safe(student), "ID": number})
        if report.error:
            row[NOTE] = _safe(f"ERROR: {report.error}")
            continue
        scores = {f"{r.question.id} ({r.question.points})": str(r.score) for r in report.results}
        scores[f"{report.lab.id} ({report.lab.points})"] = str(report.score)
        columns += [column for column in scores if column not in columns]
        row.update(scores)
        row[NOTE] = _safe("; ".join(report.notes)[:500])
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, NOTE], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.values())
    write_whole(path, text.getvalue())


def write_gradescope(path: Path, reports: Sequence[Report]) -> None:
    """Gradescope's results.json for one submission; for several, one such object under each name."""
    found = {report.name: gradescope(report) for report in reports}
    write_whole(path, json.dumps(next(iter(found.values())) if len(found) == 1 else found, indent=1) + "\n")


def gradescope(report: Report) -> dict:
    """One submission as Gradescope's autograder output."""
    if report.error:
        return {"score": 0, "output": f"This submission could not be graded: {report.error}", "tests": []}
    tests = [
        {
            "name": f"{r.question.id} {r.question.title}",
            "score": r.score,
            "max_score": r.question.points,
            "status": "passed" if r.passed else "failed",
            "output": r.message,
        }
        for r in report.results
    ]
    kept = [f"{entry.id} {entry.title}: {report.ungraded.get(entry.id) or '-'}" for entry in report.lab.ungraded]
    output = "\n".join([*report.notes, *(["For a person to read:", *kept] if kept else [])])
    return {"score": report.score, "output": output, "tests": tests, "extra_data": {"salt": report.salt}}


def write_whole(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, or leave it untouched."""
    handle, temporary = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _safe(text: str) -> str:
    """Text a spreadsheet will not take for a formula, on one line."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in "=+-@" and text else text
