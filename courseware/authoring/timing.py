"""How many minutes of class a lecture takes, by a stated rule, beside what its opening says.

    python -m courseware minutes 03       section by section
    python -m courseware minutes --check  every lecture's opening agrees to within a tenth

The rule is for a class that reads, predicts, runs and talks; it was set so that lecture 04's first version, which its
readers found to take 120 minutes, comes to 119. A heading that says (*optional*) makes its section, and all below it,
optional.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from courseware.authoring.build import ROOT, lecture_sources, read_source, select
from courseware.authoring.folding import is_folded

WORDS_A_MINUTE = 130
CODE_CELL, CODE_LINE = 1.0, 0.1  # minutes for a visible cell, and for each of its lines
FIGURE, VIEW, POLL, CLAIMS, TEST = 1.5, 3.0, 4.0, 3.0, 15.0
CLASS = 75
_ITEMS = {  # what a cell shows: the first pattern that fits counts
    r"^show_concept_test\(": TEST,
    r"^(poll|\w*ballot\.vote)\(": POLL,
    r"^claims_table\(": CLAIMS,
    r"^(explore|steps)\(": VIEW,
    r"^\s*(show|curves|bars|heat_map|attention_map|table)\(|\.show\(|ballot\.shift\(": FIGURE,
}
_NOT_TAUGHT = re.compile(r"^##\s.*\b(exercises|further reading)\b", re.IGNORECASE)
_STATED = re.compile(r"\*\*Time:\*\* core (\d+) minutes(?:, optional (\d+) minutes)?(?:.*?\b(one class|two classes))?")


@dataclass(frozen=True)
class Section:
    """A heading and the minutes of what stands below it, up to the next heading."""

    heading: str
    optional: bool
    minutes: float


@dataclass(frozen=True)
class Stated:
    """What the opening says: minutes of the core and of the optional parts, and the classes they are given."""

    core: int
    optional: int
    classes: int


def sections(notebook: NotebookNode) -> list[Section]:
    """The sections of a lecture's source, in order, with their minutes. Exercises and reading are not class time."""
    found: list[Section] = []
    heading, minutes, optional_from, taught = "(opening)", 0.0, 7, True
    for cell in notebook.cells:
        if cell.cell_type == "code":
            minutes += code_minutes(cell) if taught else 0.0
            continue
        prose = re.sub(r"^(```.*?)^```", lambda m: m[0].replace("\n#", "\n "), cell.source, flags=re.M | re.S)
        for block in re.split(r"(?m)^(?=#{1,6} )", prose):
            if mark := re.match(r"(#{1,6}) (.*)", block):
                found.append(Section(heading, optional_from < 7, minutes))
                level, heading, minutes = len(mark[1]), mark[2].strip(), 0.0
                if level <= optional_from:
                    optional_from = level if "optional" in heading.lower() else 7
                taught = not _NOT_TAUGHT.match(block) and (taught or level <= 2)
            minutes += words(block) / WORDS_A_MINUTE if taught else 0.0
    found.append(Section(heading, optional_from < 7, minutes))
    return [section for section in found if section.minutes]


def words(markdown: str) -> int:
    """The words that are read: without comments, folded answers, addresses and formulas' insides."""
    text = re.sub(r"<!--.*?-->|<details>.*?</details>", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"\$\$?[^$]+\$\$?", " formula ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return len(re.findall(r"\w[\w'’.,-]*", text))


def code_minutes(cell: NotebookNode) -> float:
    """The minutes of a code cell: of what it shows, and of its code unless that is folded away."""
    shown = next((m for pattern, m in _ITEMS.items() if re.search(pattern, cell.source, re.MULTILINE)), 0.0)
    if is_folded(cell):
        return shown
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if all(re.match(r"(import|from) |setup_style\(|torch\.manual_seed\(|\)|    \w+,|#", line) for line in lines):
        return shown
    return shown + CODE_CELL + CODE_LINE * len(lines)


def total(found: Sequence[Section]) -> tuple[float, float]:
    """Minutes of the core, and of the optional sections."""
    core = sum(section.minutes for section in found if not section.optional)
    return core, sum(section.minutes for section in found if section.optional)


def stated(notebook: NotebookNode) -> Stated | None:
    """What the opening says in the form `**Time:** core 75 minutes, optional 30 minutes; one class.`"""
    opening = "\n".join(cell.source for cell in notebook.cells[:3] if cell.cell_type == "markdown")
    says = _STATED.search(opening)
    return Stated(int(says[1]), int(says[2] or 0), 2 if says[3] == "two classes" else 1) if says else None


def problems(source: Path) -> list[str]:
    """What is wrong with the minutes that a lecture's opening states, one line each."""
    notebook = read_source(source)
    says, (core, optional) = stated(notebook), total(sections(notebook))
    if says is None:
        form = f"**Time:** core {core:.0f} minutes, optional {optional:.0f} minutes; one class."
        return [f"{source.name}: the opening states no time; write {form!r}"]
    found = [
        f"{source.name}: the opening says {said} minutes for the {part}, the rule gives {minutes:.0f}"
        for part, said, minutes in (("core", says.core, core), ("optional parts", says.optional, optional))
        if abs(said - minutes) > max(3.0, 0.1 * minutes)
    ]
    if core > says.classes * CLASS * 1.02:
        found.append(
            f"{source.name}: the core takes {core:.0f} minutes and has {says.classes} x {CLASS}: shorten it, mark "
            f"sections (*optional*), or give it two classes"
        )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware minutes", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="03, ...; every lecture when left out")
    parser.add_argument("--check", action="store_true", help="print only what does not agree; exit 1 if anything")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    wrong: list[str] = []
    for source in select(lecture_sources(args.root), args.names):
        wrong += problems(source)
        if args.check:
            continue
        found = sections(read_source(source))
        core, optional = total(found)
        print(f"{source.stem}: core {core:.0f} minutes, optional {optional:.0f} minutes")
        for section in found:
            print(f"  {section.minutes:5.1f}  {'optional  ' if section.optional else ''}{section.heading}")
    print("\n".join(wrong) if wrong else "every opening states its minutes as the rule gives them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
