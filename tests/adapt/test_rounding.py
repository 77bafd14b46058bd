"""Round to nearest, packing, NF4 and GGUF's blocks against closed forms and few-line decoders."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.adapt import (
    from_blocks,
    nf4_levels,
    output_error,
    pack_bits,
    pack_int4,
    quantize,
    quantize_nf4,
    quantize_q4_1,
    quantize_q8_0,
    to_blocks,
    unpack_bits,
    unpack_int4,
)
from llmlib.hub.gguf_blocks import BY_NAME


def matrix(n_out=8, n_in=64, seed=0):
    return torch.randn(n_out, n_in, generator=torch.Generator().manual_seed(seed))


# Round to nearest


def test_symmetric_by_hand():
    q = quantize(torch.tensor([[0.7, -0.35, 0.04, 0.0]]), bits=4, group_size=4, symmetric=True)
    assert q.codes.tolist() == [[7, -4, 0, 0]] and q.codes.dtype == torch.int8  # -3.5 goes to the even code
    assert torch.allclose(q.scale, torch.tensor([[0.1]])) and q.offset is None
    assert torch.allclose(q.dequantize(), torch.tensor([[0.7, -0.4, 0.0, 0.0]]))


def test_asymmetric_by_hand():
    q = quantize(torch.tensor([[-1.0, 2.0, 0.1, 0.9]]), bits=2, group_size=4)
    assert q.codes.tolist() == [[0, 3, 1, 2]] and q.codes.dtype == torch.uint8
    assert q.scale.tolist() == [[1.0]] and q.offset.tolist() == [[-1.0]]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group_size", [16, "channel", "tensor"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_weight_is_off_by_more_than_half_a_step(bits, group_size, symmetric):
    weight = matrix()
    q = quantize(weight, bits, group_size, symmetric)
    error = (q.dequantize() - weight).view(*q.scale.shape, -1).abs().amax(-1)
    assert (error <= 0.5001 * q.scale).all() and error.max() > 0.2 * q.scale.min()
    assert q.scale.shape == {16: (8, 4), "channel": (8, 1), "tensor": (1, 1)}[group_size]
    top = 2 ** (bits - 1) - 1
    if symmetric:
        assert q.codes.abs().max() == top
    else:
        assert (q.codes.min(), q.codes.max()) == (0, 2**bits - 1)


def test_groups_are_neighbours_in_a_row():
    weight = torch.ones(2, 8)
    weight[0, :4] = 100
    weight[0, 0] = 50
    by_group = quantize(weight, 4, 4, symmetric=True)
    assert torch.equal(by_group.dequantize()[:, 4:], weight[:, 4:])
    assert by_group.scale[1, 0] == by_group.scale[0, 1] < by_group.scale[0, 0]


def test_groups_without_spread_are_exact():
    weight = torch.zeros(2, 4)
    weight[1] = 3.25
    for symmetric in (True, False):
        assert torch.equal(quantize(weight, 3, 4, symmetric).dequantize(), weight)


@pytest.mark.parametrize("symmetric", [True, False])
def test_rounding_twice_changes_nothing(symmetric):
    once = quantize(matrix(), 4, 32, symmetric).dequantize()
    assert torch.allclose(quantize(once, 4, 32, symmetric).dequantize(), once, atol=1e-6)


def test_bits_per_weight_count_the_scales():
    weight = matrix()
    assert quantize(weight, 4, 32, True, torch.float16).bits_per_weight == 4.5
    assert quantize(weight, 4, 32, False, torch.float16).bits_per_weight == 5
    assert quantize(weight, 3, 64, True, torch.float32).bits_per_weight == 3.5
    assert quantize_nf4(weight, 64, torch.float16).bits_per_weight == 4.25


def test_output_error_is_that_of_the_outputs():
    weight, x = matrix(), matrix(100, 64, seed=1)
    rough = quantize(weight, 3).dequantize()
    error = (x @ (weight - rough).T).square().mean() / (x @ weight.T).square().mean()
    assert output_error(weight, rough, x.T @ x / 100) == pytest.approx(float(error), rel=1e-4)
    assert output_error(weight, rough) == pytest.approx(float((weight - rough).square().sum() / weight.square().sum()))
    assert output_error(weight, weight) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(bits=1), "bits=1 must be a whole number from 2 to 8"),
        (dict(bits=9), "bits=9"),
        (dict(bits=4.0), r"bits=4\.0"),
        (dict(group_size=48), "group_size=48 does not divide the 64 inputs .* say 32, or 'channel'"),
        (dict(group_size=0), "group_size=0 must be"),
        (dict(group_size="row"), "group_size='row' must be .*'channel' or 'tensor'"),
        (dict(weight=torch.zeros(3)), r"weight has shape \(3,\): give a matrix"),
        (dict(weight=torch.full((2, 32), float("nan"))), "weight holds numbers that are not finite"),
        (dict(weight=torch.full((2, 32), 1e9), scale_dtype=torch.float16), "use torch.float32"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        quantize(**dict(weight=matrix()) | change)


# Packing


@given(bits=st.integers(1, 8), n=st.integers(0, 19), signed=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_packing_is_exact(bits, n, signed, seed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    codes = torch.randint(low, high, (3, n), generator=torch.Generator().manual_seed(seed))
    packed = pack_bits(codes, bits)
    assert packed.dtype == torch.uint8 and packed.shape == (3, -(-n * bits // 8))
    assert torch.equal(unpack_bits(packed, bits, n, signed).long(), codes)


def test_the_order_of_the_halves():
    assert pack_int4(torch.tensor([[1, 2, 15, 0]])).tolist() == [[0x21, 0x0F]]
    assert pack_int4(torch.tensor([[-1, 7]])).tolist() == [[0x7F]]
    assert unpack_int4(torch.tensor([[0x7F]], dtype=torch.uint8), signed=True).tolist() == [[-1, 7]]
    assert pack_bits(torch.tensor([[5, 6, 1]]), 3).tolist() == [[0b01110101, 0]]  # 001 110 101 from the lowest bit


def test_packing_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="codes holds 0 to 16, which 4 bits do not"):
        pack_bits(torch.tensor([0, 16]), 4)
    with pytest.raises(ValueError, match="codes holds -1 to 8"):
        pack_bits(torch.tensor([-1, 8]), 4)
    with pytest.raises(ValueError, match="odd number"):
        pack_int4(torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="bits=9"):
        pack_bits(torch.tensor([1]), 9)
    with pytest.raises(ValueError, match="5 codes of 4 bits are 3 uint8 a row"):
        unpack_bits(torch.zeros(2, dtype=torch.uint8), 4, 5)


# GGUF's blocks


def decoded(blocks, kind):
    """Byte by byte, from the format's definition."""
    rows = []
    for row in blocks.numpy():
        values = []
        for block in row:
            scale = np.frombuffer(block[:2].tobytes(), "<f2")[0].astype(np.float32)
            if kind == "Q8_0":
                values += [scale * np.float32(code) for code in np.frombuffer(block[2:].tobytes(), np.int8)]
            else:
                low = np.frombuffer(block[2:4].tobytes(), "<f2")[0].astype(np.float32)
                codes = [byte % 16 for byte in block[4:]] + [byte // 16 for byte in block[4:]]
                values += [scale * np.float32(code) + low for code in codes]
        rows.append(values)
    return torch.from_numpy(np.array(rows, np.float32))


@pytest.mark.parametrize(("kind", "method"), [("Q8_0", quantize_q8_0), ("Q4_1", quantize_q4_1)])
def test_blocks_are_bit_exact(kind, method):
    weight = matrix() * torch.logspace(-4, 3, 8)[:, None]
    weight[3, :32] = 0
    q = method(weight)
    blocks = to_blocks(q)
    assert torch.equal(decoded(blocks, kind), q.dequantize())
    unpacked = BY_NAME[kind].unpack(blocks.flatten(0, 1).numpy())
    assert torch.equal(torch.from_numpy(unpacked).view(8, 64), q.dequantize())
    back = from_blocks(blocks, kind)
    assert torch.equal(back.codes, q.codes) and torch.equal(back.scale, q.scale)
    assert torch.equal(back.dequantize(), q.dequantize()) and torch.equal(to_blocks(back), blocks)
    assert q.bits_per_weight == {"Q8_0": 8.5, "Q4_1": 5}[kind]


@pytest.mark.parametrize(("kind", "method"), [("Q8_0", quantize_q8_0), ("Q4_1", quantize_q4_1)])
def test_weights_out_of_a_file_come_back_as_they_were(kind, method):
    """As SmolLM2's: they lie on the grid already, and every block uses its first and its last code."""
    on_grid = method(matrix())
    again = method(on_grid.dequantize())
    assert torch.equal(again.codes, on_grid.codes) and torch.equal(again.dequantize(), on_grid.dequantize())


def test_q8_0_rounds_halves_away_from_zero():
    weight = torch.zeros(1, 32)
    weight[0, :5] = torch.tensor([127.0, 2.5, -2.5, 0.5, 0.49999997])
    assert quantize_q8_0(weight).codes[0, :5].tolist() == [127, 3, -3, 1, 0]


def test_blocks_refuse_others():
    with pytest.raises(ValueError, match="group_size=32 does not divide the 48 inputs"):
        quantize_q8_0(matrix(2, 48))
    with pytest.raises(ValueError, match="make it with quantize_q8_0 or quantize_q4_1"):
        to_blocks(quantize(matrix(), 4, 32))
    with pytest.raises(ValueError, match="kind='Q5_K' is none of Q8_0, Q4_1"):
        from_blocks(torch.zeros(1, 1, 20, dtype=torch.uint8), "Q5_K")
    with pytest.raises(ValueError, match=r"Q8_0 is uint8 \(n_out, n_blocks, 34\)"):
        from_blocks(torch.zeros(1, 1, 20, dtype=torch.uint8), "Q8_0")


# NF4

PUBLISHED = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


def test_nf4_levels_are_the_published_quantiles():
    levels = nf4_levels()
    assert torch.allclose(levels, torch.tensor(PUBLISHED), atol=1e-6, rtol=0)
    probability = torch.special.ndtr(levels.double() * torch.special.ndtri(torch.tensor(0.9677083).double()))
    assert torch.allclose(probability[8:].diff(), probability[8:].diff().mean().expand(7), atol=1e-5)
    assert torch.allclose(probability[:8].diff(), probability[:8].diff().mean().expand(7), atol=1e-5)


def test_nf4_takes_the_nearest_level():
    weight = matrix()
    q = quantize_nf4(weight, 32)
    ratio = weight.view(8, 2, 32) / q.scale[..., None]
    nearest = (ratio[..., None] - nf4_levels()).abs().amin(-1)
    assert torch.allclose((q.dequantize() - weight).abs().view(8, 2, 32) / q.scale[..., None], nearest, atol=1e-6)
    assert (q.dequantize().abs().view(8, 2, 32).amax(-1) == q.scale).all()


def test_nf4_suits_normal_weights_and_a_grid_uniform_ones():
    error = lambda weight, q: output_error(weight, q.dequantize())
    for seed in range(3):
        normal = matrix(64, 64, seed)
        uniform = torch.rand(64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        assert error(normal, quantize_nf4(normal)) < error(normal, quantize(normal, 4, 64, symmetric=True))
        assert error(uniform, quantize_nf4(uniform)) > error(uniform, quantize(uniform, 4, 64, symmetric=True))
