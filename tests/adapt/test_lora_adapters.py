"""LoRA on whole models: what is trained, switching, merging, and what is refused."""

import copy

import pytest
import torch
from model_families import build, small_config, tokens
from torch import nn

from llmlib.adapt import (
    LoRAConfig,
    LoRALinear,
    active_adapter,
    adapter_names,
    apply_lora,
    lora_layers,
    merge_lora,
    remove_lora,
    set_adapter,
    unmerge_lora,
)
from llmlib.infer import decoding_layout, generate, token_step
from llmlib.model import ModelConfig, TiedHead, Transformer, count_parameters, flops_per_token, preset
from llmlib.train import TrainConfig, Trainer

from .adapted_models import BLOCKS, VARIANTS, Packed, adapted, random_adapter


def trainable(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


# The layer


@pytest.mark.parametrize("bias", [False, True])
def test_the_layer_is_the_formula(bias: bool):
    torch.manual_seed(0)
    model = nn.ModuleDict({"q": nn.Linear(6, 5, bias=bias)})
    apply_lora(model, LoRAConfig(rank=3, alpha=12, targets="q"))
    random_adapter(model, "default")
    layer, x = model["q"], torch.randn(7, 2, 6)
    a, b = layer.adapters["default"].a, layer.adapters["default"].b
    shift = layer.base.bias if bias else 0.0
    assert a.shape == (3, 6) and b.shape == (5, 3)
    assert torch.allclose(layer(x), x @ (layer.base.weight + 12 / 3 * b @ a).T + shift, atol=1e-6)


def test_scales():
    assert LoRAConfig(rank=8, alpha=16).scale == 2.0
    assert LoRAConfig(rank=16, alpha=8, use_rslora=True).scale == 2.0


@pytest.mark.parametrize("init", ["uniform", "gaussian", "swapped"])
@pytest.mark.parametrize("use_dora", [False, True])
def test_training_starts_from_the_base_model_and_can_leave_it(init: str, use_dora: bool):
    model, ids = build(small_config()), tokens(2, 6)
    expected = model(ids)
    apply_lora(model, LoRAConfig(rank=4, targets=BLOCKS, init=init, use_dora=use_dora))
    assert torch.allclose(model(ids), expected, atol=1e-5)
    zero = "b" if init != "swapped" else "a"
    for layer in lora_layers(model).values():
        weights = layer.adapters["default"]
        assert not getattr(weights, zero).any() and getattr(weights, "ab".replace(zero, "")).all()
    model(ids).square().sum().backward()
    assert all(getattr(layer.adapters["default"], zero).grad.any() for layer in lora_layers(model).values())


def test_initial_values_have_the_stated_spread():
    torch.manual_seed(0)
    model = nn.ModuleDict({"q": nn.Linear(400, 300)})
    apply_lora(model, LoRAConfig(rank=100, targets="q"), "uniform")
    apply_lora(model, LoRAConfig(rank=100, targets="q", init="gaussian"), "gaussian")
    apply_lora(model, LoRAConfig(rank=100, targets="q", init="swapped"), "swapped")
    parts = model["q"].adapters
    assert parts["uniform"].a.abs().max() <= 1 / 20 and parts["uniform"].a.std().item() == pytest.approx(
        0.05 / 3**0.5, 0.02
    )
    assert parts["gaussian"].a.std().item() == pytest.approx(1 / 100, 0.02)
    assert parts["swapped"].b.abs().max() <= 1 / 10 and parts["swapped"].b.std().item() == pytest.approx(
        0.1 / 3**0.5, 0.02
    )


def test_a_generator_makes_the_same_adapter():
    models = [build(small_config()) for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6)):
        apply_lora(model, LoRAConfig(rank=2), generator=torch.Generator().manual_seed(seed))
    first, same, other = ([layer.adapters["default"].a for layer in lora_layers(model).values()] for model in models)
    assert all(torch.equal(x, y) for x, y in zip(first, same))
    assert not any(torch.equal(x, y) for x, y in zip(first, other))


