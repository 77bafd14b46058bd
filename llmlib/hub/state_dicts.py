"""Published weights into our Transformer: the names of the reference implementations, translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from llmlib.model import MaskedLMHead, TiedHead, Transformer, permute_rope_rows


@dataclass(frozen=True)
class _Family:
    """How one reference implementation names its parameters. `*` is the number of the layer, then of the expert."""

    prefixes: tuple[str, ...]  # what some classes put before every name
    parts: dict[str, str]  # their path -> ours
    transposed: tuple[str, ...] = ()  # stored (in, out), where nn.Linear has (out, in)
    ignored: tuple[str, ...] = ()  # buffers that hold no weights


_FAMILIES = {
    "GPT-2": _Family(
        prefixes=("transformer.",),
        parts={
            "wte": "token_embedding",
            "wpe": "position_embedding",
            "tokens_embed": "token_embedding",  # GPT-1 calls the tables so
            "positions_embed": "position_embedding",
            "h.*.ln_1": "blocks.*.norm1",
            "h.*.attn.c_attn": "blocks.*.attention.qkv_proj",  # queries, keys and values side by side; split below
            "h.*.attn.c_proj": "blocks.*.attention.o_proj",
            "h.*.ln_2": "blocks.*.norm2",
            "h.*.mlp.c_fc": "blocks.*.mlp.up_proj",
            "h.*.mlp.c_proj": "blocks.*.mlp.down_proj",
            "ln_f": "final_norm",
            "lm_head": "lm_head",
        },
        transposed=("h.*.attn.c_attn", "h.*.attn.c_proj", "h.*.mlp.c_fc", "h.*.mlp.c_proj"),
        ignored=("h.*.attn.bias", "h.*.attn.masked_bias"),
    ),
    "Llama": _Family(
        prefixes=("model.",),
        parts={
            "embed_tokens": "token_embedding",
            "layers.*.input_layernorm": "blocks.*.norm1",
            "layers.*.self_attn.q_proj": "blocks.*.attention.q_proj",
            "layers.*.self_attn.k_proj": "blocks.*.attention.k_proj",
            "layers.*.self_attn.v_proj": "blocks.*.attention.v_proj",
            "layers.*.self_attn.o_proj": "blocks.*.attention.o_proj",
            "layers.*.self_attn.q_norm": "blocks.*.attention.q_norm",  # Qwen3
            "layers.*.self_attn.k_norm": "blocks.*.attention.k_norm",
            "layers.*.post_attention_layernorm": "blocks.*.norm2",
            "layers.*.mlp.gate_proj": "blocks.*.mlp.gate_proj",
            "layers.*.mlp.up_proj": "blocks.*.mlp.up_proj",
            "layers.*.mlp.down_proj": "blocks.*.mlp.down_proj",
            "norm": "final_norm",
            "lm_head": "lm_head",
        },
        ignored=("layers.*.self_attn.rotary_emb.inv_freq",),
    ),
    "Mixtral": _Family(
        prefixes=("model.",),
        parts={
            "embed_tokens": "token_embedding",
            "layers.*.input_layernorm": "blocks.*.norm1",
            "layers.*.self_attn.q_proj": "blocks.*.attention.q_proj",
            "layers.*.self_attn.k_proj": "blocks.*.attention.k_proj",
            "layers.*.self_attn.v_proj": "blocks.*.attention.v_proj",
            "layers.*.self_attn.o_proj": "blocks.*.attention.o_proj",
            "layers.*.post_attention_layernorm": "blocks.*.norm2",
            "layers.*.block_sparse_moe.gate": "blocks.*.mlp.router",
            "layers.*.block_sparse_moe.experts.*.w1": "blocks.*.mlp.experts.*.gate_proj",
            "layers.*.block_sparse_moe.experts.*.w2": "blocks.*.mlp.experts.*.down_proj",
            "layers.*.block_sparse_moe.experts.*.w3": "blocks.*.mlp.experts.*.up_proj",
            "norm": "final_norm",
            "lm_head": "lm_head",
        },
        ignored=("layers.*.self_attn.rotary_emb.inv_freq",),
    ),
    "BERT": _Family(
        prefixes=("bert.",),
        parts={
            "embeddings.word_embeddings": "token_embedding",
            "embeddings.position_embeddings": "position_embedding",
            "embeddings.token_type_embeddings": "type_embedding",
            "embeddings.LayerNorm": "embedding_norm",
            "encoder.layer.*.attention.self.query": "blocks.*.attention.q_proj",
            "encoder.layer.*.attention.self.key": "blocks.*.attention.k_proj",
            "encoder.layer.*.attention.self.value": "blocks.*.attention.v_proj",
            "encoder.layer.*.attention.output.dense": "blocks.*.attention.o_proj",
            "encoder.layer.*.attention.output.LayerNorm": "blocks.*.norm1",
            "encoder.layer.*.intermediate.dense": "blocks.*.mlp.up_proj",
            "encoder.layer.*.output.dense": "blocks.*.mlp.down_proj",
            "encoder.layer.*.output.LayerNorm": "blocks.*.norm2",
            "pooler.dense": "pooler",
            "cls.predictions.transform.dense": "lm_head.dense",
            "cls.predictions.transform.LayerNorm": "lm_head.norm",
            "cls.predictions": "lm_head",  # the bias of each token
            "cls.predictions.decoder": "lm_head.decoder",  # the embedding matrix and that bias a second time
        },
        ignored=("embeddings.position_ids",),
    ),
}


def load_hf_state_dict(model: Transformer, state_dict: Mapping[str, Tensor]) -> None:
    """Copy a reference checkpoint of GPT-1, GPT-2, Llama, Mixtral or BERT into a Transformer of the same shape.
    Lectures 03-06.

    The family is recognised by its names; Llama's query and key rows are reordered if the config asks for the
    interleaved RoPE layout. Strict: raises one ValueError naming every parameter that is unknown, missing or of
    another size, before anything is copied. A model built on the meta device takes the tensors over instead of
    copying them, which saves the time and memory of initialising weights nobody will use.
    """
    _check_tensors(state_dict)
    translated, sources, unknown = _translate(_with_single_experts(state_dict))
    expected = model.state_dict()
    _drop_second_head(translated, model)
    problems = [("unknown names", unknown)]
    problems.append(("given twice", [name for name, found in sources.items() if len(found) > 1]))
    problems.append(("not in the config", [name for name in translated if name not in expected]))
    problems.append(("missing", [name for name in expected if name not in translated]))
    wrong = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(expected[name].shape)}"
        for name, tensor in translated.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    problems.append(("wrong size", wrong))
    if any(found for _, found in problems):
        told = "; ".join(f"{kind}: {_some(found)}" for kind, found in problems if found)
        raise ValueError(f"state_dict does not fit the model; make the config match the checkpoint. {told}")

    # Only now, with every size known to be right, anything is computed: a forged tensor may claim any.
    if model.config.position == "rope" and model.config.rope_layout == "interleaved":
        for name, tensor in translated.items():
            if re.search(r"attention\.[qk]_(proj|norm)", name):
                translated[name] = permute_rope_rows(tensor, model.config.head_dim, to="interleaved")
    on_meta = model.token_embedding.weight.is_meta
    if on_meta:
        if any("qkv_proj" in name for name in sources):  # thirds of one tensor, which are to be tensors of their own
            thirds = [name for name in translated if re.search(r"attention\.[qkv]_proj", name)]
            translated |= {name: translated[name].clone(memory_format=torch.contiguous_format) for name in thirds}
        translated = {name: tensor.to(expected[name].dtype).contiguous() for name, tensor in translated.items()}
    model.load_state_dict(translated, assign=on_meta)
    if on_meta and model.position_table is not None:
        model.position_table.to_empty(device=model.token_embedding.weight.device)


def _check_tensors(state_dict: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless this is a mapping of names to plain tensors of real numbers that lie in memory."""
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise ValueError(f"state_dict is {str(state_dict)[:40]!r}; give a mapping of names to tensors")
    for name, tensor in state_dict.items():
        if not isinstance(name, str):
            raise ValueError(f"state_dict has the name {str(name)[:80]!r}; names are texts")
        if not isinstance(tensor, Tensor):
            raise ValueError(f"state_dict holds a {type(tensor).__name__} under {name[:80]!r}; give tensors only")
        if tensor.is_meta or tensor.layout != torch.strided:
            kind = "on the meta device" if tensor.is_meta else f"of layout {tensor.layout}"
            raise ValueError(f"state_dict holds a tensor {kind} under {name[:80]!r}; give dense tensors with values")
        wanted = tensor.dtype.is_floating_point or _is_buffer(name)
        if not wanted:
            raise ValueError(f"state_dict holds {tensor.dtype} under {name[:80]!r}; weights are floating-point numbers")


