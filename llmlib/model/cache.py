"""The memory of generation: keys and values of the tokens read so far."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor

from .config import ModelConfig
from .context import PADDING
from .memory import LayerMemory


class KVCache:
    """Keys and values of every layer, so that a new token costs one token's work. Lecture 04 builds it.

    With `max_len` the memory is taken once (static); without, it grows by doubling. A call to the model appends one
    column per token to every row. Rows of different lengths are padded, on either side, and say so with pad_mask: a
    padded column is never looked at, but it does use its column. `lengths` counts the real tokens of each row.

    `select` reorders, repeats or drops rows (beam search, several samples of one prompt), `truncate` takes back the
    newest columns (rejected drafts, a prompt used again), `reset` all of them. `layers[i]` is what block i is given.

    Under autograd the columns are concatenated instead of written in place, so gradients flow through earlier calls
    and into the prefix of `KVCache.with_prefix` (Li and Liang, 2021).

        cache = KVCache(model.config, batch_size=1, max_len=256)
        h = model.hidden(prompt, cache=cache)       # prefill, whole or in chunks
        h = model.hidden(next_token, cache=cache)   # (1, 1): one step

    config: a ModelConfig, of the decoder where a model has an encoder too. dtype and device follow the model's keys
    unless given.
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
        shape = (batch_size, config.n_kv_heads, config.head_dim)
        self.layers = [LayerMemory(max_len, shape=shape, dtype=dtype, device=device) for _ in range(config.n_layers)]
        self._prefix: tuple[Tensor, Tensor] | None = None
        self._prefix_rows: Tensor | None = None  # which rows of the prefix `select` has left, in which order
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
        cache.layers[0].check_room(k.shape[-2])
        cache._prefix = (k, v)
        cache.reset()
        return cache

    def reset(self) -> None:
        """Forget every token; a prefix stays. A static cache keeps its memory."""
        self._tags: Tensor | None = None  # (B, columns): document of each column, -1 = padding; None: all one document
        self._segments_from: int | None = None  # columns before the first pass that told segments apart
        if self._prefix is None:
            for layer in self.layers:
                layer.truncate(0)
            return
        sides = self._prefix
        if self._prefix_rows is not None:
            sides = tuple(side.index_select(1, self._prefix_rows.to(side.device)) for side in sides)
        for layer, k, v in zip(self.layers, *sides, strict=True):
            layer.hold(k, v)

    @property
    def columns(self) -> int:
        """Columns in use in every layer: tokens and padding."""
        return self.layers[-1].columns

    @property
    def lengths(self) -> Tensor:
        """(B,) int64: real tokens in each row, a prefix included."""
        if self._tags is None:
            return torch.full((self.batch_size,), self.columns)
        return (self._tags[:, : self.columns] >= 0).sum(1)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held for keys and values."""
        return sum(layer.nbytes for layer in self.layers)

    def select(self, rows: Sequence[int] | Tensor) -> None:
        """Go on with these rows, in this order; a row may be left out or named several times.

        select([2, 0, 1]) reorders, select([0] * 8) makes eight of the first, select([0, 0, 1, 1]) forks both. rows:
        whole numbers from 0 to batch_size - 1, a list or a tensor (n,), n >= 1; batch_size becomes n. Gradients flow
        to the rows selected from. Raises ValueError for anything else and changes nothing.
        """
        rows = _row_numbers(rows, self.batch_size)
        for layer in self.layers:
            layer.select(rows, self.columns)
        if self._tags is not None:
            tags = self._tags[:, : self.columns].index_select(0, rows.to(self._tags.device))
            self._tags = _simplest(tags)
        if self._prefix is not None:
            self._prefix_rows = rows if self._prefix_rows is None else self._prefix_rows[rows]
        self.batch_size = len(rows)

    def truncate(self, n: int | Sequence[int] | Tensor) -> None:
        """Keep the first n columns and forget the newer ones, as if they had never been read.

        n: 0 <= n <= columns; or one such number for each row: then the columns past the largest go, and what a shorter
        row holds past its own becomes padding. A prefix can be cut too; `reset` brings it back. Raises ValueError for
        anything else and changes nothing.
        """
        try:
            last, each = operator.index(n), None
        except TypeError:
            each = _column_numbers(n, self.batch_size)
            last = int(each.max())
        low = last if each is None else int(each.min())
        if isinstance(n, bool) or low < 0 or last > self.columns:
            wrong = low if low < 0 else n if isinstance(n, bool) else last
            raise ValueError(f"n is {wrong}; keep between 0 and the {self.columns} columns that the cache holds")
        tags = None if self._tags is None else self._tags[:, :last]
        if low < last:
            if tags is None:
                tags = torch.zeros(self.batch_size, last, dtype=torch.int64, device=self.layers[0].keys.device)
            beyond = torch.arange(last, device=tags.device) >= each.to(tags.device)[:, None]
            tags = tags.masked_fill(beyond, PADDING)
        for layer in self.layers:
            layer.truncate(last)
        self._tags = _simplest(tags)

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
        self.layers[-1].check_room(T)
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
        columns = self.columns
        for layer in self.layers:
            if layer.columns != columns:  # a pass that failed midway left something behind
                layer.truncate(columns)
        if segmented and not self._segmented:
            self._segments_from = self.columns
        self._tags = tags

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append to layer number `layer`; see `LayerMemory.update`."""
        return self.layers[layer].update(k, v)

    @property
    def _segmented(self) -> bool:
        return self._segments_from is not None and self.columns > self._segments_from


def _row_numbers(rows: Sequence[int] | Tensor, batch_size: int) -> Tensor:
    """rows as (n,) int64, checked."""
    numbers = _whole_numbers("rows", rows)
    if not len(numbers):
        raise ValueError("rows is empty; select at least one row")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= batch_size:
        raise ValueError(
            f"rows holds {low if low < 0 else high}, outside 0..{batch_size - 1} (batch_size {batch_size})"
        )
    return numbers


def _column_numbers(n: Sequence[int] | Tensor, batch_size: int) -> Tensor:
    """n as (batch_size,) int64, of any size."""
    numbers = _whole_numbers("n", n)
    if len(numbers) != batch_size:
        raise ValueError(f"n has {len(numbers)} entries; give one number, or one for each of the {batch_size} rows")
    return numbers


def _simplest(tags: Tensor | None) -> Tensor | None:
    """None where all is one document again: nothing to mask then."""
    return None if tags is None or not tags.any() else tags


def _whole_numbers(name: str, given: Sequence[int] | Tensor) -> Tensor:
    """A list or tensor of whole numbers as (n,) int64; ValueError for anything else, a mask of booleans included."""
    try:
        numbers = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        numbers = None
    if numbers is not None and numbers.dim() == 1 and not numbers.numel():
        return numbers.long()
    bad = numbers is None or numbers.dim() != 1 or numbers.dtype == torch.bool
    if bad or numbers.is_floating_point() or numbers.is_complex():
        raise ValueError(f"{name} is {str(given)[:60]!r}; give whole numbers, as a list or a tensor (n,)")
    return numbers.long()