def test_dropout_acts_in_training_and_on_the_adapter_alone():
    model, ids = adapted(dropout=0.5), tokens(2, 6)
    assert torch.equal(model(ids), model(ids))  # the model was in evaluation mode, and its new parts are too
    model.train()
    assert not torch.equal(model(ids), model(ids))
    set_adapter(model, None)
    assert torch.equal(model(ids), model(ids))


@pytest.mark.parametrize("fields", VARIANTS)
def test_a_bf16_base_keeps_float32_adapters_and_its_own_type(fields: dict):
    model = build(small_config()).bfloat16()
    ids = tokens(2, 6)
    expected = model(ids)
    apply_lora(model, LoRAConfig(rank=4, targets=BLOCKS, **fields))
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    out = model(ids)
    assert out.dtype == torch.bfloat16 and (out - expected).abs().max() < 0.2
    random_adapter(model, "default")
    model(ids).float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert generate(model, [3, 1, 4], greedy=True, max_new_tokens=4)
    before = {name: layer.base.weight.clone() for name, layer in lora_layers(model).items()}
    unmerged = model(ids).float()
    merge_lora(model)
    assert (model(ids).float() - unmerged).abs().mean() < 0.05 * unmerged.abs().mean()
    unmerge_lora(model)
    assert all(torch.equal(layer.base.weight, before[name]) for name, layer in lora_layers(model).items())


# Training


@pytest.mark.parametrize("fields", VARIANTS)
def test_only_the_adapters_learn_and_have_a_state(fields: dict):
    torch.manual_seed(0)
    shape = dict(vocab_size=16, n_layers=2, d_model=32, n_heads=4, n_kv_heads=2, max_seq_len=32)
    model = Transformer(ModelConfig(**shape))
    report = apply_lora(model, LoRAConfig(rank=4, **fields))
    before = {name: p.clone() for name, p in model.named_parameters()}
    text = torch.arange(400) % 16
    config = TrainConfig(steps=25, batch_size=8, seq_len=16, lr=0.02, weight_decay=0.0, device="cpu", progress=False)
    trainer = Trainer(model, config, text, evaluate=text[:100])
    history = trainer.run()
    assert history.val_loss[-1] < history.val_loss[0] - 0.1
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == trainable(model) and all(".adapters.default." in name for name in changed)
    states = [state for optimizer in trainer.optimizers for state in optimizer.state.values()]
    moments = sum(t.numel() for state in states for t in state.values() if torch.is_tensor(t) and t.dim())
    assert moments == 2 * report.trainable


def test_gradients_reach_only_the_active_adapter():
    model = adapted(name="first")
    apply_lora(model, LoRAConfig(rank=2), "second")
    random_adapter(model, "second")
    for name in ("first", "second"):
        set_adapter(model, name)
        model.zero_grad(set_to_none=True)
        model(tokens(2, 6)).square().sum().backward()
        reached = {n for n, p in model.named_parameters() if p.grad is not None}
        assert reached == trainable(model) == {n for n, _ in model.named_parameters() if f".adapters.{name}." in n}


# Counting


def test_published_counts():
    with torch.device("meta"):
        seven = Transformer(preset("llama2-7b"))
        small = Transformer(preset("smollm2-135m"))
        square = nn.ModuleDict({"w": nn.Linear(4096, 4096, bias=False)})
    assert apply_lora(seven, LoRAConfig(rank=8)).trainable == 32 * 2 * 8 * (4096 + 4096) == 4_194_304
    remove_lora(seven)
    assert apply_lora(seven, LoRAConfig(rank=8, targets=BLOCKS)).trainable == 19_988_480
    assert apply_lora(small, LoRAConfig(rank=8)).trainable == 30 * 8 * ((576 + 576) + (576 + 192))
    report = apply_lora(square, LoRAConfig(rank=8, targets="w"))
    assert report.trainable == 65_536 and 1 - report.trainable / 4096**2 == pytest.approx(0.996, abs=1e-3)


