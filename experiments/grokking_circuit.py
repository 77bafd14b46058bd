"""Record the circuit behind lecture 09's sums modulo 59, and when it forms: `python experiments/grokking_circuit.py`.

Five seeds of `grokking.py`'s network, weight decay 2, half of the pairs, 1,200 steps. At the end: the power of the
embedding at each of the 29 frequencies, the key ones (the fewest that hold 90 % of it), and test accuracy with them
kept alone or removed, beside as many frequencies drawn at random, ten times. On the way, after Nanda et al. (2023,
section 5.1): the share of power in the key frequencies of the end; restricted loss, of logits that keep nothing but the
key frequencies of a + b, on the test pairs; excluded loss, of logits without them, on the training pairs; the size of
the weights. What depends on a + b is read off the test pairs, where nothing can have been memorised: read off all
pairs, as in the paper, the answers of memorised ones leak into the mean, which is recorded too ("restricted_all"). The
same with no weight decay, for comparison. Two minutes of one thread.
"""

import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from grokking import BETAS, MODULUS, RATE, SumNetwork, accuracy
from torch import Tensor

from llmlib.data import Experiment
from llmlib.data.modular import modular_addition
from llmlib.evaluate.fourier import frequency_power, keep_frequencies, key_frequencies, remove_frequencies

SEEDS, STEPS, SHARE, DRAWS = (0, 1, 2, 3, 4), 1_200, 0.9, 10
SHOWN = [0, 5, 10, 15, 20, 30, 40, 60, 80, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 550, 600]
SHOWN += [700, 800, 1_000, 1_200]
COUNTS = [1, 2, 3, 5, 8, 11, 14, 17, 20, 24, 29]  # of frequencies kept or removed


@torch.no_grad()
def changed_accuracy(model: SumNetwork, change: Callable, frequencies: Sequence[int], rows: Tensor) -> float:
    """Per cent right with the embedding changed; nothing is retrained."""
    before = model.embedding.weight.clone()
    model.embedding.weight.copy_(change(before, frequencies))
    right = accuracy(model, rows)
    model.embedding.weight.copy_(before)
    return round(100 * right, 1)


def rule_in(model: SumNetwork, rows: Tensor, keys: Sequence[int]) -> Tensor:
    """(MODULUS, MODULUS): of the mean logits over the rows with each sum, the key frequencies and the constant."""
    total = torch.zeros(MODULUS, MODULUS).index_add_(0, rows[:, 2], model(rows[:, :2]))
    return keep_frequencies(total / rows[:, 2].bincount(minlength=MODULUS)[:, None], keys)


@torch.no_grad()
def filtered_losses(model: SumNetwork, keys: Sequence[int], train_rows: Tensor, test_rows: Tensor) -> list[float]:
    """Restricted loss of test pairs, excluded loss of training pairs, plain losses of test and training, restricted
    loss with the rule read off all pairs; in nats."""
    rule, rule_in_all = rule_in(model, test_rows, keys), rule_in(model, torch.cat([train_rows, test_rows]), keys)
    sums, test, train = test_rows[:, 2], model(test_rows[:, :2]), model(train_rows[:, :2])
    without = train - (rule - rule.mean(0))[train_rows[:, 2]]
    losses = [F.cross_entropy(rule[sums], sums), F.cross_entropy(without, train_rows[:, 2])]
    losses += [F.cross_entropy(test, sums), F.cross_entropy(train, train_rows[:, 2])]
    return [float(f"{loss.item():.3g}") for loss in (*losses, F.cross_entropy(rule_in_all[sums], sums))]


def curves(model: SumNetwork, test_rows: Tensor, seed: int) -> dict[str, list[float]]:
    """Test accuracy with the n strongest frequencies, and with n random ones, kept and removed."""
    order = (frequency_power(model.embedding.weight).argsort(descending=True) + 1).tolist()
    rng, found = random.Random(seed), {}
    for name, change in (("kept", keep_frequencies), ("removed", remove_frequencies)):
        found[f"{name}, strongest"] = [changed_accuracy(model, change, order[:n], test_rows) for n in COUNTS]
        found[f"{name}, random"] = [at_random(model, change, n, test_rows, rng)[0] for n in COUNTS]
    return found


