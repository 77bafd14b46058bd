"""The question sets of the course, in three forms, with ids that stay and splits that are fixed (lectures 17 and 18).

These are small samples, most of them one file of a validation or test split, so a score here is not comparable with
a published one. What was left out and why stands at each loader.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .fetching import fetch

SPLITS = {"shots": 0.1, "choose": 0.2, "report": 0.7}
OPTION = re.compile(r"(?:^|\n)([A-E])\. ")


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question with options, one of them right. answer: its place, from 0. context: what to read first, or "".

    A question of "" asks how the context goes on (HellaSwag).
    """

    id: str
    question: str
    options: tuple[str, ...]
    answer: int
    context: str = ""


@dataclass(frozen=True)
class OpenQuestion:
    """A question answered in words or a number; each of `answers` is right. worked: a worked answer, or ""."""

    id: str
    question: str
    answers: tuple[str, ...]
    worked: str = ""


@dataclass(frozen=True)
class CodeProblem:
    """A function to write: the prompt ends after its docstring. test: code that defines check(candidate)."""

    id: str
    prompt: str
    entry_point: str
    solution: str
    test: str


Item = TypeVar("Item", ChoiceQuestion, OpenQuestion, CodeProblem)


def choice_sets() -> list[str]:
    """The names that `choice_questions` knows."""
    return list(CHOICE)


def open_sets() -> list[str]:
    """The names that `open_questions` knows."""
    return list(OPEN)


def choice_questions(name: str, split: str | None = None) -> list[ChoiceQuestion]:
    """A multiple-choice set, whole or one split, in the file's order. Fetches the asset `name`.

    "boolq" (12,697 with a label; Clark et al., 2019), "openbookqa" (500; Mihaylov et al., 2018), "commonsenseqa"
    (1,191; Talmor et al., 2019), "piqa" (1,500; Bisk et al., 2020), "siqa" (1,925; Sap et al., 2019), "mmlu" (2,840,
    subjects not labelled, so that per-subject scores are out of reach; Hendrycks et al., 2021), "hellaswag" (100;
    Zellers et al., 2019), "truthfulqa-mc1" (100; Lin et al., 2022).

    Left out: repeated rows, questions in which two options are the same (a model cannot tell which is meant), six rows
    of CommonsenseQA in which the cut between question and options is wrong. TruthfulQA's file has the true answer
    first everywhere; here each question's options stand in an order drawn from the hash of its text. split: see
    `split_of`.
    """
    return _loaded(name, CHOICE, split)


def open_questions(name: str, split: str | None = None) -> list[OpenQuestion]:
    """A set of questions answered in words, whole or one split, in the file's order. Fetches the asset `name`.

    "nq-open" (3,569 questions people typed into a search engine, with short answers; Kwiatkowski et al., 2019; the
    stand-in for TriviaQA, which is not at hand), "truthfulqa" (817, true answers only; Lin et al., 2022), "gsm8k" (100
    word problems of the test split, the answer a number; Cobbe et al., 2021).
    """
    return _loaded(name, OPEN, split)


def code_problems() -> list[CodeProblem]:
    """HumanEval's 164 problems (Chen et al., 2021). Run what a model writes only in `llmlib.sandbox`."""
    rows = map(json.loads, gzip.decompress(fetch("human-eval").read_bytes()).decode("utf-8").strip().split("\n"))
    return [
        CodeProblem(row["task_id"], row["prompt"], row["entry_point"], row["canonical_solution"], row["test"])
        for row in rows
    ]


def split_of(item: ChoiceQuestion | OpenQuestion) -> str:
    """The side of a question: "shots" (a tenth, examples for prompts), "choose" (a fifth, to try on) or "report".

    The side depends on the context, or on the question where there is none, and on nothing else: two questions about
    one passage are never on two sides, and a question added later moves no other.
    """
    text = getattr(item, "context", "") or item.question
    place = int.from_bytes(_hash(f"question sets\0{text}"), "little") / 2**64
    for name, share in SPLITS.items():
        if place < share:
            return name
        place -= share
    return name  # the last, should the shares add up to a little less than 1