def test_the_report_counts_what_is_there():
    config = small_config()
    model = Transformer(config)
    report = apply_lora(model, LoRAConfig(rank=4))
    added = 3 * 4 * ((32 + 32) + (32 + 16))
    assert report.trainable == added and report.total == count_parameters(config) + added == count_parameters(model)
    assert report.places == tuple(f"blocks.{i}.attention.{p}_proj" for i in range(3) for p in "qv")
    assert str(report) == f"lora: {added:,} of {report.total:,} parameters trained ({added / report.total:.2%})"
    plain = flops_per_token(config, 10, training=False)
    assert flops_per_token(model, 10, training=False) == plain + 2 * added
    set_adapter(model, None)
    assert flops_per_token(model, 10, training=False) == plain
    set_adapter(model, "default")
    merge_lora(model)
    assert flops_per_token(model, 10, training=False) == plain


# Switching


def test_adapters_are_switched_and_the_base_comes_back():
    base, ids = build(small_config()), tokens(2, 6)
    model = copy.deepcopy(base)
    apply_lora(model, LoRAConfig(rank=4, targets=BLOCKS), "json")
    random_adapter(model, "json", 1)
    alone = copy.deepcopy(model)(ids)
    apply_lora(model, LoRAConfig(rank=2, targets="*.mlp.*", use_dora=True), "pirate")
    random_adapter(model, "pirate", 2)
    pirate = model(ids)
    assert adapter_names(model) == ["json", "pirate"] and active_adapter(model) == "pirate"
    set_adapter(model, "json")
    assert torch.equal(model(ids), alone) and not torch.equal(alone, pirate)
    set_adapter(model, None)
    assert torch.equal(model(ids), base(ids)) and active_adapter(model) is None and not trainable(model)
    set_adapter(model, "pirate")
    assert torch.equal(model(ids), pirate)
    remove_lora(model, "pirate")
    set_adapter(model, "json")
    assert adapter_names(model) == ["json"] and torch.equal(model(ids), alone)
    remove_lora(model)
    assert torch.equal(model(ids), base(ids)) and not lora_layers(model)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in base.named_parameters()]


def test_switching_copies_no_weight():
    model = adapted(name="a")
    apply_lora(model, LoRAConfig(rank=2), "b")
    memory = {name: p.data_ptr() for name, p in model.named_parameters()}
    for name in ("a", None, "b"):
        set_adapter(model, name)
    assert {name: p.data_ptr() for name, p in model.named_parameters()} == memory


def test_removing_a_merged_adapter_takes_it_out():
    base = build(small_config())
    model = copy.deepcopy(base)
    apply_lora(model, LoRAConfig(rank=4, targets=BLOCKS))
    random_adapter(model, "default")
    merge_lora(model)
    remove_lora(model)
    for name, weight in base.named_parameters():
        assert (model.get_parameter(name) - weight).abs().max() <= 1e-6


# Merging


@pytest.mark.parametrize("family", ["gpt2", "llama", "shakespeare"])
@pytest.mark.parametrize("fields", VARIANTS)
def test_a_merged_model_says_the_same_and_unmerging_is_exact(family: str, fields: dict):
    model, ids = adapted(family, **fields), tokens(2, 6)
    expected = model(ids)
    before = {name: layer.base.weight.clone() for name, layer in lora_layers(model).items()}
    for _ in range(5):
        assert merge_lora(model) == list(before)
        assert torch.allclose(model(ids), expected, atol=1e-5, rtol=1e-5)
        unmerge_lora(model)
    assert torch.allclose(model(ids), expected, atol=1e-5, rtol=1e-5)
    for name, layer in lora_layers(model).items():
        assert (layer.base.weight - before[name]).abs().max() <= 1e-6


def test_merging_in_double_precision_is_exact_to_1e_6_and_far_beyond():
    model, ids = build(small_config()).double(), tokens(2, 6)
    apply_lora(model, LoRAConfig(rank=4, targets=BLOCKS))
    random_adapter(model, "default")
    expected = model(ids)
    merge_lora(model)
    assert (model(ids) - expected).abs().max() <= 1e-12


