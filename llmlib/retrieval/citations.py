"""Is what an answer cites there, and does it say so? Citations checked against the text they point to. Lecture 17."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .bm25 import words

CITATION = re.compile(r"`[^`\n]*`|([ \t]{0,3})\[(\d+(?:\s*[,;]\s*\d+)*)\]")
SENTENCE = re.compile(r"(?<=[.!?])(?:\s*\[[\d,; ]+\])*(?=\s|$)|\n+(?!\s*\[[\d,; ]+\]\s*(?:\n|$))")
COMMON = frozenset(
    "a an and are as at be been by can do does for from had has have he her his how if in into is it its no not of on "
    "or she so some than that the their them then there these they this to was we were what when where which who will "
    "with would you your also may must only s t".split()
)


@dataclass(frozen=True)
class CheckedAnswer:
    """An answer without the citations that do not hold.

    cited: the sources that remain cited, from 1, in order of appearance. invented: citations of sources that were not
    given. unsupported: citations of a source that does not say it. Both are counted with repetitions, and are gone
    from the text. uncited: sentences that are left without a citation.
    """

    text: str
    cited: tuple[int, ...]
    invented: int
    unsupported: int
    uncited: int


def support(claim: str, source: str) -> float:
    """The share of the claim's words that stand in the source, common words aside; 0 if a number of it does not.

    A cheap stand-in for entailment: it catches a claim from elsewhere and a changed number, and misses a "not". 0 for
    a claim of common words alone: there is nothing to find in the source.
    """
    plain = CITATION.sub(lambda match: match[0] if match[2] is None else " ", claim)
    wanted = [word for word in words(plain) if word not in COMMON]
    there = set(words(source))
    if not wanted or any(word.isdigit() and word not in there for word in wanted):
        return 0.0
    return sum(word in there for word in wanted) / len(wanted)


def check_citations(answer: str, sources: Sequence[str], *, threshold: float = 0.5) -> CheckedAnswer:
    """Look every "[2]" or "[1, 3]" of an answer up in the numbered sources, and remove those that do not hold.

    A citation holds if the source exists and the `support` of its sentence in it reaches the threshold. sources: the
    texts that were shown, source 1 first. 0 <= threshold <= 1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} must lie between 0 and 1: the share of a claim's words in its source")
    cited: dict[int, None] = {}
    invented = unsupported = uncited = 0
    kept = []
    for sentence in _sentences(answer):
        good: list[int] = []

        def judge(match: re.Match, sentence: str = sentence, good: list[int] = good) -> str:
            nonlocal invented, unsupported
            if match[2] is None:  # code in backticks, where [0] is an index
                return match[0]
            here = []
            for number in map(int, re.findall(r"\d+", match[2])):
                if not 1 <= number <= len(sources):
                    invented += 1
                elif support(sentence, sources[number - 1]) < threshold:
                    unsupported += 1
                else:
                    here.append(number)
            good.extend(here)
            return f"{match[1]}[{', '.join(map(str, here))}]" if here else ""

        kept.append(CITATION.sub(judge, sentence))
        cited.update(dict.fromkeys(good))
        uncited += not good and bool(words(kept[-1]))
    return CheckedAnswer("".join(kept).strip(), tuple(cited), invented, unsupported, uncited)


def add_citations(answer: str, sources: Sequence[str], *, threshold: float = 0.5) -> tuple[str, int]:
    """Cite the source that best supports each sentence without a citation: -> the answer, how many were added.

    For models too small to cite by themselves. A sentence that no source supports to the threshold stays bare, which is
    worth counting: see `CheckedAnswer.uncited`.
    """
    added, cited = 0, []
    for sentence in _sentences(answer):
        has = any(match[2] is not None for match in CITATION.finditer(sentence))
        supports = [0.0 if has else support(sentence, source) for source in sources]
        if supports and max(supports) >= max(threshold, 1e-9):
            body = sentence.rstrip()
            end = body[-1] if body[-1] in ".!?" else ""
            mark = f" [{supports.index(max(supports)) + 1}]"
            sentence = body[: len(body) - len(end)] + mark + end + sentence[len(body) :]
            added += 1
        cited.append(sentence)
    return "".join(cited), added


def _sentences(text: str) -> list[str]:
    """The sentences with all that stands between them: joined they are the text."""
    cuts = [0, *(match.end() for match in SENTENCE.finditer(text)), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(cuts) if a < b]
