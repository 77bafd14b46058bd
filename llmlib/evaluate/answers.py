"""Is this answer one of the right ones? Exact match, containment, and the overlap of words. Lectures 17 and 18."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’«»…–—")

Score = Callable[[str | None, Sequence[str]], float]
"""score(answer, right answers) -> from 0 to 1; None is an answer that could not be read and scores 0."""


def plain_answer(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces: the form in which SQuAD compares answers.

    Rajpurkar et al. (2016). "The U.S.A." -> "usa".
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answer: str | None, answers: Sequence[str]) -> float:
    """1.0 if the answer is one of the right ones in the form of `plain_answer`, else 0.0."""
    _check(answers)
    return float(answer is not None and plain_answer(answer) in {plain_answer(each) for each in answers})


def contains_match(answer: str | None, answers: Sequence[str]) -> float:
    """1.0 if the words of a right answer stand in the answer side by side, else 0.0.

    Whole words: "9" is not in "1912". It is kind to a model that talks: an answer that lists everything contains
    everything, so show token F1 or the length beside it.
    """
    _check(answers)
    words = f" {plain_answer(answer or '')} "
    return float(any(f" {plain} " in words for each in answers if (plain := plain_answer(each))))


def token_f1(answer: str | None, answers: Sequence[str]) -> float:
    """The harmonic mean of precision and recall over words, repeated words counted, at its best right answer.

    Rajpurkar et al. (2016). Each surplus word costs, so a long answer that contains the right one scores little.
    """
    _check(answers)
    return max(_f1(plain_answer(answer or "").split(), plain_answer(each).split()) for each in answers)


def _f1(given: list[str], right: list[str]) -> float:
    if not given or not right:
        return float(given == right)
    shared = (Counter(given) & Counter(right)).total()
    return 2 * shared / (len(given) + len(right))


def _check(answers: Sequence[str]) -> None:
    if isinstance(answers, str) or not answers:
        raise ValueError(f"answers is {answers!r}: give a list of right answers, at least one")
