"""Record what experiments/transfer.py leaves open, for lecture 10: `python experiments/transfer_more.py sizes`.

One recording for each part. sizes: 1,000 and 5,000 labels. longer: the small sizes after three times as much
pre-training; lstm: for an LSTM that was pre-trained as the decoder was. packed: pre-training on headlines one after
another in rows of 60 tokens, and where the answer is read then: at the end mark a model of packed text predicts the
next headline's start, whatever the last one said. reviews: snippets of film reviews that people rated as clearly good
or clearly bad, 300 labels, the decoder pre-trained on other snippets, on headlines, on Wikipedia, and not at all.
pairs: which of two headlines is the joke, 150 pairs: as one row of both, and GPT-1's way for multiple choice, a row
for each.

Five seeds for packed and for 1,000 labels, three elsewhere; every contender's rate is the best of three on the choose
split. Three to ten minutes of a core each.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transfer import (
    AUXILIARY,
    CHOOSING,
    DROPOUT,
    HEAD_FACTOR,
    LIMIT,
    PENALTIES,
    RATES,
    ROWS,
    SIZES,
    TUNING,
    UPDATES,
    bag_of_words,
    config,
    form,
    held_out_loss,
    ids_of,
    labels_of,
    mark,
    packed,
    pretrain,
    pretrained,
    right,
    summary,
    tuned,
    unpacked,
)

from llmlib.data import (
    Experiment,
    Headline,
    TaskTokens,
    choice_rows,
    draw_per_class,
    headlines,
    pad_rows,
    pair_row,
    rated_texts,
    split_ratings,
)
from llmlib.model import Classifier
from llmlib.train import AdamW

SEEDS, FIVE = (0, 1, 2), (0, 1, 2, 3, 4)
LONGER, LARGE, PACKED_ROW, PAIRS, ASKED_PAIRS = 1500, {1000: 300, 5000: 800}, 60, 150, 900
CLEAR = 1.0  # a review's mean rating from which it counts as good, or below minus that as bad
Rows = list[list[int]]


@lru_cache(maxsize=4)
def trunk_of(text: str, seed: int) -> nn.Module:
    """Those of transfer.py, and "lstm, headlines", "packed" and "reviews", after as many updates of as many tokens.

    "headlines, longer" is the decoder after three times as many.
    """
    if text in ("nothing", "lstm", "headlines", "wikipedia"):
        return pretrained(text, seed)
    texts = reviews()["unlabelled"] if text == "reviews" else headlines("unlabelled")
    ids = ids_of([each.text for each in texts])
    rows = form(ids, "end")
    if text == "packed":
        stream = [token for row in ids for token in (mark("end"), *row)]
        rows = [stream[i : i + PACKED_ROW] for i in range(0, len(stream) - PACKED_ROW, PACKED_ROW)]
    size = ROWS
    if text in ("packed", "reviews"):  # as many tokens an update as with headlines
        length = np.mean([len(row) for row in form(ids_of([each.text for each in headlines("unlabelled")]), "end")])
        size = round(ROWS * length / np.mean([len(row) for row in rows]))
    updates = LONGER if text == "headlines, longer" else UPDATES
    return pretrain("lstm" if text.startswith("lstm") else "transformer", rows, seed, updates, size)


@lru_cache(maxsize=1)
def reviews() -> dict[str, list[Headline]]:
    """Film snippets as if they were headlines: label 1 for clearly good, 0 for clearly bad; the others are left out."""
    parts = split_ratings(rated_texts("film"))
    unlabelled, train = parts["train"][:5500], parts["train"][5500:]
    clear = lambda some: [Headline(x.text, int(x.mean > 0), 0) for x in some if abs(x.mean) >= CLEAR]
    return {
        "unlabelled": [Headline(x.text.lower(), -1, 0) for x in unlabelled],
        **{name: [Headline(x.text.lower(), x.label, 0) for x in clear(some)]
           for name, some in (("train", train), ("choose", parts["choose"]), ("report", parts["report"]))},
    }  # fmt: skip


def splits_of(task: str) -> Callable[[str], list[Headline]]:
    return (lambda split: reviews()[split]) if task == "reviews" else headlines


# name -> task, text of pre-training, weight of the auxiliary loss, where the answer is read
CONTENDERS = {
    "scratch": ("headlines", "nothing", 0.0, "mean"),
    "lstm": ("headlines", "lstm", 0.0, "mean"),
    "pretrained": ("headlines", "headlines", 0.0, "mean"),
    "auxiliary": ("headlines", "headlines", AUXILIARY, "mean"),
    "pretrained lstm": ("headlines", "lstm, headlines", 0.0, "mean"),
    "pretrained longer": ("headlines", "headlines, longer", 0.0, "mean"),
    "packed, mean": ("headlines", "packed", 0.0, "mean"),
    "packed, extract token": ("headlines", "packed", 0.0, "extract"),
    "packed, end mark": ("headlines", "packed", 0.0, "end"),
    "reviews, scratch": ("reviews", "nothing", 0.0, "mean"),
    "reviews, wikipedia": ("reviews", "wikipedia", 0.0, "mean"),
    "reviews, headlines": ("reviews", "headlines", 0.0, "mean"),
    "reviews, reviews": ("reviews", "reviews", 0.0, "mean"),
}


def run(name: str, n: int, seed: int, setting: float, split: str, trunk_seed: int | None = None) -> np.ndarray:
    """Which texts of the split a contender gets right after n labels."""
    task = "reviews" if name.startswith("reviews") else "headlines"
    part = splits_of(task)
    some, asked = draw_per_class(part("train"), n // 2, seed=seed), part(split)
    texts, questions = [each.text for each in some], [each.text for each in asked]
    if name.endswith("bag of words"):
        odds = bag_of_words(texts, labels_of(some), setting, pairs=True)(questions)
        return (odds > 0) == np.array(labels_of(asked))
    _, text, auxiliary, way = CONTENDERS[name]
    model = tuned(
        trunk_of(text, seed if trunk_seed is None else trunk_seed), form(ids_of(texts), way), labels_of(some),
        rate=setting, updates=LARGE.get(n, TUNING), pooling="mean" if way == "mean" else "last", auxiliary=auxiliary,
        seed=seed,
    )  # fmt: skip
    return right(model, form(ids_of(questions), way), labels_of(asked))


def choose(name: str, n: int) -> dict:
    settings = PENALTIES if name.endswith("bag of words") else RATES
    tried = {s: float(run(name, n, CHOOSING, s, "choose", trunk_seed=SEEDS[0]).mean()) for s in settings}
    return best(tried)


def best(tried: dict[float, float]) -> dict:
    return {"tried": [[s, round(a, 4)] for s, a in tried.items()], "chosen": max(tried, key=tried.get)}


def nats_of(text: str) -> float:
    """Nats a token on headlines, as in transfer.py."""
    rows = form(ids_of([each.text for each in headlines("choose")[:500]]), "end")
    return round(held_out_loss(trunk_of(text, SEEDS[0]), rows), 3)


# --- which of two is the joke? ----------------------------------------------------------------------------------------


def pairs_of(split: str, n: int, seed: int) -> list[tuple[str, str, int]]:
    """n pairs of a joke and an earnest headline, and which of the two is the joke."""
    drawn = draw_per_class(headlines(split), n, seed=seed)
    jokes, earnest = ([each.text for each in drawn if each.label == label] for label in (1, 0))
    rng = random.Random(seed)
    pairs = []
    for joke, other in zip(jokes, earnest):
        which = rng.randrange(2)
        pairs.append((other, joke, 1) if which else (joke, other, 0))
    return pairs


def run_pairs(name: str, seed: int, setting: float, split: str, trunk_seed: int | None = None) -> np.ndarray:
    """name: "pair, headlines", "choice, headlines", "choice, nothing" ..., or "pairs, bag of words"."""
    told, asked = pairs_of("train", PAIRS, seed), pairs_of(split, ASKED_PAIRS, 7)
    which = np.array([answer for _, _, answer in asked])
    if name == "pairs, bag of words":
        texts = [text for pair in told for text in pair[:2]]
        labels = [int(place == answer) for *_, answer in told for place in (0, 1)]
        odds = bag_of_words(texts, labels, setting, pairs=True)
        return (odds([second for _, second, _ in asked]) > odds([first for first, _, _ in asked])) == which
    way, text = name.split(", ")
    trunk = trunk_of(text, seed if trunk_seed is None else trunk_seed)
    marks = TaskTokens(mark("start"), mark("delimiter"), mark("extract"))
    sides = lambda some: [ids_of([pair[i] for pair in some]) for i in (0, 1)]
    if way == "pair":
        rows = lambda some: [pair_row(a[:30], b[:30], marks, LIMIT) for a, b in zip(*sides(some))]
        model = tuned(trunk, rows(told), [pair[2] for pair in told], rate=setting, pooling="last", seed=seed)
        return right(model, rows(asked), which.tolist())
    rows = lambda some: [choice_rows([], [a, b], marks, LIMIT) for a, b in zip(*sides(some))]
    model = tuned_choice(trunk, rows(told), [pair[2] for pair in told], rate=setting, seed=seed)
    with torch.inference_mode():
        scores = [scored(model, rows(asked)[i : i + 128]) for i in range(0, len(asked), 128)]
    return torch.cat(scores).argmax(1).numpy() == which


def scored(model: nn.Module, questions: Sequence[Rows]) -> torch.Tensor:
    """A number for each option: (questions, options)."""
    ids, real = pad_rows([row for question in questions for row in question])
    logits = model(ids, real)
    return (logits[:, 1] - logits[:, 0]).view(len(questions), -1)


def tuned_choice(
    trunk: nn.Module, questions: list[Rows], answers: Sequence[int], *, rate: float, seed: int
) -> nn.Module:
    """As `tuned`, with a softmax over the rows of a question."""
    torch.manual_seed(seed)
    copy = type(trunk)(config(DROPOUT))
    copy.load_state_dict(trunk.state_dict())
    model = Classifier(copy, 2, pooling="last", dropout=DROPOUT).train()
    head = list(model.class_head.parameters())
    body = [w for name, w in copy.named_parameters() if not name.startswith("lm_head")]
    stepper = AdamW([{"params": body}, {"params": head}], lr=rate, weight_decay=0.01)
    rng = random.Random(seed)
    for update in range(TUNING):
        some = rng.sample(range(len(questions)), 16)  # as many rows as elsewhere
        target = torch.tensor([answers[i] for i in some])
        F.cross_entropy(scored(model, [questions[i] for i in some]), target).backward()
        share = min((update + 1) / (0.1 * TUNING), (TUNING - update) / (0.9 * TUNING))
        for group, factor in zip(stepper.param_groups, (1.0, HEAD_FACTOR)):
            group["lr"] = rate * factor * share
        stepper.step()
        stepper.zero_grad()
    return model.eval()


def choose_pairs(name: str) -> dict:
    settings = PENALTIES if name.endswith("bag of words") else RATES
    return best({s: float(run_pairs(name, CHOOSING, s, "choose", trunk_seed=SEEDS[0]).mean()) for s in settings})


# --- the recording ----------------------------------------------------------------------------------------------------

# part -> contenders, and with how many labels
PARTS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "packed": (("packed, mean", "packed, extract token", "packed, end mark"), SIZES[-1:]),
    "sizes": (("bag of words", "scratch", "lstm", "pretrained", "auxiliary"), tuple(LARGE)),
    "longer": (("pretrained longer",), SIZES),
    "lstm": (("pretrained lstm",), SIZES),
    "reviews": (
        ("reviews, scratch", "reviews, bag of words", "reviews, wikipedia", "reviews, headlines", "reviews, reviews"),
        SIZES[-1:],
    ),
}
COMPARED = ("pairs, bag of words", "pair, nothing", "pair, headlines", "choice, nothing", "choice, headlines")


def seeds_of(part: str, n: int) -> tuple[int, ...]:
    return FIVE if part == "packed" or n == 1000 else SEEDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*PARTS, "pairs"])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    part = parser.parse_args().part
    torch.set_num_threads(1)
    modules = [
        "experiments/transfer.py", "llmlib.data.reviews",
        "llmlib.data.headlines", "llmlib.data.task_inputs", "llmlib.model.heads", "llmlib.model.transformer",
        "llmlib.model.attention", "llmlib.model.layers", "llmlib.train.muon", "llmlib.train.adamw", "llmlib.text.bpe",
    ]  # fmt: skip
    experiment = Experiment(
        f"transfer_{part}", script=__file__, modules=modules, seeds=FIVE if part in ("packed", "sizes") else SEEDS
    )

    def once(key: str, compute: Callable, *arguments: object) -> object:
        found = experiment.once(key, compute, *arguments)
        print(key, "" if isinstance(found, str) else found, f"{experiment.seconds:.0f} s", flush=True)
        return found

    if part == "pairs":
        experiment.save(record_pairs(once))
        return
    names, sizes = PARTS[part]
    # rates chosen at 1,000 labels serve 5,000 too, where a trial would cost three times as much
    chosen = {name: once(f"choose {name}", choose, name, min(sizes[-1], 1000)) for name in names}
    nats = {}
    if part in ("packed", "longer", "lstm"):
        text = CONTENDERS[names[0]][1]
        nats = {"nats": once(f"nats a token, {text}", nats_of, text)}
    rows: dict[tuple[str, int], list[np.ndarray]] = {}
    asked = len(splits_of(part)("report"))
    for seed in FIVE:
        for name, n in product(names, sizes):
            if seed in seeds_of(part, n):
                answer = lambda *which: packed(run(*which, "report"))
                found = once(f"{name}, {n} labels, seed {seed}", answer, name, n, seed, chosen[name]["chosen"])
                rows.setdefault((name, n), []).append(unpacked(found, asked))
    accuracy = {name: {str(n): summary(rows[name, n]) for n in sizes} for name in names}
    first = names[0]
    less = {
        name: {str(n): summary([x - y for x, y in zip(rows[name, n], rows[first, n])]) for n in sizes}
        for name in names[1:]
    }
    experiment.save({"asked": asked, "chosen": chosen, "accuracy": accuracy, f"less {first}": less, **nats})


def record_pairs(once: Callable) -> dict:
    chosen = {name: once(f"choose {name}", choose_pairs, name) for name in COMPARED}
    accuracy = {}
    for name in COMPARED:
        answer = lambda *which: packed(run_pairs(*which, "report"))
        found = [once(f"{name}, seed {seed}", answer, name, seed, chosen[name]["chosen"]) for seed in SEEDS]
        accuracy[name] = summary([unpacked(one, ASKED_PAIRS) for one in found])
    return {"asked": ASKED_PAIRS, "told": PAIRS, "chosen": chosen, "accuracy": accuracy}


if __name__ == "__main__":
    main()
