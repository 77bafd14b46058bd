"""Batches of next-token examples: from one long array of token ids (lecture 03), from documents, from any examples."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

IGNORE = -100  # the target that torch's cross_entropy leaves out of loss and mean


def _check(tokens: Tensor, seq_len: int, needed: int) -> None:
    if tokens.ndim != 1:
        raise ValueError(f"tokens must be one-dimensional, got shape {tuple(tokens.shape)}: pass the ids as one array")
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, got {seq_len}")
    if len(tokens) < needed:
        raise ValueError(f"tokens holds {len(tokens)} ids, too few for seq_len={seq_len}: {needed} are needed")


def random_batch(
    tokens: Tensor, batch_size: int, seq_len: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw `batch_size` windows at random places, and the same windows one token later.

    tokens: (N,) integer ids, N > seq_len, on any device. Returns x and y, both (batch_size, seq_len) int64 on that
    device, with y[b, t] the token that follows x[b, t]. Windows may overlap, as in nanoGPT (Karpathy, 2022).
    The same `generator` state gives the same batch on every device.
    """
    _check(tokens, seq_len, needed=seq_len + 1)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    where = generator.device if generator is not None else "cpu"
    return _cut(
        tokens, torch.randint(len(tokens) - seq_len, (batch_size, 1), generator=generator, device=where), seq_len
    )


