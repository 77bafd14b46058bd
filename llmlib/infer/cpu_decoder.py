"""One token at a time on a CPU, as fast as the weights can be read. Lecture 04 measures it.

To write one token every weight is read from memory once and used once, so the time of a step is the time of reading:
538 MB for SmolLM2 in float32. Two things keep a plain implementation from it. A product row by row is a chain of sums
that the processor cannot do in wide steps, and hundreds of small operations a token each cost their call. So the
matrices are stored by columns, those that meet the same vector side by side, and a step is spelled out once more
without the generality of `Transformer.forward`, with four products a layer.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.infer.global_hooks import has_any_global_hook as _has_any_global_hook
from llmlib.model.attention import Attention
from llmlib.model.cache import KVCache
from llmlib.model.config import ModelConfig
from llmlib.model.layers import RMSNorm, SwiGLU
from llmlib.model.parts import TiedHead
from llmlib.model.rope import FixedTable, rotate
from llmlib.model.transformer import Block, Transformer

LLAMA = dict(
    norm="rmsnorm", norm_position="pre", mlp="swiglu", position="rope", bias=False, qk_norm=False, causal=True,
    encoder=None, attention="sdpa",
)  # fmt: skip
ANY = {"vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "max_seq_len", "rope_theta", "rope_layout"}
ANY |= {"tie_embeddings", "norm_eps", "dropout", "head_dim", "init_std", "zero_init_residual", "rope_scaling"}
_KNOWN = (Transformer, Block, Attention, SwiGLU, RMSNorm, FixedTable, nn.ModuleList, nn.Linear, nn.Embedding)
_KNOWN += (nn.Dropout, nn.Identity, TiedHead)
_METHODS = ("__call__", "forward", "hidden", "head")
_WRITTEN = {kind: tuple(getattr(kind, name, None) for name in _METHODS) for kind in _KNOWN}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@torch.no_grad()
def decoding_layout(model: Transformer, *, keep_values: bool = True) -> Transformer:
    """Store every matrix by columns, and side by side q, k, v and gate, up; in place, returns the model.

    Names, shapes and values of the parameters stay, so training, saving and everything else work as before; only their
    strides change, and with them the order in which a product is summed up: results agree to rounding. Worth it on a
    CPU, where `token_step` then takes over in `generate`. `model.to(...)` and copies return to the usual layout. Parts
    that are not this library's own (an adapter, a quantized matrix) are left as they are.
    keep_values=False only sets out the memory, for a model whose weights are yet to be loaded in place.
    """
    together = []
    for part in model.modules():
        if isinstance(part, Attention):
            together.append([part.q_proj, part.k_proj, part.v_proj])
        elif isinstance(part, SwiGLU):
            together.append([part.gate_proj, part.up_proj])
    groups = [[part.weight for part in parts] for parts in together if all(map(_is_matrix, parts))]
    groups = [group for group in groups if len({(w.shape[1], w.dtype, w.device) for w in group}) == 1]
    grouped = {id(weight) for group in groups for weight in group}
    single = [part.weight for part in model.modules() if _is_matrix(part) and id(part.weight) not in grouped]
    for group in [*groups, *([weight] for weight in single)]:
        columns = group[0].data.new_empty(group[0].shape[1], sum(map(len, group)))  # (n_in, n_out of all)
        for weight, part in zip(group, columns.split(list(map(len, group)), 1)):
            if keep_values:
                part.copy_(weight.T)
            weight.data = part.T
    return model


def _is_matrix(part: nn.Module) -> bool:
    """A linear layer or an embedding of torch's own, with a plain parameter as its weight."""
    return type(part) in (nn.Linear, nn.Embedding) and _is_plain_parameter(part._parameters.get("weight"))


def _is_plain_parameter(weight: object) -> bool:
    return type(weight) is nn.Parameter and type(weight.data) is Tensor and weight.layout == torch.strided


