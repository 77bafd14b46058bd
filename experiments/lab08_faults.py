"""Record a correct scaling study and nine faulty ones, one of which lab 08 gives to a student to diagnose.

Every study trains feed-forward language models (the last eight characters embedded, one hidden layer; Bengio et al.,
2003) on tiny Shakespeare: at three budgets of compute five sizes each, one pass, the learning rate down to zero at the
end. One thing is wrong in each faulty study. All numbers come from trainings: studies A, B, C, F, H and I have their
own, D, E and G count or report those of the correct study with another seed in their wrong way.
Run it with `python experiments/lab08_faults.py`; it takes about a minute on one free core.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

FAULTS = {
    "A": "the points are checkpoints from the middle of longer runs",
    "B": "all sizes have the learning rate of the smallest",
    "C": "the text is short and read many times, and every reading counts as new tokens",
    "D": "compute is counted as 2ND",
    "E": "embeddings are counted in the compute and not in the sizes",
    "F": "the held-out text is also part of the training text",
    "G": "the held-out loss is in bits, the training loss in nats",
    "H": "every run has a warm-up of 200 updates, however short it is",
    "I": "the sizes tried are all too large",
}
STUDIES = dict(zip(("c5", "e2", "h8", "k1", "n6", "q3", "t7", "w4", "z9"), "GCIADHBFE", strict=True))
CONTEXT, BATCH, DECAY, HELD_OUT, SHORT = 8, 512, 0.1, 8000, 15000  # the last two in characters
SIZES = {5e8: (8, 12, 16, 24, 48), 1.25e9: (12, 16, 24, 32, 64), 3e9: (16, 24, 32, 48, 96)}
TOO_LARGE = (48, 64, 80, 96, 128)
Study = list[dict]


class Texts:
    """Training and held-out text as windows of nine characters: eight to look at, one to predict."""

    def __init__(self) -> None:
        text = tiny_shakespeare()
        tokenizer = CharTokenizer.from_text(text)
        self.vocab_size = tokenizer.vocab_size
        train, held_out = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
        self.train, self.held_out = (t.unfold(0, CONTEXT + 1, 1) for t in (train, held_out[:HELD_OUT]))


def new_weights(width: int, vocab_size: int, seed: int) -> list[Tensor]:
    """Table (V, e), hidden layer (8 e, h), back to the table's width (h, e); the table is the head too."""
    generator, e = torch.Generator().manual_seed(seed), width // 2
    shapes = ((vocab_size, e), (CONTEXT * e, width), (width, e))
    stds = (e**-0.5, CONTEXT**-0.5, width**-0.5)
    return [(torch.randn(s, generator=generator) * std).requires_grad_() for s, std in zip(shapes, stds)]


def size_of(width: int, vocab_size: int) -> int:
    return vocab_size * (width // 2) + (CONTEXT + 1) * (width // 2) * width


def loss_of(weights: list[Tensor], windows: Tensor) -> Tensor:
    table, hidden, back = weights
    x = torch.tanh(F.embedding(windows[:, :-1], table).flatten(1) @ hidden)
    return F.cross_entropy(x @ back @ table.T, windows[:, -1])


def peak_rate(width: int, fault: str) -> float:
    """The wider the model, the lower; of 0.01, 0.03 and 0.1 the nearest was the best at most widths from 8 to 96."""
    return 2.4 / (8 if fault == "B" else width)


def train(texts: Texts, width: int, stops: list[float], fault: str, seed: int) -> list[dict]:
    """Train one model and report it after each of `stops` tokens, the last of which ends its schedule, except in A."""
    weights = new_weights(width, texts.vocab_size, seed)
    optimizer = torch.optim.AdamW(weights, lr=0.0, betas=(0.9, 0.95), weight_decay=DECAY, fused=True)
    windows = texts.train[:SHORT] if fault == "C" else texts.train
    at = [max(1, round(tokens / BATCH)) for tokens in stops]
    total = 3 * at[-1] if fault == "A" else at[-1]
    warmup = 200 if fault == "H" else max(1, total // 10)
    generator, order, place = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.long), 0
    points, losses, highest = [], [], 0.0
    for step in range(at[-1]):
        if place + BATCH > len(order):
            order, place = torch.randperm(len(windows), generator=generator), 0
        batch = windows[order[place : place + BATCH]]
        place += BATCH
        if fault == "F":  # a quarter of every batch
            again = (torch.arange(BATCH // 4) * 61 + step * (BATCH // 4) * 61) % len(texts.held_out)
            batch = torch.cat([batch[BATCH // 4 :], texts.held_out[again]])
        rate = peak_rate(width, fault) * min(1.0, (step + 1) / warmup) * (1 - step / total)
        highest = max(highest, rate)
        loss = loss_of(weights, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        losses.append(loss.item())
        if step + 1 in at:
            late = losses[-max(1, (step + 1) // 10) :]
            with torch.no_grad():
                held_out = loss_of(weights, texts.held_out).item()
            point = dict(D=(step + 1) * BATCH, held_out=held_out, training=sum(late) / len(late))
            points.append(point | dict(highest_rate=highest, rate_at_the_point=rate))
    return points


def study(texts: Texts, fault: str, seed: int) -> Study:
    """Fifteen points: width, budget, N, D, losses, rates, as they are."""
    points: Study = []
    sizes = dict.fromkeys(SIZES, TOO_LARGE) if fault == "I" else SIZES
    for width in sorted({w for widths in sizes.values() for w in widths}):
        n = size_of(width, texts.vocab_size)
        budgets = [c for c, widths in sizes.items() if width in widths]
        stops = [c / (6 * n) for c in budgets]
        if fault == "A":  # one run, read off at each of the stops
            of_width = train(texts, width, stops, fault, seed)
        else:
            of_width = [train(texts, width, [stop], fault, seed)[0] for stop in stops]
        points += [dict(width=width, budget=c, N=n) | point for c, point in zip(budgets, of_width)]
    return sorted(points, key=lambda p: (p["budget"], p["N"]))


def reported(point: dict, vocab_size: int, fault: str) -> dict:
    """A point as its study writes it down."""
    per_token = 2 if fault == "D" else 6
    n = point["N"] - (vocab_size * (point["width"] // 2) if fault == "E" else 0)
    held_out = point["held_out"] * (1 / math.log(2) if fault == "G" else 1)
    return {
        "budget": point["budget"] * per_token / 6,
        "N": n,
        "D": point["D"],
        "C": per_token * point["N"] * point["D"],
        "held-out": round(held_out, 3),
        "training": round(point["training"], 3),
        "highest rate": float(f"{point['highest_rate']:.3g}"),
        "rate at the point": float(f"{point['rate_at_the_point']:.3g}"),
    }


def main() -> None:
    torch.set_num_threads(1)
    texts = Texts()
    experiment = Experiment("lab08_faults", script=__file__, modules=["llmlib.text.chars"], seeds=(0, 1, 2))
    trained = {"": experiment.once("correct", study, texts, "", 0)}
    trained |= dict.fromkeys("DEG", experiment.once("correct, another seed", study, texts, "", 1))
    trained |= {fault: experiment.once(fault, study, texts, fault, 2) for fault in "ABCFHI"}
    results = {}
    for name, fault in {"correct": "", **STUDIES}.items():
        results[name] = [reported(point, texts.vocab_size, fault) for point in trained[fault]]
        print(name, fault, [(p["N"], p["held-out"], p["training"]) for p in results[name]], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
