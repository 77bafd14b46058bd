"""One token at a time on a CPU, as fast as the weights can be read. Lecture 04 measures it.

To write one token every weight is read from memory once and used once, so the time of a step is the time of reading:
538 MB for SmolLM2 in float32. Two things keep a plain implementation from it. A product row by row is a chain of sums
that the processor cannot do in wide steps, and hundreds of small operations a token each cost their call. So the
matrices are stored by columns, those that meet the same vector side by side, and a step is spelled out once more
without the generality of `Transformer.forward`, with four products a layer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.model.attention import Attention
from llmlib.model.cache import KVCache
from llmlib.model.layers import RMSNorm, SwiGLU
from llmlib.model.rope import FixedTable, rotate
from llmlib.model.transformer import Block, Transformer

LLAMA = dict(
    norm="rmsnorm", norm_position="pre", mlp="swiglu", position="rope", bias=False, qk_norm=False, causal=True,
    encoder=None, attention="sdpa",
)  # fmt: skip
_KNOWN = {Transformer, Block, Attention, SwiGLU, RMSNorm, FixedTable}
_KNOWN |= {nn.ModuleList, nn.Linear, nn.Embedding, nn.Dropout}


@torch.no_grad()
def decoding_layout(model: Transformer, *, keep_values: bool = True) -> Transformer:
    """Store every matrix by columns, and side by side q, k, v and gate, up; in place, returns the model.

    Names, shapes and values of the parameters stay, so training, saving and everything else work as before; only their
    strides change, and with them the order in which a product is summed up: results agree to rounding. Worth it on a
    CPU, where `token_step` then takes over in `generate`. `model.to(...)` and copies return to the usual layout.
    keep_values=False only sets out the memory, for a model whose weights are yet to be loaded in place.
    """
    together = []
    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        together.append([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        if isinstance(mlp, SwiGLU):
            together.append([mlp.gate_proj.weight, mlp.up_proj.weight])
    grouped = {id(weight) for group in together for weight in group}
    together += [[weight] for weight in model.parameters() if weight.dim() == 2 and id(weight) not in grouped]
    for group in together:
        columns = group[0].data.new_empty(group[0].shape[1], sum(map(len, group)))  # (n_in, n_out of all)
        for weight, part in zip(group, columns.split(list(map(len, group)), 1)):
            if keep_values:
                part.copy_(weight.T)
            weight.data = part.T
    return model


def token_step(model: Transformer) -> TokenStep | None:
    """The fast step for `model`, or None where it does not apply and the model itself has to run.

    It applies to a Llama in float32 on the CPU, in evaluation mode and in the layout of `decoding_layout`, made of this
    room's own layers: no adapter, no quantized matrix, no hook that waits to see something. It reads the model's own
    memory, so make a new one whenever the model may have been taken apart since; `generate` does at every call.
    """
    if model.training or any(getattr(model.config, name) != value for name, value in LLAMA.items()):
        return None
    if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in model.parameters()):
        return None
    for part in model.modules():
        if type(part) not in _KNOWN or part._forward_hooks or part._forward_pre_hooks:
            return None
        if isinstance(part, Attention) and part.on_weights is not None:
            return None
    layers = [_Layer.of(block) for block in model.blocks]
    head = _side_by_side(model.token_embedding if model.lm_head is None else model.lm_head)
    if head is None or None in layers:
        return None
    return TokenStep(model, layers, head)


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
        qkv, o, gate_up, down = (_side_by_side(*group) for group in groups)
        if any(columns is None for columns in (qkv, o, gate_up, down)):
            return None
        return cls(block.norm1.weight.detach(), qkv, o, block.norm2.weight.detach(), gate_up, down)


def _side_by_side(*parts: nn.Linear | nn.Embedding) -> Tensor | None:
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
    if not _fast_bags():
        return weights @ columns
    n_bags = torch.get_num_threads()
    rows, starts = _bags(columns.shape[0], n_bags)
    sums = torch.embedding_bag(columns, rows, starts, False, 0, False, weights)[0]
    return sums[0] if n_bags == 1 else sums.sum(0)


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """`RMSNorm` of a single vector (d,), in half the time: the scale is a plain number."""
    return (x * gain).mul_((x.dot(x).item() / x.numel() + eps) ** -0.5)


@lru_cache
def _fast_bags() -> bool:
    """Whether torch has its vectorised kernel here: not on ARM."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@lru_cache
def _bags(n: int, n_bags: int) -> tuple[Tensor, Tensor]:
    """The numbers 0..n-1 and where each of n_bags equal parts of them begins."""
    with torch.inference_mode(False):
        return torch.arange(n), torch.arange(n_bags) * n // n_bags
