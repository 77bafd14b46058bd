"""quantize_model: what changes, what is reported, and that the rest of the library never knows."""

import pytest
import torch
from torch import nn

from llmlib.adapt import (
    QUANTIZATION_METHODS,
    FrozenLinear,
    Int4Linear,
    Int8Linear,
    LoRAConfig,
    QuantizedLinear,
    W8A8Linear,
    apply_lora,
    merge_lora,
    output_error,
    prepare_qat,
    quantize,
    quantize_model,
    quantize_q4_1,
    unmerge_lora,
)
from llmlib.infer import generate
from llmlib.model import KVCache, ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer, load_checkpoint, next_token_loss, save_checkpoint

IDS = torch.randint(11, (4, 12), generator=torch.Generator().manual_seed(0))


def build(seed=0, **changes):
    shape = dict(vocab_size=11, n_layers=2, d_model=64, n_heads=2, n_kv_heads=1, d_ff=64, max_seq_len=24)
    model = Transformer(ModelConfig(**shape | changes)).eval()
    model.init_weights(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(6)
    return model


@pytest.mark.parametrize("method", QUANTIZATION_METHODS)
def test_every_method(method):
    model, reference = build(), build()
    report = quantize_model(model, method, calibration=IDS)
    assert len(report.layers) == 14 and report.layers[0].name == "blocks.0.attention.q_proj"
    expected = dict(absmax=4.5, rtn=5, awq=5.25, gptq=5, nf4=4.25, q8_0=8.5, q4_1=5, w8a8=8.25)[method]
    assert report.bits_per_weight == pytest.approx(expected, abs=0.15)
    assert (report.bits, report.group_size) == QUANTIZATION_METHODS[method][:2]
    assert report.nbytes == sum(part.nbytes for part in model.modules() if isinstance(part, FrozenLinear))
    assert report.nbytes_before == 4 * sum(n_out * n_in for n_out, n_in in (layer.shape for layer in report.layers))
    assert 0 < report.output_error < (1e-3 if report.bits == 8 else 2e-2)
    assert method in str(report) and "14 layers" in str(report) and "calibration" in str(report)
    with torch.no_grad():
        assert output_error(reference(IDS).flatten(0, 1), model(IDS).flatten(0, 1)) < 0.1
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in reference.parameters()) / 2


@pytest.mark.parametrize("form", ["packed", "kernel", "simulated"])
def test_generation_never_knows(form):
    model = build()
    report = quantize_model(model, form=form, head=8)
    assert report.layers[-1].name == "lm_head" and report.layers[-1].nbytes == 11 * 64 + 22
    prompts = [[1, 2, 3], [4, 5, 6, 7]]
    cache = KVCache(model.config, batch_size=2)
    cached = generate(model, prompts, max_new_tokens=5, greedy=True, cache=cache)
    assert [len(row) for row in cached] == [5, 5]
    if form != "kernel":  # whose bfloat16 differs with the number of rows
        for prompt, row in zip(prompts, cached):
            for i in range(5):
                logits = model(torch.tensor([prompt + row[:i]]))[0, -1]
                assert logits[row[i]] >= logits.max() - 1e-4
    single = generate(model, [1, 2, 3], max_new_tokens=5, greedy=True)
    assert form == "kernel" or single == cached[0]


def test_forms():
    models = {form: build() for form in ("packed", "kernel", "simulated")}
    reports = {form: quantize_model(model, "gptq", calibration=IDS, form=form) for form, model in models.items()}
    kinds = {form: type(model.blocks[0].mlp.up_proj) for form, model in models.items()}
    assert kinds == dict(packed=QuantizedLinear, kernel=Int4Linear, simulated=nn.Linear)
    with torch.no_grad():
        packed, kernel, simulated = (model(IDS) for model in models.values())
    assert (
        torch.allclose(packed, simulated, atol=1e-4) and output_error(packed.flatten(0, 1), kernel.flatten(0, 1)) < 0.01
    )
    assert reports["packed"].bits_per_weight == reports["simulated"].bits_per_weight == 5
    eight = build()
    quantize_model(eight, "absmax", bits=8, group_size="channel", form="kernel", targets="*.down_proj")
    assert isinstance(eight.blocks[1].mlp.down_proj, Int8Linear) and type(eight.blocks[1].mlp.up_proj) is nn.Linear
    integers = build()
    quantize_model(integers, "w8a8")
    assert isinstance(integers.blocks[0].mlp.up_proj, W8A8Linear)


