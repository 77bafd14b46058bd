"""Record pictures written as tokens, for lecture 19: `python experiments/picture_tokens.py`.

Emoji of 32 pixels in 64 patches of 4 x 4, each replaced by one of n codes. A vector quantizer between two small
networks learns its codes with what it encodes, with the cure for dead codes (patience 50) and without (None): codes in
use, their perplexity, and the squared error a pixel on emoji("test"). The same of k-means on the patches. Then our
decoder writes the 64 tokens of k-means one after the other: nats a token on emoji("test") against uniform, counts of
tokens, of tokens in their places and after the token before, at the rate that did best on a choose part; and what it
writes after 50, 150 and all 400 updates. Three seeds; five minutes.
"""

import base64
import math
from functools import cache

import torch
from picture_questions import parts, update
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.data.emoji import draw_emoji
from llmlib.evaluate import bootstrap_interval
from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import VectorQuantizer, codebook_use, kmeans, nearest_codes, patchify
from llmlib.train import AdamW

SEEDS, CODES, PATIENCES, UPDATES, EVERY = (0, 1, 2), (16, 64, 256), (None, 50), 600, 50
WRITTEN, RATES, WRITER_UPDATES, BATCH, STAGES, SAMPLES = 64, (2e-3, 5e-3), 400, 32, (50, 150, 400), 4
MODULES = ["experiments/picture_questions.py", "llmlib.data.emoji", "llmlib.multimodal.patches",
           "llmlib.multimodal.quantizer", "llmlib.multimodal.units"]  # fmt: skip


@cache
def patches(part: str) -> Tensor:
    """(N, 64, 48)."""
    return patchify(draw_emoji([e.character for e in parts()[part]], 32), 4)


class Autoencoder(nn.Module):
    def __init__(self, n_codes: int, patience: int | None):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 8))
        self.quantizer = VectorQuantizer(n_codes, 8, patience=patience)
        self.decode = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 48))


@torch.no_grad()
def use_and_error(model: Autoencoder, n_codes: int) -> list[float]:
    """Codes in use, their perplexity and the squared error a pixel, on the test part."""
    model.eval()
    found = model.quantizer(model.encode(patches("test")))
    error = float((model.decode(found.vectors) - patches("test")).square().mean())
    model.train()
    used, perplexity = codebook_use(found.codes, n_codes)
    return [used, round(perplexity, 2), round(error, 6)]


def quantized(n_codes: int, patience: int | None, seed: int) -> list[list[float]]:
    """Every 50 updates."""
    torch.manual_seed(seed)
    rng, model, course = torch.Generator().manual_seed(seed), Autoencoder(n_codes, patience), []
    optimizer = AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for step in range(UPDATES):
        x = patches("train")[torch.randint(len(patches("train")), (BATCH,), generator=rng)]
        found = model.quantizer(model.encode(x))
        loss = (model.decode(found.vectors) - x).square().mean() + found.loss
        update(model, optimizer, loss, 3e-3, step, UPDATES)
        if (step + 1) % EVERY == 0:
            course.append(use_and_error(model, n_codes))
    return course


@cache
def codebook(n_codes: int) -> Tensor:
    rows = patches("train").flatten(0, 1)
    return kmeans(rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:20_000]], n_codes)


def clustered(n_codes: int) -> list[float]:
    codes = nearest_codes(patches("test"), codebook(n_codes))
    used, perplexity = codebook_use(codes, n_codes)
    error = float((codebook(n_codes)[codes] - patches("test")).square().mean())
    return [used, round(perplexity, 2), round(error, 6)]


@cache
def tokens(part: str) -> Tensor:
    return nearest_codes(patches(part), codebook(WRITTEN))


def writer_nats(model: Transformer, ids: Tensor) -> Tensor:
    """(N,) nats a token; the token WRITTEN stands in front."""
    ids = F.pad(ids, (1, 0), value=WRITTEN)
    return F.cross_entropy(model(ids[:, :-1]).mT, ids[:, 1:], reduction="none").mean(1)


