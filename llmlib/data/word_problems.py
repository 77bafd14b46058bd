"""Word problems in several steps, put together from sentences with slots. Lecture 16.

    Mara has 12 shells. She buys 3 boxes with 8 in each. 5 of them break. How many shells does Mara have now?
    3*8=24;12+24=36;36-5=31;31

Answers are true by construction; sentences that change nothing can be mixed in; wordings can be kept for testing.
"""

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

from .verifiable import END, Problem, Task

PEOPLE = tuple(
    (name, pronoun)
    for pronoun, names in (("She", "Mara Ines Yuki Leila Freya Nora Zoe Asha"), ("He", "Tom Ravi Omar Luca Ben Kofi"))
    for name in names.split()
)
THINGS = tuple("shells stamps marbles buttons postcards pencils pebbles coins stickers beads keys lemons".split())
LARGEST = 999  # no number on the way is larger

# The last wording of each is for problems(..., wording="new") alone.
WORDINGS = {
    "start": ("{name} has {n} {things}.", "{name} starts with {n} {things}.",
              "There are {n} {things} on a shelf that belongs to {name}.", "{name} owns {n} {things}."),
    "gain": ("{they} finds {n} more.", "A friend hands {name} {n} more.", "{n} more arrive by post.",
             "{they} picks up another {n}."),
    "lose": ("{n} of them break.", "{they} gives {n} away.", "{name} loses {n}.", "{n} of them go missing."),
    "packs": ("{they} buys {k} boxes with {n} in each.", "{k} neighbours bring {n} each.",
              "{name} fills {k} bags, each with {n} new ones.", "{k} parcels come, and each holds {n} more."),
    "times": ("A year later there are {k} times as many.", "{they} works until there are {k} times as many.",
              "{k} times as many are there in the end.", "Their number grows to {k} times what it was."),
    "share": ("{they} divides them into {k} equal parts and keeps one part.",
              "{k} children, {name} among them, get equal shares, and only the share of {name} counts from here on.",
              "{they} makes {k} equal heaps and leaves all but one behind.",
              "{they} deals them out to {k} people evenly, keeping what one person gets."),
    "aside": ("It is {n} degrees outside.", "{name} lives at number {n}.", "The bus takes {n} minutes.",
              "The radio plays {n} songs."),
    "question": ("How many {things} does {name} have now?", "How many {things} are left for {name}?",
                 "In the end, how many {things} does {name} have?", "What number of {things} is it now?"),
}  # fmt: skip
KINDS = ("gain", "lose", "packs", "times", "share")


@dataclass(frozen=True)
class Event:
    """Something that changes how many there are: one of KINDS, with a number n, a number k, or both."""

    kind: str
    n: int = 0
    k: int = 0


class WordProblems(Task):
    """Somebody has some things, and `events` happen to them; two numbers: between them, drawn evenly.

    asides: how many sentences are mixed in that hold a number and change nothing. wording: "known", "new" (a wording of
    each sentence that "known" never uses) or "all". kinds: the events that may happen. Two problems with the same
    events and numbers are the same problem for the split, whatever the names and words.
    """

    alphabet = string.ascii_letters + string.digits + " .,?+-*/=;" + END

    def __init__(
        self,
        events: int | tuple[int, int] = (2, 3),
        *,
        asides: int = 0,
        wording: str = "known",
        kinds: Sequence[str] = KINDS,
    ) -> None:
        low, high = (events, events) if isinstance(events, int) else events
        if not 1 <= low <= high:
            raise ValueError(f"events={events} must be at least 1, or two numbers, the smaller first")
        if wording not in ("known", "new", "all"):
            raise ValueError(f"wording={wording!r} is none of known, new, all")
        if not kinds or set(kinds) - set(KINDS) or not set(kinds) - {"share"}:
            raise ValueError(f"kinds={list(kinds)} must name some of {', '.join(KINDS)}, and not share alone")
        self.events, self.asides, self.wording, self.kinds = (low, high), asides, wording, tuple(kinds)

    def draw(self, rng: random.Random) -> Problem:
        while True:
            total = start = rng.randint(4, 60)
            happens: list[Event] = []
            for _ in range(rng.randint(*self.events)):
                event = self._event(total, rng)
                if event is None:
                    break
                happens.append(event)
                total = after(total, event)
            else:
                return self.problem(start, happens, rng)

    def _event(self, total: int, rng: random.Random) -> Event | None:
        """Something that can happen to that many things; None where nothing drawn can."""
        for kind in rng.choices(self.kinds, k=20):
            divisors = [k for k in range(2, 10) if total % k == 0 and total // k >= 2]
            event = {
                "gain": lambda: Event("gain", n=rng.randint(2, 60)),
                "lose": lambda: Event("lose", n=rng.randint(2, total - 2)) if total >= 4 else None,
                "packs": lambda: Event("packs", n=rng.randint(2, 12), k=rng.randint(2, 9)),
                "times": lambda: Event("times", k=rng.randint(2, 5)),
                "share": lambda d=divisors: Event("share", k=rng.choice(d)) if d else None,
            }[kind]()
            if event is not None and after(total, event) <= LARGEST:
                return event
        return None

    def problem(self, start: int, events: Sequence[Event], rng: random.Random) -> Problem:
        """The problem in which these things happen, in words that rng chooses."""
        name, they = rng.choice(PEOPLE)
        slots = dict(name=name, they=they, things=rng.choice(THINGS))
        say = lambda what, **numbers: rng.choice(self._wordings(what)).format(**slots, **numbers)
        story = [say(event.kind, n=event.n, k=event.k) for event in events]
        for _ in range(self.asides):
            story.insert(rng.randint(0, len(story)), say("aside", n=rng.randint(2, 60)))
        text = " ".join([say("start", n=start), *story, say("question")])
        steps, total = [], start
        for event in events:
            steps += working(total, event)
            total = after(total, event)
        key = f"{start} " + " ".join(f"{event.kind}:{event.n}:{event.k}" for event in events)
        return Problem(text, tuple(steps), str(total), key=key)

    def _wordings(self, what: str) -> tuple[str, ...]:
        every = WORDINGS[what]
        return {"known": every[:-1], "new": every[-1:], "all": every}[self.wording]


def after(total: int, event: Event) -> int:
    """How many there are after an event."""
    n, k = event.n, event.k
    share = total // (k or 1)
    return {"gain": total + n, "lose": total - n, "packs": total + k * n, "times": total * k, "share": share}[
        event.kind
    ]


def working(total: int, event: Event) -> list[str]:
    """The steps that find `after(total, event)`."""
    n, k, result = event.n, event.k, after(total, event)
    return {
        "gain": [f"{total}+{n}={result}"],
        "lose": [f"{total}-{n}={result}"],
        "packs": [f"{k}*{n}={k * n}", f"{total}+{k * n}={result}"],
        "times": [f"{total}*{k}={result}"],
        "share": [f"{total}/{k}={result}"],
    }[event.kind]
