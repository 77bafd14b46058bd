"""GPTQ and AWQ: better than rounding where inputs have structure, the same where they have none."""

import pytest
import torch

from llmlib.adapt import InputStatistics, awq_scales, calibrate, output_error, quantize, quantize_gptq
from llmlib.model import ModelConfig, Transformer


def draw(seed, decay=0.9, n_out=24, n_in=64):
    """A weight, and statistics of inputs whose directions differ in size: decay 1 makes them white."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(n_in, n_in, generator=generator))
    x = torch.randn(1000, n_in, generator=generator) * decay ** torch.arange(n_in) @ turn
    return torch.randn(n_out, n_in, generator=generator), x


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bits", [3, 4])
def test_gptq_halves_the_error_on_correlated_inputs(bits, seed):
    weight, x = draw(seed)
    moment, fresh = InputStatistics.of(x[:500]).second_moment, InputStatistics.of(x[500:]).second_moment
    plain = output_error(weight, quantize(weight, bits).dequantize(), fresh)
    assert output_error(weight, quantize_gptq(weight, moment, bits).dequantize(), fresh) < 0.5 * plain


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group_size", [16, "channel", "tensor"])
def test_gptq_on_white_inputs_is_rounding(group_size, symmetric):
    weight, x = draw(0, decay=1.0)
    plain = quantize(weight, 4, group_size, symmetric)
    exact = quantize_gptq(weight, 3 * torch.eye(64), 4, group_size, symmetric)
    assert torch.equal(exact.codes, plain.codes) and torch.equal(exact.dequantize(), plain.dequantize())
    moment = InputStatistics.of(x).second_moment
    sampled = quantize_gptq(weight, moment, 4, group_size, symmetric).dequantize()
    ratio = output_error(weight, sampled, moment) / output_error(weight, plain.dequantize(), moment)
    assert 0.6 < ratio < 1.05


def test_gptq_column_by_column_as_in_the_papers_formula():
    """Optimal Brain Surgeon's own form: after each column, invert what is left of the second moment."""
    weight, x = draw(1, n_out=3, n_in=8)
    moment = InputStatistics.of(x).second_moment.double()
    damped = moment + 0.01 * moment.diagonal().mean() * torch.eye(8)
    left, step = weight.double().clone(), quantize(weight, 4, "tensor", symmetric=True).scale.double()
    for column in range(8):
        inverse = torch.linalg.inv(damped[column:, column:])
        rounded = (left[:, column] / step).round().clamp(-7, 7)[0] * step[0]
        error = (left[:, column] - rounded) / inverse[0, 0]
        left[:, column:] -= torch.outer(error, inverse[0])
    ours = quantize_gptq(weight, moment.float(), 4, "tensor", symmetric=True)
    assert torch.allclose(ours.dequantize().double(), left, atol=1e-4)


def test_gptq_is_the_same_in_wide_matrices():
    """More columns than one block of corrections; the later ones help the earlier ones all the same."""
    weight, x = draw(2, decay=0.98, n_out=4, n_in=320)
    moment = InputStatistics.of(x).second_moment
    for group_size in (160, "channel", "tensor"):
        plain = output_error(weight, quantize(weight, 4, group_size).dequantize(), moment)
        assert output_error(weight, quantize_gptq(weight, moment, 4, group_size).dequantize(), moment) < 0.5 * plain


def test_gptq_survives_channels_that_were_never_used():
    weight, x = draw(0)
    x[:, 5:40] = 0
    q = quantize_gptq(weight, InputStatistics.of(x[:10]).second_moment)
    assert q.dequantize().isfinite().all()
    assert output_error(weight, q.dequantize()) < 0.1  # and keeps their weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(damping=0.0), r"damping=0\.0 must be positive"),
        (dict(second_moment=torch.zeros(64, 64)), "second_moment is zero"),
        (dict(second_moment=torch.eye(32)), r"second_moment has shape \(32, 32\): give .*\(64, 64\)"),
        (dict(second_moment=torch.eye(64) - 0.5), "second_moment is no mean of x x"),
        (dict(bits=9), "bits=9"),
        (dict(group_size=48), "group_size=48 does not divide"),
    ],
)
def test_gptq_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        quantize_gptq(**dict(weight=draw(0)[0], second_moment=torch.eye(64)) | change)


