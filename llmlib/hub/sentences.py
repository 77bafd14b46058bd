"""Sentence vectors with a word of warning. (Not in minilm.py: hours of recordings hang on its code.)"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import Tensor

from llmlib.model import Transformer
from llmlib.text import WordPieceTokenizer

from . import minilm


def embed_texts(
    model: Transformer,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    *,
    batch_size: int = 32,
    max_length: int | None = None,
) -> Tensor:
    """One vector of length 1 for each text: -> (len(texts), d_model), so that `a @ b.T` holds cosine similarities.

    The mean of the last layer over the real tokens (Reimers and Gurevych, 2019), normalised. Those of similar length
    share a batch, which saves padding; the order stays. Characters outside the vocabulary become [UNK].

    Texts of more than max_length tokens, [CLS] and [SEP] included, lose their end. By default that is what MiniLM was
    tuned on, 256, and a warning says how many are cut; who gives a number has decided, and is not warned.
    """
    limit = minilm.MAX_TOKENS if max_length is None else max_length
    if max_length is None and not isinstance(texts, str):
        # a token has at least one character, nearly always: no need to count those of a short text
        cut = sum(len(tokenizer.encode(text)) > limit for text in texts if len(text) > limit - 2)
        if cut:
            warnings.warn(
                f"{cut} of {len(texts)} texts have more than {limit} tokens and lose their end: split them, "
                f"or set max_length (at most {model.config.max_seq_len}) to say that this is meant",
                stacklevel=2,
            )
    return minilm.embed_texts(model, tokenizer, texts, batch_size=batch_size, max_length=limit)
