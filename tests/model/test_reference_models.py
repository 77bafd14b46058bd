"""Our logits against transformers', with the reference model's random weights loaded into ours."""

import pytest
import torch
import transformers

from llmlib.hub import load_hf_state_dict
from llmlib.model import EncoderConfig, KVCache, ModelConfig, Transformer
from llmlib.model.rope import FixedTable

TOLERANCE = 1e-4
SHAPE = dict(vocab_size=97, n_layers=2, d_model=48, n_heads=4, max_seq_len=24)


def shaken(reference):
    """Random gains and biases as well: fresh ones are ones and zeros, which would hide a swapped or dropped tensor."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return reference.eval()


def gpt2_pair():
    reference = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=97, n_layer=2, n_embd=48, n_head=4, n_positions=24)
    )
    return shaken(reference), ModelConfig(**SHAPE, norm="layernorm", mlp="gelu_tanh", position="learned", bias=True)


def gpt1_pair():
    reference = transformers.OpenAIGPTLMHeadModel(
        transformers.OpenAIGPTConfig(vocab_size=97, n_layer=2, n_embd=48, n_head=4, n_positions=24)
    )
    gpt1 = dict(norm="layernorm", norm_position="post", mlp="gelu_tanh", position="learned", bias=True)
    return shaken(reference), ModelConfig(**SHAPE, **gpt1)


def llama_pair(n_kv_heads=4, tie=False, layout="half", theta=10_000.0):
    reference = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=97, num_hidden_layers=2, hidden_size=48, num_attention_heads=4, num_key_value_heads=n_kv_heads,
            intermediate_size=72, max_position_embeddings=24, tie_word_embeddings=tie, rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": theta},
        )
    )  # fmt: skip
    llama = dict(n_kv_heads=n_kv_heads, d_ff=72, tie_embeddings=tie, rope_layout=layout, rope_theta=theta)
    return shaken(reference), ModelConfig(**SHAPE, **llama)


def bert_pair():
    reference = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=97, num_hidden_layers=2, hidden_size=48, num_attention_heads=4, intermediate_size=192,
            max_position_embeddings=24, type_vocab_size=2,
        )
    )  # fmt: skip
    return shaken(reference), ModelConfig(
        **SHAPE, norm="layernorm", norm_position="post", norm_eps=1e-12, mlp="gelu", position="learned", bias=True,
        causal=False, encoder=EncoderConfig(pooler=True),
    )  # fmt: skip


CAUSAL_PAIRS = {
    "gpt2": gpt2_pair,
    "gpt1": gpt1_pair,
    "llama": llama_pair,
    "llama grouped": lambda: llama_pair(n_kv_heads=2, tie=True, theta=100_000.0),
    "llama multi-query": lambda: llama_pair(n_kv_heads=1),
    "llama interleaved": lambda: llama_pair(n_kv_heads=2, layout="interleaved"),
}


def ids_of(*shape):
    return torch.randint(97, shape, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL_PAIRS)
@pytest.mark.parametrize("attention", ["sdpa", "plain"])
def test_logits_equal_the_reference(name, attention):
    reference, config = CAUSAL_PAIRS[name]()
    model = Transformer(config.replace(attention=attention)).eval()
    load_hf_state_dict(model, reference.state_dict())
    ids = ids_of(2, 24)
    expected = reference(ids).logits
    assert expected.std() > 0.1
    assert (model(ids) - expected).abs().max() <= TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("name", ["gpt2", "llama grouped"])
def test_left_padding_and_decoding_equal_the_reference(name):
    reference, config = CAUSAL_PAIRS[name]()
    model = Transformer(config).eval()
    load_hf_state_dict(model, reference.state_dict())
    ids, pad_mask = ids_of(2, 12), torch.ones(2, 12, dtype=torch.bool)
    pad_mask[1, :5] = False
    positions = (pad_mask.cumsum(1) - 1).clamp(min=0)
    expected = reference(ids, attention_mask=pad_mask.long(), position_ids=positions).logits
    cache = KVCache(config, batch_size=2)
    chunks = [model(ids[:, a:b], cache=cache, pad_mask=pad_mask[:, a:b]) for a, b in ((0, 8), (8, 11), (11, 12))]
    assert (torch.cat(chunks, 1) - expected)[pad_mask].abs().max() <= TOLERANCE


@torch.no_grad()
def test_bert_equals_the_reference_with_padding_types_and_pooler():
    reference, config = bert_pair()
    model = Transformer(config).eval()
    load_hf_state_dict(model, reference.state_dict())
    ids, types = ids_of(2, 20), (torch.arange(20) > 9).long().expand(2, 20)
    pad_mask = torch.ones(2, 20, dtype=torch.bool)
    pad_mask[1, 13:] = False
    expected = reference(ids, attention_mask=pad_mask.long(), token_type_ids=types)
    h = model.hidden(ids, pad_mask=pad_mask, token_types=types)
    assert (h - expected.last_hidden_state)[pad_mask].abs().max() <= TOLERANCE
    assert (model.pool(h) - expected.pooler_output).abs().max() <= TOLERANCE
    assert (model.hidden(ids) - reference(ids).last_hidden_state).abs().max() <= TOLERANCE  # all one type, no padding


@torch.no_grad()
@pytest.mark.parametrize("name", ["gpt2", "llama grouped"])
def test_a_model_on_the_meta_device_takes_the_weights_over(name):
    reference, config = CAUSAL_PAIRS[name]()
    with torch.device("meta"):
        model = Transformer(config).eval()
    load_hf_state_dict(model, {key: tensor.bfloat16().float() for key, tensor in reference.state_dict().items()})
    assert {p.device.type for p in (*model.parameters(), *model.buffers())} == {"cpu"}
    assert all(p.dtype == torch.float32 and p.requires_grad and p.is_contiguous() for p in model.parameters())
    assert len({p.untyped_storage().data_ptr() for p in model.parameters()}) == len(list(model.parameters()))
    ids = ids_of(1, 9)
    reference.load_state_dict({key: tensor.bfloat16().float() for key, tensor in reference.state_dict().items()})
    assert (model(ids) - reference(ids).logits).abs().max() <= TOLERANCE
    assert isinstance(model.position_table, FixedTable | None)


def broken(change):
    reference, config = llama_pair(n_kv_heads=2)
    state = dict(reference.state_dict())
    change(state)
    return Transformer(config), state


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("model.layers.1.mlp.up_proj.weight"), "missing: blocks.1.mlp.up_proj.weight"),
        (lambda s: s.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(48)}), "not in the config"),
        (lambda s: s.update({"model.layers.0.novelty": torch.zeros(1)}), "unknown names: model.layers.0.novelty"),
        (
            lambda s: s.update({"model.norm.weight": torch.zeros(47)}),
            r"wrong size: final_norm.weight \(47,\) instead of",
        ),
        (lambda s: s.update({"model.layers.2.mlp.up_proj.weight": torch.zeros(72, 48)}), "blocks.2.mlp.up_proj.weight"),
        (lambda s: [s.pop(key) for key in list(s)] and s.update(x=torch.zeros(1)), "none of the names"),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(change, told):
    model, state = broken(change)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=told) as error:
        load_hf_state_dict(model, state)
    assert "\n" not in str(error.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_separate_head_does_not_fit_a_tied_model():
    reference, config = llama_pair(tie=False)
    with pytest.raises(ValueError, match=r"not in the config: lm_head\.weight"):
        load_hf_state_dict(Transformer(config.replace(tie_embeddings=True)), reference.state_dict())
