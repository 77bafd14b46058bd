"""Record how well units, features and filter banks are recognised, for lecture 19.

    python experiments/sound_recognition.py

The utterances of sound_units.py: 24 speakers to train on, 6 others to choose by, 10 others to judge. Three convolutions
over five places, with CTC on the 40 syllables, read one of four inputs: log-mel frames of 40 bands, two side by side;
continuous features, seven frames side by side projected on their 32 principal components, two side by side; 100 units
of these features, repeats written once; and the same with 300 merges. No features here are self-supervised. Trained on
150 transcribed utterances of the 24; projection, units and merges come from all 1,200, which needs no transcripts.
Every input has the same updates, examples and two rates to choose from; the rate falls to nothing, and the course of
the error on the choose speakers says whether it has stopped falling. Intervals draw speakers anew, all seeds together.
Three seeds; two minutes.
"""

from functools import cache

import torch
from sound_units import COMPONENTS, MERGES, SAID, SPEAKERS, USED, features, frames, merges, units, utterances
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.data.syllables import SYLLABLES
from llmlib.evaluate import bootstrap_interval
from llmlib.multimodal import deduplicate, merge_units
from llmlib.train import AdamW

SEEDS, RATES, UPDATES, EVERY, BATCH, WIDTH = (0, 1, 2), (3e-3, 8e-3), 300, 60, 32, 48
TRANSCRIBED = (150,)
INPUTS = ("merged", "de-duplicated", "frames", "features")
MODULES = ["experiments/sound_units.py", "llmlib.data.syllables", "llmlib.multimodal.sound", "llmlib.multimodal.units",
           "llmlib.evaluate.intervals"]  # fmt: skip


@cache
def inputs(way: str, part: str) -> list[Tensor]:
    if way in ("frames", "features"):
        rows = (frames if way == "frames" else features)(part)
        return [each[: len(each) // 2 * 2].reshape(len(each) // 2, -1) for each in rows]
    rows = units(part, "features", USED)
    once = [deduplicate(row)[0] for row in rows]
    if way == "merged":
        once = [merge_units(row, merges("features", USED), USED) for row in once]
    return [torch.tensor(row) for row in once]


class Recogniser(nn.Module):
    """(B, T, in) -> (B, T, 41) log-probabilities; 0 is CTC's blank."""

    def __init__(self, way: str):
        super().__init__()
        n = {"frames": 80, "features": 2 * COMPONENTS}.get(way)
        self.take = nn.Linear(n, WIDTH) if n else nn.Embedding(USED + MERGES + 1, WIDTH)
        self.body = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2) for _ in range(3))
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(SYLLABLES) + 1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x, there = self.take(x).mT, mask[:, None]
        for convolution in self.body:
            x = x + F.gelu(convolution(x * there))
        return self.out(x.mT).log_softmax(-1)


def batch(way: str, part: str, which: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    rows = [inputs(way, part)[i] for i in which]
    said = [utterances(part)[i][1] for i in which]
    x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    long = torch.tensor([len(row) for row in rows])
    labels = torch.tensor([1 + s for row in said for s in row])
    return x, torch.arange(x.shape[1]) < long[:, None], long, labels, torch.tensor([len(row) for row in said])


def edits(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@torch.no_grad()
def wrong(model: Recogniser, way: str, part: str) -> list[int]:
    """Edits for each utterance."""
    model.eval()
    found = []
    for which in torch.arange(SAID[part]).split(64):
        x, mask, long, *_ = batch(way, part, which.tolist())
        for i, best, n in zip(which.tolist(), model(x, mask).argmax(-1).tolist(), long.tolist()):
            heard = [c - 1 for c in deduplicate(best[:n])[0] if c]
            found.append(edits(heard, utterances(part)[i][1]))
    model.train()
    return found


def rate_of_errors(counts: list[int], part: str) -> float:
    return round(sum(counts) / sum(len(said) for _, said, _ in utterances(part)), 4)


def train(way: str, n: int, rate: float, seed: int) -> tuple[Recogniser, list[float]]:
    """The rate rises over 50 updates and falls to 0 over the last half; the course is of the choose speakers."""
    torch.manual_seed(seed)
    rng, model, course = torch.Generator().manual_seed(seed), Recogniser(way), []
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    for step in range(UPDATES):
        x, mask, long, labels, lengths = batch(way, "train", torch.randint(n, (BATCH,), generator=rng).tolist())
        loss = F.ctc_loss(model(x, mask).transpose(0, 1), labels, long, lengths, zero_infinity=True)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50, 2 * (1 - step / UPDATES))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % EVERY == 0:
            course.append(rate_of_errors(wrong(model, way, "choose"), "choose"))
    return model, course


def choose(way: str, n: int, rate: float) -> list[float]:
    return train(way, n, rate, 99)[1]


def judged(way: str, n: int, rate: float, seed: int) -> dict:
    model, course = train(way, n, rate, seed)
    return {"course": course, "wrong": "".join(str(min(edit, 9)) for edit in wrong(model, way, "test"))}


def per_speaker(counts: list[int], who: int) -> int:
    return sum(n for n, (*_, speaker) in zip(counts, utterances("test"), strict=True) if speaker == who)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sound_recognition", script=__file__, modules=MODULES, seeds=SEEDS)
    found: dict = dict(updates=UPDATES, batch=BATCH, speakers=SPEAKERS, said=SAID, rates={}, inputs={})
    spoken = [len(said) for _, said, _ in utterances("test")]
    for n, way in ((n, way) for n in TRANSCRIBED for way in INPUTS):
        courses = {r: experiment.once(f"choose {way} {n} {r}", choose, way, n, r) for r in RATES}
        found["rates"].setdefault(str(n), {})[way] = {str(r): course for r, course in courses.items()}
        rate = min(RATES, key=lambda r: courses[r][-1])
        rows = [experiment.once(f"{way} {n} {s}", judged, way, n, rate, s) for s in SEEDS]
        errors = [[int(c) for c in row["wrong"]] for row in rows]
        share = [
            [per_speaker(row, who) / per_speaker(spoken, who) for row in errors] for who in range(SPEAKERS["test"])
        ]
        found["inputs"].setdefault(str(n), {})[way] = {
            "error": [round(v, 4) for v in bootstrap_interval(share)], "rate": rate,
            "seeds": [round(sum(row) / sum(spoken), 4) for row in errors], "course": [row["course"] for row in rows],
            "places": round(sum(map(len, inputs(way, "test"))) / SAID["test"], 2),
            "weights": sum(p.numel() for p in Recogniser(way).parameters()),
        }  # fmt: skip
        print(n, way, found["inputs"][str(n)][way], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
