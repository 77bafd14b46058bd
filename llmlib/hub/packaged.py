"""Models of the course's own: weights and a tokenizer that lie in the package, so that nothing is downloaded."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from llmlib.model import ModelConfig, Transformer, default_device

from .unfilled import Unfilled


def save_packaged(model: Transformer, path: Path, dtype: torch.dtype, **notes: str) -> None:
    """Write the weights as `dtype` with the model's config, and notes such as a licence, in the file's header."""
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={"config": json.dumps(model.config.to_dict()), **notes})


def load_packaged(path: Path, device: torch.device | str | None, dtype: torch.dtype) -> Transformer:
    """The model of a file of `save_packaged`, in evaluation mode."""
    with Unfilled():
        model = Transformer(packaged_config(path)).eval()
    with safe_open(path, framework="pt") as file:
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    return model.to(device or default_device(), dtype)


@lru_cache(maxsize=8)
def packaged_config(path: Path) -> ModelConfig:
    """The config in a file's header."""
    with safe_open(path, framework="pt") as file:
        return ModelConfig.from_dict(json.loads(file.metadata()["config"]))
