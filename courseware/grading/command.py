"""``python -m courseware grade SUBMISSION.ipynb... [--out grades.csv] [--json FOLDER] [--feedback FOLDER]``

Each submission runs in a sandbox of its own and is judged in a process of its own; one that hangs, dies or is not a
notebook costs the others nothing. Results are written as they come. Exit status: 0 when every submission was graded, 1
when one could not be, 2 when nothing could be graded (no sandbox, no hidden cases, wrong arguments), 130 after Ctrl-C.
"""

import argparse
import contextlib
import functools
import getpass
import secrets
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import batch, exports, feedback, grader, records
from courseware.grading.grader import Report, clean, grade_cells
from courseware.grading.staff_files import StaffFiles, StaffFilesMissing, load_staff_files
from courseware.grading.submission import (
    Identity,
    Reader,
    SubmissionError,
    collisions,
    guess_lab,
    identify,
    lab_of_batch,
    read_submission,
    visible,
)
from llmlib.sandbox import SandboxUnavailable, Zygote, available_backend


def grade_file(
    path: Path,
    lab_id: str | None = None,
    *,
    hidden_folder: Path | None = None,
    salt: str | None = None,
    ids: Sequence[str] = (),
    unsafe: bool = False,
    public_only: bool = False,
    zygote: Zygote | None = None,
    only: Sequence[str] = (),
    checksum: str = "",
    who: Identity | None = None,
) -> Report:
    """Grade one notebook. A file that cannot be graded gives a report with ``error``; missing staff files raise.

    ``lab_id``: the lab it was handed in for; a notebook of another lab is refused. ``zygote``: of that lab
    (:func:`.grader.warm`). ``only``: the questions to judge. ``checksum``: what the file must have, if that is known.
    ``who``: whose it is, where something better than the file's name says so.
    """
    who = who or identify(path)
    nothing = Report(who.student, number=who.number)
    try:
        if lab_id is not None:
            nothing = replace(nothing, lab=cases.load_lab(lab_id))
        found = read_submission(path, zygote)
        named = guess_lab(path, named=found.named)
        if named is None and lab_id is None:
            raise SubmissionError("names no lab: no check(...) call and no labNN in its file name; give --lab NN")
        lab = cases.load_lab(lab_id or named)
        if found.named not in ("", lab.id):
            raise SubmissionError(f"is the notebook of {found.named}, handed in for {lab.id}")
        if checksum not in ("", found.checksum):
            raise SubmissionError("has changed since it was graded: grade it as a whole, without --only")
    except SubmissionError as error:
        return replace(nothing, error=clean(str(error)))
    except KeyError as error:
        return replace(nothing, error=error.args[0])
    nothing = replace(nothing, lab=lab, checksum=found.checksum)
    staff = StaffFiles({}) if public_only else load_staff_files(lab, hidden_folder)
    try:
        salt, ids = salt or secrets.token_hex(4), None if public_only else ids
        report = grade_cells(
            lab, staff, found.cells, salt=salt, name=who.student, ids=ids, unsafe=unsafe, zygote=zygote, only=only
        )
        return replace(report, number=who.number, checksum=found.checksum, public_only=public_only)
    except SandboxUnavailable as error:
        return replace(nothing, error=f"{error}; not scored")
    except Exception as error:  # a fault of ours must not take the batch down, nor pass for a zero
        return replace(nothing, error=f"the grader failed ({type(error).__name__}: {clean(str(error))}); not scored")