def _cut(tokens: Tensor, starts: Tensor, seq_len: int) -> tuple[Tensor, Tensor]:
    places = starts.to(tokens.device) + torch.arange(seq_len + 1, device=tokens.device)  # (B, T + 1)
    rows = tokens[places].long()
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def windows(tokens: Tensor, seq_len: int) -> tuple[Tensor, Tensor]:
    """Cut a whole split into windows that do not overlap, so that every token but the first is predicted exactly once.

    tokens: (N,) integer ids, N >= 2. Returns x and y, both (ceil((N - 1) / seq_len), seq_len) int64. When seq_len does
    not divide N - 1 the last row is filled up with id 0 in x and IGNORE (-100) in y: a causal model cannot see the
    filling, and cross_entropy leaves it out. So sum the loss and divide by `(y != IGNORE).sum()`, which is N - 1.
    """
    _check(tokens, seq_len, needed=2)
    n_targets = len(tokens) - 1
    n_rows = -(-n_targets // seq_len)
    x = torch.zeros(n_rows * seq_len, dtype=torch.long, device=tokens.device)
    y = torch.full_like(x, IGNORE)
    x[:n_targets] = tokens[:-1].long()
    y[:n_targets] = tokens[1:].long()
    return x.view(n_rows, seq_len), y.view(n_rows, seq_len)


class RandomWindows:
    """Endless `random_batch`es that know where they are: what `Trainer` makes of an array of token ids.

    Of `world_size` processes each draws the starts of all batches and cuts only its own, so that they see together
    what one process with a batch_size that many times as large would see.
    """

    def __init__(
        self, tokens: Tensor, batch_size: int, seq_len: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        _check(tokens, seq_len, needed=seq_len + 1)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.tokens, self.batch_size, self.seq_len = tokens, batch_size, seq_len
        self.rank, self.world_size = rank, world_size
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            shape = (self.world_size * self.batch_size, 1)
            starts = torch.randint(len(self.tokens) - self.seq_len, shape, generator=self.generator)
            yield _cut(self.tokens, starts[self.rank * self.batch_size :][: self.batch_size], self.seq_len)

    def state_dict(self) -> dict:
        """Where the random numbers are."""
        return dict(generator=self.generator.get_state())

    def load_state_dict(self, state: Mapping) -> None:
        """Go on where `state` was taken."""
        self.generator.set_state(state["generator"])


class ShuffledExamples:
    """Batches of examples in an order that is new in every epoch; one `iter` is one epoch, or the rest of one.

    examples: a dict of tensors with one row per example, such as `pack_documents` returns. Yields dicts with
    batch_size rows; what is left over at the end of an epoch is not used. Of `world_size` processes each gets its own
    batch_size rows of the same order.
    """

    def __init__(
        self, examples: Mapping[str, Tensor], batch_size: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        sizes = {name: len(rows) for name, rows in examples.items()}
        if not sizes or len(set(sizes.values())) > 1:
            raise ValueError(f"examples holds {sizes} rows: give at least one tensor, and as many rows in each")
        self.n = next(iter(sizes.values()))
        if not 1 <= batch_size * world_size <= self.n:
            raise ValueError(f"batch_size={batch_size} times {world_size} processes does not fit {self.n} examples")
        self.examples, self.batch_size, self.rank, self.world_size = dict(examples), batch_size, rank, world_size
        self.generator = torch.Generator().manual_seed(seed)
        self.place = 0  # batches of the present epoch that have been given out

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        before = self.generator.get_state()
        order = torch.randperm(self.n, generator=self.generator)
        after = self.generator.get_state()
        self.generator.set_state(before)  # until the epoch ends, the state says how to draw its order again
        step = self.batch_size * self.world_size
        while self.place < self.n // step:
            mine = order[self.place * step + self.rank * self.batch_size :][: self.batch_size]
            self.place += 1
            yield {name: rows[mine] for name, rows in self.examples.items()}
        self.place = 0
        self.generator.set_state(after)

    def state_dict(self) -> dict:
        """Which epoch this is, and how far it has come."""
        return dict(generator=self.generator.get_state(), place=self.place)

    def load_state_dict(self, state: Mapping) -> None:
        """Go on where `state` was taken, with the next `iter`."""
        self.generator.set_state(state["generator"])
        self.place = state["place"]


def pack_documents(
    documents: Sequence[Sequence[int]], seq_len: int, counted: Sequence[Sequence[bool]] | None = None
) -> dict[str, Tensor]:
    """Put several documents into each row of seq_len tokens, and say which token belongs to which.

    documents: lists of ids, each as the model shall see it (special tokens included); one that does not fit the rest
    of a row begins the next, one longer than a row is cut into pieces. counted: for each token whether predicting it
    counts, as in fine-tuning on the answers alone; by default all do.

    -> "ids", "targets" and "segments", all (rows, seq_len) int64: the target of a token is the next one of the same
    document, -100 at its end, in padding and where it does not count; segments number the documents of a row, -1 is
    padding. This is what the model's `segments` and `next_token_loss` take.
    """
    if seq_len < 1:
        raise ValueError(f"seq_len must be at least 1, got {seq_len}")
    counted = [[True] * len(ids) for ids in documents] if counted is None else counted
    if [len(each) for each in counted] != [len(ids) for ids in documents]:
        raise ValueError("counted must say yes or no for every token of every document: its lengths differ")
    pieces = []
    for ids, counts in zip(documents, counted):
        pieces += [(ids[i : i + seq_len], counts[i : i + seq_len]) for i in range(0, len(ids), seq_len)]
    if not pieces:
        raise ValueError("documents holds no token: there is nothing to pack")
    rows: list[list[tuple]] = [[]]
    for piece in pieces:
        if sum(len(ids) for ids, _ in rows[-1]) + len(piece[0]) > seq_len:
            rows.append([])
        rows[-1].append(piece)
    packed = {
        name: torch.full((len(rows), seq_len), fill)
        for name, fill in (("ids", 0), ("targets", IGNORE), ("segments", -1))
    }
    for row, contents in enumerate(rows):
        place = 0
        for segment, (ids, counts) in enumerate(contents):
            here = slice(place, place + len(ids))
            packed["ids"][row, here] = torch.as_tensor(ids)
            packed["segments"][row, here] = segment
            targets = [token if count else IGNORE for token, count in zip(ids[1:], counts[1:])]
            packed["targets"][row, place : place + len(targets)] = torch.tensor(targets, dtype=torch.long)
            place += len(ids)
    return packed