def digest(items: Sequence[ChoiceQuestion | OpenQuestion | CodeProblem]) -> str:
    """Sixteen hex digits that change when any of these questions does: note them beside a result."""
    content = "\n".join(json.dumps(vars(item), ensure_ascii=False, sort_keys=True) for item in items)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _loaded(name: str, loaders: dict[str, Callable[[str], Iterator[Item]]], split: str | None) -> list[Item]:
    if name not in loaders:
        raise ValueError(f"name is {name!r}: choose one of {', '.join(loaders)}")
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose one of {', '.join(SPLITS)}, or None for the whole set")
    items: dict[str, Item] = {}
    for item in loaders[name](name):
        items.setdefault(item.id, item)
    return [item for item in items.values() if split is None or split_of(item) == split]


def _lettered(name: str) -> Iterator[ChoiceQuestion]:
    """Options of the form "A. this\\nB. that", the answer "B. that"."""
    for row in _rows(name):
        head, *parts = OPTION.split(row["options"])
        options = tuple(part.strip() for part in parts[1::2])
        letter, _, right = row["answer"].partition(". ")
        place = "ABCDE".find(letter)
        whole = not head.strip() and "".join(parts[::2]) == "ABCDE"[: len(options)]
        if whole and options[place] == right.strip() and len(set(options)) == len(options):
            context, question = row.get("passage", "").strip(), row["question"].strip()
            yield ChoiceQuestion(_item_id(name, context, question, *options), question, options, place, context)


def _yes_or_no(name: str) -> Iterator[ChoiceQuestion]:
    for row in _rows(name):
        if "label" in row:
            question = row["question"].strip().rstrip("?") + "?"
            item_id = _item_id(name, row["passage"], question)
            yield ChoiceQuestion(item_id, question, ("no", "yes"), int(row["label"]), row["passage"].strip())


def _endings(name: str) -> Iterator[ChoiceQuestion]:
    for row in _rows(name):
        options = tuple(ending.strip() for ending in row["endings"])
        yield ChoiceQuestion(row["id"], "", options, row["expected_index"], row["ctx"].strip())


def _shuffled(name: str) -> Iterator[ChoiceQuestion]:
    for row in _rows(name):
        order = sorted(range(len(row["choices"])), key=lambda i: _hash(f"{row['question']}\0{row['choices'][i]}"))
        options = tuple(row["choices"][i].strip() for i in order)
        yield ChoiceQuestion(row["id"], row["question"].strip(), options, order.index(row["expected_index"]))


def _short_answers(name: str) -> Iterator[OpenQuestion]:
    for row in _rows(name):
        question = row["question"].strip()
        yield OpenQuestion(_item_id(name, question), question, tuple(dict.fromkeys(row["answer"])))


def _word_problems(name: str) -> Iterator[OpenQuestion]:
    for row in _rows(name):
        worked = re.sub(r"<<[^>]*>>", "", row["upstream_answer"])  # the marks of a calculator
        yield OpenQuestion(row["id"], row["prompt"].strip(), (row["expected"],), worked.strip())


def _rows(name: str) -> Iterator[dict[str, Any]]:
    for line in fetch(name).read_text(encoding="utf-8").split("\n"):
        if line.strip():
            yield json.loads(line)


def _item_id(name: str, *texts: str) -> str:
    return f"{name}-{_hash(chr(0).join(texts)).hex()[:10]}"


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


CHOICE: dict[str, Callable[[str], Iterator[ChoiceQuestion]]] = {
    "boolq": _yes_or_no,
    "openbookqa": _lettered,
    "commonsenseqa": _lettered,
    "piqa": _lettered,
    "siqa": _lettered,
    "mmlu": _lettered,
    "hellaswag": _endings,
    "truthfulqa-mc1": _shuffled,
}
OPEN: dict[str, Callable[[str], Iterator[OpenQuestion]]] = {
    "nq-open": _short_answers,
    "truthfulqa": _short_answers,
    "gsm8k": _word_problems,
}
