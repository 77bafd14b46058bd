"""Lab 15's own oracles agree with the library, which the lab keeps away from its students."""


import pytest
import torch
import torch.nn.functional as F

from courseware.classroom.cases import Draw, lab15
from llmlib.adapt import distillation_kl, pack_int4, quantize, quantize_gptq, unpack_int4

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab15.rows_of_weights, lab15.eight_bits, lab15.with_a_row_of_zeros])
def test_absmax_is_the_librarys(inputs, seed):
    weight, bits = inputs(Draw(seed))
    codes, scale = lab15.absmax(weight, bits)
    library = quantize(weight, bits, "channel", symmetric=True)
    assert torch.equal(codes.to(torch.int8), library.codes)
    kept = library.scale[:, 0] > 0  # the library gives a row of zeros the scale 0
    torch.testing.assert_close(scale[kept], library.scale[kept])


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_with_a_zero_point_are_at_most_half_a_step_off_and_keep_zero(seed):
    for inputs in (lab15.both_sides, lab15.one_side, lab15.as_far_below_as_above):
        weight, bits, size = inputs(Draw(seed))
        weight[0, 0] = 0.0
        codes, scale, zero = (x.double() for x in lab15.quantize_groups(weight, bits, size))
        spread = lambda x: x.repeat_interleave(size, 1)  # noqa: B023
        values = spread(scale) * (codes - spread(zero))
        assert codes.min() >= 0 and codes.max() <= 2**bits - 1 and torch.equal(zero, zero.round())
        assert ((values - weight).abs() <= spread(scale) * (0.5 + 1e-4)).all() and values[0, 0] == 0
        library = quantize(weight, bits, size)  # its groups have an offset, so that no range need reach to 0
        assert (library.scale <= scale + 1e-6).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_nibbles_are_the_librarys(seed):
    (codes,) = lab15.signed_codes(Draw(seed))
    assert torch.equal(lab15.pack(codes), pack_int4(codes).long())
    assert torch.equal(lab15.unpack(pack_int4(codes)), codes.long())
    (packed,) = lab15.some_bytes(Draw(seed))
    assert torch.equal(lab15.unpack(packed), unpack_int4(packed, signed=True).long())


def test_bytes_are_those_of_the_librarys_matrices():
    weight = torch.randn(32, 128)
    found = lab15.model_bytes([(32, 128, True)], 4, 32)
    library = quantize(weight, 4, 32, symmetric=True, scale_dtype=torch.float16)  # no zero points
    assert found["bytes"] == library.nbytes + 32 * 4 * 4 / 8
    assert found["bits"] == 4 + 20 / 32


def test_one_step_after_the_other_is_the_librarys_gptq():
    torch.manual_seed(0)
    weight, x = torch.randn(6, 16), torch.randn(200, 16) + torch.randn(200, 1)
    moment = x.T @ x / len(x)
    library = quantize_gptq(weight, moment, bits=3, group_size="channel", symmetric=True)
    damped = moment.double() + 0.01 * moment.diagonal().mean() * torch.eye(16)
    left, inverse, scale = weight.double(), torch.linalg.inv(damped), weight.abs().amax(1).double() / 3
    codes = []
    for _ in range(16):
        codes.append((left[:, 0] / scale).round().clamp(-3, 3))
        left, inverse = lab15.gptq_step(left, scale * codes[-1], inverse)
    assert torch.equal(torch.stack(codes, 1).to(torch.int8), library.codes)


def test_the_step_is_the_best_correction():
    """No other correction of the columns that are left costs less."""
    left, rounded, inverse = lab15.a_column(Draw(0))
    hessian = torch.linalg.inv(inverse.double())
    corrected, rest = lab15.gptq_step(left, rounded, inverse)

    def cost(columns):
        error = left.double() - torch.cat([rounded[:, None].double(), columns], 1)
        return torch.einsum("oi,ij,oj->", error, hessian, error)

    gradient = torch.autograd.functional.jacobian(cost, corrected)
    assert gradient.abs().max() < 1e-4 * hessian.abs().max()
    torch.testing.assert_close(rest, torch.linalg.inv(hessian[1:, 1:]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab15.two_models, lab15.student_agrees, lab15.temperature_one, lab15.certain_teacher])
def test_the_loss_of_distillation_is_made_of_the_librarys(inputs, seed):
    logits, teacher, targets, temperature, weight = inputs(Draw(seed))
    real = targets != -100
    soft = distillation_kl(logits[real], teacher[real], temperature).mean()
    library = weight * soft + (1 - weight) * F.cross_entropy(logits[real], targets[real])
    ours = lab15.distillation_loss(logits, teacher, targets, temperature, weight)
    torch.testing.assert_close(ours, library)


def test_without_its_factor_a_high_temperature_silences_the_teacher():
    """The gradient of the softened part stays of one size with T^2, and shrinks as 1 / T^2 without."""
    logits, teacher, targets, _, _ = lab15.two_models(Draw(0))

    def size(temperature, slip):
        given = logits, teacher, targets, temperature, 1.0
        loss = lambda *inputs: lab15.distillation_loss(*inputs, slip=slip)
        return lab15.run_distillation(loss, *given)["gradient"].norm().item()

    assert size(40.0, "") == pytest.approx(size(20.0, ""), rel=0.05)
    assert size(40.0, "no T^2") == pytest.approx(size(20.0, "no T^2") / 4, rel=0.05)
