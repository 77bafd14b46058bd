"""Discrete units: frames or patches by the number of the nearest code, and the row made shorter. Lecture 19.

Speech as text: cluster the frames, take the cluster's number for a letter, write a repeated letter once, and let
byte-pair encoding join what often stands together (Lakhotia et al., 2021; Chang et al., 2024).
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


def kmeans(points: Tensor, n_codes: int, iterations: int = 25, seed: int = 0) -> Tensor:
    """Centres that points (N, d) lie near: -> (n_codes, d). Lloyd's rounds (1982) from k-means++ (2007).

    A centre that loses all its points goes to the point farthest from its own. Raises ValueError for a codebook larger
    than the data: more centres than different points.
    """
    if points.dim() != 2 or not len(points):
        raise ValueError(f"points has shape {tuple(points.shape)}: give (N, d) with N >= 1")
    different = len(points.unique(dim=0)) if len(points) < 50_000 or n_codes > len(points) else len(points)
    if not 1 <= n_codes <= different:
        raise ValueError(f"n_codes={n_codes} must lie between 1 and the number of different points, {different}")
    generator = torch.Generator(device=points.device).manual_seed(seed)
    centres = _spread_out(points, n_codes, generator)
    for _ in range(iterations):
        distances, codes = _nearest(points, centres)
        sums = torch.zeros_like(centres).index_add(0, codes, points)
        counts = torch.bincount(codes, minlength=n_codes)
        moved = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        empty = (counts == 0).nonzero()[:, 0]
        moved[empty] = points[distances.topk(len(empty)).indices]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def nearest_codes(points: Tensor, centres: Tensor) -> Tensor:
    """The number of the nearest centre: (..., d) points and (n_codes, d) centres -> (...) int64."""
    return _nearest(points.reshape(-1, points.shape[-1]), centres)[1].view(points.shape[:-1])


def deduplicate(units: Sequence[int]) -> tuple[list[int], list[int]]:
    """Repeats written once, and how often each stood: [7, 7, 7, 2, 2, 7] -> [7, 2, 7], [3, 2, 1]."""
    kept: list[int] = []
    lengths: list[int] = []
    for unit in units:
        if kept and kept[-1] == unit:
            lengths[-1] += 1
        else:
            kept.append(int(unit))
            lengths.append(1)
    return kept, lengths


def learn_unit_merges(rows: Sequence[Sequence[int]], n_units: int, n_merges: int) -> list[tuple[int, int]]:
    """Byte-pair encoding on units: the pairs to join, in order; the i-th becomes the unit n_units + i (lecture 02).

    Stops before n_merges when no pair stands twice. Raises ValueError for units outside 0 to n_units - 1.
    """
    rows = [list(map(int, row)) for row in rows]
    outside = next((unit for row in rows for unit in row if not 0 <= unit < n_units), None)
    if outside is not None:
        raise ValueError(f"rows holds the unit {outside}: give numbers from 0 to n_units - 1 = {n_units - 1}")
    merges: list[tuple[int, int]] = []
    for new in range(n_units, n_units + n_merges):
        counts = Counter(pair for row in rows for pair in pairwise(row))
        if not counts or max(counts.values()) < 2:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        rows = [_join(row, merges[-1], new) for row in rows]
    return merges


def merge_units(row: Sequence[int], merges: Sequence[tuple[int, int]], n_units: int) -> list[int]:
    """A row of units with the learned pairs joined, in the order they were learned."""
    row = list(map(int, row))
    for i, pair in enumerate(merges):
        row = _join(row, pair, n_units + i)
    return row


def split_units(row: Sequence[int], merges: Sequence[tuple[int, int]], n_units: int) -> list[int]:
    """`merge_units` undone."""
    out: list[int] = []
    stack = list(reversed(row))
    while stack:
        unit = stack.pop()
        if unit < n_units:
            out.append(unit)
        else:
            left, right = merges[unit - n_units]
            stack += [right, left]
    return out


def _join(row: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out, i = [], 0
    while i < len(row):
        if i + 1 < len(row) and (row[i], row[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(row[i])
            i += 1
    return out


def _nearest(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    found = [torch.cdist(part, centres).min(1) for part in points.split(16_384)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _spread_out(points: Tensor, n_codes: int, generator: torch.Generator) -> Tensor:
    """k-means++: each next centre is a point drawn by its squared distance from those there are."""
    first = int(torch.randint(len(points), (1,), generator=generator, device=points.device))
    chosen, squared = [first], (points - points[first]).square().sum(1)
    while len(chosen) < n_codes:
        chosen.append(int(torch.multinomial(squared, 1, generator=generator)))
        squared = torch.minimum(squared, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen].clone()
