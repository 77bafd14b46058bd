"""Record a correct run of a picture and a name tower and faulty ones, one of which lab 19 gives to a student.

Pictures of 16 x 16 pixels show one coloured shape in one of nine places; a name says it in three words. The picture
tower cuts patches, projects them, rounds them to a codebook that learns with it, and reads all in a small network; the
name tower adds up three word vectors. InfoNCE and the quantizer's loss train them together. A program prints how
well pictures and names find each other, what the codebook does and how large gradients are. One thing is wrong in each
faulty program. Three seeds: a student sees the first, and a test holds every observation to all of them. Run it with
`OMP_NUM_THREADS=1 python experiments/lab19_faults.py`; it takes about two minutes on one core.
"""

import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.multimodal import patchify

FAULTS = {
    "A": "the cosines are multiplied by the temperature",
    "B": "the loss has one direction only: each picture chooses among the names",
    "C": "in training the pictures are shuffled against the names",
    "D": "the codebook is detached in both terms of the quantizer's loss",
    "E": "the straight-through line is left out: the codes go on as they are",
    "F": "the patches of test pictures run down the columns",
    "G": "the vectors of pictures and names are not normalised",
    "H": "each batch holds every name twice",
    "I": "the codebook begins in one heap, far from the vectors",
    "J": "the test names are trained on, too",
}
RUNS = dict(zip(("a3", "c8", "e0", "g5", "k1", "n7", "q2", "t9", "w4", "y6"), "FBIDHAJEGC", strict=True))
SEEDS = (0, 1, 2)
SIDE, PATCH, WIDTH, CODES, STEPS, BATCH, RATE, TEMPERATURE = 16, 4, 32, 64, 300, 64, 3e-3, 0.1
COLOURS = [(0.9, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.3, 0.9), (0.95, 0.8, 0.1), (0.6, 0.2, 0.7), (0.2, 0.8, 0.85)]
SHAPES = ["square", "frame", "disc", "cross", "bar", "pole", "corner", "slash"]


def drawn(shape: str) -> Tensor:
    """(6, 6), 1 where the shape has its colour."""
    y, x = torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij")
    inside = {
        "square": (x >= 0),
        "frame": (x == 0) | (x == 5) | (y == 0) | (y == 5),
        "disc": (x - 2.5) ** 2 + (y - 2.5) ** 2 < 8,
        "cross": ((x == 2) | (x == 3)) | ((y == 2) | (y == 3)),
        "bar": (y >= 2) & (y <= 3),
        "pole": (x >= 2) & (x <= 3),
        "corner": (x <= 1) | (y >= 4),
        "slash": (x + y >= 4) & (x + y <= 6),
    }
    return inside[shape].float()


