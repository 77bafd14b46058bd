"""Record what our decoder answers about emoji it never saw, for lecture 19: `python experiments/picture_questions.py`.

Three questions, one word each as the answer: what colour (the fill of most pixels), what kind of thing (a block of
Unicode), how many (one to four drawings on a grid of 2 x 2). Contenders: the picture's patches, 8 of 32 pixels, through
one linear layer, 16 places in front of the question ("patches"); the 3 x 3 places of a frozen EfficientNet at 96
pixels, through one linear layer ("frozen cnn"); the question alone ("text only"). At the end each that sees is also
asked with another question's picture ("shuffled"), which says whether it looks. In training pictures are turned,
mirrored and of other sizes (the frozen network's are mirrored). Trained on emoji("train") less the families of a choose
part, on which each contender's rate was chosen; judged on emoji("test"). Intervals draw families of emoji, or scenes,
anew, all seeds together; the constants are the answer most frequent in training and the one best for the test itself.
Five seeds; ten minutes of a free core.
"""

import random
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.data.emoji import COLOURS, KINDS, Emoji, colour_of, draw_emoji, emoji
from llmlib.data.verifiable import held_out_key
from llmlib.evaluate import bootstrap_interval
from llmlib.hub import load_efficientnet
from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import PictureDecoder, PictureEncoder
from llmlib.train import AdamW

SEEDS, RATES = (0, 1, 2, 3, 4), (1e-3, 3e-3)
UPDATES, BATCH, WIDTH = 800, 48, 64
SCENES = {"train": 900, "choose": 120, "test": 240}
NUMBERS = ("one", "two", "three", "four")
QUESTIONS = {"colour": "what colour is it ?", "kind": "what kind of thing ?", "number": "how many are there ?"}
WORDS = sorted({w for q in QUESTIONS.values() for w in q.split()} | set(NUMBERS) | set(COLOURS) | set(KINDS))
MODULES = ["llmlib.data.emoji", "llmlib.multimodal.patches", "llmlib.hub.efficientnet", "llmlib.evaluate.intervals"]


@cache
def parts() -> dict[str, list[Emoji]]:
    train = emoji("train")
    chosen = {e.family: held_out_key(f"choose {e.family}", 0.15) for e in train}
    return {"train": [e for e in train if not chosen[e.family]], "choose": [e for e in train if chosen[e.family]],
            "test": emoji("test")}  # fmt: skip


