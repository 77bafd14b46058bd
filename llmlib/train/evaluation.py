"""Loss over a whole split, and the counts a language model has to beat."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from llmlib.data.batches import IGNORE, windows
from llmlib.train.distributed import all_sum, rank, unwrapped, world_size
from llmlib.train.losses import Batch, Loss, bits, token_loss

__all__ = ["bits", "count_baselines", "evaluate_loss", "evaluation_mode", "mean_loss", "split_batches", "token_loss"]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Without dropout and without gradients; afterwards every module is in the mode it was in, also after an error."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def evaluate_loss(model: nn.Module, tokens: Tensor, seq_len: int | None = None, batch_size: int = 64) -> float:
    """Mean loss in nats per token over the full split, in windows that do not overlap. Built in lecture 03.

    tokens: (N,) ids; every token but the first is predicted exactly once. seq_len: length of a window, by default the
    model's max_seq_len; the first tokens of a window see little context, so a longer window gives a lower loss.
    Divide by ln 2 for bits. The model is run in evaluation mode and left in the mode it was in.
    """
    total = 0.0
    device = next(model.parameters()).device
    with evaluation_mode(model):
        for x, y in _windows(model, tokens, seq_len, batch_size):
            total += token_loss(model(x.to(device)), y.to(device)).item()
    return total / (len(tokens) - 1)


def split_batches(
    model: nn.Module, tokens: Tensor, seq_len: int | None = None, batch_size: int = 64
) -> list[tuple[Tensor, Tensor]]:
    """The windows of `evaluate_loss`, shared out: each process of a group gets as many rows as every other."""
    batches = _windows(model, tokens, seq_len, batch_size * world_size())
    if world_size() == 1:
        return batches
    filled = []
    for x, y in batches:
        missing = -len(x) % world_size()
        x = torch.cat([x, x.new_zeros(missing, x.shape[1])])
        y = torch.cat([y, y.new_full((missing, y.shape[1]), IGNORE)])
        filled.append((x[rank() :: world_size()], y[rank() :: world_size()]))
    return filled


def mean_loss(model: nn.Module, batches: Iterable[Batch], loss: Loss) -> float:
    """Mean of `loss` over all targets of all batches, of every process of a group; in evaluation mode."""
    total = torch.zeros(2, dtype=torch.float64)
    with evaluation_mode(model):
        for batch in batches:
            value, count = loss(model, batch)
            total += torch.tensor([float(value), float(count)], dtype=torch.float64)
    device = next(model.parameters()).device
    value, count = all_sum(total.to(device) if device.type == "cuda" else total).tolist()
    if count == 0:
        raise ValueError("evaluate holds no batch with a target: there is nothing to average")
    return value / count


def _windows(model: nn.Module, tokens: Tensor, seq_len: int | None, batch_size: int) -> list[tuple[Tensor, Tensor]]:
    limit = getattr(getattr(unwrapped(model), "config", None), "max_seq_len", None)
    seq_len = seq_len or limit
    if seq_len is None:
        raise ValueError("seq_len=None and the model has no config.max_seq_len: say how long a window is")
    if limit is not None and seq_len > limit:
        raise ValueError(f"seq_len={seq_len} exceeds the model's max_seq_len={limit}: evaluate with shorter windows")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    inputs, targets = windows(tokens, seq_len)
    return list(zip(inputs.split(batch_size), targets.split(batch_size)))


def count_baselines(train_tokens: Tensor, val_tokens: Tensor, vocab_size: int) -> dict[str, float]:
    """Validation losses, in nats per token, of three models that only count: "uniform", "unigram" and "bigram".

    Counts come from train_tokens, plus one for every pair (Laplace), so that nothing has probability zero. The bigram
    model sees one token of context; a GPT that does not beat it has not learned to look further back.
    """
    pairs = train_tokens[:-1].long() * vocab_size + train_tokens[1:].long()
    counts = torch.bincount(pairs, minlength=vocab_size**2).view(vocab_size, vocab_size).double() + 1
    after = counts / counts.sum(dim=1, keepdim=True)  # P(next | previous)
    alone = (torch.bincount(train_tokens.long(), minlength=vocab_size) + 1.0).double()
    previous, following = val_tokens[:-1].long(), val_tokens[1:].long()
    return {
        "uniform": math.log(vocab_size),
        "unigram": -(alone / alone.sum())[following].log().mean().item(),
        "bigram": -after[previous, following].log().mean().item(),
    }
