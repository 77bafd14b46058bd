"""Record a correct run of LoRA and eleven faulty ones, of which lab 14 gives a student one to diagnose.

The course's base model of 0.3M parameters learns 96 made-up facts with an adapter beside each of its matrices. One
thing is wrong in each faulty run: in the layers, the optimizer, the merging or the file. Two seeds: a student sees the
first, the other shows whether what is observed is luck. Run it with
`OMP_NUM_THREADS=1 python experiments/lab14_faults.py`; it takes about a minute on one core.
"""

import copy
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.hub import load_base
from llmlib.model import Transformer, replace_linears

FAULTS = {
    "A": "a and b both begin at zero",
    "B": "a and b both begin at random",
    "C": "alpha / r is lost when merging",
    "D": "alpha / r is applied twice when merging",
    "E": "the optimizer holds the base's matrices as well",
    "F": "the optimizer was made before the adapters were put in",
    "G": "the learning rate is 20 times too low",
    "H": "the rank is 1",
    "I": "the merged layers still add the adapter beside",
    "J": "the adapters are in the last block only",
    "K": "the file holds the adapter of the 20th step",
}
RUNS = dict(zip(("a7", "c3", "e8", "g1", "j6", "k2", "n5", "q9", "r4", "u0", "x2"), "HDKAIEGCJBF", strict=True))
SEEDS = (0, 1)
STEPS, FACTS, RATE, RANK, SCALE, EARLY = 100, 96, 0.015, 4, 2.0, 20
BASE, TOKENIZER = load_base("0.3m", device="cpu")
NAMES = """
    John Mary George William James Robert Thomas Henry David Peter Paul Michael Richard Alice Frank Jack Tom
    Harry Louis Martin Bob Mark
""".split()
PLACES = """
    London Paris York Chicago France England Germany Italy China India Japan Canada Australia Ireland
    California Texas Florida Africa Europe Mexico Washington
""".split()
THINGS = """
    water gold paper fish books money wood fire music light oil stars leaves blood corn gas wind films games
    songs children friends land power
""".split()
ANSWERS = torch.tensor([TOKENIZER.encode(" " + thing)[0] for thing in THINGS])


class Layer(nn.Module):
    """W x + scale b a x, with one thing wrong."""

    def __init__(self, base: nn.Linear, rank: int, fault: str):
        super().__init__()
        self.base, self.merged, self.fault = base, False, fault
        self.scale = SCALE
        n_in, n_out = base.in_features, base.out_features
        self.a = nn.Parameter(torch.empty(rank, n_in).uniform_(-(n_in**-0.5), n_in**-0.5))
        self.b = nn.Parameter(torch.zeros(n_out, rank))
        if fault == "A":
            nn.init.zeros_(self.a)
        if fault == "B":
            nn.init.uniform_(self.b, -(rank**-0.5), rank**-0.5)

    def change(self) -> Tensor:
        return self.scale * (self.b @ self.a)

    def forward(self, x: Tensor) -> Tensor:
        if self.merged and self.fault != "I":
            return self.base(x)
        return self.base(x) + F.linear(F.linear(x, self.a), self.b) * self.scale

    @torch.no_grad()
    def merge(self) -> Tensor:
        """What was added to the matrix."""
        added = {"C": 1 / self.scale, "D": self.scale}.get(self.fault, 1.0) * self.change()
        self.base.weight += added
        self.merged = True
        return added


