"""The parts, each against its definition."""

import math

import pytest
import torch
import torch.nn.functional as F
from model_families import build, small_config, tokens

from llmlib.model import (
    MLP,
    RMSNorm,
    SwiGLU,
    apply_rope,
    causal_mask,
    permute_rope_rows,
    plain_attention,
    record,
    sinusoidal_table,
)
from llmlib.model.context import attention_pattern, document_tags


def heads(n, length, dim=8, seed=0):
    return torch.randn(2, n, length, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_plain_attention_is_the_kernel_spelled_out(n_kv_heads, causal):
    q, k, v = heads(4, 6), heads(n_kv_heads, 6, seed=1), heads(n_kv_heads, 6, seed=2)
    out, weights = plain_attention(q, k, v, causal=causal)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    assert (out - expected).abs().max() <= 1e-5
    assert weights.shape == (2, 4, 6, 6)
    assert (weights.sum(-1) - 1).abs().max() <= 1e-6
    assert (weights.triu(1).max() == 0) == causal


def test_plain_attention_with_a_mask_and_later_queries():
    q, k, v = heads(4, 2), heads(4, 6, seed=1), heads(4, 6, seed=2)
    out, weights = plain_attention(q, k, v, causal=True)
    assert (weights[:, :, 0, 5] == 0).all() and (weights[:, :, 0, :5] > 0).all()  # the last query is on the last key
    masked, _ = plain_attention(q, k, v, causal_mask(2, 6))
    assert torch.equal(out, masked)
    mask = torch.tensor([True, False, True, True, False, True])
    expected = plain_attention(q, k[:, :, mask], v[:, :, mask])[0]
    assert (plain_attention(q, k, v, mask)[0] - expected).abs().max() <= 1e-6


def test_plain_attention_refuses_heads_that_cannot_be_shared():
    with pytest.raises(ValueError, match="k has 3 heads, which do not divide q's 4"):
        plain_attention(heads(4, 2), heads(3, 2), heads(3, 2))


def test_causal_mask():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True] * 4]
    assert causal_mask(2, 3, offset=0).tolist() == [[True, False, False], [True, True, False]]


def test_attention_pattern_by_hand():
    tags = torch.tensor([[-1, 0, 0, 5]])
    mask, positions = attention_pattern(tags, tags, causal=True)
    assert positions.tolist() == [[0, 0, 1, 0]]
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    both_ways, _ = attention_pattern(tags, tags, causal=False)
    assert both_ways[0, 0].int().tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    later, positions = attention_pattern(tags[:, 2:], tags, causal=True)
    assert torch.equal(later, mask[:, :, 2:]) and positions.tolist() == [[1, 0]]


def test_document_tags():
    pad_mask, segments = torch.tensor([[True, True, False]]), torch.tensor([[4, -7, 4]])
    assert document_tags((1, 3), None, None) is None
    assert document_tags((1, 3), pad_mask, None).tolist() == [[0, 0, -1]]
    assert document_tags((1, 3), None, segments).tolist() == [[4, -1, 4]]
    assert document_tags((1, 3), pad_mask, segments).tolist() == [[4, -1, -1]]


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_turns_pairs(layout):
    """Every pair is a complex number, multiplied by exp(i * position * frequency)."""
    x, positions, dim = heads(3, 5), torch.tensor([0, 1, 2, 7, 40]), 8
    first, second = (x[..., :4], x[..., 4:]) if layout == "half" else (x[..., 0::2], x[..., 1::2])
    frequency = 100.0 ** (-torch.arange(4) * 2 / dim)
    turned = torch.complex(first, second) * torch.polar(torch.ones(5, 4), positions[:, None] * frequency)
    out = apply_rope(x, positions, theta=100.0, layout=layout)
    ours = (out[..., :4], out[..., 4:]) if layout == "half" else (out[..., 0::2], out[..., 1::2])
    assert (torch.complex(*ours) - turned).abs().max() <= 1e-5
    per_row = apply_rope(x, torch.stack([positions, positions + 1]), theta=100.0, layout=layout)
    assert torch.equal(per_row[0], out[0]) and not torch.equal(per_row[1], out[1])


def test_rope_products_depend_on_the_distance_only():
    q, k = heads(1, 1), heads(1, 1, seed=1)
    product = lambda i, j: (apply_rope(q, torch.tensor([i])) * apply_rope(k, torch.tensor([j]))).sum(-1)
    assert (product(3, 1) - product(103, 101)).abs().max() <= 1e-4
    assert (product(3, 1) - product(4, 1)).abs().max() > 1e-2


