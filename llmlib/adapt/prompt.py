"""Prompt tuning: a prompt of vectors instead of tokens, found by gradient descent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llmlib.model import KVCache, Transformer
from llmlib.train.distributed import unwrapped

from .prefix import PrefixAttention, Sides, check_attentions, read_columns, starting_tokens
from .selection import Adaptation, refuse_adapted, train_only
from .wrapping import PeftReport


class SoftPrompt(nn.Module):
    """vectors: (P, d_model), what stands in the place of P token embeddings before the text."""

    active_fraction = 0.0  # read once a text, like a prompt

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.vectors = nn.Parameter(vectors)


class PromptedTransformer(Transformer):
    """A Transformer that has read a soft prompt before every text: Lester et al. (2021), section 2. Lecture 14.

    Causal: what the layers make of the prompt does not depend on the text. So it is read first, and its keys and values
    are what the text looks back at, as with a prefix (Li and Liang, 2021): the same numbers as when the vectors are
    put before the embeddings of the text, but logits and cache hold the columns of the text alone, whose positions
    begin at 0. A cache keeps what the prompt was when its first token was read.
    """

    soft_prompt: SoftPrompt

    def hidden(self, ids: Tensor | None = None, *, cache: KVCache | None = None, **inputs: object) -> Tensor:
        columns = getattr(cache, "soft_prompt", None) if cache is not None and cache.columns else None
        if columns is None:
            columns = self.prompt_columns()
        if cache is not None:
            cache.soft_prompt = columns
        return self._with(columns, ids, cache=cache, **inputs)

    def prompt_columns(self) -> list[Sides]:
        """Keys and values of the prompt in each layer, both (n_kv_heads, P, head_dim)."""
        embeds = self.soft_prompt.vectors[None].to(self.token_embedding.weight.dtype)
        return [(k[0], v[0]) for k, v in read_columns(self, embeds)]

    def _with(self, columns: list[Sides], ids: Tensor | None, **inputs: object) -> Tensor:
        attentions = [block.attention for block in self.blocks]
        for attention, sides in zip(attentions, columns, strict=True):
            attention.borrowed = sides
        try:
            return super().hidden(ids, **inputs)
        finally:
            for attention in attentions:
                attention.borrowed = None


def add_soft_prompt(
    model: Transformer,
    length: int = 16,
    ids: Sequence[int] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> PeftReport:
    """A prompt of `length` trained vectors before every text, the rest frozen (Lester et al., 2021). Lecture 14.

    ids: tokens whose embeddings the vectors start from, in place of length; random tokens by default. A training step
    reads the prompt once more, for all rows together. ValueError for an encoder, for a model with parts of another
    make, and for a length or ids outside of what the model can read.
    """
    model = unwrapped(model)
    refuse_adapted(model, "prompt")
    if type(model) is not Transformer or not model.config.causal:
        kind = type(model).__name__ if type(model) is not Transformer else "model that reads both ways"
        raise ValueError(f"model is a {kind}; prompt tuning needs a causal llmlib.model.Transformer")
    rows = starting_tokens(model, length, ids, generator)
    check_attentions(model)
    for block in model.blocks:
        PrefixAttention.take_over(block.attention)
    with torch.no_grad():
        model.soft_prompt = SoftPrompt(model.token_embedding(rows)[0].float().clone()).train(model.training)
    model.__class__ = PromptedTransformer
    options = dict(length=rows.shape[1])
    return train_only(model, ["soft_prompt.vectors"], Adaptation("prompt", options, adds=True))
