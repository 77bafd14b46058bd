"""The memory of generation: keys and values of the tokens read so far."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import ModelConfig


class KVCache:
    """Keys and values of every layer, so that a new token costs one token's work. Lecture 04 builds it.

    With `max_len` the memory is taken once (static); without, it grows by doubling. A call to the model appends one
    column per token to every row. Rows of different lengths are padded, on either side, and say so with pad_mask: a
    padded column is never looked at, but it does use its column. `lengths` counts the real tokens of each row.

    Under autograd the columns are concatenated instead of written in place, so gradients flow through earlier calls
    and into the prefix of `KVCache.with_prefix` (Li and Liang, 2021).

        cache = KVCache(model.config, batch_size=1, max_len=256)
        h = model.hidden(prompt, cache=cache)       # prefill, whole or in chunks
        h = model.hidden(next_token, cache=cache)   # (1, 1): one step

    dtype and device follow the model's keys unless given.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int = 1,
        max_len: int | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; use at least 1")
        if max_len is not None and max_len < 1:
            raise ValueError(f"max_len is {max_len}; use at least 1, or None for a cache that grows")
        if not config.causal:
            raise ValueError(
                "config.causal is False: a bidirectional model re-reads every token, so it takes no cache; leave it out"
            )
        self.batch_size, self.max_len = batch_size, max_len
        self.n_layers, self.n_kv_heads, self.head_dim = config.n_layers, config.n_kv_heads, config.head_dim
        self.dtype, self.device = dtype, device
        self._prefix: tuple[Tensor, Tensor] | None = None
        self._k: list[Tensor | None] = [None] * self.n_layers  # (B, n_kv_heads, >= filled, head_dim) each
        self._v: list[Tensor | None] = [None] * self.n_layers
        self._owned = [False] * self.n_layers  # our own memory, in no autograd graph: may be written to in place
        self.reset()

    @classmethod
    def with_prefix(cls, config: ModelConfig, k: Tensor, v: Tensor, max_len: int | None = None) -> KVCache:
        """A cache that already holds P columns, trainable or not: prefix tuning (Li and Liang, 2021). Lecture 14.

        k, v: (n_layers, B, n_kv_heads, P, head_dim), keys as the cache would hold them, that is already rotated. The
        next token stands at position P. `reset` goes back to the prefix. Every call made while autograd records
        carries gradients to k and v.
        """
        cache = cls(config, batch_size=k.shape[1] if k.dim() == 5 else 1, max_len=max_len)
        shape = (cache.n_layers, cache.batch_size, cache.n_kv_heads, k.shape[-2], cache.head_dim)
        for name, tensor in (("k", k), ("v", v)):
            if tensor.shape != shape:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}; "
                    f"give (n_layers, batch, n_kv_heads, P, head_dim), here {shape}"
                )
        cache._check_room(0, k.shape[-2])
        cache._prefix = (k, v)
        cache.reset()
        return cache

    def reset(self) -> None:
        """Forget every token; a prefix stays. A static cache keeps its memory."""
        if self._prefix is not None:
            self._k, self._v = list(self._prefix[0]), list(self._prefix[1])
            self._owned = [False] * self.n_layers
        else:
            self._k, self._v = (
                [t if own else None for t, own in zip(side, self._owned)] for side in (self._k, self._v)
            )
        self._filled = [0 if self._prefix is None else self._prefix[0].shape[-2]] * self.n_layers
        self._tags: Tensor | None = None  # (B, columns): document of each column, -1 = padding; None: all one document
        self._segmented = False

    @property
    def columns(self) -> int:
        """Columns in use in every layer: tokens and padding."""
        return self._filled[-1]

    @property
    def lengths(self) -> Tensor:
        """(B,) int64: real tokens in each row, a prefix included."""
        if self._tags is None:
            return torch.full((self.batch_size,), self.columns)
        return (self._tags[:, : self.columns] >= 0).sum(1)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held for keys and values."""
        return sum(t.nbytes for t in (*self._k, *self._v) if t is not None)

    def check_fits(
        self, config: ModelConfig, shape: tuple[int, int], tags: Tensor | None = None, segmented: bool = False
    ) -> Tensor | None:
        """Would (B, T) new columns fit? Raises ValueError if not, and changes nothing either way.

        tags: (B, T) int64, see `attention_pattern`; None means real tokens of the one document. -> the tags of all
        columns, old and new, or None while nothing is padded or segmented.
        """
        B, T = shape
        if not config.causal:
            raise ValueError("cache given to a bidirectional model, which re-reads every token; leave it out")
        made_for = (self.n_layers, self.n_kv_heads, self.head_dim)
        needed = (config.n_layers, config.n_kv_heads, config.head_dim)
        if made_for != needed:
            raise ValueError(
                f"cache was made for (n_layers, n_kv_heads, head_dim) = {made_for} and the model has {needed}; "
                "make KVCache(model.config, ...)"
            )
        if self.batch_size != B:
            raise ValueError(
                f"cache was made for batch_size {self.batch_size}, not {B}; make a KVCache with batch_size={B}"
            )
        self._check_room(self.columns, T)
        if self._segmented and not segmented:
            raise ValueError(
                "segments is None, but the cache holds packed segments; name the segment each new token continues"
            )
        if tags is None and self._tags is None:
            return None
        like = self._tags if tags is None else tags
        old = like.new_zeros(B, self.columns) if self._tags is None else self._tags[:, : self.columns]
        new = like.new_zeros(B, T) if tags is None else tags
        return torch.cat([old, new], 1)

    def begin(self, tags: Tensor | None = None, segmented: bool = False) -> None:
        """Start a pass over all layers, with what `check_fits` returned. The model calls it before its first layer."""
        self._filled = [self.columns] * self.n_layers  # drops what a pass that failed midway left behind
        self._tags, self._segmented = tags, segmented

    def update(self, layer: int, k: Tensor, v: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Append new keys and values to a layer; -> all of that layer's, old and new.

        k, v: (B, n_kv_heads, T, head_dim) -> (B, n_kv_heads, columns, head_dim). `positions` is part of the interface
        for caches that place tokens by position; this one appends in order of arrival, and keys come rotated.
        Raises ValueError and changes nothing if max_len would be exceeded.
        """
        start = self._filled[layer]
        stop = start + k.shape[2]
        self._check_room(start, k.shape[2])
        old_k, old_v = self._k[layer], self._v[layer]
        if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (k, v, old_k, old_v)):
            if old_k is not None and start:
                k, v = torch.cat([old_k[:, :, :start], k], 2), torch.cat([old_v[:, :, :start], v], 2)
            self._k[layer], self._v[layer], self._owned[layer] = k, v, False
            self._filled[layer] = stop
            return k, v
        if old_k is None or old_k.shape[2] < stop or not self._owned[layer]:
            self._allocate(layer, k, start, stop)
        all_k, all_v = self._k[layer].narrow(2, 0, stop), self._v[layer].narrow(2, 0, stop)
        all_k.narrow(2, start, stop - start).copy_(k)
        all_v.narrow(2, start, stop - start).copy_(v)
        self._filled[layer] = stop
        return all_k.to(k.dtype), all_v.to(v.dtype)

    def _allocate(self, layer: int, like: Tensor, start: int, stop: int) -> None:
        """Fresh memory for a layer, with its first `start` columns carried over."""
        size = self.max_len or max(2 * start, stop, 64)
        shape = (self.batch_size, self.n_kv_heads, size, self.head_dim)
        for store in (self._k, self._v):
            with torch.inference_mode(False):  # an inference tensor could not be written to outside inference mode
                fresh = torch.zeros(shape, dtype=self.dtype or like.dtype, device=self.device or like.device)
            if start:
                fresh.narrow(2, 0, start).copy_(store[layer].detach().narrow(2, 0, start))
            store[layer] = fresh
        self._owned[layer] = True

    def _check_room(self, n_used: int, n_new: int) -> None:
        if self.max_len is not None and n_used + n_new > self.max_len:
            raise ValueError(
                f"cache overflow: {n_used} columns used + {n_new} new > max_len {self.max_len}; "
                "make the KVCache with a larger max_len (or None to let it grow), or reset() it"
            )