def token_step(model: Transformer) -> TokenStep | None:
    """The fast step for `model`, or None where it does not apply and the model itself has to run.

    It applies to a Llama in float32 on the CPU, in evaluation mode and in the layout of `decoding_layout`, all of whose
    parts are this library's own and unchanged: `may_take_over` says yes for each. It reads the model's own memory, so
    make a new one whenever the model may have been taken apart since, as `TokenStep.is_current` tells; `generate` makes
    one at every call.
    """
    if type(model) is not Transformer or model.training or not is_llama(model.config):
        return None
    if _has_any_global_hook() or not all(map(may_take_over, model.modules())):
        return None
    layers = [_Layer.of(block) for block in model.blocks]
    head = side_by_side(model.lm_head)
    if head is None or None in layers:
        return None
    return TokenStep(model, layers, head)


def may_take_over(part: nn.Module) -> bool:
    """Whether the fast step computes what `part` would: its class is known, and nobody has changed or listens to it.

    A class of somebody else (an adapter, a quantized or parametrized matrix), a method replaced on the instance or on
    the class, any hook, weights that are no plain float32 on the CPU, a bias or a norm of queries and keys that the
    config knows nothing of: all of them are left to the model itself.
    """
    kind, own = type(part), vars(part)
    if own["_parameters"].get("bias") is not None or own["_modules"].get("q_norm") or own["_modules"].get("k_norm"):
        return False
    if _WRITTEN.get(kind) != tuple([getattr(kind, name, None) for name in _METHODS]):
        return False
    if not own.keys().isdisjoint(_METHODS):
        return False
    if any([own[name] for name in _HOOKS]):
        return False
    return all([weight is None or _is_float32(weight) for weight in part._parameters.values()])


