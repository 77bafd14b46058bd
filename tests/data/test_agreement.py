"""Agreement between people, and with a model: by hand, and where the truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmlib.data import (
    bootstrap_interval,
    half_against_half,
    one_against_rest,
    pair_accuracy,
    spearman,
    spearman_brown,
)
from llmlib.data.agreement import average_ranks

numbers = st.lists(st.integers(-4, 4), min_size=3, max_size=30).filter(lambda values: len(set(values)) > 1)


def test_equal_values_share_the_mean_of_their_ranks():
    assert average_ranks([3.0, 1.0, 3.0, 2.0, 3.0]).tolist() == [4, 1, 4, 2, 4]


def test_spearman_by_hand():
    # Ranks (1, 2.5, 2.5, 4) and (1, 3, 2, 4); about their means the product is 4.5, the squares 4.5 and 5.
    assert spearman([10, 20, 20, 90], [1, 3, 2, 4]) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    # Without ties it is 1 - 6 sum d^2 / (n (n^2 - 1)), with d = (0, 2, -1, -1, 0).
    assert spearman([1, 2, 3, 4, 5], [1, 4, 2, 3, 5]) == pytest.approx(1 - 6 * 6 / (5 * 24))


@given(numbers)
def test_spearman_asks_for_order_alone(values):
    a = np.array(values, dtype=float)
    assert spearman(a, np.exp(a)) == pytest.approx(1)
    assert spearman(a, -3 * a) == pytest.approx(-1)


def test_pair_accuracy_by_hand():
    # Five pairs differ in target: (0,1) right, (0,2) right, (0,3) tied, (1,3) wrong, (2,3) wrong; (1,2) has no answer.
    assert pair_accuracy([0.1, 0.5, 0.4, 0.1], [1, 2, 2, 3]) == pytest.approx(2.5 / 5)


@given(numbers)
def test_pair_accuracy_is_one_for_the_truth_and_a_half_for_a_constant(values):
    assert pair_accuracy(values, values) == 1
    assert pair_accuracy([0] * len(values), values) == 0.5


def simulated(n_raters, noise, n_texts=3000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_texts, 1)) + noise * rng.normal(size=(n_texts, n_raters))


def pearson(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def test_people_agree_as_much_as_their_noise_allows():
    """Truth of variance 1, noise of s^2: means over m and n raters correlate at 1 / sqrt((1 + s^2/m) (1 + s^2/n))."""
    ratings = simulated(10, noise=1.5)
    expected = 1 / np.sqrt((1 + 2.25) * (1 + 2.25 / 9))
    assert one_against_rest(ratings, measure=pearson) == pytest.approx(expected, abs=0.02)
    half = half_against_half(ratings, measure=pearson)
    assert half == pytest.approx(1 / (1 + 2.25 / 5), abs=0.02)
    assert spearman_brown(half) == pytest.approx(1 / (1 + 2.25 / 10), abs=0.02)


def test_texts_may_have_different_numbers_of_raters():
    ratings = [list(row[: 4 + i % 3]) for i, row in enumerate(simulated(6, noise=0.0, n_texts=50))]
    assert one_against_rest(ratings) == pytest.approx(1) and half_against_half(ratings) == pytest.approx(1)


def test_spearman_brown_by_hand():
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(spearman_brown(0.3, 5), 1 / 5) == pytest.approx(0.3)


def test_bootstrap_finds_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(np.mean, values)
    assert low < values.mean() < high and high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_whole_groups_are_drawn_together():
    """Rows that say the same within their group: the error is that of as many values as there are groups."""
    groups = np.repeat(np.arange(25), 16)
    values = np.random.default_rng(1).normal(size=25)[groups]
    (low, high), (low_alone, high_alone) = (
        bootstrap_interval(np.mean, values, groups=groups),
        bootstrap_interval(np.mean, values),
    )
    assert (high - low) / (high_alone - low_alone) == pytest.approx(4, rel=0.2)


def test_columns_are_resampled_together():
    a = np.random.default_rng(2).normal(size=50)
    assert bootstrap_interval(spearman, a, 2 * a, times=50) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spearman([1, 2], [1, 2, 3]), r"a has shape \(2,\) and b \(3,\): give two lists of the same length"),
        (lambda: spearman([1, 1], [1, 2]), "the same number throughout: a correlation needs values that differ"),
        (lambda: pair_accuracy([1, 2], [3, 3]), "targets holds no two different numbers in 2"),
        (lambda: pair_accuracy([1, 2], [1, 2, 3]), "scores has 2 numbers and targets 3: give one of each a text"),
        (lambda: one_against_rest([[1, 2], [3]]), r"ratings\[1\] holds fewer than 2 ratings: leave that text out"),
        (lambda: half_against_half([[], [3, 4]]), r"ratings\[0\] holds fewer than 2 ratings: leave that text out"),
        (lambda: spearman_brown(-1.0), r"correlation=-1.0 must lie in \(-1, 1\]"),
        (lambda: bootstrap_interval(np.mean, [1, 2], level=1.5), "level=1.5 must lie between 0 and 1"),
        (lambda: bootstrap_interval(np.mean, [1, 2], [1]), r"data has lengths \[2, 1\]: give rows, as many in each"),
        (lambda: bootstrap_interval(np.mean, [1, 2], groups=[1]), "groups has length 1 and data 2"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
