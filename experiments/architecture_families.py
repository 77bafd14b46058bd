"""Record causal decoder, prefix decoder and encoder-decoder at equal compute, in two stages. For lecture 05.

    OMP_NUM_THREADS=1 python experiments/architecture_families.py

Wang et al. (2022) in small. Stage 1 is self-supervised, on passages of Wikipedia, tales and novels: full language
modelling, prefix language modelling, or span corruption with some prefix language modelling at its end. Stage 2 tunes
on nine prompted tasks together. Every contender gets the same operations in each stage, counted from the shapes that
are computed, padding included; as in the paper the encoder-decoder has two stacks of the decoder's depth, so about
twice the parameters at about the same operations a token. Three rates of each stage are tried in full by one seed, on
the choose split. Judged on the report split: nats per byte of what follows a prefix, the choice between the true
continuation and another text's, the trained tasks, and what was held out: the same questions of words that no trained
list contained, of words with a capital, which no question was about, and reviews of products. Some 20 minutes of one
core.
"""

import copy
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import (
    IGNORE,
    Document,
    Experiment,
    corrupt_spans,
    fetch,
    prose,
    rated_texts,
    split_documents,
    split_ratings,
)
from llmlib.evaluate import bootstrap_interval, compare
from llmlib.model import Decoder, EncoderDecoder, EncoderDecoderConfig, ModelConfig
from llmlib.text import BPETokenizer
from llmlib.train import AdamW, Muon

SEEDS = (0, 1, 2)
WAYS = ("causal decoder", "prefix decoder", "encoder-decoder", "encoder-decoder, spans")
FIRST, SECOND = 0.8e12, 0.6e12  # operations of each stage
FIRST_RATES, SECOND_RATES, WARMUP = (0.02, 0.04, 0.08), (0.01, 0.02, 0.04), 0.05
ADAPTED = 1 / 6  # the last share of the span model's first stage is prefix language modelling, as before T0
WIDTH, LAYERS, HEADS, INNER, CONTEXT, ROWS = 64, 4, 4, 176, 96, 16
PASSAGES, VOCABULARY, SENTINELS = 7_000, 1024, 8
PREFIX, AFTER, PAIRS = 64, 16, 400  # tokens read and tokens judged, of so many texts
ITEMS, SHOWN = 120, 32  # questions of a task, and the tokens shown of a text
SHARES = {"train": 0.8, "choose": 0.1, "report": 0.1}
OPERATIONS = ("first", "last", "after")
CELLS = [(material, operation) for material in ("word", "letter") for operation in OPERATIONS]
TRAINED = ["film review", "headline", "kind"] + [f"{m} {o}" for m, o in CELLS]
NEW_WORDS, NAMES = [f"new-word {o}" for o in OPERATIONS], [f"name {o}" for o in OPERATIONS]
HELD_OUT = [*NEW_WORDS, *NAMES, "product review"]
MODULES = [
    "llmlib.model.encoder_decoder", "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.layers",
    "llmlib.train.muon", "llmlib.train.adamw", "llmlib.data.denoising", "llmlib.data.prose", "llmlib.data.reviews",
]  # fmt: skip

Pair = tuple[list[int], list[int]]  # what is read, what is to be written
Item = tuple[list[int], list[list[int]], int]  # what is read, the answers to choose from, the right one


# Texts


@lru_cache(maxsize=1)
def documents() -> dict[str, list[Document]]:
    """Passages, tales and novels in three splits that share no article."""
    passages = random.Random(0).sample(prose("wikipedia"), PASSAGES)
    return split_documents([*passages, *prose("tales", "novels")], SHARES)


@lru_cache(maxsize=1)
def tokenizer() -> BPETokenizer:
    special = ["<|endoftext|>", *(f"<extra_{i}>" for i in range(SENTINELS))]
    return BPETokenizer.train([d.text for d in documents()["train"]], VOCABULARY, special_tokens=special)


@lru_cache(maxsize=1)
def marks() -> tuple[int, list[int]]:
    """The id at the end of a text, where a decoder also begins, and the sentinels'."""
    end, *sentinels = tokenizer().special_tokens.values()
    return end, sentinels


