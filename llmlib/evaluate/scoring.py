"""How likely is a continuation? Prompts are read once, what they share is read once for all, continuations in batches.

The base of multiple-choice scoring (Brown et al., 2020, section 2.4). Built in lecture 18.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llmlib.infer import Tokenizer, evaluation_mode
from llmlib.infer.requests import model_config, unwrapped
from llmlib.model import KVCache, Transformer

Request = tuple[Sequence[int], Sequence[Sequence[int]]]
"""The ids of a prompt, and those of each of its continuations."""

PLACES = 512  # how many positions have their logits in memory at a time


def split_at_answer(tokenizer: Tokenizer, prompt: str, options: Sequence[str], joint: str = " ") -> Request:
    """The ids of the prompt, and of each option as it goes on from there.

    A space before a word is part of the word's token, so a prompt must not end in one and an option has to begin with
    one ("Answer:" + " Paris"; "Answer: " + "Paris" gives other and rarer tokens). Spaces at the prompt's end are
    therefore moved, and `joint` is put between the two unless the prompt ends a line. Where a merge crosses the border
    for one option, all options are scored from the token before it on: the same text for all, each once.
    """
    head = prompt.rstrip(" ")
    if not head:
        raise ValueError(
            "prompt is empty: an option needs something to be likely after; start with a word or a newline"
        )
    joint = "" if head.endswith("\n") else joint
    before, wholes = tokenizer.encode(head), [tokenizer.encode(head + joint + option) for option in options]
    cut = min(_shared(before, whole) for whole in wholes) if wholes else len(before)
    if cut == 0:
        raise ValueError(f"prompt is {prompt!r}: its only token changes with what follows; make it longer")
    return before[:cut], [whole[cut:] for whole in wholes]


@torch.inference_mode()
def continuation_logprobs(model: nn.Module, requests: Sequence[Request], *, batch_size: int = 8) -> list[list[Tensor]]:
    """For each request, and each of its continuations, the log-probability (n_tokens,) of every token, in nats.

    Float32 on the CPU. batch_size: prompts read together, long ones first. A prompt is read once, whatever the number
    of its continuations, and the tokens that all prompts begin with (the examples of a few-shot prompt) are read once
    in all. ValueError for an empty prompt or continuation, or one that exceeds the model's max_seq_len.
    """
    model = unwrapped(model)
    if not isinstance(model, Transformer):
        raise TypeError(f"model is a {type(model).__name__}; pass a Transformer, whose hidden states and head are used")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    _check(requests, model_config(model).max_seq_len)
    found: list[list[Tensor]] = [[] for _ in requests]
    if not requests:
        return found
    prompts = [list(prompt) for prompt, _ in requests]
    shared = min(_shared(min(prompts), max(prompts)), min(map(len, prompts)) - 1)
    longest = lambda i: len(prompts[i]) + max(map(len, requests[i][1]), default=0)
    order = sorted(range(len(requests)), key=longest, reverse=True)
    with evaluation_mode(model):
        prefix = _read_prefix(model, prompts[0][:shared])
        for start in range(0, len(order), batch_size):
            chunk = order[start : start + batch_size]
            cache = prefix or KVCache(model.config, batch_size=len(chunk))
            if prefix:
                prefix.select([0] * len(chunk))
            batch = [(prompts[i][shared:], requests[i][1]) for i in chunk]
            for i, logprobs in zip(chunk, _score_batch(model, batch, cache)):
                found[i] = logprobs
            if prefix:
                prefix.truncate(shared)
                prefix.select([0])
    return found


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """With how many tokens both begin. Of sorted rows the first and the last share what all share."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def _read_prefix(model: Transformer, ids: list[int]) -> KVCache | None:
    if not ids:
        return None
    cache = KVCache(model.config, batch_size=1)
    model.hidden(_tensor(model, [ids])[0], cache=cache)
    return cache


def _score_batch(model: Transformer, batch: Sequence[Request], cache: KVCache) -> list[list[Tensor]]:
    """Two passes: the prompts, whose last place predicts first tokens; then the continuations but their last token."""
    ids, mask = _tensor(model, [prompt for prompt, _ in batch])
    h = model.hidden(ids, cache=cache, pad_mask=mask)
    last = torch.tensor([len(prompt) - 1 for prompt, _ in batch], device=h.device)
    h = h[torch.arange(len(batch), device=h.device), last]
    owners = [row for row, (_, options) in enumerate(batch) for _ in options]
    rows = [list(option) for _, options in batch for option in options]
    places, targets = [h[owners]] if rows else [], [row[0] for row in rows]
    longer = [i for i, row in enumerate(rows) if len(row) > 1]
    if longer:
        cache.select([owners[i] for i in longer])
        inputs = [rows[i][:-1] for i in longer]
        ids, mask = _tensor(model, inputs)
        after = model.hidden(ids, cache=cache, pad_mask=mask)
        places.append(torch.cat([after[row, : len(each)] for row, each in enumerate(inputs)]))
        targets += [token for i in longer for token in rows[i][1:]]
    flat = _target_logprobs(model, torch.cat(places), targets) if rows else torch.empty(0)
    pieces = [flat[i : i + 1] for i in range(len(rows))]
    start = len(rows)
    for i in longer:
        end = start + len(rows[i]) - 1
        pieces[i] = torch.cat([pieces[i], flat[start:end]])
        start = end
    by_request: list[list[Tensor]] = [[] for _ in batch]
    for owner, piece in zip(owners, pieces):
        by_request[owner].append(piece)
    return by_request


def _target_logprobs(model: Transformer, h: Tensor, targets: list[int]) -> Tensor:
    """h (N, d) -> the log-probability (N,) of each target; never more than PLACES rows of logits at a time."""
    wanted = torch.tensor(targets, device=h.device)
    parts = []
    for some, ids in zip(h.split(PLACES), wanted.split(PLACES)):
        logits = model.head(some).float()
        parts.append(logits.gather(1, ids[:, None])[:, 0] - logits.logsumexp(1))
    return torch.cat(parts).cpu()


def _tensor(model: nn.Module, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None]:
    """Rows padded on the right, and which of their tokens are real, or None where all are."""
    device = next(model.parameters()).device
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows])
    mask = None if bool((lengths == width).all()) else (torch.arange(width) < lengths[:, None]).to(device)
    return ids, mask


def _check(requests: Sequence[Request], limit: int) -> None:
    for i, (prompt, options) in enumerate(requests):
        if not len(prompt):
            raise ValueError(f"requests[{i}] has an empty prompt: start with at least one token, say a newline")
        for option in options:
            if not len(option):
                raise ValueError(
                    f"requests[{i}] has an empty continuation, whose probability is always 1: leave it out"
                )
            if len(prompt) + len(option) - 1 > limit:
                raise ValueError(
                    f"requests[{i}] has {len(prompt)} and {len(option)} tokens but max_seq_len={limit}: "
                    "give fewer examples or a shorter context"
                )
