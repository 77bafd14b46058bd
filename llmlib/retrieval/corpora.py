"""Two libraries to look things up in: Python's own documentation and passages of Wikipedia. Lecture 17."""

import hashlib
import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from llmlib.data import prose

from .chunking import chunk_text, split_sections


@dataclass(frozen=True)
class Passage:
    """A piece of text that can be found, read and cited.

    id: says where it is from and stays as long as the source does. digest: eight hex digits of the text, which tell
    whether it is still the same one.
    """

    id: str
    title: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()[:8]

    def __str__(self) -> str:
        """Title and text, which is what searchers index."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def python_docs(size: int = 120, overlap: int = 20) -> list[Passage]:
    """The language reference and parts of the library reference that `help()` shows, in pieces of `size` words.

    They come with every Python (pydoc_data.topics; PSF licence), so nothing is downloaded: 579 pieces of 120 words in
    3.11. They differ from version to version: pin a question to the words that answer it with `locate`, and leave out
    what this version does not say. Ids are "python/topic/n", titles the headings above, joined by " > ".
    Topics contain one another; a section is kept where it is met first, in alphabetical order of topic.
    """
    topics = importlib.import_module("pydoc_data.topics").topics
    passages, seen = [], set()
    for topic in sorted(topics):
        number = 0
        for section in split_sections(topics[topic]):
            words = " ".join(section.text.split())
            if words in seen:
                continue
            seen.add(words)
            for piece in chunk_text(section.text, size, overlap):
                passages.append(Passage(f"python/{topic}/{number}", " > ".join(section.path) or topic, piece))
                number += 1
    return passages


def python_version() -> str:
    """Which documentation `python_docs` reads, "3.11": note it beside a result."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def wikipedia_passages(limit: int | None = None) -> list[Passage]:
    """The first `limit` of 12,271 passages of Wikipedia that people asked about (BoolQ; CC BY-SA 3.0: attribute them).

    Some 100 words each, so they need no cutting. Ids are "wikipedia/n", n the passage's place in the file.
    """
    documents = prose("wikipedia")
    if limit is not None and not 1 <= limit <= len(documents):
        raise ValueError(f"limit={limit} must lie between 1 and the {len(documents)} passages, or be None for all")
    return [
        Passage(f"wikipedia/{i}", document.group.removeprefix("wikipedia: "), document.text)
        for i, document in enumerate(documents[:limit])
    ]


def locate(passages: Sequence[Passage], quote: str) -> list[int]:
    """Which passages hold these words, line breaks and runs of spaces aside: their indices, in order."""
    words = re.escape(" ".join(quote.split())).replace(r"\ ", r"\s+")
    if not words:
        raise ValueError("quote is empty: give the words that a passage must hold")
    pattern = re.compile(words)
    return [i for i, passage in enumerate(passages) if pattern.search(passage.text)]