@lru_cache(maxsize=3)
def encoded(split: str) -> list[tuple[str, list[int]]]:
    """Source and ids of each document, in one random order."""
    found = [(d.source, tokenizer().encode(d.text)) for d in documents()[split]]
    random.Random(1).shuffle(found)
    return found


@lru_cache(maxsize=1)
def windows() -> Tensor:
    """The train split side by side in rows of CONTEXT tokens."""
    ids = [token for _, text in encoded("train") for token in (*text, marks()[0])]
    n = len(ids) // CONTEXT
    return torch.tensor(ids[: n * CONTEXT]).view(n, CONTEXT)


@lru_cache(maxsize=3)
def continuations(split: str) -> list[Item]:
    """PAIRS prefixes, each with what follows and with what follows as far into another text of that source."""
    long = [(source, ids) for source, ids in encoded(split) if len(ids) >= PREFIX + AFTER]
    rng, items = random.Random(split), []
    for source, ids in rng.sample(long, min(PAIRS, len(long))):
        other = rng.choice([text for kind, text in long if kind == source and text is not ids] or [long[0][1]])
        options = [text[PREFIX : PREFIX + AFTER] for text in (ids, other)]
        items.append((ids[:PREFIX], options, 0))
    return items


# Tasks in prompts


@lru_cache(maxsize=1)
def materials() -> dict[str, list[str]]:
    """What lists are made of, one token each: two halves of the common words, those with a capital, and letters."""
    words = Counter(word for d in documents()["train"] for word in d.text.split() if word.isalpha())
    common = [word for word, _ in words.most_common() if len(word) >= 3]
    one = lambda names: [name for name in names if len(tokenizer().encode(f" {name}")) == 1]
    words = one(word for word in common if word.islower())
    return {
        "word": words[::2],
        "new-word": words[1::2],
        "name": one(word for word in common if word.istitle()),
        "letter": one("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    }


@lru_cache(maxsize=12)
def labelled(task: str, split: str) -> dict[str, list[str]]:
    """Texts of each label."""
    if task == "kind":
        story = [d.text for d in documents()[split] if d.source != "wikipedia"]
        return {"story": story, "article": [d.text for d in documents()[split] if d.source == "wikipedia"]}
    if task == "headline":
        rows = [json.loads(line) for line in fetch("sarcasm").read_text(encoding="utf-8").splitlines() if line.strip()]
        rows = sorted({(row["input"][1]["content"], row["ideal"]) for row in rows})
        random.Random(0).shuffle(rows)
        n = len(rows) // 10
        rows = {"train": rows[2 * n :], "choose": rows[:n], "report": rows[n : 2 * n]}[split]
        return {
            "serious": [text for text, is_it in rows if is_it == "0"],
            "funny": [t for t, is_it in rows if is_it == "1"],
        }
    rated = split_ratings(rated_texts(task.split()[0]))[split]
    return {"good": [t.text for t in rated if t.mean >= 1], "bad": [t.text for t in rated if t.mean <= -1]}


QUESTIONS = {
    "kind": "story or article?",
    "headline": "serious or funny?",
    "film review": "good or bad?",
    "product review": "good or bad?",
}


def item(task: str, split: str, rng: random.Random) -> Item:
    """One question of a task, asked before or behind what it is about; two answers for texts, three for lists."""
    if task in QUESTIONS:
        texts, question = labelled(task, split), QUESTIONS[task]
        right = rng.choice(options := list(texts))
        ids = tokenizer().encode(rng.choice(texts[right]))
        at = rng.randrange(max(1, len(ids) - SHOWN)) if task == "kind" else 0  # a text's beginning would tell too much
        about = f"{'text' if task == 'kind' else task}: {tokenizer().decode(ids[at : at + SHOWN])}"
    else:
        material, operation = task.split()
        listed, material = rng.sample(materials()[material], 4), material.removeprefix("new-")
        at = {"first": 0, "last": 3}.get(operation, rng.randrange(1, 4))
        question = f"{operation} {listed[at - 1]}?" if operation == "after" else f"{operation} {material}?"
        right = listed[at]
        others = [each for i, each in enumerate(listed) if i != at and not (operation == "after" and i == at - 1)]
        options = rng.sample([right, *rng.sample(others, 2)], 3)
        about = f"{material}s: {' '.join(listed)}"
    asked = [question, about] if rng.random() < 0.5 else [about, question]
    read = tokenizer().encode(f"{' '.join(asked)} =")
    return read, [tokenizer().encode(f" {option}") for option in options], options.index(right)


@lru_cache(maxsize=40)
def asked(task: str, split: str) -> list[Item]:
    rng = random.Random(f"{task} {split}")
    return [item(task, split, rng) for _ in range(ITEMS)]


# Models


def build(way: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    std = 0.02 * (768 / WIDTH) ** 0.5
    config = ModelConfig(VOCABULARY, LAYERS, WIDTH, HEADS, d_ff=INNER, max_seq_len=2 * CONTEXT, init_std=std)
    return EncoderDecoder(EncoderDecoderConfig(config)) if way.startswith("encoder") else Decoder(config)


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def predictions(model: nn.Module, way: str, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
    """For every token to be written its logits, the token, and the number of its pair."""
    end = marks()[0]
    if way.startswith("encoder"):
        source = padded([read for read, _ in pairs], -1)
        targets = padded([written for _, written in pairs], IGNORE)
        real, ids = source >= 0, padded([[end, *written[:-1]] for _, written in pairs], end)
        h = model.hidden(ids, source=model.encode(source.clamp(min=0), real), source_mask=real)
    else:
        ids = padded([[*read, *written[:-1]] for read, written in pairs], end)
        targets = padded([[*[IGNORE] * (len(read) - 1), *written] for read, written in pairs], IGNORE)
        prefix = torch.tensor([len(read) for read, _ in pairs]) if way == "prefix decoder" else None
        h = model.hidden(ids, prefix=prefix)
    rows, _ = torch.nonzero(targets != IGNORE, as_tuple=True)
    return model.head(h[targets != IGNORE]), targets[targets != IGNORE], rows


def operations(way: str, pairs: Sequence[Pair]) -> float:
    """Of an update on these pairs: two for each multiplication of a matrix product, three times for both directions."""
    rows, scored = len(pairs), sum(len(written) for _, written in pairs)
    block, square = 4 * WIDTH**2 + 3 * WIDTH * INNER, WIDTH**2
    if way.startswith("encoder"):
        s, t = max(len(read) for read, _ in pairs), max(len(written) for _, written in pairs)
        encoder = s * block + 2 * WIDTH * s * s
        decoder = t * (block + 2 * square) + s * 2 * square + 2 * WIDTH * t * (t + s)
        layers = LAYERS * (encoder + decoder)
    else:
        t = max(len(read) + len(written) for read, written in pairs) - 1
        layers = LAYERS * (t * block + 2 * WIDTH * t * t)
    return 6.0 * (rows * layers + scored * WIDTH * VOCABULARY)


def train(model: nn.Module, way: str, draw: Callable[[float], list[Pair]], budget: float, rate: float) -> dict:
    """Until the operations are spent; the rate falls with them. draw: from the share spent to a batch."""
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "blocks" in name)]
    steppers = (
        (Muon(hidden, lr=rate, weight_decay=0.0), rate),
        (AdamW(rest, lr=rate / 2, betas=(0.8, 0.95), weight_decay=0.0), rate / 2),
    )
    spent, updates, written, began = 0.0, 0, 0, time.process_time()
    model.train()
    while spent < budget:
        pairs = draw(spent / budget)
        scale = min(1.0, (spent / budget + 0.005) / WARMUP, 1 - spent / budget)
        logits, targets, _ = predictions(model, way, pairs)
        loss = F.cross_entropy(logits, targets)
        for optimizer, lr in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = lr * scale
        loss.backward()
        for optimizer, _ in steppers:
            optimizer.step()
        spent, updates, written = spent + operations(way, pairs), updates + 1, written + len(targets)
    return {"updates": updates, "predicted": written, "seconds": round(time.process_time() - began, 1)}


def reading(way: str, seed: int) -> Callable[[float], list[Pair]]:
    """Stage 1: the way's own objective on windows, none of them twice while they last."""
    rng, rows = random.Random(seed), windows()
    order: list[int] = []
    sentinels = marks()[1]

    def draw(share: float) -> list[Pair]:
        if len(order) < ROWS:
            order[:] = rng.sample(range(len(rows)), len(rows))
        texts = [rows[order.pop()].tolist() for _ in range(ROWS)]
        if way == "causal decoder":
            return [(text[:1], text[1:]) for text in texts]
        if way == "encoder-decoder, spans" and share < 1 - ADAPTED:
            return [corrupt_spans(text, sentinels, rng=rng) for text in texts]
        at = rng.randint(CONTEXT // 4, 3 * CONTEXT // 4)  # one cut for an update, so that nothing is padded
        return [(text[:at], text[at:]) for text in texts]

    return draw


def tuning(seed: int) -> Callable[[float], list[Pair]]:
    """Stage 2: the trained tasks, equally often, answers of like length of question together."""

    def endless() -> Iterator[list[Pair]]:
        rng = random.Random(seed)
        while True:
            pairs = []
            for _ in range(8 * 2 * ROWS):
                read, options, right = item(rng.choice(TRAINED), "train", rng)
                pairs.append((read, options[right]))
            pairs.sort(key=lambda pair: len(pair[0]))
            groups = [pairs[i : i + 2 * ROWS] for i in range(0, len(pairs), 2 * ROWS)]
            rng.shuffle(groups)
            yield from groups

    source = endless()
    return lambda share: next(source)


# Judging


@torch.inference_mode()
def nats(model: nn.Module, way: str, pairs: Sequence[Pair]) -> list[float]:
    """Of each text to be written, after what is read, the sum over its tokens."""
    model.eval()
    order, found = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0])), torch.zeros(len(pairs))
    for begin in range(0, len(order), 64):
        some = order[begin : begin + 64]
        logits, targets, rows = predictions(model, way, [pairs[i] for i in some])
        found.index_add_(0, torch.tensor(some)[rows], F.cross_entropy(logits, targets, reduction="none"))
    return found.tolist()


