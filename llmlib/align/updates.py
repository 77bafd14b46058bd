"""What the updates of PPO and GRPO have in common besides their losses."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from llmlib.model import Transformer


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The settings that PPO and GRPO share, described in `PPOConfig`; checked when they are made."""

    updates: int = 80
    max_new_tokens: int = 48
    epochs: int = 2
    minibatch_size: int = 32
    clip: float = 0.2
    lr: float = 1.5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    warmup: int = 5
    grad_clip: float = 1.0
    kl_coef: float = 0.05
    truncated_reward: float | None = -1.0
    reward_clip: float = 5.0
    seed: int = 0

    counts: ClassVar[tuple[str, ...]] = ("updates", "max_new_tokens", "epochs", "minibatch_size")
    weights: ClassVar[tuple[str, ...]] = ("kl_coef", "warmup", "grad_clip")

    def __post_init__(self) -> None:
        for name in self.counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("clip", "lr", "reward_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        for name in self.weights:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")


def frozen(model: Transformer) -> Transformer:
    """A copy that does not train."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def generators(seed: int, device: torch.device) -> tuple[torch.Generator, torch.Generator]:
    """Random numbers for drawing prompts and minibatches, on the CPU, and for sampling tokens, on the device."""
    return torch.Generator().manual_seed(seed), torch.Generator(device.type).manual_seed(seed)


def warm_up(optimizer: Optimizer, lr: float, update: int, warmup: int) -> None:
    """Set the rate of update 0, 1, ...: it rises in equal steps and reaches lr after `warmup` updates."""
    for group in optimizer.param_groups:
        group["lr"] = lr * min(1.0, (update + 1) / (warmup + 1))


def limited(rewards: Tensor, finished: Tensor, most: float, truncated: float | None) -> Tensor:
    """Rewards (B,) within +- most; of replies that were cut off `truncated` instead, unless that is None."""
    scores = rewards.clamp(-most, most)
    return scores if truncated is None else torch.where(finished, scores, torch.full_like(scores, truncated))


def averages(noted: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each list."""
    return {name: sum(values) / len(values) for name, values in noted.items()}
