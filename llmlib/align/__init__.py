"""From a base model to an assistant: supervised fine-tuning, reward models, PPO, DPO and GRPO (lectures 11 to 13)."""

from .advantages import gae, group_advantages, whiten
from .divergence import best_of_n_kl, kl_estimate
from .grpo import GRPOConfig, train_grpo
from .padding import last_token
from .policy_losses import dpo_loss, masked_mean, ppo_loss, value_loss
from .ppo import Critic, PPOConfig, train_ppo
from .preferences import PreferenceLoss, preference_batches
from .reward_models import (
    RewardEnsemble,
    RewardModel,
    calibration,
    pair_accuracy,
    plackett_luce_loss,
    ranking_batches,
    ranking_loss,
    reward_ranking_loss,
)
from .rollouts import Rollout, best_of_n, reply_logprobs, sample_replies, token_logprobs
from .sft import (
    Example,
    chat_example,
    chat_prompt,
    end_of_turn,
    pack_examples,
    pad_examples,
    reply_example,
    sft_loss,
)
from .stages import load_desk_reward

__all__ = [
    "Critic",
    "Example",
    "GRPOConfig",
    "PPOConfig",
    "PreferenceLoss",
    "RewardEnsemble",
    "RewardModel",
    "Rollout",
    "best_of_n",
    "best_of_n_kl",
    "calibration",
    "chat_example",
    "chat_prompt",
    "dpo_loss",
    "end_of_turn",
    "gae",
    "group_advantages",
    "kl_estimate",
    "last_token",
    "load_desk_reward",
    "masked_mean",
    "pack_examples",
    "pad_examples",
    "pair_accuracy",
    "plackett_luce_loss",
    "ppo_loss",
    "preference_batches",
    "ranking_batches",
    "ranking_loss",
    "reply_example",
    "reply_logprobs",
    "reward_ranking_loss",
    "sample_replies",
    "sft_loss",
    "token_logprobs",
    "train_grpo",
    "train_ppo",
    "value_loss",
    "whiten",
]