def right(model: nn.Module, way: str, items: Sequence[Item]) -> tuple[list[int], list[float]]:
    """Whether the likeliest answer of each item is the right one, and the nats of that."""
    found = iter(nats(model, way, [(read, option) for read, options, _ in items for option in options]))
    each = [[next(found) for _ in options] for _, options, _ in items]
    return [int(min(n) == n[at]) for n, (_, _, at) in zip(each, items)], [n[at] for n, (_, _, at) in zip(each, items)]


def judge(model: nn.Module, way: str, split: str = "report") -> dict:
    """Nats per byte of continuations, and which items of every task are answered rightly, as a text of 0 and 1."""
    items = continuations(split)
    chosen, costs = right(model, way, items)
    size = sum(len(tokenizer().decode_bytes(options[at])) for _, options, at in items)
    answers = {"continuation": chosen} | {task: right(model, way, asked(task, split))[0] for task in TRAINED + HELD_OUT}
    return {
        "nats_per_byte": round(sum(costs) / size, 4),
        "right": {task: "".join(map(str, each)) for task, each in answers.items()},
    }


def mean_right(judged: dict, tasks: Sequence[str]) -> float:
    return round(float(np.mean([judged["right"][task].count("1") / len(judged["right"][task]) for task in tasks])), 4)


