"""Memory, energy and throughput: against hand counts, against what autograd really keeps, against fake counters."""

import doctest
import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from llmlib.model import ModelConfig, Transformer, count_parameters, flops_per_token, preset
from llmlib.train import TrainConfig, Trainer
from llmlib.train import energy as energy_module
from llmlib.train.energy import EnergyMeter, co2_grams, gpu_power, read_counters, training_joules
from llmlib.train.losses import token_loss
from llmlib.train.memory import activation_bytes, memory_plan, training_memory
from llmlib.train.throughput import matmul_peak, mfu

SMALL = ModelConfig(vocab_size=50, n_layers=3, d_model=32, n_heads=4, max_seq_len=16)


def test_seven_billion_parameters_take_112_gigabytes_in_fp32_with_adam():
    memory = training_memory(preset("llama2-7b"), 1, 8)
    n = count_parameters(preset("llama2-7b"))
    assert memory.weights + memory.gradients + memory.optimizer == 16 * n
    assert 16 * 7e9 == 112e9
    assert memory.peak == 16 * n + memory.activations


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon", "soap"])
def test_the_optimizer_keeps_as_many_bytes_as_it_says(optimizer, tied):
    config = SMALL.replace(tie_embeddings=tied)
    model = Transformer(config)
    settings = TrainConfig(steps=3, batch_size=2, seq_len=8, optimizer=optimizer, progress=False, device="cpu")
    trainer = Trainer(model, settings, torch.randint(50, (200,), generator=torch.Generator().manual_seed(0)))
    for _ in range(3):
        trainer.train_step()
    kept = 0
    for each in trainer.optimizers:
        for state in each.state.values():
            kept += sum(v.untyped_storage().nbytes() for v in state.values() if torch.is_tensor(v) and v.ndim)
    assert training_memory(config, 2, 8, optimizer=optimizer).optimizer == kept


@pytest.mark.parametrize("changes", [{}, dict(mlp="gelu", norm="layernorm", bias=True), dict(n_kv_heads=2)])
def test_activations_are_what_autograd_keeps(changes):
    config = SMALL.replace(**changes)
    model = Transformer(config)
    own = {w.untyped_storage().data_ptr() for w in (*model.parameters(), *model.buffers())}
    ids, saved = torch.zeros(2, 16, dtype=torch.long), {}

    def note(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with sdpa_kernel(SDPBackend.MATH), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        token_loss(model(ids), ids)
    real = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    assert activation_bytes(model, 2, 16) == pytest.approx(real, rel=0.02)


def test_activations_grow_with_the_batch_and_faster_than_the_sequence():
    one, two = activation_bytes(Transformer(SMALL), 2, 16), activation_bytes(Transformer(SMALL), 4, 16)
    short = activation_bytes(Transformer(SMALL), 2, 8)
    assert two == pytest.approx(2 * one, rel=0.01)
    assert one > 2 * short  # attention's weights are T by T


def test_plans_cut_what_they_say():
    alone = memory_plan(SMALL, 1, "alone", batch_size=2)
    copies, zero, slices = (memory_plan(SMALL, 4, name, batch_size=2) for name in ("ddp", "zero1", "fsdp"))
    assert copies.memory == alone.memory == training_memory(SMALL, 2, 16)
    assert zero.memory.optimizer == alone.memory.optimizer // 4
    assert zero.memory.weights == alone.memory.weights
    block = alone.memory.weights // 3
    assert slices.memory.weights == alone.memory.weights // 4 + block
    assert slices.memory.gradients == alone.memory.gradients // 4
    assert alone.message_bytes == 0
    assert copies.message_bytes == round(2 * 3 / 4 * alone.memory.gradients)  # a ring's reduce and gather
    assert slices.message_bytes == pytest.approx(1.5 * copies.message_bytes, abs=1)


def test_a_plan_times_an_update():
    plan = memory_plan(SMALL, 2, "ddp", batch_size=2, accumulate=3, flops_per_second=1e9, bytes_per_second=1e6)
    assert plan.compute_seconds == pytest.approx(2 * 16 * 3 * flops_per_token(SMALL, 16) / 1e9)
    assert plan.message_seconds == pytest.approx(plan.message_bytes / 1e6)
    assert plan.step_seconds == (
        max(plan.compute_seconds, plan.message_seconds),
        plan.compute_seconds + plan.message_seconds,
    )
    assert "ddp on 2" in str(plan)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: memory_plan(SMALL, 2, "dpp"), "strategy='dpp'"),
        (lambda: memory_plan(SMALL, 0), "devices=0"),
        (lambda: memory_plan(SMALL, 2, "alone"), "devices=2"),
        (lambda: training_memory(SMALL, 1, optimizer="adam"), "optimizer='adam'"),
        (lambda: activation_bytes(torch.nn.Linear(2, 2), 1, 1), "Linear"),
        (lambda: co2_grams(1.0, "atlantis"), "region='atlantis'"),
        (lambda: co2_grams(-1.0), "joules=-1.0"),
        (lambda: EnergyMeter(watts=-1), "watts=-1"),
        (lambda: training_joules(1.0, 0.0, 1.0), "flops_per_second=0.0"),
        (lambda: matmul_peak(size=0, seconds=0), "seconds=0"),
        (lambda: mfu(SMALL, 1.0, 16, 0.0), "peak=0.0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_page_on_many_devices_says_what_the_library_computes():
    page = Path(__file__).resolve().parents[2] / "docs" / "from_laptop_to_nodes.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert failed == 0 and tried >= 10


def test_mfu_is_the_share_of_the_peak():
    assert mfu(SMALL, 1000.0, 16, 1000.0 * flops_per_token(SMALL, 16)) == 1.0
    assert 1e8 < matmul_peak(size=64, seconds=0.01) < 1e15


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(energy_module, "gpu_power", lambda: None)


def test_without_counters_joules_are_an_estimate(tmp_path, no_gpu):
    with EnergyMeter(watts=20.0, rapl=tmp_path) as meter:
        pass
    assert meter.source == "estimate"
    assert meter.joules == pytest.approx(20.0 * meter.seconds)
    assert meter.kwh == pytest.approx(meter.joules / 3.6e6)


def fake_rapl(folder, packages):
    for name, microjoules in packages.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "energy_uj").write_text(str(microjoules))
        (folder / name / "max_energy_range_uj").write_text("1000000000")


