"""Cached logits equal uncached ones, whatever happened to the cache before."""

import pytest
import torch
import torch.nn.functional as F
from model_families import VOCAB, build, encoder_config, small_config, tokens

from llmlib.model import KVCache, Transformer

CLOSE = 1e-5
CHUNKS = {
    "whole": [12],
    "token by token": [1] * 12,
    "prefill then tokens": [7, 1, 1, 1, 1, 1],
    "uneven chunks": [3, 1, 5, 1, 2],
}


def read_in_chunks(model, ids, sizes, cache, **inputs):
    """Logits of ids read through the cache in chunks of the given sizes."""
    logits, start = [], 0
    for size in sizes:
        here = slice(start, start + size)
        logits.append(model(ids[:, here], cache=cache, **{name: value[:, here] for name, value in inputs.items()}))
        start += size
    assert start == ids.shape[1]
    return torch.cat(logits, 1)


@pytest.fixture(params=[None, 12, 30], ids=["growing", "exact", "roomy"])
def max_len(request):
    return request.param


@torch.no_grad()
@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_chunks(model, sizes, max_len):
    ids = tokens(2, 12)
    cache = KVCache(model.config, batch_size=2, max_len=max_len)
    assert (read_in_chunks(model, ids, sizes, cache) - model(ids)).abs().max() <= CLOSE
    assert cache.lengths.tolist() == [12, 12] and cache.columns == 12


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "plain"])
@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_rows_of_different_lengths(sizes, max_len, attention):
    model = build(small_config("llama", attention=attention))
    pad_mask = torch.ones(4, 12, dtype=torch.bool)
    pad_mask[0, :5] = False  # padded on the left
    pad_mask[1, 4:9] = False  # on the right, with more tokens after the gap
    pad_mask[2, 9:] = False
    ids = tokens(4, 12)
    cache = KVCache(model.config, batch_size=4, max_len=max_len)
    logits = read_in_chunks(model, ids, sizes, cache, pad_mask=pad_mask)
    for row in range(4):
        real = pad_mask[row]
        assert (logits[row, real] - model(ids[row : row + 1, real])[0]).abs().max() <= CLOSE
    assert cache.lengths.tolist() == [7, 7, 9, 12]


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_batched_decoding_after_a_ragged_prompt(model, side):
    """The way `generate` works: prompts of different lengths, then one token for every row without a mask."""
    prompts, new = [tokens(1, n, seed=n)[0] for n in (3, 8, 5)], tokens(3, 6)
    pad = lambda row: F.pad(row, (8 - len(row), 0) if side == "left" else (0, 8 - len(row)))
    ids = torch.stack([pad(prompt) for prompt in prompts])
    pad_mask = torch.stack([pad(torch.ones_like(prompt)) for prompt in prompts]).bool()
    cache = KVCache(model.config, batch_size=3, max_len=14)
    model(ids, cache=cache, pad_mask=pad_mask)
    logits = torch.cat([model(new[:, i : i + 1], cache=cache) for i in range(6)], 1)
    for row, prompt in enumerate(prompts):
        alone = model(torch.cat([prompt, new[row]])[None])[0, len(prompt) :]
        assert (logits[row] - alone).abs().max() <= CLOSE
    assert cache.lengths.tolist() == [9, 14, 11]


@torch.no_grad()
def test_a_finished_row_may_pad_while_others_go_on(model):
    ids, cache = tokens(2, 10), KVCache(model.config, batch_size=2)
    pad_mask = torch.ones(2, 10, dtype=torch.bool)
    pad_mask[1, 4:7] = False
    logits = read_in_chunks(model, ids, [4, 1, 1, 1, 3], cache, pad_mask=pad_mask)
    assert (logits[0] - model(ids[:1])[0]).abs().max() <= CLOSE
    real = pad_mask[1]
    assert (logits[1, real] - model(ids[1:, real])[0]).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_packed_segments(model, sizes):
    ids, segments = tokens(1, 12), torch.tensor([[0] * 5 + [1] * 3 + [2] * 4])
    cache = KVCache(model.config, max_len=12)
    logits = read_in_chunks(model, ids, sizes, cache, segments=segments)
    alone = torch.cat([model(ids[:, segments[0] == s]) for s in range(3)], 1)
    assert (logits - alone).abs().max() <= CLOSE


