"""The losses of policy optimisation, as functions of log-probabilities. Lecture 13."""

import torch
from torch import Tensor
from torch.nn import functional as F

DPO_KINDS = ("sigmoid", "ipo")


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the places that mask marks; ValueError if there are none."""
    n = mask.sum()
    if n == 0:
        raise ValueError("mask marks no token: an empty reply has no loss; leave it out or count its end token")
    return (values * mask).sum() / n


def ppo_loss(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2) -> Tensor:
    """The clipped objective of PPO, negated, as the mean over the marked tokens (Schulman et al., 2017, eq. 7).

        ratio = exp(logprobs - old_logprobs)      loss = -min(ratio A, clamp(ratio, 1 - clip, 1 + clip) A)

    All (B, T). old_logprobs and advantages are constants: those of the policy that sampled. The min is pessimistic: the
    clamp takes effect only where moving further would look like a gain. clip=inf leaves the ratio alone.
    """
    ratio = (logprobs - old_logprobs).exp()
    clamped = ratio.clamp(1 - clip, 1 + clip)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * clamped), mask)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float | None = 0.2) -> Tensor:
    """Half the mean squared error of the values, by PPO's code kept near the old ones: all (B, T), a scalar.

    clip: the larger of the two errors counts, of the value and of the value within `clip` of the old one; None: no
    clipping. It is no part of the paper (Engstrom et al., "Implementation Matters", 2020).
    """
    error = (values - returns).square()
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns).square())
    return masked_mean(error, mask) / 2


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    kind: str = "sigmoid",
) -> Tensor:
    """Direct preference optimisation (Rafailov et al., 2023, eq. 7), the mean over B pairs.

        h = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)      loss = -log sigmoid(beta h)

    The arguments are log-probabilities of whole replies (B,): *sums* over their tokens. label_smoothing e: the labels
    are wrong with probability e (conservative DPO, Mitchell, 2023): -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta
    h). kind "ipo": (h - 1 / (2 beta))^2 (Azar et al., 2023), which does not run off where all annotators agree.
    """
    if not beta > 0:
        raise ValueError(f"beta={beta} must be positive: it is the price of moving away from the reference")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 0.5): at 0.5 a pair says nothing")
    if kind not in DPO_KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(DPO_KINDS)}")
    margin = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    if kind == "ipo":
        if label_smoothing:
            raise ValueError(f"label_smoothing={label_smoothing} is of kind 'sigmoid': leave it at 0 for 'ipo'")
        return (margin - 1 / (2 * beta)).square().mean()
    wrong = label_smoothing
    return -((1 - wrong) * F.logsigmoid(beta * margin) + wrong * F.logsigmoid(-beta * margin)).mean()