def test_unwrapping_leaves_plain_layers_which_the_fast_step_takes():
    model, ids = adapted(), tokens(2, 6)
    decoding_layout(model)
    expected = model(ids)
    text = generate(model, [3, 1, 4], greedy=True, max_new_tokens=6)
    assert token_step(model) is None
    plain = [name for name, _ in build(small_config()).named_parameters()]
    merge_lora(model, unwrap=True)
    assert [name for name, _ in model.named_parameters()] == plain
    assert torch.allclose(model(ids), expected, atol=1e-5, rtol=1e-5)
    assert token_step(decoding_layout(model)) is not None
    assert generate(model, [3, 1, 4], greedy=True, max_new_tokens=6) == text
    apply_lora(model, LoRAConfig(rank=2))  # and it can be adapted again


def test_a_named_adapter_can_be_merged_and_is_the_active_one_afterwards():
    model = adapted(name="a")
    apply_lora(model, LoRAConfig(rank=2, targets="*.v_proj"), "b")
    random_adapter(model, "b", 7)
    set_adapter(model, "a")
    expected = model(tokens(2, 6))
    set_adapter(model, "b")
    merge_lora(model, "a")
    assert torch.allclose(model(tokens(2, 6)), expected, atol=1e-5) and not trainable(model)
    unmerge_lora(model)
    assert active_adapter(model) == "a" and trainable(model)


# Generation, tied heads, shared layers


def test_generation_with_an_adapter_equals_reading_anew():
    model = adapted()
    prompts = [[3, 1, 4], [1, 5, 9, 2, 6, 5]]
    texts = generate(model, prompts, greedy=True, max_new_tokens=8)
    for prompt, text in zip(prompts, texts):
        row = list(prompt)
        for token in text:
            assert model(torch.tensor([row]))[0, -1].argmax() == token
            row.append(token)


def test_a_tied_head_can_be_adapted_but_not_merged():
    model, ids = build(small_config()), tokens(2, 6)
    expected = model(ids)
    apply_lora(model, LoRAConfig(rank=4, targets="lm_head"))
    assert isinstance(model.lm_head, LoRALinear) and isinstance(model.lm_head.base, TiedHead)
    assert torch.equal(model(ids), expected) and not model.token_embedding.weight.requires_grad
    random_adapter(model, "default")
    embedding = model.token_embedding.weight.clone()
    with pytest.raises(ValueError, match=r"lm_head shares its matrix with another layer.*leave it out of targets"):
        merge_lora(model)
    assert not torch.equal(model(ids), expected) and torch.equal(model.token_embedding.weight, embedding)
    untied = build(small_config("rms_learned"))
    apply_lora(untied, LoRAConfig(rank=4, targets="lm_head"))
    assert merge_lora(untied) == ["lm_head"]


def test_a_layer_that_stands_twice_has_one_adapter():
    shared = nn.Linear(8, 8)
    model = nn.ModuleDict({"a": shared, "b": nn.ModuleList([shared])})
    report = apply_lora(model, LoRAConfig(rank=2, targets="*"))
    assert report.places == ("a", "b.0") and report.trainable == 2 * 16 and model["a"] is model["b"][0]
    merge_lora(model, unwrap=True)
    assert model["a"] is model["b"][0] is shared


# What is refused


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(rank=0), "rank is 0; use a whole number of at least 1"),
        (dict(rank=-2), "rank is -2"),
        (dict(rank=2.0), "rank is 2.0"),
        (dict(rank=True), "rank is True"),
        (dict(alpha=0), "alpha is 0; use a number above 0, say 16"),
        (dict(alpha=float("inf")), "alpha is inf"),
        (dict(dropout=1.0), "dropout is 1.0; use a probability"),
        (dict(dropout=-0.1), "dropout is -0.1"),
        (dict(targets=()), r"targets is \(\); give one or more patterns"),
        (dict(targets=("*.q_proj", "")), "targets is"),
        (dict(init="zero"), "init is 'zero'; choose one of uniform, gaussian, swapped"),
    ],
)
def test_configs_that_no_adapter_can_have(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        LoRAConfig(**fields)


def test_one_pattern_may_be_written_without_a_tuple():
    assert LoRAConfig(targets="*.q_proj") == LoRAConfig(targets=["*.q_proj"])


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(rank=17, targets="*.[qv]_proj"), "rank is 17, but blocks.0.attention.v_proj maps 32 to 16.*16 at most"),
        (dict(targets=("*.q_proj", "q_proj")), r"targets holds 'q_proj', which matches no linear.*mean '\*.q_proj'"),
        (dict(targets="blocks.0.attention.q_pro"), "did you mean 'blocks.0.attention.q_proj'"),
        (dict(targets="zzz"), "matches no linear layer of the model; print.model. shows the names"),
        (dict(targets="blocks.*.norm1"), "matches no linear layer"),
    ],
)
def test_what_apply_lora_refuses_changes_nothing(fields: dict, message: str):
    model = build(small_config())
    before, expected = list(model.modules()), trainable(model)
    with pytest.raises(ValueError, match=message):
        apply_lora(model, LoRAConfig(**fields))
    assert list(model.modules()) == before and trainable(model) == expected