def pictures_of(names: Tensor, chance: torch.Generator) -> Tensor:
    """Names (N, 3), colour, shape and place, as pictures (N, 3, 16, 16): a shape in one of nine places, with noise."""
    pictures = torch.ones(len(names), 3, SIDE, SIDE)
    masks, colours = torch.stack([drawn(shape) for shape in SHAPES]), torch.tensor(COLOURS)
    for i, (colour, shape, place) in enumerate(names.tolist()):
        y, x = 5 * (place // 3), 5 * (place % 3)
        spot = pictures[i, :, y : y + 6, x : x + 6]
        spot -= masks[shape] * (1 - colours[colour])[:, None, None]
    return pictures + 0.05 * torch.randn(pictures.shape, generator=chance)


class Towers(nn.Module):
    """Pictures and names as vectors of the same width."""

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault
        self.projection = nn.Linear(3 * PATCH * PATCH, WIDTH)
        self.codebook = nn.Parameter(torch.empty(CODES, WIDTH))
        n_patches = (SIDE // PATCH) ** 2
        self.reader = nn.Sequential(nn.Flatten(), nn.Linear(n_patches * WIDTH, 128), nn.GELU(), nn.Linear(128, WIDTH))
        self.words = nn.ModuleList(nn.Embedding(n, WIDTH) for n in (len(COLOURS), len(SHAPES), 9))

    @torch.no_grad()
    def begin(self, pictures: Tensor, chance: torch.Generator) -> None:
        """Codes begin as vectors of patches."""
        before = self.projection(1 - patchify(pictures, PATCH)).flatten(0, 1)
        self.codebook.copy_(before[torch.randperm(len(before), generator=chance)[:CODES]])
        if self.fault == "I":
            self.codebook.mul_(0.01).add_(3 * torch.randn(WIDTH, generator=chance))

    def of_pictures(self, pictures: Tensor, down: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Vectors (N, d), the codes, the quantizer's loss, and the patches' vectors before they are rounded."""
        patches = 1 - patchify(pictures, PATCH)
        if down:
            patches = patches.view(len(patches), SIDE // PATCH, SIDE // PATCH, -1).transpose(1, 2).flatten(1, 2)
        before = self.projection(patches)
        codes = torch.cdist(before.detach(), self.codebook.detach()).argmin(-1)
        chosen = self.codebook[codes]
        moving = chosen.detach() if self.fault == "D" else chosen
        loss = (moving - before.detach()).square().mean() + 0.25 * (before - chosen.detach()).square().mean()
        after = chosen if self.fault == "E" else before + (chosen - before).detach()
        return self.reader(after), codes, loss, before

    def of_names(self, names: Tensor) -> Tensor:
        return sum(word(names[:, i]) for i, word in enumerate(self.words))

    def logits(self, seen: Tensor, named: Tensor) -> Tensor:
        if self.fault != "G":
            seen, named = F.normalize(seen, dim=-1), F.normalize(named, dim=-1)
        products = seen @ named.T
        return products * TEMPERATURE if self.fault == "A" else products / TEMPERATURE


def share_right(logits: Tensor) -> float:
    """Percent of rows whose own column is the largest."""
    return 100 * (logits.argmax(1) == torch.arange(len(logits))).float().mean().item()


def both_ways(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of pictures that choose among names, and of names that choose among pictures."""
    own = torch.arange(len(logits))
    return F.cross_entropy(logits, own), F.cross_entropy(logits.T, own)


def run(fault: str, seed: int) -> dict:
    """What a program with this fault writes down."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    every = torch.cartesian_prod(*(torch.arange(n) for n in (len(COLOURS), len(SHAPES), 9)))
    every = every[torch.randperm(len(every), generator=chance)]
    test, train = every[:BATCH], every[BATCH:]
    if fault == "J":
        train = every
    model = Towers(fault)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    model.begin(pictures_of(train[:BATCH], chance), chance)
    began, curve = model.codebook.detach().clone(), []
    for _ in range(STEPS):
        rows = torch.randperm(len(train), generator=chance)[: BATCH // 2 if fault == "H" else BATCH]
        names = train[rows].repeat(2, 1) if fault == "H" else train[rows]
        pictures = pictures_of(names, chance)
        if fault == "C":
            pictures = pictures[torch.randperm(BATCH, generator=chance)]
        seen, _, rounding, before = model.of_pictures(pictures)
        before.retain_grad()
        there, back = both_ways(model.logits(seen, model.of_names(names)))
        contrast = there if fault == "B" else (there + back) / 2
        optimizer.zero_grad()
        contrast.backward(retain_graph=True)
        from_names = 0.0 if before.grad is None else before.grad.norm().item()
        rounding.backward()
        optimizer.step()
        curve.append(contrast.item())
    with torch.no_grad():
        numbers = {"loss": sum(curve[-20:]) / 20, "two ways": abs((contrast - (there + back) / 2).item())}
        for which, names in (("known", train[torch.randperm(len(train), generator=chance)[:BATCH]]), ("test", test)):
            pictures = pictures_of(names, chance)
            seen, codes, _, before = model.of_pictures(pictures, fault == "F" and which == "test")
            logits = model.logits(seen, model.of_names(names))
            numbers[f"{which} right"] = share_right(logits)
            numbers[f"{which} loss"] = both_ways(logits)[0].item()
        numbers |= {
            "back right": share_right(logits.T),
            "top logit": logits.max().item(),
            "codes": len(codes.unique()),
            "rounding": ((before - model.codebook[codes]).square().mean() / before.var()).item(),
            "moved": ((model.codebook - began).norm() / began.norm()).item(),
            "gradient": from_names,
        }
    return {"curve": [float(f"{x:.3g}") for x in curve[::30]]} | {
        name: float(f"{v:.3g}") for name, v in numbers.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("lab19_faults", script=__file__, seeds=SEEDS, modules=["llmlib.multimodal.patches"])
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *others = (experiment.once(f"{name}, seed {seed}", run, fault, seed) for seed in SEEDS)
        results[name] = first | {
            "other seeds": [{k: log[k] for k in log if k not in ("curve", "back right")} for log in others]
        }
        for log in (first, *others):
            print(name, fault, [v for v in log.values() if not isinstance(v, list)], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trial"]:
        torch.set_num_threads(1)
        seed = int(sys.argv[2])
        for fault in ("", *FAULTS):
            print(
                fault or "-", *(f"{v:9.3g}" for v in run(fault, seed).values() if not isinstance(v, list)), flush=True
            )
    else:
        main()