@torch.no_grad()
def test_own_positions(model):
    ids, positions = tokens(1, 12), torch.arange(12)[None] * 3
    cache = KVCache(model.config)
    logits = read_in_chunks(model, ids, [5, 1, 6], cache, positions=positions)
    assert (logits - model(ids, positions=positions)).abs().max() <= CLOSE


@torch.no_grad()
def test_reset_forgets_everything(model, max_len):
    cache = KVCache(model.config, batch_size=2, max_len=max_len)
    pad_mask = torch.ones(2, 9, dtype=torch.bool)
    pad_mask[0, :3] = False
    model(tokens(2, 9), cache=cache, pad_mask=pad_mask)
    cache.reset()
    assert cache.columns == 0 and cache.lengths.tolist() == [0, 0]
    ids = tokens(2, 12, seed=8)
    assert (read_in_chunks(model, ids, [4, 1, 7], cache) - model(ids)).abs().max() <= CLOSE


@torch.no_grad()
def test_a_static_cache_takes_its_memory_once(model):
    cache = KVCache(model.config, max_len=20)
    model(tokens(1, 3), cache=cache)
    storage = [layer.keys.data_ptr() for layer in cache.layers]
    assert cache.nbytes == 20 * model.kv_bytes_per_token()
    model(tokens(1, 9), cache=cache)
    cache.reset()
    model(tokens(1, 20), cache=cache)
    assert [layer.keys.data_ptr() for layer in cache.layers] == storage


@torch.no_grad()
def test_overflow_says_what_to_do_and_changes_nothing(model):
    ids, cache = tokens(1, 12), KVCache(model.config, max_len=10)
    model(ids[:, :8], cache=cache)
    with pytest.raises(
        ValueError, match=r"cache overflow: 8 columns used \+ 3 new > max_len 10; make .* larger max_len"
    ):
        model(ids[:, 8:11], cache=cache)
    assert cache.columns == 8 and cache.lengths.tolist() == [8]
    assert (model(ids[:, 8:10], cache=cache) - model(ids[:, :10])[:, 8:]).abs().max() <= CLOSE


@torch.no_grad()
def test_a_context_that_overflows_the_model_changes_nothing_either(model):
    ids, cache = tokens(1, 41), KVCache(model.config)
    model(ids[:, :38], cache=cache)
    with pytest.raises(ValueError, match="context overflow: 41 tokens > max_seq_len 40"):
        model(ids[:, 38:], cache=cache)
    pad_mask = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="positions holds 40"):
        model(ids[:, 38:], cache=cache, pad_mask=pad_mask)
    assert cache.columns == 38
    assert (model(ids[:, 38:40], cache=cache) - model(ids[:, :40])[:, 38:]).abs().max() <= CLOSE


@torch.no_grad()
def test_a_pass_that_fails_midway_leaves_no_trace():
    model, ids = build(small_config()), tokens(1, 10)
    cache = KVCache(model.config)
    model(ids[:, :4], cache=cache)
    handle = model.blocks[1].mlp.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(ids[:, 4:9], cache=cache, pad_mask=torch.zeros(1, 5, dtype=torch.bool))
    handle.remove()
    assert cache.columns == 4 and cache.lengths.tolist() == [4]
    assert (model(ids[:, 4:], cache=cache) - model(ids)[:, 4:]).abs().max() <= CLOSE


def random_prefix(config, batch, length):
    torch.manual_seed(4)
    shape = (config.n_layers, batch, config.n_kv_heads, length, config.head_dim)
    return [torch.randn(shape, requires_grad=True) for _ in range(2)]


