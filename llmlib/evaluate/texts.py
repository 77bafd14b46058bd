"""How well a model predicts texts: perplexity a token, and bits per byte, which tokenizers share. Lecture 18."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from llmlib.infer import Tokenizer
from llmlib.train.bits_per_byte import BitsPerByte, bits_per_byte, document_nats


class TextScore(NamedTuple):
    """bits_per_byte: with its 95 % interval over texts. perplexity: exp(nats a token), for one tokenizer only."""

    bits_per_byte: BitsPerByte
    perplexity: float
    n_tokens: int
    nats: list[float]
    """Of each text, for paired comparisons."""


def score_texts(
    model: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    start: int,
    *,
    seq_len: int | None = None,
    batch_size: int = 16,
) -> TextScore:
    """Predict each text from its beginning, every token once. start: the id before each, see `document_nats`.

    Perplexities of models with different tokenizers do not compare: a vocabulary of longer tokens has fewer and harder
    choices. Bits per byte do.
    """
    if isinstance(texts, str) or not texts or not all(texts):
        raise ValueError("texts must be a list of texts that are not empty")
    documents = [tokenizer.encode(text) for text in texts]
    nats = document_nats(model, documents, start, seq_len=seq_len, batch_size=batch_size)
    n_tokens = sum(map(len, documents))
    return TextScore(
        bits_per_byte(nats, [len(text.encode()) for text in texts]), math.exp(sum(nats) / n_tokens), n_tokens, nats
    )
