"""``python -m courseware moodle grades.csv --lab 03 --roster FILE --out FILE``: points in a form that Moodle imports.

The roster is a file that Moodle gave you, and decides what comes out:

* an assignment's *grading worksheet* (it has a column Identifier): the same file with Grade filled in, and Feedback
  comments where it has that column; upload it to the assignment;
* any other list with an Email address, ID number or Username (participants, an exported gradebook): a file for
  *Grades, Import, CSV file* with that column, ``lab03`` and ``lab03 feedback``.

Moodle stops an import at the first row whose user it cannot find, so only students of the roster are written; whom it
does not list is named. Numbers have a decimal point, which Moodle reads in every language.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from courseware.classroom.cases import lab_id_of
from courseware.grading.exports import GradebookError, Table, read_table, same_name
from courseware.grading.records import Record, read_records
from courseware.grading.submission import letters
from llmlib.files import write_file

WORKSHEET = ("Identifier", "Grade")
KEYS = ("Email address", "Username", "ID number", "email", "username", "idnumber")
FIRST_NAMES, LAST_NAMES = ("First name", "firstname"), ("Surname", "Last name", "lastname")
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True)
class Filled:
    """What to write, and who could not be placed."""

    table: Table
    written: int
    unknown: tuple[str, ...]


def read_roster(path: Path) -> Table:
    """A list that Moodle exported. GradebookError when it does not say who is who."""
    if not path.exists():
        raise GradebookError(f"there is no {path}: download the grading worksheet or the participants from Moodle")
    table = read_table(path, [], [], what="list of students")
    if not set(WORKSHEET) <= set(table.columns) and not _key(table):
        raise GradebookError(
            f"{path} names no student as Moodle does: it needs a column Identifier and Grade (a grading worksheet), "
            f"or one of {', '.join(KEYS[:3])}"
        )
    key = "Identifier" if "Identifier" in table.columns else _key(table)
    values = [same_name(row[key]) for row in table.rows if row[key].strip()]
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise GradebookError(f"{path} lists {twice[0]} twice under {key}: delete one row")
    return table


def fill(roster: Table, records: Sequence[Record], *, written: bool = True) -> Filled:
    """The records' points for the students of a roster. ``written`` adds what a person gave."""
    lab, rows, unknown = records[0].lab, {}, []
    for record in records:
        row = find(roster, record)
        if row is None:
            unknown.append(record.report.name)
        elif id(row) in rows:
            raise GradebookError(
                f"{record.report.name} and {rows[id(row)][1].report.name} are one student of the roster"
            )
        else:
            rows[id(row)] = (row, record)
    placed = {number: (points(record, written), record) for number, (_, record) in rows.items()}
    if set(WORKSHEET) <= set(roster.columns):
        table = Table(list(roster.columns), [dict(row) for row in roster.rows], roster.delimiter)
        for copy, row in zip(table.rows, roster.rows):
            if id(row) in placed:
                copy["Grade"] = placed[id(row)][0]
                if "Feedback comments" in table.columns:
                    copy["Feedback comments"] = comment(placed[id(row)][1])
        return Filled(table, len(rows), tuple(unknown))
    key = _key(roster)
    table = Table([key, lab.id, f"{lab.id} feedback"], delimiter=roster.delimiter)
    for row in roster.rows:
        if id(row) in placed and row[key].strip():  # Moodle would give a blank row's points to the student above it
            given, record = placed[id(row)]
            table.rows.append({key: row[key].strip(), lab.id: given, f"{lab.id} feedback": comment(record)})
    return Filled(table, len(table.rows), tuple(unknown))


def points(record: Record, written: bool = True) -> str:
    """The points as Moodle reads them: ``11`` or ``11.5``."""
    return f"{record.report.score + (record.written_points() if written else 0):.2f}".rstrip("0").rstrip(".")


def comment(record: Record) -> str:
    """One line of feedback: what a student may read."""
    said = [f"{r.question.id.split('.')[1]} {r.score}/{r.question.points}" for r in record.report.results]
    for entry, given in record.written.items():
        said.append(
            f"{entry.split('.')[1]} {given['points']:g}" + (f" ({given['comment']})" if given["comment"] else "")
        )
    return "; ".join(said)


def find(roster: Table, record: Record) -> dict[str, str] | None:
    """The row of a submission: by Moodle's participant number, else by login, address, number, or the one such name."""
    name, number = record.report.name, record.report.number
    if number and "Identifier" in roster.columns:
        return next((r for r in roster.rows if r["Identifier"].strip().split(" ")[-1] == number), None)
    ids = [i for i in (record.report.student, name, number) if i]
    for key in [k for k in KEYS if k in roster.columns]:
        for wanted in ids:
            found = [r for r in roster.rows if same_name(r[key]) == same_name(wanted)]
            if not found and key.lower().startswith("email"):
                found = [r for r in roster.rows if same_name(r[key]).split("@")[0] == same_name(wanted)]
            if len(found) == 1:
                return found[0]
    found = [r for r in roster.rows if letters(name) in _names(r)]
    return found[0] if len(found) == 1 else None


def _names(row: dict[str, str]) -> set[str]:
    first = next((row[c] for c in FIRST_NAMES if c in row), "")
    last = next((row[c] for c in LAST_NAMES if c in row), "")
    return {letters(text) for text in (row.get("Full name", ""), f"{first} {last}", f"{last} {first}") if text.strip()}


def _key(table: Table) -> str:
    return next((key for key in KEYS if key in table.columns), "")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m courseware moodle", description="Write a lab's points as a file that Moodle imports."
    )
    parser.add_argument("gradebook", type=Path, metavar="grades.csv", help="what grade --out wrote")
    parser.add_argument("--lab", required=True, help='number of the lab, "03"')
    parser.add_argument("--roster", type=Path, required=True, help="a grading worksheet or a list of participants")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--separator", choices=SEPARATORS, help="default: the roster's own")
    parser.add_argument("--grader-only", action="store_true", help="without the points that a person gave")
    options = parser.parse_args(list(argv))
    lab_id = lab_id_of(options.lab)
    try:
        records = read_records(options.gradebook, lab_id)
        filled = fill(read_roster(options.roster), records, written=not options.grader_only)
        if options.separator:
            filled.table.delimiter = SEPARATORS[options.separator]
        write_file(options.out, filled.table.text())
    except (GradebookError, OSError) as error:
        print(f"moodle: {error}", file=sys.stderr)
        return 2
    lab = records[0].lab
    of = lab.points if options.grader_only else lab.total_points
    print(f"{options.out}: {filled.written} of {len(records)} submissions, points of {of}")
    for name in filled.unknown:
        print(f"not in the roster: {name}", file=sys.stderr)
    return 1 if filled.unknown else 0
