"""From documents as they come to documents worth training on: filters, duplicates, a split, contamination.

The order matters: near-duplicates go before the split, or a held-out document has its twin among the training ones.
Built in lecture 07.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from .prose import Document

COMMON = frozenset("the be to of and that have with".split())  # Gopher's stop words
WORD = re.compile(r"\w+", re.UNICODE)


def quality_flaws(text: str) -> list[str]:
    """Which simple rules a text breaks; empty for one worth keeping. Built in lecture 07.

    The rules of Gopher (Rae et al., 2021, appendix A.1.1) that fit short documents: 25 words or more (there 50), mean
    word length from 3 to 10 letters, symbols such as # and … for less than a tenth of the words, fewer than 30 % of
    lines ending in an ellipsis and fewer than 90 % beginning with a bullet, 80 % of the words with a letter, two
    different common words; and little repetition: of lines, and of the most common run of three words.
    """
    words, lines = text.split(), [line.strip() for line in text.splitlines() if line.strip()]
    if not words:
        return ["empty"]
    n = len(words)
    triples = Counter(zip(words, words[1:], words[2:]))
    often, times = max(((len(" ".join(t)), c) for t, c in triples.items()), key=lambda x: x[0] * x[1], default=(0, 0))
    repeated = len(lines) - len(set(lines))
    rules = {
        "too short": n < 25,
        "word length": not 3 <= sum(map(len, words)) / n <= 10,
        "symbols": sum(text.count(symbol) for symbol in ("#", "…", "...", "|", "{", "}")) > 0.1 * n,
        "ellipses": sum(line.endswith(("…", "...")) for line in lines) > 0.3 * len(lines),
        "bullets": sum(line.startswith(("-", "*", "•")) for line in lines) > 0.9 * len(lines),
        "letters": sum(any(c.isalpha() for c in word) for word in words) < 0.8 * n,
        "common words": len(COMMON & {word.lower() for word in words}) < 2,
        "repeated lines": len(lines) > 2 and repeated > 0.3 * len(lines),
        "repeated words": times > 2 and often * times > 0.18 * len(text),
    }
    return [name for name, broken in rules.items() if broken]


def shingles(text: str, n: int = 5) -> set[str]:
    """The runs of n words of a text, lower case and without punctuation; the whole text if it has fewer words."""
    words = WORD.findall(text.lower())
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def jaccard(a: set, b: set) -> float:
    """Size of the intersection over the size of the union; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0


def minhash(items: Iterable[str], n_hashes: int = 128, seed: int = 0) -> np.ndarray:
    """A signature (n_hashes,) uint64 of a set of strings (Broder, 1997). Built in lecture 07.

    The share of places in which two signatures agree estimates the sets' Jaccard similarity, without bias and with a
    standard deviation of sqrt(j (1 - j) / n_hashes). Each place holds the least of the items' values under one random
    function (a x + b) mod 2^64 of their hash: two sets share their least item with probability j.
    """
    hashes = np.fromiter(map(_hash, items), np.uint64)
    if not len(hashes):
        raise ValueError("items is empty: a set without an item has no signature")
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 1 << 64, (2, n_hashes, 1), dtype=np.uint64)
    return ((a | np.uint64(1)) * hashes + b).min(axis=1)  # unsigned products wrap around: the remainder is for free


def near_duplicates(
    texts: Sequence[str], threshold: float = 0.7, *, bands: int = 32, rows: int = 4, n: int = 5
) -> list[list[int]]:
    """Groups of two or more texts whose shingles are alike, as lists of indices in order. Built in lecture 07.

    Only texts that agree in all `rows` places of one of `bands` parts of their signatures are compared (locality
    sensitive hashing): a pair of similarity j becomes a candidate with probability 1 - (1 - j^rows)^bands, 0.9998 at
    0.7 and 0.18 at 0.28. A candidate counts if its true Jaccard similarity reaches the threshold. Groups are closed:
    a is with c if both are like b.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must lie in (0, 1]: the Jaccard similarity that counts as the same")
    if bands < 1 or rows < 1:
        raise ValueError(f"bands={bands} and rows={rows} must be at least 1")
    sets = [shingles(text, n) for text in texts]
    signatures = [minhash(each, bands * rows) for each in sets]
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for band in range(bands):
        buckets: dict[bytes, list[int]] = {}
        for i, signature in enumerate(signatures):
            buckets.setdefault(signature[band * rows :][:rows].tobytes(), []).append(i)
        for bucket in buckets.values():
            for first, other in itertools.combinations(bucket, 2):
                if root(first) != root(other) and jaccard(sets[first], sets[other]) >= threshold:
                    parent[root(other)] = root(first)
    groups: dict[int, list[int]] = {}
    for i in range(len(texts)):
        groups.setdefault(root(i), []).append(i)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def flaws_of(documents: Sequence[Document], threshold: float = 0.7, trusted: Collection[str] = ()) -> dict[int, str]:
    """Which documents to leave out, by index, each with the reason: the first broken rule or "duplicate of" another.

    Of near-duplicates the longest stays. They are looked for in all documents together, so that a split by group
    cannot put one here and its twin there. trusted: sources that no rule judges (a tale may repeat its lines).
    """
    out: dict[int, str] = {}
    for i, document in enumerate(documents):
        if document.source not in trusted and (flaws := quality_flaws(document.text)):
            out[i] = flaws[0]
    left = [i for i in range(len(documents)) if i not in out]
    for group in near_duplicates([documents[i].text for i in left], threshold):
        stays = max(group, key=lambda k: len(documents[left[k]].text))
        out |= {left[k]: f"duplicate of {left[stays]}" for k in group if k != stays}
    return dict(sorted(out.items()))


def split_documents(
    documents: Iterable[Document], shares: Mapping[str, float], *, salt: str = "next token"
) -> dict[str, list[Document]]:
    """Share out whole groups of documents by shares such as {"train": 0.9, "choose": 0.05, "report": 0.05}.

    Built in lecture 07. A group's side depends on its name and the salt alone: a document added later moves no other.
    """
    if not shares or any(share <= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"shares={dict(shares)} must be positive and sum to 1")
    parts: dict[str, list[Document]] = {name: [] for name in shares}
    for document in documents:
        place = _hash(f"{salt}\0{document.group}") / 2**64
        ends = itertools.accumulate(shares.values())
        name = next((name for name, end in zip(shares, ends) if place < end), next(reversed(shares)))
        parts[name].append(document)
    return parts


def contamination(test: Sequence[str], train: Iterable[str], n: int = 13) -> list[float]:
    """For each test text the share of its runs of n words that occur in a training text. Built in lecture 07.

    n = 13 is what Brown et al. (2020, appendix C) used. A text with fewer than n words counts as one run.
    """
    runs = [shingles(text, n) for text in test]
    wanted = set().union(*runs) if runs else set()
    found: set[str] = set()
    for text in train:
        found |= shingles(text, n) & wanted
    return [len(each & found) / len(each) for each in runs]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
