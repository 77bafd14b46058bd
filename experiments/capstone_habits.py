"""Controls for lecture 20's recorded runs: `python experiments/capstone_habits.py`.

On the same held-out requests as the report card, for each of the five seeds: what the gold reward of base, SFT model
and policy is made of, by group; how often a policy doubles a word or says a sentence twice; how often a model names the
customer's item; and two books of cases that needed no judge, one of the 200 demonstrations and one of 500 old replies
as they come. Goes on from the folders of `experiments/capstone.py`, and makes them where they are missing.
"""

import itertools
import random
from statistics import mean
from typing import Any

import torch
from capstone import MODULES, SEEDS, done

from llmlib.capstone import Workshop
from llmlib.capstone.report import CaseBook, answers
from llmlib.data import Experiment, Request
from llmlib.data.support_desk import WEIGHTS
from llmlib.data.support_phrases import ITEMS
from llmlib.retrieval import BM25

PARTS = {"solved": ("solved", "half solved"), "manners": ("polite", "next step"), "wrong": ("wrong promise",)}


def parts_of(found: dict[str, float]) -> list[float]:
    """What solving, manners, wrong promises and all the rest (evasions, debris, repetitions) add to the gold reward."""
    worth = {name: WEIGHTS[name] * value for name, value in found.items()}
    named = [sum(worth.pop(name, 0.0) for name in names) for names in PARTS.values()]
    return [*named, sum(worth.values())]


def tic(reply: str, found: dict[str, float]) -> bool:
    said = reply.split()
    return "repeated sentence" in found or any(a == b for a, b in itertools.pairwise(said))


def names_item(request: Request, reply: str) -> bool | None:
    """Whether the first item a reply names is the customer's; None where it names none."""
    named = [word for word in reply.split() if word in ITEMS]
    return named[0] == request.item if named else None


def book(w: Workshop, cases: list[tuple[str, str]]) -> CaseBook:
    made = CaseBook(w)
    made.cases, made.index = cases, BM25([asked for asked, _ in cases])
    return made


def one(seed: int) -> dict[str, Any]:
    pipeline = done(seed)
    w = Workshop(pipeline.folder, pipeline.folder, pipeline.settings, print)
    held = w.held_out()
    exam = [request for each in held.values() for request in each]
    found: dict[str, Any] = dict(gold={}, tic={}, item={}, books={})
    for name in ("base", "sft", "policy"):
        written = answers(w, w.model(name), [r.text for r in exam], name == "base")
        texts = [w.tokenizer.decode(ids) for ids in written]
        seen = [w.desk.findings(r, text) for r, text in zip(exam, texts)]
        parts = iter([parts_of(each) for each in seen])
        by_group = {group: list(zip(*(next(parts) for _ in each))) for group, each in held.items()}
        found["gold"][name] = {group: [round(mean(v), 3) for v in columns] for group, columns in by_group.items()}
        found["tic"][name] = round(mean(tic(text, each) for text, each in zip(texts, seen)), 3)
        own = [names_item(r, text) for r, text in zip(exam, texts)]
        found["item"][name] = round(mean(each for each in own if each is not None), 3)
    old = [text.split("\n") for text in w.desk.transcripts(2000, random.Random(f"old replies {seed}"))]
    pairs = [(lines[1], lines[3]) for lines in old if len(lines) > 3 and lines[1] not in {r.text for r in exam}]
    shown = w.desk.demonstrations(w.settings.demonstrations, w.draws("demonstrations"), 0.2)
    books = {"demonstrations": [(request.text, reply) for request, reply in shown], "old": pairs[:500]}
    for name, cases in books.items():
        look = book(w, cases)
        values = {group: [w.desk.gold(r, look(r.text)) for r in each] for group, each in held.items()}
        found["books"][name] = {group: round(mean(each), 3) for group, each in values.items()}
    return found


def main() -> None:
    torch.set_num_threads(1)
    modules = [*MODULES, "llmlib.retrieval.bm25"]
    experiment = Experiment("capstone_habits", script=__file__, modules=modules, seeds=SEEDS)
    experiment.save([experiment.once(f"seed {seed}", one, seed) for seed in SEEDS])


if __name__ == "__main__":
    main()
