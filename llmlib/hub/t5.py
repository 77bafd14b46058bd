"""T5's published weights in our encoder-decoder. Lecture 05."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from llmlib.model import EncoderDecoder, TiedHead

PARTS = {  # of each stack: its path in the reference -> ours; the numbers are of the sublayers
    r"block\.(\d+)\.layer\.0\.SelfAttention\.([qkvo])": r"blocks.\1.attention.\2_proj",
    r"block\.(\d+)\.layer\.0\.layer_norm": r"blocks.\1.norm1",
    r"block\.0\.layer\.0\.SelfAttention\.relative_attention_bias": "relative",
    r"block\.(\d+)\.layer\.1\.EncDecAttention\.([qkvo])": r"blocks.\1.cross_attention.\2_proj",
    r"block\.(\d+)\.layer\.1\.layer_norm": r"blocks.\1.norm_cross",
    r"block\.(\d+)\.layer\.(?:1|2)\.DenseReluDense\.wi": r"blocks.\1.mlp.up_proj",
    r"block\.(\d+)\.layer\.(?:1|2)\.DenseReluDense\.wo": r"blocks.\1.mlp.down_proj",
    r"block\.(\d+)\.layer\.2\.layer_norm": r"blocks.\1.norm2",
    r"final_layer_norm": "final_norm",
    r"embed_tokens": "token_embedding",
}


@torch.no_grad()
def load_t5_state_dict(model: EncoderDecoder, state_dict: Mapping[str, Tensor]) -> None:
    """Copy the first T5's weights (Raffel et al., 2020), under the reference's names, into a model of that shape.

    Two constants move into the weights: T5 does not divide its scores by sqrt(head_dim), so queries are multiplied by
    it; and before a tied head it divides states by sqrt(d_model), so the decoder's last norm is. Strict: one ValueError
    that names every parameter that is unknown, missing or of another size, before anything is copied.
    """
    if model.shape.relative is None or model.config.bias or model.config.mlp != "relu":
        raise ValueError("model is no T5: build it with relative positions, mlp='relu' and no biases (t5_config)")
    ours: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in state_dict.items():
        translated = _translate(name)
        if translated is None:
            unknown.append(name)
        else:
            ours[translated] = tensor
    table = ours.pop("shared.weight", None)
    if table is not None:
        for stack in ("encoder", "decoder"):
            ours.setdefault(f"{stack}.token_embedding.weight", table)
    tied = isinstance(model.decoder.lm_head, TiedHead)
    if tied:
        ours.pop("decoder.lm_head.weight", None)
    expected = model.state_dict()
    wrong = [n for n in ours if n in expected and ours[n].shape != expected[n].shape]
    problems = {
        "unknown names": unknown + [name for name in ours if name not in expected],
        "missing": [name for name in expected if name not in ours],
        "wrong size": wrong,
    }
    if any(problems.values()):
        told = "; ".join(f"{kind}: {', '.join(found[:6])}" for kind, found in problems.items() if found)
        raise ValueError(f"state_dict does not fit the model; make the config match the checkpoint. {told}")
    for name in ours:
        if name.endswith("attention.q_proj.weight"):
            ours[name] = ours[name] * math.sqrt(model.config.head_dim)
    if tied:
        ours["decoder.final_norm.weight"] = ours["decoder.final_norm.weight"] / math.sqrt(model.config.d_model)
    model.load_state_dict(ours)


def _translate(name: str) -> str | None:
    """Our name of a parameter, None for an unknown one."""
    if name in ("shared.weight", "lm_head.weight"):
        return {"shared.weight": "shared.weight", "lm_head.weight": "decoder.lm_head.weight"}[name]
    stack, _, rest = name.partition(".")
    path, _, kind = rest.rpartition(".")
    if stack not in ("encoder", "decoder") or kind != "weight":
        return None
    for pattern, ours in PARTS.items():
        found = re.fullmatch(pattern, path)
        if found:
            target = found.expand(ours)
            if stack == "encoder" and re.fullmatch(r"block\.\d+\.layer\.1\.layer_norm", path):
                target = target.replace("norm_cross", "norm2")  # an encoder's second sublayer is its last
            return f"{stack}.{target}.weight"
    return None
