"""Reading GGUF, the file format of llama.cpp: metadata and quantized weights in one file (lecture 04).

A header, key-value metadata, a table of tensors, then the tensors' bytes, all little-endian. Every length in the file
is checked against what is left of it before anything is allocated, so that a truncated, damaged or hostile file gives
a GGUFError and never a crash, a hang or a huge allocation. Tensors stay in the memory-mapped file until asked for.
Format: the specification of the ggml project, versions 2 and 3.
"""

import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .gguf_blocks import BY_NAME, FORMATS

MAX_DIMS = 4
MAX_COUNT = 1 << 16  # metadata entries, and tensors; real files have hundreds

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


class GGUFError(ValueError):
    """The file is not a GGUF file that this reader can read; the message says where and why."""


class TensorInfo(NamedTuple):
    """Where a tensor lies: its shape in row-major order (the file has it reversed), its type, and its bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    n_bytes: int


class GGUFFile:
    """An open GGUF file: `metadata` (dict), `tensors` (name -> TensorInfo), and `read(name)` for the values.

    Numeric arrays in the metadata are NumPy arrays, arrays of strings are lists. Raises GGUFError if the file is not
    sound, OSError if it cannot be opened. Use it as a context manager, or call `close()`.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with open(self.path, "rb") as file:
            if os.fstat(file.fileno()).st_size < 24:
                raise GGUFError(f"{self.path.name}: too short for a GGUF header of 24 bytes: download it again")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.metadata, self.tensors = _parse(self._map)
        except GGUFError as error:
            self.close()
            raise GGUFError(f"{self.path.name}: {error}") from None

    def read(self, name: str) -> np.ndarray:
        """The tensor `name` as a new float32 array of its shape; quantized values are unpacked."""
        if name not in self.tensors:
            some = ", ".join(list(self.tensors)[:3])
            raise GGUFError(f"{self.path.name} has no tensor {name!r} among its {len(self.tensors)} ({some} ...)")
        info = self.tensors[name]
        layout = BY_NAME[info.type]
        stored = np.frombuffer(self._map, np.uint8, info.n_bytes, info.offset).reshape(-1, layout.block_bytes)
        return layout.unpack(stored).reshape(info.shape)

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """All tensors by name, unpacked one at a time."""
        return ((name, self.read(name)) for name in self.tensors)

    def close(self) -> None:
        """Release the memory map. Arrays already read stay valid."""
        self._map.close()

    def __enter__(self) -> "GGUFFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"GGUFFile({self.path.name!r}, {len(self.metadata)} metadata entries, {len(self.tensors)} tensors)"


class _Cursor:
    """Reads values one after the other; whoever asks for more than is left gets a GGUFError."""

    def __init__(self, data: mmap.mmap):
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, n_bytes: int, what: str) -> int:
        """Step over `n_bytes` and return where they begin."""
        if n_bytes > self.left:
            raise GGUFError(f"cut off or damaged: {what} at byte {self.at} takes {n_bytes} bytes, {self.left} are left")
        start = self.at
        self.at += n_bytes
        return start

    def scalar(self, code: str, what: str) -> int | float | bool:
        start = self.take(struct.calcsize(code), what)
        if code == "?" and self.data[start] > 1:
            raise GGUFError(f"damaged: {what} at byte {start} is a truth value of {self.data[start]}")
        return struct.unpack_from("<" + code, self.data, start)[0]

    def string(self, what: str) -> str:
        n_bytes = self.scalar("Q", what)
        start = self.take(n_bytes, what)
        try:
            return self.data[start : start + n_bytes].decode("utf-8")
        except UnicodeDecodeError:
            raise GGUFError(f"damaged: {what} at byte {start} is not valid UTF-8") from None

    def value(self, kind: int, what: str) -> Any:
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            return self.array(what)
        if kind not in _SCALARS:
            raise GGUFError(f"damaged: {what} at byte {self.at} has the unknown value type {kind}")
        return self.scalar(_SCALARS[kind], what)

    def array(self, what: str) -> list[str] | np.ndarray:
        kind, length = self.scalar("I", what), self.scalar("Q", what)
        if kind == _STRING:
            if length * 8 > self.left:  # a string takes at least the 8 bytes of its length
                raise GGUFError(f"cut off or damaged: {what} claims {length} strings, {self.left} bytes are left")
            return [self.string(what) for _ in range(length)]
        if kind not in _SCALARS:
            raise GGUFError(f"damaged: {what} is an array of type {kind}: expected numbers or strings")
        code = _SCALARS[kind]
        dtype = np.dtype("u1" if code == "?" else "<" + code)
        start = self.take(length * dtype.itemsize, what)
        values = np.frombuffer(self.data, dtype, length, start).copy()
        if code != "?":
            return values
        if values.size and values.max() > 1:
            raise GGUFError(f"damaged: {what} holds a truth value of {values.max()}")
        return values.astype(bool)


