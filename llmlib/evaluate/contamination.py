"""Has the model seen the test? Runs of words shared with training text, exact copies, and canaries. Lecture 18."""

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmlib.data.cleaning import WORD


@dataclass(frozen=True)
class Overlap:
    """What a test text shares with the training text.

    share: of its runs of n words, those that occur there, from 0 to 1. longest: words of the longest stretch made of
    such runs. document: the index of the training text that holds the most of the runs, None if none does. exact: the
    words of the whole test text stand there side by side.
    """

    share: float
    longest: int
    document: int | None
    exact: bool


def find_overlaps(test: Sequence[str], train: Iterable[str], n: int = 13) -> list[Overlap]:
    """One `Overlap` for each test text, in one pass over the training texts, which may be a generator. Lecture 18.

    Words are compared in lower case and without punctuation. n = 13 is what Brown et al. (2020, appendix C) took: short
    runs (5) are everyday phrases and raise false alarms, long ones miss a paraphrase, as every such test does. A test
    text of fewer than n words is one run. The share is that of `llmlib.data.contamination`.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1, the words in a run")
    words = [WORD.findall(text.lower()) for text in test]
    runs = [_runs(each, n) for each in words]
    sizes = sorted({min(n, len(each)) for each in words if each})
    owners: dict[tuple[str, ...], set[int]] = {}
    for i, each in enumerate(runs):
        for run in each:
            owners.setdefault(run, set()).add(i)
    found: list[set[tuple[str, ...]]] = [set() for _ in test]
    best: list[tuple[int, int | None]] = [(0, None)] * len(test)
    exact = [False] * len(test)
    for number, text in enumerate(train):
        there = WORD.findall(text.lower())
        shared: dict[int, set[tuple[str, ...]]] = {}
        for size in sizes:
            for run in _runs(there, size) if len(there) >= size else ():
                for i in owners.get(run, ()):
                    shared.setdefault(i, set()).add(run)
        for i, here in shared.items():
            found[i] |= here
            if len(here) > best[i][0]:
                best[i] = (len(here), number)
            if len(here) == len(set(runs[i])) and not exact[i]:
                exact[i] = f" {' '.join(words[i])} " in f" {' '.join(there)} "
    return [
        Overlap(_share(runs[i], found[i]), _longest(runs[i], found[i]), best[i][1], exact[i]) for i in range(len(test))
    ]


def exact_duplicates(test: Sequence[str], train: Iterable[str]) -> dict[int, int]:
    """Which test texts are training texts word for word, case and punctuation aside: test index -> training index."""
    wanted: dict[bytes, list[int]] = {}
    for i, text in enumerate(test):
        wanted.setdefault(_words_hash(text), []).append(i)
    copies: dict[int, int] = {}
    for number, text in enumerate(train):
        for i in wanted.pop(_words_hash(text), ()):
            copies[i] = number
    return dict(sorted(copies.items()))


def canary(seed: int, form: str = "The access code of this test set is {}.", digits: int = 8) -> str:
    """A sentence with a random number, to be put into a test set: who can complete it has read the set.

    There are 10^digits equally likely ones (Carlini et al., 2019); BIG-bench marks its files in this way.
    """
    return form.format(f"{random.Random(seed).randrange(10**digits):0{digits}d}")


def exposure(rank: int, n_candidates: int) -> float:
    """log2(n_candidates) - log2(rank), in bits: 0 for the last of all candidates, the most for the first.

    rank: of the planted canary among all candidates by their probability under the model, from 1 (Carlini et al.,
    2019). A model that has not seen it gives about 1.4 bits on average.
    """
    if not 1 <= rank <= n_candidates:
        raise ValueError(f"rank={rank} must lie between 1, the most likely, and n_candidates={n_candidates}")
    return math.log2(n_candidates) - math.log2(rank)


def _runs(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The runs of n words in order; all words where there are fewer."""
    if not words:
        return []
    return [tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))]


def _share(runs: Sequence[tuple[str, ...]], found: set[tuple[str, ...]]) -> float:
    different = set(runs)
    return len(different & found) / len(different) if different else 0.0


def _longest(runs: Sequence[tuple[str, ...]], found: set[tuple[str, ...]]) -> int:
    longest = current = 0
    for run in runs:
        current = (current + 1 if current else len(run)) if run in found else 0
        longest = max(longest, current)
    return longest


def _words_hash(text: str) -> bytes:
    return hashlib.blake2b(" ".join(WORD.findall(text.lower())).encode(), digest_size=16).digest()
