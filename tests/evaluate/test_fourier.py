"""Fourier tools against torch.fft and closed forms."""

import math

import pytest
import torch

from llmlib.evaluate import fourier_basis, frequency_power, keep_frequencies, key_frequencies, remove_frequencies

P = 59


def wave(frequency, phase=0.3):
    return torch.cos(2 * math.pi * frequency * torch.arange(P) / P + phase)


def random_table(d=7):
    return torch.randn(P, d, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("modulus", [3, 5, P])
def test_the_basis_is_orthonormal(modulus):
    basis = fourier_basis(modulus)
    assert torch.allclose(basis @ basis.T, torch.eye(modulus), atol=1e-5)


def test_power_is_that_of_torch_fft():
    table = random_table()
    spectrum = torch.fft.rfft(table, dim=0).abs().square()[1:].sum(1) * 2 / P  # two signs of each frequency
    assert torch.allclose(frequency_power(table), spectrum, rtol=1e-4)


def test_power_and_the_constant_add_up_to_the_sum_of_squares():
    table = random_table() + 2
    constant = P * table.mean(0).square().sum()
    assert torch.allclose(frequency_power(table).sum() + constant, table.square().sum(), rtol=1e-5)


def test_a_wave_has_its_own_frequency_alone_whatever_its_phase():
    power = frequency_power(torch.stack([3 * wave(7), wave(7, 2.0)], 1))
    assert power.argmax() == 6 and power[6] == pytest.approx(P / 2 * 10, rel=1e-4)
    assert power.sum() - power[6] < 1e-3


def test_key_frequencies_are_the_fewest_that_hold_the_share():
    table = torch.stack([3 * wave(7), 2 * wave(20), 1 * wave(4)], 1)  # powers 9, 4, 1
    power = frequency_power(table)
    assert key_frequencies(power, 0.6) == [7]
    assert key_frequencies(power, 0.9) == [7, 20]
    assert key_frequencies(power, 0.95) == [4, 7, 20]
    assert key_frequencies(torch.tensor([1.0, 1, 1, 1]), 0.5) == [1, 2]
    assert key_frequencies(torch.tensor([1.0, 3.0, 2.0]), 1.0) == [1, 2, 3]


def test_kept_and_removed_are_parts_of_the_whole():
    table, chosen = random_table() + 1, [3, 11, 29]
    kept, rest = keep_frequencies(table, chosen), remove_frequencies(table, chosen)
    constant = table.mean(0, keepdim=True)
    assert torch.allclose(kept + rest - constant, table, atol=1e-5)
    assert torch.allclose(keep_frequencies(kept, chosen), kept, atol=1e-5)
    assert torch.allclose(remove_frequencies(rest, chosen), rest, atol=1e-5)
    power = frequency_power(table)
    assert torch.allclose(frequency_power(kept)[[2, 10, 28]], power[[2, 10, 28]], rtol=1e-4)
    assert frequency_power(rest)[[2, 10, 28]].max() < 1e-6


def test_keeping_agrees_with_a_masked_fft():
    table, chosen = random_table(), [1, 5]
    spectrum = torch.fft.rfft(table, dim=0)
    spectrum[[i for i in range(1, P // 2 + 1) if i not in chosen]] = 0
    assert torch.allclose(keep_frequencies(table, chosen), torch.fft.irfft(spectrum, n=P, dim=0), atol=1e-5)


def test_another_dimension_can_be_projected():
    table = random_table()
    assert torch.allclose(keep_frequencies(table.T, [4], dim=1), keep_frequencies(table, [4]).T, atol=1e-6)
    assert torch.allclose(remove_frequencies(table, []), table)
    assert torch.allclose(keep_frequencies(table, []), table.mean(0).expand_as(table), atol=1e-6)


def test_bad_input_is_refused():
    for modulus in (1, 2, 58):
        with pytest.raises(ValueError, match=f"modulus={modulus} must be odd"):
            fourier_basis(modulus)
    for frequencies in ([0], [30], [-1, 3]):
        with pytest.raises(ValueError, match="must lie between 1 and 29"):
            keep_frequencies(random_table(), frequencies)
    for share in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share="):
            key_frequencies(torch.ones(29), share)
    with pytest.raises(ValueError, match="sum 0"):
        key_frequencies(torch.zeros(29))
