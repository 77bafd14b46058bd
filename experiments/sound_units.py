"""Record how short discrete units make sound, for lecture 19: `python experiments/sound_units.py`.

Utterances of two to four of 40 syllables by 24 speakers; the 10 who are measured are others. k-means of log-mel frames
(40 bands, every 10 ms) into 50, 100 and 200 units, and of continuous features (seven frames side by side, projected on
their 32 principal components) into 100; repeats written once; then 300 byte-pair merges learned on the 24. Lengths, and
bits a second when every frame or unit takes the same number of bits: 40 x 32 a frame, log2 of the inventory a unit.
One minute.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from llmlib.data import Experiment
from llmlib.data.syllables import RATE, SYLLABLES, Speaker, say
from llmlib.multimodal import deduplicate, kmeans, learn_unit_merges, log_mel, merge_units, nearest_codes

SPEAKERS = {"train": 24, "choose": 6, "test": 10}
SAID = {"train": 1200, "choose": 120, "test": 200}
CODES, USED, MERGES, BESIDE, COMPONENTS = (50, 100, 200), 100, 300, 3, 32
MODULES = ["llmlib.data.syllables", "llmlib.multimodal.sound", "llmlib.multimodal.units"]


@cache
def utterances(part: str) -> list[tuple[Tensor, list[int], int]]:
    """(frames (T, 40), numbers of the syllables, speaker)."""
    draw = np.random.default_rng(list(SPEAKERS).index(part))
    voices = [Speaker.draw(draw) for _ in range(SPEAKERS[part])]
    found = []
    for i in range(SAID[part]):
        said = draw.integers(0, len(SYLLABLES), draw.integers(2, 5)).tolist()
        wave, _ = say([SYLLABLES[s] for s in said], voices[i % len(voices)], seed=int(draw.integers(2**31)))
        found.append((log_mel(torch.from_numpy(wave), RATE), said, i % len(voices)))
    return found


@cache
def scale() -> tuple[Tensor, Tensor]:
    rows = torch.cat([frames for frames, *_ in utterances("train")])
    return rows.mean(0), rows.std(0)


@cache
def frames(part: str) -> list[Tensor]:
    mean, std = scale()
    return [(each - mean) / std for each, *_ in utterances(part)]


def stacked(each: Tensor) -> Tensor:
    """(T, 40) -> (T, 280): each frame with three before it and three after it."""
    wide = torch.cat([each[:1].expand(BESIDE, -1), each, each[-1:].expand(BESIDE, -1)])
    return wide.unfold(0, 2 * BESIDE + 1, 1).flatten(1)


@cache
def projection() -> tuple[Tensor, Tensor, Tensor]:
    """Mean, directions (280, 32) and the standard deviations along them."""
    rows = torch.cat([stacked(each) for each in frames("train")[:400]])
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    return mean, vectors[:, -COMPONENTS:], values[-COMPONENTS:].sqrt()


@cache
def features(part: str) -> list[Tensor]:
    mean, directions, deviations = projection()
    return [(stacked(each) - mean) @ directions / deviations.max() for each in frames(part)]


@cache
def centres(of: str, n: int) -> Tensor:
    rows = torch.cat((frames if of == "frames" else features)("train"))
    return kmeans(
        rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:12_000]], n, iterations=15
    )


@cache
def units(part: str, of: str, n: int) -> list[list[int]]:
    return [nearest_codes(each, centres(of, n)).tolist() for each in (frames if of == "frames" else features)(part)]


@cache
def merges(of: str, n: int) -> list[tuple[int, int]]:
    return learn_unit_merges([deduplicate(row)[0] for row in units("train", of, n)], n, MERGES)


def shortening(of: str, n: int) -> dict[str, float]:
    """Of the test speakers' utterances: what is left of the length, and bits a second."""
    rows = units("test", of, n)
    once = [deduplicate(row)[0] for row in rows]
    joined = [merge_units(row, merges(of, n), n) for row in once]
    total = sum(map(len, rows))
    seconds = 0.010 * total
    found = {"frames": total, "de-duplicated": sum(map(len, once)), "merged": sum(map(len, joined))}
    found["merges"] = len(merges(of, n))
    syllables = sum(len(said) for _, said, _ in utterances("test"))
    found["syllables"] = syllables
    bits = {"frames": 40 * 32 * total, "units": np.log2(n) * total}
    bits["de-duplicated"] = np.log2(n) * found["de-duplicated"]
    bits["merged"] = np.log2(n + found["merges"]) * found["merged"]
    found["bits a second"] = {k: round(float(v) / seconds, 1) for k, v in bits.items()}
    found["used"] = len({u for row in rows for u in row})
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sound_units", script=__file__, modules=MODULES)
    found: dict = dict(speakers=SPEAKERS, said=SAID, short={})
    for of, n in [("frames", n) for n in CODES] + [("features", USED)]:
        found["short"][f"{n} of {of}"] = experiment.once(f"short {of} {n}", shortening, of, n)
        print(of, n, found["short"][f"{n} of {of}"], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
