"""A page for each student: points and public messages by question, in HTML and in Markdown.

It holds nothing of a hidden case but that one failed, and nothing of anybody else.
"""

import html
import re
from collections.abc import Mapping
from pathlib import Path

from courseware.grading.exports import file_name
from courseware.grading.grader import Report
from courseware.grading.html_page import whole_page
from llmlib.files import write_file

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886; }
td:nth-child(2) { white-space: nowrap; }"""


def write_feedback(folder: Path, report: Report, written: Mapping[str, dict] | None = None) -> list[Path]:
    """``NAME.html`` and ``NAME.md`` in ``folder``, which is made if it is not there.

    written: the points and comments that a person gave, as a record holds them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_name(report.name, report.number)
    pages = {".html": as_html(report, written), ".md": as_markdown(report, written)}
    return [write_file(folder / f"{stem}{ending}", text) for ending, text in pages.items()]


def title(report: Report) -> str:
    lab = f"{report.lab.title} ({report.lab.id})" if report.lab else "Lab"
    return f"{lab}: {report.name}"


def summary(report: Report, written: Mapping[str, dict] | None = None) -> str:
    if report.error:
        return f"This submission could not be graded: {report.error}"
    text = f"{report.score} of {report.lab.points} points."
    if written:
        given = sum(entry["points"] for entry in written.values())
        text += f" For what you wrote: {given:g} of {report.lab.staff_points}."
    elif report.lab.staff_points:
        text += f" Up to {report.lab.staff_points} more are given by a person, for what you wrote."
    return text


def rows(report: Report, written: Mapping[str, dict] | None = None) -> list[tuple[str, str, str]]:
    """(question, points, message) of each question, then of each text that a person has read."""
    found = [(r.question.title, f"{r.score} of {r.question.points}", r.public_message) for r in report.results]
    for entry in report.lab.ungraded if report.lab else ():
        if given := (written or {}).get(entry.id):
            found.append((entry.title, f"{given['points']:g} of {entry.points}", given["comment"]))
    return found


def as_markdown(report: Report, written: Mapping[str, dict] | None = None) -> str:
    lines = [f"# {_plain(title(report))}", "", _plain(summary(report, written)), ""]
    if report.results:
        lines += ["| question | points | |", "| --- | --- | --- |"]
        lines += [f"| {_plain(name)} | {points} | {_plain(text)} |" for name, points, text in rows(report, written)]
    if report.notes:
        lines += ["", *(f"- {_plain(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n"


def as_html(report: Report, written: Mapping[str, dict] | None = None) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{points}</td><td>{html.escape(text)}</td></tr>\n"
        for name, points, text in rows(report, written)
    )
    table = f"<table>\n<tr><th>Question</th><th>Points</th><th></th></tr>\n{lines}</table>\n" if lines else ""
    items = "".join(f"<li>{html.escape(note)}</li>\n" for note in report.notes)
    notes = f"<ul>\n{items}</ul>\n" if items else ""
    head = f"<h1>{html.escape(title(report))}</h1>\n<p>{html.escape(summary(report, written))}</p>"
    return whole_page(title(report), _STYLE, f"{head}\n{table}{notes}")


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: a message may quote what a submission said."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
