"""Record how well small Transformers recall facts against how often each was mentioned, for lecture 09.

    python experiments/long_tail_facts.py

A fact is a row of three tokens: a first name, a surname, an answer drawn at random; 1,024 people, so nothing but memory
helps. The fact of rank r is mentioned `rarest * 1024 / r` times in a stream that is read once. Who gets which rank is
dealt at random, hence whatever depends on mentions is their effect (Kandpal et al., 2023, have a correlation); a second
deal to the same people is the counterfactual. The rarest tenth against the model's width, once with the same mentions
for all and once with the same compute for all; lines through the smaller widths are extrapolated to two larger
ones, trained afterwards. Rates are chosen for each width on a seed of their own. Four minutes of one free core.
"""

import argparse
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig
from llmlib.train.parameter_groups import build_optimizers

FIRST, LAST, ANSWERS = 32, 32, 64
PEOPLE = FIRST * LAST
SEEDS, TUNING = (0, 1, 2), 99
RAREST = 8  # mentions of the rarest fact
REFERENCE, SHOWN = 24, 16  # the width that sets the compute; the one, which is looked into
FITTED, TARGETS = (12, 16, 24, 32), (48, 64)
CONDITIONS, RATES, BATCHES = ("mentions", "compute"), (0.015, 0.04, 0.1), {"mentions": 256, "compute": 128}


