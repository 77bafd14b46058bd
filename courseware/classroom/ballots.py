"""Votes of a class that are kept and compared: how an argument moves the people who hear it.

A poll keeps nothing. A ballot asks one question several times, keeps how many voted for what, and draws the shift. The
votes lie in a small file beside the notebook, as logged predictions do, so that a restarted kernel and the next lesson
still have them. Only a count that somebody enters is written: a lecture that is merely run leaves no file and shows no
votes.
"""

import hashlib
import html
import json
import re
import string
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure

from courseware.classroom.figures import curves, panels
from courseware.classroom.pictures import PALETTE, show
from llmlib.files import write_file
from llmlib.infer import wilson_interval

Counts = dict[str, list[int]]  # round -> the votes for each option, in the order of the options
MOST = 9999  # votes for one option: what a field takes
_REMEDY = "move it elsewhere to start anew"


class Ballot:
    """One question that a class votes on several times; the counts of every round are kept.

        ballot = Ballot("Is scale all we need?", ["yes", "mostly", "no"])
        ballot.vote("before")               # in a cell of its own, and again after each argument
        ballot.shift()                      # the shares of all rounds

    question, options: Markdown; two to six different options, which keep their order. folder: where the votes are kept,
    the notebook's own by default. Opening a ballot again reads them; ValueError if the file there is damaged or holds
    votes on other options, and it stays as it is. Lecture 08 lets a class vote before, during and after a debate.
    """

    def __init__(self, question: str, options: Sequence[str], *, folder: str | Path = ".") -> None:
        if not _is_text(question):
            raise ValueError(f"question={question!r}: give the text of the question")
        if isinstance(options, str) or not isinstance(options, Sequence) or not all(map(_is_text, options)):
            raise ValueError(f"options={options!r}: give a list of texts, such as ['yes', 'mostly', 'no']")
        if not 2 <= len(options) <= 6 or len(set(options)) < len(options):
            raise ValueError(f"options={list(options)!r}: a ballot needs two to six different ones")
        if not Path(folder).is_dir():
            raise ValueError(f"folder={str(folder)!r} is not there: make it, or leave it out to keep votes here")
        self.question, self.options = question, list(options)
        self._path = Path(folder).resolve() / file_name(question)
        self._counts: Counts = {}
        self._unkept = ""  # why the last vote is not in the file
        self._counters: dict[str, _Counters] = {}
        self._read()

    def __repr__(self) -> str:
        rounds = "".join(f"\n  {name}: {_summary(votes)}" for name, votes in self._counts.items())
        return f"Ballot: {self.question}\n{_lettered(self.options, '  {}. {}')}{rounds}"

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """{round: {option: votes}}, rounds in the order in which they were first shown; ValueError as for a Ballot."""
        self._read()
        return {name: dict(zip(self.options, votes)) for name, votes in self._counts.items()}

    def vote(self, name: str) -> None:
        """Show question and options and, live, a counter for each: type the hands you see, or step up and down.

        name: of the round, "before" or "after: compute"; a round shown again goes on where it was.
        """
        if not _is_text(name):
            raise ValueError(f"name={name!r}: name the round, such as 'before'")
        self._read()
        self._counts.setdefault(name, [0] * len(self.options))
        markdown = _lettered(self.options, "- **{}.** {}")
        note = "A show of hands. When this cell is run, a counter for each option appears below."
        display(
            {
                "text/markdown": f"**Vote ({name}).** {self.question}\n\n{markdown}\n\n*{note}*",
                "text/plain": f"Vote ({name}). {self.question}\n{_lettered(self.options, '  {}. {}')}",
            },
            raw=True,
        )
        self._counters[name] = _Counters(self, name)
        self._show_counts()
        display(self._counters[name].box)

    def shift(self) -> None:
        """Draw each option's share in every round that holds votes; a line says so while fewer than two do.

        The whiskers are 95 % intervals (Wilson, 1927), each of one share in one round. They take the class for a random
        draw from many like it, and say how far the share of those many may lie from what the class voted; of the
        class itself everybody was counted. Shares of one round add up to 1, so where one is high by chance another is
        low. And the rounds ask the same people: that two whiskers overlap does not mean that nobody was moved, and who
        moved from where cannot be told from counts.
        """
        self._read()
        voted = {name: votes for name, votes in self._counts.items() if sum(votes)}
        if len(voted) < 2:
            line = f"The shift is drawn here once two rounds hold votes; so far {'one does' if voted else 'none does'}."
            display({"text/markdown": f"*{line}*", "text/plain": line}, raw=True)
            return
        rounds = [f"{name}, {_summary(votes, ends=True)}" for name, votes in voted.items()]
        letters = _lettered(self.options, "{}: {}", "; ")
        alt = f"{self.question} ({letters}.) Shares with 95 % intervals, by round: {'; '.join(rounds)}."
        show(self._figure(voted), alt=alt)

    def clear(self) -> None:
        """Set all votes to none, here and in the file: for the next class. ValueError if the file is damaged."""
        self._read()
        empty = {name: [0] * len(self.options) for name in self._counters}
        if self._path.exists():
            self._write(empty)
        self._counts, self._unkept = empty, ""
        self._show_counts()

    # ---------------------------------------------------------------------------------------------------- keeping

    def _read(self) -> None:
        """Take over what the file holds: another kernel, or this ballot made twice, may have counted since."""
        kept = read_votes(self._path, self.question, self.options)
        if kept is not None and not self._unkept:
            met = {name: [0] * len(self.options) for name in self._counts if name not in kept}
            self._counts = kept | met

    def _write(self, counts: Counts) -> None:
        content = {"question": self.question, "options": self.options, "rounds": counts}
        write_file(self._path, json.dumps(content, ensure_ascii=False) + "\n")

    def _count(self, name: str, option: int, votes: int) -> None:
        """Note an option's votes in a round and keep them. ValueError, and nothing changes, if the file is damaged."""
        self._read()
        self._counts.setdefault(name, [0] * len(self.options))[option] = votes
        try:
            self._write(self._counts)
            self._unkept = ""
        except (OSError, ValueError) as error:
            self._unkept = f"NOT kept in {self._path.name} ({getattr(error, 'strerror', None) or error})"

    # ---------------------------------------------------------------------------------------------------- showing

    def _show_counts(self, problem: str = "") -> None:
        where = self._unkept or f"kept in {self._path.name}"
        for name, counters in self._counters.items():
            votes = self._counts.setdefault(name, [0] * len(self.options))
            counters.show(votes, problem or (f"{_summary(votes)}; {where}" if sum(votes) else _summary(votes)))

    def _figure(self, voted: Counts) -> Figure:
        last = len(voted) - 1
        fig, ax = panels(1, height=3.4)
        lines, whiskers = {}, []
        for i, option in enumerate(self.options):
            at = [place + 0.07 * (i - (len(self.options) - 1) / 2) for place in range(last + 1)]
            shares = [100 * votes[i] / sum(votes) for votes in voted.values()]
            ends = [wilson_interval(votes[i], sum(votes)) for votes in voted.values()]
            below = [max(0.0, share - 100 * low) for share, (low, _) in zip(shares, ends)]  # rounding, at 0 and 100 %
            above = [max(0.0, 100 * high - share) for share, (_, high) in zip(shares, ends)]
            letter, words = string.ascii_uppercase[i], _drawn(option, 22)
            lines[f"{letter}. {words}" if words else letter] = (at, shares)
            whiskers.append((at, shares, [below, above]))
        label = "share of the votes (%),\nwith 95 % intervals"
        curves(lines, y=label, xlim=(-0.4, last + 0.4), ylim=(-3, 103), title=_drawn(self.question, 60), ax=ax)
        for (at, shares, ends), color in zip(whiskers, PALETTE):
            ax.errorbar(at, shares, yerr=ends, fmt="none", ecolor=color, capsize=3, linewidth=1.4)
        narrow = max(9, 60 // len(voted))
        ticks = [f"{_wrapped(name, narrow)}\n(n = {sum(votes)})" for name, votes in voted.items()]
        ax.set_xticks(range(len(voted)), ticks, fontsize=10)
        ax.grid(False, axis="x")
        return fig


class _Counters:
    """The live part of one round: a field for each option, and a line on what they come to."""

    def __init__(self, ballot: Ballot, name: str) -> None:
        self._ballot, self._name, self._filling = ballot, name, False
        self.fields = [
            widgets.BoundedIntText(
                min=0,
                max=MOST,
                description=letter,
                style={"description_width": "24px"},
                layout=widgets.Layout(width="110px"),
            )
            for letter in string.ascii_uppercase[: len(ballot.options)]
        ]
        self.line = widgets.HTML("")
        wrap = widgets.Layout(flex_flow="row wrap")
        self.box = widgets.VBox([widgets.HBox(self.fields, layout=wrap), self.line])
        for field in self.fields:
            field.observe(self._entered, names="value")

    def show(self, votes: Sequence[int], line: str) -> None:
        """Fill the fields, which is no vote, and say a line."""
        self._filling = True
        try:
            for field, value in zip(self.fields, votes):
                field.value = value
        finally:
            self._filling = False
        self.line.value = html.escape(line, quote=False)

    def _entered(self, change: Any) -> None:
        if self._filling:
            return
        problem = ""
        try:
            self._ballot._count(self._name, self.fields.index(change["owner"]), change["new"])
        except ValueError as error:  # a message in the page; a traceback from a callback goes where nobody looks
            problem = f"not counted: {error}"
        self._ballot._show_counts(problem)


# ----------------------------------------------------------------------------------------------------------- files


def file_name(question: str) -> str:
    """The name of the file for the votes on a question: its words and, so that no two share one, a digest."""
    words = re.sub(r"[^a-z0-9]+", "-", question.lower()).strip("-")[:40].strip("-")
    return "-".join(filter(None, ["votes", words, hashlib.sha256(question.encode()).hexdigest()[:6]])) + ".json"


def read_votes(path: Path, question: str, options: Sequence[str]) -> Counts | None:
    """The votes that a Ballot with this question and these options kept at `path`, or None if there is no file.

    Raises ValueError, naming the file and the remedy, for anything that such a Ballot did not write.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        asked, offered, rounds = content["question"], list(content["options"]), content["rounds"]
        for name, votes in rounds.items():
            if not _is_text(name) or len(votes) != len(offered) or not all(_is_count(n) for n in votes):
                raise ValueError(f"round {name!r}: {votes!r}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read ({error.strerror or error}): allow it, or {_REMEDY}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path.name} is damaged or not of a ballot ({fault}): mend it, or {_REMEDY}") from None
    for name, given, found in (("question", question, asked), ("options", list(options), offered)):
        if given != found:
            raise ValueError(f"{name}={given!r}, but {path.name} holds votes on {found!r}: give that, or {_REMEDY}")
    return {name: list(votes) for name, votes in rounds.items()}


# ----------------------------------------------------------------------------------------------------------- texts


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


def _lettered(options: Sequence[str], form: str, between: str = "\n") -> str:
    return between.join(form.format(letter, option) for letter, option in zip(string.ascii_uppercase, options))


def _plural(votes: int) -> str:
    return f"{votes:,} vote{'' if votes == 1 else 's'}"


def _summary(votes: Sequence[int], ends: bool = False) -> str:
    """How many voted, and the share of each letter in percent, with its 95 % interval if `ends`."""
    if not sum(votes):
        return "no votes yet"
    said = []
    for letter, n in zip(string.ascii_uppercase, votes):
        low, high = wilson_interval(n, sum(votes))
        interval = f" ({100 * low:.0f} to {100 * high:.0f})" if ends else ""
        said.append(f"{letter} {100 * n / sum(votes):.0f} %{interval}")
    return f"{_plural(sum(votes))}: {', '.join(said)}"


def _drawn(markdown: str, longest: int) -> str:
    """A text as a figure may hold it; "" if it is too long, or has a formula, which is MathJax's and not for here."""
    plain = re.sub(r"[*`]", "", markdown)
    return "" if "$" in plain or len(plain) > longest else plain


def _wrapped(name: str, columns: int) -> str:
    return "\n".join(textwrap.wrap(name, columns, break_long_words=False)).replace("$", r"\$")
