"""Record what SmolLM2 answers with and without retrieval, for lecture 17. Run it with

    OMP_NUM_THREADS=1 python experiments/rag_answers.py

The test questions of `lookup_questions`, each fact in one wording, over about 2,000 passages: Python's documentation
and the first 1,400 of Wikipedia; once over all 12,850. SmolLM2 with 4-bit weights (`fast_decoder`), greedy, at most 24
new tokens.

Chosen on the development questions alone, before the test questions are asked: one of four prompts with passages (by
token F1 with the right passage) and one of four without (same budget), the searcher (with one passage), the number of
passages from it, the normalisation of multiple choice with and without a passage, and the threshold of the gate (the
cosine of the best passage that separates answerable and unanswerable questions best). The test questions are then asked
once, with one passage by each searcher and with one, three and five by the chosen one, all of which is recorded.

The prompts with two examples use the same two with and without passages; they are about nothing that is asked. A
prompt's beginning that the decoder has read already is not read again: with the examples first, the passages best first
and the question last, one, three and five passages share most of their work. A quarter of an hour of one core beside
the embeddings of `retrieval_quality`, in parts of a minute; with MINUTES=8 in the environment it stops after the part
that passes eight minutes, and goes on when run again.
"""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import retrieval_quality as search
import torch
from torch import Tensor

from llmlib.adapt import FastDecoder, fast_decoder
from llmlib.data import Experiment, LookupQuestion, lookup_questions, one_wording
from llmlib.evaluate import (
    bootstrap_interval,
    chance_level,
    compare,
    contains_match,
    plain_answer,
    split_at_answer,
    token_f1,
)
from llmlib.hub import load_smollm2
from llmlib.infer import wilson_interval
from llmlib.retrieval import (
    REFUSAL,
    Passage,
    Pinned,
    add_citations,
    check_citations,
    numbered_sources,
    pin_questions,
    python_version,
    rag_prompt,
)
from llmlib.text import BPETokenizer, encode_chat

NEW_TOKENS, MAX_WORDS = 24, 120
METHODS, KS = ("bm25", "dense", "hybrid"), (1, 3, 5)
PIECE = 20  # questions of a part
EXAMPLES = (  # passage, question, answer
    (
        "Eiffel Tower: The Eiffel Tower is a wrought-iron lattice tower in Paris. It was built from 1887 to 1889 as "
        "the centrepiece of the World's Fair, and named after the engineer Gustave Eiffel.",
        "After whom is the Eiffel Tower named?",
        "Gustave Eiffel",
    ),
    (
        'Comments: A comment starts with a hash character ("#") that is not part of a string literal, and ends at the '
        "end of the physical line. Comments are ignored by the syntax.",
        "With which character does a comment start?",
        "a hash character",
    ),
)
NORMALISATIONS = ("raw", "token", "byte")
MODULES = [
    *search.MODULES,
    "experiments/retrieval_quality.py",
    "llmlib.adapt.fast_decoding",
    "llmlib.hub.smollm2",
    "llmlib.retrieval.citations",
    "llmlib.retrieval.reading",
]


# --- reading and writing ----------------------------------------------------------------------------------------------


