"""What the updates of PPO and GRPO have in common besides their losses."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from llmlib.model import Transformer


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