def _is_buffer(name: str) -> bool:
    return any(_look_up(family, name) == () for family in _FAMILIES.values())


def _translate(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[str]], list[str]]:
    """The tensors under our names and in our layout, the names that each came from, and the names nobody knows."""
    family = max(_FAMILIES.values(), key=lambda family: sum(_look_up(family, name) is not None for name in state_dict))
    translated: dict[str, Tensor] = {}
    sources: dict[str, list[str]] = {}
    unknown = []
    for name, tensor in state_dict.items():
        target = _look_up(family, name)
        if target is None:
            unknown.append(name)
        elif target:
            path, transposed = target
            if transposed and tensor.dim() == 2:
                tensor = tensor.T
            sources.setdefault(path, []).append(name)
            if "qkv_proj" in path and tensor.dim():
                for part, third in zip("qkv", tensor.chunk(3)):
                    translated[path.replace("qkv_proj", f"{part}_proj")] = third
            else:
                translated[path] = tensor
    if len(unknown) == len(state_dict):
        raise ValueError(f"state_dict has none of the names of {', '.join(_FAMILIES)}; it begins with {_some(unknown)}")
    return translated, sources, unknown


_EXPERT_STACKS = {"gate_up_proj": ("w1", "w3"), "down_proj": ("w2",)}


