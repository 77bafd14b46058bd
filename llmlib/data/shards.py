"""Tokens on disk: documents in, memory-mapped shards out, and batches from text that no memory would hold.

A folder of shards is `meta.json` and `00000.bin`, `00001.bin`, …: plain token ids in little-endian uint16 or uint32,
one document after another, each closed by the end-of-text id. Built in lecture 07.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llmlib.files import atomic_write, write_file

from .batches import ShuffledExamples

FORMAT = "next-token-shards-1"
SHARD_TOKENS = 1 << 24  # 32 MB of uint16


def write_shards(
    folder: str | Path,
    documents: Iterable[Iterable[int]],
    *,
    vocab_size: int,
    end: int,
    shard_tokens: int = SHARD_TOKENS,
) -> "TokenShards":
    """Write documents, as lists of ids, into a new folder of shards; returns them opened.

    Memory is bounded by one shard and one document. end: the end-of-text id, put behind each document; an empty
    document is left out. A shard holds at least shard_tokens ids and ends with a document. `meta.json` comes last: a
    folder without one, as an interruption or a full disk leaves it, is refused on opening and may be written again.
    """
    folder = Path(folder)
    if (folder / "meta.json").exists():
        raise ValueError(f"folder={str(folder)!r} holds shards already: delete it, or write to another")
    if not 0 <= end < vocab_size:
        raise ValueError(f"end={end} lies outside vocab_size={vocab_size}: give the tokenizer's end-of-text id")
    if shard_tokens < 1:
        raise ValueError(f"shard_tokens={shard_tokens} must be at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
    shards, n_documents = [], 0
    for number in itertools.count():
        ids: list[np.ndarray] = []
        size = 0
        for document in documents if isinstance(documents, Iterator) else (documents := iter(documents)):
            array = np.fromiter(document, np.int64)
            if not len(array):
                continue
            _check(array, vocab_size, n_documents)
            ids += [array.astype(dtype), np.array([end], dtype)]
            size, n_documents = size + len(array) + 1, n_documents + 1
            if size >= shard_tokens:
                break
        if not size:
            break
        data = np.concatenate(ids).tobytes()
        with atomic_write(folder / f"{number:05}.bin") as partial:
            partial.write_bytes(data)
        shards.append(dict(tokens=size, sha256=hashlib.sha256(data).hexdigest()))
    if not shards:
        raise ValueError("documents holds no token: there is nothing to write")
    meta = dict(format=FORMAT, vocab_size=vocab_size, end=end, dtype=dtype.str, documents=n_documents, shards=shards)
    write_file(folder / "meta.json", json.dumps(meta, indent=1) + "\n")
    return TokenShards(folder)


class TokenShards:
    """A folder of shards as one long array of ids of which only the parts in use are in memory.

    len() counts tokens; shards[a:b] is (b - a,) int64, across shard ends. verify=True compares every checksum, which
    reads all of it. Pass `shards.batches(...)` to a Trainer.
    """

    def __init__(self, folder: str | Path, *, verify: bool = False) -> None:
        self.folder = Path(folder)
        meta = self._meta()
        self.vocab_size, self.end, self.documents = meta["vocab_size"], meta["end"], meta["documents"]
        dtype = np.dtype(meta["dtype"])
        self._arrays = []
        for number, shard in enumerate(meta["shards"]):
            path = self.folder / f"{number:05}.bin"
            if not path.is_file() or path.stat().st_size != shard["tokens"] * dtype.itemsize:
                raise self._damaged(f"{path.name} is missing or of another length")
            if verify:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                        raise self._damaged(f"the contents of {path.name} are not those that were written")
            self._arrays.append(np.memmap(path, dtype, mode="r"))
        self._ends = np.cumsum([len(array) for array in self._arrays])

    def _meta(self) -> Mapping:
        path = self.folder / "meta.json"
        if not path.is_file():
            raise FileNotFoundError(f"folder={str(self.folder)!r} holds no finished shards: write_shards makes them")
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            fits = meta["format"] == FORMAT and meta["dtype"] in ("<u2", "<u4") and meta["shards"]
            fits = fits and all(isinstance(shard["tokens"], int) and shard["tokens"] > 0 for shard in meta["shards"])
            fits = fits and all(isinstance(meta[name], int) for name in ("vocab_size", "end", "documents"))
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise self._damaged("meta.json is not one of ours")
        return meta

    def _damaged(self, what: str) -> ValueError:
        return ValueError(f"folder={str(self.folder)!r} is damaged ({what}): write the shards anew")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, part: slice) -> Tensor:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"step={step} of the slice must be 1")
        pieces = []
        while start < stop:
            number = int(np.searchsorted(self._ends, start, side="right"))
            begin = int(self._ends[number]) - len(self._arrays[number])
            end = min(stop, int(self._ends[number]))
            pieces.append(self._arrays[number][start - begin : end - begin].astype(np.int64))
            start = end
        ids = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        if len(ids) and int(ids.max()) >= self.vocab_size:
            raise self._damaged(f"it holds id {int(ids.max())}, outside its vocab_size={self.vocab_size}")
        return torch.from_numpy(ids)

    def batches(
        self, batch_size: int, seq_len: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> "ShardBatches":
        """Batches (x, y) that cover every token once an epoch, in an order that is new in each; see `ShardBatches`."""
        return ShardBatches(self, batch_size, seq_len, seed=seed, rank=rank, world_size=world_size)


class ShardBatches(ShuffledExamples):
    """One `iter` is one epoch, or the rest of one: windows of seq_len tokens that do not overlap, shuffled.

    Each epoch shifts the windows by a random number below seq_len, so that documents are cut in other places. x and y
    are (batch_size, seq_len), y one token later; what does not fill a batch is left out. Of `world_size` processes
    each gets its own rows of the same order.
    """

    def __init__(
        self, shards: TokenShards, batch_size: int, seq_len: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        for name, value in (("batch_size", batch_size), ("seq_len", seq_len), ("world_size", world_size)):
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} must lie between 0 and world_size={world_size} - 1")
        n = (len(shards) - seq_len) // seq_len  # windows of an epoch, whatever the shift
        if n < batch_size * world_size:
            raise ValueError(
                f"the shards hold {len(shards):,} tokens, {n} windows of seq_len={seq_len}: too few for "
                f"batch_size={batch_size} on {world_size} process(es)"
            )
        super().__init__(dict(window=torch.arange(n)), batch_size, seed=seed, rank=rank, world_size=world_size)
        self.shards, self.seq_len = shards, seq_len

    def __len__(self) -> int:
        return self.n // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = torch.Generator()
        epoch.set_state(self.generator.get_state())  # the epoch's own until it ends, so a resumed one shifts alike
        shift = int(torch.randint(self.seq_len, (1,), generator=epoch))
        for batch in super().__iter__():
            starts = (batch["window"] * self.seq_len + shift).tolist()
            rows = torch.stack([self.shards[start : start + self.seq_len + 1] for start in starts])
            yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def _check(ids: np.ndarray, vocab_size: int, number: int) -> None:
    largest, smallest = int(ids.max()), int(ids.min())
    if largest >= vocab_size or smallest < 0:
        culprit = largest if largest >= vocab_size else smallest
        raise ValueError(
            f"documents holds id {culprit} (document {number}), outside vocab_size={vocab_size}: check the tokenizer"
        )
