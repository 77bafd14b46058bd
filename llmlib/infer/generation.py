"""Generation: prompts in, continuations out, in batches of rows of any length, over a key-value cache."""

from collections.abc import Iterator, Sequence
from typing import Unpack, overload

import torch
from torch import Tensor

from llmlib.infer.cpu_decoder import token_step
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.sampling import Sampling, check_sampling, sample_next
from llmlib.model import KVCache, Transformer


@overload
def generate(model: Transformer, prompts: str | list[int], **options) -> str | list[int]: ...
@overload
def generate(model: Transformer, prompts: list[str] | list[list[int]], **options) -> list[str] | list[list[int]]: ...
def generate(
    model: Transformer,
    prompts: str | list[int] | list[str] | list[list[int]],
    *,
    tokenizer: Tokenizer | None = None,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    sliding: bool = False,
    **sampling: Unpack[Sampling],
) -> str | list[int] | list[str] | list[list[int]]:
    """Continue one prompt or a batch of prompts; only what is new is returned, in the shape of what was given.

    A str gives a str and a list of str a list of str (both need `tokenizer`); a list of token ids gives the list of new
    ids, and a list of such lists a list of lists. Rows may differ in length. Greedy rows do not depend on what else is
    in the batch; sampled rows share the random numbers of `generator`, so there the batch matters.

    - `stop_tokens`: a row ends before the first of these.
    - `stop_strings` (need `tokenizer`): a row ends before the first of these; of a row of ids the whole tokens that
      spell the stop string are kept, because it may begin or end inside one.
    - `sliding`: without it a prompt that would outgrow `model.config.max_seq_len` is refused before anything is
      sampled. With it, each token beyond that point reads the last max_seq_len tokens anew (no cache can be kept, as
      every position has moved), so it is slower and equals generation without a cache.
    - sampling: temperature, top_k, top_p, min_p, greedy, generator, as in `sample_next`.

    The model is run in evaluation mode and left in the mode it was in. Built in lecture 03; the cache in lecture 04.
    """
    texts = prompts if _is_batch(prompts) else [prompts]
    rows = [to_ids(prompt, tokenizer, name=_prompt_name(prompts, i)) for i, prompt in enumerate(texts)]
    check_request(model, rows, tokenizer, max_new_tokens, stop_strings, sliding, sampling)
    stop_ids = frozenset(stop_tokens)
    new: list[list[int]] = [[] for _ in rows]
    watchers = [_Watcher(tokenizer, stop_strings) for _ in rows] if stop_strings else []
    open_rows = set(range(len(rows)))
    with EvaluationMode(model):
        for tokens in decode_steps(model, rows, max_new_tokens, sliding=sliding, **sampling):
            for i, token in enumerate(tokens.tolist()):
                if i not in open_rows:
                    continue
                if token in stop_ids:
                    open_rows.discard(i)
                    continue
                new[i].append(token)
                if watchers and watchers[i].stops_at(token):
                    open_rows.discard(i)
            if not open_rows:
                break
    answers: list = []
    for i, prompt in enumerate(texts):
        if not isinstance(prompt, str):
            answers.append(new[i])
        else:
            answers.append(watchers[i].text() if watchers else tokenizer.decode(new[i]))
    return answers if _is_batch(prompts) else answers[0]


@torch.inference_mode()
def decode_steps(
    model: Transformer, rows: Sequence[Sequence[int]], max_new_tokens: int, *, sliding: bool = False, **sampling
) -> Iterator[Tensor]:
    """Yield one (B,) tensor of sampled tokens per step, max_new_tokens times; the loop under `generate` and `stream`.

    Every row goes on to the end, so the caller drops what comes after a stop token. Arguments are taken as checked.
    """
    if max_new_tokens == 0:
        return
    limit = model.config.max_seq_len
    device = next(model.parameters()).device
    longest = max(len(row) for row in rows)
    fits = longest + max_new_tokens - 1 <= limit
    cache = KVCache(
        model.config,
        batch_size=len(rows),
        max_len=longest + max_new_tokens - 1 if fits else limit,
    )
    history = None if fits else [list(row) for row in rows]
    fast = token_step(model) if len(rows) == 1 else None
    logits = _read(model, rows, device, cache if longest <= limit else None, limit)
    for step in range(1, max_new_tokens + 1):
        tokens = sample_next(logits, **sampling)
        yield tokens
        if step == max_new_tokens:
            return
        if history is not None:
            for row, token in zip(history, tokens.tolist(), strict=True):
                row.append(token)
        if longest + step <= limit and fast is not None:
            logits = fast(tokens, cache)
        elif longest + step <= limit:
            logits = model.head(model.hidden(tokens[:, None], cache=cache)[:, -1])
        else:
            logits = _read(model, history, device, None, limit)


