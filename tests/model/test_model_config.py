"""Configs check themselves; presets have the published sizes; costs follow from the config alone."""

import dataclasses
import json

import pytest
import torch
from model_families import FAMILIES, build, encoder_config, small_config

from llmlib.model import (
    EncoderConfig,
    KVCache,
    ModelConfig,
    RopeScaling,
    Transformer,
    count_parameters,
    default_device,
    flops_per_token,
    kv_bytes_per_token,
    parameter_table,
    preset,
    presets,
)

PUBLISHED = {
    "gpt1": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "gpt3": 174_604_259_328,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "llama2-7b": 6_738_415_616,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
    "smollm2-135m": 134_515_008,
    "minilm-l6": 22_713_216,
    "nanogpt-cpu": 804_096,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_count_what_was_published(name):
    assert count_parameters(preset(name)) == PUBLISHED[name]


@pytest.mark.parametrize("name", presets())
def test_the_table_adds_up(name):
    table = parameter_table(preset(name))
    assert sum(count for _, count in table) == count_parameters(preset(name))
    assert all(count > 0 for _, count in table)


def test_the_table_of_gpt2_by_hand():
    d, n = 768, 12
    assert parameter_table(preset("gpt2")) == [
        ("token embedding", 50257 * d),
        ("position embedding", 1024 * d),
        ("attention", n * (4 * d * d + 4 * d)),
        ("mlp", n * (8 * d * d + 5 * d)),
        ("norms", (2 * n + 1) * 2 * d),
    ]
    assert dict(parameter_table(preset("bert-base")))["pooler"] == d * d + d
    assert dict(parameter_table(preset("llama2-7b")))["output head"] == 32000 * 4096


def test_the_small_recipe_is_no_larger_than_the_one_it_races():
    ours, theirs = preset("shakespeare-cpu"), preset("nanogpt-cpu")
    assert count_parameters(ours) <= count_parameters(theirs)
    assert ours.max_seq_len == theirs.max_seq_len
    # and stays so with the vocabulary of any edition of the text
    assert count_parameters(ours.replace(vocab_size=80)) <= count_parameters(theirs.replace(vocab_size=80))


def test_counting_takes_models_and_leaves_out_embeddings():
    model = build(small_config(tie_embeddings=False))
    assert count_parameters(model) == model.num_parameters() == count_parameters(model.config)
    assert model.num_parameters(non_embedding=True) == model.num_parameters() - 2 * 61 * 32
    assert count_parameters(preset("gpt2"), non_embedding=True) == 124_439_808 - (50257 + 1024) * 768


def test_an_unknown_preset_suggests_names():
    with pytest.raises(ValueError, match=r"name is 'gpt2_x1'.*did you mean gpt2-xl"):
        preset("gpt2_x1")
    with pytest.raises(ValueError, match="choose one of gpt1, gpt2") as error:
        preset("zebra")
    assert "\n" not in str(error.value)


def test_flops_count_the_products_that_run():
    """torch's own counter, on the plain twin, against the formula."""
    from torch.utils.flop_counter import FlopCounterMode

    for family in ("gpt2", "llama", "shakespeare"):
        model = build(small_config(family, attention="plain"))
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(2, 16, dtype=torch.long)).sum().backward()
        assert model.flops_per_token(16) * 2 * 16 == pytest.approx(counter.get_total_flops(), rel=1e-9)
        assert model.flops_per_token(16, training=False) * 3 == model.flops_per_token(16)


def test_flops_of_gpt2_follow_the_usual_estimate():
    n = count_parameters(preset("gpt2")) - 1024 * 768
    assert flops_per_token(preset("gpt2"), 1024) == pytest.approx(6 * n + 12 * 12 * 768 * 1024, rel=2e-3)


def test_cache_bytes_are_those_a_cache_takes():
    model = build(small_config("llama"))
    cache = KVCache(model.config, batch_size=3, max_len=10)
    with torch.no_grad():
        model(torch.zeros(3, 2, dtype=torch.long), cache=cache)
    assert cache.nbytes == 3 * 10 * model.kv_bytes_per_token()
    assert kv_bytes_per_token(preset("llama2-7b")) == 2 * 32 * 4096 * 2  # half a mebibyte
    assert kv_bytes_per_token(preset("llama2-70b")) == 2 * 80 * 1024 * 2
    assert model.bfloat16().kv_bytes_per_token() == kv_bytes_per_token(model.config, torch.bfloat16)


