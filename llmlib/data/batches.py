"""Batches of next-token examples from one long array of token ids, without a Python loop over samples (lecture 03)."""

import torch
from torch import Tensor

IGNORE = -100  # the target that torch's cross_entropy leaves out of loss and mean


def _check(tokens: Tensor, seq_len: int, needed: int) -> None:
    if tokens.ndim != 1:
        raise ValueError(f"tokens must be one-dimensional, got shape {tuple(tokens.shape)}: pass the ids as one array")
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, got {seq_len}")
    if len(tokens) < needed:
        raise ValueError(f"tokens holds {len(tokens)} ids, too few for seq_len={seq_len}: {needed} are needed")


def random_batch(
    tokens: Tensor, batch_size: int, seq_len: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw `batch_size` windows at random places, and the same windows one token later.

    tokens: (N,) integer ids, N > seq_len, on any device. Returns x and y, both (batch_size, seq_len) int64 on that
    device, with y[b, t] the token that follows x[b, t]. Windows may overlap, as in nanoGPT (Karpathy, 2022).
    The same `generator` state gives the same batch on every device.
    """
    _check(tokens, seq_len, needed=seq_len + 1)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    where = generator.device if generator is not None else "cpu"
    starts = torch.randint(len(tokens) - seq_len, (batch_size, 1), generator=generator, device=where)
    places = starts.to(tokens.device) + torch.arange(seq_len + 1, device=tokens.device)  # (B, T + 1)
    rows = tokens[places].long()
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def windows(tokens: Tensor, seq_len: int) -> tuple[Tensor, Tensor]:
    """Cut a whole split into windows that do not overlap, so that every token but the first is predicted exactly once.

    tokens: (N,) integer ids, N >= 2. Returns x and y, both (ceil((N - 1) / seq_len), seq_len) int64. When seq_len does
    not divide N - 1 the last row is filled up with id 0 in x and IGNORE (-100) in y: a causal model cannot see the
    filling, and cross_entropy leaves it out. So sum the loss and divide by `(y != IGNORE).sum()`, which is N - 1.
    """
    _check(tokens, seq_len, needed=2)
    n_targets = len(tokens) - 1
    n_rows = -(-n_targets // seq_len)
    x = torch.zeros(n_rows * seq_len, dtype=torch.long, device=tokens.device)
    y = torch.full_like(x, IGNORE)
    x[:n_targets] = tokens[:-1].long()
    y[:n_targets] = tokens[1:].long()
    return x.view(n_rows, seq_len), y.view(n_rows, seq_len)
