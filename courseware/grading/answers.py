"""``python -m courseware answers grades.csv --lab 03 --out reading``: written answers, question by question.

Each question that a person gives points for becomes ``lab03.t1.csv``, a row for each submission with columns for the
points and a comment, and ``lab03.t1.html``, the same answers to read. ``--merge reading/lab03.t1.csv`` puts what was
filled in back: into the records, the gradebook (a column ``lab03 written`` of its own, which grading again does not
touch), the details and the feedback pages. A file is taken whole or not at all.
"""

import argparse
import csv
import html
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from courseware.classroom.cases import Ungraded, lab_id_of, load_lab
from courseware.grading import exports, feedback
from courseware.grading.command import login
from courseware.grading.exports import GradebookError, safe, unsafe
from courseware.grading.html_page import whole_page
from courseware.grading.records import Record, now, read_records, write_record
from courseware.grading.staff_files import StaffFilesMissing, load_staff_files
from llmlib.files import write_file

COLUMNS = ["Lab", "Question", "Student", "ID", "Answer", "Points", "Of", "Comment"]
NEEDED = ("Lab", "Question", "Student", "ID", "Points")
LONGEST = 32_000  # characters in a cell that every spreadsheet opens
_STYLE = """\
body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid #8886; padding: .4rem 0 .6rem; break-inside: avoid; }
article h2 { font-size: 1rem; margin: .3rem 0; } article p { white-space: pre-wrap; margin: .2rem 0; }
.rubric { border-left: 4px solid #0072B2; padding-left: .8rem; }"""


@dataclass(frozen=True)
class Given:
    """What a person wrote into one row."""

    name: str
    number: str
    entry: Ungraded
    points: float
    comment: str


# -- out -------------------------------------------------------------------------------------------------------------


def collect(folder: Path, records: Sequence[Record], rubrics: dict[str, str]) -> list[Path]:
    """Two files for each question with points by a person. GradebookError where one of them is there already."""
    lab = records[0].lab
    entries = [entry for entry in lab.ungraded if entry.points]
    if not entries:
        raise GradebookError(f"{lab.id} has no question that a person gives points for")
    folder.mkdir(parents=True, exist_ok=True)
    if there := [p for entry in entries if (p := folder / f"{entry.id}.csv").exists()]:
        raise GradebookError(f"{there[0]} is there already, perhaps with points in it: give another --out")
    written = []
    for entry in entries:
        written.append(write_file(folder / f"{entry.id}.csv", as_csv(entry, records)))
        written.append(write_file(folder / f"{entry.id}.html", as_html(entry, records, rubrics.get(entry.id, ""))))
    return written