def at_random(model: SumNetwork, change: Callable, n: int, rows: Tensor, rng: random.Random) -> list[float]:
    """Mean, lowest and highest accuracy over draws of n of all frequencies."""
    found = [changed_accuracy(model, change, rng.sample(range(1, MODULUS // 2 + 1), n), rows) for _ in range(DRAWS)]
    return [round(sum(found) / DRAWS, 1), min(found), max(found)]


def run(decay: float, seed: int) -> dict:
    train_rows, test_rows = modular_addition(MODULUS, 0.5, seed)
    model = SumNetwork(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=decay, fused=True)
    snapshots = []
    for step in range(STEPS + 1):
        if step in SHOWN:
            snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        loss = F.cross_entropy(model(train_rows[:, :2]), train_rows[:, 2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.load_state_dict(snapshots[-1])
    power = frequency_power(model.embedding.weight.detach())
    keys, rng = key_frequencies(power, SHARE), random.Random(seed)
    log: dict = {"decay": decay, "seed": seed, "keys": keys}
    log["power"] = [float(f"{100 * x:.3g}") for x in (power / power.sum()).tolist()]  # per cent
    log["right"] = {
        "train": round(100 * accuracy(model, train_rows), 1),
        "test": round(100 * accuracy(model, test_rows), 1),
    }
    for name, change in (("kept", keep_frequencies), ("removed", remove_frequencies)):
        for rows, split in ((test_rows, "test"), (train_rows, "train")):
            log["right"][f"{name}, {split}"] = changed_accuracy(model, change, keys, rows)
            log["right"][f"random {name}, {split}"] = at_random(model, change, len(keys), rows, rng)
    if decay and seed == SEEDS[0]:
        log["curves"] = curves(model, test_rows, seed)
    names = (
        "train",
        "test",
        "key_share",
        "norm",
        "restricted",
        "excluded",
        "test_loss",
        "train_loss",
        "restricted_all",
    )
    log |= {name: [] for name in names}
    for snapshot in snapshots if decay or seed == SEEDS[0] else snapshots[-1:]:
        model.load_state_dict(snapshot)
        power = frequency_power(model.embedding.weight.detach())
        share = power[[k - 1 for k in keys]].sum() / power.sum()
        norm = math.sqrt(sum(p.detach().square().sum().item() for p in model.parameters()))
        values = [round(100 * accuracy(model, train_rows), 1), round(100 * accuracy(model, test_rows), 1)]
        values += [round(100 * share.item(), 1), round(norm, 1), *filtered_losses(model, keys, train_rows, test_rows)]
        for name, value in zip(names, values, strict=True):
            log[name].append(value)
    return log


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    modules = ["experiments/grokking.py", "llmlib.data.modular", "llmlib.evaluate.fourier"]
    experiment = Experiment("grokking_circuit", script=__file__, modules=modules, seeds=SEEDS)
    found: dict = {"modulus": MODULUS, "share": SHARE, "draws": DRAWS, "steps": SHOWN, "counts": COUNTS, "runs": []}
    for decay in (2.0, 0.0):
        for seed in SEEDS:
            log = experiment.once(f"weight decay {decay:g}, seed {seed}", run, decay, seed)
            print(
                {
                    key: log[key]
                    for key in (
                        "decay",
                        "seed",
                        "keys",
                        "right",
                        "key_share",
                        "restricted",
                        "restricted_all",
                        "excluded",
                        "test",
                        "norm",
                    )
                },
                flush=True,
            )
            found["runs"].append(log)
    experiment.save(found)


if __name__ == "__main__":
    main()