def print_report(report: Report) -> None:
    """A submission's report as staff read it."""
    if report.error:
        print(f"{report.name}: ERROR: {report.error}")
        return
    cases_used = ", public cases only: the grader adds hidden ones" if report.public_only else ""
    lab = report.lab
    print(f"{report.name}: {report.score} of {lab.points} points ({lab.id}, {report.seconds:.1f} s{cases_used})")
    for result in report.results:
        question = result.question
        print(f"  {question.id:10} {result.score}/{question.points}  {question.title}: {result.message}")
    for entry in lab.ungraded:
        given = "answered" if report.ungraded.get(entry.id) else "no answer"
        print(f"  {entry.id:10} for staff  {entry.title}: {given}")
    for note in report.notes:
        print(f"  note: {note}")


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot show stops nothing
    if not options.unsafe and available_backend() is None:
        print(
            "no sandbox here, so nothing is scored: install bubblewrap (Linux), or pass --unsafe to run "
            "the submissions unprotected, with your rights",
            file=sys.stderr,
        )
        return 2
    try:
        return _grade(options)
    except (StaffFilesMissing, SandboxUnavailable, SubmissionError, exports.GradebookError, OSError) as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m courseware grade", description="Grade lab notebooks in a sandbox.")
    parser.add_argument("submissions", nargs="+", type=Path, metavar="SUBMISSION", help="notebooks, or folders of them")
    parser.add_argument("--lab", help='number of the lab, "03"; by default the one most of the notebooks name')
    parser.add_argument("--out", type=Path, metavar="grades.csv", help="Canvas gradebook to write or to update")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="a Gradescope results.json for each submission")
    parser.add_argument("--feedback", type=Path, metavar="FOLDER", help="a page for each student, HTML and Markdown")
    parser.add_argument("--hidden", type=Path, metavar="FOLDER", help="use staff's own labNN_hidden.py from here")
    parser.add_argument("--salt", help="draw the inputs of an earlier report again")
    parser.add_argument("--resume", action="store_true", help="leave out what an earlier batch graded into --out")
    parser.add_argument(
        "--only", metavar="q3", help="grade this question (or several, q3,q5) of graded submissions again; needs --why"
    )
    parser.add_argument("--why", help="the reason for grading again, kept with the points")
    parser.add_argument("--by", default="", help="who grades again (default: your login)")
    parser.add_argument("--workers", type=int, default=batch.workers_here(), help="submissions at a time")
    parser.add_argument("--unsafe", action="store_true", help="grade without a sandbox where none works")
    options = parser.parse_args(list(argv))
    options.lab = cases.lab_id_of(options.lab) if options.lab else None
    options.given_salt, options.salt = options.salt, options.salt or secrets.token_hex(4)
    options.only = tuple(filter(None, (options.only or "").replace(" ", "").split(",")))
    if options.only and not (options.out and options.why and options.why.strip()):
        parser.error("--only needs --out, the gradebook with the other points, and --why, the reason")
    if options.why and not options.only:
        parser.error("--why is the reason for --only: name the question to grade again")
    if options.only and options.resume:
        parser.error("--only grades again what was graded: leave out --resume")
    if options.workers < 1:
        parser.error(f"--workers {options.workers}: at least 1")
    if options.resume and not options.out:
        parser.error("--resume needs --out, which says what was graded")
    return options


def _grade(options: argparse.Namespace) -> int:
    paths = _notebooks(options.submissions)
    for folder in filter(None, (options.json, options.feedback)):
        folder.mkdir(parents=True, exist_ok=True)  # a path that cannot be one is told before anything is graded
    book = exports.read_gradebook(options.out) if options.out else exports.Table([])
    details = exports.read_details(exports.details_path(options.out)) if options.out else exports.Table([])
    lab_id, done = _look_over(paths, options, details)
    if lab_id:
        exports.lab_column(book, lab_id)  # two columns that would do are told before anything is graded
    if options.only:
        lab = _known_lab(lab_id)
        options.only = tuple(q if "." in q else f"{lab_id}.{q}" for q in options.only)
        if unknown := [q for q in options.only if q not in {known.id for known in lab.questions}]:
            raise SubmissionError(
                f"--only: {lab_id} has no {', '.join(unknown)}; it has {', '.join(q.id for q in lab.questions)}"
            )
    refused = collisions(paths)
    refused |= _one_row(book, [path for path in paths if path not in refused])
    zygote = None
    with contextlib.suppress(KeyError):  # an unknown lab is said in each report
        lab = cases.load_lab(lab_id)
        load_staff_files(lab, options.hidden)  # once, before the processes part
        several = len(paths) - len(done) - len(refused) > 1
        zygote = grader.warm(lab) if several else None
    with zygote or contextlib.nullcontext():
        return _grade_all(paths, lab_id, options, book, refused, done, zygote)


def _grade_all(
    paths: Sequence[Path],
    lab_id: str | None,
    options: argparse.Namespace,
    book: exports.Table,
    refused: Mapping[Path, str],
    done: Container[Path],
    zygote: Zygote | None,
) -> int:
    jobs, names, files = [], [], []
    bad = 0
    for path in paths:
        who = identify(path)
        if path in refused:
            bad += 1
            _write(options, Report(who.student, number=who.number, error=refused[path]), path, store=False)
        elif path not in done:
            earlier = None
            if options.only:
                try:
                    earlier = records.read_record(records.record_path(options.out, lab_id, who.student, who.number))
                except records.RecordError as error:
                    bad += 1
                    _write(options, Report(who.student, number=who.number, error=str(error)), path, store=False)
                    continue
            names.append(who)
            files.append(path)
            ids = exports.roster_ids(book, who.student, who.number)
            keywords = {"hidden_folder": options.hidden, "salt": options.salt, "ids": ids, "unsafe": options.unsafe}
            keywords["zygote"] = zygote
            if earlier is not None:  # the inputs of the first time: what has changed is the lab, not the draw
                salt = options.given_salt or earlier.report.salt
                keywords |= {"only": options.only, "checksum": earlier.report.checksum, "salt": salt}
            jobs.append(functools.partial(grade_file, path, lab_id, **keywords))
    if done:
        print(f"{len(done)} of {len(paths)} were graded before and have not changed")
    start, graded, changed = time.monotonic(), 0, 0

    def lost(number: int, why: str) -> Report:
        who = names[number]
        return Report(who.student, number=who.number, error=f"{why}; not scored")

    try:
        for number, report in batch.reports(jobs, lost, workers=options.workers):
            changed += _write(options, report, files[number])
            graded += 1
            bad += bool(report.error)
    except KeyboardInterrupt:
        again = "; the same command with --resume goes on from here" if options.out else ""
        print(f"\nstopped: {graded} of {len(jobs)} are graded and written{again}", file=sys.stderr)
        return 130
    took = f"{graded} submissions in {time.monotonic() - start:.0f} s"
    if options.only:
        print(f"{took}: {', '.join(options.only)} graded again, {changed} of them with other points than before")
    else:
        print(f"{took}; inputs drawn with --salt {options.salt}")
    return 1 if bad else 0


