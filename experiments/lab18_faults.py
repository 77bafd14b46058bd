"""Record a correct evaluation of two models and faulty ones, one of which lab 18 gives to a student.

The models are two of the course's base models, of 0.3 and 1 million parameters. The test asks how a passage of held-out
text goes on: the words that follow, of two to nine words, and three pieces of other passages. An answer is the option
of the highest mean log-probability a token. One thing is wrong in each faulty evaluation: in how options are scored, in
what the model reads or was trained on, or in what is made of the answers. Then a few numbers are measured beside the
program, in the same way for all. Three seeds, each with questions of its own: a student sees the first, and a test
holds every observation to all of them. Run it with `OMP_NUM_THREADS=1 python experiments/lab18_faults.py`; it takes
about three minutes on one core.
"""

import copy
import functools
import random

import numpy as np
import torch
import torch.nn.functional as F

from llmlib.data import ChoiceQuestion, Experiment, prose, split_documents
from llmlib.evaluate import bootstrap_interval, pass_at_k, split_at_answer
from llmlib.hub import load_base
from llmlib.model import Transformer

FAULTS = {
    "A": "every token is scored by what the model puts out after it has read it",
    "B": "the log-probabilities are summed, not divided by the number of tokens",
    "C": "the tokens of the passage are counted as well, in the sum and in the number",
    "D": "each question has the key of the next one",
    "E": "the larger model was trained on the test",
    "F": "the interval of the drawn answers is over answers, not over questions",
    "G": "pass@k is computed as 1 - (1 - c/n)^k",
    "H": "an example before each question is the question itself, with its answer",
    "I": "the two models are resampled apart from each other",
    "J": "the right option stands first, and scores are rounded to whole numbers",
}
RUNS = dict(zip(("a6", "b2", "d9", "g4", "h7", "m1", "n5", "r3", "u8", "w0"), "GCIAJEBHFD", strict=True))
SEEDS = (0, 1, 2)
QUESTIONS, CONTEXT, SHORTEST, LONGEST, DRAWN, K, SHARPNESS = 200, 30, 2, 9, 10, 8, 2.0
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}  # of the base models' own pre-training


@functools.cache
def base(size: str) -> tuple[Transformer, object]:
    return load_base(size, device="cpu")


@functools.cache
def questions(part: str, seed: int) -> list[ChoiceQuestion]:
    """How does a passage go on? The right option and three pieces of other passages, in random order."""
    rng = random.Random(seed)
    texts = [document.text.split() for document in split_documents(prose("wikipedia"), SHARES)[part]]
    texts = [words for words in texts if len(words) >= CONTEXT + LONGEST + 2]
    rng.shuffle(texts)
    piece = lambda words, start: " ".join(words[start : start + rng.randint(SHORTEST, LONGEST)])
    made = []
    for number, words in enumerate(texts[:QUESTIONS]):
        start = rng.randrange(len(words) - CONTEXT - LONGEST)
        options = [piece(words, start + CONTEXT)]
        while len(options) < 4:
            other = texts[rng.randrange(len(texts))]
            option = piece(other, rng.randrange(len(other) - LONGEST))
            if other is not words and option not in options:
                options.append(option)
        order = rng.sample(range(4), 4)
        context = " ".join(words[start : start + CONTEXT])
        shown = tuple(options[i] for i in order)
        made.append(ChoiceQuestion(f"{part} {number}", "", shown, order.index(0), context))
    return made


Table = dict[tuple[str, str], tuple[float, int]]


@torch.no_grad()
def scored(model: Transformer, items: list[ChoiceQuestion], fault: str) -> Table:
    """The mean log-probability a token of each (question, option), as the program reads it, and its tokens."""
    tokenizer, rows, starts, names = base("1m")[1], [], [], []
    for item in items:
        prompt = item.context
        if fault == "H":
            prompt = f"{item.context} {item.options[item.answer]}\n\n{item.context}"
        head, options = split_at_answer(tokenizer, prompt, item.options)
        rows += [[*head, *option] for option in options]
        starts += [len(head)] * 4
        names += [(item.id, option) for option in item.options]
    table = {}
    for i in range(0, len(rows), 32):
        some, width = rows[i : i + 32], max(map(len, rows[i : i + 32]))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in some])
        logits = model(ids)
        for name, row, start, each in zip(names[i:], some, starts[i:], logits):
            first = 1 if fault == "C" else start
            before = 0 if fault == "A" else 1
            logs = F.log_softmax(each[first - before : len(row) - before], -1)
            values = logs.gather(-1, torch.tensor(row[first:])[:, None])
            table[name] = values.mean().item(), len(row) - start
    return table


@functools.cache
def scored_base(size: str, part: str, seed: int, fault: str) -> Table:
    return scored(base(size)[0], questions(part, seed), fault)


