"""The prose that the course's base models are pre-trained on: some 14,000 documents, 12.5 million characters."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .corpora import alice, botchan
from .fetching import fetch

PARAGRAPH = 2400  # characters: what a piece of a novel holds, about


@dataclass(frozen=True)
class Document:
    """One text with where it comes from. `group` names the texts that belong together, such as one article's passages:
    a split by document keeps them on one side."""

    source: str
    group: str
    text: str


def prose(*sources: str) -> list[Document]:
    """The documents of the named sources, of all of them when none is named. Lecture 07 looks into them.

    "wikipedia": passages of 6,000 articles as people asked about them (BoolQ, CC BY-SA 3.0); "wikipedia-sections":
    longer ones (QuAC, CC BY-SA 4.0); "wikipedia-articles": 30 whole articles (CC BY-SA); "web": 300 pages of C4
    (ODC-BY); "tales": Grimm and Andersen, "novels": Alice and Botchan in pieces of some 400 words (public domain).
    As they come: `llmlib.data.cleaning` filters, finds duplicates and splits.
    """
    unknown = [name for name in sources if name not in SOURCES]
    if unknown:
        raise ValueError(f"sources holds {unknown[0]!r}: choose from {', '.join(SOURCES)}")
    return [document for name in sources or SOURCES for document in SOURCES[name](name)]


def _passages(source: str) -> Iterator[Document]:
    """BoolQ has a passage once for each question that was asked about it."""
    seen = set()
    for line in fetch("boolq").read_text(encoding="utf-8").splitlines():
        passage = json.loads(line)["passage"]
        if passage not in seen:
            seen.add(passage)
            title, found, text = passage.partition(" -- ")
            yield Document(source, f"wikipedia: {title}" if found else passage[:60], text if found else passage)


def _sections(source: str) -> Iterator[Document]:
    seen = set()
    for line in fetch("quac").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["passage"].removesuffix("CANNOTANSWER").strip()
        if text not in seen:
            seen.add(text)
            yield Document(source, f"section: {text[:60]}", text)


def _articles(source: str) -> Iterator[Document]:
    """The file has lost the ends of its paragraphs: "… movement.Humans lived …"."""
    for line in fetch("wiki-demo").read_text(encoding="utf-8").splitlines():
        if line.strip():
            text = re.sub(r"(?<=[a-z)\]][.!?])(?=[A-Z][a-z])", "\n", line.strip())
            yield Document(source, f"article: {text[:60]}", text)


def _web(source: str) -> Iterator[Document]:
    for number, line in enumerate(fetch("c4-demo").read_text(encoding="utf-8").splitlines()):
        yield Document(source, f"web: {number}", json.loads(line)["text"].strip())


def _tales(source: str) -> Iterator[Document]:
    for name in ("grimm", "andersen"):
        with fetch(name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                text = re.sub(r" {2,}", "\n", (row.get("Content") or "").strip())
                if len(text) > 100:  # the two lines below the header hold types
                    yield Document(source, f"{name}: {row['Title']}", text)


def _novels(source: str) -> Iterator[Document]:
    for name, read in (("alice", alice), ("botchan", botchan)):
        for number, text in enumerate(_pieces(read())):
            yield Document(source, f"{name}: {number}", text)


def _pieces(text: str) -> Iterator[str]:
    """Whole paragraphs, joined until there are some 400 words; lines inside a paragraph are joined."""
    piece: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        piece.append(" ".join(paragraph.split()))
        if sum(map(len, piece)) > PARAGRAPH:
            yield "\n".join(filter(None, piece))
            piece = []
    if any(piece):
        yield "\n".join(filter(None, piece))


SOURCES: dict[str, Callable[[str], Iterator[Document]]] = {
    "wikipedia": _passages,
    "wikipedia-sections": _sections,
    "wikipedia-articles": _articles,
    "web": _web,
    "tales": _tales,
    "novels": _novels,
}
