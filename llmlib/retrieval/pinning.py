"""Which passages answer which question, found by the words that they hold, as `locate` finds them. Lecture 17."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from llmlib.data import LookupQuestion

from .corpora import Passage


class Pinned(NamedTuple):
    """A question with the indices of the passages that answer it; none for an unanswerable one."""

    question: LookupQuestion
    relevant: frozenset[int]


def pin_questions(
    questions: Sequence[LookupQuestion], passages: Sequence[Passage]
) -> tuple[list[Pinned], list[LookupQuestion]]:
    """The questions that these passages answer, pinned to them, and those left out because they do not.

    Unanswerable questions are kept. Left out: questions about another version of Python than this one, and about
    Wikipedia where `passages` has none of it.
    """
    texts = [" ".join(passage.text.split()) for passage in passages]
    starts = list(itertools.accumulate((len(text) + 1 for text in texts), initial=0))
    everything = "\n".join(texts)  # one long text is searched ten times faster than thousands of short ones
    quotes = {" ".join(quote.split()) for question in questions for quote in question.quotes}
    found = {quote: [bisect.bisect(starts, place) - 1 for place in _places(everything, quote)] for quote in quotes}
    pinned, left_out = [], []
    for question in questions:
        relevant = frozenset(index for quote in question.quotes for index in found[" ".join(quote.split())])
        if relevant or not question.answerable:
            pinned.append(Pinned(question, relevant))
        else:
            left_out.append(question)
    return pinned, left_out


def _places(text: str, quote: str) -> Iterator[int]:
    place = text.find(quote)
    while place >= 0:
        yield place
        place = text.find(quote, place + 1)