def test_the_tied_head_gets_codes_and_the_embedding_stays():
    model, reference = build(), build()
    embedding = model.token_embedding.weight
    report = quantize_model(model, head=4)
    assert model.token_embedding.weight is embedding and torch.equal(embedding, reference.token_embedding.weight)
    assert torch.equal(model.lm_head.weight, quantize(embedding, 4, scale_dtype=torch.float16).dequantize())
    assert report.layers[-1].output_error > 0 and not report.calibrated
    untied = build(tie_embeddings=False)
    assert len(quantize_model(untied, targets="*").layers) == 15


def test_weights_of_a_file_cost_nothing():
    """As SmolLM2's in Q4_1."""
    model = build()
    for part in model.blocks.modules():
        if isinstance(part, nn.Linear):
            part.weight.data = quantize_q4_1(part.weight).dequantize()
    with torch.no_grad():
        before = model(IDS)
        assert quantize_model(model, "q4_1").output_error == 0
        assert torch.allclose(model(IDS), before, atol=1e-4)


def test_the_order_of_quality():
    """Averages over the layers of one model: more bits and smaller groups are better, GPTQ and AWQ than rounding."""
    error = lambda method, **options: quantize_model(build(), method, calibration=IDS, **options).output_error
    assert error("rtn", bits=8) < error("rtn", bits=4) / 50 < error("rtn", bits=3) / 50 < error("rtn", bits=2) / 50
    assert error("rtn", group_size=16) < error("rtn", group_size="channel") < error("rtn", group_size="tensor")
    assert error("gptq", bits=3) < 0.5 * error("rtn", bits=3)
    assert error("awq", bits=3) <= error("rtn", bits=3)


def test_sequential_calibration_sees_the_quantized_layers_before():
    plain, sequential = build(), build()
    quantize_model(plain, "gptq", bits=2, calibration=IDS)
    quantize_model(sequential, "gptq", bits=2, calibration=IDS, sequential=True)
    first, second = "blocks.0.attention.q_proj", "blocks.1.attention.q_proj"
    same = lambda name: torch.equal(plain.get_submodule(name).weight, sequential.get_submodule(name).weight)
    assert same(first) and not same(second)


def test_layers_shared_between_places_stay_shared():
    model = build()
    model.blocks[1].mlp.up_proj = model.blocks[0].mlp.up_proj
    report = quantize_model(model)
    assert len(report.layers) == 13 and model.blocks[1].mlp.up_proj is model.blocks[0].mlp.up_proj


def test_costs_are_counted_as_before():
    model, reference = build(), build()
    quantize_model(model, head=8)
    assert model.flops_per_token(12) == reference.flops_per_token(12)


def test_checkpoint_of_a_quantized_model(tmp_path):
    model = build()
    quantize_model(model, "nf4")
    save_checkpoint(tmp_path / "nf4.pt", model)
    other = build(seed=1)
    quantize_model(other, "nf4")
    load_checkpoint(tmp_path / "nf4.pt", other)
    with torch.no_grad():
        assert torch.equal(model(IDS), other(IDS))


def test_what_is_left_trains_on_a_quantized_base():
    """Norms here; LoRA on NF4 is QLoRA."""
    model = build().requires_grad_(False)
    quantize_model(model, "nf4")
    for norm in (model.final_norm, model.blocks[0].norm1):
        norm.weight.requires_grad_(True)
    codes = model.blocks[0].mlp.up_proj.packed.clone()
    history = Trainer(model, TrainConfig(steps=30, lr=0.05, device="cpu", progress=False), [IDS]).run()
    assert history.train_loss[-1] < history.train_loss[0] - 0.1
    assert torch.equal(model.blocks[0].mlp.up_proj.packed, codes)


def test_lora_on_nf4_is_qlora():
    model, before = build(), build()
    quantize_model(model, "nf4")
    apply_lora(model, LoRAConfig(rank=4, targets=("blocks.*",)), generator=torch.Generator().manual_seed(0))
    codes = model.blocks[0].mlp.up_proj.base.packed.clone()
    loss = lambda: next_token_loss(model, IDS)[0].item() / 44
    start = loss()
    Trainer(model, TrainConfig(steps=30, lr=0.01, device="cpu", progress=False), [IDS]).run()
    assert loss() < start - 0.3
    assert torch.equal(model.blocks[0].mlp.up_proj.base.packed, codes)
    with pytest.raises(ValueError, match="keeps its weights packed"):
        merge_lora(model)
    assert sum(p.numel() for p in model.parameters()) < 0.5 * sum(p.numel() for p in before.parameters())


