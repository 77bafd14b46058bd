"""What the grader knows of each submission, as one JSON file: the source of summaries, regrades and merged points.

``grades.csv`` has its records in ``grades.records/lab03/NAME.json``, for staff only: they hold messages of hidden
cases. A file is written whole or not at all; one that is damaged is named and nothing is built on it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from courseware.classroom.cases import Lab, load_lab
from courseware.grading.exports import GradebookError, file_name, same_name
from courseware.grading.grader import Report, Result
from courseware.grading.submission import visible
from llmlib.files import write_file

FORMAT = 1


class RecordError(GradebookError):
    """A record that is missing, damaged or of something else; the message names the file."""


@dataclass(frozen=True)
class Kept(Result):
    """A question's result as it was written down: its points and messages, without the cases."""

    given: int = 0
    said: str = ""
    told: str = ""
    kept_mistakes: tuple[str, ...] = ()

    @property
    def mistakes(self) -> tuple[str, ...]:
        return self.kept_mistakes

    @property
    def passed(self) -> bool:
        return self.given == self.question.points

    @property
    def score(self) -> int:
        return self.given

    @property
    def message(self) -> str:
        return self.said

    @property
    def public_message(self) -> str:
        return self.told


@dataclass(frozen=True)
class Record:
    """One submission: its report, the file it came from, points that a person gave, and what was graded again.

    ``written``: entry id -> {"points", "comment", "by", "when"}. ``regrades``: {"question", "before", "after", "by",
    "when", "why", "salt"}, oldest first.
    """

    report: Report
    file: str = ""
    graded: str = ""
    written: Mapping[str, dict] = field(default_factory=dict)
    regrades: tuple[dict, ...] = ()

    @property
    def lab(self) -> Lab:
        return self.report.lab

    @property
    def who(self) -> tuple[str, str]:
        return self.report.name, self.report.number

    def points(self) -> dict[str, int]:
        return {r.question.id: r.score for r in self.report.results}

    def written_points(self) -> float:
        return sum(entry["points"] for entry in self.written.values())

    def as_json(self) -> dict[str, Any]:
        report = self.report
        return {
            "format": FORMAT,
            "lab": report.lab.id,
            "student": report.name,
            "number": report.number,
            "file": self.file,
            "sha256": report.checksum,
            "graded": self.graded,
            "salt": report.salt,
            "STUDENT": report.student,
            "questions": [
                {"id": r.question.id, "points": r.score, "of": r.question.points, "message": r.message}
                | {"told": r.public_message, "mistakes": list(r.mistakes)}
                for r in report.results
            ],
            "answers": dict(report.ungraded),
            "notes": list(report.notes),
            "written": dict(self.written),
            "regrades": list(self.regrades),
        }


# -- files -----------------------------------------------------------------------------------------------------------


def records_path(gradebook: Path) -> Path:
    """``grades.csv`` -> ``grades.records``."""
    return gradebook.with_name(f"{gradebook.stem}.records")


def record_path(gradebook: Path, lab: str, name: str, number: str = "") -> Path:
    return records_path(gradebook) / lab / f"{file_name(name, number)}.json"


def write_record(gradebook: Path, record: Record) -> Path:
    path = record_path(gradebook, record.lab.id, *record.who)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_file(path, json.dumps(record.as_json(), indent=1, ensure_ascii=False) + "\n")


def keep(gradebook: Path, report: Report, file: Path | None = None) -> Record:
    """Write down a report that covers the whole lab. A person's points stay where the answer is still the same."""
    path = record_path(gradebook, report.lab.id, report.name, report.number)
    earlier = read_record(path) if path.exists() else None
    written, regrades = {}, ()
    if earlier is not None:
        same = {i for i, text in report.ungraded.items() if earlier.report.ungraded.get(i) == text}
        written = {i: given for i, given in earlier.written.items() if i in same}
        stale = [f"{i} has changed since it was read: its points are open again" for i in set(earlier.written) - same]
        report = replace(report, notes=(*report.notes, *sorted(stale)))
        regrades = earlier.regrades if earlier.report.checksum == report.checksum else ()
    record = Record(report, visible(str(file or "")), now(), written, regrades)
    write_record(gradebook, record)
    return record


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def read_record(path: Path) -> Record:
    """One record. RecordError says what is wrong with the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise RecordError(f"{path} is damaged (not JSON): grade that submission again") from None
    try:
        return _record(found)
    except KeyError as error:
        raise RecordError(f"{path} is no record of a submission: {error.args[0]} is missing or unknown") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} is no record of a submission ({error}): grade that submission again") from None


def _record(found: Mapping[str, Any]) -> Record:
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    lab = load_lab(found["lab"])
    results = []
    for entry in found["questions"]:
        question = lab.question(entry["id"])
        if type(entry["points"]) is not int or not 0 <= entry["points"] <= entry["of"]:
            raise ValueError(f"{question.id}: {entry['points']!r} of {entry['of']!r} points")
        question = replace(question, points=entry["of"])  # what it was worth when it was graded
        kept = Kept(question, (), given=entry["points"], said=str(entry["message"]), told=str(entry["told"]))
        results.append(replace(kept, kept_mistakes=tuple(map(str, entry["mistakes"]))))
    report = Report(
        str(found["student"]),
        lab,
        tuple(results),
        tuple(found["notes"]),
        dict(found["answers"]),
        found["salt"],
        number=str(found["number"]),
        student=found["STUDENT"],
        checksum=found["sha256"],
    )
    for entry, given in found["written"].items():
        if entry not in {u.id for u in lab.ungraded} or type(given["points"]) not in (int, float):
            raise ValueError(f"written points of {entry}")
    return Record(report, found["file"], found["graded"], dict(found["written"]), tuple(found["regrades"]))


def read_records(gradebook: Path, lab: str) -> list[Record]:
    """Every record of one lab, by name. RecordError when there is none, one is damaged, or two are of one student."""
    folder = records_path(gradebook) / lab
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not paths:
        known = sorted(p.name for p in records_path(gradebook).glob("lab*")) if records_path(gradebook).is_dir() else []
        has = f"it has {', '.join(known)}" if known else f"grade with --out {gradebook} first"
        raise RecordError(f"{records_path(gradebook)} has no record of {lab}: {has}")
    records = [read_record(path) for path in paths]
    for path, record in zip(paths, records):
        if record.lab.id != lab:
            raise RecordError(f"{path} is a record of {record.lab.id}, among those of {lab}: move it away")
    _no_twins(paths, records)
    return sorted(records, key=lambda r: (r.report.name.casefold(), r.report.number))


def _no_twins(paths: Iterable[Path], records: Iterable[Record]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for path, record in zip(paths, records):
        key = (same_name(record.report.name), record.report.number)
        if key in seen:
            raise RecordError(f"{seen[key]} and {path} are of one student: delete the older one")
        seen[key] = path


# -- one question again ----------------------------------------------------------------------------------------------


def regraded(record: Record, again: Report, *, by: str, why: str) -> Record:
    """The record with the results of ``again`` in place of its own for those questions, and a note of who and why."""
    new = {r.question.id: r for r in again.results}
    results, log = [], list(record.regrades)
    for old in record.report.results:
        result = new.get(old.question.id)
        if result is None:
            results.append(old)
            continue
        results.append(result)
        entry = {"question": old.question.id, "before": old.score, "after": result.score}
        log.append(entry | {"by": by, "when": now(), "why": why, "salt": again.salt})
    report = replace(record.report, results=tuple(results))
    return replace(record, report=report, regrades=tuple(log))
