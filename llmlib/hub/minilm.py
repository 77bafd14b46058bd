"""MiniLM, a small BERT whose vectors say what a sentence means. Lectures 05 and 17 use it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from llmlib.data import fetch
from llmlib.model import Transformer, default_device, preset
from llmlib.text import WordPieceTokenizer

from .state_dicts import load_hf_state_dict
from .unfilled import Unfilled

MAX_TOKENS = 256  # what the model was tuned on; its position table would reach 512


def load_minilm(
    device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Transformer, WordPieceTokenizer]:
    """all-MiniLM-L6-v2 and its tokenizer, in evaluation mode: 22.7M parameters, 6 layers, d_model 384.

    Distilled from BERT (Wang et al., 2020), then tuned on a billion pairs of sentences, with the recipe of Reimers and
    Gurevych (2019), until those that belong together lie close. Fetches the assets "minilm" (91 MB) and
    "minilm-vocab". device: default `default_device()`.
    """
    with Unfilled():
        model = Transformer(preset("minilm-l6")).eval()
    load_hf_state_dict(model, load_file(fetch("minilm")))
    return model.to(device or default_device(), dtype), WordPieceTokenizer.load(fetch("minilm-vocab"))


@torch.inference_mode()
def embed_texts(
    model: Transformer,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    *,
    batch_size: int = 32,
    max_length: int = MAX_TOKENS,
) -> Tensor:
    """One vector of length 1 for each text: -> (len(texts), d_model), so that `a @ b.T` holds cosine similarities.

    The mean of the last layer over the real tokens (Reimers and Gurevych, 2019), normalised. Texts longer than
    max_length tokens are cut. Those of similar length share a batch, which saves padding; the order stays.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts is the string {texts[:40]!r}: pass a list of texts")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; use at least 1")
    weight = model.token_embedding.weight
    vectors = torch.empty(len(texts), model.config.d_model, dtype=weight.dtype, device=weight.device)
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(texts), batch_size):
        rows = by_length[start : start + batch_size]
        ids, pad_mask = tokenizer.encode_batch([texts[i] for i in rows], max_length)
        vectors[rows] = mean_pool(model.hidden(ids.to(weight.device), pad_mask=pad_mask.to(weight.device)), pad_mask)
    return vectors


def mean_pool(h: Tensor, pad_mask: Tensor) -> Tensor:
    """(B, T, d) and pad_mask (B, T), True = real token -> (B, d): the mean over the real tokens, scaled to length 1."""
    real = pad_mask.to(h.device)[..., None]
    return F.normalize((h * real).sum(1) / real.sum(1), dim=-1)
