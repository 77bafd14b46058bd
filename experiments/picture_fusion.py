"""Record pictures from the start against pictures afterwards, for lecture 19: `python experiments/picture_fusion.py`.

One small decoder, two kinds of updates, as many of each for every contender: *text* (characters of Shakespeare, and
questions about a colour word that stands among the 16 places in front of the question) and *pictures* (the same
question with an emoji's 16 patches in those places, through one linear layer). "mixed": in turns from the first update
on, all weights trained. "after, all": first all text, then all pictures, all weights trained. "after, frozen": the
same, but pictures train only the linear layer and its positions. "after, frozen, deeper eyes": the same with a
transformer of two layers between patches and decoder. Judged on emoji("test"): the colour named of all words, with the
picture's own patches and with another's; on held-out Shakespeare: nats a character; and on new text questions. Rates
were chosen on a choose part of whole families, three for each. Intervals draw families anew, all seeds together. Three
seeds; four minutes.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment, tiny_shakespeare
from llmlib.data.emoji import COLOURS, Emoji, colour_of, draw_emoji, emoji
from llmlib.data.verifiable import held_out_key
from llmlib.evaluate import bootstrap_interval
from llmlib.model import ModelConfig, Transformer
from llmlib.multimodal import PictureDecoder, PictureEncoder
from llmlib.train import AdamW

SEEDS, RATES, TEXT_RATE, OF_EACH, BATCH, WIDTH, PLACES = (0, 1, 2), (1e-3, 3e-3, 1e-2), 3e-3, 400, 48, 64, 16
WAYS = {"mixed": (False, 0), "after, all": (False, 0), "after, frozen": (True, 0),
        "after, frozen, deeper eyes": (True, 2)}  # fmt: skip
QUESTION, NAMES = "what colour is it ?".split(), sorted(COLOURS)
MODULES = ["llmlib.data.emoji", "llmlib.multimodal.patches", "llmlib.model.transformer", "llmlib.evaluate.intervals"]


@cache
def parts() -> dict[str, list[Emoji]]:
    train = emoji("train")
    chosen = {e.family: held_out_key(f"choose {e.family}", 0.15) for e in train}
    found = {"train": [e for e in train if not chosen[e.family]], "choose": [e for e in train if chosen[e.family]]}
    return found | {"test": emoji("test")}


@cache
def coloured(part: str) -> tuple[Tensor, list[str], list[str]]:
    """Pictures (N, 3, 32, 32) of the emoji that have a colour, its names, the emoji's families."""
    drawn = draw_emoji([e.character for e in parts()[part]], 96)
    named = [colour_of(picture) for picture in drawn]
    kept = [i for i, name in enumerate(named) if name]
    return F.avg_pool2d(drawn[kept], 3), [named[i] for i in kept], [parts()[part][i].family for i in kept]


@cache
def text() -> tuple[list[str], Tensor, Tensor]:
    """The vocabulary, Shakespeare to read and Shakespeare to judge by."""
    written = tiny_shakespeare()
    words = sorted(set(written)) + sorted({*QUESTION, *NAMES})
    number = {w: i for i, w in enumerate(words)}
    ids = torch.tensor([number[c] for c in written])
    return words, ids[:1_000_000], ids[1_000_000:]


def ask(n: int) -> Tensor:
    return torch.tensor([text()[0].index(w) for w in QUESTION]).expand(n, -1)


def varied(x: Tensor, rng: torch.Generator) -> Tensor:
    """Turned by up to 20 degrees, mirrored or not, 0.8 to 1.1 times as large."""
    n = len(x)
    turn, size = (torch.rand(n, generator=rng) - 0.5) * 0.7, 0.8 + 0.3 * torch.rand(n, generator=rng)
    side = (torch.rand(n, generator=rng) < 0.5).float() * 2 - 1
    rows = torch.stack([torch.stack([turn.cos() * side, -turn.sin()], 1),
                        torch.stack([turn.sin() * side, turn.cos()], 1)], 1) / size[:, None, None]  # fmt: skip
    grid = F.affine_grid(torch.cat([rows, torch.zeros(n, 2, 1)], 2), list(x.shape), align_corners=False)
    return 1 - F.grid_sample(1 - x, grid, align_corners=False)


def passages(ids: Tensor, n: int, length: int, rng: torch.Generator) -> Tensor:
    at = torch.randint(len(ids) - length, (n, 1), generator=rng)
    return ids[at + torch.arange(length)]


