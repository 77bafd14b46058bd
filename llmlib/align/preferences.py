"""Direct preference optimisation as a loss for the Trainer: pairs of replies in, no reward model. Lecture 13."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.infer.decoding import evaluation_mode
from llmlib.model import Transformer
from llmlib.train.feed import to_device

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
    read = torch.empty(2, len(pairs))
    with torch.no_grad(), evaluation_mode(reference):
        for part in torch.arange(len(pairs)).split(pairs_per_batch):
            batch = to_device(_batch([pairs[i] for i in part.tolist()], end), next(reference.parameters()).device)
            read[:, part] = _sums(reference, batch).view(2, -1).float().cpu()
    orders = [torch.randperm(len(pairs), generator=rng) for _ in range(epochs)]
    return [
        _batch([pairs[i] for i in part.tolist()], end) | {"reference": read[:, part].flatten()}
        for order in orders
        for part in order.split(pairs_per_batch)
    ]


def _batch(pairs: Sequence[Pair], end: int) -> dict[str, Tensor]:
    prompts = [prompt for prompt, _, _ in pairs] * 2
    replies = [[*chosen, end] for _, chosen, _ in pairs] + [[*rejected, end] for _, _, rejected in pairs]
    rollout = Rollout.of(prompts, replies, end)
    return {"ids": rollout.ids, "pad_mask": rollout.pad_mask, "reply_mask": rollout.reply_mask}
