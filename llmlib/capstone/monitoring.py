"""After deployment: what is asked, whether it still looks like what the model was made for, and what goes wrong."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from llmlib.retrieval.bm25 import words


class Drift(NamedTuple):
    """Jensen-Shannon divergence of word frequencies, in bits (0 alike, 1 nothing in common), and the value that samples
    of the reference reach once in twenty times by chance."""

    value: float
    by_chance: float

    @property
    def alarm(self) -> bool:
        return self.value > self.by_chance


def drift(reference: Sequence[str], now: Sequence[str], *, draws: int = 100, seed: int = 0) -> Drift:
    """Do the texts of now use words as the reference does? Lecture 20.

    What chance does is found by drawing as many texts from the reference and comparing them with the rest of it.
    Raises ValueError when the reference is not at least twice as many texts as those of now.
    """
    if not now or len(reference) < 2 * len(now):
        raise ValueError(f"{len(reference)} reference texts and {len(now)} of now: give at least twice as many as now")
    rng, chance = random.Random(seed), []
    for _ in range(draws):
        mixed = rng.sample(list(reference), len(reference))
        chance.append(_divergence(mixed[len(now) :], mixed[: len(now)]))
    return Drift(_divergence(reference, now), sorted(chance)[math.ceil(0.95 * draws) - 1])


@dataclass
class Monitor:
    """Counts what an assistant does, and keeps a line for each exchange in a file if `path` is given.

    Misbehaviour that can be seen without judging: `empty` replies, `cut_off` ones, a `repeated_sentence` within a
    reply, `same_as_before` (the last reply once more). refused: messages too long to be read.
    """

    path: Path | None = None
    recent: int = 200
    counts: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    _last: str | None = None

    def note(
        self, message: str, reply: str, *, finished: bool = True, tokens: int = 0, seconds: float = 0.0
    ) -> list[str]:
        """One exchange; returns what was wrong with it."""
        sentences = [part.strip() for part in reply.split(" .") if part.strip()]
        wrong = [
            name
            for name, seen in (
                ("empty", not reply.strip()),
                ("cut_off", not finished),
                ("repeated_sentence", len(set(sentences)) < len(sentences)),
                ("same_as_before", bool(reply.strip()) and reply == self._last),
            )
            if seen
        ]
        self.counts.update(["exchanges", *wrong])
        self.counts["tokens"] += tokens
        self._remember(message)
        self._last = reply
        self._log(dict(message=message, reply=reply, wrong=wrong, tokens=tokens, seconds=round(seconds, 3)))
        return wrong

    def note_refused(self, message: str) -> None:
        """A message that could not be read."""
        self.counts.update(["refused"])
        self._remember(message)
        self._log(dict(message=message, refused=True))

    def rates(self) -> dict[str, float]:
        """Each kind of misbehaviour as a share of the exchanges."""
        n = max(1, self.counts["exchanges"])
        return {name: self.counts[name] / n for name in ("empty", "cut_off", "repeated_sentence", "same_as_before")}

    def _remember(self, message: str) -> None:
        self.messages = [*self.messages, message][-self.recent :]

    def _log(self, line: dict) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _divergence(a: Sequence[str], b: Sequence[str]) -> float:
    p, q = (Counter(word for text in texts for word in words(text)) for texts in (a, b))
    n, m, bits = p.total(), q.total(), 0.0
    if not n or not m:
        return 0.0 if n == m else 1.0
    for word in {*p, *q}:
        x, y = p[word] / n, q[word] / m
        middle = (x + y) / 2
        bits += sum(0.5 * z * math.log2(z / middle) for z in (x, y) if z)
    return bits
