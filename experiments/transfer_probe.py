"""Record what the frozen states of pre-trained decoders tell about a headline: `python experiments/transfer_probe.py`.

For lecture 10, beside transfer.py and transfer_more.py. Pre-training had each headline in a row of its own, or one
after another in rows of 60 tokens. Nothing is fine-tuned: logistic regression on the mean of the states, on the last
word's, and on the end mark's behind it, with 300 and 1,000 labels, its penalty chosen on the choose split. Also how
much what the model says next at the end mark depends on the headline before it: the mean divergence from the average
prediction, in nats, beside that at the last word. Three seeds; five minutes of a core.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transfer import form, ids_of, labels_of
from transfer_more import trunk_of

from llmlib.data import Experiment, Headline, draw_per_class, headlines, pad_rows

SEEDS, LABELS, PENALTIES, LOOKED_AT = (0, 1, 2), (300, 1000), (0.1, 1.0, 10.0, 100.0), 500
PLACES, TRUNKS = ("mean", "last word", "end mark"), ("headlines", "packed", "nothing")


@torch.inference_mode()
def states(trunk: nn.Module, some: Sequence[Headline]) -> dict[str, Tensor]:
    """place -> (headlines, d)."""
    found: dict[str, list[Tensor]] = {place: [] for place in PLACES}
    rows = form(ids_of([each.text for each in some]), "end")
    for group in (rows[i : i + 128] for i in range(0, len(rows), 128)):
        ids, real = pad_rows(group)
        h = trunk.hidden(ids)
        n = torch.arange(len(group))
        last = real.sum(1) - 1
        inside = (real & (torch.arange(ids.shape[1]) < last[:, None]))[..., None]
        found["mean"].append((h * inside).sum(1) / inside.sum(1))
        found["last word"].append(h[n, last - 1])
        found["end mark"].append(h[n, last])
    return {place: torch.cat(each) for place, each in found.items()}


def fit(x: Tensor, labels: Sequence[int], penalty: float) -> tuple[Tensor, Tensor]:
    """Logistic regression: weights (d,) and bias."""
    y = torch.tensor(labels, dtype=torch.float32)
    w, b = torch.zeros(x.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
    stepper = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        stepper.zero_grad()
        total = F.binary_cross_entropy_with_logits(x @ w + b, y, reduction="sum") + penalty / 2 * (w**2).sum()
        total.backward()
        return total

    stepper.step(loss)
    return w.detach(), b.detach()


def probed(told: Tensor, labels: Sequence[int], read: dict[str, Tensor], answers: dict[str, np.ndarray]) -> float:
    """Accuracy on the report split with the penalty that is best on the choose split."""
    mean, spread = told.mean(0), told.std(0) + 1e-6
    scaled = {split: (h - mean) / spread for split, h in read.items()}
    fits = [fit((told - mean) / spread, labels, penalty) for penalty in PENALTIES]
    right = lambda split, w, b: float(((scaled[split] @ w + b > 0).numpy() == answers[split]).mean())
    return right("report", *max(fits, key=lambda wb: right("choose", *wb)))


@torch.inference_mode()
def dependence(trunk: nn.Module, h: Tensor) -> float:
    """Mean divergence, in nats, of the predictions from these states from their average."""
    logs = trunk.head(h).log_softmax(-1)
    average = logs.exp().mean(0).log()
    return float((logs.exp() * (logs - average)).sum(-1).mean())


def probe(text: str, seed: int) -> dict:
    """Of one trunk: accuracies on the report split by place and labels, and the dependence of its predictions."""
    trunk = trunk_of(text, seed)
    parts = {split: headlines(split) for split in ("choose", "report")}
    read = {split: states(trunk, some) for split, some in parts.items()}
    answers = {split: np.array(labels_of(some)) for split, some in parts.items()}
    found: dict[str, dict] = {"accuracy": {}, "dependence": {}}
    for n in LABELS:
        some = draw_per_class(headlines("train"), n // 2, seed=seed)
        told = states(trunk, some)
        for place in PLACES:
            here = {split: each[place] for split, each in read.items()}
            right = probed(told[place], labels_of(some), here, answers)
            found["accuracy"].setdefault(place, {})[str(n)] = round(right, 4)
    if text != "nothing":
        for place in ("last word", "end mark"):
            found["dependence"][place] = round(dependence(trunk, read["choose"][place][:LOOKED_AT]), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "experiments/transfer.py", "experiments/transfer_more.py", "llmlib.data.headlines", "llmlib.model.transformer",
        "llmlib.model.attention", "llmlib.model.layers", "llmlib.train.muon", "llmlib.train.adamw", "llmlib.text.bpe",
    ]  # fmt: skip
    experiment = Experiment("transfer_probe", script=__file__, modules=modules, seeds=SEEDS)
    found: dict[str, list[dict]] = {text: [] for text in TRUNKS}
    for text in reversed(TRUNKS):
        for seed in SEEDS:
            found[text].append(experiment.once(f"{text}, seed {seed}", probe, text, seed))
            print(text, seed, found[text][-1], f"{experiment.seconds:.0f} s", flush=True)
    mean = lambda values: round(float(np.mean(values)), 3)
    results = {
        "accuracy": {
            text: {p: {str(n): [each["accuracy"][p][str(n)] for each in of] for n in LABELS} for p in PLACES}
            for text, of in found.items()
        },
        "dependence": {
            text: {p: mean([each["dependence"][p] for each in of]) for p in of[0]["dependence"]}
            for text, of in found.items() if of[0]["dependence"]
        },
    }  # fmt: skip
    experiment.save(results)


if __name__ == "__main__":
    main()