def _parse(data: mmap.mmap) -> tuple[dict[str, Any], dict[str, TensorInfo]]:
    cursor = _Cursor(data)
    magic = data[: cursor.take(4, "magic") + 4]
    if magic != b"GGUF":
        raise GGUFError(f"not a GGUF file: it begins with {magic!r}, not with b'GGUF'")
    version = cursor.scalar("I", "version")
    if version not in (2, 3):
        hint = "a big-endian file" if version in (2 << 24, 3 << 24) else f"version {version}"
        raise GGUFError(f"{hint} is not supported: this reader knows little-endian GGUF 2 and 3")
    n_tensors, n_entries = cursor.scalar("Q", "tensor count"), cursor.scalar("Q", "metadata count")
    if max(n_tensors, n_entries) > MAX_COUNT:
        raise GGUFError(f"damaged: the header claims {n_tensors} tensors and {n_entries} metadata entries")
    metadata: dict[str, Any] = {}
    for i in range(n_entries):
        key = cursor.string(f"metadata key {i}")
        if key in metadata:
            raise GGUFError(f"damaged: metadata key {key[:80]!r} occurs twice")
        metadata[key] = cursor.value(cursor.scalar("I", "value type"), f"metadata {key[:80]!r}")
    table = [_table_row(cursor, i) for i in range(n_tensors)]
    return metadata, _place(table, cursor, metadata)


def _table_row(cursor: _Cursor, i: int) -> TensorInfo:
    """One entry of the tensor table; its offset still counts from the start of the data."""
    name = cursor.string(f"name of tensor {i}")
    what = f"tensor {name[:80]!r}"
    n_dims = cursor.scalar("I", what)
    if not 1 <= n_dims <= MAX_DIMS:
        raise GGUFError(f"damaged: {what} has {n_dims} dimensions, expected 1 to {MAX_DIMS}")
    dims = [cursor.scalar("Q", what) for _ in range(n_dims)]
    kind, offset = cursor.scalar("I", what), cursor.scalar("Q", what)
    if kind not in FORMATS:
        known = ", ".join(f.name for f in FORMATS.values())
        raise GGUFError(f"{what} has type {kind}, which this reader does not know: it reads {known}")
    layout = FORMATS[kind]
    if min(dims) < 1 or dims[0] % layout.block_values:
        raise GGUFError(f"damaged: {what} of type {layout.name} has row-major shape {tuple(reversed(dims))}")
    n_bytes = math.prod(dims) // layout.block_values * layout.block_bytes
    return TensorInfo(name, tuple(reversed(dims)), layout.name, offset, n_bytes)


def _place(table: list[TensorInfo], cursor: _Cursor, metadata: Mapping[str, Any]) -> dict[str, TensorInfo]:
    """Turn offsets into places in the file. Tensors may not overlap: few bytes must not unpack to unbounded memory."""
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= 1 << 16 or alignment % 8:
        raise GGUFError(f"damaged: general.alignment is {str(alignment)[:40]}, expected a multiple of 8 up to 65536")
    start = -(-cursor.at // alignment) * alignment
    tensors: dict[str, TensorInfo] = {}
    end = start
    for info in sorted(table, key=lambda info: info.offset):
        what = f"tensor {info.name[:80]!r}"
        if info.name in tensors:
            raise GGUFError(f"damaged: {what} occurs twice")
        if info.offset % alignment or start + info.offset < end:
            raise GGUFError(f"damaged: {what} has offset {info.offset}, out of line or inside another tensor")
        end = start + info.offset + info.n_bytes
        if end > len(cursor.data):
            raise GGUFError(f"cut off or damaged: {what} ends at byte {end}, the file at {len(cursor.data)}")
        tensors[info.name] = info._replace(offset=start + info.offset)
    return {info.name: tensors[info.name] for info in table}