def test_a_prefix_equals_tokens_read_before():
    model, ids = build(small_config()), tokens(2, 11)
    with torch.no_grad():
        first = KVCache(model.config, batch_size=2)
        model(ids[:, :5], cache=first)
        k, v = (torch.stack([getattr(layer, side) for layer in first.layers]) for side in ("keys", "values"))
        prefixed = KVCache.with_prefix(model.config, k, v, max_len=11)
        assert prefixed.lengths.tolist() == [5, 5]
        assert (read_in_chunks(model, ids[:, 5:], [2, 1, 3], prefixed) - model(ids)[:, 5:]).abs().max() <= CLOSE
        assert torch.equal(
            k, torch.stack([layer.keys for layer in first.layers])
        )  # the caller's tensors were not written to
        prefixed.reset()
        assert prefixed.columns == 5
        assert (model(ids[:, 5:], cache=prefixed) - model(ids)[:, 5:]).abs().max() <= CLOSE


@pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS)
def test_gradients_reach_a_prefix(model, sizes):
    """The model is frozen, as in prefix tuning; every way of cutting the input gives the same gradient."""
    model.requires_grad_(False)
    ids = tokens(2, 12)
    gradients = []
    for cut in (sizes, [12]):
        k, v = random_prefix(model.config, 2, 3)
        cache = KVCache.with_prefix(model.config, k, v)
        F.cross_entropy(read_in_chunks(model, ids, cut, cache).flatten(0, 1), ids.flatten()).backward()
        assert (k.grad.abs().amax((1, 2, 3, 4)) > 0).all() and (v.grad.abs().amax((1, 2, 3, 4)) > 0).all()
        gradients.append(torch.stack([k.grad, v.grad]))
    assert (gradients[0] - gradients[1]).abs().max() <= CLOSE


def test_gradients_reach_a_prefix_beside_padding():
    model, ids = build(small_config()), tokens(2, 6)
    pad_mask = torch.tensor([[True] * 6, [False] * 2 + [True] * 4])
    k, v = random_prefix(model.config, 2, 3)
    logits = model(ids, cache=KVCache.with_prefix(model.config, k, v), pad_mask=pad_mask)
    alone = model(ids[1:, 2:], cache=KVCache.with_prefix(model.config, k[:, 1:], v[:, 1:]))
    assert (logits[1, 2:] - alone[0]).abs().max() <= CLOSE
    logits[1, 2:].sum().backward()
    assert k.grad[:, 1].abs().max() > 0 and k.grad[:, 0].abs().max() == 0


