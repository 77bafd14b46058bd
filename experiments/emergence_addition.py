"""Record how addition comes to small Transformers, digit by digit, by training and by size, for lecture 09.

    python experiments/emergence_addition.py

Two numbers of three digits, the sum of four written from its first digit on, no steps between. On problems that were
not trained on, over training: whether the whole sum is right, which digits are, and the nats of each. A curve is sharp
if it goes from a tenth of its way to nine tenths in a short stretch of training: for the whole sum, for each digit and
its nats, and for what the digits' accuracies give if they were independent. Three widths, three seeds. Three minutes of
one free core.
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

SEEDS, WIDTHS, SHOWN = (0, 1, 2), (16, 32, 64), 64
DIGITS, BATCH, UPDATES, RATE, TESTED = 3, 128, 400, 0.02, 500
PLUS, EQUALS, EVERY = 10, 11, 10
PLACES = ("thousands", "hundreds", "tens", "units")


def write(a: Tensor, b: Tensor) -> Tensor:
    """(n, 3 + 1 + 3 + 1 + 4): both numbers and their sum with leading zeros."""
    digits = lambda number, n: torch.stack([number // 10**k % 10 for k in reversed(range(n))], 1)
    sign = lambda token: torch.full((len(a), 1), token)
    return torch.cat([digits(a, DIGITS), sign(PLUS), digits(b, DIGITS), sign(EQUALS), digits(a + b, DIGITS + 1)], 1)


def held_out() -> Tensor:
    """The tested pairs (500, 2)."""
    return torch.randint(10**DIGITS, (TESTED, 2), generator=torch.Generator().manual_seed(70_000))


def run(width: int, seed: int, updates: int = UPDATES) -> dict:
    """One model; a row for every evaluation: updates, share right, shares of digits, nats of digits."""
    tested = held_out()
    key = lambda pair: pair.min(1).values * 10**DIGITS + pair.max(1).values
    apart, problems = key(tested), write(*tested.T)
    model = Transformer(
        ModelConfig(
            12, 2, width, 4, max_seq_len=12, position="learned", mlp="relu2", qk_norm=True, tie_embeddings=False
        )
    )
    model.init_weights(torch.Generator().manual_seed(seed))
    settings = TrainConfig(
        optimizer="muon", lr=RATE, embedding_lr=RATE, head_lr=RATE / 2, vector_lr=RATE / 2, weight_decay=0.0
    )
    optimizers, rng, rows = build_optimizers(model, settings), torch.Generator().manual_seed(80_000 + seed), []
    answers = lambda rows: model.head(model.hidden(rows[:, :-1])[:, -DIGITS - 1 :])
    for update in range(updates + 1):
        if update % EVERY == 0:
            with torch.no_grad():
                logits, truth = answers(problems), problems[:, -DIGITS - 1 :]
            right, nats = logits.argmax(-1) == truth, F.cross_entropy(logits.mT, truth, reduction="none")
            mean = lambda values: [round(v, 4) for v in values.double().mean(0).tolist()]
            rows.append([update, mean(right.all(1)[:, None])[0], mean(right), mean(nats)])
        if update == updates:
            break
        pair = torch.randint(10**DIGITS, (BATCH, 2), generator=rng)
        pair = pair[~torch.isin(key(pair), apart)]
        batch = write(*pair.T)
        F.cross_entropy(answers(batch).mT, batch[:, -DIGITS - 1 :]).backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                first = group.setdefault("first", group["lr"])
                group["lr"] = first * min(1.0, (update + 1) / 20, 2 * (1 - update / updates))
            optimizer.step()
            optimizer.zero_grad()
    print(width, seed, rows[-1], flush=True)
    return dict(width=width, seed=seed, parameters=sum(p.numel() for p in model.parameters()), rows=rows)


def measures(rows: list[list]) -> dict[str, np.ndarray]:
    """A curve for each measure: digits are named by their place, "units" last."""
    digits, nats = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
    curves = {"whole sum": np.array([row[1] for row in rows]), "mean digit": digits.mean(1)}
    curves |= {"product of digits": digits.prod(1), "power of mean digit": digits.mean(1) ** digits.shape[1]}
    curves |= {f"{place}, right": digits[:, i] for i, place in enumerate(PLACES)}
    return curves | {"nats": nats.sum(1)} | {f"{place}, nats": nats[:, i] for i, place in enumerate(PLACES)}


def stretch(curve: np.ndarray) -> list[float]:
    """Updates after which a tenth and nine tenths of the way from the first to the last value are gone."""
    way = (curve - curve[0]) / ((curve[-1] - curve[0]) or 1.0)
    return [int(np.argmax(way >= share)) * EVERY for share in (0.1, 0.9)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = ["llmlib.model.transformer", "llmlib.train.muon", "llmlib.train.parameter_groups"]
    experiment = Experiment("emergence_addition", script=__file__, modules=modules, seeds=SEEDS)
    runs = [experiment.once(f"width {w}, seed {s}", run, w, s) for w in WIDTHS for s in SEEDS]
    for kept in runs:
        curves = measures(kept["rows"])
        kept["stretch"] = {name: stretch(curve) for name, curve in curves.items()}
        kept["end"] = {name: round(float(curve[-1]), 4) for name, curve in curves.items()}
        rows = kept.pop("rows")
        if kept["width"] == SHOWN:
            kept["right"] = [row[1] for row in rows]
            kept["digits"], kept["nats"] = ([[round(v, 3) for v in row[i]] for row in rows] for i in (2, 3))
    experiment.save(dict(places=PLACES, every=EVERY, updates=UPDATES, tested=TESTED, shown=SHOWN, runs=runs))


if __name__ == "__main__":
    main()
