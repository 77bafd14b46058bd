"""Record when a network stops memorising sums and finds the rule, for lecture 09: `python experiments/grokking.py`.

a + b modulo 59 on the unordered pairs. embed(a) + embed(b), a linear layer without bias, ReLU, a linear layer; AdamW
over all training pairs at once. Two parts: a grid of weight decay and share of the pairs in training, three seeds each,
1,500 steps or until 99 % of the test pairs are right; and five seeds with weight decay 2 and without, half of the
pairs, 3,000 steps to the end, with the size of the weights. About a quarter of an hour of one thread.
"""

import itertools
import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.data.modular import modular_addition

MODULUS, D_MODEL, HIDDEN = 59, 128, 256
DECAYS, FRACTIONS, SEEDS, STEPS = (0.0, 0.5, 1.0, 2.0, 4.0), (0.3, 0.4, 0.5, 0.6, 0.7), (0, 1, 2), 1_500
LONG_SEEDS, LONG_STEPS = (0, 1, 2, 3, 4), 3_000
RATE, BETAS, EVERY = 1e-2, (0.9, 0.98), 10  # test accuracy is read every so many steps


class SumNetwork(nn.Module):
    """(n, 2) numbers -> (n, MODULUS) logits: the two embeddings are added, so the order cannot matter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(MODULUS, D_MODEL)
        self.hidden = nn.Linear(D_MODEL, HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, MODULUS)

    def forward(self, pairs: Tensor) -> Tensor:
        table = self.hidden(self.embedding.weight)  # hidden(x + y) = hidden(x) + hidden(y): 59 rows instead of 885
        return self.out(F.relu(table[pairs[:, 0]] + table[pairs[:, 1]]))


@torch.no_grad()
def accuracy(model: nn.Module, rows: Tensor) -> float:
    return (model(rows[:, :2]).argmax(1) == rows[:, 2]).double().mean().item()


def spaced(steps: int, n: int) -> list[int]:
    """About n step numbers up to steps, evenly spaced on a logarithmic axis, multiples of EVERY from there on."""
    numbers = (math.exp(math.log(steps) * i / (n - 1)) for i in range(n))
    return sorted({round(x) if x < EVERY else EVERY * round(x / EVERY) for x in numbers})


def train(decay: float, fraction: float, seed: int, steps: int, shown: list[int], to_the_end: bool) -> dict:
    """One run: the step at which train reached 100 % and test 99 %, and per cent right at the steps shown."""
    train_rows, test_rows = modular_addition(MODULUS, fraction, seed)
    model = SumNetwork(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=decay, fused=True)
    log: dict = {"decay": decay, "fraction": fraction, "seed": seed, "learned": None, "grokked": None}
    log |= {"train": [], "test": [], "norm": []}
    begin = time.perf_counter()
    for step in range(1, steps + 1):
        logits = model(train_rows[:, :2])
        loss = F.cross_entropy(logits, train_rows[:, 2])
        if log["learned"] is None and bool((logits.argmax(1) == train_rows[:, 2]).all()):
            log["learned"] = step - 1  # so many updates before these logits
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in shown or step % EVERY == 0:
            right = accuracy(model, test_rows)
            if log["grokked"] is None and right >= 0.99:
                log["grokked"] = step
        if step in shown:
            log["train"].append(round(100 * accuracy(model, train_rows), 1))
            log["test"].append(round(100 * right, 1))
            log["norm"].append(round(math.sqrt(sum(p.detach().square().sum().item() for p in model.parameters())), 1))
        if log["grokked"] and not to_the_end:
            break
    log["last"] = round(100 * accuracy(model, test_rows), 2)
    return log | {"updates": step, "seconds": round(time.perf_counter() - begin, 1)}


def shortened(run: dict) -> dict:
    """A run of the grid in whole per cent, train accuracy only until it is 100, without the size of the weights."""
    train, test = ([round(right) for right in run[half]] for half in ("train", "test"))
    end = run["train"].index(100) + 1 if 100 in run["train"] else len(train)
    kept = {key: run[key] for key in ("decay", "fraction", "seed", "learned", "grokked", "last")}
    return kept | {"train": train[:end], "test": test}


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    experiment = Experiment("grokking", script=__file__, modules=["llmlib.data.modular"], seeds=LONG_SEEDS)
    short, long = spaced(STEPS, 24), spaced(LONG_STEPS, 40)
    found: dict = {"modulus": MODULUS, "steps": short, "long_steps": long, "grid": [], "long": []}
    for decay, seed in itertools.product((2.0, 0.0), LONG_SEEDS):
        key = f"long, weight decay {decay:g}, seed {seed}"
        found["long"].append(experiment.once(key, train, decay, 0.5, seed, LONG_STEPS, long, True))
        print(key, {k: found["long"][-1][k] for k in ("learned", "grokked", "last", "seconds")}, flush=True)
    for seed, decay, fraction in itertools.product(SEEDS, DECAYS, FRACTIONS):
        key = f"weight decay {decay:g}, fraction {fraction}, seed {seed}"
        run = experiment.once(key, train, decay, fraction, seed, STEPS, short, False)
        found["grid"].append(shortened(run))
        print(key, {k: run[k] for k in ("learned", "grokked", "last", "updates", "seconds")}, flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