def test_a_base_under_adapters_is_quantized_unless_one_is_merged():
    model = build()
    apply_lora(model, LoRAConfig(rank=2, targets=("*.q_proj",)))
    merge_lora(model)
    with pytest.raises(ValueError, match="q_proj has an adapter merged into it: merge_lora"):
        quantize_model(model)
    unmerge_lora(model)
    report = quantize_model(model)
    assert len(report.layers) == 14 and report.layers[0].name == "blocks.0.attention.q_proj.base"
    assert generate(model, [1, 2], max_new_tokens=2)


def test_quantization_aware_training_ends_in_the_model_it_trained():
    plain, aware = build(), build()
    quantize_model(plain, bits=2)
    names = prepare_qat(aware, bits=2)
    assert len(names) == 14
    with torch.no_grad():
        assert torch.allclose(aware(IDS), plain(IDS), atol=1e-4)
    config = TrainConfig(steps=40, lr=3e-3, device="cpu", progress=False)
    Trainer(aware, config, [IDS]).run()
    with torch.no_grad():
        trained = aware(IDS)
    quantize_model(aware, bits=2)
    with torch.no_grad():
        assert torch.allclose(aware(IDS), trained, atol=1e-3)
        loss = lambda logits: nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())
        assert loss(trained) < loss(plain(IDS)) - 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(method="awg"), "method='awg' is none of absmax, rtn, awq, gptq, nf4, q8_0, q4_1, w8a8"),
        (dict(bits=1), "bits=1 must be a whole number from 2 to 8"),
        (dict(bits=9), "bits=9"),
        (dict(method="nf4", bits=3), "bits=3, but nf4 has 4: leave bits out"),
        (dict(method="q8_0", group_size=16), "group_size=16, but q8_0 has 32: leave it out"),
        (dict(group_size=48), "blocks.0.attention.q_proj: group_size=48 does not divide the 64 inputs .* say 32"),
        (dict(method="gptq"), "calibration=None, and gptq is chosen by what layers read: give batches"),
        (dict(method="awq", calibration=[]), "calibration is empty: give batches of token ids"),
        (dict(calibration=[]), "calibration is empty"),
        (dict(targets="blocks.*.w_proj"), "targets is 'blocks.*.w_proj', which matches no linear layer"),
        (dict(targets="lm_head", head=8), "targets='lm_head' matches lm_head alone"),
        (dict(head=1), "bits=1"),
        (dict(form="fast"), "form='fast' is none of packed, kernel, simulated"),
        (dict(form="kernel", bits=3), "form='kernel' has no kernel for method='rtn', bits=3, group_size=32: use"),
        (dict(form="kernel", bits=8), "form='kernel' has no kernel .* group_size='channel'"),
        (dict(method="w8a8", form="simulated"), "form='simulated' keeps activations as they are"),
    ],
)  # fmt: skip
def test_bad_input_leaves_the_model_alone(options, message):
    model = build()
    before = list(model.modules())
    with pytest.raises(ValueError, match=message):
        quantize_model(model, **options)
    assert list(model.modules()) == before


def test_an_error_halfway_leaves_the_model_alone():
    model = build()
    with torch.no_grad():
        model.blocks[1].mlp.down_proj.weight[0, 0] = float("nan")
    before = list(model.modules())
    for sequential in (True, False):
        with pytest.raises(ValueError, match="weight holds numbers that are not finite"):
            quantize_model(model, calibration=IDS, sequential=sequential)
        assert list(model.modules()) == before


def test_what_is_quantized_already_is_refused():
    model = build()
    quantize_model(model, targets="blocks.0.*")
    with pytest.raises(ValueError, match=r"blocks.0.attention.q_proj is quantized already: load the model anew"):
        quantize_model(model)
    quantize_model(model, targets="blocks.1.*")
    with pytest.raises(ValueError, match="has no linear lm_head"):
        quantize_model(nn.Sequential(nn.Linear(32, 8)), targets="*", head=8)
    assert len(quantize_model(nn.Sequential(nn.Linear(32, 8)), targets="*").layers) == 1
    with pytest.raises(ValueError, match=r"matches blocks.0.attention.q_proj, a QuantizedLinear"):
        prepare_qat(model)
