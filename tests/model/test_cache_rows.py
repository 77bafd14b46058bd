"""Rows of a cache selected, columns taken back: what is read next equals what a fresh model would compute."""

import pytest
import torch
import torch.nn.functional as F
from model_families import VOCAB, build, small_config, tokens

from llmlib.model import KVCache, LayerMemory

CLOSE = 1e-5
ROWS = {"reordered": [2, 0, 1], "repeated": [1, 1, 0, 2, 2], "dropped": [2], "forked": [0, 0, 1, 1, 2, 2]}


@pytest.fixture(params=[None, 20], ids=["growing", "static"])
def max_len(request):
    return request.param


def refuses(match, call, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)


@torch.no_grad()
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_selected_rows_go_on_as_they_would_alone(model, rows, max_len, as_tensor):
    ids, new = tokens(3, 7), tokens(len(rows), 4, seed=9)
    cache = KVCache(model.config, batch_size=3, max_len=max_len)
    model(ids, cache=cache)
    cache.select(torch.tensor(rows) if as_tensor else rows)
    assert cache.batch_size == len(rows) and cache.columns == 7 and cache.lengths.tolist() == [7] * len(rows)
    logits = torch.cat([model(new[:, a:b], cache=cache) for a, b in ((0, 1), (1, 3), (3, 4))], 1)
    assert (logits - model(torch.cat([ids[rows], new], 1))[:, 7:]).abs().max() <= CLOSE


@torch.no_grad()
def test_selected_rows_keep_their_padding_and_lose_it_with_their_row(model, max_len):
    prompts = [tokens(1, n, seed=n)[0] for n in (3, 8, 5)]
    ids = torch.stack([F.pad(prompt, (8 - len(prompt), 0)) for prompt in prompts])
    pad_mask = torch.stack([F.pad(torch.ones_like(prompt), (8 - len(prompt), 0)) for prompt in prompts]).bool()
    cache = KVCache(model.config, batch_size=3, max_len=max_len)
    model(ids, cache=cache, pad_mask=pad_mask)
    cache.select([2, 0, 2, 1])
    assert cache.lengths.tolist() == [5, 3, 5, 8]
    new = tokens(4, 2, seed=3)
    logits = model(new, cache=cache)
    for row, source in enumerate([2, 0, 2, 1]):
        alone = model(torch.cat([prompts[source], new[row]])[None])[0, -2:]
        assert (logits[row] - alone).abs().max() <= CLOSE
    cache.select([3])
    assert cache.lengths.tolist() == [10]
    assert cache.check_fits(model.config, (1, 1)) is None  # nothing padded is left: no mask from here on
    alone = model(torch.cat([prompts[1], new[3], new[0]])[None])[0, -2:]
    assert (model(new[:1], cache=cache)[0] - alone).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("kept", [0, 1, 5, 9])
def test_truncated_columns_were_never_read(model, max_len, kept):
    ids, new = tokens(2, 9), tokens(2, 3, seed=4)
    cache = KVCache(model.config, batch_size=2, max_len=max_len)
    model(ids[:, :6], cache=cache), model(ids[:, 6:], cache=cache)
    cache.truncate(kept)
    assert cache.columns == kept and cache.lengths.tolist() == [kept, kept]
    logits = torch.cat([model(new[:, :1], cache=cache), model(new[:, 1:], cache=cache)], 1)
    assert (logits - model(torch.cat([ids[:, :kept], new], 1))[:, kept:]).abs().max() <= CLOSE


@torch.no_grad()
def test_truncating_beside_padding_and_segments(model):
    ids, new = tokens(2, 9), tokens(2, 2, seed=4)
    pad_mask = torch.tensor([[False] * 2 + [True] * 7, [True] * 6 + [False] * 3])
    cache = KVCache(model.config, batch_size=2)
    model(ids, cache=cache, pad_mask=pad_mask)
    cache.truncate(7)
    assert cache.lengths.tolist() == [5, 6]
    logits = model(new, cache=cache)
    for row, real in enumerate((slice(2, 7), slice(0, 6))):
        alone = model(torch.cat([ids[row, real], new[row]])[None])[0, -2:]
        assert (logits[row] - alone).abs().max() <= CLOSE

    packed, segments = KVCache(model.config), torch.tensor([[0, 0, 0, 1, 1]])
    model(ids[:1, :3], cache=packed)
    model(ids[:1, 3:5], cache=packed, segments=segments[:, 3:])
    refuses("segments is None", model, new[:1], cache=packed)
    packed.truncate(3)  # back to where there was one document, so its continuation needs no name
    assert (model(new[:1], cache=packed) - model(torch.cat([ids[:1, :3], new[:1]], 1))[:, 3:]).abs().max() <= CLOSE


