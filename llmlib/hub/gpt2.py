"""GPT-2, as Hugging Face and others keep it: a folder with config.json, model.safetensors, vocab.json, merges.txt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from llmlib.model import ModelConfig, Transformer, default_device
from llmlib.text import BPETokenizer

from .safetensors_files import read_safetensors
from .state_dicts import load_hf_state_dict
from .unfilled import Unfilled

LARGEST = {"vocab_size": 1 << 22, "n_positions": 1 << 20, "n_embd": 1 << 16, "n_layer": 1 << 10, "n_head": 1 << 10}
ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}


def load_gpt2(
    folder: str | os.PathLike, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, BPETokenizer]:
    """A GPT-2 of any size (Radford et al., 2019) and its tokenizer out of a folder, in evaluation mode. Lecture 03.

    folder: holds config.json, model.safetensors, vocab.json and merges.txt, as a download of "openai-community/gpt2"
    does; nothing is fetched. device: default `default_device()`. FileNotFoundError names a missing file; files that are
    damaged or do not belong together are a ValueError.
    """
    folder = Path(folder)
    for name in ("config.json", "model.safetensors", "vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"folder={str(folder)!r} has no file {name}: a GPT-2 needs it beside the others")
    config = gpt2_config(folder / "config.json")
    tokenizer = BPETokenizer.from_vocab_merges(folder / "vocab.json", folder / "merges.txt")
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"folder={str(folder)!r}: the tokenizer has {tokenizer.vocab_size} ids and the model {config.vocab_size}: "
            "are the files of the same model?"
        )
    weights = read_safetensors(folder / "model.safetensors")
    with torch.device("meta"), Unfilled():
        model = Transformer(config).eval()
    try:
        load_hf_state_dict(model, weights)
    except ValueError as error:
        raise ValueError(f"folder={str(folder)!r}: {error}") from None
    return model.to(device or default_device(), dtype), tokenizer


def gpt2_config(path: str | os.PathLike) -> ModelConfig:
    """The shape that a GPT-2's config.json describes; ValueError if it is damaged or of another model."""
    what = f"config file {os.fspath(path)!r}"
    try:
        given = json.loads(Path(path).read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON ({error}): download it again") from None
    if not isinstance(given, dict) or given.get("model_type", "gpt2") != "gpt2":
        kind = given.get("model_type") if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{what} describes {str(kind)[:40]!r}: expected a model_type of 'gpt2'")
    sizes = {name: _whole(what, given, name, most) for name, most in LARGEST.items()}
    act = given.get("activation_function", "gelu_new")
    if not isinstance(act, str) or act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"{what} has activation_function {str(act)[:40]!r}: this reader knows {known}")
    for name, usual in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if given.get(name, usual) is not usual:
            raise ValueError(f"{what} has {name} {str(given[name])[:40]!r}, which this model does not do")
    inner = given.get("n_inner")
    try:
        return ModelConfig(
            vocab_size=sizes["vocab_size"], n_layers=sizes["n_layer"], d_model=sizes["n_embd"], n_heads=sizes["n_head"],
            d_ff=4 * sizes["n_embd"] if inner is None else _whole(what, given, "n_inner", 1 << 18),
            max_seq_len=sizes["n_positions"], norm="layernorm", mlp=ACTIVATIONS[act], position="learned", bias=True,
            norm_eps=_small(what, given.get("layer_norm_epsilon", 1e-5)),
            tie_embeddings=given.get("tie_word_embeddings", True) is not False,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(str(error) if what in str(error) else f"{what}: {error}") from None


def _whole(what: str, given: dict[str, Any], name: str, most: int) -> int:
    value = given.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{what} has {name} {str(value)[:40]!r}: expected a whole number from 1 to {most}")
    return value


def _small(what: str, value: object) -> float:
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"{what} has layer_norm_epsilon {str(value)[:40]!r}: expected a number between 0 and 1")
    return float(value)
