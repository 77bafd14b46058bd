"""Record a small CLIP of emoji and their names, for lecture 19: `python experiments/picture_clip.py`.

Two towers and info_nce with a learned temperature. Pictures: a transformer of two layers on patches, 8 of 32 pixels,
turned, mirrored and of other sizes in training ("pixels"); or a frozen EfficientNet at 128 pixels, mirrored or not,
half its features dropped, through a linear layer ("frozen cnn"). Names: the mean of learned vectors of their words and
letter trigrams, through a linear layer ("own names"); or a frozen MiniLM as it is, less the mean over training names
("frozen minilm"; nothing is trained on that side: Zhai et al., 2022, LiT). Trained on emoji("train") less a choose part
of whole families, on which each pair's rate and number of updates were chosen by recall@5; judged on emoji("test"):
each picture's own name among the names of the test part, and among all 1,266; "back" is from names to pictures.
Intervals draw families anew, all seeds together. Then the temperature held fixed at six values, for the two frozen
towers, three seeds. Five seeds, of pixels three; three minutes. picture_frozen.py goes on from the frozen pair.
"""

import re
import zlib
from functools import cache

import torch
from picture_questions import parts, update, varied
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.data.emoji import draw_emoji
from llmlib.evaluate import bootstrap_interval
from llmlib.hub import embed_texts, load_efficientnet, load_minilm
from llmlib.multimodal import PictureEncoder, Temperature, info_nce, recall_at
from llmlib.train import AdamW

SEEDS, RATES, UPDATES, EVERY, BATCH, WIDTH = (0, 1, 2, 3, 4), (1e-3, 3e-3), 320, 40, 128, 64
PAIRS = (("frozen cnn", "frozen minilm"), ("frozen cnn", "own names"), ("pixels", "own names"))
BUCKETS = 8192
TEMPERATURES = (0.01, 0.03, 0.07, 0.2, 0.5, 1.0)
SHOWN = 8
MODULES = ["experiments/picture_questions.py", "llmlib.data.emoji", "llmlib.multimodal.patches",
           "llmlib.multimodal.contrastive", "llmlib.hub.efficientnet", "llmlib.hub.minilm"]  # fmt: skip


@cache
def drawn(part: str, size: int) -> Tensor:
    return draw_emoji([e.character for e in parts()[part]], size)


@cache
@torch.inference_mode()
def features(part: str, mirrored: bool = False) -> Tensor:
    """(N, 1280): the mean over the frozen network's 16 places."""
    model, x = load_efficientnet(), drawn(part, 128)
    rows = [model.features(some.flip(3) if mirrored else some).mean((2, 3)) for some in x.split(32)]
    return torch.cat(rows).clone()


@cache
def spread() -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each of the 1,280 over training pictures."""
    return features("train").mean(0), features("train").std(0) + 0.05


@cache
def sentences(part: str) -> Tensor:
    """(N, 384) from the frozen language model."""
    model, tokenizer = load_minilm("cpu")
    return embed_texts(model, tokenizer, [e.name for e in parts()[part]]).clone()


@cache
def pieces(part: str) -> Tensor:
    """(N, 40) numbers of a name's words and letter trigrams; 0 is none."""
    rows = torch.zeros(len(parts()[part]), 40, dtype=torch.int64)
    for row, each in zip(rows, parts()[part]):
        words = re.findall(r"[a-z]+", each.name)
        some = words + [f"<{w}>"[i : i + 3] for w in words for i in range(len(w))]
        some = [1 + zlib.crc32(piece.encode()) % (BUCKETS - 1) for piece in some][:40]
        row[: len(some)] = torch.tensor(some)
    return rows


class Towers(nn.Module):
    def __init__(self, eyes: str, names: str):
        super().__init__()
        self.eyes, self.names, self.temperature = eyes, names, Temperature()
        self.look = PictureEncoder(32, 8, WIDTH, 2) if eyes == "pixels" else nn.Dropout(0.5)
        own = names == "own names"
        self.read = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean", padding_idx=0) if own else nn.Identity()
        self.from_read = nn.Linear(WIDTH, WIDTH) if own else nn.Identity()
        self.from_look = nn.Linear(WIDTH if eyes == "pixels" else 1280, WIDTH if own else 384)

    def pictures(self, part: str, which: Tensor, rng: torch.Generator | None = None) -> Tensor:
        if self.eyes == "pixels":
            x = drawn(part, 32)[which]
            return self.from_look(self.look(x if rng is None else varied(x, rng)).mean(1))
        other = rng is not None and bool(torch.rand((), generator=rng) < 0.5)
        mean, deviation = spread()
        return self.from_look(self.look((features(part, other)[which] - mean) / deviation))

    def texts(self, part: str, which: Tensor) -> Tensor:
        if self.names == "own names":
            return self.from_read(self.read(pieces(part)[which]))
        return sentences(part)[which] - sentences("train").mean(0)