def run(way: str, seed: int, first_rates: Sequence[float], second_rates: Sequence[float]) -> dict:
    """Both stages of one contender, judged after each; without rates for the first, tuning begins from random weights.

    Of several rates the best on the choose split counts: by the nats of continuations, then by the trained tasks.
    """
    model, items = build(way, seed), continuations("choose")
    result: dict = {"way": way, "seed": seed, "parameters": sum(p.numel() for p in model.parameters())}
    result["tried"] = {"first": [], "second": []}
    best, start = -float("inf"), model
    for rate in first_rates:
        counts = train(read := copy.deepcopy(start), way, reading(way, seed), FIRST, rate)
        value = -sum(right(read, way, items)[1]) / len(items) / AFTER
        result["tried"]["first"].append({"rate": rate, "nats_per_token": round(-value, 4)})
        if value > best:
            best, model, result["first"] = value, read, counts | {"rate": rate}
    if first_rates:
        result["first"] |= judge(model, way)
    best = -float("inf")
    for rate in second_rates:
        counts = train(tuned := copy.deepcopy(model), way, tuning(100 + seed), SECOND, rate)
        value = float(np.mean([np.mean(right(tuned, way, asked(task, "choose"))[0]) for task in TRAINED]))
        result["tried"]["second"].append({"rate": rate, "right": round(value, 4)})
        if value > best:
            best, result["second"] = value, counts | {"rate": rate} | judge(tuned, way)
    return result


