"""Layers of codes: the same interface, the same numbers, gradients through them; torch's kernels and their twins."""

import copy

import pytest
import torch
from torch import nn

from llmlib.adapt import (
    FakeQuantLinear,
    Int4Linear,
    Int8Linear,
    QuantizedLinear,
    W8A8Linear,
    awq_scales,
    fake_quantize,
    kernels,
    quantize,
    quantize_nf4,
)
from llmlib.adapt.calibration import InputStatistics


def linear(n_in=64, n_out=32, bias=True, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(n_in, n_out, bias=bias)


def inputs(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layers():
    """One of each kind, and the codes it was made of."""
    plain = linear()
    wide = quantize(plain.weight, 8, "channel", symmetric=True)
    s = awq_scales(plain.weight, InputStatistics.of(inputs(50, 64) * torch.linspace(1, 9, 64)))
    return {
        "int3": QuantizedLinear(plain, quantize(plain.weight, 3)),
        "tensor": QuantizedLinear(plain, quantize(plain.weight, 5, "tensor", symmetric=True)),
        "nf4": QuantizedLinear(plain, quantize_nf4(plain.weight)),
        "awq": QuantizedLinear(plain, quantize(plain.weight * s), s),
        "int4": Int4Linear(plain, quantize(plain.weight, 4)),
        "int4 symmetric": Int4Linear(plain, quantize(plain.weight, 4, 64, symmetric=True)),
        "int4 awq": Int4Linear(plain, quantize(plain.weight * s), s),
        "int8": Int8Linear(plain, wide),
        "w8a8": W8A8Linear(plain, wide),
    }


@pytest.mark.parametrize("kind", layers())
def test_every_layer_is_a_linear_layer(kind):
    plain, layer = linear(), layers()[kind]
    assert isinstance(layer, nn.Linear) and (layer.in_features, layer.out_features) == (64, 32)
    assert layer.weight.shape == (32, 64) and [name for name, _ in layer.named_parameters()] == ["bias"]
    assert (layer.weight - plain.weight).abs().max() < 0.05
    x = inputs(2, 30, 64)  # many rows: the plain way
    y = layer(x).detach()
    tolerance = 0.02 if kind == "w8a8" else 1e-5
    assert torch.allclose(y, x @ layer.weight.T + layer.bias, atol=tolerance)
    few = layer(x[:1, :3]).detach()  # few rows: the kernel, in bfloat16
    assert few.dtype == torch.float32 and torch.allclose(few, y[:1, :3], atol=0.02)
    assert layer(x.bfloat16()).dtype == layer(x[0, :2].bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", layers())
def test_gradients_flow_through_and_not_into(kind):
    layer, x = layers()[kind], inputs(3, 64).requires_grad_()
    y = layer(x)
    y.square().sum().backward()
    expected = 2 * y.detach() @ layer.weight
    assert torch.allclose(x.grad, expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(layer.bias.grad, 2 * y.detach().sum(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", layers())
def test_saved_and_copied(kind):
    layer, x = layers()[kind], inputs(2, 64)
    with torch.no_grad():
        before = layer(x)
        assert torch.equal(copy.deepcopy(layer)(x), before)
        other = copy.deepcopy(layer)
        for buffer in other.buffers():
            buffer.zero_()
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other(x), before)


def test_memory_is_what_the_bits_say():
    made = layers()
    assert made["int3"].nbytes == 64 * 32 * 3 // 8 + 2 * 2 * 32 * 4
    assert made["int4"].nbytes == 64 * 32 // 2 + 2 * 2 * 32 * 2
    assert made["int8"].nbytes == 64 * 32 + 32 * 2


def test_no_matrix_is_kept_for_the_backward_pass():
    layer, kept = layers()["nf4"], []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        layer(inputs(3, 64).requires_grad_())
    assert sum(kept) < 64 * 32


def test_kernels_wanted_their_own_form():
    plain = linear()
    with pytest.raises(ValueError, match="Int4Linear takes 4 bits"):
        Int4Linear(plain, quantize(plain.weight, 3))
    with pytest.raises(ValueError, match="Int4Linear takes 4 bits"):
        Int4Linear(plain, quantize(plain.weight, 4, "tensor"))
    for kind in (Int8Linear, W8A8Linear):
        with pytest.raises(ValueError, match=f"{kind.__name__} takes quantize"):
            kind(plain, quantize(plain.weight, 8, 32, symmetric=True))


# torch's kernels against their plain twins


def close(a, b):
    return a.dtype == b.dtype and (a - b).abs().max() <= 2**-7 * b.abs().max()


@pytest.mark.skipif(not kernels.has_kernel("int4"), reason="this torch has no int4 kernel for this CPU")
@pytest.mark.parametrize(("n_out", "n_in", "group_size"), [(16, 32, 32), (48, 128, 64), (32, 256, 128)])
def test_int4_kernel_and_twin(n_out, n_in, group_size):
    assert kernels.int4_fits(n_out, n_in, group_size)
    codes = torch.randint(16, (n_out, n_in), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    scales = inputs(n_in // group_size, n_out, 2).bfloat16()
    x = inputs(3, n_in).bfloat16()
    fast = kernels.int4_matmul(x, kernels.int4_layout(codes), scales, group_size)
    assert close(fast, kernels.int4_matmul_plain(x, codes, scales, group_size))


@pytest.mark.skipif(not kernels.has_kernel("int8"), reason="this torch has no int8 kernel for this CPU")
def test_int8_kernel_and_twin():
    codes = torch.randint(-127, 128, (24, 64), generator=torch.Generator().manual_seed(0), dtype=torch.int8)
    x, scale = inputs(3, 64).bfloat16(), inputs(24).abs().bfloat16()
    assert close(kernels.int8_matmul(x, codes, scale), kernels.int8_matmul_plain(x, codes, scale))


@pytest.mark.skipif(not kernels.has_kernel("w8a8"), reason="this torch has no integer product for this CPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_integer_products_are_exact(dtype):
    codes = torch.randint(-127, 128, (24, 640), generator=torch.Generator().manual_seed(0), dtype=torch.int8)
    x, scale = inputs(3, 640).to(dtype), inputs(24).abs()
    x[1] = 0
    fast, plain = (kernels.w8a8_matmul(x, codes, scale, kernel) for kernel in (True, False))
    assert torch.equal(fast, plain) and fast.dtype == dtype
    assert (fast[1] == 0).all()
    error = (fast.float() - x.float() @ (codes.float() * scale[:, None]).T).abs().max()
    assert error < 0.02 * fast.float().abs().max()


@pytest.mark.parametrize("kind", ["int4", "int4 symmetric", "int4 awq", "int8", "w8a8"])
def test_without_the_kernel_the_numbers_are_the_same(kind, monkeypatch):
    layer, x = layers()[kind], inputs(2, 64)
    with torch.no_grad():
        fast = layer(x)
        monkeypatch.setattr(kernels, "has_kernel", lambda name: False)
        assert not layer.runs_kernel() and (layer(x) - fast).abs().max() <= 2**-7 * fast.abs().max()


def test_shapes_that_the_int4_kernel_refuses_take_the_twin():
    plain = linear(n_in=48, n_out=40)
    layer = Int4Linear(plain, quantize(plain.weight, 4, 16))
    assert not layer.runs_kernel()
    x = inputs(2, 48)
    assert torch.allclose(layer(x), x @ layer.weight.T + plain.bias, atol=0.02)


def test_w8a8_pays_for_an_outlier_in_the_activations():
    layer, x = layers()["w8a8"], inputs(1, 64)
    spoiled = x.clone()
    spoiled[0, 0] = 300
    error = lambda x: (layer(x) - x @ layer.weight.T - layer.bias).abs().mean()
    with torch.no_grad():
        assert error(spoiled) > 10 * error(x)


# Fake quantization


def test_fake_quantization_looks_through():
    weight = linear().weight
    rounded = fake_quantize(weight, 3)
    assert torch.allclose(rounded, quantize(weight, 3).dequantize(), atol=1e-7)
    direction = inputs(32, 64)
    (rounded * direction).sum().backward()
    assert torch.equal(weight.grad, direction)


def test_training_sees_rounded_weights():
    plain = linear()
    layer = FakeQuantLinear(plain, 2, 16)
    assert layer.weight is plain.weight and layer.bias is plain.bias
    x = inputs(3, 64)
    expected = quantize(plain.weight, 2, 16, scale_dtype=torch.float16).dequantize()
    assert torch.allclose(layer(x), x @ expected.T + plain.bias, atol=1e-5)
    with pytest.raises(ValueError, match="group_size=48"):
        FakeQuantLinear(plain, 4, 48)
    with pytest.raises(ValueError, match="bits=1"):
        FakeQuantLinear(plain, 1)
