"""Prefix tuning: keys and values that no token has made, before the first one, in every layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model import Attention, AttentionContext, KVCache, Transformer, rope_tables
from llmlib.model.rope import rotate
from llmlib.train.distributed import unwrapped

from .selection import Adaptation, refuse_adapted, train_only
from .wrapping import PeftReport

Sides = tuple[Tensor, Tensor]


class Prefix(nn.Module):
    """Keys and values of P columns: k and v, both (n_kv_heads, P, head_dim), keys as a cache holds them, rotated."""

    active_fraction = 0.0  # no token is multiplied with these: `PrefixAttention.score_flops` counts them as columns

    def __init__(self, k: Tensor, v: Tensor):
        super().__init__()
        self.k, self.v = nn.Parameter(k), nn.Parameter(v)


class PrefixAttention(Attention):
    """An attention that looks at P columns more, which stand before all others and are hidden from nobody. Lecture 14.

    `columns`: (k, v), each (n_kv_heads, P, head_dim), or None for a plain attention. The columns are no part of the KV
    cache, so caching, batching, padding and packing work as they did, and the text keeps its positions 0, 1, 2, ...
    """

    prefix: Prefix | None
    borrowed: Sides | None

    @classmethod
    def take_over(cls, attention: Attention, prefix: Prefix | None = None) -> None:
        """Make an attention one of these, in place: same module, same names, same weights."""
        attention.__class__ = cls
        attention.prefix, attention.borrowed = prefix, None

    @property
    def columns(self) -> Sides | None:
        return self.borrowed if self.prefix is None else (self.prefix.k, self.prefix.v)

    def score_flops(self, seq_len: int) -> int:
        columns = 0 if self.columns is None else self.columns[0].shape[-2]
        return super().score_flops(seq_len) + 4 * self.n_heads * self.head_dim * columns

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
        if self.columns is None or context.source is not None:
            return super()._attend(q, k, v, context)
        first_k, first_v = (side.to(k.dtype).expand(*k.shape[:-2], -1, -1) for side in self.columns)
        mask = context.mask
        if mask is not None:
            mask = F.pad(mask, (first_k.shape[-2], 0), value=True)
        k, v = torch.cat([first_k, k], -2), torch.cat([first_v, v], -2)
        # What is causal stands on the last column, so it sees all that come before, the prefix included.
        return super()._attend(q, k, v, AttentionContext(mask, context.causal))


def add_prefix(
    model: Transformer,
    length: int = 16,
    ids: Sequence[int] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> PeftReport:
    """`length` trained columns before the text in every layer, the rest frozen (Li and Liang, 2021). Lecture 14.

    ids: a prompt whose own keys and values the prefix starts from, in place of length: in a model with RoPE the text is
    then continued exactly as after that prompt. Otherwise they are those of random tokens; the authors found real
    activations the better start. They also train the columns through a network that is thrown away later; here they are
    trained themselves. `prefix_cache` turns a trained prefix into a KVCache for the plain model.
    ValueError for a length or ids outside of what the model can read.
    """
    model = unwrapped(model)
    refuse_adapted(model, "prefix")
    rows = starting_tokens(model, length, ids, generator)
    check_attentions(model)
    if model.config.causal:
        embeds = model.token_embedding(rows).detach()
        columns = [tuple(side.detach()[0] for side in sides) for sides in read_columns(model, embeds)]
    else:  # an encoder has no columns to read off
        shape = (model.config.n_kv_heads, rows.shape[1], model.config.head_dim)
        draw = lambda: torch.randn(shape, generator=generator).to(rows.device)
        columns = [(draw(), draw()) for _ in model.blocks]
    for block, (k, v) in zip(model.blocks, columns, strict=True):
        PrefixAttention.take_over(block.attention, Prefix(k.float().clone(), v.float().clone()).train(block.training))
    names = [f"blocks.{i}.attention.prefix.{side}" for i in range(len(model.blocks)) for side in "kv"]
    return train_only(model, names, Adaptation("prefix", dict(length=rows.shape[1]), adds=True))


def prefix_cache(model: Transformer, batch_size: int = 1, max_len: int | None = None) -> KVCache:
    """The trained prefix, or soft prompt, as a KVCache that the plain base model goes on from with the same numbers.

        cache = prefix_cache(adapted); generate(base, [prompt], cache=cache)

    There the text stands at positions P, P + 1, ...; the keys are turned on by as much, which is the same to RoPE.
    ValueError for a model without a prefix, or with positions of another kind.
    """
    model = unwrapped(model)
    if model.config.position not in ("rope", "none"):
        raise ValueError(
            f"config.position is {model.config.position!r}: a text moved on by the prefix is another to such a model; "
            "keep using the adapted one"
        )
    columns = columns_of(model)
    if columns is None:
        raise ValueError("model has no prefix; apply_peft(model, 'prefix') or 'prompt' adds one")
    k = torch.stack([turned(model, side, side.shape[-2]) for side, _ in columns])
    v = torch.stack([side for _, side in columns])
    k, v = (side[:, None].expand(-1, batch_size, -1, -1, -1) for side in (k, v))
    return KVCache.with_prefix(model.config, k, v, max_len)


def columns_of(model: Transformer) -> list[Sides] | None:
    """Keys and values of each layer's prefix, (n_kv_heads, P, head_dim) each; None for a model without."""
    read = getattr(model, "prompt_columns", None)
    if read is not None:
        return read()
    attentions = [block.attention for block in model.blocks]
    if not all(isinstance(part, PrefixAttention) and part.columns is not None for part in attentions):
        return None
    return [part.columns for part in attentions]


