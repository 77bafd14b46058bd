"""The support desk's own models: a tiny base model, what alignment made of it, a reward model. Lectures 11-13."""

from __future__ import annotations

from pathlib import Path

import torch

from llmlib.data.recordings import FOLDER
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

from .packaged import load_packaged

STAGES = ("base", "sft", "ppo")
VOCABULARY = FOLDER / "desk.bpe"


def stage_file(stage: str) -> Path:
    """Where the weights of a stage lie."""
    return FOLDER / f"desk_{stage}.safetensors"


def load_desk(
    stage: str = "base", *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, BPETokenizer]:
    """A model of 0.13 million parameters of `SupportDesk(0)`, in evaluation mode, and its tokenizer. Lecture 11.

    stage: "base", pre-trained on the desk's transcripts; "sft", that model after 200 demonstrations; or "ppo", the
    latter after PPO against `load_desk_reward()`. ValueError for another. Made by experiments/sft_desk_stages.py and
    alignment_desk.py out of text that the desk generates, and kept in bf16; how good each is: `recorded` of the same
    names. Context: 192 tokens. A text begins after "<|endoftext|>"; the base model has not been trained on
    "<|im_start|>" and "<|im_end|>", which frame what the others read and end what they write.
    """
    if stage not in STAGES:
        raise ValueError(f"stage={stage!r} is not a stage of the support desk's model: choose one of {STAGES}")
    return load_packaged(stage_file(stage), device, dtype), BPETokenizer.load(VOCABULARY)
