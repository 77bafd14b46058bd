"""Our logits against transformers', with the reference model's random weights loaded into ours."""

import pytest
import torch
import torch.nn.functional as F
import transformers

from llmlib.hub import load_hf_state_dict
from llmlib.model import EncoderConfig, KVCache, ModelConfig, RopeScaling, Transformer, rope_tables
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


COMMON = dict(
    vocab_size=97, num_hidden_layers=2, hidden_size=48, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=72, max_position_embeddings=24, tie_word_embeddings=False, rms_norm_eps=1e-5,
)  # fmt: skip
OURS = SHAPE | dict(n_kv_heads=2, d_ff=72, tie_embeddings=False)


def qwen2_pair():
    """Biases in queries, keys and values alone."""
    config = transformers.Qwen2Config(**COMMON, rope_parameters={"rope_type": "default", "rope_theta": 1e4})
    return shaken(transformers.Qwen2ForCausalLM(config)), ModelConfig(**OURS, qkv_bias=True)


def llama_bias_pair():
    """Biases in all of attention, none in the rest."""
    config = transformers.LlamaConfig(
        **COMMON, attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
    )
    return shaken(transformers.LlamaForCausalLM(config)), ModelConfig(**OURS, qkv_bias=True, o_bias=True)


def qwen3_pair(layout="half"):
    """Norms of queries and keys, and a head_dim of its own."""
    config = transformers.Qwen3Config(
        **COMMON, head_dim=16, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
    )
    ours = ModelConfig(**OURS, qk_norm=True, head_dim=16, rope_layout=layout)
    return shaken(transformers.Qwen3ForCausalLM(config)), ours


def llama3_pair():
    """RoPE stretched, with pairs that stay, pairs that are slowed and one in between."""
    config = transformers.LlamaConfig(
        **COMMON,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 2.0, "original_max_position_embeddings": 8,
        },
    )  # fmt: skip
    scaling = RopeScaling(factor=4.0, low_freq_factor=1.0, high_freq_factor=2.0, original_max_seq_len=8)
    ours = ModelConfig(**OURS, rope_theta=500.0, rope_scaling=scaling)
    return shaken(transformers.LlamaForCausalLM(config)), ours


def mistral_pair():
    config = transformers.MistralConfig(
        **COMMON, sliding_window=5, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
    )
    return shaken(transformers.MistralForCausalLM(config)), ModelConfig(**OURS, sliding_window=5)


CAUSAL_PAIRS = {
    "gpt2": gpt2_pair,
    "gpt1": gpt1_pair,
    "llama": llama_pair,
    "llama grouped": lambda: llama_pair(n_kv_heads=2, tie=True, theta=100_000.0),
    "llama multi-query": lambda: llama_pair(n_kv_heads=1),
    "llama interleaved": lambda: llama_pair(n_kv_heads=2, layout="interleaved"),
    "llama with biases in attention": llama_bias_pair,
    "qwen2": qwen2_pair,
    "qwen3": qwen3_pair,
    "qwen3 interleaved": lambda: qwen3_pair(layout="interleaved"),
    "llama 3": llama3_pair,
    "mistral": mistral_pair,
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
@pytest.mark.parametrize("name", ["gpt2", "llama grouped", "qwen2", "qwen3", "llama 3", "mistral"])
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
@pytest.mark.parametrize("name", ["llama with biases in attention", "qwen2", "qwen3", "llama 3", "mistral"])
def test_right_padding_and_token_by_token_equal_the_reference(name):
    reference, config = CAUSAL_PAIRS[name]()
    model = Transformer(config).eval()
    load_hf_state_dict(model, reference.state_dict())
    ids, lengths = ids_of(3, 20), (20, 3, 11)
    pad_mask = torch.arange(20) < torch.tensor(lengths)[:, None]
    expected = torch.cat(
        [F.pad(reference(ids[i : i + 1, :n]).logits, (0, 0, 0, 20 - n)) for i, n in enumerate(lengths)]
    )
    assert (model(ids, pad_mask=pad_mask) - expected)[pad_mask].abs().max() <= TOLERANCE
    cache = KVCache(config, batch_size=3, max_len=20)
    parts = [
        model(ids[:, a:b], cache=cache, pad_mask=pad_mask[:, a:b])
        for a, b in ((0, 7), *((t, t + 1) for t in range(7, 20)))
    ]
    assert (torch.cat(parts, 1) - expected)[pad_mask].abs().max() <= TOLERANCE


@torch.no_grad()
def test_a_window_matters_in_the_pair_that_tests_it():
    reference, config = mistral_pair()
    model = Transformer(config.replace(sliding_window=None)).eval()
    load_hf_state_dict(model, reference.state_dict())
    difference = (model(ids_of(2, 24)) - reference(ids_of(2, 24)).logits).abs().amax((0, 2))
    assert difference[:5].max() <= TOLERANCE and difference[6:].min() > 1e-2


@pytest.mark.parametrize("theta", [10_000.0, 100_000.0, 500_000.0])
@pytest.mark.parametrize("stretched", [False, True])
def test_rope_tables_equal_the_reference_at_position_8000(theta, stretched):
    """theta ** -x in place of 1 / theta ** x is off by 1e-4 there, which logits show."""
    parameters, scaling = {"rope_type": "default", "rope_theta": theta}, None
    if stretched:
        parameters = {
            "rope_type": "llama3", "rope_theta": theta, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 1024,
        }  # fmt: skip
        scaling = RopeScaling(8.0, 1.0, 4.0, 1024)
    config = transformers.LlamaConfig(
        hidden_size=128, num_attention_heads=2, max_position_embeddings=8192, rope_parameters=parameters
    )
    rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
    positions = torch.arange(0, 8192, 7)
    cos, sin = rotary(torch.zeros(1), positions[None])
    ours = rope_tables(positions, 64, theta, scaling=scaling)
    assert (ours[0] - cos[0]).abs().max() <= 1e-6
    assert (ours[1, :, 32:] - sin[0, :, 32:]).abs().max() <= 1e-6  # the first half has the sign of the rotation
    assert (ours[1, :, :32] + sin[0, :, :32]).abs().max() <= 1e-6


@torch.no_grad()
def test_norms_may_have_their_old_names():
    """Checkpoints that began in TensorFlow call a LayerNorm's weight gamma and its bias beta."""
    reference, config = bert_pair()
    model = Transformer(config).eval()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in reference.state_dict().items()
    }
    assert sum(name.endswith(("gamma", "beta")) for name in old) == 10
    load_hf_state_dict(model, old)
    ids = ids_of(2, 20)
    assert (model.hidden(ids) - reference(ids).last_hidden_state).abs().max() <= TOLERANCE
    old["encoder.layer.0.intermediate.dense.gamma"] = old.pop("encoder.layer.0.intermediate.dense.weight")
    with pytest.raises(ValueError, match=r"unknown names: encoder.layer.0.intermediate.dense.gamma"):
        load_hf_state_dict(model, old)


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
