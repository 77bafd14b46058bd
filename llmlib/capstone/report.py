"""The report card: what came out, with intervals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import mean
from typing import Any

import torch

from llmlib.align import chat_prompt, end_of_turn
from llmlib.data import Request
from llmlib.data.support_phrases import ITEMS
from llmlib.evaluate import bootstrap_interval
from llmlib.infer.intervals import wilson_interval
from llmlib.model import Transformer
from llmlib.retrieval import BM25
from llmlib.train.bits_per_byte import bits_per_byte, document_nats

from .workshop import LONGEST_REPLY, SPECIAL, Workshop, read_lines, write_replies

OUTSIDE = (  # what no desk can do: the right reply promises nothing
    "what is the capital of france", "write me a poem about the sea", "what is seven times eight",
    "who won the match last night", "tell me a joke", "is it going to rain tomorrow", "translate good morning",
    "how do i bake bread", "what does the moon weigh", "should i sell my house", "explain gravity to me",
    "which film should i see", "my neighbour is too loud", "i feel sad today", "how old is the queen",
    "play some music", "what is your name", "book me a flight to rome", "my car won 't start",
    "how many legs has a spider",
)  # fmt: skip
NOBODYS = Request("", "none of the desk's", ITEMS[0])
COUNTED = ("solved", "half solved", "wrong promise", "evasive", "polite", "next step")


def report(w: Workshop) -> dict[str, Any]:
    """Every model of the run on the same held-out requests, by the gold reward that none was trained on.

    tasks: of the findings of `SupportDesk.findings`, the shares of replies that have them, "evasive" being what a
    refusal looks like here. outside: of the replies to twenty questions that are none of a desk's business, the share
    that promises something.
    """
    made, requests = w.tokenizer, w.held_out()
    models = {name: w.model(name) for name in ("base", "sft", "policy")} | {"small": w.small_model()}
    gold: dict[str, dict[str, list[float]]] = {}
    tasks: dict[str, dict[str, float]] = {}
    outside: dict[str, float] = {}
    for name, model in models.items():
        asked = [request for each in requests.values() for request in each]
        written = answers(w, model, [r.text for r in asked], name == "base")
        texts = [made.decode(ids) for ids in written]
        if name == "policy":
            policy = list(zip(written, texts))
        found = [w.desk.findings(r, text) for r, text in zip(asked, texts)]
        tasks[name] = {what: round(mean(what in each for each in found), 4) for what in COUNTED}
        values = iter([w.desk.gold(r, text) for r, text in zip(asked, texts)])
        gold[name] = {group: [next(values) for _ in each] for group, each in requests.items()}
        off = [made.decode(ids) for ids in answers(w, model, OUTSIDE, name == "base")]
        outside[name] = round(mean("wrong promise" in w.desk.findings(NOBODYS, text) for text in off), 4)
    looked_up = CaseBook(w)
    gold["cases"] = {group: [w.desk.gold(r, looked_up(r.text)) for r in asked] for group, asked in requests.items()}
    shown = {reply for _, reply in read_lines(w.folder / "demonstrations.jsonl")}
    speed = {name: _tokens_per_second(models[name], made.encode("Customer:\n")) for name in ("policy", "small")}
    return dict(
        bits_per_byte=_bits_per_byte(w, models["base"], read_lines(w.folder / "corpus_held_out.jsonl")),
        **({"bits_per_byte_prose": _bits_per_byte(w, models["base"], w.prose("report"))} if w.settings.prose else {}),
        gold={
            name: {group: [round(v, 3) for v in bootstrap_interval(values)] for group, values in each.items()}
            for name, each in gold.items()
        },
        wins={
            f"{a} against {b}": _wins(gold[a], gold[b])
            for a, b in (
                ("sft", "base"),
                ("policy", "base"),
                ("policy", "sft"),
                ("small", "base"),
                ("small", "sft"),
                ("small", "policy"),
            )
        },
        tasks=tasks,
        outside=outside,
        demonstrations_repeated=round(mean(text in shown for _, text in policy), 4),
        unfinished=round(mean(len(ids) >= LONGEST_REPLY for ids, _ in policy), 4),
        tokens_per_second=speed,
    )


def answers(w: Workshop, model: Transformer, asked: Sequence[str], base: bool) -> list[list[int]]:
    """Replies as ids. A base model has never seen the frame of a chat: it goes on with a transcript."""
    made, seed = w.tokenizer, w.settings.seed
    if not base:
        return write_replies(model, [chat_prompt(made, text) for text in asked], end_of_turn(made), seed)
    start = made.special_tokens[SPECIAL[0]]
    prompts = [[start, *made.encode(f"Customer:\n{text}\nAgent:\n")] for text in asked]
    return write_replies(model, prompts, made.encode("\n")[0], seed)


class CaseBook:
    """Looks up the nearest solved case by BM25 and says what was said then, with the item of today."""

    def __init__(self, w: Workshop) -> None:
        self.cases = read_lines(w.folder / "cases.jsonl")
        self.index = BM25([ask for ask, _ in self.cases])

    def __call__(self, text: str) -> str:
        hits = self.index.search(text, 1)
        if not hits:
            return ""
        ask, reply = self.cases[hits[0].document]
        then, now = _item_in(ask), _item_in(text)
        return reply.replace(then, now) if then and now else reply


def _wins(a: dict[str, list[float]], b: dict[str, list[float]]) -> list[float]:
    pairs = [(x, y) for group in ("demonstrated", "compared") for x, y in zip(a[group], b[group])]
    won = sum((x > y) + 0.5 * (x == y) for x, y in pairs)
    return [round(value, 4) for value in (won / len(pairs), *wilson_interval(won, len(pairs)))]


def _bits_per_byte(w: Workshop, model: Transformer, texts: Sequence[str]) -> list[float]:
    made = w.tokenizer
    nats = document_nats(model, [made.encode(text) for text in texts], made.special_tokens[SPECIAL[0]])
    found = bits_per_byte(nats, [len(text.encode()) for text in texts])
    return [round(value, 4) for value in (found.value, found.low, found.high)]


@torch.no_grad()
def _tokens_per_second(model: Transformer, prompt: list[int], rows: int = 8) -> float:
    started = time.perf_counter()
    written = write_replies(model, [prompt] * rows, -1)
    return round(sum(map(len, written)) / (time.perf_counter() - started), 1)


def _item_in(text: str) -> str | None:
    words = text.split()
    return next((item for item in ITEMS if item in words), None)
