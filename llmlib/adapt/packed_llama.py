"""A Llama taken apart for decoding: what may be, by which kernels, and its packed matrices. Lecture 15."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from llmlib.infer.cpu_decoder import is_llama, side_by_side
from llmlib.model import TiedHead, Transformer, permute_rope_rows
from llmlib.model.attention import Attention
from llmlib.model.layers import RMSNorm, SwiGLU
from llmlib.model.rope import FixedTable
from llmlib.model.transformer import Block

from .blockwise import BLOCK
from .decoding_matrices import Columns, Matrix, Source, Weights, fast_bf16, pack
from .native import NativeError, native_failure, native_kernel
from .quantized_linears import QuantizedLinear
from .rounding import Quantized

Kernels = Literal["auto", "torch", "native"]
_PARTS = (Transformer, Block, Attention, SwiGLU, RMSNorm, FixedTable, nn.ModuleList, nn.Linear, nn.Embedding)
_PARTS += (nn.Dropout, nn.Identity, TiedHead, QuantizedLinear)


def check_model(model: nn.Module) -> None:
    """ValueError, with the remedy, for a model that `fast_decoder` does not take."""
    if type(model) is not Transformer or not is_llama(model.config):
        raise ValueError(
            f"model is a {type(model).__name__} that is no Llama (RMSNorm before each part, SwiGLU, RoPE, no biases): "
            "use generate, which runs any model"
        )
    for name, part in model.named_modules():
        if type(part) not in _PARTS or (isinstance(part, QuantizedLinear) and part.input_scale is not None):
            raise ValueError(
                f"{name} is a {type(part).__name__}, which a fast decoder cannot take apart: merge adapters first, and "
                "quantize with form='packed' or not at all"
            )
        for kind, tensor in part._parameters.items():
            if tensor is not None and tensor.device.type != "cpu":
                raise ValueError(f"model is on {tensor.device}: a fast decoder runs on the CPU, use model.cpu()")
            if kind == "bias" and tensor is not None:
                raise ValueError(f"{name} has a bias, which a fast decoder does not know: use generate")
        if isinstance(part, Attention) and (part.q_norm is not None or part.k_norm is not None):
            raise ValueError(f"{name} normalises queries or keys, which a fast decoder does not know: use generate")


def choose_kernels(model: Transformer, weights: str, head: str, group_size: int, kernels: Kernels) -> tuple[bool, str]:
    """Whether the native kernel is used, and the reason if not."""
    packed = [kind for kind in (weights, head) if kind in ("int8", "int4")]
    if kernels == "torch":
        return False, "as asked"
    if not packed:
        if kernels == "native":
            raise ValueError(
                f"kernels='native' is for int8 and int4, and weights={weights!r}, head={head!r}: use 'torch'"
            )
        return False, "floats need no other"
    misfit = None
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear) and part.in_features % BLOCK:
            misfit = f"{name} has {part.in_features} inputs, no multiple of the native kernel's {BLOCK}"
            break
    if misfit is None and "int4" in packed and (not isinstance(group_size, int) or group_size < 1 or group_size % 32):
        misfit = f"group_size={group_size!r} is no multiple of the native kernel's 32"
    if misfit is not None:
        if kernels == "native":
            raise ValueError(f"{misfit}: use kernels='torch'")
        return False, misfit
    if (failure := native_failure()) is not None:
        if kernels == "native":
            raise NativeError(f"{failure}: use kernels='torch', or 'auto' to take what there is")
        return False, f"no native kernel: {failure}"
    if kernels == "auto" and native_kernel().instructions == "plain C":
        return False, "the native kernel would run without integer instructions here"
    return True, ""


class PackedLayer(NamedTuple):
    """A block's gains and its four packed matrices."""

    gain1: Tensor
    qkv: Matrix
    o: Matrix
    gain2: Tensor
    gate_up: Matrix
    down: Matrix


def pack_layers(model: Transformer, weights: Weights, native: bool, group_size: int) -> list[PackedLayer]:
    """Every block; queries and keys turned as `_joined` says, with a copy for reading prompts where one is needed."""
    options = (native, group_size, torch.bfloat16 if fast_bf16() else torch.float32)
    layers = []
    for block in model.blocks:
        a, mlp = block.attention, block.mlp
        turned = model.config.head_dim if model.config.rope_layout == "half" else None
        qkv = pack(_joined(a.q_proj, a.k_proj, a.v_proj, turned=turned), weights, *options)
        o, gate_up, down = (
            _shared(parts, weights) or pack(_joined(*parts), weights, *options)
            for parts in ((a.o_proj,), (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,))
        )
        gain1, gain2 = (norm.weight.detach().float().clone() for norm in (block.norm1, block.norm2))
        layers.append(PackedLayer(gain1, qkv, o, gain2, gate_up, down))
    return layers


def pack_head(
    model: Transformer, weights: Weights, native: bool, group_size: int, narrow: bool
) -> tuple[Matrix, Tensor | None]:
    """The head, and the embedding if that is not tied to it or the packed head gives no rows back.

    narrow: keep the embedding in bfloat16.
    """
    lm_head = model.lm_head
    head = _shared((lm_head,), weights) or pack(_joined(lm_head), weights, native, group_size, None)
    if isinstance(lm_head, TiedHead) and lm_head.embedding is model.token_embedding and head.rows is not None:
        return head, None
    embedding = model.token_embedding.weight.detach()
    return head, embedding.to(torch.bfloat16) if narrow else embedding


def _joined(*linears: nn.Linear, turned: int | None = None) -> Source:
    """The matrices under each other.

    turned: head_dim if the first two are queries and keys whose rows have to be put in the interleaved order, in which
    a pair of RoPE is a complex number.
    """
    order = lambda part, i: permute_rope_rows(part, turned, to="interleaved") if turned and i < 2 else part
    stack = lambda parts: torch.cat([order(part, i) for i, part in enumerate(parts)])
    weight = stack([linear.weight.detach().float() for linear in linears])
    if not all(isinstance(linear, QuantizedLinear) for linear in linears):
        return Source(weight)
    matrices = [linear.quantized for linear in linears]
    alike = {(m.bits, m.scale.shape[1], m.offset is None, m.levels is None, m.codes.dtype) for m in matrices}
    whole = all(len(m.scale) == len(m.codes) for m in matrices)
    if len(alike) > 1 or not whole or matrices[0].levels is not None:
        return Source(weight)
    codes, scale = stack([m.codes for m in matrices]), stack([m.scale for m in matrices])
    offset = None if matrices[0].offset is None else stack([m.offset for m in matrices])
    return Source(weight, Quantized(codes, scale, matrices[0].bits, offset))


def _shared(linears: tuple[nn.Linear, ...], weights: str) -> Columns | None:
    """The model's own memory, if it is float32 and lies as `decoding_layout` puts it."""
    plain = all(type(linear) in (nn.Linear, TiedHead) for linear in linears)
    if weights != "fp32" or not plain or any(linear.weight.dtype != torch.float32 for linear in linears):
        return None
    columns = side_by_side(*linears)
    return None if columns is None else Columns(columns)
