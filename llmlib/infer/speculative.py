"""Speculative decoding: a cheap draft proposes several tokens, one pass of the target checks them all. Lecture 15.

Reading five tokens takes hardly longer than reading one, because the weights are read from memory once either way. So
a draft writes n_draft tokens ahead, the target reads them in one pass, and as many are kept as the target's own
distribution allows. What comes out is distributed exactly as if the target had written alone, whatever the draft
(Leviathan et al., 2023; Chen et al., 2023): a bad draft costs time, never quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from llmlib.infer.cpu_decoder import token_step
from llmlib.infer.decoding import evaluation_mode
from llmlib.infer.generation import Finish
from llmlib.infer.requests import check_request, model_config, to_ids, unwrapped
from llmlib.infer.sampling import Sampling, filter_logits
from llmlib.model import KVCache, ModelConfig


@runtime_checkable
class Reader(Protocol):
    """Something that reads token ids, remembers them, and tells what may come next; a fast decoder is one."""

    config: ModelConfig
    columns: int
    """Tokens read so far."""

    def read(self, ids: Sequence[int], last: int = 1) -> Tensor:
        """Read these after what was read before -> logits (last, vocab_size) after each of the `last` newest."""
        ...

    def truncate(self, n: int) -> None:
        """Keep the first n tokens and forget the newer ones."""
        ...


@dataclass(frozen=True)
class PromptLookup:
    """A draft without a model: what followed the last time the same few tokens stood there (Saxena, 2023).

    The newest `ngram` tokens are looked for earlier in the text, the latest place first; where they do not occur,
    shorter runs are, down to `shortest`. Good where the answer repeats its prompt: editing, summaries, code.
    """

    ngram: int = 3
    shortest: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.ngram:
            raise ValueError(
                f"ngram={self.ngram} with shortest={self.shortest}: use whole numbers with 1 <= shortest <= ngram"
            )

    def propose(self, tokens: Sequence[int], n: int) -> list[int]:
        """Up to n tokens that may follow; none if nothing like the end of `tokens` stands earlier in it."""
        for size in range(min(self.ngram, len(tokens) - 1), self.shortest - 1, -1):
            tail = tokens[-size:]
            for start in range(len(tokens) - size - 1, -1, -1):
                if tokens[start] == tail[0] and tokens[start : start + size] == tail:
                    return list(tokens[start + size : start + size + n])
        return []


@dataclass(frozen=True)
class Speculation:
    """What `speculative_generate` wrote, and what it took."""

    answer: list[int]
    """The new tokens, without a stop token."""
    tokens: list[int]
    """The new tokens, the stop token included."""
    finish: Finish
    proposed: int
    """Tokens that the draft proposed and the target read."""
    accepted: int
    """How many of them the target's distribution let pass."""
    target_passes: int
    """How often the target ran, the reading of the prompt included; alone it would have run len(tokens) times."""

    @property
    def acceptance(self) -> float:
        """The share of proposals that were accepted; 0.0 if there were none."""
        return self.accepted / self.proposed if self.proposed else 0.0

    @property
    def tokens_per_pass(self) -> float:
        """New tokens for each pass of the target, 1 without speculation."""
        return len(self.tokens) / self.target_passes if self.target_passes else 0.0


def speculative_generate(
    target: nn.Module | Reader,
    draft: nn.Module | Reader | PromptLookup,
    prompt_ids: Sequence[int],
    max_new_tokens: int,
    *,
    n_draft: int = 4,
    stop_tokens: Sequence[int] = (),
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> Speculation:
    """Continue a prompt with the target's distribution, in fewer passes of the target. Lecture 15.

        speculative_generate(model, PromptLookup(ngram=3), prompt, 64, greedy=True)
        speculative_generate(model, small_model, prompt, 64, n_draft=4, temperature=0.8, generator=generator)

    target, draft: models of the same vocabulary, or `Reader`s such as a fast decoder, which is emptied first; as draft
    also `PromptLookup`. n_draft: how many tokens are proposed at most before the target looks. sampling, or its fields
    by name (temperature, top_k, ..., greedy), holds for both. `stop_tokens`: the text ends before the first of these.

    A token x that the draft drew with probability q(x) is kept with probability min(1, p(x) / q(x)), where p is the
    target's distribution there. The first one that is not kept is drawn anew from max(0, p - q), scaled to sum to one,
    and what follows it is thrown away (`cache.truncate`). If all are kept, the same pass gives one token more. Greedily
    a token is kept if it is the target's own choice, so the text is that of the target alone, up to the rounding of a
    pass over several tokens.

    Raises ValueError for an n_draft below 1, different vocabularies and a text longer than the context of either.
    """
    how = Sampling.of(sampling, settings)
    tokens = to_ids(prompt_ids, None, "prompt_ids")
    if not isinstance(n_draft, int) or n_draft < 1:
        raise ValueError(f"n_draft={n_draft!r} must be a whole number of at least 1; without drafts use generate")
    looks_up = isinstance(draft, PromptLookup)
    sizes = [model_config(side).vocab_size for side in ([target] if looks_up else [target, draft])]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"draft knows {sizes[1]} tokens and target {sizes[0]}: ids must mean the same to both, so use two models "
            "of one tokenizer, or PromptLookup()"
        )
    for side in [target] if looks_up else [target, draft]:
        check_request(side, [tokens], max_new_tokens=max_new_tokens)
    room = len(tokens) + max_new_tokens
    reader = _reader(target, room)
    drafting = _Lookup(draft) if looks_up else _Drafting(_reader(draft, room), how, generator)
    start, stops = len(tokens), frozenset(stop_tokens)
    proposed = accepted = passes = 0
    finish: Finish = "length"
    with torch.inference_mode():
        while finish == "length" and (left := start + max_new_tokens - len(tokens)) > 0:
            ids, q = drafting.propose(tokens, min(n_draft, left - 1))
            logits = reader.read(tokens[reader.columns :] + ids, last=len(ids) + 1)
            kept, new = _verify(ids, q, logits, how, generator)
            proposed, accepted, passes = proposed + len(ids), accepted + kept, passes + 1
            reader.truncate(len(tokens) + kept)  # rejected drafts are forgotten
            drafting.keep(len(tokens) + kept)
            for token in [*ids[:kept], new]:
                tokens.append(token)
                if token in stops:
                    finish = "stop_token"
                    break
    written = tokens[start:]
    answer = written[:-1] if finish == "stop_token" else list(written)
    return Speculation(answer, written, finish, proposed, accepted, passes)


