"""The support desk's reward model as it lies in the package, beside the policies of `llmlib.hub.load_desk`."""

import torch

from llmlib.hub.desk import VOCABULARY, stage_file
from llmlib.hub.packaged import load_packaged
from llmlib.text import BPETokenizer

from .reward_models import RewardModel


def load_desk_reward(
    *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[RewardModel, BPETokenizer]:
    """A reward model for replies to requests of `SupportDesk(0)`, in evaluation mode, and its tokenizer. Lecture 12.

    It began as "sft" of `llmlib.hub.load_desk` and has read how simulated annotators ranked six replies to each of
    6,000 requests; its scores have mean 0 and deviation 1 over such replies. Made by experiments/alignment_desk.py,
    which also records how often it agrees with annotators; kept in bf16.
    """
    return load_packaged(stage_file("reward"), device, dtype, RewardModel), BPETokenizer.load(VOCABULARY)
