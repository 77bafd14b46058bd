"""Group relative policy optimisation: PPO's step with the group's mean in place of a critic. Lecture 13."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from llmlib.infer.decoding import evaluation_mode
from llmlib.model import Transformer

from .advantages import group_advantages
from .divergence import kl_estimate
from .policy_losses import masked_mean, ppo_loss
from .ppo import Callback, Metrics
from .rollouts import Reward, checked_rewards, reply_logprobs, sample_replies
from .updates import PolicyConfig, averages, frozen, generators, limited, warm_up


@dataclass(frozen=True, kw_only=True)
class GRPOConfig(PolicyConfig):
    """Settings of `train_grpo`: prompts_per_update times group_size replies an update.

    std: divide advantages by the group's deviation, as Shao et al. (2024) do, or not (Liu et al., 2025). kl_coef:
    weight of the estimate kl_kind in the loss, "k3" as Shao et al. have it: its gradient at sampled tokens is that of
    KL(reference || policy), so the optimum lies near pi_ref exp(r / beta) / Z only where rewards differ little; with
    "k2" it is that. The others are PPO's.
    """

    prompts_per_update: int = 8
    group_size: int = 8
    kl_kind: str = "k3"
    std: bool = True

    counts: ClassVar = (*PolicyConfig.counts, "prompts_per_update")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_size < 2:
            raise ValueError(f"group_size={self.group_size}: a reply is compared with its group, so give at least 2")
        if self.kl_kind not in ("k2", "k3"):
            raise ValueError(f"kl_kind={self.kl_kind!r} is neither k2 nor k3: in a loss, k1 has no gradient on average")


def train_grpo(
    policy: Transformer,
    reward: Reward,
    prompts: Sequence[Sequence[int]],
    config: GRPOConfig,
    *,
    end: int,
    reference: Transformer | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Metrics]:
    """Train the policy in place; returns the metrics of each update. The arguments are those of `train_ppo`."""
    if not prompts:
        raise ValueError("prompts is empty: give prompts to write replies to")
    device = next(policy.parameters()).device
    reference = frozen(policy if reference is None else reference)
    optimizer = torch.optim.Adam(policy.parameters(), lr=config.lr, betas=config.betas, eps=1e-5)
    draws, generator = generators(config.seed, device)
    history = []
    for update in range(config.updates):
        warm_up(optimizer, config.lr, update, config.warmup)
        chosen = torch.randint(len(prompts), (config.prompts_per_update,), generator=draws)
        several = [prompts[i] for i in chosen.repeat_interleave(config.group_size).tolist()]
        rollout = sample_replies(policy, several, end, config.max_new_tokens, generator=generator)
        raw = checked_rewards(reward, rollout)
        scores = limited(raw, rollout.finished, config.reward_clip, config.truncated_reward)
        advantages = group_advantages(scores.view(-1, config.group_size), config.std).flatten()
        with torch.no_grad(), evaluation_mode(policy):
            old, anchored = reply_logprobs(policy, rollout), reply_logprobs(reference, rollout)
        policy.train()
        noted = _improve(policy, optimizer, rollout, old, anchored, advantages, config, draws)
        policy.eval()
        mask = rollout.reply_mask
        history.append(
            dict(
                update=update + 1, reward=raw.mean().item(), kl=(old - anchored).sum(1).mean().item(),
                length=mask.sum(1).float().mean().item(), finished=rollout.finished.float().mean().item(), **noted,
            )
        )  # fmt: skip
        for callback in callbacks:
            callback(policy, history[-1])
    return history


def _improve(policy, optimizer, rollout, old: Tensor, anchored: Tensor, advantages: Tensor, config, draws) -> Metrics:
    noted: dict[str, list[float]] = {}
    for _ in range(config.epochs):
        for rows in torch.randperm(len(old), generator=draws).split(config.minibatch_size):
            part = rollout.rows(rows)
            width, mask = part.ids.shape[1], part.reply_mask
            logprobs = reply_logprobs(policy, part)
            before = old[rows, :width]
            loss = ppo_loss(logprobs, before, advantages[rows, None] * mask, mask, config.clip)
            distance = masked_mean(kl_estimate(logprobs, anchored[rows, :width], config.kl_kind), mask)
            optimizer.zero_grad(set_to_none=True)
            (loss + config.kl_coef * distance).backward()
            clip_grad_norm_(policy.parameters(), config.grad_clip or float("inf"), error_if_nonfinite=True)
            optimizer.step()
            moved = ((logprobs - before).exp() - 1).abs() > config.clip
            noted.setdefault("clip_fraction", []).append(float(masked_mean(moved.float(), mask)))
    return averages(noted)