def _is_float32(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.device.type == "cpu" and _is_plain_parameter(weight)


def is_llama(config: ModelConfig) -> bool:
    """A field that is not known here must have its default: it may say something that this step does not do."""
    for field in dataclasses.fields(config):
        expected = LLAMA.get(field.name, field.default)
        if field.name not in ANY and getattr(config, field.name) != expected:
            return False
    return True


class TokenStep:
    """Call it with the newest token, (1,) int64, and a cache of one row: -> the logits (1, vocab_size) of the next.

    The same numbers, to rounding, as `model.head(model.hidden(token[:, None], cache=cache)[:, -1])`, and the same
    entries in the cache. Runs without autograd.
    """

    def __init__(self, model: Transformer, layers: list[_Layer], head: Tensor):
        """Take the model apart; `token_step` makes sure that this is allowed."""
        self.model, self.config = model, model.config
        self.layers, self.head = layers, head
        self.embedding, self.final_gain = model.token_embedding.weight.detach(), model.final_norm.weight.detach()
        self._seen = [_Seen.of(part) for part in model.modules()]

    def is_current(self) -> bool:
        """Whether the model still consists of these parts and this memory, and no part has been changed or listened to.

        Asked between two tokens, it costs a hundredth of the time of one. Weights updated in place are seen anyway.
        """
        return not _has_any_global_hook() and all([seen.is_unchanged() for seen in self._seen])

    @torch.inference_mode()
    def __call__(self, token: Tensor, cache: KVCache) -> Tensor:
        c = self.config
        tags = cache.check_fits(c, (1, 1))
        place = cache.columns
        if tags is not None or place >= c.max_seq_len:  # padding or packed documents; or too long, which it reports
            return self.model.head(self.model.hidden(token[:, None], cache=cache)[:, -1])
        cache.begin()
        cos, sin = self.model.position_table.table[:, place]  # (1, head_dim) each
        rotated, share = c.n_heads + c.n_kv_heads, c.n_heads // c.n_kv_heads
        x = self.embedding[token[0]]  # (d_model,), the residual stream
        for number, layer in enumerate(self.layers):
            h = rms_norm(x, layer.gain1, c.norm_eps)
            qkv = weighted_sum(layer.qkv, h).view(-1, c.head_dim)  # the heads of q, k and v under each other
            qk = rotate(qkv[:rotated], cos, sin, c.rope_layout)
            q = qk[: c.n_heads].view(1, c.n_kv_heads, share, c.head_dim)  # heads that share a key, as if queries of it
            k, v = cache.update(number, qk[None, c.n_heads :, None], qkv[None, rotated:, None])
            mixed = F.scaled_dot_product_attention(q, k, v)
            x = x + weighted_sum(layer.o, mixed.view(-1))
            h = rms_norm(x, layer.gain2, c.norm_eps)
            gate, up = weighted_sum(layer.gate_up, h).chunk(2)
            x = x + weighted_sum(layer.down, F.silu(gate) * up)
        return weighted_sum(self.head, rms_norm(x, self.final_gain, c.norm_eps))[None]


class _Layer(NamedTuple):
    """One block's weights, matrices as (n_in, n_out) with each row in one piece: the columns that are summed up."""

    gain1: Tensor
    qkv: Tensor
    o: Tensor
    gain2: Tensor
    gate_up: Tensor
    down: Tensor

    @classmethod
    def of(cls, block: Block) -> _Layer | None:
        """None if the matrices do not lie in memory as `decoding_layout` puts them."""
        attention, mlp = block.attention, block.mlp
        groups = (attention.q_proj, attention.k_proj, attention.v_proj), (attention.o_proj,)
        groups += (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,)
        qkv, o, gate_up, down = (side_by_side(*group) for group in groups)
        if any(columns is None for columns in (qkv, o, gate_up, down)):
            return None
        return cls(block.norm1.weight.detach(), qkv, o, block.norm2.weight.detach(), gate_up, down)


class _Seen(NamedTuple):
    """What a part was made of when the step took over."""

    part: nn.Module
    kind: type
    own: dict
    size: int
    children: list[nn.Module]
    places: list[tuple[int, int]]

    @classmethod
    def of(cls, part: nn.Module) -> _Seen:
        own = vars(part)
        return cls(part, type(part), own, len(own), list(own["_modules"].values()), _places(own["_parameters"]))

    def is_unchanged(self) -> bool:
        part, kind, own, size, children, places = self
        if part.__class__ is not kind or len(own) != size or own["training"]:
            return False  # a method replaced on the instance makes one entry more
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
            return False
        if children and list(own["_modules"].values()) != children:
            return False
        return not places or places == _places(own["_parameters"])


def _places(parameters: dict[str, nn.Parameter | None]) -> list[tuple[int, int]]:
    return [(id(weight), weight.data_ptr()) for weight in parameters.values() if weight is not None]


def side_by_side(*parts: nn.Linear | nn.Embedding) -> Tensor | None:
    """The columns of the parts as one (n_in, n_out of all) view, or None if they do not lie one after another."""
    weights = [part.weight.detach() for part in parts]
    first, width = weights[0], sum(len(weight) for weight in weights)
    expected = first.data_ptr()
    for weight in weights:
        if weight.stride() != (1, width) or weight.data_ptr() != expected or not _same_memory(weight, first):
            return None
        expected += len(weight) * weight.itemsize
    return first.as_strided((first.shape[1], width), (width, 1))


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def weighted_sum(columns: Tensor, weights: Tensor) -> Tensor:
    """columns: (n, m), weights: (n,) -> weights @ columns, (m,).

    A matrix times a vector is the sum of the matrix's columns, weighted by the vector. That is also what an embedding
    bag computes, and on x86 its kernel reads memory a quarter faster than the general product: 27 GB/s against 21 on
    one core of ours. Each thread sums up a bag of its own.
    """
    if not fast_bags():
        return weights @ columns
    n_bags = torch.get_num_threads()
    rows, starts = bags(columns.shape[0], n_bags)
    sums = torch.embedding_bag(columns, rows, starts, False, 0, False, weights)[0]
    return sums[0] if n_bags == 1 else sums.sum(0)


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """`RMSNorm` of a single vector (d,), in half the time: the scale is a plain number."""
    return (x * gain).mul_((x.dot(x).item() / x.numel() + eps) ** -0.5)


@lru_cache
def fast_bags() -> bool:
    """Whether torch has its vectorised kernel here: not on ARM."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@lru_cache
def bags(n: int, n_bags: int) -> tuple[Tensor, Tensor]:
    """The numbers 0..n-1 and where each of n_bags equal parts of them begins."""
    with torch.inference_mode(False):
        return torch.arange(n), torch.arange(n_bags) * n // n_bags
