"""The parameter-efficient family: what each method trains, and that it does what its paper says."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from model_families import build, encoder_config, small_config, tokens
from torch import nn

from llmlib.adapt import (
    LoRAConfig,
    add_bottlenecks,
    add_ia3,
    add_prefix,
    add_soft_prompt,
    apply_lora,
    apply_peft,
    merge_ia3,
    peft_methods,
    tune_biases,
    tune_last_layers,
)
from llmlib.infer import decoding_layout, generate, token_step
from llmlib.model import Transformer, count_parameters
from llmlib.train import TrainConfig, Trainer

ids = tokens(2, 7)
SOME = ["gpt2", "gpt1", "llama", "shakespeare", "sinusoidal"]
CHANGE_AT_ONCE = {"prefix", "prompt"}  # the others start from what the model said before


def apply(family: str, method: str) -> tuple[Transformer, object]:
    model = build(small_config(family))
    return model, apply_peft(model, method, **(dict(add=True) if method == "bitfit" else {}))


def move(model: nn.Module, size: float = 0.1, seed: int = 0) -> None:
    """Random steps of what is trainable, as training would make."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(size * torch.randn(p.shape, generator=generator))


@pytest.mark.parametrize("family, method", list(itertools.product(SOME, peft_methods())))
def test_a_method_trains_what_it_says_and_works_with_a_cache(family: str, method: str):
    model, report = apply(family, method)
    plain = build(small_config(family))
    if method not in CHANGE_AT_ONCE:
        assert torch.allclose(model(ids), plain(ids), atol=1e-6)
    named = dict(model.named_parameters())
    wanted = {name for name, p in named.items() if p.requires_grad}
    assert report.method == method and report.total == count_parameters(model)
    assert report.trainable == sum(named[name].numel() for name in wanted) > 0
    assert method == "lora" or set(report.places) == wanted
    model(ids).square().sum().backward()
    assert {name for name, p in named.items() if p.grad is not None} == wanted
    move(model)
    prompts = [[3, 1, 4], [1, 5, 9, 2, 6]]
    for prompt, text in zip(prompts, generate(model, prompts, greedy=True, max_new_tokens=5)):
        row = list(prompt)
        for token in text:  # the cached steps, two rows padded together, against reading each text anew
            assert model(torch.tensor([row]))[0, -1].argmax() == token
            row.append(token)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(ids), model(ids)) and not torch.allclose(twin(ids), plain(ids), atol=1e-3)


@pytest.mark.parametrize("method", peft_methods())
def test_every_method_learns_and_the_rest_stays(method: str):
    torch.manual_seed(0)
    model, report = apply("llama", method)
    before = {name: p.clone() for name, p in model.named_parameters()}
    text = torch.arange(400) % 16
    settings = dict(steps=12, batch_size=4, seq_len=12, lr=0.01, weight_decay=0.0, device="cpu", progress=False)
    trainer = Trainer(model, TrainConfig(**settings), text, evaluate=text[:80])
    history = trainer.run()
    assert history.val_loss[-1] < history.val_loss[0]
    for name, p in model.named_parameters():
        assert p.requires_grad or torch.equal(p, before[name]), name
    held = [t for o in trainer.optimizers for s in o.state.values() for t in s.values() if torch.is_tensor(t)]
    assert sum(t.numel() for t in held if t.dim()) == 2 * report.trainable


@pytest.mark.parametrize("method", peft_methods())
def test_every_method_works_on_a_bf16_model_in_evaluation_mode(method: str):
    model = build(small_config("gpt2", dropout=0.5)).bfloat16()
    apply_peft(model, method)
    added = {p.dtype for n, p in model.named_parameters() if p.requires_grad}
    added_parts = method in ("bottleneck", "lora", "ia3", "prefix", "prompt")
    assert added == {torch.float32 if added_parts else torch.bfloat16}
    out = model(ids)
    assert out.dtype == torch.bfloat16 and torch.equal(out, model(ids)) and not any(m.training for m in model.modules())
    out.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_options_and_names_are_checked():
    with pytest.raises(ValueError, match="method is 'lorra'; choose one of full, last_layers, norms, bitfit"):
        apply_peft(build(small_config()), "lorra")
    with pytest.raises(ValueError, match="'rank' is no option of method 'ia3', which takes none"):
        apply_peft(build(small_config()), "ia3", rank=3)
    with pytest.raises(ValueError, match="'r' is no option of method 'lora', which takes rank, alpha, dropout"):
        apply_peft(build(small_config()), "lora", r=3)
    assert apply_peft(build(small_config()), "lora", rank=2, targets="*.k_proj").trainable == 3 * 2 * (32 + 16)


@pytest.mark.parametrize("method", ["bottleneck", "ia3", "prefix", "prompt", "bitfit"])
def test_parts_of_two_methods_are_not_mixed(method: str):
    model, _ = apply("llama", method)
    before = dict(model.named_modules())
    for other in peft_methods():
        message = f"method is '{other}', but the model already has the parts that '{method}'"
        with pytest.raises(ValueError, match=message):
            apply_peft(model, other)
    assert dict(model.named_modules()) == before
    adapted = build(small_config())
    apply_lora(adapted, LoRAConfig(rank=2))
    with pytest.raises(ValueError, match="but the model already has adapters"):
        apply_peft(adapted, method)


def test_choices_of_the_model_s_own_parameters_may_follow_each_other():
    model = build(small_config("gpt2"))
    counts = [apply_peft(model, method).trainable for method in ("full", "norms", "bitfit", "last_layers")]
    assert counts[0] == count_parameters(model) and max(counts[1:]) < counts[0]
    assert apply_peft(model, "lora", rank=2).trainable == 3 * 2 * 2 * 64


