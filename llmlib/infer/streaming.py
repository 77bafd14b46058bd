"""Text while it is being written."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from llmlib.infer.decoding import run_steps, stepwise
from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.requests import check_request, to_ids
from llmlib.infer.sampling import Sampling, Step
from llmlib.model import KVCache


def stream(
    model: nn.Module,
    prompt: str | list[int],
    *,
    tokenizer: Tokenizer,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    cache: KVCache | None = None,
    sliding: bool = False,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> Iterator[str]:
    """Yield the continuation of one prompt piece by piece; joined, the pieces equal what `generate` returns.

    A piece is never empty, never ends inside a character, and never holds the beginning of a stop string. All
    arguments are those of `generate` and are checked at the call, not at the first piece. Between two pieces the model
    is in its own mode, whatever that is by then.
    """
    how = Sampling.of(sampling, settings)
    row = to_ids(prompt, tokenizer)
    if tokenizer is None:
        raise ValueError("tokenizer is None but stream yields text; pass tokenizer=... or use generate for token ids")
    check_request(
        model, [row], max_new_tokens=max_new_tokens, tokenizer=tokenizer, stop_strings=stop_strings, cache=cache,
        sliding=sliding,
    )  # fmt: skip
    steps = run_steps(model, [row], max_new_tokens, how, generator, cache=cache, logprobs=False, watched=True)
    return _pieces(stepwise(model, steps), TokenDecoder(tokenizer), StopFilter(stop_strings), frozenset(stop_tokens))


def _pieces(steps: Iterator[Step], decoder: TokenDecoder, stop: StopFilter, stop_ids: frozenset[int]) -> Iterator[str]:
    for step in steps:
        token = int(step.tokens)
        if token in stop_ids:
            break
        if piece := stop.push(decoder.push(token)):
            yield piece
        if stop.stopped:
            return
    if piece := stop.push(decoder.finish()) + stop.finish():
        yield piece
