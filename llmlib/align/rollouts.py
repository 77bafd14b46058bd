"""Rollouts: a policy writes replies, and what it and its reference think of every token is read off. Lecture 13."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.infer import decode_steps
from llmlib.infer.requests import model_config
from llmlib.infer.sampling import log_probability

from .padding import padded

Reward = Callable[[list[list[int]], list[list[int]]], Tensor]
"""reward(prompts, replies) -> (B,): a number for each reply, higher is better; replies without their end token."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """B prompts with their replies, padded on the right."""

    prompts: list[list[int]]
    replies: list[list[int]]
    """Without the end token."""
    finished: Tensor
    """(B,) bool: the reply ended with the end token; the others were cut off."""
    ids: Tensor
    """(B, T) prompt and reply, the end token included."""
    pad_mask: Tensor
    """(B, T) bool: True for real tokens."""
    reply_mask: Tensor
    """(B, T) bool: True for the tokens of the reply, which are the policy's actions, the end token among them."""

    @classmethod
    def of(
        cls, prompts: Sequence[Sequence[int]], written: Sequence[Sequence[int]], end: int, pad_id: int = 0
    ) -> "Rollout":
        """From prompts and what was written after each: tokens up to the end token, or all if it does not come."""
        if len(prompts) != len(written) or not prompts:
            raise ValueError(f"prompts holds {len(prompts)} and written {len(written)}: give as many, at least one")
        taken = [
            list(tokens[: tokens.index(end) + 1]) if end in tokens else list(tokens) for tokens in map(list, written)
        ]
        if empty := [i for i, tokens in enumerate(taken) if not tokens]:
            raise ValueError(
                f"written[{empty[0]}] has no token, not even the end token: there is no action to learn from"
            )
        if empty := [i for i, prompt in enumerate(prompts) if not prompt]:
            raise ValueError(
                f"prompts[{empty[0]}] is empty: begin with a token, after which the reply has a probability"
            )
        ids, pad_mask = padded([[*prompt, *tokens] for prompt, tokens in zip(prompts, taken)], pad_id)
        starts = torch.tensor([len(prompt) for prompt in prompts])
        reply_mask = pad_mask & (torch.arange(ids.shape[1]) >= starts[:, None])
        finished = torch.tensor([tokens[-1] == end for tokens in taken])
        replies = [tokens[:-1] if done else tokens for tokens, done in zip(taken, finished.tolist())]
        return cls([list(p) for p in prompts], replies, finished, ids, pad_mask, reply_mask)

    def rows(self, rows: Tensor) -> "Rollout":
        """Some of them, cut to the longest."""
        picked = rows.tolist()
        width = int(self.pad_mask[rows].sum(1).max())
        return Rollout(
            [self.prompts[i] for i in picked], [self.replies[i] for i in picked], self.finished[rows],
            self.ids[rows, :width], self.pad_mask[rows, :width], self.reply_mask[rows, :width],
        )  # fmt: skip

    def to(self, device: torch.device | str) -> "Rollout":
        """The same on another device."""
        tensors = [t.to(device) for t in (self.finished, self.ids, self.pad_mask, self.reply_mask)]
        return Rollout(self.prompts, self.replies, *tensors)


@torch.no_grad()
def sample_replies(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    end: int,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    greedy: bool = False,
    generator: torch.Generator | None = None,
) -> Rollout:
    """A reply to each prompt, over a key-value cache: one pass over the prompts, then one token a row a step.

    end: the token that ends a reply. At temperature 1 and without filters the replies come from the policy itself,
    which is what policy gradients ask for. ValueError for a prompt that, with max_new_tokens, outgrows the context.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be at least 1: a reply has an action, be it its end")
    limit, longest = model_config(model).max_seq_len, max(map(len, prompts), default=0)
    if longest + max_new_tokens > limit:  # the last token is read too, for what comes after it is worth something
        raise ValueError(
            f"prompts holds one of {longest} tokens, which with max_new_tokens={max_new_tokens} outgrows "
            f"max_seq_len={limit}: shorten it, or write at most {limit - longest}"
        )
    device = next(model.parameters()).device
    columns, going = [], torch.ones(len(prompts), dtype=torch.bool, device=device)
    settings = dict(greedy=True) if greedy else dict(temperature=temperature)
    for step in decode_steps(model, prompts, max_new_tokens, generator=generator, **settings):
        columns.append(step.tokens)
        going &= step.tokens != end
        if not going.any():
            break
    return Rollout.of(prompts, torch.stack(columns, 1).tolist(), end).to(device)


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """log p(ids[t] | ids[<t]) at t, 0 at t = 0: logits (B, T, V) and ids (B, T) -> (B, T). Differentiable."""
    shifted = log_probability(logits[:, :-1], ids[:, 1:])
    return torch.cat([shifted.new_zeros(len(ids), 1), shifted], 1)


def reply_logprobs(model: nn.Module, rollout: Rollout) -> Tensor:
    """The log-probability of each token of the replies under a model: (B, T), 0 outside the replies. Differentiable."""
    logits = model(rollout.ids, pad_mask=rollout.pad_mask)
    return token_logprobs(logits, rollout.ids) * rollout.reply_mask


def checked_rewards(reward: Reward, rollout: Rollout) -> Tensor:
    """reward's numbers (B,) on the rollout's device; ValueError, with the reply, for another shape or no finite one."""
    given = torch.as_tensor(reward(rollout.prompts, rollout.replies), dtype=torch.float32)
    rewards = given.detach().to(rollout.ids.device)
    if rewards.shape != (len(rollout.replies),):
        raise ValueError(
            f"reward gave {tuple(rewards.shape)} for {len(rollout.replies)} replies: give one number for each"
        )
    if not rewards.isfinite().all():
        row = int((~rewards.isfinite()).nonzero()[0])
        raise ValueError(
            f"reward gave {float(rewards[row])} for reply {row}, {rollout.replies[row][:12]}: the policy is as it was; "
            "look into the reward"
        )
    return rewards


@torch.no_grad()
def best_of_n(
    model: nn.Module,
    reward: Reward,
    prompts: Sequence[Sequence[int]],
    n: int,
    end: int,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """The reply of n to each prompt that the reward likes best: no training. Its KL: `best_of_n_kl`. Lecture 13.

    Fine-tuning on these replies is rejection sampling.
    """
    if n < 1:
        raise ValueError(f"n={n} replies a prompt: draw at least one")
    several = [prompt for prompt in prompts for _ in range(n)]
    rollout = sample_replies(model, several, end, max_new_tokens, temperature=temperature, generator=generator)
    best = checked_rewards(reward, rollout).view(-1, n).argmax(1).tolist()
    return [rollout.replies[n * i + j] for i, j in enumerate(best)]
