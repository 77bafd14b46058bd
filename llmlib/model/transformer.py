"""One Transformer for GPT, Llama and BERT: the config says which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from .attention import Attention
from .cache import KVCache
from .config import ModelConfig
from .context import AttentionContext, arrange, document_tags
from .costs import forward_flops, kv_bytes_per_token, parameters_of
from .layers import MLP, RMSNorm, SwiGLU, build_norm
from .memory import LayerMemory
from .mixture import build_mlp
from .parts import TiedHead
from .rope import FixedTable, rope_tables, sinusoidal_table


class Block(nn.Module):
    """Attention, then a feed-forward network, each around a residual connection.

    block(x) runs alone: causal or not as the config says, positions 0..T-1. In a model all blocks share a context, and
    each is given its own layer's memory.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.norm1 = build_norm(config)
        self.attention = Attention(config)
        self.norm2 = build_norm(config)
        self.mlp = build_mlp(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, context: AttentionContext | None = None, memory: LayerMemory | None = None) -> Tensor:
        """(B, T, d_model) -> (B, T, d_model); context and memory as in `Attention.forward`."""
        if self.pre_norm:  # the residual stream is never normalised on its way up (GPT-2, Llama)
            x = x + self.dropout(self.attention(self.norm1(x), context, memory))
            return x + self.dropout(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x, context, memory)))  # the first Transformer, GPT-1, BERT
        return self.norm2(x + self.dropout(self.mlp(x)))


