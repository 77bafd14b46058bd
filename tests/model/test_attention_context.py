"""Attention and blocks on their own: self and cross, with and without memory, on plain tensors."""

import pytest
import torch
import torch.nn.functional as F
from model_families import FAMILIES, build, encoder_config, small_config, tokens

from llmlib.model import (
    Attention,
    AttentionContext,
    KVCache,
    LayerMemory,
    apply_rope,
    causal_mask,
    plain_attention,
    rope_tables,
)

CLOSE = 1e-5


def states(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(model, ids, pad_mask=None, cache=None):
    """A forward pass of a Transformer, out of its public parts."""
    x = model.token_embedding(ids)
    past = 0 if cache is None else cache.columns
    if model.config.position == "learned":
        x = x + model.position_embedding.weight[past : past + ids.shape[1]]
    context = AttentionContext.of(model.config, x, past, pad_mask)
    for i, block in enumerate(model.blocks):
        x = block(x, context, None if cache is None else cache.layers[i])
    return model.lm_head(x if model.final_norm is None else model.final_norm(x))


@torch.no_grad()
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "sinusoidal"])
def test_a_model_is_the_sum_of_its_public_parts(family):
    model, ids = build(small_config(family)), tokens(2, 9)
    assert (by_hand(model, ids) - model(ids)).abs().max() <= CLOSE
    cache = KVCache(model.config, batch_size=2)
    logits = torch.cat([by_hand(model, ids[:, a:b], cache=cache) for a, b in ((0, 5), (5, 6), (6, 9))], 1)
    assert (logits - model(ids)).abs().max() <= CLOSE
    if model.config.position == "rope":
        pad_mask = torch.tensor([[False] * 4 + [True] * 5, [True] * 9])
        assert (by_hand(model, ids, pad_mask) - model(ids, pad_mask=pad_mask))[pad_mask].abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_block_runs_alone_as_the_first_of_a_model(family):
    model, x = build(small_config(family)), states(2, 7, 32)
    alone = model.blocks[0](x)
    assert (alone - model.blocks[0](x, AttentionContext.of(model.config, x))).abs().max() <= CLOSE
    changed = x.clone()
    changed[:, 4:] += 1.0
    assert (model.blocks[0](changed) - alone)[:, :4].abs().max() <= CLOSE  # causal without being told
    memory = LayerMemory()
    chunks = [model.blocks[0](x[:, a:b], memory=memory) for a, b in ((0, 3), (3, 4), (4, 7))]
    assert (torch.cat(chunks, 1) - alone).abs().max() <= CLOSE and memory.columns == 7


@torch.no_grad()
def test_a_block_of_an_encoder_sees_both_ways():
    block, x = build(encoder_config()).blocks[0], states(1, 6, 32)
    changed = x.clone()
    changed[:, -1] += 1.0
    assert (block(changed) - block(x)).abs().amax(-1).min() > 1e-4


@torch.no_grad()
def test_attention_alone_is_the_definition():
    attention, x = build(small_config("llama")).blocks[0].attention, states(2, 6, 32)
    q = attention.q_proj(x).view(2, 6, 4, 8).transpose(1, 2)
    k, v = (proj(x).view(2, 6, 2, 8).transpose(1, 2) for proj in (attention.k_proj, attention.v_proj))
    q, k = (apply_rope(t, torch.arange(6)) for t in (q, k))
    expected = attention.o_proj(plain_attention(q, k, v, causal=True)[0].transpose(1, 2).flatten(2))
    assert (attention(x) - expected).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("family", ["gpt2", "llama", "shakespeare"])
def test_cross_attention_reads_the_source(family, plain):
    config = small_config(family, position="none", attention="plain" if plain else "sdpa")
    attention = build(config).blocks[0].attention
    x, source = states(2, 3, 32), states(2, 7, 32, seed=1)
    real = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    out = attention(x, AttentionContext(source=source, mask=real[:, None, None]))
    heads = lambda proj, t, n: proj(t).view(2, -1, n, 8).transpose(1, 2)
    q, k = heads(attention.q_proj, x, 4), heads(attention.k_proj, source, config.n_kv_heads)
    if attention.q_norm is not None:
        q, k = attention.q_norm(q), attention.k_norm(k)
    v = heads(attention.v_proj, source, config.n_kv_heads)
    mixed, _ = plain_attention(q, k, v, real[:, None, None])
    assert (out - attention.o_proj(mixed.transpose(1, 2).flatten(2))).abs().max() <= CLOSE
    changed = source.clone()
    changed[1, 4:] += 1.0
    assert torch.equal(attention(x, AttentionContext(source=changed, mask=real[:, None, None])), out)


