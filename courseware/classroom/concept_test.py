"""The course's concept test: twenty questions, taken before the course and again after it. Shown by lecture 00.

The items themselves are in `courseware.classroom.concept_items`.

    python -m courseware gain work/*.jsonl     the gain of a class, from the files its students kept
"""

import argparse
import html
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from IPython.display import display

from courseware.classroom.concept_items import ITEMS, LETTERS, Item

WHEN = ("before", "after")
FILE = "concept_test.jsonl"
Answers = Mapping[str, str | None]
_BY_ID = {item.id: item for item in ITEMS}


# ---------------------------------------------------------------------------------------------------------- scoring


@dataclass(frozen=True)
class Score:
    """right: how many of ITEMS; parts: part -> (right, items in it); missed: items answered wrongly or left open."""

    right: int
    parts: dict[str, tuple[int, int]]
    missed: tuple[Item, ...]

    @property
    def fraction(self) -> float:
        """Right answers, 0 to 1. Guessing everything gives 0.25 on average."""
        return self.right / len(ITEMS)


def score(answers: Answers) -> Score:
    """Score the answers {item id: letter}; None, or no entry, is "I don't know" and not right.

    Raises ValueError for an unknown id or letter: a mistyped file must not look like a weak student.
    """
    for name, letter in answers.items():
        if name not in _BY_ID:
            raise ValueError(f"answers: there is no item {name!r}: were they kept from another edition of the test?")
        if letter is not None and (not isinstance(letter, str) or len(letter) != 1 or letter not in LETTERS):
            raise ValueError(f"answers[{name!r}]={letter!r}: give one of {', '.join(LETTERS)}, or None")
    missed = tuple(item for item in ITEMS if answers.get(item.id) != item.answer)
    parts = {
        part: (len(items) - sum(item in missed for item in items), len(items)) for part, items in by_part().items()
    }
    return Score(len(ITEMS) - len(missed), parts, missed)


def by_part() -> dict[str, list[Item]]:
    """The items in the order of the test, under the heading of their part."""
    parts: dict[str, list[Item]] = {}
    for item in ITEMS:
        parts.setdefault(item.part, []).append(item)
    return parts


def normalised_gain(before: Sequence[float], after: Sequence[float]) -> float:
    """The share of what a class could still learn that it learned: (after - before) / (1 - before) of its means.

    before, after: fractions right, 0 to 1, one per student and in the same order. Hake (1998) calls it <g>: about 0.2
    was usual for physics taught by lectures alone, about 0.5 where students take part. It can be negative.
    Raises ValueError if the lists do not match or there was nothing left to gain.
    """
    first, second = np.asarray(before, float), np.asarray(after, float)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ValueError(f"before and after must be one fraction per student each, got {len(first)} and {len(second)}")
    if not all(((values >= 0) & (values <= 1)).all() for values in (first, second)):
        raise ValueError("before and after must be fractions from 0 to 1: divide by the number of items")
    if first.mean() == 1:
        raise ValueError("before: everybody had everything right, so there is no gain to measure")
    return float((second.mean() - first.mean()) / (1 - first.mean()))


def gain_interval(before: Sequence[float], after: Sequence[float], resamples: int = 2000) -> tuple[float, float]:
    """The middle 95 % of the gain when students are drawn again with replacement (bootstrap, fixed seed)."""
    normalised_gain(before, after)  # says what is wrong with the arguments
    first, second = np.asarray(before, float), np.asarray(after, float)
    drawn = np.random.default_rng(0).integers(len(first), size=(resamples, len(first)))
    a, b = first[drawn].mean(axis=1), second[drawn].mean(axis=1)
    gains = (b - a)[a < 1] / (1 - a)[a < 1]
    return float(np.quantile(gains, 0.025)), float(np.quantile(gains, 0.975))


# ---------------------------------------------------------------------------------------------------- kept answers


def work_folder() -> Path | None:
    """The git-ignored work/ of this copy of the course, or None where the course is merely installed (Colab)."""
    root = Path(__file__).resolve().parents[2]
    return root / "work" if (root / "tasks.py").exists() else None


def keep(answers: Answers, when: str, folder: Path) -> Path:
    """Append the answers, with `when` ("before" or "after") and the time, to FILE in `folder`; returns its path."""
    if when not in WHEN:
        raise ValueError(f"when={when!r}: give 'before' or 'after'")
    score(answers)
    folder.mkdir(parents=True, exist_ok=True)
    line = {"when": when, "time": datetime.now().astimezone().isoformat(timespec="seconds"), "answers": dict(answers)}
    with open(folder / FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return folder / FILE


def kept(path: Path) -> dict[str, dict[str, str | None]]:
    """{"before": answers, "after": answers} from a file that `keep` wrote: the latest of each; {} if there is no file.

    Raises ValueError, naming the line, for anything that `keep` did not write.
    """
    found: dict[str, dict[str, str | None]] = {}
    if not path.exists():
        return found
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            when, answers = line["when"], line["answers"]
            if when not in WHEN:
                raise ValueError(f"when is {when!r}")
            score(answers)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path.name}, line {number}: not a kept test ({error}); remove the line") from None
        found[when] = answers
    return found


# --------------------------------------------------------------------------------------------------------- the form

_SESSION: dict[str, Answers] = {}  # what was scored in this kernel, for a comparison without a file


