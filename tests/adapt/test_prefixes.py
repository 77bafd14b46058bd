"""Prefix and prompt tuning against their definitions: a longer cache, and vectors put before the embeddings."""

import copy

import pytest
import torch
from model_families import build, small_config, tokens

from llmlib.adapt import add_prefix, add_soft_prompt, prefix_cache
from llmlib.infer import generate
from llmlib.model import KVCache, count_parameters, flops_per_token, record

ids = tokens(2, 7)
ROTARY = ["llama", "llama_interleaved", "shakespeare", "no_position"]
PROMPT = [5, 9, 2, 7]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, atol=2e-5, rtol=1e-5)


def scaled(model, factor: float = 1.3):
    """Other values than the starting ones."""
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.mul_(factor)
    return model


@pytest.mark.parametrize("family", ROTARY)
@pytest.mark.parametrize("add", [add_prefix, add_soft_prompt])
def test_a_prefix_from_tokens_starts_as_that_prompt(family: str, add):
    base = build(small_config(family))
    model = copy.deepcopy(base)
    add(model, ids=PROMPT)
    whole = torch.cat([torch.tensor([PROMPT] * 2), ids], 1)
    assert close(model(ids), base(whole)[:, len(PROMPT) :])
    text = generate(model, [3, 1, 4], greedy=True, max_new_tokens=8)
    assert text == generate(base, [*PROMPT, 3, 1, 4], greedy=True, max_new_tokens=8)


@pytest.mark.parametrize("family", ROTARY)
def test_a_soft_prompt_is_vectors_before_the_embeddings(family: str):
    base = build(small_config(family))
    model = copy.deepcopy(base)
    report = add_soft_prompt(model, length=5, generator=torch.Generator().manual_seed(0))
    assert report.trainable == 5 * 32 and model.soft_prompt.vectors.shape == (5, 32)
    vectors = scaled(model).soft_prompt.vectors
    embeds = torch.cat([vectors.expand(2, -1, -1), base.token_embedding(ids)], 1)
    expected = base.head(base.hidden(embeds=embeds))[:, 5:]
    assert close(model(ids), expected)
    theirs, ours = (torch.autograd.grad(out.square().mean(), vectors)[0] for out in (expected, model(ids)))
    assert torch.allclose(ours, theirs, atol=1e-6, rtol=1e-3) and theirs.abs().max() > 1e-3


@pytest.mark.parametrize("family", ROTARY)
@pytest.mark.parametrize("add", [add_prefix, add_soft_prompt])
def test_the_trained_prefix_is_a_cache_of_the_plain_model(family: str, add):
    base = build(small_config(family))
    model = copy.deepcopy(base)
    add(model, length=4)
    scaled(model)
    assert close(base(ids, cache=prefix_cache(model, batch_size=2)), model(ids))
    prompts = [[3, 1, 4], [1, 5]]
    texts = generate(model, prompts, greedy=True, max_new_tokens=6)
    assert texts == generate(base, prompts, cache=prefix_cache(model, 2), greedy=True, max_new_tokens=6)


@pytest.mark.parametrize("family", ["gpt2", "sinusoidal", "llama"])
def test_a_prefix_is_the_cache_s_prefix_with_the_text_where_it_was(family: str):
    base = build(small_config(family))
    model = copy.deepcopy(base)
    report = add_prefix(model, length=4)
    c = base.config
    assert report.trainable == c.n_layers * 2 * c.n_kv_heads * 4 * c.head_dim
    scaled(model)
    sides = [torch.stack([getattr(b.attention.prefix, side) for b in model.blocks])[:, None] for side in "kv"]
    cache = KVCache.with_prefix(c, *(side.expand(-1, 2, -1, -1, -1) for side in sides))
    assert close(base(ids, cache=cache, positions=torch.arange(7)), model(ids))
    if family != "llama":
        with pytest.raises(ValueError, match=r"config.position is .* a text moved on by the prefix is another"):
            prefix_cache(model)


@pytest.mark.parametrize("add", [add_prefix, add_soft_prompt])
def test_padding_packing_and_chunks_see_the_prefix(add):
    model = build(small_config("llama"))
    add(model, length=4)
    scaled(model)
    expected = model(ids)
    left = torch.cat([torch.zeros(2, 3, dtype=torch.int64), ids], 1)
    assert close(model(left, pad_mask=torch.arange(10)[None].expand(2, -1) >= 3)[:, 3:], expected)
    packed = model(ids.view(1, -1), segments=torch.arange(14)[None] // 7)
    assert close(packed.view(2, 7, -1), expected)
    cache = KVCache(model.config, batch_size=2, max_len=7)
    chunks = [model(part, cache=cache) for part in ids.split([2, 4, 1], 1)]
    assert close(torch.cat(chunks, 1), expected) and cache.columns == 7
    with torch.no_grad():
        cache.truncate(3)
        cache.select([1, 0])
        assert close(model(ids.flip(0)[:, 3:], cache=cache), expected.flip(0)[:, 3:])


def test_samples_of_one_prompt_and_sliding_windows():
    model = build(small_config("llama"))
    add_soft_prompt(model, length=4)
    same = generate(model, [3, 1, 4], n=3, greedy=True, max_new_tokens=5)
    assert same == [generate(model, [3, 1, 4], greedy=True, max_new_tokens=5)] * 3
    assert len(generate(model, [3] * 38, greedy=True, max_new_tokens=5, sliding=True)) == 5


def test_a_cache_keeps_the_prompt_that_it_was_begun_with():
    model = build(small_config("llama"))
    add_soft_prompt(model, length=4)
    cache = KVCache(model.config, batch_size=2)
    with torch.no_grad():
        model(ids[:, :4], cache=cache)
        expected = model(ids)[:, 4:]
        scaled(model)
        assert close(model(ids[:, 4:], cache=cache), expected) and not close(model(ids)[:, 4:], expected)
        cache.reset()
        assert close(model(ids, cache=cache), model(ids))


def test_attention_to_the_prefix_can_be_looked_at():
    model = build(small_config("llama"))
    add_prefix(model, length=4)
    with record(model, "blocks.1.attention.weights") as seen:
        model(ids)
    weights = seen["blocks.1.attention.weights"]
    assert weights.shape == (2, 4, 7, 11) and weights[..., :4].gt(0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 7))
    assert not weights[..., 4:].triu(1).any()


@pytest.mark.parametrize("add", [add_prefix, add_soft_prompt])
def test_costs(add):
    base = build(small_config("llama"))
    model = copy.deepcopy(base)
    report = add(model, length=4)
    assert count_parameters(model) == count_parameters(base) + report.trainable
    columns = 4 if add is add_prefix else 0  # a soft prompt's columns are there only while a text is read
    flops = flops_per_token(base, 10, training=False)
    assert flops_per_token(model, 10, training=False) == flops + 3 * 4 * 32 * columns


def test_what_a_prefix_needs():
    base = build(small_config("llama"))
    with pytest.raises(ValueError, match="model has no prefix"):
        prefix_cache(base)

    class Other(type(base.blocks[0].attention)):
        pass

    base.blocks[1].attention.__class__ = Other
    for add in (add_prefix, add_soft_prompt):
        with pytest.raises(ValueError, match=r"blocks.1.attention is a Other; a prefix goes before"):
            add(base)
    assert all(p.requires_grad for p in base.parameters())
