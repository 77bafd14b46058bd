"""Record a correct training run and nine faulty ones, one of which lab 07 gives to a student to diagnose.

Every run trains a small GPT on single lines of Shakespeare, two micro-batches an update: one of short lines (mostly
speakers' names), one of long ones. After update 150 it is killed and resumed from its checkpoint. One thing is wrong in
each faulty run. Run it with `python experiments/lab07_faults.py`; it takes about two minutes on one free core.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import save_recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

FAULTS = {
    "A": "the learning rate has no warm-up",
    "B": "the learning rate is 10 times too high",
    "C": "the means of the two micro-batches are averaged, although they hold different numbers of tokens",
    "D": "the weight decay is added to the gradient",
    "E": "the optimizer's moments are lost when the run is resumed",
    "F": "the gradient of each tensor is clipped by itself",
    "G": "the schedule starts again when the run is resumed",
    "H": "the data starts again when the run is resumed",
    "I": "dropout stays on during evaluation",
}
RUNS = dict(zip(("b4", "d9", "f2", "g7", "j5", "m1", "p8", "s3", "v6"), "FEIBHDACG", strict=True))
STEPS, KILLED, WARMUP, PEAK, FINAL = 300, 150, 30, 3e-3, 0.1
ROWS, LONGEST, WIDTH, HEADS, DROPOUT = 16, 48, 48, 4, 0.1
BETA1, BETA2, EPS, DECAY, MAX_NORM = 0.9, 0.95, 1e-8, 0.1, 0.5


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (part.view(B, T, HEADS, -1).transpose(1, 2) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, WIDTH)
        x = x + self.drop(self.out(mixed))
        return x + self.drop(self.mlp(self.norms[1](x)))


class GPT(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, vocab_size, bias=False)
        nn.init.normal_(self.token.weight, std=0.02), nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.size(1)))
        return self.head(self.norm(self.blocks(x)))


def rows_of(text: str, tokenizer: CharTokenizer) -> dict[str, list[list[int]]]:
    """Lines as ids, each with the line break before and after it, by their length."""
    lines = [line[: LONGEST - 1] for line in text.split("\n") if line]
    ids = [tokenizer.encode(f"\n{line}\n") for line in lines]
    return {"short": [row for row in ids if len(row) <= 14], "long": [row for row in ids if len(row) >= 38]}


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Inputs and targets (B, T); a target of -100 is padding."""
    T = max(map(len, rows)) - 1
    x, y = torch.zeros(len(rows), T, dtype=torch.long), torch.full((len(rows), T), -100)
    for i, row in enumerate(rows):
        x[i, : len(row) - 1], y[i, : len(row) - 1] = torch.tensor(row[:-1]), torch.tensor(row[1:])
    return x, y


def loss_of(model: nn.Module, rows: list[list[int]]) -> tuple[Tensor, int]:
    """Sum of the losses of all tokens in nats, and how many they are."""
    x, y = padded(rows)
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100, reduction="sum"), int((y >= 0).sum())


def rate(step: int, fault: str) -> float:
    peak = PEAK * (10 if fault == "B" else 1)
    if step < WARMUP and fault != "A":
        return peak * (step + 1) / WARMUP
    done = (step - WARMUP) / (STEPS - WARMUP) if step >= WARMUP else 0.0
    return peak * (FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * done)))


def clipped(gradients: list[Tensor], fault: str) -> list[Tensor]:
    norms = [g.norm() for g in gradients]
    if fault == "F":
        return [g * min(1.0, MAX_NORM / norm.item()) for g, norm in zip(gradients, norms)]
    return [g * min(1.0, MAX_NORM / torch.stack(norms).norm().item()) for g in gradients]


def norm_of(tensors: list[Tensor]) -> float:
    return torch.stack([t.norm() for t in tensors]).norm().item()


class Adam:
    """AdamW, or with fault D Adam with the decay in the gradient."""

    def __init__(self, weights: list[Tensor]) -> None:
        self.m, self.v, self.t = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights], 0

    @torch.no_grad()
    def step(self, weights: list[Tensor], gradients: list[Tensor], lr: float, fault: str) -> float:
        """Updates the weights; returns the root mean square of what was added to them, decay left out."""
        self.t += 1
        squares = 0.0
        for w, g, m, v in zip(weights, gradients, self.m, self.v):
            if fault == "D":
                g = g + DECAY * w
            else:
                w.mul_(1 - lr * DECAY)
            m.lerp_(g, 1 - BETA1), v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            update = lr * (m / (1 - BETA1**self.t)) / ((v / (1 - BETA2**self.t)).sqrt() + EPS)
            squares += update.pow(2).sum().item()
            w.sub_(update)
        return (squares / sum(w.numel() for w in weights)) ** 0.5


