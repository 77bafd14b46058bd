"""Record how often small Transformers multiply rightly against how frequent the numbers were, for lecture 09.

    python experiments/long_tail_multiplication.py

Products of a number of two digits and one of one digit, digit by digit. A quarter of the pairs is never trained on. How
often a first number is trained on falls as one over its rank, and the ranks are dealt at random: so what depends on it
is its effect, where Razeghi et al. (2022) have a correlation with the numbers' frequency in a real corpus. Training
pairs and held-out pairs are judged apart, over training, in fifths of the first numbers. Controls: the same fifths of
another deal, on which the model was not trained, and models trained on even frequencies. Two minutes of one free core.
"""

import argparse

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig
from llmlib.train.parameter_groups import build_optimizers

SEEDS = (0, 1, 2, 3)
FIRST, SECOND = torch.arange(10, 100), torch.arange(2, 10)  # 720 pairs
HELD_OUT, WIDTH, BATCH, UPDATES, RATE = 0.25, 48, 128, 500, 0.02
JUDGED = (25, 50, 75, 100, 150, 200, 300, 400, 500)
TIMES, EQUALS, DIGITS = 10, 11, 3


def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Questions (pairs, 5) "4 7 * 6 =", answers (pairs, 3) from the last digit on, index of the first number (pairs,).

    The last digit first, because a carry runs that way: see lecture 16.
    """
    a, b = FIRST.repeat_interleave(len(SECOND)), SECOND.repeat(len(FIRST))
    sign = lambda token: torch.full_like(a, token)
    product = a * b
    answer = torch.stack([product // 10**k % 10 for k in range(DIGITS)], 1)
    return torch.stack([a // 10, a % 10, sign(TIMES), b, sign(EQUALS)], 1), answer, a - FIRST[0]


def deal(seed: int) -> Tensor:
    """A frequency for each first number, one over a rank dealt at random; they add up to one."""
    order = torch.randperm(len(FIRST), generator=torch.Generator().manual_seed(40_000 + seed))
    frequency = torch.empty(len(FIRST), dtype=torch.double)
    frequency[order] = 1 / torch.arange(1, len(FIRST) + 1, dtype=torch.double)
    return frequency / frequency.sum()


def held_out(seed: int) -> Tensor:
    """Which pairs are never trained on: two of each first number's eight, at random."""
    rng = torch.Generator().manual_seed(50_000 + seed)
    rows = torch.rand(len(FIRST), len(SECOND), generator=rng).argsort(1) < HELD_OUT * len(SECOND)
    return rows.flatten()


