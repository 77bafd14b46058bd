"""English words and how they are said: a small task of reading one text and writing another. Lecture 05.

Of the CMU Pronouncing Dictionary (asset "cmudict", BSD-2). Stress is left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .fetching import fetch
from .verifiable import held_out_key

SPLITS = ("train", "choose", "report")
FAMILY = 5  # letters


@dataclass(frozen=True)
class Pronunciation:
    """A word in lower-case letters, and every way in which the dictionary says it, each a tuple of phonemes."""

    word: str
    spoken: tuple[tuple[str, ...], ...]


def pronunciations(split: str = "train") -> list[Pronunciation]:
    """The words of 2 to 14 plain letters, 117,000 in all, in the dictionary's order.

    split: "train" (nine tenths), "choose" and "report" (a twentieth each, some 6,000 words). Words that begin with the
    same five letters are on one side, so that no test word is another form of a word in training; words with the same
    ending, such as -ation, are on all sides. A fifth of all are surnames, whose sounds letters tell less well.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose one of {', '.join(SPLITS)}")
    return [word for word in _all_words() if _side(word.word) == split]


@lru_cache(maxsize=1)
def _all_words() -> tuple[Pronunciation, ...]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in fetch("cmudict").read_text(encoding="utf-8").split("\n"):
        entry = re.match(r"([a-z]{2,14})(?:\(\d+\))? ([A-Z0-9 ]+)", line)
        if entry:
            spoken = tuple(re.sub(r"\d", "", entry[2]).split())
            ways = found.setdefault(entry[1], [])
            if spoken not in ways:
                ways.append(spoken)
    return tuple(Pronunciation(word, tuple(ways)) for word, ways in found.items())


def _side(word: str) -> str:
    family = word[:FAMILY]
    if not held_out_key(f"pronunciation {family}"):
        return "train"
    return "choose" if held_out_key(f"choose {family}", 0.5) else "report"


def edit_distance(a: Sequence, b: Sequence) -> int:
    """How many insertions, deletions and exchanges turn a into b (Levenshtein, 1966)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def phoneme_errors(word: Pronunciation, said: Sequence[str]) -> tuple[int, int]:
    """Errors of what was said, and how many phonemes are right to say, by the way of saying it that comes closest.

    The phoneme error rate of many words is the sum of the first over the sum of the second.
    """
    return min((edit_distance(said, spoken), len(spoken)) for spoken in word.spoken)