def test_counters_are_read_added_and_may_begin_again(tmp_path, no_gpu):
    fake_rapl(tmp_path, {"intel-rapl:0": 5_000_000, "intel-rapl:1": 999_000_000, "intel-rapl:0:0": 1})
    with EnergyMeter(rapl=tmp_path) as meter:
        fake_rapl(tmp_path, {"intel-rapl:0": 9_000_000, "intel-rapl:1": 2_000_000, "intel-rapl:0:0": 7_000_000})
    assert meter.source == "RAPL"
    assert meter.joules == pytest.approx(4.0 + 3.0)


def test_counters_that_may_not_be_read_are_none(tmp_path):
    fake_rapl(tmp_path, {"intel-rapl:0": 1})
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("no number")
    assert read_counters(tmp_path) == {}


def test_a_cards_power_is_integrated(tmp_path, monkeypatch):
    monkeypatch.setattr(energy_module, "gpu_power", lambda: 200.0)
    with EnergyMeter(rapl=tmp_path) as meter:
        torch.ones(100).sum()
    assert meter.source == "nvidia-smi"
    assert meter.joules == pytest.approx(200.0 * meter.seconds)


def test_each_sample_counts_until_the_next_and_none_beyond_the_end():
    samples = [(9.9, 100.0), (12.0, 300.0), (13.0, 50.0), (15.1, 1e6)]
    assert energy_module._area(samples, 10.0, 15.0) == pytest.approx(2 * 100 + 1 * 300 + 2 * 50)


@pytest.mark.parametrize(("output", "code", "watts"), [("71.5\n80.5\n", 0, 152.0), ("[N/A]\n", 0, None), ("", 9, None)])
def test_what_nvidia_smi_prints(monkeypatch, output, code, watts):
    monkeypatch.setattr(energy_module.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert gpu_power(lambda *_, **__: subprocess.CompletedProcess([], code, output)) == watts


def test_the_lectures_kettle():
    """16 queries of 4.32 g are a kettle's 70 g, as one of the sources says; 139 are 600 g of laundry."""
    assert 16 * 4.32 == pytest.approx(70, abs=1)
    assert 139 * 4.32 == pytest.approx(600, abs=1)
    assert co2_grams(3.6e6, "World") == 480
    assert co2_grams(3.6e6, "france", overhead=1.5) == 84
    assert training_joules(1e15, 1e12, 300.0) == 300_000.0
