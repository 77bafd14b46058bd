"""Wilson's interval against its definition, known values and the coverage that it promises."""

import math

import numpy as np
import pytest
import torch

from llmlib.infer import wilson_interval


@pytest.mark.parametrize(
    ("right", "total", "z"), [(42, 60, 1.96), (1, 7, 1.96), (0, 20, 1.96), (6, 6, 1.0), (3.5, 9, 2.58)]
)
def test_at_its_ends_the_count_is_z_standard_deviations_away(right, total, z):
    for end, side in zip(wilson_interval(right, total, z), (1, -1), strict=True):
        assert side * (right - total * end) == pytest.approx(z * math.sqrt(total * end * (1 - end)), abs=1e-9)


def test_values_worked_out_by_hand():
    # z = 2, 4 of 8: (4 + 2) / 12 +- 2 sqrt(2 + 1) / 12
    assert wilson_interval(4, 8, z=2) == pytest.approx((0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6))
    # none of n: from 0 to z^2 / (n + z^2)
    assert wilson_interval(0, 12, z=2) == pytest.approx((0, 4 / 16))
    # the example of Newcombe (1998), table I: 81 of 263
    assert wilson_interval(81, 263, z=1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_it_holds_the_truth_about_as_often_as_it_says():
    """Exactly, by summing the binomial distribution. No interval for a count can hit 95 % at every rate."""
    total, held = 60, []
    for rate in np.linspace(0.1, 0.9, 33):
        chances = [math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(total + 1)]
        low, high = wilson_interval(np.arange(total + 1), total)
        held.append(np.dot(chances, (low <= rate) & (rate <= high)))
    assert 0.945 < np.mean(held) < 0.96
    assert min(held) > 0.92


def test_arrays_and_tensors_keep_their_shape():
    counts = [[0.0, 3.0], [5.0, 9.0]]
    low, high = wilson_interval(np.array(counts), 9)
    low_t, high_t = wilson_interval(torch.tensor(counts, dtype=torch.float64), 9)
    assert low.shape == (2, 2) and isinstance(low_t, torch.Tensor)
    np.testing.assert_allclose([low_t.numpy(), high_t.numpy()], [low, high], atol=1e-12)
    assert (low[1, 0], high[1, 0]) == pytest.approx(wilson_interval(5, 9))


@pytest.mark.parametrize("total", [0, -3, float("nan")])
def test_a_rate_of_no_trials_is_refused(total):
    with pytest.raises(ValueError, match=f"total is {total}: a rate needs at least one trial"):
        wilson_interval(0, total)


@pytest.mark.parametrize("right", [-1, 61, 70.0, float("nan"), np.array([3, 61])])
def test_counts_that_cannot_be_are_refused(right):
    with pytest.raises(ValueError, match="give counts from 0 to 60"):
        wilson_interval(right, 60)