class Transformer(nn.Module):
    """A Transformer language model or encoder. Lectures 03 (GPT), 04 (Llama) and 05 (BERT) build it piece by piece.

    model(ids) is model.head(model.hidden(ids)): (B, T) token ids -> (B, T, vocab_size) logits. Generation lives in
    llmlib.infer, training in llmlib.train.

    Parts: token_embedding, position_embedding (learned only), type_embedding and embedding_norm (encoders),
    blocks[i].norm1 / .attention / .norm2 / .mlp, final_norm (pre-norm only), lm_head (a `TiedHead` if tied), pooler.
    Each may be exchanged for another module that maps the same shapes, see `replace_linears`.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        d, encoder = config.d_model, config.encoder
        self.token_embedding = nn.Embedding(config.vocab_size, d)
        self.position_embedding = nn.Embedding(config.max_seq_len, d) if config.position == "learned" else None
        self.position_table = _position_table(config)
        self.type_embedding = nn.Embedding(encoder.n_token_types, d) if encoder and encoder.n_token_types else None
        self.embedding_norm = build_norm(config) if encoder and encoder.embedding_norm else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = build_norm(config) if config.norm_position == "pre" else None
        tied = config.tie_embeddings
        self.lm_head = TiedHead(self.token_embedding) if tied else nn.Linear(d, config.vocab_size, bias=False)
        self.pooler = nn.Linear(d, d) if encoder and encoder.pooler else None
        self.init_weights()

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """All initialisation happens here, GPT-2's way (Radford et al., 2019).

        Every matrix and embedding: normal with deviation config.init_std (0.02). The two matrices per block that
        write into the residual stream, attention.o_proj and mlp.down_proj: for pre-norm the deviation is divided by
        sqrt(2 * n_layers), so that the stream's variance does not grow with depth; zero with zero_init_residual, so
        that every block begins as the identity. Biases zero, norm gains one.

        Parts of another make, and all inside them, keep the values they were made with: adapters, packed weights,
        experts, other kinds of layer.
        """
        residual_std = self.config.init_std
        if self.config.norm_position == "pre":
            residual_std /= math.sqrt(2 * self.config.n_layers)
        for name, parameter in _own_weights(self):
            if parameter.dim() == 1:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                if self.config.zero_init_residual:
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, residual_std, generator=generator)
            else:
                parameter.normal_(0.0, self.config.init_std, generator=generator)

    def forward(self, ids: Tensor | None = None, **inputs: object) -> Tensor:
        """(B, T) token ids -> (B, T, vocab_size) logits; `inputs` are those of `hidden`."""
        return self.head(self.hidden(ids, **inputs))

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
    ) -> Tensor:
        """The last layer's output, after the final norm where there is one: -> (B, T, d_model).

        ids: (B, T) int64, or instead embeds: (B, T, d_model) in place of the token embedding's rows.
        cache: keys and values of earlier calls; these T tokens come after them.
        pad_mask: (B, T) bool, True = real token. Nobody looks at padding, on either side; its own rows mean nothing.
        segments: (B, T) int64 >= 0, the document of each token when several are packed in a row; documents never see
            each other. Negative numbers count as padding.
        positions: (T,) or (B, T) int64. By default each token's position is the number of real tokens before it in its
            segment, earlier calls included.
        token_types: (B, T) int64, encoders with type embeddings only; all zero by default.

        Raises ValueError for ids outside the vocabulary (checked on the CPU; an accelerator's own assertion fires
        there, because looking would stall it), a context longer than max_seq_len and shapes that do not fit.
        """
        config = self.config
        x = self._embed_tokens(ids, embeds)
        shape = B, T = x.shape[:2]
        past, tags = 0, document_tags((B, T), pad_mask, segments)
        if cache is not None:
            past, tags = cache.columns, cache.check_fits(config, (B, T), tags, segments is not None)
        mask, causal, in_order = arrange(config, T, past, tags, x.device)
        positions = _checked_positions(in_order if positions is None else positions, shape, past + T, config)

        x = self._add_positions_and_types(x, positions, token_types)
        rope = self.position_table.table[:, positions].to(x.dtype) if config.position == "rope" else None
        context = AttentionContext(mask, causal, rope)
        if cache is not None:  # from here on nothing is refused any more
            cache.begin(tags, segments is not None)
        for block, memory in zip(self.blocks, [None] * len(self.blocks) if cache is None else cache.layers):
            x = block(x, context, memory)
        return x if self.final_norm is None else self.final_norm(x)

    def head(self, h: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab_size) logits: what `lm_head` makes of h, whatever module stands there."""
        return self.lm_head(h)

    def pool(self, h: Tensor) -> Tensor:
        """BERT's sentence vector: (B, T, d_model) -> (B, d_model), tanh of a dense layer over the first token."""
        if self.pooler is None:
            raise ValueError("config.encoder has no pooler; build the model with EncoderConfig(pooler=True)")
        return torch.tanh(self.pooler(h[:, 0]))

    def num_parameters(self, non_embedding: bool = False) -> int:
        """Parameters, a tied matrix counted once. non_embedding: see `count_parameters`."""
        return parameters_of(self, non_embedding)

    def flops_per_token(self, seq_len: int, training: bool = True) -> int:
        """Floating-point operations per token; see `accounting.flops_per_token`."""
        return (3 if training else 1) * forward_flops(self, seq_len)

    def kv_bytes_per_token(self, dtype: torch.dtype | None = None) -> int:
        """Bytes of cache per token; dtype defaults to that of the model. See `costs.kv_bytes_per_token`."""
        return kv_bytes_per_token(self.config, dtype or self.token_embedding.weight.dtype)

    def _embed_tokens(self, ids: Tensor | None, embeds: Tensor | None) -> Tensor:
        if (ids is None) == (embeds is None):
            raise ValueError("give either ids or embeds, not both and not neither")
        if embeds is not None:
            if embeds.dim() != 3 or embeds.shape[-1] != self.config.d_model or not embeds.shape[1]:
                raise ValueError(
                    f"embeds has shape {tuple(embeds.shape)}; give (B, T, {self.config.d_model}) with T >= 1"
                )
            return embeds
        if ids.dim() != 2 or not ids.numel():
            raise ValueError(f"ids has shape {tuple(ids.shape)}; give (B, T) with T >= 1, for one text ids[None]")
        if _is_cheap_to_read(ids):
            _check_range("ids", ids, self.config.vocab_size, "vocab_size", "encode with this model's tokenizer")
        return self.token_embedding(ids)

    def _add_positions_and_types(self, x: Tensor, positions: Tensor | slice, token_types: Tensor | None) -> Tensor:
        """What goes into the first block, from the rows of the token embedding."""
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[positions]
        elif self.config.position == "sinusoidal":
            x = x + self.position_table.table[positions].to(x.dtype)
        if self.type_embedding is not None:
            x = x + self._type_vectors(x.shape[:2], token_types)
        elif token_types is not None:
            raise ValueError("token_types given to a model without type embeddings; leave it out or set config.encoder")
        return self.dropout(x if self.embedding_norm is None else self.embedding_norm(x))

    def _type_vectors(self, shape: torch.Size, token_types: Tensor | None) -> Tensor:
        if token_types is None:
            return self.type_embedding.weight[0]
        if token_types.shape != shape:
            raise ValueError(f"token_types has shape {tuple(token_types.shape)}; give {tuple(shape)}")
        if _is_cheap_to_read(token_types):
            n_types = self.config.encoder.n_token_types
            _check_range("token_types", token_types, n_types, "n_token_types", "use 0 for a single text")
        return self.type_embedding(token_types)


