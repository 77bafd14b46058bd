"""Positions as distances: a learned number for each head and distance, added to the scores. T5's way; lecture 05."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import Attention, _for_every_query_head
from .config import ModelConfig
from .context import AttentionContext, causal_mask


def distance_buckets(distance: Tensor, n_buckets: int = 32, max_distance: int = 128, both_ways: bool = True) -> Tensor:
    """The bucket of each distance, key minus query (Raffel et al., 2020, section 2.1). int64, any shape.

    Half of the buckets hold one distance each, the other half ever longer stretches up to max_distance, and the last
    one all beyond. both_ways: half of all buckets for keys that come later; otherwise these count as distance 0.
    """
    if n_buckets < (4 if both_ways else 2) or n_buckets % (4 if both_ways else 2):
        raise ValueError(f"n_buckets={n_buckets} must be a multiple of {4 if both_ways else 2}: halves of halves")
    if max_distance <= n_buckets // 2:
        raise ValueError(f"max_distance={max_distance} must exceed n_buckets / 2 = {n_buckets // 2}")
    later = torch.zeros_like(distance)
    if both_ways:
        n_buckets //= 2
        later = (distance > 0).long() * n_buckets
    back = distance.abs() if both_ways else (-distance).clamp(min=0)
    exact = n_buckets // 2
    growth = torch.log(back.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + growth * (n_buckets - exact)).long().clamp(max=n_buckets - 1)
    return later + torch.where(back < exact, back, far)


class RelativePositions(nn.Module):
    """One number for each bucket of distances and each head, shared by all layers of a stack."""

    def __init__(self, n_heads: int, n_buckets: int = 32, max_distance: int = 128, both_ways: bool = True):
        super().__init__()
        distance_buckets(torch.zeros(1, dtype=torch.long), n_buckets, max_distance, both_ways)  # refuses bad numbers
        self.n_buckets, self.max_distance, self.both_ways = n_buckets, max_distance, both_ways
        self.weight = nn.Parameter(torch.empty(n_buckets, n_heads))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, n_queries: int, n_keys: int) -> Tensor:
        """(n_heads, n_queries, n_keys): what is added to the scores; the last query stands on the last key."""
        keys = torch.arange(n_keys, device=self.weight.device)
        distance = keys[None] - keys[n_keys - n_queries :, None]
        return self.weight[distance_buckets(distance, self.n_buckets, self.max_distance, self.both_ways)].movedim(-1, 0)


class RelativeAttention(Attention):
    """Attention whose scores know the distance of key and query: softmax(q k^T / sqrt(head_dim) + bias) v."""

    def __init__(self, config: ModelConfig, positions: RelativePositions):
        super().__init__(config)
        self.__dict__["positions"] = positions  # the stack's own, not a part of this attention: saved once

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        n_queries, n_keys = q.shape[-2], k.shape[-2]
        bias = self.positions(n_queries, n_keys).to(q.dtype)
        if context.causal:
            bias = bias.masked_fill(~causal_mask(n_queries, n_keys, device=q.device), -math.inf)
        if context.mask is not None:
            bias = bias.masked_fill(~context.mask, -math.inf)
        k, v = _for_every_query_head(k, q), _for_every_query_head(v, q)
        dropout = self.config.dropout if self.training else 0.0
        if self.config.attention == "plain" or self.weights._forward_hooks or self.weights._forward_pre_hooks:
            scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim) + bias
            return F.dropout(self.weights(scores.softmax(-1)), dropout) @ v
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


def use_relative_positions(stack: nn.Module, n_buckets: int = 32, max_distance: int = 128) -> RelativePositions:
    """Give every self-attention of a Transformer T5's positions, as `stack.relative`; -> the table they share.

    Call it before the weights are trained or loaded: attentions are made anew. ValueError for a model that has another
    kind of position.
    """
    config: ModelConfig = stack.config
    if config.position != "none":
        raise ValueError(f"position is {config.position!r}; build the model with position='none' for relative ones")
    stack.relative = RelativePositions(config.n_heads, n_buckets, max_distance, both_ways=not config.causal)
    for block in stack.blocks:
        block.attention = RelativeAttention(config, stack.relative)
    stack.init_weights()
    return stack.relative
