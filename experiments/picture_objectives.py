"""Record four objectives for one small reader of pictures, for lecture 19: `python experiments/picture_objectives.py`.

What is the equivalent of language modelling for pictures? One trunk, a transformer of two layers on 16 patches of an
emoji, is trained without labels by each of: "next token" (a small decoder behind it writes the emoji's name, letter by
letter), "contrastive" (info_nce between its mean and the name's letter trigrams), "masked patches" (half of the patches
covered, their pixels to be told, squared error) and "next unit" (each place sees those before it and tells which of 64
k-means codes the next patch has). Beside them "untrained", and "the answers" (trained on colour and kind themselves).
All have the same pictures and two rates, and the same cost: as many updates as 400 of the contrastive ones take
floating-point operations, counted by torch ("next token", with its decoder, gets fewer than half as many). Then a ridge
regression from the mean of the trunk's places to the colour (10) or the kind (8), fitted on the training part, rate and
penalty by the choose part, judged on emoji("test"); "pixels" is the same from the picture itself, all its patches.
Intervals draw families anew, all seeds together; "more" is against "untrained", of the same emoji and seeds. Five
seeds; five minutes of a free core.
"""

from functools import cache

import torch
from picture_fusion import parts, varied
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from llmlib.data import Experiment
from llmlib.data.emoji import COLOURS, KINDS, colour_of, draw_emoji
from llmlib.evaluate import bootstrap_interval
from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import info_nce, kmeans, nearest_codes, patchify
from llmlib.train import AdamW

SEEDS, RATES, PENALTIES, BATCH, WIDTH = (0, 1, 2, 3, 4), (1e-3, 3e-3), (1.0, 10.0, 100.0), 64, 64
YARDSTICK, UPDATES = "contrastive", 400
WAYS = ("next token", "contrastive", "masked patches", "next unit", "the answers")
LETTERS = " abcdefghijklmnopqrstuvwxyz-"
MODULES = ["experiments/picture_fusion.py", "llmlib.data.emoji", "llmlib.multimodal.patches",
           "llmlib.multimodal.contrastive", "llmlib.multimodal.units", "llmlib.model.transformer"]  # fmt: skip


@cache
def drawn(part: str) -> Tensor:
    return F.avg_pool2d(draw_emoji([e.character for e in parts()[part]], 96), 3)


@cache
def spelled(part: str) -> Tensor:
    """(N, 25) letters of the names, from 1 on; 0 is none."""
    rows = torch.zeros(len(parts()[part]), 25, dtype=torch.int64)
    for row, each in zip(rows, parts()[part]):
        ids = [1 + LETTERS.index(c) for c in each.name if c in LETTERS][:24]
        row[: len(ids)] = torch.tensor(ids)
    return rows


@cache
def codebook() -> Tensor:
    return kmeans(patchify(drawn("train"), 8).flatten(0, 1), 64)


@cache
def labels(part: str, of: str) -> tuple[Tensor, Tensor]:
    """Rows that have the label, and its number."""
    named = [e.kind for e in parts()[part]] if of == "kind" else colours(part)
    names = sorted(KINDS if of == "kind" else COLOURS)
    kept = [i for i, name in enumerate(named) if name]
    return torch.tensor(kept), torch.tensor([names.index(named[i]) for i in kept])


@cache
def colours(part: str) -> list[str | None]:
    return [colour_of(picture) for picture in draw_emoji([e.character for e in parts()[part]], 96)]


class Trunk(nn.Module):
    def __init__(self, way: str):
        super().__init__()
        shape = dict(n_layers=2, d_model=WIDTH, n_heads=4)
        self.take = nn.Linear(192, WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(16, WIDTH))
        self.covered = nn.Parameter(0.02 * torch.randn(WIDTH))
        self.body = Transformer(ModelConfig(1, max_seq_len=16, position="none", causal=way == "next unit", **shape))
        if way == "next token":
            self.writer = Transformer(ModelConfig(len(LETTERS) + 1, max_seq_len=48, **shape | dict(n_layers=1)))
        self.name = nn.EmbeddingBag(4096, WIDTH, mode="mean", padding_idx=0)
        self.out = nn.Linear(WIDTH, {"masked patches": 192, "next unit": 64, "the answers": 18}.get(way, WIDTH))

    def forward(self, pictures: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.take(patchify(pictures, 8))
        x = x if mask is None else torch.where(mask[..., None], self.covered, x)
        return self.body.hidden(embeds=x + self.places)


def loss_of(model: Trunk, way: str, which: Tensor, rng: torch.Generator) -> Tensor:
    pictures = varied(drawn("train")[which], rng)
    if way == "next token":
        ids = spelled("train")[which]
        row = torch.cat([model(pictures), model.writer.token_embedding(ids[:, :-1])], 1)
        logits = model.writer.head(model.writer.hidden(embeds=row)[:, 15:])
        ended = F.pad(ids[:, :-1] == 0, (1, 0))  # the first 0 is to be told, as the end
        return F.cross_entropy(logits.mT, ids.masked_fill(ended, -100))
    if way == "contrastive":
        ids = F.pad(spelled("train")[which], (1, 1))
        pieces = (ids[:, :-2] * 841 + ids[:, 1:-1] * 29 + ids[:, 2:]) % 4095 + 1
        return info_nce(model(pictures).mean(1), model.name(pieces.masked_fill(ids[:, 1:-1] == 0, 0)))
    if way == "masked patches":
        mask = torch.rand(len(which), 16, generator=rng).argsort(1) < 8
        return (model.out(model(pictures, mask)) - patchify(pictures, 8))[mask].square().mean()
    if way == "next unit":
        codes = nearest_codes(patchify(pictures, 8), codebook())
        return F.cross_entropy(model.out(model(pictures))[:, :-1].mT, codes[:, 1:])
    logits, loss = model.out(model(pictures).mean(1)), torch.tensor(0.0)
    for of, some in (("colour", logits[:, :10]), ("kind", logits[:, 10:])):
        rows, answers = labels("train", of)
        told = torch.full((len(drawn("train")),), -100).index_copy(0, rows, answers)[which]
        loss = loss + F.cross_entropy(some, told)
    return loss


@cache
def operations(way: str) -> int:
    """Floating-point operations of one update, forward and back."""
    state = torch.get_rng_state()
    model = Trunk(way)
    with FlopCounterMode(display=False) as counter:
        loss_of(model, way, torch.arange(BATCH), torch.Generator().manual_seed(0)).backward()
    torch.set_rng_state(state)
    return counter.get_total_flops()


def updates(way: str) -> int:
    return 0 if way == "untrained" else round(UPDATES * operations(YARDSTICK) / operations(way))


def train(way: str, rate: float, seed: int) -> Trunk:
    """The rate rises over 30 updates and falls to 0 over the second half."""
    torch.manual_seed(seed)
    rng, model, steps = torch.Generator().manual_seed(seed), Trunk(way), updates(way)
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    for step in range(steps):
        loss = loss_of(model, way, torch.randperm(len(drawn("train")), generator=rng)[:BATCH], rng)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30, 2 * (1 - step / steps))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