@torch.no_grad()
def test_a_remembered_source_is_projected_once():
    attention, x, source = build(small_config("llama")).blocks[0].attention, states(2, 5, 32), states(2, 7, 32, seed=1)
    context, memory, calls = AttentionContext(source=source), LayerMemory(), []
    whole = attention(x, context)
    handle = attention.k_proj.register_forward_hook(lambda *_: calls.append(1))
    parts = [attention(x[:, a:b], context, memory) for a, b in ((0, 1), (1, 4), (4, 5))]
    handle.remove()
    assert (torch.cat(parts, 1) - whole).abs().max() <= CLOSE
    assert len(calls) == 1 and memory.columns == 7
    with pytest.raises(ValueError, match="memory holds a source of 2 rows for x of 1; reset or select it"):
        attention(x[:1], AttentionContext(source=source[:1]), memory)


def test_gradients_reach_a_remembered_source():
    attention, x = build(small_config("llama")).blocks[0].attention, states(1, 4, 32)
    gradients = []
    for cuts in ([(0, 4)], [(0, 1), (1, 4)]):
        source, memory = states(1, 6, 32, seed=1).requires_grad_(), LayerMemory()
        context = AttentionContext(source=source)
        torch.cat([attention(x[:, a:b], context, memory) for a, b in cuts], 1).square().sum().backward()
        gradients.append(source.grad)
    assert gradients[0].abs().max() > 0 and (gradients[0] - gradients[1]).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("attention_kind", ["sdpa", "plain"])
def test_causal_means_the_last_query_on_the_last_key(attention_kind):
    """Also where memory makes the keys more than the queries, and beside a mask of one's own."""
    attention = build(small_config("llama", position="none", attention=attention_kind)).blocks[0].attention
    x, causal = states(2, 8, 32), AttentionContext(causal=True)
    whole = attention(x, causal)
    memory = LayerMemory()
    parts = [attention(x[:, a:b], causal, memory) for a, b in ((0, 3), (3, 4), (4, 8))]
    assert (torch.cat(parts, 1) - whole).abs().max() <= CLOSE
    own = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.5
    own.fill_diagonal_(True)
    both = attention(x, AttentionContext(mask=own, causal=True))
    assert (both - attention(x, AttentionContext(mask=own & causal_mask(8)))).abs().max() <= CLOSE


@torch.no_grad()
def test_a_prefix_may_be_read_both_ways():
    """A prefix language model, which no config expresses: its context is spelled out."""
    model, ids = build(small_config("no_position")), tokens(1, 8)
    mask = causal_mask(8) | (torch.arange(8) < 3)
    x = model.token_embedding(ids)
    changed = x.clone()
    changed[:, 2] += 1.0
    outs = []
    for start in (x, changed):
        for block in model.blocks:
            start = block(start, AttentionContext(mask=mask))
        outs.append(start)
    assert (outs[0] - outs[1]).abs().amax(-1).min() > 1e-4  # the first token sees the third
    changed = x.clone()
    changed[:, 5] += 1.0
    for block in model.blocks:
        changed = block(changed, AttentionContext(mask=mask))
    assert (changed - outs[0])[:, :5].abs().max() <= CLOSE


@torch.no_grad()
def test_leading_dimensions_are_free():
    q, k, v = states(2, 4, 5, 8), states(2, 2, 5, 8, seed=1), states(2, 2, 5, 8, seed=2)
    out, weights = plain_attention(q, k, v, causal=True)
    more = [torch.stack([t, t + 1]) for t in (q, k, v)]
    assert (plain_attention(*more, causal=True)[0][0] - out).abs().max() <= 1e-6
    assert (plain_attention(q[1], k[1], v[1], causal=True)[0] - out[1]).abs().max() <= 1e-6
    one = plain_attention(q[1, 3], k[1, 1], v[1, 1], causal=True)
    assert (one[0] - out[1, 3]).abs().max() <= 1e-6 and (one[1] - weights[1, 3]).abs().max() <= 1e-6

    positions = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    turned = apply_rope(q, positions)
    assert torch.equal(apply_rope(q[1], positions[1]), turned[1])
    assert torch.equal(apply_rope(q[1, 2], positions[1]), turned[1, 2])
    assert torch.equal(apply_rope(q[:, 2], positions), turned[:, 2])
    assert torch.equal(apply_rope(torch.stack([q, q]), torch.stack([positions, positions]))[1], turned)
    with pytest.raises(ValueError, match=r"positions has shape \(2, 5\), which does not fit x \(4, 5, 8\)"):
        apply_rope(q[0], positions)
    x, attention = states(5, 32), build(small_config()).blocks[0].attention
    assert (attention(x) - attention(x[None])[0]).abs().max() <= CLOSE


def test_what_a_context_refuses():
    with pytest.raises(ValueError, match="rope and source are both given"):
        AttentionContext(rope=rope_tables(torch.arange(3), 8), source=torch.zeros(1, 3, 32))
    with pytest.raises(ValueError, match=r"mask has dtype torch.float32; give bool"):
        AttentionContext(mask=torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"pad_mask has shape \(1, 3\); give one entry per token, here \(1, 5\)"):
        AttentionContext.of(small_config(), torch.zeros(1, 3, 32), past=2, pad_mask=torch.ones(1, 3).bool())


