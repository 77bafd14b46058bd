"""Texts of different lengths as rows of one tensor, and what stands at the end of each."""

from collections.abc import Sequence

import torch
from torch import Tensor


def padded(texts: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Tensor, Tensor]:
    """Lists of ids -> ids (B, T), padded on the right, and pad_mask (B, T), True for real tokens."""
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[pad_id] * (width - len(text))] for text in texts])
    return ids, torch.arange(width) < torch.tensor([len(text) for text in texts])[:, None]


def last_token(values: Tensor, pad_mask: Tensor) -> Tensor:
    """The entry at the last real token of each row: (B, T, ...) and (B, T) bool -> (B, ...), padding on either side.

    ValueError for a row without any real token.
    """
    if not pad_mask.any(1).all():
        raise ValueError(
            f"pad_mask has no True in row {int((~pad_mask.any(1)).nonzero()[0])}: an empty text has no score"
        )
    places = pad_mask.shape[1] - 1 - pad_mask.int().flip(1).argmax(1)
    return values[torch.arange(len(values), device=values.device), places]