_CONTAINERS = (Transformer, Block, Attention, SwiGLU, MLP, nn.ModuleList)
_LAYERS = (nn.Linear, nn.Embedding, nn.LayerNorm, RMSNorm)


def _own_weights(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Parameter]]:
    """Names and weights of this room's own layers, in the order of `named_parameters`."""
    if type(module) in _LAYERS:  # not those derived from them: an adapter may be a kind of nn.Linear
        yield from ((f"{path}.{name}", parameter) for name, parameter in module.named_parameters(recurse=False))
    elif isinstance(module, _CONTAINERS):
        for name, child in module.named_children():
            yield from _own_weights(child, f"{path}.{name}")


def _checked_positions(
    positions: Tensor | slice, shape: tuple[int, int], columns: int, config: ModelConfig
) -> Tensor | slice:
    """positions, if they have the shape (T,) or (B, T) and lie inside the context; else a ValueError."""
    limit, remedy = config.max_seq_len, "shorten the input or use a model with a larger max_seq_len"
    if isinstance(positions, slice):
        if positions.stop > limit:
            raise ValueError(f"context overflow: {positions.stop} tokens > max_seq_len {limit}; {remedy}")
        return positions
    B, T = shape
    if positions.shape not in ((T,), (B, T)):
        raise ValueError(f"positions has shape {tuple(positions.shape)}; give ({T},) or ({B}, {T})")
    if columns > limit or _is_cheap_to_read(positions):
        _check_range("positions", positions, limit, "max_seq_len", remedy)
    return positions


def _position_table(config: ModelConfig) -> FixedTable | None:
    if config.position == "rope":
        return FixedTable(partial(_rope_table, config=config), config.max_seq_len)
    if config.position == "sinusoidal":
        return FixedTable(partial(sinusoidal_table, d_model=config.d_model), config.max_seq_len)
    return None


def _rope_table(positions: Tensor, config: ModelConfig) -> Tensor:
    """(2, n, 1, head_dim): the 1 is the axis of the heads."""
    tables = rope_tables(positions, config.head_dim, config.rope_theta, config.rope_layout, config.rope_scaling)
    return tables[:, :, None]


def _is_cheap_to_read(values: Tensor) -> bool:
    """Whether reading values costs nothing: it would stall an accelerator and break a compiled graph."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def _check_range(name: str, values: Tensor, limit: int, limit_name: str, remedy: str) -> None:
    low, high = values.aminmax()
    if low < 0 or high >= limit:
        worst = int(low) if low < 0 else int(high)
        raise ValueError(f"{name} holds {worst}, outside 0..{limit - 1} ({limit_name} {limit}); {remedy}")