def test_the_rank_may_be_the_whole_of_a_matrix():
    model = build(small_config())
    apply_lora(model, LoRAConfig(rank=16, targets="*.v_proj"))
    assert lora_layers(model)["blocks.0.attention.v_proj"].adapters["default"].a.shape == (16, 32)


def test_names_are_checked():
    model = adapted(name="mine")
    with pytest.raises(ValueError, match="name is 'mine', which an adapter of the model has already"):
        apply_lora(model, LoRAConfig(rank=2), "mine")
    for bad in ("", "a.b", "a b", "keys", "training", 3):
        with pytest.raises(ValueError, match=r"name is .*; use letters, digits, - and _"):
            apply_lora(model, LoRAConfig(rank=2), bad)
    with pytest.raises(ValueError, match="name is 'yours', but the model's adapters are 'mine'"):
        set_adapter(model, "yours")
    with pytest.raises(ValueError, match="name is 'yours', but the model's adapters are 'mine'"):
        merge_lora(model, "yours")
    with pytest.raises(ValueError, match=r"name is 'yours'.*nothing to remove"):
        remove_lora(model, "yours")
    assert adapter_names(model) == ["mine"] and active_adapter(model) == "mine"


def test_order_of_merging_is_checked():
    model = build(small_config())
    for call in (merge_lora, remove_lora):
        with pytest.raises(ValueError, match="the model has no adapter"):
            call(model)
    with pytest.raises(ValueError, match="model has no merged adapter"):
        unmerge_lora(model)
    apply_lora(model, LoRAConfig(rank=2), "a")
    merge_lora(model)
    with pytest.raises(ValueError, match=r"adapter 'a' is merged into blocks.0.attention.q_proj already"):
        merge_lora(model)
    with pytest.raises(ValueError, match=r"adapter 'a' is merged into the weights; unmerge_lora.model. first"):
        set_adapter(model, None)
    with pytest.raises(ValueError, match=r"adapter 'a' is merged into the weights; unmerge_lora.model. before adding"):
        apply_lora(model, LoRAConfig(rank=2), "b")
    with pytest.raises(ValueError, match="no trainable parameter"):  # what is merged cannot be trained by mistake
        Trainer(model, TrainConfig(steps=1, seq_len=4, device="cpu", progress=False), torch.arange(50) % 7)


def test_packed_layers_can_be_adapted_but_not_merged():
    model, ids = build(small_config()), tokens(2, 6)
    for block in model.blocks:
        block.attention.q_proj = Packed(block.attention.q_proj)
    expected = model(ids)
    with pytest.raises(ValueError, match=r"use_dora.*blocks.0.attention.q_proj \(Packed\) keeps its weights packed"):
        apply_lora(model, LoRAConfig(rank=4, use_dora=True))
    apply_lora(model, LoRAConfig(rank=4))
    assert torch.equal(model(ids), expected)
    model(ids).square().sum().backward()
    assert all(layer.adapters["default"].b.grad.any() for layer in lora_layers(model).values())
    with pytest.raises(ValueError, match=r"blocks.0.attention.q_proj \(Packed\) keeps its weights packed.*any_base"):
        merge_lora(model)