def train_on(items: list[ChoiceQuestion], seed: int) -> Transformer:
    """The larger model after 60 updates on the test's passages with their right options."""
    original, tokenizer = base("1m")
    model, generator = copy.deepcopy(original).train(), torch.Generator().manual_seed(seed)
    rows = [tokenizer.encode(f"{item.context} {item.options[item.answer]}") for item in items]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(60):
        some = [rows[i] for i in torch.randint(len(rows), (16,), generator=generator)]
        width = max(map(len, some))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in some])
        targets = torch.tensor([[*row[1:], *[-100] * (width - len(row) + 1)] for row in some])
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def rearranged(items: list[ChoiceQuestion], fault: str, backwards: bool) -> list[ChoiceQuestion]:
    """The questions with their options and keys as the program asks them."""
    asked = []
    for number, item in enumerate(items):
        options, answer = list(item.options), item.answer
        if fault == "J":
            options.insert(0, options.pop(answer))
            answer = 0
        if backwards:
            options, answer = options[::-1], 3 - answer
        if fault == "D":
            answer = items[(number + 1) % len(items)].answer
            answer = 3 - answer if backwards else answer
        asked.append(ChoiceQuestion(item.id, "", tuple(options), answer, item.context))
    return asked


def answered(table: Table, items: list[ChoiceQuestion], fault: str) -> dict[str, np.ndarray]:
    means, tokens = np.moveaxis(np.array([[table[item.id, option] for option in item.options] for item in items]), 2, 0)
    scores = means * tokens if fault == "B" else means.round() if fault == "J" else means
    answers, keys = scores.argmax(1), np.array([item.answer for item in items])
    right = (answers == keys).astype(float)
    return {"scores": scores, "tokens": tokens, "answers": answers, "keys": keys, "right": right}


def percent(x: float) -> float:
    return 100 * float(x)


def measured(fault: str, seed: int) -> dict:
    """What the program reports, and what was measured beside it."""
    plain = questions("report", seed)
    items = rearranged(plain, fault, False)
    reads = fault if fault in ("A", "C", "H") else ""
    if fault == "E":
        trained = train_on(plain, seed)
        table, new = (scored(trained, questions(part, seed), "") for part in ("report", "choose"))
        table_right = table
    else:
        table, new = (scored_base("1m", part, seed, reads) for part in ("report", "choose"))
        table_right = scored_base("1m", "report", seed, "")
    ours = answered(table, items, fault)
    theirs = answered(scored_base("0.3m", "report", seed, reads), items, fault)
    rng = np.random.default_rng(seed)
    weights = np.exp(SHARPNESS * (ours["scores"] - ours["scores"].max(1, keepdims=True)))
    weights /= weights.sum(1, keepdims=True)
    drawn = np.array([rng.choice(4, DRAWN, p=row) for row in weights]) == ours["keys"][:, None]
    counts = drawn.sum(1)
    interval = bootstrap_interval(drawn.flatten() if fault == "F" else drawn.astype(float))
    if fault == "I":
        n = len(items)
        one, other = (x["right"][rng.integers(0, n, (2000, n))].mean(1) for x in (ours, theirs))
        low, high = np.quantile(one - other, [0.025, 0.975])
    else:
        _, low, high = bootstrap_interval(ours["right"] - theirs["right"])
    rate = (lambda c: 1 - (1 - c / DRAWN) ** K) if fault == "G" else (lambda c: pass_at_k(DRAWN, int(c), K))
    fresh = answered(new, rearranged(questions("choose", seed), fault, False), fault)
    again = answered(table, rearranged(plain, fault, True), fault)
    right = answered(table_right, plain, "")
    place = np.arange(len(items))
    best_wrong = np.where(np.arange(4) == ours["keys"][:, None], -np.inf, ours["scores"]).max(1)
    margins = np.sort(ours["scores"][place, ours["keys"]] - best_wrong)
    numbers = {
        "accuracy of the larger model, percent": percent(ours["right"].mean()),
        "accuracy of the smaller model, percent": percent(theirs["right"].mean()),
        "interval of the difference, its width in points": percent(high - low),
        "10 drawn answers, percent right": percent(drawn.mean()),
        "their interval, its width in points": percent(interval.high - interval.low),
        "pass@8, percent": percent(np.mean([rate(c) for c in counts])),
        "questions with no right one among the 10, percent": percent((counts == 0).mean()),
        "score of the key's option, mean": ours["scores"][place, ours["keys"]].mean(),
        "tokens of the option chosen, mean": ours["tokens"][place, ours["answers"]].mean(),
        "answers that are the first option, percent": percent((ours["answers"] == 0).mean()),
        "accuracy of the larger model on fresh questions, percent": percent(fresh["right"].mean()),
        "its accuracy with the options in reverse order, percent": percent(again["right"].mean()),
        "its accuracy by another program, percent": percent(right["right"].mean()),
    }
    every = np.linspace(0, len(items) - 1, 60).round().astype(int)
    return {
        "questions": [round(100 * (i + 1) / len(items), 1) for i in every.tolist()],
        "margin": [float(f"{margins[i]:.3g}") for i in every],
        "length": np.sort(ours["tokens"][place, ours["answers"]])[every].tolist(),
        **{name: float(f"{value:.3g}") for name, value in numbers.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab18_faults", script=__file__, seeds=SEEDS,
        modules=["llmlib.evaluate.intervals", "llmlib.evaluate.code", "llmlib.evaluate.scoring", "llmlib.data.prose"],
    )  # fmt: skip
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", measured, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    again = {
        name: [{what: value for what, value in log.items() if not isinstance(value, list)} for log in logs[1:]]
        for name, logs in runs.items()
    }
    experiment.save({name: logs[0] | {"other seeds": again[name]} for name, logs in runs.items()})


if __name__ == "__main__":
    main()
