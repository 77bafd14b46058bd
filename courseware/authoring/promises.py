"""Promises between lectures, and whether they are kept.

<!-- promise: 07-muon-ablation -->   in a lecture that says "lecture 07 measures that"
<!-- keeps: 07-muon-ablation -->     in lecture 07, where it does

python -m courseware promises           write docs/promises.md: what is kept, and what later lectures owe
python -m courseware promises --check   write nothing; exit 1 if a promise is broken or the page is stale
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from courseware.authoring.build import ROOT, lecture_sources

_MARK = re.compile(r"<!--\s*(promises?|keeps?)\b:?\s*(.*?)\s*-->", re.IGNORECASE)
_NAME = re.compile(r"\d\d-[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Mark:
    """One mark: "promise" or "keeps", its name, the lecture it stands in, and the sentence beside it."""

    kind: str
    name: str
    lecture: str
    sentence: str

    @property
    def to(self) -> str:
        """The number of the lecture that owes it."""
        return self.name[:2]


def marks_of(source: Path) -> list[Mark]:
    """The marks in a lecture's source, in order, ill-formed ones too."""
    lines = [line.removeprefix("#").strip() for line in source.read_text(encoding="utf-8").splitlines()]
    return [
        Mark(found[1].lower(), found[2], source.stem[:2], _sentence(lines, number, found))
        for number, line in enumerate(lines)
        for found in _MARK.finditer(line)
    ]


def _sentence(lines: Sequence[str], number: int, mark: re.Match[str]) -> str:
    """The sentence before the mark on its line, else the first one after it, else the last of the line above."""
    before = _MARK.sub("", lines[number][: mark.start()]).strip()
    after = _MARK.sub("", lines[number][mark.end() :]).strip()
    above = next((line for line in reversed(lines[:number]) if line and not _MARK.fullmatch(line)), "")
    text = before or after or above
    if text.startswith(("%%", "|")) or not text:
        return ""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z*`$])", text)
    return sentences[0] if text is after else sentences[-1]


def problems(sources: Sequence[Path]) -> list[str]:
    """Ill-formed marks; promises that an existing lecture does not keep; marks that keep what nobody promised."""
    marks = [mark for source in sources for mark in marks_of(source)]
    exist = {source.stem[:2] for source in sources}
    promised = {mark.name for mark in marks if mark.kind == "promise"}
    kept = {mark.name for mark in marks if mark.kind == "keeps"}
    found = []
    for mark in marks:
        where = f"lecture {mark.lecture}: <!-- {mark.kind}: {mark.name} -->"
        if mark.kind not in ("promise", "keeps") or not _NAME.fullmatch(mark.name):
            found.append(f"{where}: write it as <!-- promise: 07-what-it-is --> or <!-- keeps: 07-what-it-is -->")
        elif mark.kind == "promise" and mark.to in exist and mark.name not in kept:
            found.append(f"{where}: lecture {mark.to} exists and does not keep it")
        elif mark.kind == "keeps" and mark.to != mark.lecture:
            found.append(f"{where}: this is owed by lecture {mark.to}, so it is kept there")
        elif mark.kind == "keeps" and mark.name not in promised:
            found.append(f"{where}: nobody promised that")
    return found


def page(sources: Sequence[Path]) -> str:
    """docs/promises.md: for each lecture, what it owes to whom, and whether it is there."""
    marks = [mark for source in sources for mark in marks_of(source)]
    exist = {source.stem[:2]: source for source in sources}
    kept = {mark.name for mark in marks if mark.kind == "keeps"}
    lines = [
        "# Promises between lectures",
        "",
        "What a lecture tells its readers a later one will show. Collected from the marks in the sources by "
        "`python -m courseware promises`; do not edit.",
    ]
    promises = [mark for mark in marks if mark.kind == "promise"]
    for to in sorted({mark.to for mark in promises}):
        title = f"[Lecture {to}](../lectures/{exist[to].stem}.ipynb)" if to in exist else f"Lecture {to} (planned)"
        lines += ["", f"## {title}", ""]
        for name in sorted({mark.name for mark in promises if mark.to == to}):
            by = [mark for mark in promises if mark.name == name]
            froms = ", ".join(dict.fromkeys(mark.lecture for mark in by))
            state = "kept" if name in kept else "owed"
            said = next((mark.sentence for mark in by if mark.sentence), "")
            lines.append(f"- `{name}`, promised in {froms}, {state}" + (f": {said}" if said else ""))
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware promises", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is wrong")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    sources, target = lecture_sources(args.root), args.root / "docs" / "promises.md"
    found, text = problems(sources), page(sources)
    if not args.check:
        target.write_text(text, encoding="utf-8", newline="\n")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        found.append("docs/promises.md is stale: run python -m courseware promises")
    print("\n".join(found) if found else f"{text.count(chr(10) + '- ')} promises, none broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
