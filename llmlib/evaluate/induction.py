"""Induction: a head that looks up what followed the last time, and the loss that it saves. Lecture 09."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model import record


def repeated_tokens(
    n: int, period: int, vocab_size: int, *, seed: int = 0, copies: int = 2, low: int = 0, start: int | None = None
) -> Tensor:
    """(n, copies * period) random tokens that come again: each row is its first `period` tokens, `copies` times.

    Tokens are drawn evenly from low to vocab_size - 1. start: a token to put before each row, such as that which begins
    a text. In such rows nothing can be predicted but by looking back (Olsson et al., 2022).
    """
    if period < 2 or copies < 2:
        raise ValueError(f"period={period} and copies={copies} must each be at least 2: something must come again")
    if not 0 <= low < vocab_size - 1:
        raise ValueError(f"low={low} leaves fewer than 2 tokens of vocab_size={vocab_size} to draw from")
    ids = torch.randint(low, vocab_size, (n, period), generator=torch.Generator().manual_seed(seed)).repeat(1, copies)
    return ids if start is None else torch.cat([torch.full((n, 1), start), ids], 1)


def induction_scores(model: nn.Module, ids: Tensor, period: int | None = None) -> Tensor:
    """(layers, heads): the attention that goes to the token after the last occurrence of the current one. Lecture 09.

    ids: (B, T), rows like those of `repeated_tokens`, then give their period: the score is the mean weight, over the
    second copy and later ones, on the token period - 1 back. Without a period the last occurrence is looked for in
    every row, so that text will do; tokens that are new in their row do not count (Olsson et al., 2022, "prefix
    matching"). model: a `Transformer`, left in the mode it is in. Raises ValueError if no token comes again.
    """
    B, T = ids.shape
    if period is not None:
        if not 2 <= period < T:
            raise ValueError(f"period={period} must lie between 2 and {T - 1}: rows of {T} tokens must hold a repeat")
        queries = torch.arange(T - (T // period - 1) * period, T, device=ids.device)
        target = (queries - period + 1).expand(B, -1)
        return _attention_on(model, ids, torch.arange(B, device=ids.device)[:, None], queries, target)
    earlier = (ids[:, :, None] == ids[:, None, :]).tril(-1)  # (B, query, key): the same token, before
    last = torch.where(earlier, torch.arange(T, device=ids.device), -1).amax(-1)
    rows, queries = (last >= 0).nonzero(as_tuple=True)
    if not len(rows):
        raise ValueError(f"ids of shape {(B, T)} holds no token that comes again in its row: give longer rows")
    return _attention_on(model, ids, rows, queries, last[rows, queries] + 1)


def previous_token_scores(model: nn.Module, ids: Tensor) -> Tensor:
    """(layers, heads): the mean attention weight of every token on the one before it. Lecture 09.

    ids: (B, T), random tokens or text. The first half of the circuit of Elhage et al. (2021): such a head writes into
    each token what came before it, and an induction head in a later layer looks for that.
    """
    B, T = ids.shape
    if T < 2:
        raise ValueError(f"ids of shape {(B, T)} has no token before another: give rows of at least 2 tokens")
    queries = torch.arange(1, T, device=ids.device)
    return _attention_on(model, ids, torch.arange(B, device=ids.device)[:, None], queries, queries - 1)


@torch.no_grad()
def token_losses(model: nn.Module, ids: Tensor) -> Tensor:
    """(B, T - 1) nats: entry t is the loss of predicting token t + 1 of each row from those before it."""
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2).float(), ids[:, 1:], reduction="none")


def in_context_gain(losses: Tensor, early: slice | int, late: slice | int) -> float:
    """Mean loss early in a row minus mean loss late, in nats per token: what the text so far is worth. Lecture 09.

    losses: (B, T - 1) of `token_losses`. Olsson et al. (2022) take the 50th and the 500th token, with the other sign.
    For repeated tokens, slices over the first and the later copies: the gain is then all copying.
    Raises ValueError for positions that select nothing.
    """
    means = []
    for name, where in (("early", early), ("late", late)):
        try:
            some = losses[:, where]
        except IndexError:
            some = losses[:, :0]
        if not some.numel():
            raise ValueError(f"{name}={where} selects nothing of losses of shape {tuple(losses.shape)}")
        means.append(some.mean().item())
    return means[0] - means[1]


@torch.no_grad()
def _attention_on(model: nn.Module, ids: Tensor, rows: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """(layers, heads): the mean weight with which the queries of these rows look at these keys."""
    with record(model, "blocks.*.attention.weights") as seen:
        model(ids)
    layers = sorted(seen, key=lambda name: int(name.split(".")[1]))
    weights = [seen[name].float() for name in layers]  # each (B, H, T, T)
    return torch.stack([w.transpose(0, 1)[:, rows, queries, keys].flatten(1).mean(1) for w in weights])
