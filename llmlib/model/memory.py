"""What one attention remembers: the keys and values it has made so far."""

from __future__ import annotations

import torch
from torch import Tensor


class LayerMemory:
    """Keys and values of one attention, appended to call by call. A `KVCache` holds one for each layer.

        memory = LayerMemory()
        first = attention(x[:, :5], memory=memory)
        rest = attention(x[:, 5:], memory=memory)   # these five columns are remembered, not computed again

    With `max_len` its memory is taken once; without, it grows by doubling. The first update fixes batch, heads and
    width unless `shape` = (B, n_kv_heads, head_dim) says them before. dtype and device follow the keys unless given.
    Under autograd columns are concatenated, so that gradients flow through earlier calls.
    """

    def __init__(
        self,
        max_len: int | None = None,
        *,
        shape: tuple[int, int, int] | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        self.max_len, self.shape, self.dtype, self.device = max_len, shape, dtype, device
        self.columns = 0
        self._k: Tensor | None = None  # (B, n_kv_heads, >= columns, head_dim)
        self._v: Tensor | None = None
        self._owned = False  # our own memory, in no autograd graph: may be written to in place

    @property
    def keys(self) -> Tensor | None:
        """(B, n_kv_heads, columns, head_dim), or None before the first update."""
        return None if self._k is None else self._k.narrow(2, 0, self.columns)

    @property
    def values(self) -> Tensor | None:
        """(B, n_kv_heads, columns, head_dim), or None before the first update."""
        return None if self._v is None else self._v.narrow(2, 0, self.columns)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return sum(t.nbytes for t in (self._k, self._v) if t is not None)

    def update(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append new keys, already rotated, and values; -> all of them, old and new.

        k, v: (B, n_kv_heads, T, head_dim) -> (B, n_kv_heads, columns, head_dim). Raises ValueError and changes nothing
        if their shape is another one than before or max_len would be exceeded.
        """
        size, start, stop = k.shape, self.columns, self.columns + k.shape[-2]
        if len(size) != 4 or size != v.shape or (self.shape is not None and self.shape != (*size[:2], size[3])):
            expected = "(B, n_kv_heads, T, head_dim)" if self.shape is None else f"{self.shape} without T"
            raise ValueError(f"k and v have shapes {tuple(k.shape)} and {tuple(v.shape)}; give both as {expected}")
        if self.max_len is not None:
            self.check_room(stop - start)
        if torch.is_grad_enabled():
            if start:
                k, v = torch.cat([self.keys, k], 2), torch.cat([self.values, v], 2)
            self.hold(k, v)
            return k, v
        if self._k is None or self._k.shape[2] < stop or not self._owned:
            self._allocate(k, start, stop)
        all_k, all_v = self._k.narrow(2, 0, stop), self._v.narrow(2, 0, stop)
        all_k.narrow(2, start, stop - start).copy_(k)
        all_v.narrow(2, start, stop - start).copy_(v)
        self.columns = stop
        return all_k.to(k.dtype), all_v.to(v.dtype)

    def hold(self, k: Tensor, v: Tensor) -> None:
        """Hold these keys and values, and nothing else. They are never written to, so that they may be in a graph."""
        self._k, self._v, self._owned = k, v, False
        self.columns, self.shape = k.shape[2], (k.shape[0], k.shape[1], k.shape[3])

    def select(self, rows: Tensor, columns: int | None = None) -> None:
        """Go on with these rows, (n,) int64, of the first `columns` columns; see `KVCache.select`."""
        columns = self.columns if columns is None else columns
        if self._k is not None and columns:
            in_place = self._owned and len(rows) == len(self._k) and not torch.is_grad_enabled()
            sides = [side.narrow(2, 0, columns) for side in (self._k, self._v)]
            recording = torch.is_grad_enabled()
            with torch.inference_mode(False), torch.set_grad_enabled(recording):
                picked = [side.index_select(0, rows.to(side.device)) for side in sides]
            if in_place:
                for side, new in zip(sides, picked):
                    side.copy_(new)
            else:
                self.hold(*picked)
        elif self._k is not None and len(rows) != len(self._k):
            self._k = self._v = None
        if self.shape is not None:
            self.shape = (len(rows), *self.shape[1:])
        self.columns = columns

    def truncate(self, columns: int) -> None:
        """Forget the columns past the first `columns`. Memory of our own is kept."""
        self.columns = min(self.columns, columns)
        if not self.columns and not self._owned:
            self._k = self._v = None

    def check_room(self, n_new: int) -> None:
        """Raise ValueError if n_new more columns would exceed max_len."""
        if self.max_len is not None and self.columns + n_new > self.max_len:
            raise ValueError(
                f"cache overflow: {self.columns} columns used + {n_new} new > max_len {self.max_len}; "
                "make the KVCache with a larger max_len (or None to let it grow), or reset() it"
            )

    def _allocate(self, like: Tensor, start: int, stop: int) -> None:
        """Fresh memory, with the first `start` columns carried over."""
        B, heads, _, width = like.shape
        size = (B, heads, self.max_len or max(2 * start, stop, 64), width)
        old = (self.keys, self.values)
        with torch.inference_mode(False):  # an inference tensor could not be written to outside inference mode
            fresh = [torch.zeros(size, dtype=self.dtype or like.dtype, device=self.device or like.device) for _ in "kv"]
        if start:
            for new, side in zip(fresh, old):
                new.narrow(2, 0, start).copy_(side.detach())
        (self._k, self._v), self._owned = fresh, True
        self.shape = (B, heads, width)