# Intervals


def summary(runs: Sequence[dict], stage: str) -> list[dict]:
    """Of each contender the means over items and seeds with intervals over items, and each seed's own value."""
    groups = {"continuation": ["continuation"], "trained": TRAINED, "held_out": HELD_OUT}
    groups |= {"lists_trained": TRAINED[3:], "new_words": NEW_WORDS, "names": NAMES, "texts_trained": TRAINED[:3]}
    groups |= {task: [task] for task in TRAINED + HELD_OUT}
    out = []
    for way in dict.fromkeys(each["way"] for each in runs):
        mine = [each[stage] for each in runs if each["way"] == way]
        entry: dict = {"way": way, "nats_per_byte": [each["nats_per_byte"] for each in mine]}
        for name, tasks in groups.items():
            table = scores(mine, tasks)
            entry[name] = [round(value, 3) for value in (*bootstrap_interval(table), *table.mean(0))]
        out.append(entry)
    return out


def scores(judged: Sequence[dict], tasks: Sequence[str]) -> np.ndarray:
    """(items, seeds) of 0 and 1."""
    return np.array([[int(c) for task in tasks for c in each["right"][task]] for each in judged]).T


def differences(runs: Sequence[dict], stage: str) -> list[dict]:
    """Each contender against the causal decoder on the same items."""
    by_way = {way: [each[stage] for each in runs if each["way"] == way] for way in WAYS}
    out = []
    for way in WAYS[1:]:
        entry: dict = {"way": way}
        groups = {"continuation": ["continuation"], "trained": TRAINED, "held_out": HELD_OUT, "new_words": NEW_WORDS}
        for name, tasks in groups.items():
            found = compare(scores(by_way[WAYS[0]], tasks), scores(by_way[way], tasks))
            entry[name] = [round(value, 3) for value in found[:3]]
        out.append(entry)
    return out


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("architecture_families", script=__file__, modules=MODULES, seeds=SEEDS)
    runs, scratch, chosen = [], [], {}
    for seed in SEEDS:
        for way in WAYS:
            first, second = chosen.get(way, (FIRST_RATES, SECOND_RATES))
            runs.append(experiment.once(f"{way}, seed {seed}", run, way, seed, first, second))
            chosen.setdefault(way, ([runs[-1]["first"]["rate"]], [runs[-1]["second"]["rate"]]))
            report(runs[-1])
    for way in (WAYS[0], WAYS[2]):
        key = f"{way} from scratch, seed {SEEDS[0]}"
        scratch.append(experiment.once(key, run, way, SEEDS[0], [], SECOND_RATES))
        report(scratch[-1])
    counts = ("rate", "updates", "predicted", "seconds")
    experiment.save(
        {
            "tasks": {"trained": TRAINED, "held_out": HELD_OUT, "items": ITEMS, "pairs": len(continuations("report"))},
            "chance": {"continuation": 0.5, "texts": 0.5, "lists": round(1 / 3, 3)},
            "operations": [FIRST, SECOND],
            "tried": [{"way": each["way"], **each["tried"]} for each in [*runs[: len(WAYS)], *scratch]],
            "runs": [
                {key: each[key] for key in ("way", "seed", "parameters")}
                | {stage: {count: each[stage][count] for count in counts} for stage in ("first", "second")}
                for each in runs
            ],
            "columns": ["mean", "low", "high", *(f"seed {seed}" for seed in SEEDS)],
            "first": summary(runs, "first"),
            "second": summary(runs, "second"),
            "scratch": summary(scratch, "second"),
            "against_causal": {stage: differences(runs, stage) for stage in ("first", "second")},
        }
    )


def report(result: dict) -> None:
    """A line on the way."""
    for stage in ("first", "second"):
        if stage in result:
            each = result[stage]
            means = {
                k: mean_right(each, v)
                for k, v in (("trained", TRAINED), ("held out", HELD_OUT), ("continuation", ["continuation"]))
            }
            print(result["way"], result["seed"], stage, each["seconds"], each["nats_per_byte"], means, flush=True)


if __name__ == "__main__":
    main()
