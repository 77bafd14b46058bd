"""Record a correct fine-tuning and ten faulty ones, one of which lab 10 gives to a student to diagnose.

The smallest base model of the course learns to tell jokes from news, by their headlines (Misra and Arora, 2019): a
linear layer reads the state of an extract token behind the headline, and the loss of the next tokens is added with a
weight of 0.5, as GPT-1 was fine-tuned. One thing is wrong in each faulty run. Three seeds draw three sets of headlines
that have none in common: a student sees the first, and a test holds every observation to all of them. Run it with
`OMP_NUM_THREADS=1 python experiments/lab10_faults.py`; it takes about ten minutes on one core.
"""

import functools
import json
import random
from collections.abc import Sequence
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment, fetch
from llmlib.hub import load_base
from llmlib.model import Transformer

FAULTS = {
    "A": "the head reads the last place of the padded row",
    "B": "the auxiliary loss counts the pads",
    "C": "the auxiliary loss is left out",
    "D": "the pre-trained weights are not loaded",
    "E": "the trunk is frozen, only the head is trained",
    "F": "the labels of the test headlines are turned round",
    "G": "the validation headlines are among the training headlines",
    "H": "the auxiliary loss is not shifted: each token predicts itself",
    "I": "the head reads the first place",
    "J": "the training headlines were sorted by label before the first 600 were taken",
}
RUNS = dict(zip(("b4", "c9", "d2", "f7", "h1", "k5", "m3", "p8", "s6", "v0"), "DHAFJCGBIE", strict=True))
SEEDS = (0, 1, 2)
TRAIN, CHOOSE, REPORT, LENGTH = 600, 200, 600, 24
ROWS, UPDATES, RATE, WEIGHT = 32, 120, 1e-3, 0.5
Headline = tuple[str, int]


@functools.cache
def headlines(seed: int) -> dict[str, list[Headline]]:
    """(headline, 1 for a joke) of a third of the asset, in three splits; each headline is in one third only."""
    rows = [json.loads(line) for line in fetch("sarcasm").read_text(encoding="utf-8").splitlines()]
    found = list({row["input"][1]["content"]: int(row["ideal"]) for row in rows}.items())
    random.Random("lab10").shuffle(found)
    own = found[seed :: len(SEEDS)]
    return {
        "train": own[:TRAIN],
        "choose": own[TRAIN : TRAIN + CHOOSE],
        "report": own[TRAIN + CHOOSE : TRAIN + CHOOSE + REPORT],
        "more": own[TRAIN + CHOOSE + REPORT : 2 * (TRAIN + CHOOSE + REPORT)],
    }


@functools.cache
def tokenizer():
    return load_base("0.3m")[1]


