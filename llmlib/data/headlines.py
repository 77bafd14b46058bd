"""News headlines, earnest or in jest: a task to fine-tune on, and text of the same kind without labels. Lecture 10."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from .fetching import fetch

SPLITS = {"unlabelled": 0.65, "train": 0.21, "choose": 0.07, "report": 0.07}
SAME = 0.6  # Jaccard similarity of two headlines' words from which they count as one story
Example = TypeVar("Example")


@dataclass(frozen=True)
class Headline:
    """A headline in lower case; label 1 if it is meant as a joke, 0 if not; group names those that are alike."""

    text: str
    label: int
    group: int


def headlines(split: str = "train") -> list[Headline]:
    """The headlines of one split, shuffled once and for all: the first n are a fair sample of it.

    split: "unlabelled" (some 18,600, to pre-train on: do not look at their labels), "train" (6,000), "choose" and
    "report" (2,000 each), of 28,614 in all (asset "sarcasm": Misra and Arora, 2019; CC BY 4.0). 48 % are jokes.
    Headlines that share most of their words, and so all that come twice, are in one split.

    The label is who printed the headline: The Onion for 1, HuffPost for 0. Nobody judged single headlines, and what
    tells the two houses apart helps: "area man", or a number at the beginning of a list.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose one of {', '.join(SPLITS)}")
    return list(_splits()[split])


def draw_per_class(
    examples: Iterable[Example],
    k: int,
    *,
    seed: int = 0,
    classes: Sequence[Hashable] | None = None,
    label: Callable[[Example], Any] = lambda example: example.label,
) -> list[Example]:
    """k examples of each class, shuffled. With one seed the draw of a smaller k is part of that of a larger.

    classes: which there must be, by default those that occur. ValueError if one has fewer than k examples: a class
    without any cannot be learnt, and a smaller one makes the model bet on the other.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1: that many examples are drawn from each class")
    found: dict[Any, list[Example]] = {}
    for example in examples:
        found.setdefault(label(example), []).append(example)
    if not found and classes is None:
        raise ValueError("examples is empty: give the examples to draw from, or name the classes")
    wanted = sorted(found) if classes is None else list(classes)
    if unknown := [name for name in found if name not in wanted]:
        raise ValueError(f"examples has the class {unknown[0]!r}, classes only {wanted}: add it, or leave them out")
    drawn = []
    for number, name in enumerate(wanted):
        have = found.get(name, [])
        if len(have) < k:
            has = f"only {len(have)}" if have else "no example"
            raise ValueError(f"class {name!r} has {has}, k={k} are asked for: draw fewer, or from more examples")
        order = np.random.default_rng([seed, number]).permutation(len(have))
        drawn += [have[i] for i in order[:k]]
    return [drawn[i] for i in np.random.default_rng(seed).permutation(len(drawn))]


@lru_cache(maxsize=1)
def _splits() -> dict[str, list[Headline]]:
    rows = [json.loads(line) for line in fetch("sarcasm").read_text(encoding="utf-8").splitlines()]
    texts = [" ".join(row["input"][-1]["content"].replace("\u200b", "").split()) for row in rows]
    groups = same_words(texts, SAME)
    everything = [Headline(text, int(row["ideal"]), group) for text, row, group in zip(texts, rows, groups)]
    rng = np.random.default_rng(0)
    sizes = Counter(groups)
    ends = np.cumsum(list(SPLITS.values())) * len(texts)
    side, taken = {}, 0
    for group in rng.permutation(sorted(sizes)).tolist():
        side[group] = list(SPLITS)[min(int(np.searchsorted(ends, taken, side="right")), len(SPLITS) - 1)]
        taken += sizes[group]
    parts: dict[str, list[Headline]] = {name: [] for name in SPLITS}
    for i in rng.permutation(len(everything)).tolist():
        parts[side[groups[i]]].append(everything[i])
    return parts


def same_words(texts: Sequence[str], threshold: float) -> list[int]:
    """For each text the index of the first that is like it: those with a Jaccard similarity of words >= threshold.

    Closed: a goes with c if both are like b. Exact, and fast for short texts: two sets of n and m words that are as
    alike must share one of the n - ceil(threshold * n) + 1 rarest words of each (Chaudhuri et al., 2006).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must lie in (0, 1]: the Jaccard similarity that counts as the same")
    sets = [frozenset(re.findall(r"\w+", text.lower())) or frozenset([text]) for text in texts]
    counts = Counter(word for words in sets for word in words)
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    holders: dict[str, list[int]] = {}
    for i, words in enumerate(sets):
        fewest = math.ceil(threshold * len(words) - 1e-9)  # words that the other must have too
        rarest = sorted(words, key=lambda word: (counts[word], word))[: len(words) - fewest + 1]
        for j in {j for word in rarest for j in holders.get(word, [])}:
            shared = len(words & sets[j])
            if shared >= threshold * (len(words) + len(sets[j]) - shared) - 1e-9:
                a, b = sorted((root(i), root(j)))
                parent[b] = a
        for word in rarest:
            holders.setdefault(word, []).append(i)
    return [root(i) for i in range(len(texts))]
