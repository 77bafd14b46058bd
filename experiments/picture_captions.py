"""Record names written letter by letter for pictures, for lecture 19: `python experiments/picture_captions.py`.

A decoder of two layers writes emoji's names. "patches": with the picture's 16 patches in front, through one linear
layer, turned and mirrored in training; at the end also with another's picture ("another's"). "text only": trained
without. Nats a letter, ends included, on emoji("test"), whose families were not trained on; rates by a choose part; the
same updates for both. Intervals draw families anew, all seeds together; differences are of the same names and seeds.
Three seeds; two minutes.
"""

import torch
from picture_fusion import parts, varied
from picture_objectives import LETTERS, drawn, spelled
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.evaluate import bootstrap_interval
from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import PictureDecoder, PictureEncoder
from llmlib.train import AdamW

SEEDS, RATES, UPDATES, BATCH, WIDTH = (0, 1, 2), (1e-3, 3e-3), 400, 32, 64
MODULES = ["experiments/picture_fusion.py", "experiments/picture_objectives.py", "llmlib.data.emoji",
           "llmlib.multimodal.patches", "llmlib.model.transformer", "llmlib.evaluate.intervals"]  # fmt: skip


def nats(model: PictureDecoder, pictures: Tensor | None, ids: Tensor) -> Tensor:
    """(N,) nats a letter."""
    read = F.pad(ids[:, :-1], (1, 0), value=len(LETTERS) + 1)
    logits = model.decoder(read) if pictures is None else model(pictures, read)
    asked = (F.pad(ids[:, :-1], (1, 0), value=1) > 0).float()
    return (F.cross_entropy(logits.mT, ids, reduction="none") * asked).sum(1) / asked.sum(1)


def train(way: str, rate: float, seed: int) -> PictureDecoder:
    """The rate rises over 30 updates and falls to 0 over the second half."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    decoder = Transformer(ModelConfig(len(LETTERS) + 2, 2, WIDTH, 4, max_seq_len=48))
    model = PictureDecoder(decoder, PictureEncoder(32, 8, WIDTH, 0), WIDTH)
    optimizer = AdamW((decoder if way == "text only" else model).parameters(), lr=rate, weight_decay=0.05)
    for step in range(UPDATES):
        which = torch.randint(len(drawn("train")), (BATCH,), generator=rng)
        shown = None if way == "text only" else varied(drawn("train")[which], rng)
        loss = nats(model, shown, spelled("train")[which]).mean()
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30, 2 * (1 - step / UPDATES))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def judged(way: str, rate: float, seed: int, part: str) -> dict[str, list[float]]:
    return told(train(way, rate, seed), way, seed, part)


@torch.no_grad()
def told(model: PictureDecoder, way: str, seed: int, part: str) -> dict[str, list[float]]:
    shown, ids = drawn(part), spelled(part)
    if way == "text only":
        found = {way: nats(model, None, ids)}
    else:
        other = torch.randperm(len(shown), generator=torch.Generator().manual_seed(seed))
        found = {"own picture": nats(model, shown, ids), "another's": nats(model, shown[other], ids)}
    return {how: [round(v, 4) for v in each.tolist()] for how, each in found.items()}


def choose(way: str, rate: float) -> float:
    each = next(iter(judged(way, rate, 99, "choose").values()))
    return round(sum(each) / len(each), 4)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_captions", script=__file__, modules=MODULES, seeds=SEEDS)
    families = [e.family for e in parts()["test"]] * len(SEEDS)
    found: dict = dict(updates=UPDATES, rates={}, nats={}, more={})
    rows: list[dict] = [{} for _ in SEEDS]
    for way in ("text only", "patches"):
        found["rates"][way] = {str(r): experiment.once(f"choose {way} {r}", choose, way, r) for r in RATES}
        rate = min(RATES, key=lambda r: found["rates"][way][str(r)])
        for row, seed in zip(rows, SEEDS):
            row |= experiment.once(f"{way} {seed}", judged, way, rate, seed, "test")
    for how in rows[0]:
        each = [v for row in rows for v in row[how]]
        found["nats"][how] = [round(v, 4) for v in bootstrap_interval(each, groups=families)]
        found["nats"][how] += [round(sum(row[how]) / len(row[how]), 4) for row in rows]
        if how != "own picture":
            gaps = [a - b for row in rows for a, b in zip(row[how], row["own picture"])]
            found["more"][how] = [round(v, 4) for v in bootstrap_interval(gaps, groups=families)]
    print(found, flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