def new_model(seed: int) -> Transformer:
    model = Transformer(
        ModelConfig(12, 2, WIDTH, 4, max_seq_len=8, position="learned", mlp="relu2", qk_norm=True, tie_embeddings=False)
    )
    model.init_weights(torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def judge(model: Transformer, questions: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each answer is right as a whole, written greedily (pairs,), and its nats, all digits (pairs,)."""
    logits = model(torch.cat([questions, answers[:, :-1]], 1))[:, questions.shape[1] - 1 :]
    right = (logits.argmax(-1) == answers).all(1)  # greedy writing is right just when no digit goes wrong after truth
    return right.float(), F.cross_entropy(logits.mT, answers, reduction="none").sum(1)


def fifths(frequency: Tensor) -> tuple[Tensor, ...]:
    """The first numbers' indices in five parts, the most frequent first."""
    return frequency.argsort(descending=True).tensor_split(5)


def run(seed: int, even: bool) -> list[dict]:
    """One model, judged over training: right pairs of each first number. even: all numbers equally often."""
    questions, answers, first = pairs()
    out, frequency = held_out(seed), deal(seed)
    weight = (torch.ones_like(frequency) if even else frequency)[first] * ~out
    model, rng = new_model(seed), torch.Generator().manual_seed(60_000 + seed)
    settings = TrainConfig(
        optimizer="muon", lr=RATE, embedding_lr=RATE, head_lr=RATE / 2, vector_lr=RATE / 2, weight_decay=0.0
    )
    optimizers, rows = build_optimizers(model, settings), []
    for update in range(UPDATES):
        who = torch.multinomial(weight, BATCH, replacement=True, generator=rng)
        logits = model(torch.cat([questions[who], answers[who, :-1]], 1))[:, questions.shape[1] - 1 :]
        F.cross_entropy(logits.mT, answers[who]).backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                start = group.setdefault("first", group["lr"])
                group["lr"] = start * min(1.0, (update + 1) / 20, 2 * (1 - update / UPDATES))
            optimizer.step()
            optimizer.zero_grad()
        if update + 1 in JUDGED:
            right, nats = judge(model, questions, answers)
            row = dict(updates=update + 1)
            for name, chosen in (("trained", ~out), ("held out", out)):
                table = (right * chosen).view(len(FIRST), -1).sum(1)
                row[name] = "".join(str(int(n)) for n in table)  # how many of a first number's pairs are right
                row[name + " nats"] = [round(nats[chosen & torch.isin(first, p)].mean().item(), 3)
                                       for p in fifths(frequency)]  # fmt: skip
            rows.append(row)
    print(seed, even, [round(sum(map(int, r["trained"])) / int((~out).sum()), 3) for r in rows],
          [round(sum(map(int, r["held out"])) / int(out.sum()), 3) for r in rows], flush=True)  # fmt: skip
    return rows


def summarise(runs: list[list[dict]], seeds: tuple[int, ...], name: str, shift: int = 0, times: int = 2000) -> dict:
    """Means over fifths, and first less last fifth with what 95 % of resampled seeds and numbers give, over training.

    shift: judges by the deals of other seeds, which were not trained on.
    """
    rng, found = np.random.default_rng(0), dict(fifths=[], gap=[], every_seed=[])
    each = round(len(SECOND) * (HELD_OUT if name == "held out" else 1 - HELD_OUT))
    parts = np.array([[p.tolist() for p in fifths(deal(seed + shift))] for seed in seeds])  # (seeds, 5, numbers)
    for k in range(len(JUDGED)):
        rates = np.array([[int(n) / each for n in rows[k][name]] for rows in runs])
        table = np.take_along_axis(rates[:, None], parts, 2)
        means = table.mean(2)
        draws = []
        for _ in range(times):
            chosen = table[rng.integers(0, len(seeds), len(seeds))][:, [0, -1]]
            again = rng.integers(0, table.shape[2], chosen.shape)
            first, last = np.take_along_axis(chosen, again, 2).mean((0, 2))
            draws.append(first - last)
        found["fifths"].append(np.round(means.mean(0), 3).tolist())
        gaps = means[:, 0] - means[:, -1]
        found["gap"].append(np.round([gaps.mean(), *np.quantile(draws, [0.025, 0.975])], 3).tolist())
        found["every_seed"].append(np.round(gaps, 2).tolist())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = ["llmlib.model.transformer", "llmlib.train.muon", "llmlib.train.parameter_groups"]
    experiment = Experiment("long_tail_multiplication", script=__file__, modules=modules, seeds=SEEDS)
    results = {}
    for kind, seeds in (("dealt", SEEDS), ("even", SEEDS[:3])):
        runs = [experiment.once(f"{kind}, seed {seed}", run, seed, kind == "even") for seed in seeds]
        results[kind] = {name: summarise(runs, seeds, name) for name in ("trained", "held out")}
        results[kind]["trained, by another deal"] = summarise(runs, seeds, "trained", shift=500)
        for name in ("trained", "held out"):
            nats = np.mean([[row[name + " nats"] for row in rows] for rows in runs], 0)
            results[kind][name]["nats"] = np.round(nats, 3).tolist()
    share = deal(0).sort(descending=True).values
    sizes = dict(first=len(FIRST), second=len(SECOND), held_out=HELD_OUT, width=WIDTH, batch=BATCH, updates=JUDGED,
                 share=[round(float(part.sum()), 3) for part in share.tensor_split(5)])  # fmt: skip
    experiment.save(dict(**sizes, **results))


if __name__ == "__main__":
    main()