def test_derived_fields():
    config = ModelConfig(vocab_size=10, n_layers=1, d_model=576, n_heads=9)
    assert (config.d_ff, config.n_kv_heads, config.head_dim) == (1536, 9, 64)
    assert ModelConfig(vocab_size=10, n_layers=1, d_model=576, n_heads=9, mlp="gelu").d_ff == 2304
    assert config.replace(d_model=288, d_ff=None, head_dim=None).d_ff == 768
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.d_model = 3


def test_a_head_dim_of_its_own():
    model = build(small_config(n_heads=3, n_kv_heads=1, head_dim=12))
    assert model.blocks[0].attention.o_proj.weight.shape == (32, 36)
    assert model(torch.zeros(1, 4, dtype=torch.long)).shape == (1, 4, 61)


@pytest.mark.parametrize("config", [small_config(f) for f in FAMILIES] + [encoder_config()])
def test_configs_survive_json(config):
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (dict(vocab_size=0), "vocab_size is 0; use a whole number of at least 1"),
        (dict(n_layers=-1), "n_layers is -1"),
        (dict(d_model=32.0), "d_model is 32.0"),
        (dict(n_heads=5), "d_model 32 does not divide into n_heads 5"),
        (dict(n_kv_heads=3), "n_kv_heads 3 does not divide n_heads 4; choose a divisor"),
        (dict(d_ff=0), "d_ff is 0"),
        (dict(max_seq_len=0), "max_seq_len is 0"),
        (dict(norm="batchnorm"), "norm is 'batchnorm'; choose one of rmsnorm, layernorm"),
        (dict(norm_position="mid"), "norm_position is 'mid'; choose one of pre, post"),
        (dict(mlp="swish"), "mlp is 'swish'; choose one of"),
        (dict(position="alibi"), "position is 'alibi'; choose one of rope"),
        (dict(rope_layout="pairs"), "rope_layout is 'pairs'; choose one of half, interleaved"),
        (dict(attention="flash"), "attention is 'flash'; choose one of sdpa, plain"),
        (dict(head_dim=7), "head_dim 7 is odd, and RoPE turns pairs"),
        (dict(position="sinusoidal", d_model=33, n_heads=3), "d_model 33 is odd"),
        (dict(dropout=1.0), r"dropout is 1.0; use a probability in \[0, 1\)"),
        (dict(norm_eps=0.0), "norm_eps is 0.0; use a positive number"),
        (dict(rope_theta=-1.0), "rope_theta is -1.0"),
        (dict(encoder=True), "encoder is True; give an EncoderConfig"),
    ],
)
def test_a_config_that_cannot_be_built(changes, told):
    fields = dict(vocab_size=61, n_layers=3, d_model=32, n_heads=4) | changes
    with pytest.raises(ValueError, match=told) as error:
        ModelConfig(**fields)
    assert "\n" not in str(error.value)


def test_other_bad_fields():
    with pytest.raises(ValueError, match="n_token_types is -1"):
        EncoderConfig(n_token_types=-1)
    with pytest.raises(ValueError, match="ModelConfig has no field 'n_head'"):
        small_config().replace(n_head=3)
    with pytest.raises(ValueError, match="'novel', unknown to ModelConfig; was it saved by a newer version"):
        ModelConfig.from_dict(small_config().to_dict() | {"novel": 1})


@pytest.mark.parametrize(
    "broken",
    [
        {"vocab_size": None},
        {"encoder": {"novel": 1}},
        {"rope_scaling": {"factor": "long"}},
        {"rope_theta": "large"},
        {"dropout": None},
        {"norm": ["rmsnorm"]},
    ],
)
def test_fields_of_a_wrong_kind_are_one_line(broken):
    with pytest.raises(ValueError) as error:
        ModelConfig.from_dict(small_config().to_dict() | broken)
    assert "\n" not in str(error.value)


def test_longer_rope_and_windows_survive_json():
    config = small_config("llama", rope_scaling=RopeScaling(4.0), sliding_window=8, qkv_bias=True, o_bias=False)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    before = small_config().to_dict()
    for name in ("rope_scaling", "sliding_window", "qkv_bias", "o_bias"):  # saved before these fields existed
        del before[name]
    assert ModelConfig.from_dict(before) == small_config()


def test_the_default_device_is_no_mps():
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_meta_device_holds_the_largest_preset():
    with torch.device("meta"):
        model = Transformer(preset("gpt3"))
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
