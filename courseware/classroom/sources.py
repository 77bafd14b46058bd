"""The four source lectures, by name. A page cites them by their short names; letters are for plans."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A source lecture as it names itself. `short` is how a page cites it."""

    key: str
    short: str
    title: str
    course: str
    lecturer: str
    when: str

    @property
    def citation(self) -> str:
        known = ", ".join(filter(None, (self.course, self.lecturer, self.when)))
        return f"*{self.title}*" + (f" ({known})" if known else "")


SOURCES = {
    source.key: source
    for source in (
        Source("day24", "Day 24", "Deep Learning, Day 24: LLMs", "CSCI 1470", "Eric Ewing", "March 2025"),
        Source(
            "analytics",
            "Business Analytics",
            "Applied Machine Learning for Business Analytics, Lecture 5: Training & Scaling LLMs",
            "",
            "",
            "",
        ),
        Source(
            "11785",
            "11-785",
            "Introduction to Deep Learning, Lecture 20: Large Language Models",
            "11-785",
            "Roshan Sharma",
            "spring 2024",
        ),
        Source(
            "hlt",
            "HLT",
            "Scaling Large Language Models",
            "Introduction to HLT",
            "Daniel Khashabi",
            "December 2023",
        ),
    )
}


def source(key: str) -> Source:
    """The source lecture of that key. Raises ValueError with the keys that there are."""
    if key not in SOURCES:
        raise ValueError(f"source={key!r}: choose from {', '.join(SOURCES)}")
    return SOURCES[key]


def short_names(keys: str | Sequence[str]) -> str:
    """The short names of one or several sources, as a page cites them."""
    return ", ".join(source(key).short for key in ([keys] if isinstance(keys, str) else keys))


def sources_box(keys: Sequence[str]) -> str:
    """The box, in Markdown, that says once in a lecture which source lectures it examines and how they are cited."""
    if not keys:
        raise ValueError("keys is empty: name at least one source lecture")
    lines = [f"> - **{source(key).short}**: {source(key).citation}" for key in keys]
    lead = "> **The source lectures of this page**, and what they are called here ([more](../docs/sources.md)):"
    return "\n".join([lead, ">", *lines])
