"""Models of the course's own: weights and a tokenizer that lie in the package, so that nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from llmlib.model import ModelConfig, Transformer, default_device

from .unfilled import Unfilled

ModelType = TypeVar("ModelType", bound=nn.Module)


def _same(model: Transformer) -> Transformer:
    return model


def save_packaged(model: nn.Module, path: Path, dtype: torch.dtype, **notes: str) -> None:
    """Write the weights as `dtype` with the model's `config`, and notes such as a licence, in the file's header."""
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={"config": json.dumps(model.config.to_dict()), **notes})


def load_packaged(
    path: Path,
    device: torch.device | str | None,
    dtype: torch.dtype,
    around: Callable[[Transformer], ModelType] = _same,
) -> ModelType:
    """The model of a file of `save_packaged`, in evaluation mode. around: makes it of a Transformer with its config."""
    with Unfilled():
        trunk = Transformer(packaged_config(path))
    model = around(trunk)
    with safe_open(path, framework="pt") as file:
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    return model.eval().to(device or default_device(), dtype)


@lru_cache(maxsize=8)
def packaged_config(path: Path) -> ModelConfig:
    """The config in a file's header."""
    with safe_open(path, framework="pt") as file:
        return ModelConfig.from_dict(json.loads(file.metadata()["config"]))
