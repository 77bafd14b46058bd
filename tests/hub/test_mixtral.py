"""Mixtral against transformers: logits, cache, batched generation, and the names of its checkpoints."""

import pytest
import torch

from llmlib.hub import load_hf_state_dict
from llmlib.infer import generate
from llmlib.model import KVCache, ModelConfig, MoEConfig, Transformer

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, num_local_experts=5, num_experts_per_tok=2, max_position_embeddings=64,
            rope_theta=10_000.0, sliding_window=None, tie_word_embeddings=False, pad_token_id=0, bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.normal_(0.0, 0.3) if weight.dim() > 1 else weight.add_(0.1 * torch.randn_like(weight))
    ours = Transformer(shape()).eval()
    load_hf_state_dict(ours, theirs.state_dict())
    return ours, theirs


def shape(**changes):
    fields = dict(
        vocab_size=61, n_layers=3, d_model=32, n_heads=4, n_kv_heads=2, d_ff=48, max_seq_len=64, tie_embeddings=False,
        moe=MoEConfig(n_experts=5, top_k=2),
    )  # fmt: skip
    return ModelConfig(**(fields | changes))


@torch.inference_mode()
def test_logits_agree_at_once_and_through_the_cache(pair):
    ours, theirs = pair
    ids = torch.randint(61, (3, 20), generator=torch.Generator().manual_seed(1))
    expected = theirs(ids).logits
    assert (ours(ids) - expected).abs().max() <= 1e-4
    cache = KVCache(ours.config, 3)
    steps = [ours(ids[:, :7], cache=cache)] + [ours(ids[:, [t]], cache=cache) for t in range(7, 20)]
    assert (torch.cat(steps, 1) - expected).abs().max() <= 1e-4


@torch.inference_mode()
def test_prompts_of_different_lengths_are_continued_alike(pair):
    ours, theirs = pair
    prompts = [[5, 6, 7, 8], [9], [10, 11]]
    written = generate(ours, prompts, max_new_tokens=8, greedy=True)
    ids = torch.tensor([[0] * (4 - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (4 - len(p)) + [1] * len(p) for p in prompts])
    expected = theirs.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False)[:, 4:].tolist()
    assert [text[-8:] for text in written] == expected


def test_a_published_checkpoint_has_one_entry_an_expert(pair, tmp_path):
    ours, theirs = pair
    theirs.save_pretrained(tmp_path)
    safetensors = pytest.importorskip("safetensors.torch")
    published = safetensors.load_file(tmp_path / "model.safetensors")
    assert any("block_sparse_moe.experts.4.w3" in name for name in published)
    twin = Transformer(shape())
    load_hf_state_dict(twin, published)
    assert all(torch.equal(a, b) for a, b in zip(twin.state_dict().values(), ours.state_dict().values()))
    with torch.device("meta"):
        light = Transformer(shape())
    load_hf_state_dict(light, published)
    ids = torch.arange(12)[None]
    assert torch.allclose(light.eval()(ids), ours(ids), atol=1e-5)


def test_wrong_experts_are_refused(pair):
    _, theirs = pair
    for changed in (dict(n_experts=4), dict(n_experts=6)):
        with pytest.raises(ValueError, match="state_dict does not fit the model"):
            load_hf_state_dict(Transformer(shape(moe=MoEConfig(**changed))), theirs.state_dict())
    flat = dict(theirs.state_dict())
    name = "model.layers.1.mlp.experts.down_proj"
    flat[name] = flat[name][0]
    with pytest.raises(ValueError, match="give a stack of experts"):
        load_hf_state_dict(Transformer(shape()), flat)