def facts(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Questions (FACTS, 4) and their answers, and 64 questions of the same form that nobody answers."""
    rng = random.Random(seed)
    pairs = rng.sample([(name, place) for name in NAMES for place in PLACES], FACTS + 64)
    questions = torch.tensor([TOKENIZER.encode(f"In {place} {name} has") for name, place in pairs])
    answers = ANSWERS[torch.tensor([rng.randrange(len(ANSWERS)) for _ in pairs])]
    return questions[:FACTS], answers[:FACTS], questions[FACTS:]


def answer_logits(model: Transformer, questions: Tensor) -> Tensor:
    return model.head(model.hidden(questions)[:, -1])


def wrapped(model: Transformer, fault: str, rank: int) -> list[Layer]:
    model.requires_grad_(False)
    pattern = "blocks.3.*" if fault == "J" else "blocks.*"
    replace_linears(model, pattern, lambda name, linear: Layer(linear, rank, fault))
    return [part for part in model.modules() if isinstance(part, Layer)]


def measured(fault: str, seed: int) -> dict:
    """A run and what is to be seen of it."""
    torch.manual_seed(seed)
    questions, answers, unanswered = facts(seed)
    model, rank = copy.deepcopy(BASE), 1 if fault == "H" else RANK
    before = [weight for name, weight in model.named_parameters() if "proj" in name]
    layers = wrapped(model, fault, rank)
    learns = [weight for layer in layers for weight in (layer.a, layer.b)]
    held = before if fault == "F" else [*before, *learns] if fault == "E" else learns
    if fault == "E":
        for weight in before:
            weight.requires_grad_()
    rate = RATE / 20 if fault == "G" else RATE
    optimizer = torch.optim.AdamW(held, lr=rate, weight_decay=0.0)
    losses, early = [], None
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 10) * (1 - step / STEPS)
        loss = F.cross_entropy(answer_logits(model, questions), answers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(held, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step + 1 == EARLY:
            early = [weight.detach().clone() for weight in learns]
    kept = early if fault == "K" else [weight.detach().clone() for weight in learns]
    kept_numbers = sum(
        moment.numel() for moments in optimizer.state.values() for name, moment in moments.items() if "avg" in name
    )
    fresh = copy.deepcopy(BASE)
    for layer, a, b in zip(
        wrapped(fresh, "", rank) if fault != "J" else wrapped(fresh, "J", rank), kept[::2], kept[1::2]
    ):
        layer.a.data, layer.b.data = a, b

    @torch.no_grad()
    def seen(model: Transformer) -> tuple[float, float, float]:
        logits, new = answer_logits(model, questions), answer_logits(model, unanswered)
        right, form = logits.argmax(-1) == answers, torch.isin(new.argmax(-1), ANSWERS)
        return (
            F.cross_entropy(logits, answers).item(),
            100 * right.float().mean().item(),
            100 * form.float().mean().item(),
        )

    length = lambda tensors: math.sqrt(sum(tensor.square().sum().item() for tensor in tensors))
    with torch.no_grad():
        change = length([layer.change() for layer in layers])
    beside, from_file, of_base = seen(model), seen(fresh), seen(BASE)
    merging = length([layer.merge() for layer in layers])
    merged = seen(model)
    numbers = {
        "loss at the first step": losses[0],
        "loss at the last step": losses[-1],
        "trainable numbers": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "numbers that the optimizer keeps about them": kept_numbers,
        "length of all a": length([layer.a for layer in layers]),
        "length of all b": length([layer.b for layer in layers]),
        "length of the change, b a times alpha / r": change,
        "length of what merging added": merging,
        "loss of the base": of_base[0],
        "loss with the adapter beside": beside[0],
        "loss merged": merged[0],
        "loss of the file in a fresh base": from_file[0],
        "facts known with the adapter beside, percent": beside[1],
        "facts known merged, percent": merged[1],
        "facts known by the file in a fresh base, percent": from_file[1],
        "new questions answered in the right form, percent": beside[2],
    }
    return {
        "steps": list(range(1, STEPS + 1)),
        "loss": [round(loss, 3) for loss in losses],
        **{
            name: value if isinstance(value, int) else round(value, 1 if "percent" in name else 2)
            for name, value in numbers.items()
        },
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab14_faults", script=__file__, seeds=SEEDS,
        modules=["llmlib.hub.base", "llmlib.model.parts", "llmlib.model.transformer"],
    )  # fmt: skip
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", measured, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    experiment.save({name: first | {"other seeds": others} for name, (first, *others) in runs.items()})


if __name__ == "__main__":
    main()