@torch.no_grad()
def test_attention_of_one_new_token_uses_its_mask():
    attention = Attention(small_config("llama", position="none")).eval()
    x, memory = states(2, 6, 32), LayerMemory()
    attention(x[:, :5], AttentionContext(causal=True), memory)
    mask = torch.tensor([True, False, True, True, False, True])
    out = attention(x[:, 5:], AttentionContext(mask=mask[None]), memory)
    expected = attention(x[:, mask], AttentionContext(causal=True))[:, -1:]
    assert (out - expected).abs().max() <= CLOSE


WINDOWS = {"gpt2": {}, "llama": {}, "shakespeare": {}}


@torch.no_grad()
@pytest.mark.parametrize("family", WINDOWS)
@pytest.mark.parametrize("attention", ["sdpa", "plain"])
def test_a_sliding_window_forgets_what_lies_behind_it(family, attention):
    """One layer of window 4 equals reading the last 4 tokens; through the cache, padded and packed it stays so."""
    model = build(small_config(family, n_layers=1, position="none", sliding_window=4, attention=attention))
    free = build(small_config(family, n_layers=1, position="none", attention=attention))
    free.load_state_dict(model.state_dict())
    ids = tokens(2, 11)
    expected = torch.stack([free(ids[:, max(0, t - 3) : t + 1])[:, -1] for t in range(11)], 1)
    assert (model(ids) - expected).abs().max() <= CLOSE
    cache = KVCache(model.config, batch_size=2)
    chunks = [model(ids[:, a:b], cache=cache) for a, b in ((0, 3), (3, 4), (4, 9), (9, 10), (10, 11))]
    assert (torch.cat(chunks, 1) - expected).abs().max() <= CLOSE

    pad_mask = torch.ones(2, 14, dtype=torch.bool)
    pad_mask[0, [0, 1, 5]] = pad_mask[1, [4, 12, 13]] = False  # before, between and after
    padded = torch.zeros(2, 14, dtype=torch.int64).masked_scatter(pad_mask, ids)
    assert (model(padded, pad_mask=pad_mask)[pad_mask] - expected.flatten(0, 1)).abs().max() <= CLOSE
    cache = KVCache(model.config, batch_size=2)
    cuts = ((0, 6), (6, 7), (7, 14))
    chunks = [model(padded[:, a:b], cache=cache, pad_mask=pad_mask[:, a:b]) for a, b in cuts]
    assert (torch.cat(chunks, 1)[pad_mask] - expected.flatten(0, 1)).abs().max() <= CLOSE

    segments = torch.tensor([[0] * 6 + [1] * 5])
    packed = model(ids[:1], segments=segments)
    assert (packed[:, 6:] - model(ids[:1, 6:])).abs().max() <= CLOSE
    assert (packed[:, :6] - expected[:1, :6]).abs().max() <= CLOSE


def test_windows_and_longer_rope_check_themselves():
    from llmlib.model import RopeScaling

    for changes, told in (
        (dict(sliding_window=0), "sliding_window is 0; use a whole number"),
        (dict(sliding_window=4, causal=False), "sliding_window given with causal=False"),
        (dict(rope_scaling=8.0), "rope_scaling is 8.0; give a RopeScaling"),
        (dict(rope_scaling=RopeScaling(), position="learned"), "rope_scaling given with position 'learned'"),
    ):
        with pytest.raises(ValueError, match=told):
            small_config(**changes)
    with pytest.raises(ValueError, match=r"factor is 0.5; use 1 or more"):
        RopeScaling(factor=0.5)
    with pytest.raises(ValueError, match=r"low_freq_factor is 4.0 and high_freq_factor 4.0"):
        RopeScaling(low_freq_factor=4.0)
    with pytest.raises(ValueError, match="original_max_seq_len is 0"):
        RopeScaling(original_max_seq_len=0)


@torch.no_grad()
def test_dropout_is_drawn_as_before():
    """Order and number of random draws decide recorded runs: one per attention, two per block, one after embedding."""
    model, ids = build(small_config("gpt2", n_layers=1, dropout=0.4)).train(), tokens(2, 5)
    torch.manual_seed(3)
    logits = model(ids)
    torch.manual_seed(3)
    block, drop = model.blocks[0], lambda t: F.dropout(t, 0.4)
    x = drop(model.token_embedding(ids) + model.position_embedding.weight[:5])
    q, k, v = (
        proj(block.norm1(x)).view(2, 5, 4, 8).transpose(1, 2)
        for proj in (block.attention.q_proj, block.attention.k_proj, block.attention.v_proj)
    )
    mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=0.4, is_causal=True)
    x = x + drop(block.attention.o_proj(mixed.transpose(1, 2).flatten(2)))
    x = x + drop(block.mlp(block.norm2(x)))
    assert (model.head(model.final_norm(x)) - logits).abs().max() <= CLOSE
