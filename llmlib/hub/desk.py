"""The support desk's own models: a tiny base model and what fine-tuning made of it, for lectures 11 to 13."""

from __future__ import annotations

from pathlib import Path

import torch

from llmlib.data.recordings import FOLDER
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

from .packaged import load_packaged

STAGES = ("base", "sft")
VOCABULARY = FOLDER / "desk.bpe"


def stage_file(stage: str) -> Path:
    """Where the weights of a stage lie."""
    return FOLDER / f"desk_{stage}.safetensors"


def load_desk(
    stage: str = "base", *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, BPETokenizer]:
    """A model of 0.13 million parameters of `SupportDesk(0)`, in evaluation mode, and its tokenizer. Lecture 11.

    stage: "base", pre-trained on the desk's transcripts, or "sft", that model after 200 demonstrations. ValueError for
    another. Made by experiments/sft_desk_stages.py out of text that the desk generates, and kept in bf16; how good each
    is: `recorded("sft_desk_stages")`. Context: 192 tokens. A text begins after "<|endoftext|>"; the base model has not
    been trained on "<|im_start|>" and "<|im_end|>", which frame what "sft" reads and end what it writes.
    """
    if stage not in STAGES:
        raise ValueError(f"stage={stage!r} is not a stage of the support desk's model: choose one of {STAGES}")
    return load_packaged(stage_file(stage), device, dtype), BPETokenizer.load(VOCABULARY)
