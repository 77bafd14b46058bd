"""Who may look at whom: causality, padding, packed documents and windows, as one mask for all layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .config import ModelConfig
from .rope import rope_tables

PADDING = -1


@dataclass(frozen=True)
class AttentionContext:
    """What every attention of one pass shares: computed once, used by all layers.

    Left out, an attention makes its own with `AttentionContext.of`. Spelled out, it says more than a config can:

        AttentionContext(causal=True)                                     # self-attention without positions
        AttentionContext(source=states, mask=real[:, None, None, :])      # cross-attention to an encoder's states
        AttentionContext(mask=causal_mask(T) | prefix, rope=...)          # a prefix that is read both ways
    """

    mask: Tensor | None = None
    """bool, broadcasts to (B, H, T_q, T_k), True = may look; None: no restriction besides `causal`."""
    causal: bool = False
    """No query looks at a later key; the last query stands on the last key."""
    rope: Tensor | None = None
    """Cosines and signed sines that turn queries and keys, (2, T, 1, head_dim) or (2, B, T, 1, head_dim)."""
    source: Tensor | None = None
    """(B, S, d_model): states that keys and values are made of, in place of the attention's own input."""

    def __post_init__(self) -> None:
        if self.rope is not None and self.source is not None:
            raise ValueError("rope and source are both given, but cross-attention turns nothing; leave out rope")
        if self.mask is not None and self.mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {self.mask.dtype}; give bool, True where a query may look")

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        x: Tensor,
        past: int = 0,
        pad_mask: Tensor | None = None,
        segments: Tensor | None = None,
    ) -> AttentionContext:
        """The context a Transformer would make for x: (B, T, d_model), which comes after `past` remembered columns.

        pad_mask, segments: (B, past + T), see `Transformer.hidden`.
        """
        T = x.shape[-2]
        tags = document_tags((*x.shape[:-2], past + T), pad_mask, segments)
        mask, causal, positions = arrange(config, T, past, tags, x.device)
        if config.position != "rope":
            return cls(mask, causal)
        if isinstance(positions, slice):
            positions = torch.arange(positions.start, positions.stop, device=x.device)
        tables = rope_tables(positions, config.head_dim, config.rope_theta, config.rope_layout, config.rope_scaling)
        return cls(mask, causal, tables.unsqueeze(-2).to(x.dtype))


def arrange(
    config: ModelConfig, n_tokens: int, past: int, tags: Tensor | None, device: torch.device
) -> tuple[Tensor | None, bool, Tensor | slice]:
    """Who sees whom among n_tokens that follow `past` others, and where they stand.

    tags: (B, past + n_tokens), see `attention_pattern`; None where all is one document.
    -> the mask, or None; whether the plain causal mask is to be applied; the positions, a slice if they follow on.
    """
    window = config.sliding_window
    if tags is not None:
        mask, positions = attention_pattern(tags[:, past:], tags, config.causal, window)
        return mask, False, positions
    mask = None
    if window is not None and past + n_tokens > window:
        mask = causal_mask(n_tokens, past + n_tokens, device=device).triu(past - window + 1)
    elif config.causal and past and n_tokens > 1:  # a chunk that comes after others
        mask = causal_mask(n_tokens, past + n_tokens, device=device)
    causal = True if config.causal and mask is None and n_tokens > 1 else False  # a plain bool, in a graph too
    return mask, causal, slice(past, past + n_tokens)


def causal_mask(n_queries: int, n_keys: int | None = None, offset: int | None = None, *, device=None) -> Tensor:
    """(n_queries, n_keys) bool, True where query i may look at key j: j <= i + offset. Lecture 03.

    offset is the number of keys before the first query; left out, the last query is the last key.
    """
    n_keys = n_queries if n_keys is None else n_keys
    offset = n_keys - n_queries if offset is None else offset
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(offset)


def document_tags(shape: tuple[int, int], pad_mask: Tensor | None, segments: Tensor | None) -> Tensor | None:
    """(B, T) int64: the document each token belongs to, PADDING for none; None where all is one document.

    Raises ValueError if pad_mask or segments does not have the shape (B, T).
    """
    for name, given in (("pad_mask", pad_mask), ("segments", segments)):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name} has shape {tuple(given.shape)}; give one entry per token, here {shape}")
    if pad_mask is not None and pad_mask.dtype != torch.bool:
        raise ValueError(f"pad_mask has dtype {pad_mask.dtype}; give bool, True for a real token")
    if segments is None:
        return None if pad_mask is None else pad_mask.long() - 1
    tags = segments.long().clamp(min=PADDING)
    return tags if pad_mask is None else tags.masked_fill(~pad_mask, PADDING)


def attention_pattern(
    query_tags: Tensor, key_tags: Tensor, causal: bool, window: int | None = None
) -> tuple[Tensor, Tensor]:
    """Who sees whom, and where each query stands, when some tokens are padding or several documents share a row.

    A tag is the number of the document a token belongs to, or -1 for padding. Tokens see tokens of the same tag only.
    So padding sees nothing but padding: nobody real looks at it, and no row of the softmax is empty. With a window a
    token sees the last `window` tokens of its document, itself included; padding in between does not count.

    query_tags: (B, T_q), the last columns of key_tags: (B, T_k)
    -> mask (B, 1, T_q, T_k) bool and positions (B, T_q): the number of earlier tokens with the same tag.
    """
    same = query_tags[:, :, None] == key_tags[:, None, :]
    earlier = same & causal_mask(query_tags.shape[1], key_tags.shape[1], device=query_tags.device)
    positions = earlier.sum(-1) - 1
    mask = earlier if causal else same
    if window is not None:
        from_here = earlier.flip(-1).cumsum(-1).flip(-1)  # tokens of the same tag from this key to the query
        mask = mask & (from_here <= window)
    return mask[:, None], positions.masked_fill(query_tags < 0, 0)