def facts(seed: int) -> tuple[Tensor, Tensor]:
    """Tokens of the names (people, 2) and the answers (people,)."""
    names = torch.stack([torch.arange(PEOPLE) // LAST, FIRST + torch.arange(PEOPLE) % LAST], 1)
    rng = torch.Generator().manual_seed(10_000 + seed)
    return names, FIRST + LAST + torch.randint(ANSWERS, (PEOPLE,), generator=rng)


def deal(rarest: float, seed: int, zipf: float = 1.0) -> Tensor:
    """Mentions of each person: a power of the rank, the rank dealt at random. zipf 0: as many in all, even."""
    ranks = torch.arange(1, PEOPLE + 1)
    counts = rarest * PEOPLE / ranks
    if zipf == 0:
        counts = counts.mean().expand(PEOPLE)
    order = torch.randperm(PEOPLE, generator=torch.Generator().manual_seed(20_000 + seed))
    mentions = torch.empty(PEOPLE, dtype=torch.long)
    mentions[order] = counts.round().long().clamp(min=1)
    return mentions


def new_model(width: int, seed: int) -> Transformer:
    model = Transformer(
        ModelConfig(
            FIRST + LAST + ANSWERS, 1, width, 2, max_seq_len=3, position="learned", mlp="relu", tie_embeddings=False,
        )
    )  # fmt: skip
    model.init_weights(torch.Generator().manual_seed(seed))
    return model


def size(width: int) -> int:
    """Parameters that compute: all but the embeddings, which are looked up."""
    model = new_model(width, 0)
    return sum(p.numel() for n, p in model.named_parameters() if "embedding" not in n)


def optimizers_of(model: Transformer, rate: float) -> list:
    settings = TrainConfig(
        optimizer="muon", lr=rate, embedding_lr=rate, head_lr=rate / 2, vector_lr=rate / 2, weight_decay=0.0
    )
    return build_optimizers(model, settings)


def train(width: int, rate: float, batch: int, mentions: Tensor, seed: int) -> Transformer:
    """One pass over a shuffled stream of all mentions; the rates fall over its second half."""
    names, answers = facts(seed)
    stream = torch.repeat_interleave(torch.arange(PEOPLE), mentions)
    stream = stream[torch.randperm(len(stream), generator=torch.Generator().manual_seed(30_000 + seed))]
    model = new_model(width, seed)
    optimizers, updates = optimizers_of(model, rate), math.ceil(len(stream) / batch)
    for update, who in enumerate(stream.split(batch)):
        logits = model.head(model.hidden(names[who])[:, -1])
        F.cross_entropy(logits, answers[who]).backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                first = group.setdefault("first", group["lr"])
                group["lr"] = first * min(1.0, (update + 1) / 20, 2 * (1 - update / updates))
            optimizer.step()
            optimizer.zero_grad()
    return model


@torch.no_grad()
def recall(model: Transformer, seed: int) -> tuple[Tensor, Tensor]:
    """For each person whether the answer of highest probability is right, and the nats of the right one."""
    names, answers = facts(seed)
    logits = model.head(model.hidden(names)[:, -1])
    return (logits.argmax(-1) == answers).float(), F.cross_entropy(logits, answers, reduction="none")


def by_tenths(values: Tensor, mentions: Tensor) -> list[float]:
    """Means over tenths of the people, the most mentioned first."""
    order = mentions.argsort(descending=True, stable=True)
    return [round(values[part].mean().item(), 3) for part in order.tensor_split(10)]


def rarest_for(condition: str, width: int) -> float:
    """Mentions of the rarest fact: the same for all widths, or as many as the compute of REFERENCE pays for."""
    return RAREST if condition == "mentions" else RAREST * size(REFERENCE) / size(width)


def tune(condition: str, width: int) -> dict:
    """All rates on a seed of their own; the one with most right over all people, rare or not."""
    rarest, batch, tried = rarest_for(condition, width), BATCHES[condition], []
    for rate in RATES:
        right, _ = recall(train(width, rate, batch, deal(rarest, TUNING), TUNING), TUNING)
        tried.append([rate, round(right.mean().item(), 4)])
    best = max(tried, key=lambda row: row[1])
    print(condition, width, tried, flush=True)
    return dict(rate=best[0], batch=batch, tried=tried)


def measure(condition: str, width: int, setting: dict, seed: int) -> dict:
    mentions = deal(rarest_for(condition, width), seed)
    model = train(width, setting["rate"], setting["batch"], mentions, seed)
    right, nats = recall(model, seed)
    order = mentions.argsort(descending=True, stable=True)
    run = dict(
        condition=condition, width=width, parameters=size(width), seed=seed, rarest=int(mentions.min()),
        stream=int(mentions.sum()), all=round(right.mean().item(), 3), tenths=by_tenths(right, mentions),
        tail_nats=round(nats[order.tensor_split(10)[-1]].mean().item(), 3),
    )  # fmt: skip
    print(run, flush=True)
    return run


def by_count(width: int, setting: dict, seed: int) -> list[list[float]]:
    """Least mentions of a group, people in it, mean right: groups whose mentions lie within a factor of two."""
    mentions = deal(RAREST, seed)
    right, _ = recall(train(width, setting["rate"], setting["batch"], mentions, seed), seed)
    octave = (mentions.double() / RAREST).log2().floor().long()
    rows = [(RAREST * 2**k, octave == k) for k in range(int(octave.max()) + 1)]
    return [[least, int(who.sum()), round(right[who].mean().item(), 3)] for least, who in rows if who.any()]


def dealt_again(width: int, setting: dict, seed: int) -> dict:
    """The same people, facts and first weights under two deals of the mentions, and with even mentions."""
    found, deals = {}, [deal(RAREST, seed), deal(RAREST, 500 + seed)]
    rights = [recall(train(width, setting["rate"], setting["batch"], m, seed), seed)[0] for m in deals]
    rank = lambda m: m.argsort().argsort().double()
    for name, here in (("rarest", slice(-PEOPLE // 10, None)), ("commonest", slice(0, PEOPLE // 10))):
        who = deals[0].argsort(descending=True, stable=True)[here]
        found[name] = [round(right[who].mean().item(), 3) for right in rights]
    rare = deals[0].argsort(stable=True)[: PEOPLE // 2]
    risen = rare[deals[1][rare] >= deals[1].sort().values[-PEOPLE // 4]]
    found["rare half, then commonest quarter"] = [len(risen), *[round(r[risen].mean().item(), 3) for r in rights]]
    with_own = [torch.corrcoef(torch.stack([rank(m), r.double()]))[0, 1].item() for m, r in zip(deals, rights)]
    with_other = [torch.corrcoef(torch.stack([rank(m), r.double()]))[0, 1].item() for m, r in zip(deals[::-1], rights)]
    found["correlation with own mentions"] = round(sum(with_own) / 2, 3)
    found["correlation with the other deal's"] = round(sum(with_other) / 2, 3)
    even = deal(RAREST, seed, zipf=0)
    right, _ = recall(train(width, setting["rate"], setting["batch"], even, seed), seed)
    found |= dict(seed=seed, dealt=round(rights[0].mean().item(), 3), even=round(right.mean().item(), 3))
    found["even mentions"] = int(even[0])
    print(found, flush=True)
    return found


def tails(runs: list[dict], condition: str, width: int) -> list[float]:
    return [run["tenths"][-1] for run in runs if (run["condition"], run["width"]) == (condition, width)]


def extrapolate(runs: list[dict], condition: str, target: int, times: int = 2000) -> dict:
    """The rarest tenth at a width that was not fitted, by a line against log parameters and by one in the log-odds.

    Interval: 95 % of fits to resampled seeds and people, with the spread of one run's own people added.
    """
    rng, people = np.random.default_rng(0), PEOPLE // 10
    x, at = np.log([size(width) for width in FITTED]), np.log(size(target))
    found = {}

    def predict(y: np.ndarray, form: str) -> float:
        if form == "line":
            return float(np.clip(np.polyval(np.polyfit(x, y, 1), at), 0, 1))
        y = np.clip(y, 0.5 / people, 1 - 0.5 / people)
        return float(1 / (1 + np.exp(-np.polyval(np.polyfit(x, np.log(y / (1 - y)), 1), at))))

    kept = [np.array(tails(runs, condition, width)) for width in FITTED]
    for form in ("line", "log-odds"):
        draws = []
        for _ in range(times):
            y = np.array([rng.binomial(people, rng.choice(t, len(t))).mean() / people for t in kept])
            draws.append(rng.binomial(people * len(SEEDS), predict(y, form)) / (people * len(SEEDS)))
        low, high = np.quantile(draws, [0.025, 0.975])
        found[form] = [round(v, 3) for v in (predict(np.array([t.mean() for t in kept]), form), low, high)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = ["llmlib.model.transformer", "llmlib.train.muon", "llmlib.train.parameter_groups"]
    experiment = Experiment("long_tail_facts", script=__file__, modules=modules, seeds=(*SEEDS, TUNING))
    once = experiment.once
    runs, settings, predicted = [], {}, {}
    again = counts = None
    for widths in (FITTED, TARGETS):
        for condition in CONDITIONS:
            if widths is TARGETS:  # written down before any of them is trained
                for width in TARGETS:
                    key = f"{condition}, width {width}"
                    predicted[key] = once(f"predicted, {key}", extrapolate, runs, condition, width)
                    print(key, predicted[key], flush=True)
            for width in widths:
                key = f"{condition}, width {width}"
                settings[key] = once(f"tuning, {key}", tune, condition, width)
                runs += [once(f"{key}, seed {s}", measure, condition, width, settings[key], s) for s in SEEDS]
        if again is None:
            best = settings[f"mentions, width {SHOWN}"]
            again = [once(f"dealt again, seed {s}", dealt_again, SHOWN, best, s) for s in SEEDS]
            counts = [once(f"by count, seed {s}", by_count, SHOWN, best, s) for s in SEEDS]
    sizes = dict(people=PEOPLE, answers=ANSWERS, rarest=RAREST, fitted=FITTED, targets=TARGETS, shown=SHOWN,
                 reference=REFERENCE)  # fmt: skip
    experiment.save(
        dict(**sizes, settings=settings, runs=runs, predicted=predicted, dealt_again=again, by_count=counts)
    )


if __name__ == "__main__":
    main()