def _read(
    model: Transformer, rows: Sequence[Sequence[int]], device: torch.device, cache: KVCache | None, limit: int
) -> Tensor:
    """Logits (B, V) after the last token of each row, from the last `limit` tokens of each, padded on the right."""
    rows = [row[-limit:] for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    ids = torch.tensor([list(row) + [0] * (width - len(row)) for row in rows]).to(device)
    equal = bool((lengths == width).all())
    pad_mask = None if equal else (torch.arange(width) < lengths[:, None]).to(device)
    hidden = model.hidden(ids, cache=cache, pad_mask=pad_mask)
    return model.head(hidden[torch.arange(len(rows), device=device), (lengths - 1).to(device)])


class _Watcher:
    """One row's text, watched for stop strings."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str]):
        self._decoder = TokenDecoder(tokenizer)
        self._filter = StopFilter(stop_strings)
        self._pieces: list[str] = []

    def stops_at(self, token: int) -> bool:
        self._pieces.append(self._filter.push(self._decoder.push(token)))
        return self._filter.stopped

    def text(self) -> str:
        last = self._filter.push(self._decoder.finish()) + self._filter.finish()
        return "".join(self._pieces) + last


class EvaluationMode:
    """`with EvaluationMode(model)`: dropout and the like are off, afterwards every module is as it was. Reusable."""

    def __init__(self, model: torch.nn.Module):
        self._training = [module for module in model.modules() if module.training]

    def __enter__(self) -> None:
        for module in self._training:
            module.training = False

    def __exit__(self, *error: object) -> None:
        for module in self._training:
            module.training = True


def to_ids(prompt: str | Sequence[int], tokenizer: Tokenizer | None, name: str = "prompt") -> list[int]:
    """A prompt as token ids; `name` is how errors call it."""
    if isinstance(prompt, str):
        if tokenizer is None:
            raise ValueError(f"{name} is text but tokenizer is None; pass tokenizer=... or a list of token ids")
        ids = tokenizer.encode(prompt)
    elif isinstance(prompt, Tensor):
        raise TypeError(f"{name} is a tensor of shape {tuple(prompt.shape)}; pass a list of token ids: {name}.tolist()")
    else:
        ids = list(prompt)
    if not ids:
        raise ValueError(
            f"{name} is empty, so there is nothing to continue; start with at least one token, say a newline"
        )
    return ids


def check_request(
    model: Transformer,
    rows: Sequence[Sequence[int]],
    tokenizer: Tokenizer | None,
    max_new_tokens: int,
    stop_strings: Sequence[str],
    sliding: bool,
    sampling: Sampling,
) -> None:
    """Refuse, before anything is computed, what could only fail later: each reason is one line with its remedy."""
    check_sampling(**sampling)
    config = model.config
    if not config.causal:
        raise ValueError("model has causal=False: an encoder reads both ways and cannot write; use a causal model")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be 0 or more")
    if isinstance(stop_strings, str):
        raise ValueError(f"stop_strings={stop_strings!r} must be a list of strings; write [{stop_strings!r}]")
    if "" in stop_strings:
        raise ValueError("stop_strings contains '', which would stop at once; remove it")
    if stop_strings and tokenizer is None:
        raise ValueError(f"stop_strings={list(stop_strings)} need a tokenizer; pass tokenizer=... or use stop_tokens")
    for i, row in enumerate(rows):
        name = "prompt" if len(rows) == 1 else f"prompts[{i}]"
        outside = next((t for t in row if not 0 <= t < config.vocab_size), None)
        if outside is not None:
            raise ValueError(
                f"{name} contains token {outside} but the model knows 0 to {config.vocab_size - 1}; "
                "use the tokenizer the model was trained with"
            )
        needed = len(row) + max_new_tokens - 1  # the last new token is never read
        if needed > config.max_seq_len and max_new_tokens > 0 and not sliding:
            room = config.max_seq_len - len(row) + 1
            advice = f"max_new_tokens of at most {room}" if room > 0 else "a shorter prompt"
            raise ValueError(
                f"{name} of {len(row)} tokens with max_new_tokens={max_new_tokens} needs {needed} positions but "
                f"max_seq_len={config.max_seq_len}; use {advice}, or sliding=True to read only the last tokens"
            )


def _is_batch(prompts: object) -> bool:
    return isinstance(prompts, (list, tuple)) and bool(prompts) and isinstance(prompts[0], (str, list, tuple))


def _prompt_name(prompts: object, i: int) -> str:
    return f"prompts[{i}]" if _is_batch(prompts) else "prompt"
