"""What a built model costs, counted part by part, so that exchanged parts are counted as they are."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import nn

from .config import ModelConfig
from .parts import TiedHead

OUTSIDE_BLOCKS = ("token_embedding", "position_embedding", "type_embedding", "lm_head")
ONCE_PER_TEXT = ("pooler",)  # multiplied with the first token alone


def parameters_of(model: nn.Module, non_embedding: bool = False) -> int:
    """Parameters of a built model, a tied matrix counted once. See `count_parameters`."""
    outside = OUTSIDE_BLOCKS if non_embedding else ()
    return sum(p.numel() for name, p in model.named_parameters() if name.split(".")[0] not in outside)


def forward_flops(model: nn.Module, seq_len: int) -> int:
    """Floating-point operations of one token's way through a built model. See `flops_per_token`.

    Every weight that is a matrix or a stack of them counts 2 per number; so does a module with in_features and
    out_features that keeps its weights in another form (packed, quantized, tied). Tables of embeddings count nothing.
    Two things a module may say about itself:
    - `active_fraction`: the part of its weights, and of those below it, that a token meets: k / n for experts.
    - `score_flops(seq_len)`: what it computes beside its weights, as attention does with its scores.
    """
    parts = (part for name, part in model.named_children() if name not in ONCE_PER_TEXT)
    return round(sum((_flops(part, seq_len) for part in parts), _own_flops(model, seq_len)))


def active_parameters_of(model: nn.Module) -> int:
    """Parameters that one token meets. See `active_parameters`."""
    return round(_met(model, lambda part: sum(p.numel() for p in part.parameters(recurse=False))))


def weight_bytes_of(model: nn.Module, n_tokens: int, bytes_per_number: int) -> float:
    """Bytes of weights that a pass over n_tokens reads. See `weight_bytes_per_pass`."""
    return _numbers_read(model, n_tokens) * bytes_per_number


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype = torch.float16) -> int:
    """Bytes of KV cache per token: a key and a value for every layer and key head."""
    return 2 * config.n_layers * config.n_kv_heads * config.head_dim * dtype.itemsize


def _flops(module: nn.Module, seq_len: int) -> Fraction:
    """Of a module and all below it. A module that stands in several places runs, and counts, in each."""
    return _met(module, lambda part: _own_flops(part, seq_len))


def _met(module: nn.Module, own: Callable[[nn.Module], Fraction | int]) -> Fraction:
    """own(part) added up over a module and all below it, where a token meets a fraction of the parts that fraction."""
    total = own(module) + sum(_met(child, own) for child in _children(module))
    return total * Fraction(getattr(module, "active_fraction", 1)).limit_denominator(1 << 20)


def _numbers_read(module: nn.Module, n_tokens: int) -> float:
    if isinstance(module, nn.Embedding):
        return float(n_tokens * module.embedding_dim)
    fraction = getattr(module, "active_fraction", None)
    if fraction is not None:  # experts, each of which is read if any token chose it
        met = 1.0 - (1.0 - fraction) ** n_tokens
        return met * sum(p.numel() for p in module.parameters())
    own = sum(p.numel() for p in module.parameters(recurse=False))
    if isinstance(module, TiedHead):
        own = module.in_features * module.out_features
    return float(own) + sum(_numbers_read(child, n_tokens) for child in _children(module))


def _own_flops(module: nn.Module, seq_len: int) -> Fraction:
    if isinstance(module, nn.Embedding):
        return Fraction(0)
    numbers = sum(p.numel() for p in module.parameters(recurse=False) if p.dim() >= 2)
    shape = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if not numbers and all(isinstance(n, int) for n in shape) and not _children(module):
        numbers = shape[0] * shape[1]
    scores = getattr(module, "score_flops", None)
    return Fraction(2 * numbers + (scores(seq_len) if scores is not None else 0))


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for child in module._modules.values() if child is not None]