def _verify(
    ids: list[int], q: Tensor | None, logits: Tensor, how: Sampling, generator: torch.Generator | None
) -> tuple[int, int]:
    """How many of the n proposals are kept, and the token after them.

    q: (n, V), the distributions that ids were drawn from; None if they are certain. logits: (n + 1, V) of the target.
    """
    if not logits.amax(-1).isfinite().all():
        raise ValueError("the target's logits are not finite; look for an overflow in the model before sampling")
    if how.greedy:
        choices = logits.argmax(-1).tolist()
        kept = next((i for i, token in enumerate(ids) if token != choices[i]), len(ids))
        return kept, choices[kept]
    p = filter_logits(logits.float(), how).softmax(-1)
    chances = torch.rand(len(ids), generator=generator).tolist()
    for i, (token, chance) in enumerate(zip(ids, chances, strict=True)):
        drawn = 1.0 if q is None else float(q[i, token])
        if chance * drawn < float(p[i, token]):
            continue
        rest = p[i].clone()
        if q is None:
            rest[token] = 0
        else:
            rest = (rest - q[i]).clamp_min_(0)
        if not rest.sum() > 0:  # p and q agree to rounding, so a rejection was rounding too
            rest = p[i]
        return i, _draw(rest, generator)
    return len(ids), _draw(p[-1], generator)


def _draw(weights: Tensor, generator: torch.Generator | None) -> int:
    return int(torch.multinomial(weights, 1, generator=generator))


class _Lookup:
    """`PromptLookup` as the loop wants it."""

    def __init__(self, lookup: PromptLookup):
        self.lookup = lookup

    def propose(self, tokens: list[int], n: int) -> tuple[list[int], None]:
        return (self.lookup.propose(tokens, n) if n else []), None

    def keep(self, n: int) -> None:
        pass


class _Drafting:
    """A model that proposes, and remembers what it has read."""

    def __init__(self, reader: Reader, how: Sampling, generator: torch.Generator | None):
        self.reader, self.how, self.generator = reader, how, generator

    def propose(self, tokens: list[int], n: int) -> tuple[list[int], Tensor | None]:
        """n tokens, and the distributions (n, V) they were drawn from; None if there was no choice."""
        ids: list[int] = []
        rows: list[Tensor] = []
        for _ in range(n):
            logits = self.reader.read((tokens + ids)[self.reader.columns :])[-1]
            if self.how.greedy:
                ids.append(int(logits.argmax()))
                continue
            rows.append(filter_logits(logits.float(), self.how).softmax(-1))
            ids.append(_draw(rows[-1], self.generator))
        return ids, torch.stack(rows) if rows else None

    def keep(self, n: int) -> None:
        self.reader.truncate(min(n, self.reader.columns))


def _reader(side: nn.Module | Reader, room: int) -> Reader:
    """`side` as an empty reader of up to `room` tokens."""
    if isinstance(side, nn.Module):
        return _ModelReader(side, room)
    if (longest := getattr(side, "max_len", None)) is not None and room - 1 > longest:
        raise ValueError(
            f"prompt and max_new_tokens need {room - 1} positions, but the decoder's max_len is {longest}; "
            "make it with a larger max_len"
        )
    side.truncate(0)
    return side


class _ModelReader:
    """A model and its cache as a `Reader`."""

    def __init__(self, model: nn.Module, room: int):
        self.model, self.config = unwrapped(model), model_config(model)
        self.cache = KVCache(self.config, max_len=min(room, self.config.max_seq_len))
        with evaluation_mode(model):
            self._step = token_step(self.model)

    @property
    def columns(self) -> int:
        return self.cache.columns

    def read(self, ids: Sequence[int], last: int = 1) -> Tensor:
        if len(ids) == 1 and self._step is not None:
            return self._step(torch.tensor(ids), self.cache)
        with evaluation_mode(self.model):
            device = next(self.model.parameters()).device
            h = self.model.hidden(torch.tensor([list(ids)], device=device), cache=self.cache)
            return self.model.head(h[0, -last:]).cpu()

    def truncate(self, n: int) -> None:
        self.cache.truncate(n)