@torch.no_grad()
def vectors(model: Trunk | None, part: str) -> Tensor:
    return patchify(drawn(part), 8).flatten(1) if model is None else model(drawn(part)).mean(1)


def probe(model: Trunk | None, of: str, part: str, penalty: float) -> list[int]:
    """Each label of the part: read right or not."""
    rows, answers = labels("train", of)
    x = vectors(model, "train")[rows]
    mean, std = x.mean(0), x.std(0) + 1e-6
    x = F.pad((x - mean) / std, (0, 1), value=1.0)
    weights = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ F.one_hot(answers).float())
    rows, answers = labels(part, of)
    said = F.pad((vectors(model, part)[rows] - mean) / std, (0, 1), value=1.0) @ weights
    return (said.argmax(1) == answers).long().tolist()


def best(model: Trunk | None) -> dict[str, list[float]]:
    """colour and kind -> the penalty that did best on the choose part, and how well."""
    found = {}
    for of in ("colour", "kind"):
        scores = [sum(right := probe(model, of, "choose", p)) / len(right) for p in PENALTIES]
        found[of] = [PENALTIES[scores.index(max(scores))], round(max(scores), 4)]
    return found


def choose(way: str, rate: float) -> dict[str, list[float]]:
    return best(train(way, rate, 99))


def judged(way: str, rate: float, seed: int, penalty: dict[str, float]) -> dict[str, str]:
    model = None if way == "pixels" else train(way, rate, seed)
    return {of: "".join(map(str, probe(model, of, "test", penalty[of]))) for of in ("colour", "kind")}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_objectives", script=__file__, modules=MODULES, seeds=SEEDS)
    found: dict = dict(
        updates={way: updates(way) for way in WAYS}, batch=BATCH, rates={}, read={}, more={}, constant={}
    )
    kept: dict[str, list] = {}
    for of in ("colour", "kind"):
        told, asked = labels("train", of)[1], labels("test", of)[1]
        found["constant"][of] = [round(float((asked == told.mode().values).double().mean()), 4), len(asked)]
    for way in ("pixels", "untrained", *WAYS):
        rates = RATES if way in WAYS else RATES[:1]
        tried = {r: experiment.once(f"choose {way} {r}", best, None) if way == "pixels" else
                 experiment.once(f"choose {way} {r}", choose, way, r) for r in rates}  # fmt: skip
        rate = max(rates, key=lambda r: tried[r]["colour"][1] + tried[r]["kind"][1])
        found["rates"][way] = {str(r): {of: v[1] for of, v in t.items()} for r, t in tried.items()}
        penalty = {of: v[0] for of, v in tried[rate].items()}
        seeds = SEEDS if way != "pixels" else SEEDS[:1]
        rows = [experiment.once(f"{way} {s}", judged, way, rate, s, penalty) for s in seeds]
        found["read"][way], kept[way] = {}, rows
        for of in ("colour", "kind"):
            families = [parts()["test"][i].family for i in labels("test", of)[0].tolist()] * len(rows)
            value = bootstrap_interval([float(c) for row in rows for c in row[of]], groups=families)
            each = [round(row[of].count("1") / len(row[of]), 4) for row in rows]
            found["read"][way][of] = [round(v, 3) for v in [*value, *each]]
            if way in WAYS:
                pairs = [
                    (int(a), int(b)) for one, two in zip(rows, kept["untrained"]) for a, b in zip(one[of], two[of])
                ]
                value = bootstrap_interval([float(a - b) for a, b in pairs], groups=families)
                found["more"].setdefault(way, {})[of] = [round(v, 3) for v in value]
        print(way, rate, penalty, found["read"][way], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