def as_csv(entry: Ungraded, records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        given = record.written.get(entry.id, {})
        answer = record.report.ungraded.get(entry.id, "")
        row = {"Lab": record.lab.id, "Question": entry.id, "Student": safe(record.report.name), "ID": record.who[1]}
        row |= {"Answer": _cell(answer), "Points": f"{given['points']:g}" if given else "", "Of": entry.points}
        writer.writerow(row | {"Comment": safe(given.get("comment", ""))})
    return "\ufeff" + text.getvalue()  # the mark tells Excel that this is UTF-8


def _cell(answer: str) -> str:
    """An answer with its line breaks, that no spreadsheet takes for a formula."""
    lines = [safe(line) for line in answer[:LONGEST].split("\n")]
    return "\n".join(lines)


def as_html(entry: Ungraded, records: Sequence[Record], rubric: str) -> str:
    """The answers of one question; equal ones stand once, under all their names."""
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(record.report.ungraded.get(entry.id, "").strip(), []).append(record.report.name)
    articles = "".join(
        f"<article><h2>{html.escape(', '.join(names))}</h2><p>{html.escape(text)}</p></article>\n"
        for text, names in groups.items()
        if text
    )
    nothing = groups.get("", [])
    counts = f"{len(records) - len(nothing)} of {len(records)} answered."
    if nothing:
        counts += f" Nothing from {html.escape(', '.join(nothing))}."
    title = f"{entry.id} {entry.title} ({entry.points} points)"
    criteria = f'<p class="rubric">{html.escape(rubric)}</p>\n' if rubric else ""
    return whole_page(title, _STYLE, f"<h1>{html.escape(title)}</h1>\n{criteria}<p>{counts}</p>\n{articles}")


# -- and back --------------------------------------------------------------------------------------------------------


def read_points(path: Path, records: Sequence[Record]) -> list[Given]:
    """The rows with points. GradebookError names every row that is wrong, and then nothing is taken."""
    lab = records[0].lab
    if not path.exists():
        raise GradebookError(f"there is no {path}")
    table = exports.read_table(path, COLUMNS, NEEDED, what="file of answers")
    entries = {entry.id: entry for entry in lab.ungraded if entry.points}
    known = {(exports.same_name(r.report.name), r.report.number): r for r in records}
    wrong, found, seen = [], [], set()
    for line, row in enumerate(table.rows, 2):
        where, entry = f"row {line} ({row['Student']})", entries.get(row["Question"])
        key = (exports.same_name(row["Student"]), row["ID"].strip())
        if row["Lab"] != lab.id or entry is None:
            wrong.append(f"{where} is of {row['Question'] or row['Lab'] or 'no question'}, not one of {lab.id}'s texts")
        elif key not in known:
            wrong.append(f"{where}: nobody of that name and ID was graded in {lab.id}")
        elif (key, entry.id) in seen:
            wrong.append(f"{where} is there twice")
        elif row["Points"].strip():
            points = _number(row["Points"])
            if points is None or not 0 <= points <= entry.points:
                wrong.append(f"{where}: {row['Points']!r} is not a number from 0 to {entry.points}")
            else:
                found.append(Given(*known[key].who, entry, points, unsafe(row.get("Comment", ""))))
        seen.add((key, row["Question"]))
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise GradebookError(f"{path}: {'; '.join(wrong[:5])}{more}. Nothing was taken")
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text.strip().replace(",", "."))  # where the decimal point is a comma
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def merge(gradebook: Path, records: Sequence[Record], given: Sequence[Given], by: str) -> list[Record]:
    """Write the points into records, gradebook and details; the changed records. Doing it again changes nothing."""
    new = {}
    for one in given:
        record = new.get((one.name, one.number)) or next(r for r in records if r.who == (one.name, one.number))
        entry = {"points": one.points, "comment": one.comment, "by": by, "when": now()}
        old = record.written.get(one.entry.id, {})
        if (old.get("points"), old.get("comment")) != (one.points, one.comment):
            record = replace(record, written={**record.written, one.entry.id: entry})
        new[one.name, one.number] = record
    exports.update_written(gradebook, records[0].lab, [(*r.who, r.written_points()) for r in new.values()])
    exports.update_written_details(
        exports.details_path(gradebook), records[0].lab, {w: r.written for w, r in new.items()}
    )
    for record in new.values():
        write_record(gradebook, record)
    return list(new.values())


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m courseware answers", description="Collect written answers, or put a person's points back."
    )
    parser.add_argument("gradebook", type=Path, metavar="grades.csv", help="what grade --out wrote")
    parser.add_argument("--lab", required=True, help='number of the lab, "03"')
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the answers here")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE.csv", help="put the points of these files back")
    parser.add_argument("--by", default="", help="who gave the points (default: your login)")
    parser.add_argument("--feedback", type=Path, metavar="FOLDER", help="with --merge: write the students' pages again")
    options = parser.parse_args(list(argv))
    if bool(options.out) == bool(options.merge):
        parser.error("give --out to collect the answers, or --merge to put points back")
    lab_id = lab_id_of(options.lab)
    try:
        records = read_records(options.gradebook, lab_id)
        if options.out:
            for path in collect(options.out, records, _rubrics(lab_id)):
                print(path)
            return 0
        given = [one for path in options.merge for one in read_points(path, records)]
        changed = merge(options.gradebook, records, given, options.by or login())
        if options.feedback:
            for record in changed:
                feedback.write_feedback(options.feedback, record.report, record.written)
    except (GradebookError, OSError) as error:
        print(f"answers: {error}", file=sys.stderr)
        return 2
    print(f"points for {len(given)} answers of {len(changed)} submissions are in {options.gradebook}")
    return 0


def _rubrics(lab_id: str) -> dict[str, str]:
    try:
        return dict(load_staff_files(load_lab(lab_id)).rubrics)
    except (StaffFilesMissing, KeyError):
        return {}
