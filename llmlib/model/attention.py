"""Attention: who looks at whom, and what they bring back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .layers import RMSNorm
from .pattern import Pattern, causal_mask
from .rope import rotate

if TYPE_CHECKING:
    from .cache import KVCache


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T / sqrt(head_dim)) v, spelled out (Vaswani et al., 2017, section 3.2). Lecture 03 builds it.

    q: (B, H, T_q, D); k, v: (B, K, T_k, D) with K heads that divide H, each shared by H / K queries; mask: bool,
    broadcasts to (B, H, T_q, T_k), True = may look. `causal` adds the causal mask, last query on last key.
    -> the mixed values (B, H, T_q, D) and the weights (B, H, T_q, T_k), every row of which sums to one.
    A query that may look at nothing has no softmax: let it see itself, as `attention_pattern` does for padding.
    """
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"k has {k.shape[1]} heads, which do not divide q's {q.shape[1]}; share each key head evenly")
    share = q.shape[1] // k.shape[1]
    if share > 1:
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(~causal_mask(q.shape[-2], k.shape[-2], device=q.device), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(-1)
    return F.dropout(weights, dropout) @ v, weights


class Attention(nn.Module):
    """Multi-head attention, with grouped queries when n_kv_heads < n_heads (Ainslie et al., 2023). Lectures 03, 04."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        self.rope_layout, self.dropout = config.rope_layout, config.dropout
        self.plain = config.attention == "plain"
        self.on_weights: Callable[[Tensor], None] | None = None  # set by hooks.record; called with (B, H, T_q, T_k)
        self.q_proj = nn.Linear(config.d_model, config.n_heads * config.head_dim, bias=config.bias)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=config.bias)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=config.bias)
        self.o_proj = nn.Linear(config.n_heads * config.head_dim, config.d_model, bias=config.bias)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None

    def forward(self, x: Tensor, pattern: Pattern, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model)."""
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.n_heads, self.head_dim)
        k = self.k_proj(x).view(B, T, self.n_kv_heads, self.head_dim)
        v = self.v_proj(x).view(B, T, self.n_kv_heads, self.head_dim)
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if pattern.rotation is not None:
            cos, sin = pattern.rotation.to(q.dtype)  # under autocast q is of lower precision than the stream
            q, k = rotate(q, cos, sin, self.rope_layout), rotate(k, cos, sin, self.rope_layout)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, head_dim)
        if cache is not None:
            k, v = cache.update(layer, k, v)
        out = self._mix(q, k, v, pattern)
        return self.o_proj(out.transpose(1, 2).reshape(B, T, -1))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, pattern: Pattern) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if self.plain or self.on_weights is not None:
            out, weights = plain_attention(q, k, v, pattern.mask, causal=pattern.causal, dropout=dropout)
            if self.on_weights is not None:
                self.on_weights(weights)
            return out
        share = self.n_heads // self.n_kv_heads
        if share > 1 and q.shape[2] == 1:
            # One new token: the heads that share a key stand in for its query positions, and no key is repeated.
            out = F.scaled_dot_product_attention(
                q.reshape(-1, self.n_kv_heads, share, self.head_dim), k, v, attn_mask=pattern.mask, dropout_p=dropout
            )
            return out.reshape(q.shape)
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=pattern.mask, dropout_p=dropout, is_causal=pattern.causal, enable_gqa=share > 1
        )
