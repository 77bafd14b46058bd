"""A tiny chat model of our own, for when SmolLM2 cannot be had: lectures then still run, and say so."""

from __future__ import annotations

import json
from functools import lru_cache

import torch
from safetensors import safe_open

from llmlib.data.recordings import FOLDER
from llmlib.model import ModelConfig, Transformer, default_device
from llmlib.text import BPETokenizer

from .unfilled import Unfilled

WEIGHTS, VOCABULARY = FOLDER / "stand_in.safetensors", FOLDER / "stand_in.bpe"


def load_stand_in(
    device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, BPETokenizer]:
    """A Llama of 0.4M parameters and its tokenizer, with SmolLM2's interface: ChatML and its special tokens.

    Part of the course, so no download: `experiments/stand_in.py` trained it on Shakespeare's dialogues, each
    speech as a question and the next one as its answer. It speaks in verse and knows nothing.
    """
    with Unfilled():
        model = Transformer(_config()).eval()
    with safe_open(WEIGHTS, framework="pt") as file:
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    return model.to(device or default_device(), dtype), BPETokenizer.load(VOCABULARY)


def is_stand_in(model: Transformer) -> bool:
    """Whether this is the model that `load_smollm2` returns when SmolLM2 cannot be had: it has the stand-in's shape."""
    return model.config == _config()


@lru_cache(maxsize=1)
def _config() -> ModelConfig:
    with safe_open(WEIGHTS, framework="pt") as file:
        return ModelConfig.from_dict(json.loads(file.metadata()["config"]))