def _with_single_experts(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Mixtral's experts under the names of published checkpoints; transformers 5 holds them as stacks in memory."""
    single: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        stack = re.fullmatch(r"(.*layers\.\d+)\.mlp\.(gate\.weight|experts\.(gate_up_proj|down_proj))", name)
        if stack is None:
            single[name] = tensor
        elif stack[3] is None:
            single[f"{stack[1]}.block_sparse_moe.gate.weight"] = tensor
        else:
            parts = _EXPERT_STACKS[stack[3]]
            if tensor.dim() != 3 or tensor.shape[1] % len(parts):
                raise ValueError(
                    f"state_dict holds {name[:120]!r} of shape {tuple(tensor.shape)}; give a stack of experts"
                )
            for number, expert in enumerate(tensor):
                for part, piece in zip(parts, expert.chunk(len(parts))):
                    single[f"{stack[1]}.block_sparse_moe.experts.{number}.{part}.weight"] = piece
    return single


def _drop_second_head(translated: dict[str, Tensor], model: Transformer) -> None:
    """Of a tied model many files hold the same matrix a second time, as the head."""
    pairs = []
    if isinstance(model.lm_head, TiedHead):
        pairs = [("lm_head.weight", "token_embedding.weight")]
    elif isinstance(model.lm_head, MaskedLMHead):
        pairs = [("lm_head.decoder.weight", "token_embedding.weight"), ("lm_head.decoder.bias", "lm_head.bias")]
    for second, first in pairs:
        head, table = translated.get(second), translated.get(first)
        if head is not None and table is not None and head.shape == table.shape:
            if table.shape == model.state_dict()[first].shape and torch.equal(head, table.to(head.dtype)):
                del translated[second]


def _look_up(family: _Family, name: str) -> tuple[str, bool] | tuple[()] | None:
    """Our name and whether to transpose; () for a name to ignore, None for an unknown one."""
    for prefix in family.prefixes:
        name = name.removeprefix(prefix)
    numbers = re.findall(r"\.(\d+)(?=\.)", name)
    general = re.sub(r"\.\d+(?=\.)", ".*", name)
    if general in family.ignored:
        return ()
    path, _, kind = general.rpartition(".")
    if "norm" in path.lower() or ".ln_" in f".{path}":  # checkpoints that began in TensorFlow
        kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
    if path not in family.parts or kind not in ("weight", "bias"):
        return None
    ours = family.parts[path].replace("*", "{}").format(*numbers)
    return f"{ours}.{kind}", path in family.transposed


def _some(names: list[str], most: int = 6) -> str:
    """The first few names, and how many more, on one line whatever they hold."""
    shown = ", ".join(repr(name[:120])[1:-1] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