@torch.no_grad()
def similarity(model: Towers, part: str, others: tuple[str, ...] = ()) -> Tensor:
    """(N, M): pictures of a part, names of it and of others."""
    model.eval()
    every = [torch.arange(len(parts()[p])) for p in (part, *others)]
    names = torch.cat([model.texts(p, some) for p, some in zip((part, *others), every)])
    pictures = torch.cat([model.pictures(part, some) for some in every[0].split(64)])
    model.train()
    return F.normalize(pictures, dim=-1) @ F.normalize(names, dim=-1).T


def train(
    eyes: str, names: str, rate: float, seed: int, updates: int, fixed: float | None = None
) -> tuple[Towers, list]:
    """The model, and with seed 99 recall@5 on the choose part every 40 updates."""
    torch.manual_seed(seed)
    rng, model, course = torch.Generator().manual_seed(seed), Towers(eyes, names), []
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    for step in range(updates):
        which = torch.randperm(len(parts()["train"]), generator=rng)[:BATCH]
        temperature = model.temperature() if fixed is None else fixed
        loss = info_nce(model.pictures("train", which, rng), model.texts("train", which), temperature)
        update(model, optimizer, loss, rate, min(step, UPDATES // 2), UPDATES)  # the rate rises and stays
        if seed == 99 and (step + 1) % EVERY == 0:
            course.append(round(recall_at(similarity(model, "choose"), 5), 4))
    return model, course


def choose(eyes: str, names: str, rate: float) -> list[float]:
    return train(eyes, names, rate, 99, UPDATES)[1]


def ranks(similar: Tensor) -> list[int]:
    """How many are at least as similar as the own one, itself not counted."""
    return ((similar >= similar.diagonal()[:, None]).sum(1) - 1).tolist()


def judged(eyes: str, names: str, rate: float, seed: int, updates: int, fixed: float | None = None) -> dict:
    model, _ = train(eyes, names, rate, seed, updates, fixed)
    small, full = similarity(model, "test"), similarity(model, "test", ("train", "choose"))
    found = dict(
        test=ranks(small),
        full=ranks(full),
        back=ranks(small.T),
        temperature=round(float(model.temperature().detach()), 4),
    )
    found["seen"] = round(recall_at(similarity(model, "train"), 5), 4)  # of what it was trained on
    if seed == 0 and fixed is None:
        some = torch.linspace(0, len(small) - 1, SHOWN).round().long().tolist()
        found["shown"] = [[i, *small[i].topk(3).indices.tolist()] for i in some]
    return found


def recalls(rows: list[dict], gallery: str, k: int) -> list[float]:
    groups = [e.family for e in parts()["test"]] * len(rows)
    value = bootstrap_interval([float(rank < k) for row in rows for rank in row[gallery]], groups=groups)
    return [round(v, 4) for v in value]


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_clip", script=__file__, modules=MODULES, seeds=SEEDS)
    n, total = len(parts()["test"]), sum(map(len, parts().values()))
    found: dict = dict(sizes={"test": n, "full": total}, updates=UPDATES, batch=BATCH, pairs={}, courses={}, fixed={})
    found["chance"] = {g: {str(k): round(k / m, 5) for k in (1, 5)} for g, m in (("test", n), ("full", total))}
    for eyes, names in PAIRS:
        label, seeds = f"{eyes}, {names}", SEEDS[:3] if eyes == "pixels" else SEEDS
        courses = {r: experiment.once(f"choose {label} {r}", choose, eyes, names, r) for r in RATES}
        rate = max(RATES, key=lambda r: max(courses[r]))
        updates = EVERY * (1 + courses[rate].index(max(courses[rate])))
        found["courses"][label] = {str(r): course for r, course in courses.items()}
        rows = [experiment.once(f"{label} {seed}", judged, eyes, names, rate, seed, updates) for seed in seeds]
        one = found["pairs"][label] = dict(rate=rate, updates=updates)
        for gallery in ("test", "back", "full"):
            one[gallery] = {str(k): recalls(rows, gallery, k) for k in (1, 5)}
        one["temperature"], one["seen"] = [r["temperature"] for r in rows], [r["seen"] for r in rows]
        one["median rank, full"] = sorted(rank for r in rows for rank in r["full"])[len(rows) * n // 2] + 1
        one["shown"] = [[parts()["test"][i].name for i in row] for row in rows[0]["shown"]]
        print(label, {k: v for k, v in one.items() if k != "shown"}, flush=True)
        if label == "frozen cnn, frozen minilm":
            for fixed in TEMPERATURES:
                some = [
                    experiment.once(f"{label} {fixed} {s}", judged, eyes, names, rate, s, updates, fixed)
                    for s in SEEDS[:3]
                ]
                found["fixed"][str(fixed)] = {g: recalls(some, g, 5) for g in ("test", "full")}
            print(found["fixed"], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
