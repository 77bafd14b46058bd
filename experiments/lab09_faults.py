"""Record a correct run of grokking and faulty ones, one of which lab 09 gives to a student.

A small network learns sums modulo 59 from half of all unordered pairs: two embeddings are added up, a hidden layer,
logits; AdamW on all training pairs at once. A program prints how it does on training and test pairs, how long its
weights are, and what the embedding is made of. One thing is wrong in each faulty program. Three seeds: a student sees
the first, and a test holds every observation to all of them. Run it with
`OMP_NUM_THREADS=1 python experiments/lab09_faults.py`; it takes about two minutes on one core.
"""

import math
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.evaluate import fourier_basis

FAULTS = {
    "A": "no weight decay",
    "B": "the ordered pairs are split: (a, b) and (b, a) may be in different halves",
    "C": "a fifth of the pairs is trained on, not half",
    "D": "the answers of the training pairs are shuffled among them",
    "E": "the weight decay is ten times too large",
    "F": "the learning rate is ten times too high",
    "G": "the test pairs are asked for sums modulo 58",
    "H": "the weight decay is added to the gradient that Adam gets (L2)",
    "I": "the embedding is not trained",
    "J": "the test pairs are among the training pairs",
}
RUNS = dict(zip(("b4", "d9", "f1", "h6", "j2", "m7", "p3", "s8", "v5", "x0"), "EBJAGDICFH", strict=True))
SEEDS = (0, 1, 2)
CHECKED = (  # what a test reads of the other seeds
    "training loss, nats", "test loss, nats", "test, right, percent", "test at that step of training, percent",
    "training, 99 % at step", "test, 99 % at step", "length of weights, end / beginning",
    "frequencies with 90 % of the power",
)  # fmt: skip
P, WIDTH, HIDDEN, STEPS, EVERY, RATE, DECAY = 59, 64, 128, 1000, 10, 0.02, 2.0


class Adder(nn.Module):
    """Adds up the embeddings of two numbers: it cannot tell a + b from b + a."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(P, WIDTH)
        self.hidden = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, P)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(self.embedding(pairs).sum(1))))


def halves(fault: str, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training pairs and answers, test pairs and answers, as a program with this fault has them."""
    ordered = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    pairs = ordered if fault == "B" else ordered[ordered[:, 0] <= ordered[:, 1]]
    chance = torch.Generator().manual_seed(seed)
    pairs = pairs[torch.randperm(len(pairs), generator=chance)]
    n = round((0.2 if fault == "C" else 0.5) * len(pairs))
    train, test = pairs if fault == "J" else pairs[:n], pairs[n:]
    answers = train.sum(1) % P
    if fault == "D":
        answers = answers[torch.randperm(len(answers), generator=chance)]
    return train, answers, test, test.sum(1) % (P - 1 if fault == "G" else P)


def share_right(model: Adder, pairs: Tensor, answers: Tensor) -> float:
    return 100 * (model(pairs).argmax(1) == answers).float().mean().item()


@torch.no_grad()
def inside(model: Adder, test: Tensor, answers: Tensor) -> tuple[int, float, float]:
    """How many frequencies hold 90 % of the embedding's power; accuracy on test pairs with these alone, and without."""
    table, basis = model.embedding.weight.clone(), fourier_basis(P)
    parts = basis @ table
    power = parts.square().sum(1)[1:].view(-1, 2).sum(1)
    order = power.argsort(descending=True)
    key = order[: int((power[order].cumsum(0) < 0.9 * power.sum()).sum()) + 1]
    rows = torch.zeros(P, dtype=torch.bool)
    rows[2 * key + 1] = rows[2 * key + 2] = True
    found = []
    for kept in (rows, ~rows):
        kept = kept.clone()
        kept[0] = True
        model.embedding.weight.copy_(basis[kept].T @ parts[kept])
        found.append(share_right(model, test, answers))
    model.embedding.weight.copy_(table)
    return len(key), found[0], found[1]


def run(fault: str, seed: int) -> dict:
    """What a program with this fault writes down."""
    torch.manual_seed(seed)
    model, (train, train_answers, test, test_answers) = Adder(), halves(fault, seed)
    rate, decay = RATE * (10 if fault == "F" else 1), {"A": 0.0, "E": 10 * DECAY}.get(fault, DECAY)
    model.embedding.weight.requires_grad_(fault != "I")
    parameters = [p for p in model.parameters() if p.requires_grad]
    kind = torch.optim.Adam if fault == "H" else torch.optim.AdamW
    optimizer = kind(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=decay)
    length = lambda: math.sqrt(sum(p.square().sum().item() for p in model.parameters()))
    began, log = length(), {"steps": [], "train": [], "test": []}
    for step in range(1, STEPS + 1):
        loss = F.cross_entropy(model(train), train_answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                log["steps"].append(step)
                log["train"].append(share_right(model, train, train_answers))
                log["test"].append(share_right(model, test, test_answers))
    first = lambda curve: next((s for s, right in zip(log["steps"], log[curve]) if right >= 99), None)
    learned = first("train")
    with torch.no_grad():
        test_loss = F.cross_entropy(model(test), test_answers).item()
    frequencies, alone, without = inside(model, test, test_answers)
    numbers = {
        "training, right, percent": log["train"][-1],
        "test, right, percent": log["test"][-1],
        "training loss, nats": loss.item(),
        "test loss, nats": test_loss,
        "training, 99 % at step": learned,
        "test, 99 % at step": first("test"),
        "test at that step of training, percent": log["test"][log["steps"].index(learned)] if learned else None,
        "length of weights, end / beginning": length() / began,
        "frequencies with 90 % of the power": frequencies,
        "test with these alone, percent": alone,
        "test without these, percent": without,
    }
    thin = [i for i, s in enumerate(log["steps"]) if s <= 60 or s % 80 == 0 or s == STEPS]
    curves = {name: [round(log[name][i]) for i in thin] for name in log}
    return curves | {name: value if value is None else float(f"{value:.3g}") for name, value in numbers.items()}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("lab09_faults", script=__file__, seeds=SEEDS, modules=["llmlib.evaluate.fourier"])
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *others = (experiment.once(f"{name}, seed {seed}", run, fault, seed) for seed in SEEDS)
        results[name] = first | {"other seeds": [{k: log[k] for k in CHECKED} for log in others]}
        for log in (first, *others):
            print(name, fault, [v for v in log.values() if not isinstance(v, list)], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trial"]:
        for fault in ("", *FAULTS):
            print(fault, [v for v in run(fault, 0).values() if not isinstance(v, list)], flush=True)
    else:
        main()