@torch.no_grad()
def write(model: Transformer, seed: int) -> list[list[int]]:
    rng, ids = torch.Generator().manual_seed(seed), torch.full((SAMPLES, 1), WRITTEN)
    for _ in range(64):
        shares = model(ids)[:, -1, :WRITTEN].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(shares, 1, generator=rng)], 1)
    return ids[:, 1:].tolist()


def writer(rate: float, seed: int, part: str) -> dict:
    torch.manual_seed(seed)
    rng, model = torch.Generator().manual_seed(seed), Transformer(ModelConfig(WRITTEN + 1, 2, 64, 4, max_seq_len=64))
    optimizer = AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    written, course = {}, []
    for step in range(WRITER_UPDATES):
        which = torch.randint(len(tokens("train")), (BATCH,), generator=rng)
        update(model, optimizer, writer_nats(model, tokens("train")[which]).mean(), rate, step, WRITER_UPDATES)
        if seed == 0 and step + 1 in STAGES:
            written[str(step + 1)] = write(model, seed)
        if (step + 1) % EVERY == 0:
            with torch.no_grad():
                course.append(round(float(writer_nats(model, tokens(part)).mean()), 4))
    with torch.no_grad():
        each = [round(v, 4) for v in writer_nats(model, tokens(part)).tolist()]
    return {"nats": each, "course": course, "written": written}


def counted() -> dict[str, float]:
    """Nats a token of the test part, from counts of the training part, one added to each."""
    seen, asked = tokens("train"), tokens("test")
    once = torch.bincount(seen.flatten(), minlength=WRITTEN) + 1.0
    placed = torch.stack([torch.bincount(column, minlength=WRITTEN) for column in seen.T]) + 1.0
    pairs = torch.ones(WRITTEN, WRITTEN)
    pairs.index_put_((seen[:, :-1].flatten(), seen[:, 1:].flatten()), torch.tensor(1.0), accumulate=True)
    found = {"uniform": math.log(WRITTEN), "counts": -(once / once.sum()).log()[asked].mean()}
    found["counts in their places"] = -(placed / placed.sum(1, True)).log().gather(1, asked.T).mean()
    after = -(pairs / pairs.sum(1, True)).log()[asked[:, :-1], asked[:, 1:]]
    found["counts after the token before"] = after.mean()
    return {k: round(float(v), 4) for k, v in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_tokens", script=__file__, modules=MODULES, seeds=SEEDS)
    plain = float((patches("test") - patches("train").mean((0, 1))).square().mean())
    found: dict = dict(error_of_mean=round(plain, 6), every=EVERY, kmeans={}, quantizer={}, written=WRITTEN, rates={})
    for n in CODES:
        found["kmeans"][str(n)] = experiment.once(f"kmeans {n}", clustered, n)
        print("kmeans", n, found["kmeans"][str(n)], flush=True)
    for n in CODES:
        for patience in PATIENCES:
            courses = [experiment.once(f"vq {n} {patience} {s}", quantized, n, patience, s) for s in SEEDS]
            found["quantizer"].setdefault(str(n), {})[str(patience)] = dict(
                ends=[course[-1] for course in courses], course=courses[0]
            )
            print("quantizer", n, patience, [course[-1] for course in courses], flush=True)
    found["counts"] = experiment.once("counts", counted)
    tried = {r: experiment.once(f"writer rate {r}", writer, r, 99, "choose")["course"] for r in RATES}
    found["rates"] = {str(r): course for r, course in tried.items()}
    rate = min(RATES, key=lambda r: tried[r][-1])
    rows = [experiment.once(f"writer {s}", writer, rate, s, "test") for s in SEEDS]
    families = [e.family for e in parts()["test"]] * len(SEEDS)
    value = bootstrap_interval([v for row in rows for v in row["nats"]], groups=families)
    found["writer"] = dict(nats=[round(v, 4) for v in value], rate=rate, courses=[row["course"] for row in rows])
    found["writer"]["seeds"] = [round(sum(row["nats"]) / len(row["nats"]), 4) for row in rows]
    found["samples"] = rows[0]["written"]
    found["codebook"] = base64.b64encode(bytes((255 * codebook(WRITTEN)).round().byte().flatten().tolist())).decode()
    print(found["counts"], found["writer"], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
