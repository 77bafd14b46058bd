"""Reading one text and writing another: generation with an encoder-decoder. Lecture 05."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llmlib.infer.decoding import evaluation_mode
from llmlib.infer.sampling import Sampling, sample_next
from llmlib.model import DecoderCache, EncoderDecoder


@torch.inference_mode()
def generate_from(
    model: EncoderDecoder,
    sources: Sequence[Sequence[int]],
    *,
    start: int,
    stop: int,
    max_new_tokens: int = 64,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 64,
    **settings: Any,
) -> list[list[int]]:
    """What the decoder writes for each source, as token ids, without `start` and `stop`; greedy unless told otherwise.

    sources: lists of token ids, of any lengths, each read once. start: the id that the decoder begins after; stop: the
    one that ends its text. sampling, settings: see `Sampling`. Sources of like length are read together; answers are in
    the order of the sources. ValueError for an empty source, for one longer than the model's max_seq_len (cut it first,
    where it can be cut) and for max_new_tokens beyond it.
    """
    if isinstance(sources, (str, Tensor)) or any(isinstance(source, (int, str)) for source in sources):
        raise TypeError(f"sources is {str(sources)[:40]!r}; give a list of lists of token ids, for one source [ids]")
    limit = model.config.max_seq_len
    for i, source in enumerate(sources):
        if not len(source):
            raise ValueError(f"sources[{i}] is empty: give at least one token to read")
        if len(source) > limit:
            raise ValueError(f"sources[{i}] has {len(source)} tokens, more than max_seq_len {limit}; cut it first")
    if not 1 <= max_new_tokens <= limit:
        raise ValueError(f"max_new_tokens={max_new_tokens} must lie between 1 and max_seq_len {limit}")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    how = Sampling.of(sampling or (None if settings else Sampling(greedy=True)), settings)
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    written: list[list[int]] = [[] for _ in sources]
    with evaluation_mode(model):
        for begin in range(0, len(order), batch_size):
            some = order[begin : begin + batch_size]
            texts = _write(model, [sources[i] for i in some], start, stop, max_new_tokens, how, generator)
            for i, text in zip(some, texts):
                written[i] = text
    return written


def _write(
    model: EncoderDecoder,
    sources: list[Sequence[int]],
    start: int,
    stop: int,
    max_new_tokens: int,
    how: Sampling,
    generator: torch.Generator | None,
) -> list[list[int]]:
    device = next(model.parameters()).device
    width = max(map(len, sources))
    ids = torch.tensor([[*source, *[0] * (width - len(source))] for source in sources], device=device)
    real = torch.tensor([[i < len(source) for i in range(width)] for source in sources], device=device)
    states = model.encode(ids, real)
    cache = DecoderCache(model.config, len(sources), max_new_tokens)
    rows = list(range(len(sources)))  # which source each row of the cache writes for
    texts: list[list[int]] = [[] for _ in sources]
    tokens = torch.full((len(sources), 1), start, device=device)
    for _ in range(max_new_tokens):
        h = model.hidden(tokens, source=states, source_mask=real, cache=cache)
        tokens = sample_next(model.head(h[:, -1]), how, generator=generator)[:, None]
        going = [row for row in range(len(rows)) if int(tokens[row, 0]) != stop]
        for row in going:
            texts[rows[row]].append(int(tokens[row, 0]))
        if not going:
            break
        if len(going) < len(rows):  # those that have ended are read no more
            rows, tokens = [rows[row] for row in going], tokens[going]
            states, real = states[going], real[going]
            cache.select(going)
    return texts