def text_questions(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """16 characters, from one to eight of them replaced by a colour's name, and the question; -> rows, answers."""
    rows = passages(text()[1], n, PLACES, rng)
    answers = torch.tensor([text()[0].index(w) for w in NAMES])[torch.randint(len(NAMES), (n,), generator=rng)]
    order = torch.rand(n, PLACES, generator=rng).argsort(1)
    put = order < torch.randint(1, 9, (n, 1), generator=rng)
    return torch.cat([torch.where(put, answers[:, None], rows), ask(n)], 1), answers


def text_loss(decoder: Transformer, rng: torch.Generator) -> Tensor:
    prose = passages(text()[1], BATCH // 2, 49, rng)
    rows, answers = text_questions(BATCH // 2, rng)
    told = F.cross_entropy(decoder(prose[:, :-1]).mT, prose[:, 1:])
    return told + F.cross_entropy(decoder(rows)[:, -1], answers)


def picture_loss(model: PictureDecoder, rng: torch.Generator) -> Tensor:
    pictures, names, _ = coloured("train")
    which = torch.randint(len(names), (BATCH,), generator=rng)
    answers = torch.tensor([text()[0].index(names[i]) for i in which.tolist()])
    return F.cross_entropy(model(varied(pictures[which], rng), ask(BATCH))[:, -1], answers)


def stage(model: PictureDecoder, kinds: list[str], rate: float, rng: torch.Generator) -> None:
    """The rate rises over 30 updates and falls to 0 over the second half."""
    optimizer = AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.05)
    for step, kind in enumerate(kinds):
        loss = text_loss(model.decoder, rng) if kind == "text" else picture_loss(model, rng)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30, 2 * (1 - step / len(kinds)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def new(seed: int, layers: int) -> PictureDecoder:
    torch.manual_seed(seed)
    decoder = Transformer(ModelConfig(len(text()[0]), 2, WIDTH, 4, max_seq_len=64))
    return PictureDecoder(decoder, PictureEncoder(32, 8, WIDTH, layers), WIDTH)


@cache
def read_only(seed: int) -> dict[str, Tensor]:
    """The decoder after all its text and no picture."""
    model = new(seed, 0)
    stage(model, ["text"] * OF_EACH, TEXT_RATE, torch.Generator().manual_seed(seed))
    return {k: v.clone() for k, v in model.decoder.state_dict().items()}


def trained(way: str, rate: float, seed: int) -> PictureDecoder:
    frozen, layers = WAYS[way]
    model, rng = new(seed, layers), torch.Generator().manual_seed(seed)
    if way == "mixed":
        stage(model, ["text", "pictures"] * OF_EACH, rate, rng)
    else:
        model.decoder.load_state_dict(read_only(seed))
        model.decoder.requires_grad_(not frozen)
        stage(model, ["pictures"] * OF_EACH, rate, rng)
    return model.eval()


@torch.no_grad()
def right(model: PictureDecoder, part: str, shuffle: int | None = None) -> list[int]:
    pictures, names, _ = coloured(part)
    if shuffle is not None:
        pictures = pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(shuffle))]
    guess = model(pictures, ask(len(names)))[:, -1].argmax(1).tolist()
    return [int(text()[0][g] == name) for g, name in zip(guess, names)]


@torch.no_grad()
def reading(decoder: Transformer) -> dict[str, float]:
    rng = torch.Generator().manual_seed(7)
    prose = passages(text()[2], 400, 49, rng)
    rows, answers = text_questions(400, rng)
    return {"nats": round(float(F.cross_entropy(decoder(prose[:, :-1]).mT, prose[:, 1:])), 4),
            "text questions": round(float((decoder(rows)[:, -1].argmax(1) == answers).double().mean()), 4)}  # fmt: skip


def choose(way: str, rate: float) -> float:
    return round(sum(right(trained(way, rate, 99), "choose")) / len(coloured("choose")[1]), 4)


def judged(way: str, rate: float, seed: int) -> dict:
    model = trained(way, rate, seed)
    bits = {"own": "".join(map(str, right(model, "test"))), "shuffled": "".join(map(str, right(model, "test", seed)))}
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return bits | reading(model.decoder) | {"trained with pictures": weights}


def before(seed: int) -> dict[str, float]:
    model = new(seed, 0)
    model.decoder.load_state_dict(read_only(seed))
    return reading(model.decoder.eval())


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_fusion", script=__file__, modules=MODULES, seeds=SEEDS)
    _, names, families = coloured("test")
    most = max(sorted(NAMES), key=coloured("train")[1].count)
    found: dict = dict(of_each=OF_EACH, batch=BATCH, asked=len(names), rates={}, ways={})
    found["most frequent"] = [most, round(names.count(most) / len(names), 4)]
    for way in WAYS:
        scores = found["rates"][way] = {str(r): experiment.once(f"rate {way} {r}", choose, way, r) for r in RATES}
        rate = float(max(scores, key=scores.get))
        rows = [experiment.once(f"{way} {s}", judged, way, rate, s) for s in SEEDS]
        one = found["ways"][way] = {"rate": rate, "trained with pictures": rows[0]["trained with pictures"]}
        for how in ("own", "shuffled"):
            value = bootstrap_interval([float(c) for row in rows for c in row[how]], groups=families * len(rows))
            one[how] = [round(v, 4) for v in value] + [round(row[how].count("1") / len(names), 4) for row in rows]
        one["nats"], one["text questions"] = [r["nats"] for r in rows], [r["text questions"] for r in rows]
        print(way, one, flush=True)
    found["before pictures"] = [experiment.once(f"before {s}", before, s) for s in SEEDS]
    experiment.save(found)


if __name__ == "__main__":
    main()