def test_training_steps_share_a_prefix_cache():
    model, ids = build(small_config()).requires_grad_(False), tokens(2, 6)
    k, v = random_prefix(model.config, 2, 3)
    cache, losses = KVCache.with_prefix(model.config, k, v, max_len=9), []
    optimizer = torch.optim.SGD([k, v], lr=0.5)
    for _ in range(4):
        cache.reset()
        loss = F.cross_entropy(model(ids, cache=cache).flatten(0, 1), ids.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.no_grad():  # and the tuned prefix decodes in place, without touching the parameters
        cache.reset()
        before = k.detach().clone()
        full = model(ids, cache=KVCache.with_prefix(model.config, k, v))
        assert (read_in_chunks(model, ids, [3, 1, 1, 1], cache) - full).abs().max() <= CLOSE
        assert torch.equal(k, before)


def test_grad_inference_and_no_grad_may_take_turns(model, max_len):
    ids, cache = tokens(1, 12), KVCache(model.config, max_len=max_len)
    with torch.inference_mode():
        first = model(ids[:, :3], cache=cache)
    middle = model(ids[:, 3:7], cache=cache)
    with torch.no_grad():
        last = model(ids[:, 7:9], cache=cache)
    with torch.inference_mode():
        end = model(ids[:, 9:], cache=cache)
    middle.sum().backward()
    assert (torch.cat([first.clone(), middle, last, end.clone()], 1) - model(ids)).abs().max() <= CLOSE


def test_memory_taken_in_inference_mode_serves_outside_it(model, max_len):
    ids, cache = tokens(1, 12), KVCache(model.config, max_len=max_len)
    with torch.inference_mode():
        model(ids[:, :3], cache=cache)
    with torch.no_grad():
        assert (model(ids[:, 3:], cache=cache) - model(ids)[:, 3:]).abs().max() <= CLOSE


@torch.no_grad()
def test_a_lower_precision_cache_is_close():
    model, ids = build(small_config()), tokens(1, 12)
    cache = KVCache(model.config, max_len=12, dtype=torch.bfloat16)
    difference = (read_in_chunks(model, ids, [6, 1, 5], cache) - model(ids)).abs().max()
    assert 0 < difference < 0.5
    assert cache.nbytes == 12 * model.kv_bytes_per_token(torch.bfloat16)


@torch.no_grad()
def test_update_alone_appends_and_returns_everything():
    config = small_config("llama")
    cache = KVCache(config, batch_size=1, max_len=5)
    k, v = torch.randn(2, 1, config.n_kv_heads, 3, config.head_dim)
    assert torch.equal(cache.update(0, k, v)[0], k)
    both = cache.update(0, k[:, :, :2], v[:, :, :2])
    assert torch.equal(both[1], torch.cat([v, v[:, :, :2]], 2))
    assert cache.columns == 0  # a column counts once every layer has it
    with pytest.raises(ValueError, match="cache overflow"):
        cache.update(0, k[:, :, :1], v[:, :, :1])


def refuses(match, call, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)


def test_bad_arguments():
    config, model, ids = small_config(), build(small_config()), tokens(2, 4)
    refuses("batch_size is 0", KVCache, config, batch_size=0)
    refuses("max_len is 0; use at least 1", KVCache, config, max_len=0)
    refuses("bidirectional", KVCache, encoder_config())
    refuses("made for batch_size 1, not 2; make a KVCache with batch_size=2", model, ids, cache=KVCache(config))
    refuses("the model has", model, ids, cache=KVCache(config.replace(n_layers=2), batch_size=2))
    refuses(r"k has shape \(3, 2\); give \(n_layers", KVCache.with_prefix, config, torch.zeros(3, 2), torch.zeros(3, 2))
    k, v = random_prefix(config, 1, 3)
    refuses("v has shape", KVCache.with_prefix, config, k, v[:, :, :, :2])
    refuses("cache overflow: 0 columns used . 3 new", KVCache.with_prefix, config, k, v, max_len=2)
    encoder, causal = build(encoder_config()), KVCache(small_config(n_kv_heads=4), batch_size=2)
    refuses("cache given to a bidirectional model", encoder, ids, cache=causal)
    packed = KVCache(config, batch_size=2)
    with torch.no_grad():
        model(ids, cache=packed, segments=torch.tensor([[0, 0, 1, 1]] * 2))
    refuses("segments is None, but the cache holds packed segments", model, ids, cache=packed)


@torch.no_grad()
def test_random_walks_through_a_cache():
    """Padding anywhere, chunks of any size, resets: every row still computes what it would alone."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda low, high: int(torch.randint(low, high, (), generator=generator))
    model: Transformer = build(small_config("llama", max_seq_len=64))
    for trial in range(20):
        batch, cache = draw(1, 4), None
        cache = KVCache(model.config, batch_size=batch, max_len=None if trial % 2 else 40)
        ids = torch.randint(VOCAB, (batch, 24), generator=generator)
        pad_mask = torch.rand(batch, 24, generator=generator) < 0.7
        logits, start = [], 0
        while start < 24:
            stop = min(24, start + draw(1, 9))
            here = pad_mask[:, start:stop] if trial % 3 else None
            logits.append(model(ids[:, start:stop], cache=cache, pad_mask=here))
            start = stop
        if trial % 3 == 0:
            pad_mask[:] = True
        for row, real in enumerate(pad_mask):
            if real.any():
                alone = model(ids[row : row + 1, real])[0]
                assert (torch.cat(logits, 1)[row, real] - alone).abs().max() <= CLOSE
        assert cache.lengths.tolist() == pad_mask.sum(1).tolist()
