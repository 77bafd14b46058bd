"""Scores for other systems: a gradebook as Canvas imports and exports it, staff's details, results for Gradescope.

Every write takes a lock, reads what is there, changes the rows it is about and puts the file back whole. So two graders
can work on one gradebook, a crash leaves the old file, and nobody's row is lost.
"""

import contextlib
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from courseware.classroom.cases import Lab
from courseware.grading.grader import Report, clean
from courseware.grading.submission import letters
from llmlib.files import write_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
POINTS = "Points Possible"
DETAILS = ["Student", "ID", "Lab", "Points", "Of", "Note", "Salt", "STUDENT", "SHA-256", "Graded"]


class GradebookError(ValueError):
    """An existing file that is not a gradebook; it is left as it is."""


@dataclass
class Table:
    """A CSV file: its columns in order, its rows, and how it was written."""

    columns: list[str]
    rows: list[dict[str, str]] = field(default_factory=list)
    delimiter: str = ","
    mark: str = ""  # a byte-order mark, where there was one

    def text(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n", delimiter=self.delimiter)
        writer.writeheader()
        writer.writerows(self.rows)
        return self.mark + text.getvalue()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one grader at a time goes on past here for the same file."""
    with open(path.with_name(f".{path.name}.lock"), "a") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_table(path: Path, columns: Sequence[str], needed: Sequence[str], *, what: str = "gradebook") -> Table:
    """An existing table, or an empty one with ``columns``. GradebookError if a file is there that is something else."""
    if not path.exists():
        return Table(list(columns))
    try:
        text = path.read_bytes().decode("utf-8")
        mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
        header = text.partition("\n")[0]
        delimiter = max(",;\t", key=header.count)  # Canvas offers two, Moodle all three
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        rows = [{k: v or "" for k, v in row.items()} for row in reader]
    except (csv.Error, UnicodeDecodeError):
        raise GradebookError(f"{path} is not a CSV file in UTF-8: give another one") from None
    names = reader.fieldnames or []
    missing = [name for name in needed if name not in names]
    if missing or not names:
        raise GradebookError(
            f"{path} is no {what} (it has no column {' and '.join(missing) or 'at all'}): give another one"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise GradebookError(f"{path} is no {what} (it has two columns {twice[0]!r}): rename one")
    if any(None in row for row in rows):
        raise GradebookError(f"{path} is damaged (a row has more cells than the header): export it again")
    return Table(list(names), rows, delimiter, mark)


# -- Canvas ----------------------------------------------------------------------------------------------------------


def read_gradebook(path: Path) -> Table:
    """The gradebook at ``path``, a new one if there is no file."""
    return read_table(path, CANVAS, CANVAS[:2])


def update_gradebook(path: Path, reports: Sequence[Report]) -> None:
    """Put the labs' points into a gradebook, new or exported from Canvas; other rows and columns stay as they are.

    A submission in error changes nothing but brings its student a row.
    """
    with locked(path):
        book = read_gradebook(path)
        for report in reports:
            row = find_row(book, report.name, report.number)
            if row is None:
                row = {"Student": safe(report.name), "ID": report.number}
                book.rows.append(row)
            if report.error:
                continue
            _give(book, row, report.lab.id, report.lab.points, report.score)
        write_file(path, book.text())


def update_written(path: Path, lab: Lab, points: Sequence[tuple[str, str, float | None]]) -> None:
    """Put (name, number, points) that a person gave into the column ``lab03 written``; nothing else changes.

    None empties the cell.
    """
    with locked(path):
        book = read_gradebook(path)
        for name, number, given in points:
            row = find_row(book, name, number)
            if row is None:
                raise GradebookError(f"{path} has no row for {name}: grade the submission first, with --out {path}")
            _give(book, row, f"{lab.id} {WRITTEN}", lab.staff_points, given)
        write_file(path, book.text())


def _give(book: Table, row: dict[str, str], lab: str, of: float, points: float | None) -> None:
    column = _column(book, lab)
    _points_row(book)[column] = f"{of:g}"
    row[column] = "" if points is None else f"{points:g}"


def find_row(book: Table, name: str, number: str = "") -> dict[str, str] | None:
    """The row of a student: by Canvas's number, else by an id or by the name as Canvas puts it into file names.

    GradebookError where two rows have that number.
    """
    people = [row for row in book.rows if _is_person(row)]
    if number:
        if found := [row for row in people if row.get("ID", "").strip() == number]:
            if len(found) > 1:
                raise GradebookError(f"the gradebook has {len(found)} rows with the ID {number}: delete all but one")
            return found[0]
        people = [row for row in people if not row.get("ID", "").strip()]
    for key in (same_name, letters):
        for column in ("SIS Login ID", "SIS User ID", "ID", "Student"):
            found = [row for row in people if key(row.get(column, "")) == key(name) != ""]
            if len(found) == 1:
                return found[0]
    return None


def roster_ids(book: Table, name: str, number: str = "") -> list[str]:
    """What the roster calls the student beside the name: login and numbers; none if it does not know him."""
    row = find_row(book, name, number)
    if row is None or not (row.get("SIS Login ID") or row.get("SIS User ID")):
        return []
    return [row[c] for c in ("SIS Login ID", "SIS User ID", "ID", "Student") if row.get(c)]


def _is_person(row: dict[str, str]) -> bool:
    return row.get("Student", "").strip() not in ("", POINTS, "Student, Test")


def same_name(text: str) -> str:
    """A name as two files' names are compared: without the marks of :func:`safe`, spaces, case, forms of a letter."""
    plain = re.sub(r"(^|[;,]\s*)'", r"\1", " ".join(text.split()))  # without the marks of safe()
    return unicodedata.normalize("NFC", plain).casefold()


def _column(book: Table, lab: str) -> str:
    """The lab's column: an existing one (``lab03``, Canvas's ``Lab 03 (4711)``), else a new one called ``lab03``."""
    if found := lab_column(book, lab):
        return found
    after = [c for c in book.columns if c in (*CANVAS, "Root Account", "Integration ID") or _is_a_labs(c)]
    book.columns.insert(book.columns.index(after[-1]) + 1, lab)
    return lab


def lab_column(book: Table, lab: str) -> str | None:
    """The column of ``lab03`` (the grader's points) or ``lab03 written`` (a person's), if there is one.

    An exact name, with or without Canvas's number, comes before a longer one such as ``Lab 03: Attention (4711)``.
    Columns that Canvas computes are none. GradebookError where two would do.
    """
    name, _, kind = lab.partition(" ")
    number = rf"lab[ _]?0*{int(name.removeprefix('lab'))}(?!\d)(?!\.q)"
    open_ = [c for c in book.columns if not _computed(book, c)]
    for pattern in (rf"{number}{kind and ' ' + kind}(?: \(\d+\))?$", rf"{number}.*{kind}"):
        found = [c for c in open_ if re.match(pattern, c, re.IGNORECASE)]
        found = [c for c in found if kind or not re.search(rf"\b{WRITTEN}\b", c, re.IGNORECASE)]
        if len(found) > 1:
            raise GradebookError(f"the gradebook has {len(found)} columns for {lab}, {' and '.join(found)}: rename one")
        if found:
            return found[0]
    return None


WRITTEN = "written"
_COMPUTED = re.compile(r"(Current|Final|Unposted \w+|Override) (Score|Points|Grade|Status)\b")


def _computed(book: Table, column: str) -> bool:
    """Does Canvas compute this column (``Lab 03 Current Score``) and ignore it when it reads the file?"""
    points = next((row for row in book.rows if row.get("Student", "").strip() == POINTS), {})
    return bool(_COMPUTED.search(column)) or "read only" in points.get(column, "")


def _is_a_labs(column: str) -> bool:
    return re.match(r"lab[ _]?\d", column, re.IGNORECASE) is not None


def _points_row(book: Table) -> dict[str, str]:
    for row in book.rows:
        if row.get("Student", "").strip() == POINTS:
            return row
    row = {"Student": f"    {POINTS}"}
    book.rows.insert(0, row)
    return row


# -- details for staff -----------------------------------------------------------------------------------------------


def details_path(path: Path) -> Path:
    """``grades.csv`` -> ``grades.details.csv``: points by question, notes, checksums."""
    return path.with_name(f"{path.stem}.details.csv")


def read_details(path: Path) -> Table:
    return read_table(path, DETAILS, DETAILS[:3])


def update_details(path: Path, reports: Sequence[Report]) -> None:
    """One row for each student and lab. A submission in error keeps the points its student had, and gets a note."""
    with locked(path):
        table = read_details(path)
        for report in reports:
            lab = report.lab.id if report.lab else ""
            same = [
                r for r in table.rows if (same_name(r["Student"]), r["ID"]) == (same_name(report.name), report.number)
            ]
            row = next((r for r in same if r["Lab"] == lab), None)
            if row is None:
                row = {"Student": safe(report.name), "ID": report.number, "Lab": lab}
                table.rows.append(row)
            notes = "; ".join(report.notes)
            row["Note"] = safe(f"ERROR: {report.error}" if report.error else notes[:500])
            if report.error:
                continue
            row |= {"Points": str(report.score), "Of": str(report.lab.points), "Salt": report.salt}
            row |= {"STUDENT": safe(report.student), "SHA-256": report.checksum}
            row["Graded"] = datetime.now().astimezone().isoformat(timespec="seconds")
            for result in report.results:
                row[result.question.id] = str(result.score)
                if result.question.id not in table.columns:
                    table.columns.append(result.question.id)
        _note_twins(table)
        write_file(path, table.text())


def update_written_details(path: Path, lab: Lab, written: Mapping[tuple[str, str], Mapping[str, dict]]) -> None:
    """Put points that a person gave, by entry, into the rows of (name, number)."""
    with locked(path):
        table = read_details(path)
        for (name, number), given in written.items():
            for row in table.rows:
                if (same_name(row["Student"]), row["ID"], row["Lab"]) == (same_name(name), number, lab.id):
                    row.update({entry: f"{one['points']:g}" for entry, one in given.items()})
            table.columns += [entry for entry in given if entry not in table.columns]
        write_file(path, table.text())


def _note_twins(table: Table) -> None:
    """Two submissions that say they are the same student drew the same run: say so on both."""
    for row in table.rows:
        twins = [r for r in table.rows if r is not row and r["Lab"] == row["Lab"] and r.get("STUDENT")]
        names = [r["Student"] for r in twins if same_name(r["STUDENT"]) == same_name(row.get("STUDENT", ""))]
        if names and "the same STUDENT as" not in row["Note"]:
            row["Note"] = "; ".join(filter(None, [row["Note"], f"the same STUDENT as {names[0]}"]))


REGRADES = ["When", "By", "Why", "Student", "ID", "Lab", "Question", "Before", "After", "Salt", "SHA-256"]


def regrades_path(path: Path) -> Path:
    """``grades.csv`` -> ``grades.regrades.csv``: who graded what again, when and why."""
    return path.with_name(f"{path.stem}.regrades.csv")


def log_regrades(path: Path, report: Report, entries: Sequence[dict]) -> None:
    """Add a line for each question of one submission that was graded again."""
    with locked(path):
        table = read_table(path, REGRADES, REGRADES)
        for entry in entries:
            row = {"When": entry["when"], "By": safe(entry["by"]), "Why": safe(entry["why"])}
            row |= {"Student": safe(report.name), "ID": report.number, "Lab": report.lab.id}
            row |= {"Question": entry["question"], "Before": str(entry["before"]), "After": str(entry["after"])}
            table.rows.append(row | {"Salt": entry["salt"], "SHA-256": report.checksum})
        write_file(path, table.text())


def already_graded(table: Table, name: str, number: str, lab: str | None, checksum: str) -> bool:
    """Did an earlier batch grade exactly this file?"""
    return any(
        (same_name(r["Student"]), r["ID"], r["SHA-256"]) == (same_name(name), number, checksum)
        and r.get("Points")
        and not r["Note"].startswith("ERROR")
        and lab in (None, r["Lab"])
        for r in table.rows
    )


# -- Gradescope ------------------------------------------------------------------------------------------------------


def write_gradescope(path: Path, report: Report) -> None:
    """Gradescope's results.json of one submission (its autograder reads ``/autograder/results/results.json``)."""
    write_results(path, gradescope(report))


def write_results(path: Path, found: dict) -> None:
    write_file(path, json.dumps(found, indent=1) + "\n")


def gradescope(report: Report) -> dict:
    """One submission as Gradescope's autograder output. What students read there is public messages only."""
    if report.error:
        return {"score": 0, "output": f"This submission could not be graded: {report.error}", "tests": []}
    tests = [
        {
            "name": f"{r.question.id} {r.question.title}",
            "score": r.score,
            "max_score": r.question.points,
            "status": "passed" if r.passed else "failed",
            "output": r.public_message,
            "visibility": "visible",
        }
        for r in report.results
    ]
    kept = [f"{entry.id} {entry.title}: {report.ungraded.get(entry.id) or '-'}" for entry in report.lab.ungraded]
    output = "\n".join([*report.notes, *(["For a person to read:", *kept] if kept else [])])
    return {"score": report.score, "output": output, "tests": tests, "extra_data": {"salt": report.salt}}


# -- names and cells -------------------------------------------------------------------------------------------------


def file_name(name: str, number: str = "") -> str:
    """A file name for a student's own files, different for different students whatever they are called."""
    text = quote(f"{name}_{number}" if number else name, safe=" ()[],;@+='&").replace(".", "%2E")
    if len(text) > 150:
        text = f"{text[:120]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text


def safe(text: str) -> str:
    """Text a spreadsheet will not take for a formula, in full width neither, on one line.

    Not even one that splits cells at other places: where the decimal point is a comma, Excel splits at semicolons.
    """
    parts = re.split(r"([;,\t]\s*)", clean(" ".join(text.split())))
    return "".join(f"'{part}" if _begins_a_formula(part) else part for part in parts)


def unsafe(text: str) -> str:
    """What was typed, without the marks of :func:`safe`."""
    parts = re.split(r"([;,\t]\s*)", text.strip())
    return "".join(part[1:] if part[:1] == "'" and _begins_a_formula(part[1:]) else part for part in parts)


def _begins_a_formula(text: str) -> bool:
    first = unicodedata.normalize("NFKC", text.lstrip('"')[:1])[:1]
    return first != "" and first in "=+-@|%\u2212"
