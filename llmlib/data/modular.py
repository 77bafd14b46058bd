"""Addition modulo a number: a table small enough to be learned by heart, with a rule behind it. Lecture 09."""

import torch
from torch import Tensor


def modular_addition(modulus: int, fraction: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """All sums a + b modulo `modulus`, split at random: (training rows, test rows). Lecture 09.

    Each is (n, 3), int64, with rows a, b, (a + b) mod modulus; fraction is the share of rows to train on. The pairs are
    *unordered*, a <= b, so there are modulus * (modulus + 1) / 2 rows. A split of the ordered pairs would put the
    mirror image of most test pairs into training, and a model that adds up its two embeddings, which cannot tell a + b
    from b + a, would answer those without having understood anything (Power et al., 2022, split ordered pairs).

    Raises ValueError for a modulus that is too small to split and for a fraction that leaves one half empty.
    """
    if modulus < 2:
        raise ValueError(f"modulus={modulus} is too small to split: it must be at least 2, which has 3 pairs")
    n = modulus * (modulus + 1) // 2
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction} must lie between 0 and 1: both halves need pairs")
    n_train = round(fraction * n)
    if not 0 < n_train < n:
        empty, change = ("training", "a larger") if n_train == 0 else ("test", "a smaller")
        raise ValueError(
            f"fraction={fraction} of the {n} pairs of modulus={modulus} leaves the {empty} half empty: "
            f"choose {change} fraction or a larger modulus"
        )
    a, b = torch.triu_indices(modulus, modulus)
    rows = torch.stack([a, b, (a + b) % modulus], dim=1)
    rows = rows[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    return rows[:n_train], rows[n_train:]
