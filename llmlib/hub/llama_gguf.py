"""A Llama out of a GGUF file, tensor by tensor, into our Transformer. Lecture 04 opens the file by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from llmlib.infer import decoding_layout
from llmlib.model import ModelConfig, Transformer, permute_rope_rows

from .gguf import GGUFError, GGUFFile
from .unfilled import Unfilled

LONGEST_CONTEXT = 1 << 20  # a table of positions is made for the whole context: a damaged length must not fill memory

# GGUF's names -> ours; the second ones stand after "blk.0." and "blocks.0." and so on.
OUTSIDE = {"token_embd": "token_embedding", "output_norm": "final_norm", "output": "lm_head"}
IN_BLOCK = {
    "attn_norm": "norm1",
    "attn_q": "attention.q_proj",
    "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj",
    "attn_output": "attention.o_proj",
    "ffn_norm": "norm2",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def load_llama_gguf(
    path: str | os.PathLike, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, dict[str, Any]]:
    """A Llama from a GGUF file, in evaluation mode, and the file's metadata, which hold its tokenizer.

    The weights are unpacked one tensor at a time out of the memory-mapped file into the model, so that the peak is the
    model itself plus its largest matrix. Query and key rows, which GGUF keeps for the interleaved RoPE, are put in the
    order of the published checkpoint. In float32 on the CPU the matrices lie as `decoding_layout` puts them. Raises
    GGUFError for a file that is damaged or holds another kind of model, before memory is taken.
    """
    with GGUFFile(path) as file:
        config = llama_config(file)
        _check_tensors(file, config)
        with Unfilled():
            model = Transformer(config).to(device, dtype).eval()
        if dtype == torch.float32 and torch.device(device).type == "cpu":
            decoding_layout(model, keep_values=False)
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, values in file.items():
                tensor = torch.from_numpy(values)
                if name.endswith(("attn_q.weight", "attn_k.weight")):
                    tensor = permute_rope_rows(tensor, config.head_dim, to="half")
                parameters[_our_name(name)].copy_(tensor)
    return model, file.metadata


def llama_config(file: GGUFFile) -> ModelConfig:
    """The shape of the Llama in `file`, from its metadata. GGUFError if it holds something else or lacks an entry."""
    metadata = file.metadata
    if metadata.get("general.architecture") != "llama":
        raise GGUFError(f"{file.path.name} holds architecture {metadata.get('general.architecture')!r}; expected llama")
    try:
        return ModelConfig(
            vocab_size=file.tensors["token_embd.weight"].shape[0],
            n_layers=_whole(metadata, "block_count", most=len(file.tensors) // len(IN_BLOCK)),
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


def _check_tensors(file: GGUFFile, config: ModelConfig) -> None:
    """Raise GGUFError unless the file holds the tensors that its metadata promise, and no others."""
    d, q, kv = config.d_model, config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    shapes = {"attn_norm": (d,), "ffn_norm": (d,), "attn_q": (q, d), "attn_k": (kv, d), "attn_v": (kv, d)}
    shapes |= {"attn_output": (d, q), "ffn_down": (d, config.d_ff)}
    shapes |= dict.fromkeys(("ffn_gate", "ffn_up"), (config.d_ff, d))
    expected = {f"blk.{i}.{part}.weight": shapes[part] for i in range(config.n_layers) for part in IN_BLOCK}
    expected |= {"token_embd.weight": (config.vocab_size, d), "output_norm.weight": (d,)}
    if not config.tie_embeddings:
        expected["output.weight"] = (config.vocab_size, d)
    for name, shape in expected.items():
        if name not in file.tensors:
            raise GGUFError(f"{file.path.name} has no tensor {name!r}, which its metadata promise")
        if file.tensors[name].shape != shape:
            raise GGUFError(f"{file.path.name}: {name} has shape {file.tensors[name].shape}, its metadata say {shape}")
    for name in file.tensors:
        if name not in expected:
            raise GGUFError(f"{file.path.name} has a tensor {name[:80]!r}, which is no part of a Llama as known here")


def _our_name(name: str) -> str:
    path = name.removesuffix(".weight")
    if path in OUTSIDE:
        return f"{OUTSIDE[path]}.weight"
    _, number, part = path.split(".")
    return f"blocks.{number}.{IN_BLOCK[part]}.weight"


def _whole(metadata: Mapping[str, Any], key: str, most: int = 1 << 24) -> int:
    value = metadata[f"llama.{key}"]
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"llama.{key} is {str(value)[:40]}, not a whole number from 1 to {most}")
    return value


def _decimal(value: float) -> float:
    """The shortest decimal that has this float32: the file's 1e-5 is 9.99999974738e-06 once widened."""
    return float(str(np.float32(value)))
