"""Direct preference optimisation as a loss for the Trainer: pairs of replies in, no reward model. Lecture 13."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.model import Transformer

from .policy_losses import dpo_loss
from .rollouts import Rollout, reply_logprobs

Pair = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""prompt, chosen and rejected reply, as ids; the replies without their end token."""


@dataclass(frozen=True)
class PreferenceLoss:
    """`dpo_loss` of a batch of `preference_batches`, as the Trainer wants it: (sum, pairs)."""

    beta: float = 0.1
    label_smoothing: float = 0.0
    kind: str = "sigmoid"

    def __call__(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        """The policy's log-probabilities of both replies of each pair come from one pass."""
        policy = _sums(model, batch)
        n = len(policy) // 2
        reference = batch["reference"]
        loss = dpo_loss(
            policy[:n], policy[n:], reference[:n], reference[n:], self.beta, self.label_smoothing, self.kind
        )  # fmt: skip
        return loss * n, n


def _sums(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """(2 B,): log-probabilities of whole replies, the chosen ones first."""
    rollout = Rollout([], [], batch["ids"], batch["ids"], batch["pad_mask"], batch["reply_mask"])
    return reply_logprobs(model, rollout).sum(1)


def preference_batches(
    pairs: Sequence[Pair], end: int, reference: Transformer, pairs_per_batch: int, epochs: int = 1, seed: int = 0
) -> list[dict[str, Tensor]]:
    """Pairs as batches for `PreferenceLoss`, in a new order each epoch; the reference reads each pair once, now."""
    if not pairs:
        raise ValueError("pairs is empty: give (prompt, chosen, rejected)")
    rng = torch.Generator().manual_seed(seed)
    device = next(reference.parameters()).device
    batches = []
    for _ in range(epochs):
        for part in torch.randperm(len(pairs), generator=rng).split(pairs_per_batch):
            batches.append(_batch([pairs[i] for i in part.tolist()], end))
    with torch.no_grad():
        for batch in batches:
            batch["reference"] = _sums(reference, {name: t.to(device) for name, t in batch.items()}).cpu()
    return batches


def _batch(pairs: Sequence[Pair], end: int) -> dict[str, Tensor]:
    prompts = [prompt for prompt, _, _ in pairs] * 2
    replies = [[*chosen, end] for _, chosen, _ in pairs] + [[*rejected, end] for _, _, rejected in pairs]
    rollout = Rollout.of(prompts, replies, end)
    return {"ids": rollout.ids, "pad_mask": rollout.pad_mask, "reply_mask": rollout.reply_mask}
