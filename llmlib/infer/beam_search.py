"""Beam search: several beginnings at a time, the likeliest kept, to find a text likely as a whole. Lecture 16."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.infer.decoding import evaluation_mode, prefill
from llmlib.infer.requests import check_request, to_rows
from llmlib.infer.writer import Budget


@dataclass(frozen=True)
class Beam:
    """A text that the search found."""

    tokens: list[int]
    """The stop token included."""
    logprob: float
    """Of all its tokens, in nats, under the model's own distribution."""
    score: float
    """logprob over the length penalty: what beams are ranked by."""
    ended: bool
    """Whether a stop token ended it."""

    @property
    def answer(self) -> list[int]:
        """The tokens without the stop token."""
        return self.tokens[:-1] if self.ended else self.tokens


@torch.no_grad()
def beam_search(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    width: int = 4,
    *,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    length_penalty: float = 0.0,
    budget: Budget | None = None,
) -> list[list[Beam]]:
    """For each prompt up to `width` texts, best first, of at most max_new_tokens.

    In every step each of the `width` beginnings is continued by every token, and the `width` likeliest results are kept
    for the next; one that ends with a stop token is put aside. A prompt is done when no beginning can overtake the
    `width` best texts put aside. Width 1 is greedy decoding. A likelier text is not always a better one (Holtzman et
    al., 2020). length_penalty: alpha of ((5 + n) / 6) ** alpha, by which the log-probability of n tokens is divided (Wu
    et al., 2016); with 0 short texts win. budget: counts a token for each beginning and step.
    """
    if width < 1 or max_new_tokens < 1:
        raise ValueError(f"width={width} and max_new_tokens={max_new_tokens} must be at least 1")
    if length_penalty < 0:
        raise ValueError(
            f"length_penalty={length_penalty} must be at least 0, which leaves log-probabilities as they are"
        )
    rows = to_rows(prompts)
    check_request(model, rows, max_new_tokens=max_new_tokens)
    scale = lambda n: ((5 + n) / 6) ** length_penalty
    ends = frozenset(stop_tokens)
    searches = [_Beams(width, ends, scale, max_new_tokens) for _ in rows]
    if budget is not None:
        budget.check()
        budget.spend(0, sum(map(len, rows)))
    with evaluation_mode(model):
        logits, cache = prefill(model, rows)
        owners = list(range(len(rows)))  # whose beginning each row of the cache is
        while True:
            logprobs = logits.float().log_softmax(-1)
            kept: list[int] = []
            for number, search in enumerate(searches):
                mine = [row for row, owner in enumerate(owners) if owner == number]
                if mine:
                    kept += [mine[beginning] for beginning in search.step(logprobs[mine])]
            if budget is not None:
                budget.spend(sum(search.wrote for search in searches), calls=0)
            going = [search for search in searches if search.alive]
            if not going:
                return [search.result() for search in searches]
            owners = [number for number, search in enumerate(searches) for _ in search.alive]
            cache.select(kept)
            newest = torch.tensor(
                [[tokens[-1]] for search in going for tokens, _ in search.alive], device=logits.device
            )
            logits = model(newest, cache=cache)[:, -1]


class _Beams:
    """The beginnings of one prompt."""

    def __init__(self, width: int, ends: frozenset[int], scale, longest: int) -> None:
        self.width, self.ends, self.scale, self.longest = width, ends, scale, longest
        self.alive: list[tuple[list[int], float]] = [([], 0.0)]
        self.finished: list[Beam] = []
        self.wrote = 0  # tokens in the last step

    def step(self, logprobs: Tensor) -> list[int]:
        """Go on by one token: log-probabilities (beginnings, V) -> for each new beginning the number of the old one."""
        before = torch.tensor([total for _, total in self.alive], device=logprobs.device)
        totals = (before[:, None] + logprobs).flatten()
        # Of a beginning's continuations len(ends) end it, so this many hold `width` that go on, if there are so many.
        best = totals.topk(min(len(totals), self.width * (1 + len(self.ends))))
        alive, origins = [], []
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist())):
            origin, token = divmod(place, logprobs.shape[1])
            if total == float("-inf") or len(alive) == self.width:
                break
            tokens = [*self.alive[origin][0], token]
            if token not in self.ends:
                alive.append((tokens, total))
                origins.append(origin)
            elif rank < self.width:
                self._put_aside(tokens, total, ended=True)
        self.wrote = len(self.alive)
        length = len(alive[0][0]) if alive else 0
        if length == self.longest:
            for tokens, total in alive:
                self._put_aside(tokens, total, ended=False)
            alive, origins = [], []
        if alive and len(self.finished) >= self.width:
            # A total only falls; divided by the largest penalty it is the best that can still come of it.
            if self.finished[self.width - 1].score >= alive[0][1] / self.scale(self.longest):
                alive, origins = [], []
        self.alive = alive
        return origins

    def _put_aside(self, tokens: list[int], total: float, ended: bool) -> None:
        self.finished.append(Beam(tokens, total, total / self.scale(len(tokens)), ended))
        self.finished.sort(key=lambda beam: -beam.score)

    def result(self) -> list[Beam]:
        return self.finished[: self.width]
