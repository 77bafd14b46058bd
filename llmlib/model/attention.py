"""Attention: who looks at whom, and what they bring back."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .context import AttentionContext, causal_mask
from .layers import RMSNorm
from .memory import LayerMemory
from .rope import rotate


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T / sqrt(head_dim)) v, spelled out (Vaswani et al., 2017, section 3.2). Lecture 03 builds it.

    q: (..., H, T_q, D); k, v: (..., K, T_k, D) with K heads that divide H, each shared by H / K queries; all leading
    dimensions may be left out. mask: bool, broadcasts to (..., H, T_q, T_k), True = may look. `causal` adds the causal
    mask, last query on last key.
    -> the mixed values (..., H, T_q, D) and the weights (..., H, T_q, T_k), every row of which sums to one.
    A query that may look at nothing has no softmax: let it see itself, as `attention_pattern` does for padding.
    """
    weights = attention_weights(q, k, mask, causal=causal)
    return F.dropout(weights, dropout) @ _for_every_query_head(v, q), weights


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)): the first half of `plain_attention`, which says the shapes."""
    scores = q @ _for_every_query_head(k, q).transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(~causal_mask(q.shape[-2], k.shape[-2], device=q.device), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1)


def _for_every_query_head(k: Tensor, q: Tensor) -> Tensor:
    """k with each of its heads repeated for the queries that share it."""
    n_heads, n_kv_heads = (1 if t.dim() < 3 else t.shape[-3] for t in (q, k))
    if n_heads % n_kv_heads:
        raise ValueError(f"k has {n_kv_heads} heads, which do not divide q's {n_heads}; share each key head evenly")
    return k if n_heads == n_kv_heads or k.dim() < 3 else k.repeat_interleave(n_heads // n_kv_heads, -3)


class Attention(nn.Module):
    """Multi-head attention, with grouped queries when n_kv_heads < n_heads (Ainslie et al., 2023). Lectures 03, 04.

        y = attention(x)                                        # as the config says: causal or not, positions 0..T-1
        y = attention(x, memory=memory)                         # the same, after the columns a LayerMemory holds
        y = attention(x, AttentionContext(source=states))       # cross-attention: lecture 05

    Two parts have no weights and pass on what they are given, so that hooks can look and change it: `heads`, the mixed
    values (B, n_heads, T, head_dim) before o_proj, and `weights`, (B, n_heads, T_q, T_k), which runs only while a hook
    waits there or with config.attention = "plain".
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.n_heads, self.n_kv_heads, self.head_dim = config.n_heads, config.n_kv_heads, config.head_dim
        qkv_bias = config.bias if config.qkv_bias is None else config.qkv_bias
        o_bias = config.bias if config.o_bias is None else config.o_bias
        self.q_proj = nn.Linear(config.d_model, config.n_heads * config.head_dim, bias=qkv_bias)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=qkv_bias)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_heads * config.head_dim, bias=qkv_bias)
        self.o_proj = nn.Linear(config.n_heads * config.head_dim, config.d_model, bias=o_bias)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None
        self.weights, self.heads = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor, context: AttentionContext | None = None, memory: LayerMemory | None = None) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model).

        context: shared by all layers of a pass; left out, `AttentionContext.of(config, x)` after what memory holds.
        memory: keys and values of earlier calls, to which these are appended. With `context.source` they are those of
        the source instead: made in the first call, remembered, and only read in later ones.
        """
        if context is None:
            context = AttentionContext.of(self.config, x, 0 if memory is None else memory.columns)
        lead = x.shape[:-1]
        q = self.q_proj(x).view(*lead, self.n_heads, self.head_dim)
        if self.q_norm is not None:
            q = self.q_norm(q)
        source = context.source
        if source is None:
            source = x
        elif memory is not None and memory.columns:  # read in an earlier call
            k, v = memory.keys.to(q.dtype), memory.values.to(q.dtype)
            if k.shape[0] != x.shape[0]:
                raise ValueError(
                    f"memory holds a source of {k.shape[0]} rows for x of {x.shape[0]}; reset or select it"
                )
            return self._mix(q.transpose(-3, -2), k, v, context)
        else:
            lead = source.shape[:-1]
        k = self.k_proj(source).view(*lead, self.n_kv_heads, self.head_dim)
        v = self.v_proj(source).view(*lead, self.n_kv_heads, self.head_dim)
        if self.k_norm is not None:
            k = self.k_norm(k)
        if context.rope is not None:
            cos, sin = context.rope.to(q.dtype)  # under autocast q is of lower precision than the stream
            layout = self.config.rope_layout
            q, k = rotate(q, cos, sin, layout), rotate(k, cos, sin, layout)
        q, k, v = q.transpose(-3, -2), k.transpose(-3, -2), v.transpose(-3, -2)  # (B, heads, T, head_dim)
        if memory is not None:
            k, v = memory.update(k, v)
        return self._mix(q, k, v, context)

    def score_flops(self, seq_len: int) -> int:
        """Floating-point operations of one token's scores and weighted sum over seq_len keys, or the window's."""
        return 4 * self.n_heads * self.head_dim * min(seq_len, self.config.sliding_window or seq_len)

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        out = self.heads(self._attend(q, k, v, context))
        return self.o_proj(out.transpose(-3, -2).flatten(-2))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        dropout = self.config.dropout if self.training else 0.0
        n_new, mask, causal = q.shape[-2], context.mask, context.causal
        if causal and (mask is not None or n_new != k.shape[-2]):  # more than the kernel's own square mask
            earlier = causal_mask(n_new, k.shape[-2], device=q.device)
            mask, causal = earlier if mask is None else mask & earlier, False
        weights = self.weights
        if self.config.attention == "plain" or weights._forward_hooks or weights._forward_pre_hooks:
            weights = weights(attention_weights(q, k, mask, causal=causal))
            return F.dropout(weights, dropout) @ _for_every_query_head(v, q)
        group = self.n_heads // self.n_kv_heads  # queries that share a key
        if group > 1 and n_new == 1:
            # One new token: the heads that share a key stand in for its query positions, and no key is repeated.
            grouped = q.reshape(*q.shape[:-3], self.n_kv_heads, group, self.head_dim)
            return F.scaled_dot_product_attention(grouped, k, v, attn_mask=mask, dropout_p=dropout).reshape(q.shape)
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, enable_gqa=group > 1
        )
