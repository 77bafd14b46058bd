"""A tiny chat model of our own, for when SmolLM2 cannot be had: lectures then still run, and say so."""

from __future__ import annotations

import torch

from llmlib.data.recordings import FOLDER
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

from .packaged import load_packaged, packaged_config

WEIGHTS, VOCABULARY = FOLDER / "stand_in.safetensors", FOLDER / "stand_in.bpe"


def load_stand_in(
    device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, BPETokenizer]:
    """A Llama of 0.4M parameters and its tokenizer, with SmolLM2's interface: ChatML and its special tokens.

    Part of the course, so no download: `experiments/stand_in.py` trained it on Shakespeare's dialogues, each
    speech as a question and the next one as its answer. It speaks in verse and knows nothing.
    """
    return load_packaged(WEIGHTS, device, dtype), BPETokenizer.load(VOCABULARY)


def is_stand_in(model: Transformer) -> bool:
    """Whether this is the model that `load_smollm2` returns when SmolLM2 cannot be had: it has the stand-in's shape."""
    return model.config == packaged_config(WEIGHTS)
