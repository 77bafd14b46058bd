"""What a model costs, from its config alone: parameters, FLOPs, cache bytes. Lectures 03, 04, 07."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .config import ModelConfig

if TYPE_CHECKING:
    from .transformer import Transformer


def count_parameters(model: ModelConfig | Transformer, non_embedding: bool = False) -> int:
    """Parameters of a model or of a config, a tied matrix counted once.

    A config is built on the meta device, which has shapes and no memory: GPT-3's 175 billion cost nothing.
    non_embedding leaves out the token, position and type tables and an untied output head, the N of the scaling laws
    (Kaplan et al., 2020, section 2.1).
    """
    if isinstance(model, ModelConfig):
        model = _on_meta(model)
    outside = ("token_embedding", "position_embedding", "type_embedding", "lm_head") if non_embedding else ()
    return sum(p.numel() for name, p in model.named_parameters() if name.split(".")[0] not in outside)


def parameter_table(model: ModelConfig | Transformer) -> list[tuple[str, int]]:
    """Rows (part, parameters) that add up to `count_parameters`, in the order of the forward pass, without zeros."""
    if isinstance(model, ModelConfig):
        model = _on_meta(model)
    table = dict.fromkeys(
        (
            "token embedding",
            "position embedding",
            "type embedding",
            "attention",
            "mlp",
            "norms",
            "pooler",
            "output head",
        ),
        0,
    )
    for name, parameter in model.named_parameters():
        table[_part(name)] += parameter.numel()
    return [(part, count) for part, count in table.items() if count]


def flops_per_token(config: ModelConfig, seq_len: int, training: bool = True) -> int:
    """Floating-point operations for one token of a sequence of seq_len tokens.

    Forward: 2 per weight of every matrix a token is multiplied with (blocks and output head; looking up an embedding
    is free, norms and activations are not counted), plus 4 * n_layers * n_heads * head_dim * seq_len for the scores
    and the weighted sum of attention, causal or not. Training: three times that, the backward pass being twice the
    forward one: the "6 N + 12 L H Q T" of PaLM (Chowdhery et al., 2022, appendix B), whose MFU others compare with.
    """
    attention = (2 * config.n_heads + 2 * config.n_kv_heads) * config.head_dim * config.d_model
    mlp = (3 if config.mlp == "swiglu" else 2) * config.d_model * config.d_ff
    weights = config.n_layers * (attention + mlp) + config.d_model * config.vocab_size
    forward = 2 * weights + 4 * config.n_layers * config.n_heads * config.head_dim * seq_len
    return 3 * forward if training else forward


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype = torch.float16) -> int:
    """Bytes of KV cache per token: a key and a value for every layer and key head."""
    return 2 * config.n_layers * config.n_kv_heads * config.head_dim * dtype.itemsize


def _on_meta(config: ModelConfig) -> Transformer:
    from .transformer import Transformer

    with torch.device("meta"):
        return Transformer(config)


def _part(name: str) -> str:
    first = name.split(".")[0]
    if first == "lm_head":
        return "output head"
    if first in ("token_embedding", "position_embedding", "type_embedding", "pooler"):
        return first.replace("_", " ")
    if "norm" in name:  # block norms, the final one, the embedding's, and those of queries and keys
        return "norms"
    return "attention" if ".attention." in name else "mlp"