@torch.no_grad()
def test_every_row_may_be_cut_at_its_own_length(model, max_len):
    """Drafts of which each row accepts another number, as in speculative decoding of a batch."""
    ids, new, kept = tokens(3, 9), tokens(3, 3, seed=4), [9, 4, 0]
    cache = KVCache(model.config, batch_size=3, max_len=max_len)
    model(ids, cache=cache)
    cache.truncate(kept)
    assert cache.columns == 9 and cache.lengths.tolist() == kept
    logits = model(new, cache=cache)
    for row, n in enumerate(kept):
        alone = model(torch.cat([ids[row, :n], new[row]])[None])[0, n:]
        assert (logits[row] - alone).abs().max() <= CLOSE
    cache.truncate(torch.tensor([5, 4, 5]))
    assert cache.columns == 5 and cache.lengths.tolist() == [5, 4, 0]
    cache.select([0])
    assert cache.check_fits(model.config, (1, 1)) is None


def test_gradients_pass_through_selected_and_truncated_columns():
    model, ids = build(small_config()), tokens(2, 8)
    cache = KVCache(model.config, batch_size=2)
    model(ids, cache=cache)
    cache.truncate(6)
    cache.select([1, 1, 0])
    new = tokens(3, 2, seed=2)
    model(new, cache=cache).square().sum().backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    model(torch.cat([ids[[1, 1, 0], :6], new], 1))[:, 6:].square().sum().backward()
    for name, p in model.named_parameters():
        assert (got[name] - p.grad).abs().max() <= 1e-4 * (1 + p.grad.abs().max()), name


@torch.no_grad()
def test_a_prefix_follows_its_rows():
    config = small_config("llama")
    model, ids = build(config), tokens(3, 5)
    k, v = (torch.randn(3, 2, 2, 4, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    cache = KVCache.with_prefix(config, k, v)
    model(ids[:2], cache=cache)
    cache.select([1, 0, 1])
    cache.select([0, 0, 1])
    cache.reset()
    assert cache.columns == 4 and cache.batch_size == 3
    expected = model(ids, cache=KVCache.with_prefix(config, k[:, [1, 1, 0]], v[:, [1, 1, 0]]))
    assert (model(ids, cache=cache) - expected).abs().max() <= CLOSE
    cache.truncate(2)
    cache.reset()
    assert (model(ids, cache=cache) - expected).abs().max() <= CLOSE


@torch.no_grad()
def test_a_static_cache_reorders_inside_its_memory():
    model = build(small_config())
    cache = KVCache(model.config, batch_size=2, max_len=20)
    model(tokens(2, 5), cache=cache)
    storage = [layer.keys.data_ptr() for layer in cache.layers]
    cache.select([1, 0])
    cache.truncate(3)
    model(tokens(2, 4), cache=cache)
    assert [layer.keys.data_ptr() for layer in cache.layers] == storage


@torch.inference_mode()
def test_beams_and_samples_share_one_prefill(max_len):
    """A small beam search and several samples, by public names only, equal to reading every text anew."""
    model, prompt = build(small_config()), tokens(1, 6)
    cache = KVCache(model.config, max_len=max_len)
    logits = model(prompt, cache=cache)[:, -1]
    texts, scores = prompt, torch.zeros(1)
    for _ in range(4):
        total = (scores[:, None] + logits.log_softmax(-1)).flatten()
        scores, best = total.topk(3)
        rows, next_ids = best // VOCAB, best % VOCAB
        cache.select(rows)
        texts = torch.cat([texts[rows], next_ids[:, None]], 1)
        logits = model(next_ids[:, None], cache=cache)[:, -1]
        assert (logits - model(texts)[:, -1]).abs().max() <= CLOSE
    cache.truncate(6)
    cache.select([0] * 5)
    assert (
        model(tokens(5, 1), cache=cache) - model(torch.cat([prompt.expand(5, -1), tokens(5, 1)], 1))[:, 6:]
    ).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.select([0, 3]), r"rows holds 3, outside 0..2 \(batch_size 3\)"),
        (lambda c: c.select([-1]), "rows holds -1"),
        (lambda c: c.select([]), "rows is empty; select at least one row"),
        (lambda c: c.select(1), "rows is '1'; give whole numbers"),
        (lambda c: c.select([0.0, 1.0]), "give whole numbers"),
        (lambda c: c.select(torch.tensor([True, False, True])), "give whole numbers"),
        (lambda c: c.select("02"), "rows is '02'"),
        (lambda c: c.select([[0, 1]]), "give whole numbers"),
        (lambda c: c.select([1 << 80]), "give whole numbers"),
        (lambda c: c.select(None), "rows is 'None'"),
        (lambda c: c.truncate(10), "n is 10; keep between 0 and the 9 columns that the cache holds"),
        (lambda c: c.truncate(-1), "n is -1; keep between 0 and"),
        (lambda c: c.truncate(True), "n is True"),
        (lambda c: c.truncate(2.0), "n is '2.0'; give whole numbers"),
        (lambda c: c.truncate([1, 2]), "n has 2 entries; give one number, or one for each of the 3 rows"),
        (lambda c: c.truncate([1, 2, 10]), "n is 10"),
        (lambda c: c.truncate([1, -2, 3]), "n is -2"),
    ],
)
def test_bad_rows_and_columns_change_nothing(call, told):
    model, ids = build(small_config()), tokens(3, 12)
    cache = KVCache(model.config, batch_size=3)
    model(ids[:, :9], cache=cache)
    refuses(told, call, cache)
    assert cache.batch_size == 3 and cache.columns == 9
    assert (model(ids[:, 9:], cache=cache) - model(ids)[:, 9:]).abs().max() <= CLOSE


