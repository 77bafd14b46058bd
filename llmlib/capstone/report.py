"""The report card: what came out, with intervals."""

from __future__ import annotations

import time
from statistics import mean
from typing import Any

import torch

from llmlib.align import chat_prompt, end_of_turn
from llmlib.data.support_phrases import ITEMS
from llmlib.evaluate import bootstrap_interval
from llmlib.infer.intervals import wilson_interval
from llmlib.model import Transformer
from llmlib.retrieval import BM25
from llmlib.train.bits_per_byte import bits_per_byte, document_nats

from .workshop import LONGEST_REPLY, SPECIAL, Workshop, read_lines, write_replies


def report(w: Workshop) -> dict[str, Any]:
    """Every model of the run on the same held-out requests, by the gold reward that none was trained on."""
    made, requests = w.tokenizer, w.held_out()
    end = end_of_turn(made)
    models = {name: w.model(name) for name in ("base", "sft", "policy")} | {"small": w.small_model()}
    gold: dict[str, dict[str, list[float]]] = {name: {} for name in models}
    replies: dict[str, list[tuple[list[int], str]]] = {}
    for name, model in models.items():
        for group, asked in requests.items():
            if name == "base":  # it has never seen the frame of a chat: it goes on with a transcript
                start = made.special_tokens[SPECIAL[0]]
                prompts = [[start, *made.encode(f"Customer:\n{r.text}\nAgent:\n")] for r in asked]
                written = write_replies(model, prompts, made.encode("\n")[0], w.settings.seed)
            else:
                written = write_replies(model, [chat_prompt(made, r.text) for r in asked], end, w.settings.seed)
            texts = [made.decode(ids) for ids in written]
            gold[name][group] = [w.desk.gold(r, text) for r, text in zip(asked, texts)]
            replies.setdefault(name, []).extend(zip(written, texts))
    looked_up = CaseBook(w)
    gold["cases"] = {group: [w.desk.gold(r, looked_up(r.text)) for r in asked] for group, asked in requests.items()}
    shown = {reply for _, reply in read_lines(w.folder / "demonstrations.jsonl")}
    speed = {name: _tokens_per_second(models[name], made.encode("Customer:\n")) for name in ("policy", "small")}
    return dict(
        bits_per_byte=_bits_per_byte(w, models["base"]),
        gold={
            name: {group: [round(v, 3) for v in bootstrap_interval(values)] for group, values in each.items()}
            for name, each in gold.items()
        },
        wins={
            f"{a} against {b}": _wins(gold[a], gold[b])
            for a, b in (("sft", "base"), ("policy", "base"), ("policy", "sft"), ("small", "sft"), ("small", "policy"))
        },
        demonstrations_repeated=round(mean(text in shown for _, text in replies["policy"]), 4),
        unfinished=round(mean(len(ids) >= LONGEST_REPLY for ids, _ in replies["policy"]), 4),
        tokens_per_second=speed,
    )


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


def _bits_per_byte(w: Workshop, model: Transformer) -> list[float]:
    made = w.tokenizer
    texts = read_lines(w.folder / "corpus_held_out.jsonl")
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