def show_concept_test(folder: Path | None = None) -> None:
    """Show the test: the questions as text, an answer sheet under each part, a button that scores, the folded answers.

    Scored as "before the course", the form says how many are right and which lectures teach the rest, not the answers;
    as "after the course" it explains what was missed and compares. Nothing is written unless the box is ticked;
    then one line goes into FILE in `folder` (default: the course's work/, if there is one), and nowhere else.
    """
    folder = folder or work_folder()
    sheet: dict[str, widgets.ToggleButtons] = {}
    for part, items in by_part().items():
        text = [f"### {part}"]
        for item in items:
            number = ITEMS.index(item) + 1
            options = "\n".join(f"- **{letter}.** {option}" for letter, option in zip(LETTERS, item.options))
            text.append(f"**{number}.** {item.question}\n\n{options}")
            sheet[item.id] = widgets.ToggleButtons(
                options=[*zip(LETTERS, LETTERS), ("don't know", "")],
                value="",
                description=f"{number}.",
                style={"button_width": "84px", "description_width": "32px"},
            )
        _display_markdown("\n\n".join(text), f"Concept test, {part}: {len(items)} questions")
        display(widgets.VBox([sheet[item.id] for item in items]))
    display(_scoring(sheet, folder))
    answers = "\n".join(f"{n}. **{i.answer}.** {i.explanation} *(lecture {i.lecture})*" for n, i in enumerate(ITEMS, 1))
    fold = "<details><summary>Answers (they spoil the second time: unfold them after the course)</summary>"
    _display_markdown(f"{fold}\n\n{answers}\n\n</details>", "Answers and explanations")


def _display_markdown(markdown: str, plain: str) -> None:
    display({"text/markdown": markdown, "text/plain": plain}, raw=True)


def _scoring(sheet: Mapping[str, widgets.ToggleButtons], folder: Path | None) -> widgets.VBox:
    when = widgets.ToggleButtons(
        options=[("before the course", "before"), ("after the course", "after")], style={"button_width": "150px"}
    )
    save = widgets.Checkbox(value=False, indent=False, description=f"also keep my answers here, in work/{FILE}")
    button = widgets.Button(description="Score", button_style="primary")
    result = widgets.HTML("")

    def clicked(_button: widgets.Button) -> None:
        answers = {name: buttons.value or None for name, buttons in sheet.items()}
        _SESSION[when.value] = answers
        earlier, note = _SESSION.get("before"), ""
        try:
            if folder and when.value == "after":
                earlier = earlier or kept(folder / FILE).get("before")
            if folder and save.value:
                keep(answers, when.value, folder)
                note = f"<p>Kept in work/{FILE}; nobody else sees it.</p>"
        except (OSError, ValueError) as error:
            note = f"<p>{html.escape(str(error))}</p>"
        result.value = feedback(answers, when.value, earlier) + note

    button.on_click(clicked)
    return widgets.VBox([when, *([save] if folder else []), button, result])


def feedback(answers: Answers, when: str, earlier: Answers | None = None) -> str:
    """What the form says, as HTML. Before the course it gives no answer away; after it, `earlier` is compared with."""
    now = score(answers)
    parts = "; ".join(f"{part.lower()} {right} of {items}" for part, (right, items) in now.parts.items())
    text = [f"<p><b>{now.right} of {len(ITEMS)}</b> ({html.escape(parts)}).</p>"]
    if when == "before":
        lectures = ", ".join(sorted({item.lecture for item in now.missed}))
        if lectures:
            text.append(f"<p>What you missed is taught in lectures {lectures}.</p>")
        return "".join(text)
    if earlier is not None:
        text.append(f"<p>Before the course: {score(earlier).right} of {len(ITEMS)}.</p>")
    for item in now.missed:
        right = item.options[LETTERS.index(item.answer)]
        said = f"{item.question} <b>{item.answer}: {right}.</b> {item.explanation} (lecture {item.lecture})"
        text.append(f"<p>{ITEMS.index(item) + 1}. {said}</p>")
    return "".join(text)


def main(argv: Sequence[str] | None = None) -> int:
    """The class's gain, and each item's share right before and after, from students' kept files."""
    parser = argparse.ArgumentParser(prog="python -m courseware gain", description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path, help=f"one {FILE} per student, under any name")
    pairs = []
    for path in parser.parse_args(argv).files:
        try:
            both = kept(path)
        except (OSError, ValueError) as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if len(both) == len(WHEN):
            pairs.append((both["before"], both["after"]))
        else:
            print(f"left out: {path.name} has not both a before and an after", file=sys.stderr)
    if not pairs:
        print("no student with both a before and an after", file=sys.stderr)
        return 1
    for number, item in enumerate(ITEMS, 1):
        first, second = (np.mean([pair[i].get(item.id) == item.answer for pair in pairs]) for i in (0, 1))
        print(f"{number:2}. {item.id:20} lecture {item.lecture}   {100 * first:3.0f} % -> {100 * second:3.0f} %")
    first, second = ([score(pair[i]).fraction for pair in pairs] for i in (0, 1))
    print(f"\n{len(pairs)} students: {100 * np.mean(first):.0f} % right before, {100 * np.mean(second):.0f} % after")
    low, high = gain_interval(first, second)
    print(f"normalised gain {normalised_gain(first, second):.2f} (95 % interval over students {low:.2f} to {high:.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