class Reader:
    """The decoder, which keeps what two prompts have in common."""

    def __init__(self) -> None:
        model, self.tokenizer = load_smollm2("cpu", fallback=False)
        self.decoder: FastDecoder = fast_decoder(model, "int4")
        self.ids: list[int] = []
        self.end = self.tokenizer.special_tokens["<|im_end|>"]

    def read(self, ids: Sequence[int]) -> Tensor:
        """Read a prompt -> the logits of what follows."""
        ids = list(ids)
        shared = next((i for i, (a, b) in enumerate(zip(self.ids, ids)) if a != b), min(len(self.ids), len(ids)))
        shared = min(shared, len(ids) - 1)
        self.decoder.truncate(shared)
        self.ids = ids
        return self.decoder.read(ids[shared:])[-1]

    def write(self, ids: Sequence[int]) -> str:
        """The greedy continuation up to the end of the line or of the turn."""
        logits, tokens = self.read(ids), []
        while len(tokens) < NEW_TOKENS:
            token = int(logits.argmax())
            if token == self.end or (tokens and "\n" in self.tokenizer.decode([token])):
                break
            tokens.append(token)
            if len(tokens) < NEW_TOKENS:
                logits = self.decoder.step(token)
                self.ids.append(token)
        return self.tokenizer.decode(tokens).strip()

    def logprobs(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> list[float]:
        """The log-probability of each option after the prompt, in nats."""
        first = torch.log_softmax(self.read(prompt), -1)
        found = []
        for option in options:
            total = float(first[option[0]])
            if len(option) > 1:
                self.decoder.truncate(len(prompt))
                rest = torch.log_softmax(self.decoder.read(option[:-1], last=len(option) - 1), -1)
                total += float(rest.gather(1, torch.tensor(option[1:])[:, None]).sum())
            found.append(total)
        self.decoder.truncate(len(prompt))
        return found


@lru_cache(maxsize=1)
def reader() -> Reader:
    return Reader()


@lru_cache(maxsize=2)
def library(wikipedia: int | None = search.SMALL) -> tuple[list[Passage], dict]:
    encode = search.encoder()
    passages, vectors = search.indexed(encode, wikipedia)
    return passages, search.retrievers(passages, vectors, encode)


@lru_cache(maxsize=2)
def questions(split: str) -> tuple[list[Pinned], int]:
    """The questions of one side, each fact in one wording, and how many this version of Python leaves out."""
    found, left_out = pin_questions(one_wording(lookup_questions(split)), library()[0])
    return found, len(left_out)


def answerable(split: str) -> list[Pinned]:
    return [each for each in questions(split)[0] if each.question.answerable]


def found_by(method: str, question: LookupQuestion, k: int) -> list[int]:
    return [hit.document for hit in library()[1][method].search(question.question, k)]


def first_of_all(method: str, question: LookupQuestion) -> Passage:
    """The best of all passages, not of the first 2,000 alone."""
    passages, searchers = library(None)
    return passages[searchers[method].search(question.question, 1)[0].document]


def gold(pinned: Pinned) -> int:
    """The passage to be shown as the right one: of several, the one that says it earliest."""
    passages = library()[0]
    quotes = [" ".join(quote.split()) for quote in pinned.question.quotes]
    places = {i: " ".join(passages[i].text.split()) for i in pinned.relevant}
    return min(sorted(places), key=lambda i: min(p for quote in quotes if (p := places[i].find(quote)) >= 0))


# --- prompts ----------------------------------------------------------------------------------------------------------


def shown(passages: Sequence[Passage]) -> str:
    """The passages without numbers, best first."""
    return numbered_sources(passages, max_words=MAX_WORDS).replace("[", "").replace("] ", ". ")


def completion(tokenizer: BPETokenizer, question: str, passages: Sequence[Passage]) -> list[int]:
    """Two examples, then the question, as one text that goes on after "Answer:"."""
    parts = [
        "\n".join(filter(None, [f"1. {text}" if passages else "", f"Question: {asked}", f"Answer: {answer}"]))
        for text, asked, answer in EXAMPLES
    ]
    parts.append("\n".join(filter(None, [shown(passages) if passages else "", f"Question: {question}", "Answer:"])))
    return tokenizer.encode("\n\n".join(parts))


def turns(tokenizer: BPETokenizer, question: str, passages: Sequence[Passage]) -> list[int]:
    """The same examples as turns of a chat."""
    messages = []
    for text, asked, answer in EXAMPLES:
        messages.append({"role": "user", "content": f"1. {text}\n\nQuestion: {asked}" if passages else asked})
        messages.append({"role": "assistant", "content": answer})
    content = f"{shown(passages)}\n\nQuestion: {question}" if passages else question
    return encode_chat(tokenizer, [*messages, {"role": "user", "content": content}])


def brief(tokenizer: BPETokenizer, question: str, passages: Sequence[Passage]) -> list[int]:
    """No examples, the wish for a few words."""
    wish = "Answer in a few words."
    content = f"{wish} {question}"
    if passages:
        content = f"{shown(passages)}\n\nUse the text above. {wish}\nQuestion: {question}"
    return encode_chat(tokenizer, [{"role": "user", "content": content}])


def instructed(tokenizer: BPETokenizer, question: str, passages: Sequence[Passage]) -> list[int]:
    """`rag_prompt`, with its instruction to cite and to refuse; the bare question where there is no passage."""
    content = rag_prompt(question, passages, max_words=MAX_WORDS) if passages else question
    return encode_chat(tokenizer, [{"role": "user", "content": content}])


PROMPTS = {each.__name__: each for each in (completion, turns, brief, instructed)}


def ask(prompt: str, question: LookupQuestion, passages: Sequence[int]) -> str:
    r = reader()
    return r.write(PROMPTS[prompt](r.tokenizer, question.question, [library()[0][i] for i in passages]))


# --- choosing, on the development questions ---------------------------------------------------------------------------


def mean_f1(pinned: Sequence[Pinned], answers: Sequence[str]) -> float:
    return round(sum(token_f1(a, p.question.answers) for p, a in zip(pinned, answers, strict=True)) / len(pinned), 3)


def choose_prompts() -> dict:
    dev = answerable("development")
    f1: dict = {"closed": {}, "passages": {}}
    for prompt in PROMPTS:
        f1["closed"][prompt] = mean_f1(dev, [ask(prompt, each.question, []) for each in dev])
        f1["passages"][prompt] = mean_f1(dev, [ask(prompt, each.question, [gold(each)]) for each in dev])
    return {"questions": len(dev), "f1": f1, "chosen": {side: max(of, key=of.get) for side, of in f1.items()}}


def choose_searcher(prompt: str) -> dict[str, float]:
    """Token F1 with the first hit of each searcher."""
    dev = answerable("development")
    answers = [[ask(prompt, each.question, found_by(name, each.question, 1)) for name in METHODS] for each in dev]
    return {name: mean_f1(dev, [row[i] for row in answers]) for i, name in enumerate(METHODS)}


def choose_number(found: dict[str, dict], method: str) -> dict[str, float]:
    """Token F1 with each number of passages of the chosen searcher."""
    dev = answerable("development")
    return {str(k): mean_f1(dev, [found[p.question.id]["replies"][f"{method} {k}"] for p in dev]) for k in KS}


def choose_threshold() -> dict:
    """The cosine with the largest sum of two shares: answerable questions answered, unanswerable ones refused.

    Both wordings of every development fact take part. Between equal thresholds the middle is taken.
    """
    found, _ = pin_questions(lookup_questions("development"), library()[0])
    scores = {each.question.id: library()[1]["dense"].search(each.question.question, 1)[0].score for each in found}
    can = np.array([scores[each.question.id] for each in found if each.question.answerable])
    cannot = np.array([scores[each.question.id] for each in found if not each.question.answerable])
    candidates = np.arange(0.2, 0.8, 0.01)
    balance = [((can >= t).mean() + (cannot < t).mean()) / 2 for t in candidates]
    best = np.flatnonzero(np.isclose(balance, max(balance)))
    threshold = float(candidates[best[len(best) // 2]])
    return {
        "threshold": round(threshold, 2), "answerable": len(can), "unanswerable": len(cannot),
        "answered": round(float((can >= threshold).mean()), 3), "refused": round(float((cannot < threshold).mean()), 3),
    }  # fmt: skip


# --- the test questions -----------------------------------------------------------------------------------------------


def answered(split: str, start: int, prompt: str, bare: str, method: str, ks: Sequence[int]) -> dict[str, dict]:
    """Some questions in every condition, one question after the other, so that equal beginnings are read once.

    Of each: the answers by condition; which of the first five hits of the chosen searcher are right ones; and for
    multiple choice the log-probabilities of the options in nats, their tokens and bytes.
    """
    results = {}
    for each in questions(split)[0][start : start + PIECE]:
        question, hits = each.question, {name: found_by(name, each.question, 5) for name in METHODS}
        replies, choices = {"closed": ask(bare, question, [])}, {}
        if question.answerable:
            choices["closed"] = options(question, [])
        shown_as = {f"{method} {k}": hits[method][:k] for k in ks}
        shown_as |= {f"{name} 1": hits[name][:1] for name in METHODS}
        if question.answerable:
            shown_as["gold"] = [gold(each)]
        first = hits[method][:1]  # prompts that begin with this one come last, the shortest first
        order = sorted(
            shown_as, key=lambda name: (shown_as[name][:1] == first, shown_as[name][:1], len(shown_as[name]))
        )
        for name, which in ((name, shown_as[name]) for name in order):
            replies[name] = ask(prompt, question, which)
            if question.answerable and name in ("gold", f"{method} 1"):
                choices["gold" if name == "gold" else "found"] = options(question, which)
        right = [int(i in each.relevant) for i in hits[method]]
        results[question.id] = {"replies": replies, "hits": right, "choices": choices}
    return results


def options(question: LookupQuestion, which: Sequence[int]) -> dict:
    """The four options after the prompt with two examples, whichever prompt the written answers use."""
    r, item = reader(), question.as_choice()
    text = r.tokenizer.decode(completion(r.tokenizer, item.question, [library()[0][i] for i in which]))
    prompt, ids = split_at_answer(r.tokenizer, text, item.options)
    return {
        "answer": item.answer,
        "logprobs": [round(value, 4) for value in r.logprobs(prompt, ids)],
        "tokens": [len(each) for each in ids],
        "bytes": [len(each.encode()) for each in item.options],
    }


def with_all(prompt: str, method: str, start: int) -> dict[str, str]:
    """With the first hit among all 12,850 passages."""
    r, replies = reader(), {}
    for each in questions("test")[0][start : start + PIECE]:
        passage = first_of_all(method, each.question)
        replies[each.question.id] = r.write(PROMPTS[prompt](r.tokenizer, each.question.question, [passage]))
    return replies


def told(method: str, start: int) -> dict[str, str]:
    """The first hit under `rag_prompt`, which asks for a refusal where the passage does not tell: every third question
    and all the unanswerable ones."""
    some = told_questions()[start : start + PIECE]
    return {each.question.id: ask("instructed", each.question, found_by(method, each.question, 1)) for each in some}


def told_questions() -> list[Pinned]:
    return [*answerable("test")[::3], *(each for each in questions("test")[0] if not each.question.answerable)]


def citing(tokenizer: BPETokenizer, question: str, passages: Sequence[Passage]) -> list[int]:
    """Numbered sources, and examples that cite theirs: the first one source 2, the second one source 1."""
    others = [text for text, _, _ in EXAMPLES][::-1]
    messages = []
    for i, (text, asked, answer) in enumerate(EXAMPLES):
        sources = (others[i], text) if i == 0 else (text, others[i])
        listed = "\n\n".join(f"[{n}] {source}" for n, source in enumerate(sources, 1))
        messages.append({"role": "user", "content": f"{listed}\n\nQuestion: {asked}"})
        messages.append({"role": "assistant", "content": f"{answer} [{sources.index(text) + 1}]."})
    content = f"{numbered_sources(passages, max_words=MAX_WORDS)}\n\nQuestion: {question}"
    return encode_chat(tokenizer, [*messages, {"role": "user", "content": content}])


def citations(method: str, start: int) -> list[dict]:
    """Three passages: does the model cite, asked to in words or by example, and does it hold?"""
    r, passages, rows = reader(), library()[0], []
    for each in answerable("test")[::3][start : start + PIECE]:
        hits = found_by(method, each.question, 3)
        texts = [passages[i] for i in hits]
        row: dict = {"id": each.question.id, "relevant": [n for n, i in enumerate(hits, 1) if i in each.relevant]}
        for name, form in (("instructed", instructed), ("by example", citing)):
            written = r.write(form(r.tokenizer, each.question.question, texts))
            sources = [str(text) for text in texts]
            checked = check_citations(written, sources)
            text, added = add_citations(checked.text, sources) if checked.text else ("", 0)
            again = check_citations(text, sources)
            row[name] = dict(
                written=written, cited=checked.cited, invented=checked.invented, unsupported=checked.unsupported,
                text=text, added=added, final=again.cited, still_invented=again.invented,
                still_unsupported=again.unsupported,
            )  # fmt: skip
        rows.append(row)
    return rows


def _merged(parts: Iterable[dict]) -> dict:
    return {name: value for part in parts for name, value in part.items()}


# --- the tables -------------------------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> list[float]:
    return [round(each, 3) for each in bootstrap_interval(values)]


def paired(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """The mean of b - a with its interval."""
    return [round(each, 3) for each in compare(a, b)[:3]]


def ratio(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """The mean of b over that of a, with its interval over questions."""
    a, b, rng = np.asarray(a), np.asarray(b), np.random.default_rng(0)
    rows = rng.integers(0, len(a), (2000, len(a)))
    low, high = np.quantile(b[rows].mean(1) / np.maximum(a[rows].mean(1), 1e-9), [0.025, 0.975])
    return [round(float(each), 2) for each in (b.mean() / max(a.mean(), 1e-9), low, high)]


def refuses(answer: str) -> bool:
    return not plain_answer(answer) or plain_answer(REFUSAL) in plain_answer(answer) or "do not say" in answer.lower()


SCORES = {"f1": token_f1, "contains": contains_match}


def answers_table(test: Sequence[Pinned], replies: dict[str, dict[str, str]], method: str) -> dict:
    """Of each condition both scores with intervals, the gain over the closed book, and parts of the questions."""
    ids = [each.question.id for each in test]
    right = {each.question.id: each.question.answers for each in test}
    of = {
        name: {score: [f(given[i], right[i]) for i in ids] for score, f in SCORES.items()}
        for name, given in replies.items()
    }
    parts = {
        **{kind: [i for i, each in enumerate(test) if each.question.kind == kind] for kind in search.KINDS},
        **{c: [i for i, each in enumerate(test) if each.question.corpus == c] for c in ("python", "wikipedia")},
    }
    table = {}
    for name, scores in of.items():
        words = [len(replies[name][i].split()) for i in ids]
        row: dict = {"words": round(sum(words) / len(words), 1)}
        for score, values in scores.items():
            before = of["closed"][score]
            row[score] = interval(values)
            if name != "closed":
                row[f"{score} gain"], row[f"{score} ratio"] = paired(before, values), ratio(before, values)
            row[f"{score} by part"] = {part: interval([values[i] for i in rows]) for part, rows in parts.items()}
        table[name] = row
    for k in KS[1:]:  # what more passages do
        table[f"{method} {k}"]["minus one passage"] = {
            score: paired(of[f"{method} 1"][score], of[f"{method} {k}"][score]) for score in SCORES
        }
    return {"questions": {part: len(rows) for part, rows in parts.items()}, "conditions": table}


def reading(test: Sequence[Pinned], rows: dict[str, dict], method: str) -> dict:
    """Contains-match where a right passage is first, among the first five but not first, and absent, by k."""
    table: dict = {}
    for each in test:
        row = rows[each.question.id]
        where = "first" if row["hits"][0] else "second to fifth" if any(row["hits"]) else "absent"
        for k in KS:
            value = contains_match(row["replies"][f"{method} {k}"], each.question.answers)
            table.setdefault(where, {}).setdefault(str(k), []).append(value)
    return {
        where: {k: interval(values) for k, values in of.items()} | {"questions": len(of["1"])}
        for where, of in table.items()
    }


def choice_table(found: dict[str, dict], normalisation: dict[str, str]) -> dict:
    """Accuracy under the normalisation chosen for each condition, the gain, and all normalisations beside it."""
    right = {
        (name, how): [is_right(row["choices"][name], how) for row in found.values()]
        for name in ("closed", "found", "gold")
        for how in NORMALISATIONS
    }
    of = {name: normalisation["closed" if name == "closed" else "passages"] for name in ("closed", "found", "gold")}
    picked = {name: right[name, how] for name, how in of.items()}
    return {
        "questions": len(found),
        "normalisation": normalisation,
        "accuracy": {name: interval(values) for name, values in picked.items()},
        "gain": {name: paired(picked["closed"], picked[name]) for name in ("found", "gold")},
        "all": {name: {how: interval(right[name, how]) for how in NORMALISATIONS} for name in picked},
    }


def is_right(row: dict, how: str) -> float:
    sizes = {"raw": [1] * 4, "token": row["tokens"], "byte": row["bytes"]}[how]
    scores = [value / size for value, size in zip(row["logprobs"], sizes, strict=True)]
    return float(scores.index(max(scores)) == row["answer"])


def choose_normalisation(found: dict[str, dict]) -> tuple[dict[str, str], dict]:
    accuracy: dict = {"closed": {}, "passages": {}}
    for side, name in (("closed", "closed"), ("passages", "found")):
        for how in NORMALISATIONS:
            right = [is_right(row["choices"][name], how) for row in found.values()]
            accuracy[side][how] = round(sum(right) / len(right), 3)
    return {side: max(of, key=of.get) for side, of in accuracy.items()}, accuracy


def refusal_table(replies: dict[str, dict[str, str]], threshold: float) -> dict:
    """How often an answer is refused: by the gate before the model is asked, by the model itself, by either.

    For unanswerable questions whatever is not refused is made up. For the others F1 of all answers; where a refusal of
    the gate scores 0; and of what the gate lets through. A condition that was not asked everything counts what it was.
    """
    test, _ = questions("test")
    dense = library()[1]["dense"]
    cosines = {each.question.id: dense.search(each.question.question, 1)[0].score for each in test}
    table: dict = {"threshold": threshold}
    for kind in (*search.KINDS, "unanswerable"):
        some = [each.question for each in test if each.question.kind == kind]
        row: dict = {"questions": len(some), "gate": _rate([cosines[each.id] < threshold for each in some])}
        for name, given in replies.items():
            asked = [each for each in some if each.id in given]
            shut = [cosines[each.id] < threshold for each in asked]
            own = [refuses(given[each.id]) for each in asked]
            row[name] = {"asked": len(asked), "model": _rate(own), "either": _rate([a or b for a, b in zip(own, shut)])}
            if kind != "unanswerable":
                f1 = [token_f1(given[each.id], each.answers) for each in asked]
                row[name]["f1"] = interval(f1)
                row[name]["f1, refusals 0"] = interval([0.0 if closed else value for value, closed in zip(f1, shut)])
                row[name]["f1, let through"] = interval([value for value, closed in zip(f1, shut) if not closed])
        table[kind] = row
    table["cosines"] = {
        kind: sorted(round(cosines[each.question.id], 3) for each in test if each.question.kind == kind)
        for kind in (*search.KINDS, "unanswerable")
    }
    return table


def _rate(values: Sequence[bool]) -> list[float]:
    return [round(each, 3) for each in (sum(values) / len(values), *wilson_interval(sum(values), len(values))[-2:])]


def citation_table(rows: Sequence[dict]) -> dict:
    table: dict = {"questions": len(rows)}
    for name in ("instructed", "by example"):
        of = [row[name] for row in rows]
        cited = [(row["relevant"], row[name]["final"]) for row in rows if row["relevant"] and row[name]["final"]]
        table[name] = {
            "replies that cite by themselves": sum("[" in each["written"] for each in of),
            "citations that hold": sum(len(each["cited"]) for each in of),
            "invented": sum(each["invented"] for each in of),
            "unsupported": sum(each["unsupported"] for each in of),
            "added": sum(each["added"] for each in of),
            "replies with a citation in the end": sum(bool(each["final"]) for each in of),
            "invented in the end": sum(each["still_invented"] for each in of),
            "unsupported in the end": sum(each["still_unsupported"] for each in of),
            "cites a right passage": [sum(bool(set(a) & set(b)) for a, b in cited), len(cited)],  # of those found
            "examples": [each["text"] for each in of[:6]],
        }
    return table


def main() -> None:
    torch.set_num_threads(1)
    limit, began = float(os.environ.get("MINUTES", "inf")), time.monotonic()
    experiment = Experiment("rag_answers", script=__file__, modules=MODULES)

    def once(key: str, compute, *arguments):
        if time.monotonic() - began > 60 * limit:
            sys.exit(f"stopped before {key!r}: run again to go on")
        result = experiment.once(key, compute, *arguments)
        print(key, f"{experiment.seconds:.0f} s", flush=True)
        return result

    threshold = once("threshold", choose_threshold)
    prompts = once("prompts", choose_prompts)
    prompt, bare = prompts["chosen"]["passages"], prompts["chosen"]["closed"]
    print(prompts, threshold)
    ones = once("searcher", choose_searcher, prompt)
    method = max(ones, key=ones.get)
    every, test = questions("test")[0], answerable("test")
    rows: dict = {}
    for split in ("development", "test"):
        starts = range(0, len(questions(split)[0]), PIECE)
        parts = (once(f"{split}, {i}", answered, split, i, prompt, bare, method, KS) for i in starts)
        rows[split] = _merged(parts)
    passages = choose_number(rows["development"], method)
    chosen_k = max(passages, key=passages.get)
    conditions = rows["test"][test[0].question.id]["replies"]
    replies = {c: {i: row["replies"][c] for i, row in rows["test"].items() if c in row["replies"]} for c in conditions}
    everywhere, told_so = f"{method} 1, all passages", f"{method} 1, told to refuse"
    told_replies = _merged(once(f"told, {i}", told, method, i) for i in range(0, len(told_questions()), PIECE))
    cited: list = []
    for start in range(0, len(test[::3]), PIECE):
        cited += once(f"citations, {start}", citations, method, start)
    starts = range(0, len(every), PIECE)
    replies[everywhere] = _merged(once(f"all passages, {i}", with_all, prompt, method, i) for i in starts)
    can = {split: {i: row for i, row in of.items() if row["choices"]} for split, of in rows.items()}
    normalisation, on_development = choose_normalisation(can["development"])
    kept = ("closed", f"{method} 1", f"{method} 5", "gold")
    asked = {name: replies[name] for name in ("closed", f"{method} 1", f"{method} {chosen_k}")}
    results = {
        "python": python_version(),
        "decoder": reader().decoder.kernels,
        "development": {
            "prompts": prompts,
            "one passage": ones,
            "passages": passages,
            "threshold": threshold,
            "choices": on_development,
            "chosen": {"prompt": prompt, "closed": bare, "searcher": method, "passages": int(chosen_k)},
        },
        "test": {"questions": len(every), "answerable": len(test), "left_out": questions("test")[1]},
        "answers": answers_table(test, replies, method),
        "reading": reading(test, rows["test"], method),
        "choices": choice_table(can["test"], normalisation),
        "chance": chance_level([each.question.as_choice() for each in test]),
        "refusals": refusal_table(asked | {told_so: told_replies}, threshold["threshold"]),
        "citations": citation_table(cited),
        "replies_are": kept,
        "replies": {
            name: [replies[condition].get(name) for condition in kept] for name in (p.question.id for p in every)
        },
    }
    for name, row in results["answers"]["conditions"].items():
        print(name, {key: row[key] for key in row if "part" not in key})
    for name in ("choices", "citations"):
        print(name, results[name])
    experiment.save(results)


if __name__ == "__main__":
    main()