def _one_row(book: exports.Table, paths: Sequence[Path]) -> dict[Path, str]:
    """Files that the gradebook gives to one student, by the name and by the login say -> what is wrong."""
    groups: dict[int, list[Path]] = {}
    for path in paths:
        who = identify(path)
        if (row := exports.find_row(book, who.student, who.number)) is not None:
            groups.setdefault(id(row), []).append(path)
    return {
        path: f"{len(group)} submissions belong to one row of the gradebook "
        f"({', '.join(visible(str(p)) for p in group[:3])}): give one"
        for group in groups.values()
        if len(group) > 1
        for path in group
    }


def _notebooks(given: Sequence[Path]) -> list[Path]:
    """The files named, and the notebooks in the folders named. SubmissionError for a path that is not there."""
    found: list[Path] = []
    for path in given:
        if not path.exists() and not path.is_symlink():
            raise SubmissionError(f"there is no {visible(str(path))}; nothing was graded")
        inside = [p for p in sorted(path.rglob("*.ipynb")) if not any(part.startswith(".") for part in p.parts)]
        if path.is_dir() and not inside:
            raise SubmissionError(f"{visible(str(path))} holds no notebook (*.ipynb); nothing was graded")
        found += inside if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def _look_over(paths: Sequence[Path], options: argparse.Namespace, details: exports.Table) -> tuple[str | None, set]:
    """The lab of the batch, and the files that were graded before (``--resume``)."""
    if options.lab and not options.resume:
        return options.lab, set()
    labs, done = [], set()
    with Reader() as reading:
        for path in paths:
            try:
                found = reading.read(path)
            except SubmissionError:  # it will be said when its turn comes
                continue
            who = identify(path)
            labs.append(guess_lab(path, named=found.named))
            graded = exports.already_graded(details, who.student, who.number, labs[-1], found.checksum)
            if options.resume and graded:
                done.add(path)
    return options.lab or lab_of_batch(labs), done


def _write(options: argparse.Namespace, report: Report, path: Path, *, store: bool = True) -> bool:
    """Print a report and put it where the options say, at once. True if it changed points that were given before."""
    if options.only and report.error:
        store = False  # what was graded before stands
    record, entries, reopened = None, [], False
    if options.only and store:
        earlier = records.read_record(records.record_path(options.out, report.lab.id, report.name, report.number))
        record = records.regraded(earlier, report, by=options.by or login(), why=options.why)
        entries, report = record.regrades[len(earlier.regrades) :], replace(record.report, seconds=report.seconds)
    print_report(report)
    sys.stdout.flush()
    if not store:  # two files of one name: whose row, whose page would it be?
        return False
    if record is not None:
        records.write_record(options.out, record)
        exports.log_regrades(exports.regrades_path(options.out), report, entries)
    elif options.out and not report.error:
        record = records.keep(options.out, report, path)
        reopened = len(record.report.notes) > len(report.notes)  # a person's points are no longer for this text
        report = replace(record.report, seconds=report.seconds)
    if options.out:
        exports.update_gradebook(options.out, [report])
        if reopened:
            points = record.written_points() if record.written else None
            exports.update_written(options.out, report.lab, [(report.name, report.number, points)])
        exports.update_details(exports.details_path(options.out), [report])
    if options.json:
        exports.write_gradescope(options.json / f"{exports.file_name(report.name, report.number)}.json", report)
    if options.feedback:
        feedback.write_feedback(options.feedback, report, record.written if record else None)
    return any(entry["before"] != entry["after"] for entry in entries)


def login() -> str:
    """Who is at the keyboard, for what is kept with points."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"


def _known_lab(lab_id: str | None) -> cases.Lab:
    try:
        return cases.load_lab(lab_id or "")
    except KeyError as error:
        raise SubmissionError(error.args[0]) from None


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