@pytest.mark.parametrize("seed", range(3))
def test_awq_saves_the_weights_of_large_channels(seed):
    weight, x = draw(seed, decay=1.0)
    x[:, [3, 40]] *= 30
    inputs, fresh = InputStatistics.of(x[:500]), InputStatistics.of(x[500:]).second_moment
    s = awq_scales(weight, inputs)
    scaled = quantize(weight * s).dequantize() / s
    assert output_error(weight, scaled, fresh) < 0.5 * output_error(weight, quantize(weight).dequantize(), fresh)
    assert set(s.topk(2).indices.tolist()) == {3, 40}


def test_awq_leaves_even_channels_alone():
    weight, x = draw(0, decay=1.0)
    inputs = InputStatistics.of(x)
    s = awq_scales(weight, inputs)
    assert s.max() / s.min() < 1.2
    assert torch.equal(s, s.half().float())
    with pytest.raises(ValueError, match="inputs are statistics of 64 channels"):
        awq_scales(weight[:, :32], inputs)
    with pytest.raises(ValueError, match="steps=0"):
        awq_scales(weight, inputs, steps=0)


# Calibration


def test_statistics_are_means():
    x = torch.randn(7, 3, 4, generator=torch.Generator().manual_seed(0))
    whole, parts = InputStatistics.of(x), InputStatistics.empty(4)
    for part in x.flatten(0, 1).split([1, 12, 8]):
        parts.add(part)
    flat = x.flatten(0, 1)
    assert parts.n_inputs == whole.n_inputs == 21
    assert torch.allclose(parts.second_moment, flat.T @ flat / 21, atol=1e-6)
    assert torch.allclose(parts.second_moment, whole.second_moment, atol=1e-6)
    assert torch.allclose(parts.mean_abs, flat.abs().mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="give at least one input"):
        InputStatistics.of(torch.zeros(0, 4))


def test_calibration_sees_what_layers_read():
    model = Transformer(ModelConfig(vocab_size=9, n_layers=2, d_model=8, n_heads=2, max_seq_len=12, dropout=0.5))
    ids = torch.randint(9, (3, 6), generator=torch.Generator().manual_seed(0))
    read = []
    handle = model.blocks[1].mlp.down_proj.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model.eval()(ids)
    handle.remove()
    x = read[0].flatten(0, 1).detach()
    model.train()
    name = "blocks.1.mlp.down_proj"
    seen = calibrate(model, [ids[:2], (ids[2:], ids[2:])], [name, "lm_head"])
    assert torch.allclose(seen[name].second_moment, x.T @ x / 18, atol=1e-6)
    assert seen["lm_head"].n_inputs == 18
    assert model.training and not model.blocks[1].mlp.down_proj._forward_pre_hooks


def test_calibration_leaves_padding_out():
    model = Transformer(ModelConfig(vocab_size=9, n_layers=1, d_model=8, n_heads=2, max_seq_len=12))
    short, name = torch.tensor([[1, 2, 3]]), "blocks.0.attention.q_proj"
    batch = {"ids": torch.tensor([[1, 2, 3, 0, 0]]), "pad_mask": torch.tensor([[True] * 3 + [False] * 2])}
    padded, plain = calibrate(model, [batch], [name])[name], calibrate(model, short, [name])[name]
    assert padded.n_inputs == 3 and torch.allclose(padded.second_moment, plain.second_moment, atol=1e-6)


def test_calibration_refuses():
    model = Transformer(ModelConfig(vocab_size=9, n_layers=1, d_model=8, n_heads=2, max_seq_len=12))
    name = "blocks.0.attention.q_proj"
    for empty in ([], torch.zeros(0, 4, dtype=torch.long), iter(())):
        with pytest.raises(ValueError, match="calibration is empty: give batches of token ids"):
            calibrate(model, empty, [name])
    model.spare = torch.nn.Linear(8, 8)
    with pytest.raises(ValueError, match="calibration reached no input of spare"):
        calibrate(model, torch.ones(1, 3, dtype=torch.long), [name, "spare"])