# What a model has already


def test_last_layers():
    model = build(small_config("rms_learned"))
    report = tune_last_layers(model, 2)
    assert {name.split(".")[0] for name in report.places} == {"blocks", "final_norm", "lm_head"}
    assert {name.split(".")[1] for name in report.places if name.startswith("blocks")} == {"1", "2"}
    assert not any(name.startswith(("lm_head", "token")) for name in tune_last_layers(build(small_config()), 3).places)
    for bad in (0, 4, True, 1.0):
        with pytest.raises(ValueError, match=r"n_layers is .*; use a whole number from 1 to the model's 3"):
            tune_last_layers(model, bad)


def test_norms_are_all_found():
    model = build(small_config("shakespeare"))
    report = apply_peft(model, "norms")
    assert report.trainable == 3 * (2 * 32 + 2 * 8) + 32  # two norms and those of queries and keys a block, a final one
    with pytest.raises(ValueError, match="model has no LayerNorm or RMSNorm"):
        apply_peft(nn.Sequential(nn.Linear(3, 3)), "norms")


def test_bitfit_trains_biases_or_adds_them():
    gpt = build(small_config("gpt2"))
    report = tune_biases(gpt)
    assert report.trainable == sum(p.numel() for n, p in gpt.named_parameters() if n.endswith(".bias"))
    llama = build(small_config("llama"))
    with pytest.raises(ValueError, match="model has no bias, as models of Llama's kind; with add=True"):
        tune_biases(llama)
    report = tune_biases(decoding_layout(llama), add=True)
    assert report.trainable == 3 * (32 + 16 + 16 + 32 + 2 * llama.config.d_ff + 32)
    move(llama)
    layer, x = llama.blocks[0].mlp.up_proj, torch.randn(5, 32)
    assert torch.allclose(layer(x), F.linear(x, layer.base.weight, layer.shift), atol=1e-6)
    assert token_step(llama) is None  # the fast step knows no biases, and leaves the model to itself


# Bottlenecks and (IA)^3


def test_a_bottleneck_is_the_formula_and_its_count():
    model = build(small_config())
    report = add_bottlenecks(model, size=5)
    assert report.trainable == 3 * 2 * (2 * 32 * 5 + 32 + 5)
    move(model)
    layer, x = model.blocks[1].attention.o_proj, torch.randn(4, 32)
    y = x @ layer.base.weight.T
    hidden = F.gelu(y @ layer.down.weight.T + layer.down.bias)
    assert torch.allclose(layer(x), y + hidden @ layer.up.weight.T + layer.up.bias, atol=1e-6)
    assert add_bottlenecks(build(small_config()), 5, "mlp").trainable * 2 == report.trainable
    for options, message in (
        (dict(size=0), "size is 0; use a whole number of at least 1"),
        (dict(places=()), r"places is \(\); choose from attention, mlp"),
        (dict(places="head"), "choose from attention, mlp"),
    ):
        with pytest.raises(ValueError, match=message):
            add_bottlenecks(build(small_config()), **options)


@pytest.mark.parametrize("family", SOME)
def test_ia3_merges_into_the_matrices(family: str):
    model = build(small_config(family))
    report = add_ia3(model)
    c = model.config
    assert report.trainable == c.n_layers * (2 * c.n_kv_heads * c.head_dim + c.d_ff)
    move(model, 0.3)
    expected = model(ids)
    assert not torch.allclose(build(c)(ids), expected, atol=1e-2)
    assert len(merge_ia3(model)) == 9
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in build(c).named_parameters()]
    assert torch.allclose(model(ids), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=r"model has no .IA.\^3 vectors"):
        merge_ia3(model)
    apply_peft(model, "lora", rank=2)  # nothing is left of it


def test_methods_that_need_a_transformer_s_parts_say_so():
    for call in (add_bottlenecks, add_ia3):
        with pytest.raises(ValueError, match="matches no linear layer of the model"):
            call(nn.ModuleDict({"a": nn.Linear(3, 3)}))


def test_encoders_take_all_but_prompts():
    for method in peft_methods():
        model = build(encoder_config())
        if method == "prompt":
            with pytest.raises(ValueError, match="model is a model that reads both ways; prompt tuning needs a causal"):
                apply_peft(model, method)
            continue
        apply_peft(model, method)
        model.hidden(ids).square().sum().backward()
        assert all(p.grad is not None for n, p in model.named_parameters() if p.requires_grad and "pooler" not in n)


@pytest.mark.parametrize("add", [add_prefix, add_soft_prompt])
@pytest.mark.parametrize(
    "options, message",
    [
        (dict(length=0), "length is 0; use a whole number from 1 to 39"),
        (dict(length=40), "length is 40"),
        (dict(length=2.5), "length is 2.5"),
        (dict(ids=[]), "ids holds 0 tokens; give 1 to 39"),
        (dict(ids=[1, 61]), "each below 61"),
        (dict(ids=[-1]), "ids holds 1 tokens"),
    ],
)
def test_lengths_of_prefixes_are_checked(add, options: dict, message: str):
    model = build(small_config())
    with pytest.raises(ValueError, match=message):
        add(model, **options)
    assert all(p.requires_grad for p in model.parameters())


def test_apply_peft_works_on_the_meta_device():
    with torch.device("meta"):
        model = Transformer(small_config("gpt2"))
    assert apply_peft(model, "bottleneck").trainable == 3 * 2 * (2 * 32 * 16 + 32 + 16)