@torch.no_grad()
def test_a_first_packed_pass_that_fails_leaves_no_trace():
    model, ids = build(small_config()), tokens(1, 8)
    cache = KVCache(model.config)
    model(ids[:, :3], cache=cache)
    handle = model.blocks[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(ids[:, 3:5], cache=cache, segments=torch.tensor([[0, 1]]))
    handle.remove()
    assert (model(ids[:, 3:], cache=cache) - model(ids)[:, 3:]).abs().max() <= CLOSE


def test_a_frozen_key_projection_still_lets_gradients_through_several_chunks():
    """Only queries learn, as with LoRA on q_proj: keys that the backward pass needs must not be overwritten."""
    model, ids = build(small_config()).requires_grad_(False), tokens(1, 9)
    weight = model.blocks[0].attention.q_proj.weight.requires_grad_()
    cache = KVCache(model.config, max_len=9)
    torch.cat([model(ids[:, a:b], cache=cache) for a, b in ((0, 4), (4, 7), (7, 9))], 1).square().sum().backward()
    in_chunks, weight.grad = weight.grad, None
    model(ids).square().sum().backward()
    assert (in_chunks - weight.grad).abs().max() <= 1e-4 * weight.grad.abs().max()


@torch.no_grad()
def test_a_layer_memory_learns_its_shape_and_keeps_it():
    memory, k = LayerMemory(max_len=5), torch.randn(2, 1, 3, 4)
    assert memory.keys is None and memory.columns == 0 and memory.nbytes == 0
    assert torch.equal(memory.update(k, 2 * k)[1], 2 * k)
    assert memory.shape == (2, 1, 4) and torch.equal(memory.keys, k) and torch.equal(memory.values, 2 * k)
    refuses(r"k and v have shapes \(1, 1, 2, 4\)", memory.update, k[:1, :, :2], k[:1, :, :2])
    refuses("give both as", memory.update, k[:, :, :1], k)
    refuses(r"give both as \(B, n_kv_heads, T, head_dim\)", LayerMemory().update, k[0], k[0])
    refuses(r"cache overflow: 3 columns used \+ 3 new > max_len 5", memory.update, k, k)
    assert torch.equal(memory.keys, k)
