"""A Llama out of a GGUF file, tensor by tensor, into our Transformer. Lecture 04 opens the file by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmlib.model import ModelConfig, Transformer, decoding_layout, load_hf_state_dict, permute_rope_rows
from llmlib.model.gguf import GGUFError, GGUFFile

LONGEST_CONTEXT = 1 << 20  # a table of positions is made for the whole context: a damaged length must not fill memory

# GGUF's names -> those of the published checkpoints, which `load_hf_state_dict` knows. `*` is the number of the layer.
_OUTSIDE = {"token_embd": "embed_tokens", "output_norm": "norm", "output": "lm_head"}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def llama_config(file: GGUFFile) -> ModelConfig:
    """The shape of the Llama in `file`, from its metadata. GGUFError if it holds something else or lacks an entry."""
    metadata = file.metadata
    if metadata.get("general.architecture") != "llama":
        raise GGUFError(f"{file.path.name} holds architecture {metadata.get('general.architecture')!r}; expected llama")
    try:
        vocab_size = file.tensors["token_embd.weight"].shape[0]
        return ModelConfig(
            vocab_size=vocab_size,
            n_layers=_whole(metadata, "block_count", most=len(file.tensors)),
            d_model=_whole(metadata, "embedding_length"),
            n_heads=_whole(metadata, "attention.head_count"),
            n_kv_heads=_whole(metadata, "attention.head_count_kv"),
            d_ff=_whole(metadata, "feed_forward_length"),
            max_seq_len=_whole(metadata, "context_length", most=LONGEST_CONTEXT),
            rope_theta=_decimal(metadata["llama.rope.freq_base"]),
            norm_eps=_decimal(metadata["llama.attention.layer_norm_rms_epsilon"]),
            tie_embeddings="output.weight" not in file.tensors,
        )
    except KeyError as error:
        raise GGUFError(f"{file.path.name} has no entry {error.args[0]!r}: it is not a whole Llama") from None
    except (ValueError, TypeError) as error:
        raise GGUFError(f"{file.path.name} describes a model that cannot be built: {error}") from None


def load_llama_gguf(
    path: str | os.PathLike, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, dict[str, Any]]:
    """A Llama from a GGUF file, in evaluation mode, and the file's metadata, which hold its tokenizer.

    The weights are unpacked one tensor at a time out of the memory-mapped file, so that the peak is the model itself
    plus its largest matrix. Query and key rows, which GGUF keeps for the interleaved RoPE, are put in the order of the
    published checkpoint. Raises GGUFError for a file that is damaged or holds another kind of model.
    """
    with GGUFFile(path) as file:
        config = llama_config(file)
        with torch.device("meta"):
            model = Transformer(config).to(dtype).eval()
        try:
            load_hf_state_dict(model, dict(_published_weights(file, config, device, dtype)))
        except ValueError as error:
            raise GGUFError(f"{file.path.name} contradicts itself: {error}") from None
    if dtype == torch.float32 and model.token_embedding.weight.device.type == "cpu":
        decoding_layout(model)
    return model, file.metadata


def _published_weights(
    file: GGUFFile, config: ModelConfig, device: torch.device | str, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor]]:
    for name, values in file.items():
        tensor = torch.from_numpy(values)
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            tensor = permute_rope_rows(tensor, config.head_dim, to="half")
        yield _published_name(name), tensor.to(device, dtype)


def _published_name(name: str) -> str:
    """GGUF's name of a tensor -> the published checkpoint's; an unknown one is left for the loader to report."""
    path, _, kind = name.rpartition(".")
    if path in _OUTSIDE:
        return f"{_OUTSIDE[path]}.{kind}"
    block, _, part = path.partition(".")[2].partition(".")
    return f"layers.{block}.{_IN_LAYER[part]}.{kind}" if part in _IN_LAYER else name


def _whole(metadata: Mapping[str, Any], key: str, most: int = 1 << 24) -> int:
    value = metadata[f"llama.{key}"]
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"llama.{key} is {str(value)[:40]}, not a whole number from 1 to {most}")
    return value


def _decimal(value: float) -> float:
    """The shortest decimal that has this float32: the file's 1e-5 is 9.99999974738e-06 once widened."""
    return float(str(np.float32(value)))
