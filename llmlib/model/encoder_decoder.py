"""The first Transformer's two halves from the same layers: a text is read both ways, then another one is written.

`Decoder` is a Transformer that may also read a source, or a prefix both ways; `EncoderDecoder` puts it behind an
encoder. Lecture 05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attention import Attention
from .cache import KVCache
from .config import ModelConfig
from .context import AttentionContext, arrange, attention_pattern, document_tags
from .costs import parameters_of
from .layers import build_norm
from .memory import LayerMemory
from .relative import use_relative_positions
from .transformer import Block, Transformer, _checked_positions


class CrossBlock(Block):
    """A block with a second attention, which looks at the states of an encoder (Vaswani et al., 2017)."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.norm_cross = build_norm(config)
        self.cross_attention = Attention(config)

    def forward(
        self,
        x: Tensor,
        context: AttentionContext | None = None,
        memory: LayerMemory | None = None,
        source: AttentionContext | None = None,
        source_memory: LayerMemory | None = None,
    ) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model). source: a context whose `source` holds the encoder's states."""
        if source is None or source.source is None:
            raise ValueError("source is missing: give AttentionContext(source=states), or use a Block without one")
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.norm1(x), context, memory))
            x = x + self.dropout(self.cross_attention(self.norm_cross(x), source, source_memory))
            return x + self.dropout(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x, context, memory)))
        x = self.norm_cross(x + self.dropout(self.cross_attention(x, source, source_memory)))
        return self.norm2(x + self.dropout(self.mlp(x)))


class DecoderCache(KVCache):
    """A `KVCache` that also remembers, for each layer, the keys and values made of the source."""

    def __init__(self, config: ModelConfig, batch_size: int = 1, max_len: int | None = None, **options):
        super().__init__(config, batch_size, max_len, **options)
        self.source_layers = [LayerMemory() for _ in range(config.n_layers)]

    def reset(self) -> None:
        """Forget every token and the source."""
        super().reset()
        for layer in getattr(self, "source_layers", ()):
            layer.truncate(0)

    def select(self, rows: Sequence[int] | Tensor) -> None:
        """See `KVCache.select`; the source's rows go with their texts."""
        super().select(rows)
        for layer in self.source_layers:
            layer.select(torch.as_tensor(rows).long())


class Decoder(Transformer):
    """A causal Transformer that may read a prefix both ways and, with cross=True, the states of an encoder."""

    def __init__(self, config: ModelConfig, cross: bool = False):
        if not config.causal:
            raise ValueError("config.causal is False; a decoder writes from left to right, so leave it True")
        super().__init__(config)
        self.cross = cross
        if cross:
            self.blocks = nn.ModuleList(CrossBlock(config) for _ in range(config.n_layers))
            self.init_weights()

    def hidden(
        self,
        ids: Tensor | None = None,
        *,
        embeds: Tensor | None = None,
        cache: KVCache | None = None,
        positions: Tensor | None = None,
        pad_mask: Tensor | None = None,
        segments: Tensor | None = None,
        token_types: Tensor | None = None,
        prefix: Tensor | None = None,
        source: Tensor | None = None,
        source_mask: Tensor | None = None,
    ) -> Tensor:
        """As `Transformer.hidden`, with what a decoder may read besides.

        prefix: (B,) int64, how many real tokens at the beginning of each row, or of each of its segments, see one
            another in both directions (the prefix LM of Raffel et al., 2020); for the first tokens of a cache alone.
        source: (B, S, d_model) states of an encoder, source_mask (B, S) bool, True = real. A `DecoderCache` remembers
            what was made of them, so that later calls read it from there; give them all the same.
        """
        if prefix is None and source is None and not self.cross:
            given = dict(embeds=embeds, cache=cache, positions=positions, pad_mask=pad_mask)
            return super().hidden(ids, **given, segments=segments, token_types=token_types)
        config = self.config
        x = self._embed_tokens(ids, embeds)
        shape = B, T = x.shape[:2]
        past, tags = 0, document_tags((B, T), pad_mask, segments)
        if cache is not None:
            past, tags = cache.columns, cache.check_fits(config, (B, T), tags, segments is not None)
        mask, causal, in_order = arrange(config, T, past, tags, x.device)
        if prefix is not None:
            mask, causal = prefix_mask(prefix, (B, T), tags, past), False
        reading = self._source_context(source, source_mask, B)
        positions = _checked_positions(in_order if positions is None else positions, shape, past + T, config)
        x = self._add_positions_and_types(x, positions, token_types)
        rope = self.position_table.table[:, positions].to(x.dtype) if config.position == "rope" else None
        context = AttentionContext(mask, causal, rope)
        if cache is not None:
            cache.begin(tags, segments is not None)
        nothing = [None] * len(self.blocks)
        memories = nothing if cache is None else cache.layers
        read = getattr(cache, "source_layers", nothing)
        for block, memory, source_memory in zip(self.blocks, memories, read):
            x = block(x, context, memory, reading, source_memory) if self.cross else block(x, context, memory)
        return x if self.final_norm is None else self.final_norm(x)

    def _source_context(self, source: Tensor | None, source_mask: Tensor | None, B: int) -> AttentionContext | None:
        if not self.cross:
            if source is not None:
                raise ValueError("source given to a decoder without cross-attention; build it with cross=True")
            return None
        if source is None or source.dim() != 3 or source.shape[0] != B or source.shape[-1] != self.config.d_model:
            told = "missing" if source is None else f"of shape {tuple(source.shape)}"
            raise ValueError(f"source is {told}; give the encoder's states, ({B}, S, {self.config.d_model})")
        if source_mask is None:
            return AttentionContext(source=source)
        if source_mask.shape != source.shape[:2] or source_mask.dtype != torch.bool:
            raise ValueError(
                f"source_mask has shape {tuple(source_mask.shape)} and dtype {source_mask.dtype}; give bool, one entry "
                f"per state, {tuple(source.shape[:2])}"
            )
        if not source_mask.any(-1).all():
            raise ValueError("source_mask has a row without a real token; leave out empty sources")
        return AttentionContext(source=source, mask=source_mask[:, None, None])


