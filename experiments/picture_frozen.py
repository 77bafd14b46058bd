"""Record how well frozen eyes and a frozen reader find names, for lecture 19: `python experiments/picture_frozen.py`.

As the pair of frozen towers in picture_clip.py, with more of what the frozen networks know. Pictures: EfficientNet at
192 pixels, mirrored or not; one, two or three of its layers, each the mean over places, standardized, and of one
weight. Names: MiniLM, of the name alone or of it and "emoji of" it, less the mean over training names. Between them a
map that is not a line: of a picture the Gaussian similarity to each training picture, and from there a linear map.
"squares": it is the ridge regression on the names' vectors (kernel ridge, solved at once, nothing random); "contrast":
the same map trained by info_nce on the same similarities, rotated so that they are coordinates, half of them dropped.

Everything was chosen by recall@5 on the choose part of the training families: layers, names, width and penalty for
"squares" (then kept for "contrast"), rate and updates for "contrast". Then both were trained on train and choose
together and judged on emoji("test"): among the names of the test part, and among all 1,266. (What there is to choose
from came out of trials whose test scores were seen too, up to .45 among the test's names.) Each test picture is
read plain and mirrored, both answers added. "handicap": among all names with a number taken off the similarity of every
name that was trained with (calibrated stacking; Chao et al., 2016), beside it what that costs the trained pictures.
Intervals draw families anew. Five seeds of "contrast"; three minutes of a free core.
"""

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from picture_questions import parts
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.data.emoji import draw_emoji
from llmlib.evaluate import bootstrap_interval
from llmlib.hub import embed_texts, load_efficientnet, load_minilm
from llmlib.multimodal import Temperature, info_nce, recall_at
from llmlib.train import AdamW

SEEDS, RATES, UPDATES, EVERY, BATCH, SIZE = (0, 1, 2, 3, 4), (1e-3, 3e-3), 240, 20, 128, 192
LAYERS = ((16,), (11, 16), (11, 15, 16))  # after so many of the network's blocks, from 0; 16 is what follows them all
PROMPTS, WIDTHS, PENALTIES = (("",), ("", "emoji of ")), (0.6, 1.0, 2.0), (0.1, 0.3)
HANDICAPS = (0.05, 0.1, 0.2)
MODULES = ["experiments/picture_questions.py", "llmlib.data.emoji", "llmlib.multimodal.contrastive",
           "llmlib.hub.efficientnet", "llmlib.hub.minilm"]  # fmt: skip


@cache
@torch.inference_mode()
def looked(part: str) -> dict[tuple[int, bool], Tensor]:
    """(layer, mirrored) -> (N, channels), means over places."""
    network, found = load_efficientnet(), {}
    for some in draw_emoji([e.character for e in parts()[part]], SIZE).split(32):
        for mirrored in (False, True):
            x = network.stem((255 * (some.flip(3) if mirrored else some) - 127) / 128)
            for i, block in enumerate((*network.blocks, network.last)):
                x = block(x)
                if i in LAYERS[-1]:
                    found.setdefault((i, mirrored), []).append(x.mean((2, 3)))
    return {key: torch.cat(rows) for key, rows in found.items()}


def features(part: str, layers: tuple[int, ...], mirrored: bool) -> Tensor:
    """(N, d): squared distances are means over a layer's channels, and means over layers."""
    blocks = []
    for i in layers:
        known = torch.cat([looked("train")[i, False], looked("train")[i, True]])
        block = (looked(part)[i, mirrored] - known.mean(0)) / (known.std(0) + 0.05)
        blocks.append(block / (block.shape[1] * len(layers)) ** 0.5)
    return torch.cat(blocks, 1)


@cache
@torch.no_grad()
def read(part: str, prompt: str) -> Tensor:
    model, tokenizer = load_minilm("cpu")
    return embed_texts(model, tokenizer, [prompt + e.name for e in parts()[part]]).clone()


def names(part: str, prompts: tuple[str, ...]) -> Tensor:
    """(N, 384 for each prompt), of length 1."""
    rows = [F.normalize(read(part, p) - read("train", p).mean(0), dim=1) for p in prompts]
    return F.normalize(torch.cat(rows, 1), dim=1)


class Similar:
    """Gaussian similarities to the pictures of some parts, plain and mirrored."""

    def __init__(self, known: tuple[str, ...], layers: tuple[int, ...], width: float):
        self.layers, self.width = layers, width
        self.anchors = torch.cat([features(p, layers, mirrored) for mirrored in (False, True) for p in known])

    def to(self, x: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(x, self.anchors).square() / self.width)

    def of(self, part: str, mirrored: bool) -> Tensor:
        return self.to(features(part, self.layers, mirrored))


def solved(
    known: tuple[str, ...], layers: tuple[int, ...], prompts: tuple[str, ...], width: float, penalty: float
) -> Callable[[str], Tensor]:
    """Where "squares" puts the pictures of a part: a function from its name to (N, d)."""
    similar = Similar(known, layers, width)
    goal = torch.cat([names(p, prompts) for p in known] * 2)
    weights = torch.linalg.solve(similar.to(similar.anchors) + penalty * torch.eye(len(goal)), goal)
    return lambda part: (similar.of(part, False) + similar.of(part, True)) @ weights


