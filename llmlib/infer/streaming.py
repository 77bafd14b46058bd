"""Text while it is being written."""

from collections.abc import Iterator, Sequence
from typing import Unpack

from llmlib.infer.detokenize import StopFilter, TokenDecoder, Tokenizer
from llmlib.infer.generation import EvaluationMode, check_request, decode_steps, to_ids
from llmlib.infer.sampling import Sampling
from llmlib.model import Transformer


def stream(
    model: Transformer,
    prompt: str | list[int],
    *,
    tokenizer: Tokenizer,
    max_new_tokens: int = 64,
    stop_tokens: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    sliding: bool = False,
    **sampling: Unpack[Sampling],
) -> Iterator[str]:
    """Yield the continuation of one prompt piece by piece; joined, the pieces equal what `generate` returns.

    A piece is never empty, never ends inside a character, and never holds the beginning of a stop string. All
    arguments are those of `generate` and are checked at the call, not at the first piece.
    """
    row = to_ids(prompt, tokenizer)
    if tokenizer is None:
        raise ValueError("tokenizer is None but stream yields text; pass tokenizer=... or use generate for token ids")
    check_request(model, [row], tokenizer, max_new_tokens, stop_strings, sliding, sampling)
    steps = decode_steps(model, [row], max_new_tokens, sliding=sliding, **sampling)
    return _pieces(model, steps, TokenDecoder(tokenizer), StopFilter(stop_strings), frozenset(stop_tokens))


def _pieces(model, steps, decoder: TokenDecoder, stop: StopFilter, stop_ids: frozenset[int]) -> Iterator[str]:
    evaluation = EvaluationMode(model)
    while True:
        with evaluation:  # for this step only: whoever reads the stream may train in between
            token = next(steps, None)
        if token is None or int(token) in stop_ids:
            break
        if piece := stop.push(decoder.push(int(token))):
            yield piece
        if stop.stopped:
            return
    if piece := stop.push(decoder.finish()) + stop.finish():
        yield piece
