"""Questions that one passage of Python's documentation or of Wikipedia answers, and some that none does. Lecture 17.

Written and checked by hand for this course, so that retrieval, answers and refusals can be scored on the same set.
How they were chosen, since that decides what a score means:

- Wikipedia: every tenth of the first 1,400 passages of `llmlib.retrieval.wikipedia_passages` was read, and of these 140
  all got one question that state a fact with a short answer, on a topic fit for a class (122). Python: all pieces of
  `llmlib.retrieval.python_docs` (3.11) were read, and 73 facts with a short answer in words taken, one or two a topic.
- All were written before any model or searcher saw one, and none was dropped or changed for what a model answered. (The
  first about Wikipedia had been put to SmolLM2 once, to see how long it takes: it is for development.)
- Each fact is asked twice: plainly, in the passage's own words, and paraphrased, with as few of them as its author
  could manage. The plain wordings favour word search, the paraphrased ones disfavour it by intent: real questions lie
  between. Share of a question's words (common ones aside) that stand in its passage: 0.90 and 0.14 on average.
- Unanswerable: half ask for what the standard library says elsewhere, a quarter name the subject of a passage that
  does not tell, a quarter ask about something else. For each, words that any answering passage would hold were
  searched for in all 12,850 passages and not found, and the best hits of two searchers, five in all, were read.
- Every fifth of a list, from the third on, is for development (choosing a prompt, a threshold), the others for testing.

A passage is pinned by words that it holds, not by its number: Python's documentation differs from version to version.
`llmlib.retrieval.pin_questions` finds the passages and leaves out what a version does not say. Other passages than the
pinned ones may answer a question too, so that recall measured here is a lower bound. Licence: CC BY-SA 4.0, see the
file; credit goes to the authors of Wikipedia and of BoolQ (Clark et al., 2019), and of Python's documentation.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .question_sets import ChoiceQuestion, OpenQuestion

FILE = Path(__file__).with_name("lookup_questions.json")
KINDS = ("plain", "paraphrased", "unanswerable")
SIDES = ("development", "test")


@dataclass(frozen=True)
class LookupQuestion:
    """A question and where its answer stands.

    fact: the same for both wordings of a question. kind: "plain", "paraphrased" or "unanswerable". split: "development"
    or "test". corpus: "python", "wikipedia", or "" if unanswerable. answers: each is right, the best-written first.
    wrong: three wrong options for multiple choice. quotes: words, one or more of which each answering passage holds.
    absent: for unanswerable ones, words that no passage holds.
    """

    id: str
    fact: str
    kind: str
    split: str
    corpus: str
    question: str
    answers: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        return self.kind != "unanswerable"

    def as_open(self) -> OpenQuestion:
        """For `llmlib.evaluate.generate_answers`. ValueError if it is unanswerable."""
        self._check()
        return OpenQuestion(self.id, self.question, self.answers)

    def as_choice(self, context: str = "") -> ChoiceQuestion:
        """With four options in an order drawn from the hash of the fact. context: what to read first."""
        self._check()
        options = sorted((self.answers[0], *self.wrong), key=lambda option: _hash(f"{self.fact}\0{option}"))
        return ChoiceQuestion(self.id, self.question, tuple(options), options.index(self.answers[0]), context)

    def _check(self) -> None:
        if not self.answerable:
            raise ValueError(f"{self.id} is unanswerable and has no answers: leave it out")


def lookup_questions(
    split: str | None = None, kind: str | None = None, corpus: str | None = None
) -> list[LookupQuestion]:
    """The questions of this module, 2 x 195 answerable and 40 unanswerable, or those of one split, kind, corpus."""
    for name, value, known in (
        ("split", split, SIDES), ("kind", kind, KINDS), ("corpus", corpus, ("python", "wikipedia")),
    ):  # fmt: skip
        if value is not None and value not in known:
            raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}, or None for all")
    return [
        each
        for each in _read()
        if split in (None, each.split) and kind in (None, each.kind) and corpus in (None, each.corpus)
    ]


def one_wording(questions: Sequence[LookupQuestion]) -> list[LookupQuestion]:
    """Each fact once, the first plain, the second paraphrased and so on; unanswerable questions stay.

    For what must not count a fact twice, or is too dear for both wordings.
    """
    facts = list(dict.fromkeys(each.fact for each in questions if each.answerable))
    wanted = {fact: ("plain", "paraphrased")[i % 2] for i, fact in enumerate(facts)}
    return [each for each in questions if not each.answerable or wanted[each.fact] == each.kind]


@lru_cache(maxsize=1)
def _read() -> tuple[LookupQuestion, ...]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    questions = []
    for each in content["facts"]:
        fact, split, corpus = each["id"], each["split"], each["corpus"]
        rest = [tuple(each[name]) for name in ("answers", "wrong", "quotes")]
        for kind in KINDS[:2]:
            questions.append(LookupQuestion(f"{fact}-{kind}", fact, kind, split, corpus, each[kind], *rest))
    for each in content["unanswerable"]:
        name, absent = each["id"], tuple(each["absent"])
        questions.append(LookupQuestion(name, name, KINDS[2], each["split"], "", each["question"], absent=absent))
    return tuple(questions)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