def prefix_mask(prefix: Tensor, shape: tuple[int, int], tags: Tensor | None = None, past: int = 0) -> Tensor:
    """(B, 1, T, T) bool, True = may look: everybody at the prefix, and else at what came before. Lecture 05.

    prefix: (B,) int64 >= 0, in real tokens. shape: (B, T). tags: see `attention_pattern`.
    """
    B, T = shape
    if past:
        raise ValueError(f"prefix given after {past} remembered columns; give it with the first tokens alone")
    if prefix.shape != (B,) or prefix.is_floating_point() or bool((prefix < 0).any()):
        raise ValueError(f"prefix is {prefix}; give one count for each of the {B} rows, 0 or more")
    tags = torch.zeros(B, T, dtype=torch.long, device=prefix.device) if tags is None else tags
    earlier, positions = attention_pattern(tags, tags, causal=True)
    same, _ = attention_pattern(tags, tags, causal=False)
    return earlier | (same & (positions < prefix[:, None])[:, None, None])


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Two stacks of one shape. decoder: its config; the encoder's is the same, but looks both ways.

    n_encoder_layers: None for as many as the decoder has. relative: T5's positions, of so many buckets and so far,
    with position="none" in the config; None for those that the config names.
    """

    decoder: ModelConfig
    n_encoder_layers: int | None = None
    relative: tuple[int, int] | None = None

    @property
    def encoder(self) -> ModelConfig:
        """The encoder's config. It has no output head of its own."""
        n_layers = self.n_encoder_layers or self.decoder.n_layers
        return self.decoder.replace(n_layers=n_layers, causal=False, sliding_window=None, tie_embeddings=True)


class EncoderDecoder(nn.Module):
    """An encoder and a decoder that reads its states, with one table of tokens (Vaswani et al., 2017; T5). Lecture 05.

        model = EncoderDecoder(EncoderDecoderConfig(ModelConfig(...)))
        logits = model(source_ids, ids, source_mask=real)              # (B, T, vocab_size)
        states = model.encode(source_ids, real)                        # read once ...
        h = model.hidden(ids, source=states, source_mask=real, cache=cache)    # ... and written token by token

    Parts: encoder, a `Transformer`, and decoder, a `Decoder` with cross-attention. `model.config` is the decoder's.
    """

    def __init__(self, config: EncoderDecoderConfig):
        super().__init__()
        self.shape, self.config = config, config.decoder
        self.encoder = Transformer(config.encoder)
        self.decoder = Decoder(config.decoder, cross=True)
        if config.relative is not None:
            for stack in (self.encoder, self.decoder):
                use_relative_positions(stack, *config.relative)
        self.encoder.token_embedding = self.decoder.token_embedding
        self.encoder.lm_head = nn.Identity()  # its states are read, not its guesses

    def forward(self, source_ids: Tensor, ids: Tensor, *, source_mask: Tensor | None = None, **inputs) -> Tensor:
        """(B, S) ids to read and (B, T) ids so far -> (B, T, vocab_size) logits; inputs as in `Decoder.hidden`."""
        states = self.encode(source_ids, source_mask)
        return self.head(self.hidden(ids, source=states, source_mask=source_mask, **inputs))

    def encode(self, source_ids: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """(B, S) -> (B, S, d_model); source_mask: (B, S) bool, True = real token."""
        return self.encoder.hidden(source_ids, pad_mask=source_mask)

    def hidden(self, ids: Tensor, **inputs) -> Tensor:
        """(B, T) -> (B, T, d_model), see `Decoder.hidden`."""
        return self.decoder.hidden(ids, **inputs)

    def head(self, h: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab_size)."""
        return self.decoder.head(h)

    def num_parameters(self, non_embedding: bool = False) -> int:
        """Parameters, those that both stacks share counted once."""
        if not non_embedding:
            return parameters_of(self)
        outside = {id(p) for stack in (self.encoder, self.decoder) for p in _tables(stack)}
        return sum(p.numel() for p in self.parameters() if id(p) not in outside)


def _tables(stack: Transformer) -> list[nn.Parameter]:
    parts = (stack.token_embedding, stack.position_embedding, stack.type_embedding, stack.lm_head)
    return [p for part in parts if part is not None for p in part.parameters()]


def t5_config(name: str) -> EncoderDecoderConfig:
    """The shape of a T5 by Raffel et al. (2020), table 2 and section 3.7: "t5-small" to "t5-11b"."""
    shapes = {  # layers of each stack, d_model, heads, head_dim, d_ff
        "t5-small": (6, 512, 8, 64, 2048),
        "t5-base": (12, 768, 12, 64, 3072),
        "t5-large": (24, 1024, 16, 64, 4096),
        "t5-3b": (24, 1024, 32, 128, 16384),
        "t5-11b": (24, 1024, 128, 128, 65536),
    }
    if name not in shapes:
        raise ValueError(f"name is {name!r}; choose one of {', '.join(shapes)}")
    n_layers, d_model, n_heads, head_dim, d_ff = shapes[name]
    config = ModelConfig(
        vocab_size=32128, n_layers=n_layers, d_model=d_model, n_heads=n_heads, head_dim=head_dim, d_ff=d_ff,
        max_seq_len=512, mlp="relu", position="none", norm_eps=1e-6,
    )  # fmt: skip
    return EncoderDecoderConfig(config, relative=(32, 128))