@cache
def pictures(part: str) -> Tensor:
    """uint8 (N, 3, 96, 96): the emoji of a part and behind them its scenes."""
    each = parts()[part]
    single = draw_emoji([e.character for e in each], 96)
    small = draw_emoji([e.character for e in each], 48)
    draw, scenes = random.Random(part), torch.ones(SCENES[part], 3, 96, 96)
    for i in range(len(scenes)):
        for place in draw.sample(range(4), i % 4 + 1):
            top, left = 48 * (place // 2), 48 * (place % 2)
            scenes[i, :, top : top + 48, left : left + 48] = small[draw.randrange(len(each))]
    return (255 * torch.cat([single, scenes])).round().byte()


@cache
def asked(part: str) -> dict[str, list[tuple[int, str]]]:
    """question -> (number of the picture, answer)."""
    each, shown = parts()[part], pictures(part)
    colours = [(i, colour_of(shown[i] / 255)) for i in range(len(each))]
    return {"colour": [(i, c) for i, c in colours if c],
            "kind": [(i, e.kind) for i, e in enumerate(each) if e.kind],
            "number": [(len(each) + i, NUMBERS[i % 4]) for i in range(SCENES[part])]}  # fmt: skip


@cache
def small_pictures(part: str) -> Tensor:
    return F.avg_pool2d(pictures(part) / 255, 3)


@cache
@torch.inference_mode()
def features(part: str, mirrored: bool = False) -> Tensor:
    """(N, 9, 1280) of the frozen network."""
    model, shown = load_efficientnet(), pictures(part)
    shown = shown.flip(3) if mirrored else shown
    rows = [model.features(some / 255).flatten(2).mT.half() for some in shown.split(64)]
    return torch.cat(rows).clone()


def varied(x: Tensor, rng: torch.Generator) -> Tensor:
    """Turned by up to 20 degrees, mirrored or not, 0.8 to 1.1 times as large, moved by up to 6 % of the side."""
    n = len(x)
    turn, size = (torch.rand(n, generator=rng) - 0.5) * 0.7, 0.8 + 0.3 * torch.rand(n, generator=rng)
    side = (torch.rand(n, generator=rng) < 0.5).float() * 2 - 1
    rows = torch.stack([torch.stack([turn.cos() * side, -turn.sin()], 1),
                        torch.stack([turn.sin() * side, turn.cos()], 1)], 1) / size[:, None, None]  # fmt: skip
    move = (torch.rand(n, 2, 1, generator=rng) - 0.5) * 0.24
    grid = F.affine_grid(torch.cat([rows, move], 2), list(x.shape), align_corners=False)
    return 1 - F.grid_sample(1 - x, grid, align_corners=False)


def seen(way: str, part: str, which: Tensor, rng: torch.Generator | None = None) -> Tensor | None:
    """What a contender reads of the pictures; with a generator as it is varied in training."""
    if way == "text only":
        return None
    if way == "frozen cnn":
        other = rng is not None and bool(torch.rand((), generator=rng) < 0.5)
        return features(part, other)[which].float()
    x = small_pictures(part)[which]
    return x if rng is None or "plain" in way else varied(x, rng)


class Reader(nn.Module):
    """The decoder with eyes, or without."""

    def __init__(self, way: str, n_tokens: int, layers: int):
        super().__init__()
        decoder = Transformer(ModelConfig(n_tokens, layers, WIDTH, 4, max_seq_len=80))
        self.eyes = None
        if way == "frozen cnn":
            self.eyes = PictureDecoder(decoder, nn.LayerNorm(1280), 1280)
        elif way != "text only":
            self.eyes = PictureDecoder(decoder, PictureEncoder(32, 8, WIDTH, 0), WIDTH)
        self.decoder = decoder

    def forward(self, x: Tensor | None, ids: Tensor) -> Tensor:
        return self.decoder(ids) if self.eyes is None else self.eyes(x, ids)


def update(model: nn.Module, optimizer: AdamW, loss: Tensor, rate: float, step: int, steps: int) -> None:
    """The rate rises over 30 updates and falls to 0 over the second half."""
    for group in optimizer.param_groups:
        group["lr"] = rate * min(1.0, (step + 1) / 30, 2 * (1 - step / steps))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def trained(way: str, rate: float, seed: int) -> Reader:
    """A third of each batch for each question."""
    torch.manual_seed(seed)
    rng, draw = torch.Generator().manual_seed(seed), random.Random(seed)
    model = Reader(way, len(WORDS), 2)
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    for step in range(UPDATES):
        some = [(q, *draw.choice(asked("train")[q])) for q in QUESTIONS for _ in range(BATCH // 3)]
        which, answers = torch.tensor([s[1] for s in some]), torch.tensor([WORDS.index(s[2]) for s in some])
        ids = torch.tensor([[WORDS.index(w) for w in QUESTIONS[s[0]].split()] for s in some])
        loss = F.cross_entropy(model(seen(way, "train", which, rng), ids)[:, -1], answers)
        update(model, optimizer, loss, rate, step, UPDATES)
    return model.eval()


@torch.no_grad()
def right(model: Reader, way: str, part: str, shuffle: int | None = None) -> dict[str, str]:
    """question -> "1" for each right answer, "0" for each wrong one; with `shuffle` about the wrong pictures."""
    found = {}
    for q, items in asked(part).items():
        which, ids = torch.tensor([i for i, _ in items]), torch.tensor([[WORDS.index(w) for w in QUESTIONS[q].split()]])
        if shuffle is not None:
            which = which[torch.randperm(len(which), generator=torch.Generator().manual_seed(shuffle))]
        guess = model(seen(way, part, which), ids.expand(len(items), -1))[:, -1].argmax(1).tolist()
        found[q] = "".join(str(int(WORDS[g] == answer)) for g, (_, answer) in zip(guess, items))
    return found


def mean(found: dict[str, str]) -> float:
    return sum(v.count("1") / len(v) for v in found.values()) / len(found)


def choose(way: str, rate: float) -> float:
    return round(mean(right(trained(way, rate, 99), way, "choose")), 4)


def answers(way: str, rate: float, seed: int) -> dict[str, dict[str, str]]:
    model = trained(way, rate, seed)
    found = {"own": right(model, way, "test")}
    if way != "text only":
        found["shuffled"] = right(model, way, "test", shuffle=seed)
    return found


def with_interval(rows: list[dict[str, str]]) -> dict[str, list[float]]:
    """question -> mean, the ends of its interval, and then each seed's own."""
    found, each = {}, parts()["test"]
    for q, items in asked("test").items():
        groups = [each[i].family if i < len(each) else str(i) for i, _ in items] * len(rows)
        value = bootstrap_interval([float(c) for row in rows for c in row[q]], groups=groups)
        found[q] = [round(v, 4) for v in value] + [round(row[q].count("1") / len(items), 4) for row in rows]
    return found


def constants() -> dict[str, dict[str, list]]:
    found: dict = {"most frequent in training": {}, "best for the test": {}}
    for q in QUESTIONS:
        test = [a for _, a in asked("test")[q]]
        for name, said in (
            ("most frequent in training", [a for _, a in asked("train")[q]]),
            ("best for the test", test),
        ):
            most = max(sorted(set(said)), key=said.count)
            found[name][q] = [most, round(test.count(most) / len(test), 4)]
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_questions", script=__file__, modules=MODULES, seeds=SEEDS)
    found: dict = dict(updates=UPDATES, batch=BATCH, width=WIDTH, rates={}, accuracy={})
    found["emoji"] = {part: len(each) for part, each in parts().items()}
    found["asked"] = {part: {q: len(v) for q, v in asked(part).items()} for part in parts()}
    found["constants"] = constants()
    for way in ("text only", "patches", "frozen cnn"):
        scores = found["rates"][way] = {str(r): experiment.once(f"rate {way} {r}", choose, way, r) for r in RATES}
        rate = float(max(scores, key=scores.get))
        print(way, scores, flush=True)
        rows = [experiment.once(f"{way} {seed}", answers, way, rate, seed) for seed in SEEDS]
        for how in rows[0]:
            label = way if how == "own" else f"{way}, shuffled"
            found["accuracy"][label] = with_interval([row[how] for row in rows])
            print(label, {q: v[:3] for q, v in found["accuracy"][label].items()}, flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