def contrasted(known: tuple[str, ...], how: list, rate: float, seed: int, updates: int) -> tuple[Callable, list]:
    """The same for "contrast", and recall@5 on the choose part every 20 updates if that wasn't trained on."""
    layers, prompts, width, _ = how
    similar = Similar(known, layers, width)
    sizes, turns = torch.linalg.eigh(similar.to(similar.anchors))
    rotate = turns[:, sizes > 1e-3] / sizes[sizes > 1e-3].sqrt()
    seen = [torch.cat([similar.of(p, mirrored) for p in known]) @ rotate for mirrored in (False, True)]
    goal = torch.cat([names(p, prompts) for p in known])
    torch.manual_seed(seed)
    rng, temperature, course = torch.Generator().manual_seed(seed), Temperature(), []
    weights = nn.Parameter(0.001 * torch.randn(rotate.shape[1], goal.shape[1]))
    optimizer = AdamW([weights, *temperature.parameters()], lr=rate, weight_decay=0.1)

    def put(part: str) -> Tensor:
        return (similar.of(part, False) + similar.of(part, True)) @ rotate @ weights.detach()

    for step in range(updates):
        which = torch.randperm(len(goal), generator=rng)[:BATCH]
        x = seen[int(torch.rand((), generator=rng) < 0.5)][which]
        loss = info_nce(F.dropout(x, 0.5) @ weights, goal[which], temperature())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if "choose" not in known and (step + 1) % EVERY == 0:
            course.append(round(recall_at(among(put("choose"), prompts, "choose"), 5), 4))
    return put, course


def among(pictures: Tensor, prompts: tuple[str, ...], *others: str) -> Tensor:
    """Cosines with the names of some parts."""
    return F.normalize(pictures, dim=1) @ torch.cat([names(p, prompts) for p in others]).T


def ranks(similar: Tensor) -> list[int]:
    """How many are at least as similar as the own one, itself not counted."""
    return ((similar >= similar.diagonal()[:, None]).sum(1) - 1).tolist()


def choose_squares(layers: tuple[int, ...], prompts: tuple[str, ...]) -> list[list[float]]:
    """[width, penalty, recall@5 on the choose part] of each pair."""
    found = []
    for width, penalty in product(WIDTHS, PENALTIES):
        put = solved(("train",), layers, prompts, width, penalty)
        found.append([width, penalty, round(recall_at(among(put("choose"), prompts, "choose"), 5), 4)])
    return found


def choose_contrast(how: list, rate: float) -> list[float]:
    return contrasted(("train",), how, rate, 99, UPDATES)[1]


def judged(put: Callable[[str], Tensor], prompts: tuple[str, ...]) -> dict:
    full, small = among(put("test"), prompts, "test", "train", "choose"), among(put("test"), prompts, "test")
    found = dict(test=ranks(small), back=ranks(small.T), full=ranks(full))
    trained = among(put("train"), prompts, "train", "choose", "test")
    n, seen = len(small), len(parts()["train"]) + len(parts()["choose"])
    found["seen"] = round(recall_at(trained, 5), 4)
    for off in HANDICAPS:
        less, of_trained = full.clone(), trained.clone()
        less[:, n:] -= off
        of_trained[:, :seen] -= off
        found[f"full, {off}"], found[f"seen, {off}"] = ranks(less), round(recall_at(of_trained, 5), 4)
    return found


def judge_squares(how: list) -> dict:
    return judged(solved(("train", "choose"), *how), how[1])


def judge_contrast(how: list, rate: float, seed: int, updates: int) -> dict:
    return judged(contrasted(("train", "choose"), how, rate, seed, updates)[0], how[1])


def recalls(rows: list[dict], gallery: str, k: int) -> list[float]:
    groups = [e.family for e in parts()["test"]] * len(rows)
    value = bootstrap_interval([float(rank < k) for row in rows for rank in row[gallery]], groups=groups)
    return [round(v, 3) for v in value]


def summed_up(rows: list[dict]) -> dict:
    found: dict = {g: {str(k): recalls(rows, g, k) for k in (1, 5)} for g in ("test", "back", "full")}
    found["seen"] = round(sum(r["seen"] for r in rows) / len(rows), 3)
    found["handicap"] = {
        str(off): [*recalls(rows, f"full, {off}", 5), round(sum(r[f"seen, {off}"] for r in rows) / len(rows), 3)]
        for off in HANDICAPS
    }
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("picture_frozen", script=__file__, modules=MODULES, seeds=SEEDS)
    tried = {}
    for layers, prompts in product(LAYERS, PROMPTS):
        key = f"squares, layers {layers}, {len(prompts)} prompts"
        for width, penalty, score in experiment.once(key, choose_squares, layers, prompts):
            tried[layers, prompts, width, penalty] = score
    how = list(max(tried, key=tried.get))
    found: dict = dict(size=SIZE, layers=how[0], prompts=how[1], width=how[2], penalty=how[3], batch=BATCH)
    found["choose"] = {"squares": tried[tuple(how)], "squares, least of all tried": min(tried.values())}
    courses = {r: experiment.once(f"contrast {r}", choose_contrast, how, r) for r in RATES}
    rate = max(RATES, key=lambda r: max(courses[r]))
    updates = EVERY * (1 + courses[rate].index(max(courses[rate])))
    found["choose"]["contrast"], found["rate"], found["updates"] = max(courses[rate]), rate, updates
    print(found, flush=True)
    found["squares"] = summed_up([experiment.once("squares", judge_squares, how)])
    print("squares", found["squares"], flush=True)
    rows = [experiment.once(f"contrast, seed {s}", judge_contrast, how, rate, s, updates) for s in SEEDS]
    found["contrast"] = summed_up(rows)
    print("contrast", found["contrast"], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
