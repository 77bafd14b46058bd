"""Activations read and changed through one facility."""

import pytest
import torch
from model_families import FAMILIES, build, small_config, tokens
from torch import nn

from llmlib.model import intervene, record

CLOSE = 1e-5


def hooked(model):
    return [part for part in model.modules() if part._forward_hooks or part._forward_pre_hooks]


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_of_an_attention_are_what_o_proj_gets(family):
    model, ids = build(small_config(family)), tokens(2, 6)
    with record(model, "blocks.1.attention.heads", "blocks.1.attention.heads.2", "blocks.1.attention") as seen:
        logits = model(ids)
    heads = seen["blocks.1.attention.heads"]
    assert heads.shape == (2, 4, 6, 8) and torch.equal(seen["blocks.1.attention.heads.2"], heads[:, 2])
    out = model.blocks[1].attention.o_proj(heads.transpose(1, 2).flatten(2))
    assert (out - seen["blocks.1.attention"]).abs().max() <= CLOSE
    assert torch.equal(logits, model(ids))  # the kernel ran as always
    with record(model, "blocks.1.attention.weights.3") as one, record(model, "blocks.1.attention.weights") as every:
        model(ids)
    assert torch.equal(one["blocks.1.attention.weights.3"], every["blocks.1.attention.weights"][:, 3])


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama", "shakespeare"])
def test_an_ablated_head_is_one_whose_columns_are_zero(family):
    model, ids = build(small_config(family)), tokens(2, 6)
    with intervene(model, {"blocks.0.attention.heads.1": "zero"}):
        ablated = model(ids)
    weight = model.blocks[0].attention.o_proj.weight
    kept = weight.clone()
    weight[:, 8:16] = 0
    expected = model(ids)
    weight.copy_(kept)
    assert (ablated - expected).abs().max() <= CLOSE
    assert (ablated - model(ids)).abs().max() > 1e-3


@torch.no_grad()
def test_a_part_is_patched_scaled_and_averaged():
    model, clean, corrupted = build(small_config()), tokens(2, 6), tokens(2, 6, seed=8)
    with record(model, "blocks.1") as seen:
        expected = model(clean)
    with intervene(model, {"blocks.1": seen["blocks.1"]}):
        assert (model(corrupted) - expected).abs().max() <= CLOSE  # all that follows sees the clean run
    with intervene(model, {"blocks.*.mlp": lambda out: 0 * out, "blocks.*.attention": "zero"}):
        assert (model(clean) - model.head(model.final_norm(model.token_embedding(clean)))).abs().max() <= CLOSE
    with record(model, "blocks.0.mlp", "blocks.0.attention.heads", "blocks.0.attention.weights") as plain:
        model(clean)
    mean = {name: "mean" for name in plain}
    with intervene(model, mean), record(model, *plain) as changed:
        model(clean)
    for name, dims in (("blocks.0.attention.heads", (0, 2)), ("blocks.0.attention.weights", (0,))):
        if name.endswith("weights"):  # these come first and are not changed by another mean
            assert (changed[name] - plain[name].mean(dims, keepdim=True)).abs().max() <= CLOSE
        assert (changed[name] - changed[name].mean(dims, keepdim=True)).abs().max() <= CLOSE
    assert (changed["blocks.0.mlp"].std((0, 1)) <= CLOSE).all()
    row = torch.randn(32)
    with intervene(model, {"blocks.2": row}), record(model, "blocks.2") as seen:
        model(clean)
    assert torch.equal(seen["blocks.2"], row.expand(2, 6, 32))


@torch.no_grad()
def test_attention_weights_decide_what_comes_back():
    """A head told to look at the first token alone brings that token's value."""
    model, ids = build(small_config()), tokens(2, 6)
    first = torch.zeros(6)
    first[0] = 1.0
    with record(model, "blocks.0.attention.v_proj", "blocks.0.attention.heads") as seen:
        with intervene(model, {"blocks.0.attention.weights.2": first}):
            model(ids)
    value = seen["blocks.0.attention.v_proj"].view(2, 6, 2, 8)[:, :1, 1]  # queries 2 and 3 share the second key
    assert (seen["blocks.0.attention.heads"][:, 2] - value).abs().max() <= CLOSE
    assert (seen["blocks.0.attention.heads"][:, 3] - value).abs().max() > 1e-3


@torch.no_grad()
def test_interventions_nest_and_a_record_sees_what_is_outside_it():
    model, ids = build(small_config()), tokens(1, 5)
    plain = model(ids)
    with record(model, "blocks.0") as before, intervene(model, {"blocks.0": lambda out: out + 1}):
        with intervene(model, {"blocks.0": lambda out: 2 * out}), record(model, "blocks.0") as after:
            model(ids)
        with record(model, "blocks.0") as outer:
            model(ids)
    assert torch.equal(after["blocks.0"], 2 * (before["blocks.0"] + 1))
    assert torch.equal(outer["blocks.0"], before["blocks.0"] + 1)
    assert torch.equal(model(ids), plain) and not hooked(model)


def test_gradients_flow_through_a_change():
    model, ids = build(small_config()), tokens(1, 5)
    steer = torch.zeros(32, requires_grad=True)
    with intervene(model, {"blocks.1": lambda out: out + steer, "blocks.0.attention.heads.0": "zero"}):
        model(ids).square().sum().backward()
    assert steer.grad.abs().min() > 0
    o_proj = model.blocks[0].attention.o_proj.weight.grad
    assert o_proj[:, :8].abs().max() == 0 and o_proj[:, 8:].abs().max() > 0


def test_everything_is_as_before_after_an_error():
    model = build(small_config())
    with pytest.raises(ZeroDivisionError), intervene(model, {"blocks.0": lambda out: 1 / 0}):
        model(tokens(1, 3))
    assert not hooked(model)
    with pytest.raises(ValueError, match=r"'blocks.9', which matches no part"):
        with intervene(model, {"blocks.0": "zero", "blocks.9": "zero"}):
            pass
    assert not hooked(model)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocks.0.attention.heads.4": "zero"}, r"'blocks.0.attention.heads.4', which matches no part of the model"),
        ({"blocks.0": "median"}, r"changes\['blocks.0'\] is 'median'; give a function, a tensor, 'zero' or 'mean'"),
        ({"blocks.0": 3}, r"changes\['blocks.0'\] is 3"),
        (
            {"blocks.0": lambda out: out[0]},
            r"the change of blocks.0 gives \(3, 32\); give its output's shape \(1, 3, 32\)",
        ),
        ({"blocks.0": torch.zeros(31)}, r"the change of blocks.0 gives \(31,\)"),
        ({"blocks.0": lambda out: None}, "the change of blocks.0 gives NoneType"),
        ({"blocks.0.attention.heads.1": torch.zeros(2, 3, 8)}, r"give its output's shape \(1, 3, 8\)"),
    ],
)
def test_what_intervene_refuses(changes, told):
    model = build(small_config())
    with pytest.raises(ValueError, match=told) as error, intervene(model, changes):
        model(tokens(1, 3))
    assert "\n" not in str(error.value) and not hooked(model)


def test_a_part_that_puts_out_several_tensors_is_refused_by_name():
    class Two(nn.Module):
        def forward(self, x):
            return x, x

    model = nn.Sequential(Two())
    for context in (record(model, "0"), intervene(model, {"0": "zero"})):
        with pytest.raises(ValueError, match="0 puts out a tuple; name a part that puts out one tensor"), context:
            model(torch.zeros(1))
