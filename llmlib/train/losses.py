"""Losses: functions of a model and a batch that return a sum and how many targets it is over."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data.batches import IGNORE
from llmlib.model import auxiliary_loss
from llmlib.train.distributed import unwrapped

Batch = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
Loss = Callable[[nn.Module, Batch], tuple[Tensor, Tensor | int | float]]

FOR_THE_MODEL = ("segments", "pad_mask", "positions", "token_types")


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the cross-entropies, in nats and in fp32, over the targets that are not -100.

    logits: (B, T, V); targets: (B, T). Returns a scalar. Divide by `(targets != -100).sum()` for the mean: summing
    first is what makes batches of unequal length add up.
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")


def mean_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the targets that are not -100; ValueError if there are none.

    logits: (..., V); targets: (...) int64, any leading dimensions. Perplexity is its exponential.
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, logits {tuple(logits.shape)}: give one per row")
    if not (targets != IGNORE).any():
        raise ValueError(f"targets holds no target, only {IGNORE}: there is nothing to average")
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), targets.reshape(-1))


def next_token_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """The default loss: how well each token is predicted from those before it. Returns (sum in nats, targets).

    batch: (x, y), ids and targets, both (B, T), with -100 where there is no target; or the ids alone; or a dict with
    "ids", perhaps "targets", and whatever of segments, pad_mask, positions and token_types the model shall get. Without
    targets these are the next ids, none across the border of a document or into padding. While gradients are recorded
    the auxiliary losses that the model's parts ask for are added, once per target; a held-out loss is without them.
    ValueError for a model that sees the future: it would copy the answer.
    """
    refuse_readers(model)
    ids, targets, inputs = unpack(batch)
    targets = following(ids, **inputs) if targets is None else targets
    count = (targets != IGNORE).sum()
    total = token_loss(model(ids, **inputs), targets)
    return total + auxiliary_loss(model) * count if torch.is_grad_enabled() else total, count


def refuse_readers(model: nn.Module) -> None:
    """ValueError for a model whose config says that its tokens see later ones."""
    if getattr(getattr(unwrapped(model), "config", None), "causal", True) is False:
        raise ValueError("model.config.causal=False: next_token_loss would show it the answers; pass another loss=")


def unpack(batch: Batch) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """A batch as ids, targets (or None) and the model's other inputs; ValueError for anything else."""
    if isinstance(batch, Tensor):
        return batch, None, {}
    if isinstance(batch, Mapping):
        unknown = sorted(set(batch) - {"ids", "targets", *FOR_THE_MODEL})
        if "ids" not in batch or unknown:
            problem = f"the unknown {unknown[0]!r}" if unknown else "no 'ids'"
            raise ValueError(
                f"batch holds {problem}: next_token_loss takes ids, targets, {', '.join(FOR_THE_MODEL)}; "
                "for anything else pass another loss="
            )
        return batch["ids"], batch.get("targets"), {name: batch[name] for name in FOR_THE_MODEL if name in batch}
    if isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch):
        return batch[0], batch[1], {}
    raise ValueError(f"batch is a {type(batch).__name__}: next_token_loss takes (x, y), ids or a dict with 'ids'")


def following(ids: Tensor, segments: Tensor | None = None, pad_mask: Tensor | None = None, **_: Tensor) -> Tensor:
    """The target of each position: the next id of the same document, -100 where there is none. (B, T) -> (B, T)."""
    targets = torch.full_like(ids, IGNORE)
    targets[:, :-1] = ids[:, 1:]
    if segments is not None:
        apart = (segments[:, 1:] != segments[:, :-1]) | (segments[:, 1:] < 0)
        targets[:, :-1].masked_fill_(apart, IGNORE)
    if pad_mask is not None:
        targets[:, :-1].masked_fill_(~(pad_mask[:, 1:] & pad_mask[:, :-1]), IGNORE)
    return targets


def bits(nats: float) -> float:
    """Nats to bits: per character where a token is a character."""
    return nats / math.log(2)
