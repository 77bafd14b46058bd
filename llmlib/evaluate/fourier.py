"""Which waves a table of numbers is made of: the Fourier basis on which a network that adds modulo p computes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def fourier_basis(modulus: int) -> Tensor:
    """(modulus, modulus), orthonormal rows: constant, then cos and sin of frequency 1, of frequency 2, ... Lecture 09.

    Row 2 k - 1 is cos(2 pi k a / modulus) over the numbers a, row 2 k is sin, each divided by its length; frequencies
    run from 1 to (modulus - 1) / 2. Raises ValueError for an even modulus, whose last frequency has no sine.
    """
    if modulus < 3 or modulus % 2 == 0:
        raise ValueError(f"modulus={modulus} must be odd and at least 3, so that every frequency has cosine and sine")
    a = torch.arange(modulus, dtype=torch.float64)
    rows = [torch.full((modulus,), 1 / math.sqrt(modulus), dtype=torch.float64)]
    for frequency in range(1, modulus // 2 + 1):
        angle = 2 * math.pi * frequency * a / modulus
        rows += [math.sqrt(2 / modulus) * angle.cos(), math.sqrt(2 / modulus) * angle.sin()]
    return torch.stack(rows).to(torch.get_default_dtype())


def frequency_power(embedding: Tensor) -> Tensor:
    """The power of a table (p, d) at each frequency: (p // 2,), entry k - 1 for frequency k. Lecture 09.

    Squared coefficients of cosine and sine, summed over the d columns. Together with the power of the constant, which
    is left out, they add up to the sum of squares of the table (Parseval).
    """
    coefficients = fourier_basis(len(embedding)).to(embedding) @ embedding
    power = coefficients.square().sum(1)[1:]
    return power[0::2] + power[1::2]


def key_frequencies(power: Tensor, share: float = 0.9) -> list[int]:
    """The fewest frequencies that hold at least `share` of the power (p // 2,), ascending; they count from 1.

    Nanda et al. (2023, section 4.1) read them off a figure; a share makes it a rule. Raises ValueError for a share
    outside (0, 1] and for power that is zero everywhere.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} must lie above 0 and at most at 1")
    total = power.sum()
    if power.ndim != 1 or not total > 0:
        raise ValueError(f"power has shape {tuple(power.shape)} and sum {total:g}: give one positive row of powers")
    order = power.argsort(descending=True, stable=True)
    needed = power[order].cumsum(0) < share * total * (1 - 1e-6)  # rounding must not ask for one more
    return sorted((order[: int(needed.sum()) + 1] + 1).tolist())


def keep_frequencies(table: Tensor, frequencies: Iterable[int], dim: int = 0) -> Tensor:
    """table with nothing left along `dim` (size p) but these frequencies and the constant. Lecture 09.

    A projection: keeping twice changes nothing. Raises ValueError for a frequency outside 1 to p // 2.
    """
    return _project(table, frequencies, dim, keep=True)


def remove_frequencies(table: Tensor, frequencies: Iterable[int], dim: int = 0) -> Tensor:
    """table without these frequencies along `dim` (size p); all others and the constant stay. Lecture 09.

    An ablation: what a network does with such an embedding shows what it used them for.
    """
    return _project(table, frequencies, dim, keep=False)


def _project(table: Tensor, frequencies: Iterable[int], dim: int, keep: bool) -> Tensor:
    modulus, chosen = table.size(dim), sorted(set(frequencies))
    if chosen and not 1 <= chosen[0] <= chosen[-1] <= modulus // 2:
        raise ValueError(f"frequencies={chosen} must lie between 1 and {modulus // 2}, half of the size {modulus}")
    rows = torch.tensor([row for k in chosen for row in (2 * k - 1, 2 * k)], dtype=torch.long)
    basis = fourier_basis(modulus).to(table)
    chosen_rows = basis[torch.cat([torch.zeros(1, dtype=torch.long), rows]) if keep else rows]
    part = torch.tensordot(chosen_rows.T @ chosen_rows, table, dims=([1], [dim])).movedim(0, dim)
    return part if keep else table - part