def test_rope_layouts_are_the_same_up_to_the_order_of_rows():
    q, k = (torch.randn(3 * 8, 10, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    x, positions = torch.randn(1, 5, 10, generator=torch.Generator().manual_seed(2)), torch.arange(5)

    def scores(q_rows, k_rows, layout):
        turned = [
            apply_rope((x @ w.T).view(1, 5, 3, 8).transpose(1, 2), positions, layout=layout) for w in (q_rows, k_rows)
        ]
        return turned[0] @ turned[1].transpose(-2, -1)

    moved = [permute_rope_rows(w, 8, to="interleaved") for w in (q, k)]
    assert (scores(q, k, "half") - scores(*moved, "interleaved")).abs().max() <= 1e-4
    assert torch.equal(permute_rope_rows(moved[0], 8, to="half"), q)
    assert permute_rope_rows(q[:, 0], 8, to="interleaved").shape == (24,)  # biases move along


def test_rope_bad_arguments():
    with pytest.raises(ValueError, match="layout is 'quarter'; choose one of half, interleaved"):
        apply_rope(heads(1, 2), torch.arange(2), layout="quarter")
    with pytest.raises(ValueError, match="positions has 3 entries for 2 tokens"):
        apply_rope(heads(1, 2), torch.arange(3))
    with pytest.raises(ValueError, match="to is 'quarter'"):
        permute_rope_rows(torch.zeros(8, 2), 8, to="quarter")


def test_sinusoids():
    table = sinusoidal_table(torch.arange(50), 6)
    assert table.shape == (50, 6)
    assert table[7, 2].item() == pytest.approx(math.sin(7 / 10000 ** (2 / 6)), abs=1e-6)
    assert table[7, 3].item() == pytest.approx(math.cos(7 / 10000 ** (2 / 6)), abs=1e-6)


def test_rmsnorm():
    x, norm = 5 * torch.randn(3, 16) + 2, RMSNorm(16, eps=1e-3)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(16))
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * norm.weight
    assert (norm(x) - expected).abs().max() <= 1e-5


def test_mlps():
    x, layer = torch.randn(3, 6), SwiGLU(6, 10)
    gate, up = x @ layer.gate_proj.weight.T, x @ layer.up_proj.weight.T
    assert (layer(x) - (gate * gate.sigmoid() * up) @ layer.down_proj.weight.T).abs().max() <= 1e-6
    curves = {
        "gelu": lambda z: z * 0.5 * (1 + torch.erf(z / 2**0.5)),
        "gelu_tanh": lambda z: 0.5 * z * (1 + torch.tanh((2 / math.pi) ** 0.5 * (z + 0.044715 * z**3))),
        "relu": lambda z: z.clamp(min=0),
        "relu2": lambda z: z.clamp(min=0) ** 2,
    }
    for name, curve in curves.items():
        mlp = MLP(6, 10, name, bias=True)
        assert (mlp(x) - mlp.down_proj(curve(mlp.up_proj(x)))).abs().max() <= 1e-6


@torch.no_grad()
def test_record_sees_what_happens_inside():
    model, ids = build(small_config()), tokens(2, 7)
    expected = model(ids)
    with record(model, "blocks.1.mlp", "blocks.*.attention.weights", "final_norm") as seen:
        logits = model(ids)
    assert (logits - expected).abs().max() <= 1e-5
    assert set(seen) == {"blocks.1.mlp", "final_norm", *(f"blocks.{i}.attention.weights" for i in range(3))}
    weights = seen["blocks.2.attention.weights"]
    assert weights.shape == (2, 4, 7, 7)
    assert (weights.sum(-1) - 1).abs().max() <= 1e-6 and weights.triu(1).max() == 0
    assert torch.equal(model.head(seen["final_norm"]), logits)
    before = dict(seen)
    model(tokens(2, 3))  # over: nothing is recorded any more, and the kernel is back
    assert seen == before and not any(part._forward_hooks for part in model.modules())


def test_record_cleans_up_after_an_error_and_keeps_no_graph():
    model = build(small_config())
    with pytest.raises(ValueError, match="ids holds 999"), record(model, "blocks.0", "blocks.0.attention.weights"):
        model(torch.tensor([[999]]))
    assert not any(part._forward_hooks for part in model.modules())
    with record(model, "blocks.0") as seen:
        model(tokens(1, 3))
    assert not seen["blocks.0"].requires_grad


def test_record_refuses_names_that_match_nothing():
    with pytest.raises(ValueError, match=r"'blocks.0.attn', which matches no part of the model; did you mean blocks.0"):
        with record(build(small_config()), "blocks.0.attn"):
            pass


@pytest.mark.parametrize("family", ["gpt2", "llama", "shakespeare"])
def test_the_forward_pass_is_one_graph(family):
    """torch.compile finds nothing it must leave to Python. The eager back end needs no compiler."""
    model, ids = build(small_config(family)), tokens(2, 9)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert (compiled(ids) - model(ids)).abs().max() <= 1e-5
