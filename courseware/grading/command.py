"""``python -m courseware grade SUBMISSION.ipynb... [--out grades.csv] [--json gradescope.json]``

Each submission runs in a sandbox of its own; one that hangs, dies or is not a notebook costs the others nothing.
Files are written whole or not at all. Exit status: 0 when every submission was graded, 1 when one could not be,
2 when nothing could be graded (no sandbox, no hidden cases, wrong arguments).
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import exports
from courseware.grading.grader import Report, grade_cells
from courseware.grading.staff_files import StaffFiles, StaffFilesMissing, load_staff_files
from courseware.grading.submission import SubmissionError, guess_lab, read_cells
from llmlib.sandbox import SandboxUnavailable, available_backend


def grade_file(
    path: Path,
    lab_id: str | None = None,
    *,
    hidden_folder: Path | None = None,
    salt: str | None = None,
    unsafe: bool = False,
    public_only: bool = False,
) -> Report:
    """Grade one notebook. A file that cannot be graded gives a report with ``error``; missing staff files raise."""
    try:
        cells = read_cells(path)
        wanted = lab_id or guess_lab(path, cells)
        if wanted is None:
            raise SubmissionError("names no lab: no check(...) call and no labNN in its file name; give --lab NN")
        lab = cases.load_lab(wanted)
    except SubmissionError as error:
        return Report(path.stem, error=str(error))
    except KeyError as error:
        return Report(path.stem, error=error.args[0])
    staff = StaffFiles({}) if public_only else load_staff_files(lab, hidden_folder)
    try:
        return grade_cells(lab, staff, cells, salt=salt or secrets.token_hex(4), name=path.stem, unsafe=unsafe)
    except SandboxUnavailable:
        raise
    except Exception as error:  # a fault of ours must not take the batch down, nor pass for a zero
        return Report(path.stem, lab, error=f"the grader failed ({type(error).__name__}: {error}); not scored")


def print_report(report: Report) -> None:
    """A submission's report as staff read it."""
    if report.error:
        print(f"{report.name}: ERROR: {report.error}")
        return
    print(f"{report.name}: {report.score} of {report.lab.points} points ({report.lab.id}, {report.seconds:.1f} s)")
    for result in report.results:
        question = result.question
        print(f"  {question.id:10} {result.score}/{question.points}  {question.title}: {result.message}")
    for entry in report.lab.ungraded:
        given = "answered" if report.ungraded.get(entry.id) else "no answer"
        print(f"  {entry.id:10} for staff  {entry.title}: {given}")
    for note in report.notes:
        print(f"  note: {note}")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m courseware grade", description="Grade lab notebooks in a sandbox.")
    parser.add_argument("submissions", nargs="+", type=Path, metavar="SUBMISSION.ipynb")
    parser.add_argument("--lab", help='number of the lab, "03"; by default read from each notebook')
    parser.add_argument("--out", type=Path, metavar="grades.csv", help="gradebook to write or to update")
    parser.add_argument("--json", type=Path, metavar="gradescope.json", help="results for Gradescope")
    parser.add_argument("--hidden", type=Path, metavar="FOLDER", help="use staff's own labNN_hidden.py from here")
    parser.add_argument("--salt", help="draw the inputs of an earlier report again")
    parser.add_argument("--unsafe", action="store_true", help="grade without a sandbox where none works")
    options = parser.parse_args(list(argv))
    if not options.unsafe and available_backend() is None:
        print(
            "no sandbox here, so nothing is scored: install bubblewrap (Linux), or pass --unsafe to run "
            "the submissions unprotected, with your rights",
            file=sys.stderr,
        )
        return 2
    lab_id = f"lab{options.lab.removeprefix('lab').zfill(2)}" if options.lab else None
    salt = options.salt or secrets.token_hex(4)
    reports = []
    try:
        gradebook = exports.read_gradebook(options.out) if options.out else []
        for path in options.submissions:
            hidden = options.hidden
            report = grade_file(path, lab_id, hidden_folder=hidden, salt=salt, unsafe=options.unsafe)
            print_report(report)
            reports.append(report)
        if options.out:
            exports.write_gradebook(options.out, gradebook, reports)
        if options.json:
            exports.write_gradescope(options.json, reports)
    except (StaffFilesMissing, SandboxUnavailable, exports.GradebookError, OSError) as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    print(f"inputs drawn with --salt {salt}")
    return 1 if any(report.error for report in reports) else 0


def check_notebook(path: Path) -> int:
    """Public cases only, on a notebook of one's own: no hidden cases needed, a sandbox used where there is one."""
    report = grade_file(path, public_only=True, salt="public", unsafe=True)
    print_report(report)
    return 1 if report.error else 0


def check_main(argv: Sequence[str]) -> int:
    """What the public cases say about a lab notebook of your own."""
    parser = argparse.ArgumentParser(prog="python -m courseware check", description=check_main.__doc__)
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK.ipynb")
    return check_notebook(parser.parse_args(list(argv)).notebook)
