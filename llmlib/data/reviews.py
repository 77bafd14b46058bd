"""Short texts that people have rated from -4 to 4, with every single rating: what a reward model can learn from."""

import ast
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .archives import read_member
from .fetching import fetch

FILES = {
    "film": "movieReviewSnippets",
    "product": "amazonReviewSnippets",
    "tweets": "tweets",
    "editorials": "nytEditorialSnippets",
}
SITTING = 30  # film snippets that one person rated in a row


@dataclass(frozen=True)
class RatedText:
    """A text with what people thought of it, from -4 (extremely negative) to 4 (extremely positive).

    mean: of the ratings. ratings: of the single raters, None where the file's two halves contradict each other.
    group: names the texts that belong together, so that a split keeps them on one side.
    """

    text: str
    mean: float
    ratings: tuple[int, ...] | None
    group: str


def rated_texts(kind: str = "film") -> list[RatedText]:
    """The texts of one kind, in the order of the file: asset "vader-ratings" (Hutto and Gilbert, 2014; MIT licence).

    "film": 10,605 snippets of reviews (15 to 29 ratings each); "product": 3,708 sentences of customers' reviews;
    "tweets": 4,200; "editorials": 5,190 sentences of newspaper opinion (all these 20 ratings, 1,000 of the tweets more
    than 90). Read the authors' paper before you use them elsewhere, and cite it. Lecture 12 trains on the first.

    What is odd. All but the last snippets of "film" come in sittings of 30 that the same people rated, in the same
    order: ratings[k] of two snippets of one group are one person's. That is not documented; the ratings show it, and
    the other kinds show nothing of the sort. In about 1 of 75 such sittings the person has turned the scale round. The
    favourable snippets come first, so that a person saw hardly any of the other sort. The description speaks of at
    least 20 ratings and of 2,000 reviews (Pang and Lee, 2004); the number and look of the snippets are those of the
    Rotten Tomatoes snippets behind Socher et al. (2013), and no id says which review or film one is from. Two of them
    come twice, rated anew. In "tweets" the two files disagree about 199 texts, most of them sentences that the authors
    made up in five spellings: there the mean is kept and the ratings are None. Entities such as &amp; are decoded here.
    """
    if kind not in FILES:
        raise ValueError(f"kind is {kind!r}: choose one of {', '.join(FILES)}")
    raters = {row[0]: row for row in _rows(f"{FILES[kind]}_anonDataRatings.txt")}
    texts = []
    for number, (name, mean, text) in enumerate(_rows(f"{FILES[kind]}_GroundTruth.txt")):
        _, other_mean, _, ratings = raters[name]
        agree = abs(float(mean) - float(other_mean)) < 1e-3
        group = f"sitting {number // SITTING}" if kind == "film" else name.partition("_")[0]
        texts.append(
            RatedText(
                text=html.unescape(html.unescape(text)).strip(),  # some are encoded twice
                mean=float(mean),
                ratings=tuple(ast.literal_eval(ratings)) if agree else None,
                group=f"{kind} {group}",
            )
        )
    return texts


def split_ratings(
    texts: Sequence[RatedText], *, choose: float = 0.1, report: float = 0.2, seed: int = 0
) -> dict[str, list[RatedText]]:
    """Three splits, {"train": ..., "choose": ..., "report": ...}, that keep whole groups on one side.

    choose, report: shares of the texts, met up to a group. Texts that differ in case and punctuation alone join their
    groups, so no text has its twin in another split. Each split is shuffled: its first n are a fair sample of it.
    """
    if not (choose > 0 and report > 0 and choose + report < 1):
        raise ValueError(f"choose={choose} and report={report} must be positive and leave a share to train on")
    groups = list(_joined(texts))
    rng = np.random.default_rng(seed)
    rng.shuffle(groups)
    parts: dict[str, list[RatedText]] = {"report": [], "choose": [], "train": []}
    wanted = {"report": report * len(texts), "choose": choose * len(texts), "train": len(texts)}
    for group in groups:
        name = next(name for name, size in wanted.items() if len(parts[name]) + len(group) / 2 <= size)
        parts[name] += group
    if empty := [name for name, part in parts.items() if not part]:
        raise ValueError(f"texts has {len(groups)} groups, too few for a {empty[0]} split of that share: give more")
    for part in parts.values():
        rng.shuffle(part)
    return {name: parts[name] for name in ("train", "choose", "report")}


def _rows(member: str) -> Iterator[list[str]]:
    """The lines of a file as columns. Some begin with a byte order mark; a text holds no tab."""
    text = read_member(fetch("vader-ratings"), member).decode("utf-8-sig")
    return (line.split("\t") for line in text.split("\r\n") if line)


def _joined(texts: Iterable[RatedText]) -> Iterable[list[RatedText]]:
    """The groups, those that share a text taken together, in the order of their first texts."""
    group_of: dict[str, str] = {}  # a group -> the one it has joined
    first: dict[str, str] = {}  # words of a text -> the group that it was first seen in

    def root(group: str) -> str:
        while group_of[group] != group:
            group = group_of[group]
        return group

    texts = list(texts)
    for each in texts:
        group = root(group_of.setdefault(each.group, each.group))
        words = " ".join(re.findall(r"\w+", each.text.lower())) or each.text
        group_of[group] = root(first.setdefault(words, group))
    members: dict[str, list[RatedText]] = {}
    for each in texts:
        members.setdefault(root(each.group), []).append(each)
    return members.values()
