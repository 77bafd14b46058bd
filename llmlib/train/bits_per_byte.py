"""Bits per byte over documents: a measure that models of different tokenizers, and tables of counts, share."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from llmlib.data.batches import IGNORE
from llmlib.train.distributed import unwrapped
from llmlib.train.evaluation import evaluation_mode


class BitsPerByte(NamedTuple):
    """A mean over documents, weighted by their bytes, and its 95 % interval over documents."""

    value: float
    low: float
    high: float


def bits_per_byte(nats: Sequence[float], n_bytes: Sequence[int], *, times: int = 1000, seed: int = 0) -> BitsPerByte:
    """All nats of all documents, as bits, divided by all their bytes. Built in lecture 07.

    nats, n_bytes: one number a document, as `document_nats` and `len(text.encode())` give them. The interval resamples
    whole documents: the bytes of one document are no independent witnesses.
    """
    nats, n_bytes = np.asarray(nats, dtype=float), np.asarray(n_bytes, dtype=float)
    if nats.shape != n_bytes.shape or nats.ndim != 1 or not len(nats):
        raise ValueError(f"nats has shape {nats.shape} and n_bytes {n_bytes.shape}: give one number a document")
    if not (n_bytes > 0).all():
        raise ValueError(f"n_bytes holds {n_bytes.min():g}: leave empty documents out")
    rows = np.random.default_rng(seed).integers(0, len(nats), (times, len(nats)))
    resampled = nats[rows].sum(axis=1) / n_bytes[rows].sum(axis=1) / math.log(2)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return BitsPerByte(float(nats.sum() / n_bytes.sum() / math.log(2)), float(low), float(high))


def document_nats(
    model: nn.Module,
    documents: Sequence[Sequence[int]],
    start: int,
    *,
    seq_len: int | None = None,
    batch_size: int = 16,
) -> list[float]:
    """Minus the log-probability of each document, in nats, every token of it counted once. Built in lecture 07.

    documents: lists of ids without special tokens; start: the id put before each, end-of-text for a model that was
    trained on documents closed by it. Documents longer than seq_len (by default the model's max_seq_len) are read in
    windows that overlap by half, so that all but the first tokens are predicted from half a window or more.
    """
    limit = getattr(getattr(unwrapped(model), "config", None), "max_seq_len", None)
    seq_len = seq_len or limit
    if seq_len is None or (limit is not None and seq_len > limit) or seq_len < 2:
        raise ValueError(f"seq_len={seq_len} must lie between 2 and the model's max_seq_len={limit}")
    if any(not len(ids) for ids in documents):
        raise ValueError("documents holds an empty one: it has no byte to predict")
    pieces = []  # (document, inputs, targets), the targets that a window before has counted left out
    for number, ids in enumerate(documents):
        ids = [start, *ids]
        for begin in range(0, max(1, len(ids) - 1 - seq_len // 2), seq_len // 2):
            targets = list(ids[begin + 1 : begin + seq_len + 1])
            counted_before = seq_len - seq_len // 2 if begin else 0
            targets[:counted_before] = [IGNORE] * min(counted_before, len(targets))
            pieces.append((number, ids[begin : begin + len(targets)], targets))
    pieces.sort(key=lambda piece: len(piece[1]))  # so that rows of a batch need little filling
    nats = [0.0] * len(documents)
    device = next(model.parameters()).device
    with evaluation_mode(model):
        for first in range(0, len(pieces), batch_size):
            batch = pieces[first : first + batch_size]
            width = len(batch[-1][1])
            x = torch.tensor([inputs + [0] * (width - len(inputs)) for _, inputs, _ in batch], device=device)
            y = torch.tensor([targets + [IGNORE] * (width - len(targets)) for *_, targets in batch], device=device)
            losses = F.cross_entropy(model(x).float().transpose(1, 2), y, reduction="none", ignore_index=IGNORE)
            for (number, _, _), value in zip(batch, losses.double().sum(dim=1).tolist()):
                nats[number] += value
    return nats