@torch.no_grad()
def evaluate(model: nn.Module, held_out: dict[str, list], fault: str) -> dict[str, float]:
    """Loss per token of the held-out lines: the short ones, the long ones, all."""
    model.train(fault == "I")
    parts = {kind: loss_of(model, rows) for kind, rows in held_out.items()}
    model.train()
    total = sum(s.item() for s, _ in parts.values()), sum(n for _, n in parts.values())
    return {kind: s.item() / n for kind, (s, n) in parts.items()} | {"all": total[0] / total[1]}


def run(fault: str, train: dict[str, list], held_out: dict[str, list], vocab_size: int) -> dict:
    """Train once with one thing wrong; everything in the log is what the faulty program itself says."""
    torch.manual_seed(0)
    generator, model = torch.Generator().manual_seed(0), GPT(vocab_size)
    order = {kind: torch.randperm(len(rows), generator=generator).tolist() for kind, rows in train.items()}
    weights = list(model.parameters())
    optimizer, at, seen, again = Adam(weights), 0, set(), 0
    every_loss: list[float] = []
    log: dict = {name: [] for name in ("steps", "training", "evaluated", "held-out", "gradient", "used", "update")}
    for step in range(STEPS):
        if step == KILLED:  # killed, and resumed from a checkpoint
            optimizer = Adam(weights) if fault == "E" else optimizer
            at = 0 if fault == "H" else at
        model.zero_grad()
        parts = []
        for kind, rows in train.items():
            places = [order[kind][(at * ROWS + i) % len(rows)] for i in range(ROWS)]
            parts.append(loss_of(model, [rows[i] for i in places]))
            again += step >= KILLED and sum((kind, i) in seen for i in places)
            seen |= {(kind, i) for i in places} if step < KILLED else set()
        at += 1
        means = [s / n for s, n in parts]
        loss = sum(means) / 2 if fault == "C" else sum(s for s, _ in parts) / sum(n for _, n in parts)
        loss.backward()
        gradients = [w.grad for w in weights]
        used = clipped(gradients, fault)
        update = optimizer.step(weights, used, rate(step - KILLED * (fault == "G" and step >= KILLED), fault), fault)
        values = step + 1, loss.item(), norm_of(gradients), norm_of(used), update
        for name, value in zip(("steps", "training", "gradient", "used", "update"), values):
            log[name].append(value if name == "steps" else float(f"{value:.3g}"))
        every_loss.append(loss.item())
        if (step + 1) % 25 == 0:
            log["evaluated"].append(step + 1)
            log["held-out"].append(round(evaluate(model, held_out, fault)["all"], 3))
    end, once_more = (evaluate(model, held_out, fault) for _ in range(2))
    used, late = max(log.pop("used")), log["gradient"][-50:]
    kept = [i for i, step in enumerate(log["steps"]) if step % 5 == 0 or step in (1, KILLED + 1)]
    log |= {name: [log[name][i] for i in kept] for name in ("steps", "training", "gradient", "update")}
    return log | {
        "longest gradient after clipping": used,
        "mean length of the gradient before clipping, last 50 updates": round(sum(late) / 50, 3),
        "mean training loss, last 20 updates": round(sum(every_loss[-20:]) / 20, 3),
        "at the end": {kind: round(value, 3) for kind, value in end.items()},
        "the same weights evaluated again": round(once_more["all"], 3),
        "weights, root mean square": round(norm_of(weights) / sum(w.numel() for w in weights) ** 0.5, 4),
        "lines after the resume that were read before it, percent": round(100 * again / (2 * ROWS * (STEPS - KILLED))),
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (rows_of(part, tokenizer) for part in split_text(text, val_fraction=0.1))
    held_out = {kind: rows[:200] for kind, rows in val.items()}
    results = {
        name: run(fault, train, held_out, tokenizer.vocab_size) for name, fault in {"correct": "", **RUNS}.items()
    }
    for name, log in results.items():
        print(name, RUNS.get(name), log["held-out"], {k: v for k, v in log.items() if " " in k}, flush=True)
    save_recorded("lab07_faults", results, script=__file__, modules=["llmlib.text.chars"], seeds=(0,))


if __name__ == "__main__":
    main()