def read_columns(model: Transformer, embeds: Tensor) -> list[Sides]:
    """What every layer remembers of P tokens (1, P, d_model): keys and values, each (1, n_kv_heads, P, head_dim).

    The keys are turned back by P positions, so that they stand right before a text that begins at position 0.
    """
    cache = KVCache(model.config)
    Transformer.hidden(model, embeds=embeds, cache=cache)
    return [(turned(model, layer.keys, -embeds.shape[1]), layer.values) for layer in cache.layers]


def turned(model: Transformer, keys: Tensor, steps: int) -> Tensor:
    """Rotated keys (..., head_dim) as they would be `steps` positions further on."""
    c = model.config
    if c.position != "rope":
        return keys
    place = torch.tensor(steps, device=keys.device)
    cos, sin = rope_tables(place, c.head_dim, c.rope_theta, c.rope_layout, c.rope_scaling).to(keys.dtype)
    return rotate(keys, cos, sin, c.rope_layout)


def starting_tokens(
    model: Transformer, length: int, ids: Sequence[int] | None, generator: torch.Generator | None
) -> Tensor:
    """(1, P) token ids to begin from: those given, or random ones. ValueError where the model cannot read as many."""
    c = model.config
    if ids is None:
        whole = isinstance(length, int) and not isinstance(length, bool)
        if not whole or not 1 <= length < c.max_seq_len:
            raise ValueError(f"length is {length!r}; use a whole number from 1 to {c.max_seq_len - 1}")
        rows = torch.randint(c.vocab_size, (1, length), generator=generator)
    else:
        rows = torch.as_tensor(list(ids), dtype=torch.int64)[None]
        if not 1 <= rows.shape[1] < c.max_seq_len or rows.min() < 0 or rows.max() >= c.vocab_size:
            raise ValueError(
                f"ids holds {rows.shape[1]} tokens; give 1 to {c.max_seq_len - 1} of them, each below {c.vocab_size}"
            )
    return rows.to(model.token_embedding.weight.device)


def check_attentions(model: Transformer) -> None:
    for i, block in enumerate(model.blocks):
        if type(block.attention) is not Attention:
            kind = type(block.attention).__name__
            raise ValueError(f"blocks.{i}.attention is a {kind}; a prefix goes before llmlib.model.Attention alone")