def batch_of(texts: Sequence[Headline], pads: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """ids and mask (B, T), True where there is a token, and labels. `pads` more places are added to every row."""
    special = tokenizer().special_tokens
    start, extract = special["<|endoftext|>"], special["<|im_end|>"]
    rows = [[start, *tokenizer().encode(text)[:LENGTH], extract] for text, _ in texts]
    width = max(map(len, rows)) + pads
    mask = torch.tensor([[place < len(row) for place in range(width)] for row in rows])
    ids = torch.tensor([row + [start] * (width - len(row)) for row in rows])
    return ids, mask, torch.tensor([label for _, label in texts])


class Reader(nn.Module):
    """The program: a trunk, a head, and where the head reads."""

    def __init__(self, trunk: Transformer, fault: str):
        super().__init__()
        self.trunk, self.fault = trunk, fault
        self.head = nn.Linear(trunk.config.d_model, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk.hidden(ids)
        at = {"A": torch.full((len(ids),), ids.shape[1] - 1), "I": torch.zeros(len(ids), dtype=torch.long)}
        return self.head(h[torch.arange(len(ids)), at.get(self.fault, mask.sum(1) - 1)]), h


def auxiliary(trunk: Transformer, h: Tensor, ids: Tensor, mask: Tensor, fault: str) -> Tensor:
    """The mean loss of the next tokens, as the program computes it."""
    targets = ids if fault == "B" else ids.masked_fill(~mask, -100)
    if fault == "H":
        return F.cross_entropy(trunk.head(h).transpose(1, 2), targets)
    return F.cross_entropy(trunk.head(h[:, :-1]).transpose(1, 2), targets[:, 1:])


@torch.no_grad()
def accuracy(model: Reader, texts: Sequence[Headline]) -> float:
    right = 0
    for start in range(0, len(texts), ROWS):
        ids, mask, labels = batch_of(texts[start : start + ROWS])
        right += int((model(ids, mask)[0].argmax(1) == labels).sum())
    return 100 * right / len(texts)


@torch.no_grad()
def next_token_loss(model: Reader, texts: Sequence[Headline]) -> float:
    """Measured in the same, right way for every run, of the words of the headlines: the end is not among them."""
    ids, mask, _ = batch_of(texts)
    words = mask.clone()
    words[torch.arange(len(ids)), mask.sum(1) - 1] = False
    return float(auxiliary(model.trunk, model.trunk.hidden(ids), ids, words, ""))


def run(fault: str, seed: int) -> dict:
    """The log of a run."""
    texts = headlines(seed)
    train, choose, report = list(texts["train"]), texts["choose"], texts["report"]
    if fault == "F":
        report = [(text, 1 - label) for text, label in report]
    elif fault == "G":
        train = [*train[: TRAIN - CHOOSE], *choose]
    elif fault == "J":
        train = sorted([*train, *texts["more"]], key=lambda headline: headline[1])[:TRAIN]
    torch.manual_seed(seed)
    trunk = load_base("0.3m")[0]
    model = Reader(Transformer(trunk.config) if fault == "D" else trunk, fault)
    before = {name: p.detach().clone() for name, p in model.trunk.named_parameters()}
    first = next_token_loss(model, report[:200])
    if fault == "E":
        model.trunk.requires_grad_(False)
    optimizer = torch.optim.AdamW(
        [{"params": model.trunk.parameters()}, {"params": model.head.parameters(), "lr": 5 * RATE}], lr=RATE
    )
    draw = random.Random(seed)
    losses: list[float] = []
    auxiliaries: list[float] = []
    for _ in range(UPDATES):
        ids, mask, labels = batch_of(draw.sample(train, ROWS))
        logits, h = model(ids, mask)
        loss, second = F.cross_entropy(logits, labels), auxiliary(model.trunk, h, ids, mask, fault)
        (loss + (0 if fault == "C" else WEIGHT) * second).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        auxiliaries.append(second.item())
    moved = sum(float((p.detach() - before[name]).square().sum()) for name, p in model.trunk.named_parameters())
    size = sum(float(p.square().sum()) for p in before.values())
    ids, mask, _ = batch_of(report[:200])
    longer, longer_mask, _ = batch_of(report[:200], pads=8)
    with torch.no_grad():
        logits, padded = model(ids, mask)[0], model(longer, longer_mask)[0]
    margin, margin_padded = logits[:, 1] - logits[:, 0], padded[:, 1] - padded[:, 0]
    kept = [i for i in range(UPDATES) if i % 4 == 0 or i == UPDATES - 1]
    numbers = {
        "training loss of the class, first 10 updates": mean(losses[:10]),
        "training loss of the class, last 20 updates": mean(losses[-20:]),
        "auxiliary loss as the program computes it, first update": auxiliaries[0],
        "auxiliary loss as the program computes it, last 20 updates": mean(auxiliaries[-20:]),
        "loss of next words on test headlines before": first,
        "loss of next words on test headlines after": next_token_loss(model, report[:200]),
        "accuracy on training headlines, percent": accuracy(model, train[:CHOOSE]),
        "accuracy on validation headlines, percent": accuracy(model, choose),
        "accuracy on test headlines, percent": accuracy(model, report),
        "test headlines called jokes, percent": 100 * float((margin > 0).float().mean()),
        "spread of the margin over test headlines": float(margin.std()),
        "change of the margin behind 8 more pads": float((margin_padded - margin).abs().mean()),
        "change of the trunk's weights, percent": 100 * (moved / size) ** 0.5,
    }
    return {
        "steps": [i + 1 for i in kept],
        "class": [float(f"{losses[i]:.3g}") for i in kept],
        "auxiliary": [float(f"{auxiliaries[i]:.3g}") for i in kept],
        **{name: float(f"{value:.3g}") for name, value in numbers.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab10_faults", script=__file__, seeds=SEEDS, modules=["llmlib.hub.base", "llmlib.model.attention"]
    )
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", run, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    again = {
        name: [{what: value for what, value in log.items() if not isinstance(value, list)} for log in logs[1:]]
        for name, logs in runs.items()
    }
    experiment.save({name: logs[0] | {"other seeds": again[name]} for name, logs in runs.items()})


if __name__ == "__main__":
    main()
