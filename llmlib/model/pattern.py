"""Who may look at whom: causality, padding and packed documents, as one mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PADDING = -1


@dataclass(frozen=True)
class Pattern:
    """What every layer of one pass shares: computed once, used by all."""

    mask: Tensor | None  # bool, broadcasts to (B, H, T_q, T_k); None: no restriction besides `causal`
    causal: bool  # the square causal mask, which the kernel knows without being shown it
    rotation: Tensor | None  # (2, T, 1, head_dim) or (2, B, T, 1, head_dim), see rope_tables


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


def attention_pattern(query_tags: Tensor, key_tags: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Who sees whom, and where each query stands, when some tokens are padding or several documents share a row.

    A tag is the number of the document a token belongs to, or -1 for padding. Tokens see tokens of the same tag only.
    So padding sees nothing but padding: nobody real looks at it, and no row of the softmax is empty.

    query_tags: (B, T_q), the last columns of key_tags: (B, T_k)
    -> mask (B, 1, T_q, T_k) bool and positions (B, T_q): the number of earlier tokens with the same tag.
    """
    same = query_tags[:, :, None] == key_tags[:, None, :]
    not_later = causal_mask(query_tags.shape[1], key_tags.shape[1], device=query_tags.device)
    positions = (same & not_later).sum(-1) - 1
    return (same & not_later if causal else same)[:, None], positions.masked_fill(query_tags < 0, 0)
