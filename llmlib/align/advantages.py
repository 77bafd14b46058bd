"""Advantages: how much better an action was than expected. Lecture 13."""

import torch
from torch import Tensor


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    gamma: float = 1.0,
    lam: float = 0.95,
    last_values: Tensor | None = None,
) -> Tensor:
    """Generalised advantage estimation (Schulman et al., 2016): (B, T), zero where mask is False.

        delta_t = r_t + gamma V_{t+1} - V_t        A_t = delta_t + gamma lam A_{t+1}

    rewards, values, mask: (B, T); values[t] is what was expected before action t; mask marks the actions, which must
    stand next to each other in a row. V behind the last action is 0, as the reply has ended there; for replies that
    were cut off instead, give the value of what comes after as last_values (B,), 0 for the ended ones: to take being
    cut off for an end teaches that nothing would have followed. advantages + values are the targets for the values.
    """
    if not rewards.shape == values.shape == mask.shape:
        raise ValueError(
            f"rewards {tuple(rewards.shape)}, values {tuple(values.shape)} and mask {tuple(mask.shape)} differ: "
            "give all three as (B, T)"
        )
    kind = torch.result_type(rewards, values)
    rewards = rewards.to(kind if kind.is_floating_point else torch.get_default_dtype())
    mask = mask.bool()
    steps = mask.int()
    if ((steps[:, 1:] - steps[:, :-1]) == 1).sum(1).add(steps[:, 0]).gt(1).any():
        raise ValueError("mask has a gap in a row: the actions of a reply must stand next to each other")
    advantages = torch.zeros_like(rewards)
    after = torch.zeros_like(rewards[:, 0]) if last_values is None else last_values.to(rewards).clone()
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        here = mask[:, t]
        delta = rewards[:, t] + gamma * after - values[:, t]
        running = torch.where(here, delta + gamma * lam * running, running)
        after = torch.where(here, values[:, t], after)
        advantages[:, t] = torch.where(here, running, 0.0)
    return advantages


def whiten(values: Tensor, mask: Tensor, shift: bool = True) -> Tensor:
    """The masked values with deviation 1, and mean 0 if shift; zero elsewhere. A single value becomes 0."""
    mask = mask.bool()
    kept = values[mask]
    if kept.numel() == 0:
        raise ValueError("mask marks no value: there is nothing to whiten")
    mean, variance = kept.mean(), kept.var(unbiased=False)
    white = (values - mean) * (variance + 1e-8).rsqrt()
    return (white if shift else white + mean).masked_fill(~mask, 0.0)


def group_advantages(rewards: Tensor, std: bool = True) -> Tensor:
    """GRPO's advantages: rewards (groups, G) minus the mean of their group; with std also over its deviation.

    Shao et al. (DeepSeekMath, 2024) divide by the deviation. That gives a group in which all are nearly alike the same
    weight as one in which they differ, and moves the optimum: Liu et al. ("Dr. GRPO", 2025) leave it out, std=False. A
    group of equal rewards has advantages 0. ValueError for groups of one, whose advantage would always be 0.
    """
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards has shape {tuple(rewards.shape)}: give (groups, G) with G >= 2 replies a prompt")
    if not rewards.is_floating_point():
        rewards = rewards.to(torch.get_default_dtype())
    rewards = rewards - rewards[:, :1]  # what is equal becomes 0, where its mean would be off by a rounding error
    centred = rewards - rewards.mean(1, keepdim=True)
    if not std:
        return centred
    deviation = rewards.std(1, keepdim=True)
    return torch.where(deviation > 1e-6, centred / (deviation + 1e-6), torch.zeros_like(centred))
