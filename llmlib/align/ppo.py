"""Proximal policy optimisation of a language model against a reward, near a reference. Lecture 13.

One update: the policy writes a reply to each prompt; a reward says how good each is; every token costs kl_coef times
its log-probability ratio to the frozen reference; advantages come from a value head; a few epochs of clipped steps
follow. Details after Stiennon et al. (2020), Ouyang et al. (2022) and Huang et al., "The N implementation
details of RLHF with PPO" (2023).
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from llmlib.infer.decoding import evaluation_mode
from llmlib.model import Transformer
from llmlib.train.feed import Feed, to_device
from llmlib.train.losses import Batch, next_token_loss

from .advantages import gae, whiten
from .divergence import kl_estimate
from .padding import last_token
from .policy_losses import masked_mean, ppo_loss, value_loss
from .rollouts import Reward, Rollout, checked_rewards, reply_logprobs, sample_replies, token_logprobs
from .updates import PolicyConfig, averages, frozen, generators, limited, warm_up

BASELINES = ("value", "mean", "none")
Metrics = dict[str, float]
Callback = Callable[[Transformer, Metrics], None]


@dataclass(frozen=True, kw_only=True)
class PPOConfig(PolicyConfig):
    """Settings of `train_ppo`; checked when they are made.

    - updates, each of batch_size replies of at most max_new_tokens; epochs over them in minibatches.
    - clip: of the ratio; inf for none. value_clip: see `value_loss`. gamma, lam: of `gae`.
    - kl_coef: price of a nat of distance from the reference, per token in the reward. kl_target: nats a reply that the
      coefficient is steered to (Ziegler et al., 2019, 2.2), None to leave it as it is.
    - baseline: "value" (a learned head), "mean" (the batch's mean) or "none" (REINFORCE); without "value" every token
      of a reply has the same advantage. whiten: advantages to mean 0 and deviation 1 over the batch; as the mean is
      taken off, "none" is without a baseline with whiten=False only.
    - value_coef: weight of the value loss; separate_values: a critic with a trunk of its own instead of a head on the
      policy's. entropy_coef: bonus for nats of entropy. ptx_coef: weight of the pre-training loss (InstructGPT's ptx).
    - max_step_kl: leave out the rest of an update once the policy is that many nats a token from the one that sampled.
    - truncated_reward: what a reply without its end token gets instead of its reward; None: it keeps its reward, and
      what would have followed is estimated by the value.
    - reward_clip: rewards are limited to +- this.
    """

    batch_size: int = 64
    value_clip: float | None = 0.2
    gamma: float = 1.0
    lam: float = 0.95
    kl_target: float | None = None
    kl_horizon: int = 2000
    baseline: str = "value"
    whiten: bool = True
    value_coef: float = 0.1
    separate_values: bool = False
    entropy_coef: float = 0.0
    ptx_coef: float = 0.0
    max_step_kl: float | None = None

    counts: ClassVar = (*PolicyConfig.counts, "batch_size", "kl_horizon")
    weights: ClassVar = (*PolicyConfig.weights, "value_coef", "entropy_coef", "ptx_coef")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kl_target is not None and not (self.kl_target > 0 and self.kl_coef > 0):
            raise ValueError(
                f"kl_target={self.kl_target} with kl_coef={self.kl_coef}: give both above 0, or kl_target=None"
            )
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline={self.baseline!r} is none of {', '.join(BASELINES)}")


class Critic(nn.Module):
    """What a reply is worth before each of its tokens: a linear head, from zero, on the policy's or its own trunk."""

    def __init__(self, policy: Transformer, separate: bool = False) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(policy) if separate else None
        device = next(policy.parameters()).device
        self.head = nn.Linear(policy.config.d_model, 1).to(device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, hidden: Tensor, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """hidden (B, T, d_model) of the policy -> values (B, T) before each token, and (B,) after the last one."""
        if self.trunk is not None:
            hidden = self.trunk.hidden(rollout.ids, pad_mask=rollout.pad_mask)
        after = self.head(hidden)[..., 0]
        before = torch.cat([after.new_zeros(len(after), 1), after[:, :-1]], 1)
        return before, last_token(after, rollout.pad_mask)


def train_ppo(
    policy: Transformer,
    reward: Reward,
    prompts: Sequence[Sequence[int]],
    config: PPOConfig,
    *,
    end: int,
    reference: Transformer | None = None,
    pretraining: Iterable[Batch] | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Metrics]:
    """Train the policy in place; returns the metrics of each update.

    prompts: token ids, drawn from at random. reward: see `Reward`. end: the token that ends a reply. reference: frozen;
    by default the policy as it is given. pretraining: batches for `next_token_loss`, needed with ptx_coef; begun again
    when they end. callbacks are called as callback(policy, metrics) after each update.
    Metrics: "reward" (what the reward model gives), "kl" (nats a reply, k1), "kl_coef", "length", "finished" (share),
    "clip_fraction", "step_kl" (nats a token), "entropy", "explained_variance", "value_loss", "grad_norm".
    ValueError, before the policy is changed, for a prompt that is too long and a reward that is no number.
    """
    if not prompts:
        raise ValueError("prompts is empty: give prompts to write replies to")
    if config.ptx_coef and pretraining is None:
        raise ValueError(f"ptx_coef={config.ptx_coef} needs pretraining batches; give them or set it to 0")
    feed = None if pretraining is None else Feed(pretraining)
    device = next(policy.parameters()).device
    reference = frozen(policy if reference is None else reference)
    critic = Critic(policy, config.separate_values)
    weights = [*policy.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=config.lr, betas=config.betas, eps=1e-5)
    draws, generator = generators(config.seed, device)
    kl_coef, history = config.kl_coef, []
    for update in range(config.updates):
        warm_up(optimizer, config.lr, update, config.warmup)
        chosen = torch.randint(len(prompts), (config.batch_size,), generator=draws).tolist()
        rollout = sample_replies(
            policy, [prompts[i] for i in chosen], end, config.max_new_tokens, generator=generator
        )  # fmt: skip
        batch, metrics = _assess(policy, reference, critic, reward, rollout, config, kl_coef)
        policy.train()
        metrics |= _improve(policy, critic, optimizer, batch, config, draws, feed)
        policy.eval()
        if config.kl_target is not None:
            error = min(max(metrics["kl"] / config.kl_target - 1, -0.2), 0.2)
            kl_coef *= 1 + error * config.batch_size / config.kl_horizon
        history.append({"update": update + 1} | metrics)
        for callback in callbacks:
            callback(policy, history[-1])
    return history


@dataclass(frozen=True, eq=False)
class _Batch:
    """A rollout with what was thought of it when it was sampled: all (B, T)."""

    rollout: Rollout
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


@torch.no_grad()
def _assess(policy, reference, critic, reward, rollout, config: PPOConfig, kl_coef: float) -> tuple[_Batch, Metrics]:
    """Rewards, values and advantages of a rollout, all under the policy that sampled it."""
    raw = checked_rewards(reward, rollout)
    scores = limited(raw, rollout.finished, config.reward_clip, config.truncated_reward)
    with evaluation_mode(policy):
        logprobs, values, last, _ = _read(policy, critic, rollout)
    mask = rollout.reply_mask
    kl = kl_estimate(logprobs, reply_logprobs(reference, rollout)) * mask
    rewards = -kl_coef * kl
    rewards[torch.arange(len(scores)), rollout.pad_mask.sum(1) - 1] += scores
    if config.baseline == "value":
        bootstrap = last * ~rollout.finished if config.truncated_reward is None else None
        advantages = gae(rewards, values, mask, config.gamma, config.lam, bootstrap)
        returns = advantages + values
    else:
        totals = rewards.sum(1)
        centre = totals.mean() if config.baseline == "mean" else 0.0
        advantages = returns = (totals - centre)[:, None] * mask
    explained = 1 - (returns - values)[mask].var() / returns[mask].var().clamp_min(1e-8)
    if config.whiten:
        advantages = whiten(advantages, mask)
    metrics = dict(
        reward=raw.mean().item(), kl=kl.sum(1).mean().item(), kl_coef=kl_coef,
        length=mask.sum(1).float().mean().item(), finished=rollout.finished.float().mean().item(),
        explained_variance=explained.item(),
    )  # fmt: skip
    return _Batch(rollout, logprobs, values, advantages, returns), metrics


def _improve(policy, critic, optimizer, batch: _Batch, config: PPOConfig, draws, feed: Feed | None) -> Metrics:
    """The clipped steps of one update."""
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    noted: dict[str, list[float]] = {}
    for _ in range(config.epochs):
        for rows in torch.randperm(len(batch.logprobs), generator=draws).split(config.minibatch_size):
            part = batch.rollout.rows(rows)
            width = part.ids.shape[1]
            old, old_values, advantages, returns = (
                tensor[rows, :width] for tensor in (batch.logprobs, batch.values, batch.advantages, batch.returns)
            )
            mask = part.reply_mask
            logprobs, values, _, logits = _read(policy, critic, part)
            loss = ppo_loss(logprobs, old, advantages, mask, config.clip)
            of_values = value_loss(values, old_values, returns, mask, config.value_clip)
            if config.baseline == "value":
                loss = loss + config.value_coef * of_values
            entropy = _entropy(logits, mask, graph=bool(config.entropy_coef))
            loss = loss - config.entropy_coef * entropy
            if config.ptx_coef:
                total, count = next_token_loss(policy, to_device(next(feed), logits.device))
                loss = loss + config.ptx_coef * total / count
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = clip_grad_norm_(weights, config.grad_clip or float("inf"), error_if_nonfinite=True)
            with torch.no_grad():
                ratio = (logprobs - old).exp()
                notes = dict(
                    clip_fraction=masked_mean(((ratio - 1).abs() > config.clip).float(), mask), entropy=entropy,
                    step_kl=masked_mean(kl_estimate(old, logprobs, "k3"), mask), value_loss=of_values, grad_norm=norm,
                )  # fmt: skip
            for name, value in notes.items():
                noted.setdefault(name, []).append(float(value.detach()))
            if config.max_step_kl is not None and noted["step_kl"][-1] > config.max_step_kl:
                return averages(noted)
            optimizer.step()
    return averages(noted)


def _read(policy, critic: Critic, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities and values (B, T), the value after the last token (B,), logits (B, T, V)."""
    hidden = policy.hidden(rollout.ids, pad_mask=rollout.pad_mask)
    logits = policy.head(hidden)
    values, last = critic(hidden, rollout)
    return token_logprobs(logits, rollout.ids) * rollout.reply_mask, values * rollout.reply_mask, last, logits


def _entropy(logits: Tensor, mask: Tensor, graph: bool) -> Tensor:
    """Mean nats of the distributions that the reply's tokens were drawn from."""
    with torch.set_grad_enabled(graph):
        before = logits[:, :-1][mask[:, 1:]].log_softmax(-1)
        return -(before.exp() * before).sum(-1).mean()
