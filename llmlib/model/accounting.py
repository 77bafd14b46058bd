"""What a model costs: parameters, FLOPs, cache bytes. Lectures 03, 04, 07."""

from __future__ import annotations

import torch

from .config import ModelConfig
from .costs import active_parameters_of, forward_flops, parameters_of, weight_bytes_of
from .transformer import Transformer


def count_parameters(model: ModelConfig | Transformer, non_embedding: bool = False) -> int:
    """Parameters of a model or of a config, a tied matrix counted once.

    A config is built on the meta device, which has shapes and no memory: GPT-3's 175 billion cost nothing.
    non_embedding leaves out the token, position and type tables and an untied output head, the N of the scaling laws
    (Kaplan et al., 2020, section 2.1).
    """
    return parameters_of(_built(model), non_embedding)


def parameter_table(model: ModelConfig | Transformer) -> list[tuple[str, int]]:
    """Rows (part, parameters) that add up to `count_parameters`, in the order of the forward pass, without zeros."""
    table = dict.fromkeys(
        (
            "token embedding",
            "position embedding",
            "type embedding",
            "attention",
            "mlp",
            "router",
            "experts",
            "norms",
            "pooler",
            "output head",
            "other",
        ),
        0,
    )
    for name, parameter in _built(model).named_parameters():
        table[_part(name)] += parameter.numel()
    return [(part, count) for part, count in table.items() if count]


def flops_per_token(model: ModelConfig | Transformer, seq_len: int, training: bool = True) -> int:
    """Floating-point operations for one token of a sequence of seq_len tokens, counted from the model as it is built.

    Forward: 2 per weight of every matrix a token is multiplied with (blocks and output head; looking up an embedding
    is free, norms and activations are not counted), plus 4 * n_layers * n_heads * head_dim * seq_len for the scores
    and the weighted sum of attention, causal or not. Training: three times that, the backward pass being twice the
    forward one: the "6 N + 12 L H Q T" of PaLM (Chowdhery et al., 2022, appendix B), whose MFU others compare with.
    `costs.forward_flops` says how exchanged parts, experts and packed weights are counted.
    """
    forward = forward_flops(_built(model), seq_len)
    return 3 * forward if training else forward


def active_parameters(model: ModelConfig | Transformer) -> int:
    """Parameters that one token meets, the N of a mixture's FLOPs: top_k of its n_experts, and all the rest.

    Tables of embeddings count whole, as they do in the "12.9B active" of Mixtral (Jiang et al., 2024). Lecture 06.
    """
    return active_parameters_of(_built(model))


def weight_bytes_per_pass(
    model: ModelConfig | Transformer, n_tokens: int, dtype: torch.dtype = torch.bfloat16
) -> float:
    """Bytes of weights that one pass over n_tokens reads from memory, a pass of decoding being one token of each text.

    Experts count as read if any of the tokens chose them, each token evenly and on its own (`expected_experts`); of the
    embedding table the rows of the tokens are read, of a tied head all of it. Lecture 06.
    """
    if n_tokens < 1:
        raise ValueError(f"n_tokens is {n_tokens}; give at least 1")
    return weight_bytes_of(_built(model), n_tokens, dtype.itemsize)


def _built(model: ModelConfig | Transformer) -> Transformer:
    """The model itself, or the one a config describes, on the meta device."""
    if not isinstance(model, ModelConfig):
        return model
    with torch.device("meta"):
        return Transformer(model)


def _part(name: str) -> str:
    first = name.split(".")[0]
    if first == "lm_head":
        return "output head"
    if first in ("token_embedding", "position_embedding", "type_embedding", "pooler"):
        return first.replace("_", " ")
    if "norm" in name:  # block norms, the final one, the embedding's, and those of queries and keys
        return "norms"
    if ".attention." in name:
        return "attention"
    for part in ("router", "experts"):
        if f".mlp.{part}." in name:
            return part
    return "mlp" if first == "blocks" else "other"  # shared experts among them: every token meets those
