"""What load_hf_state_dict refuses: nothing is computed, allocated or changed before every tensor is known to fit."""

import pytest
import torch

from llmlib.hub import load_hf_state_dict
from llmlib.model import ModelConfig, Transformer

SHAPE = dict(vocab_size=11, n_layers=1, d_model=8, n_heads=2, max_seq_len=6)
HUGE = (1 << 20, 3 << 20)  # 12 TB, if anybody should copy it


def gpt2():
    return Transformer(ModelConfig(**SHAPE, norm="layernorm", mlp="gelu", position="learned", bias=True))


def reference_names(model):
    """The model's own weights under GPT-2's names."""
    state = {}
    names = {"token_embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f", "norm1": "ln_1"}
    names |= {"norm2": "ln_2", "attention": "attn", "o_proj": "c_proj", "up_proj": "c_fc", "down_proj": "c_proj"}
    own = model.state_dict()
    for name, tensor in own.items():
        if "k_proj" in name or "v_proj" in name:
            continue
        if "q_proj" in name:
            tensor = torch.cat([own[name.replace("q_proj", f"{part}_proj")] for part in "qkv"])
            name = name.replace("q_proj", "c_attn")
        theirs = "transformer." + ".".join(names.get(part, part) for part in name.replace("blocks", "h").split("."))
        state[theirs] = tensor.T.clone() if tensor.dim() == 2 and ".h." in theirs else tensor.clone()
    return state


def test_the_names_are_right():
    source, model = gpt2(), gpt2()
    load_hf_state_dict(model, reference_names(source))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), source.state_dict().values()))


FORGED = {
    "number": ("transformer.h.0.ln_1.weight", 3.0, "holds a float"),
    "nothing": ("transformer.h.0.ln_1.weight", None, "holds a NoneType"),
    "integers": ("transformer.h.0.ln_1.weight", torch.ones(8, dtype=torch.int64), "torch.int64"),
    "truth values": ("transformer.wte.weight", torch.ones(11, 8, dtype=torch.bool), "torch.bool"),
    "complex": ("transformer.wte.weight", torch.ones(11, 8, dtype=torch.complex64), "torch.complex64"),
    "sparse": ("transformer.wte.weight", torch.eye(8).to_sparse(), "layout"),
    "meta": ("transformer.wte.weight", torch.empty(11, 8, device="meta"), "meta device"),
    "huge qkv": ("transformer.h.0.attn.c_attn.weight", torch.zeros(1).expand(HUGE), "wrong size"),
    "huge head": ("lm_head.weight", torch.zeros(1).expand(HUGE), "not in the config"),
    "a point": ("transformer.h.0.attn.c_attn.weight", torch.zeros(()), "not in the config"),
    "no rows": ("transformer.h.0.attn.c_attn.bias", torch.zeros(0), "wrong size"),
    "twice": ("h.0.ln_1.weight", torch.ones(8), "given twice: blocks.0.norm1.weight"),
    "a line break": ("transformer.h.0.evil\nname", torch.ones(8), r"unknown names: transformer.h.0.evil\nname"),
    "a number for a name": (7, torch.ones(8), "the name '7'"),
}


@pytest.mark.parametrize("case", FORGED)
@pytest.mark.parametrize("on_meta", [False, True])
def test_a_forged_entry_is_refused_in_one_line(case, on_meta):
    name, value, words = FORGED[case]
    model = gpt2()
    state = reference_names(model) | {name: value}
    if on_meta:
        model = model.to("meta")
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_hf_state_dict(model, state)
    assert words in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 2000
    assert all(on_meta or torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_huge_query_rows_of_an_interleaved_llama_are_not_reordered_before_they_are_measured():
    model = Transformer(ModelConfig(**SHAPE, rope_layout="interleaved"))
    with pytest.raises(ValueError, match="wrong size"):
        load_hf_state_dict(model, {"model.layers.0.self_attn.q_proj.weight": torch.zeros(1).expand(HUGE)})


@pytest.mark.parametrize("given", [None, [], {}, "text", 3])
def test_what_is_no_mapping_is_refused(given):
    with pytest.raises(ValueError, match="give a mapping of names to tensors"):
        load_hf_state_dict(gpt2(), given)
