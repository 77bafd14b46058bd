"""Loss over a whole split, and the counts a language model has to beat."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmlib.data.batches import windows


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the cross-entropies, in nats and in fp32, over the targets that are not -100.

    logits: (B, T, V); targets: (B, T). Returns a scalar. Divide by `(targets != -100).sum()` for the mean: summing
    first is what makes batches of unequal length add up.
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")


@torch.no_grad()
def evaluate_loss(model: nn.Module, tokens: Tensor, seq_len: int | None = None, batch_size: int = 64) -> float:
    """Mean loss in nats per token over the full split, in windows that do not overlap. Built in lecture 03.

    tokens: (N,) ids; every token but the first is predicted exactly once. seq_len: length of a window, by default the
    model's max_seq_len; the first tokens of a window see little context, so a longer window gives a lower loss.
    Divide by ln 2 for bits. The model is run in evaluation mode and left in the mode it was in.
    """
    limit = getattr(getattr(model, "config", None), "max_seq_len", None)
    seq_len = seq_len or limit
    if seq_len is None:
        raise ValueError("seq_len=None and the model has no config.max_seq_len: say how long a window is")
    if limit is not None and seq_len > limit:
        raise ValueError(f"seq_len={seq_len} exceeds the model's max_seq_len={limit}: evaluate with shorter windows")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    inputs, targets = windows(tokens, seq_len)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        total = 0.0
        for x, y in zip(inputs.split(batch_size), targets.split(batch_size)):
            total += token_loss(model(x.to(device)), y.to(device)).item()
    finally:
        model.train(was_training)
    return total / int((targets != -100).sum())


def bits(nats: float) -> float:
    """Nats to bits: per character where a token is a character."""
    return nats / math.log(2)


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
