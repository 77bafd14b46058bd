"""Scaling-law fits: known laws come back, their intervals hold the truth, and too little data is refused."""

import math

import numpy as np
import pytest

from llmlib.train.huber import huber, minimize_huber
from llmlib.train.scaling import (
    BESIROGLU_2024,
    HOFFMANN_2022,
    KAPLAN_2020,
    PowerLaw,
    ScalingLaw,
    bootstrap,
    envelope,
    fit_isoflop,
    fit_power_law,
    fit_scaling_law,
    interval,
)

LAW = ScalingLaw(E=1.7, A=400.0, B=410.0, alpha=0.34, beta=0.28)
X = np.array([1.0, 2.0, 4.0, 8.0])
N, D = (grid.ravel() for grid in np.meshgrid(np.logspace(5, 8, 6), np.logspace(6, 9, 6)))


def noisy(seed, size=0.003):
    return LAW.predict(N, D) * np.exp(np.random.default_rng(seed).normal(0, size, len(N)))


def test_a_law_without_noise_comes_back():
    found = fit_scaling_law(N, D, LAW.predict(N, D))
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(LAW, name), rel=1e-6)


@pytest.mark.parametrize("law", [PowerLaw(0.5, 20.0, 0.3), PowerLaw(2.0, 1e4, 0.9), PowerLaw(3.0, 5.0, 0.12)])
def test_a_power_law_of_one_variable_comes_back(law):
    x = np.logspace(3, 7, 9)
    found = fit_power_law(x, law.predict(x))
    assert (found.E, found.A, found.alpha) == pytest.approx((law.E, law.A, law.alpha), rel=1e-4)


def test_without_an_irreducible_loss_it_is_a_straight_line_in_logarithms():
    x = np.logspace(2, 6, 12)
    y = 7.0 * x**-0.2 * np.exp(np.random.default_rng(0).normal(0, 5e-4, 12))  # small noise: Huber's loss is squares
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    found = fit_power_law(x, y, irreducible=False)
    assert found.E == 0
    assert found.alpha == pytest.approx(-slope, abs=2e-4)
    assert found.A == pytest.approx(math.exp(intercept), rel=2e-3)


SHARP = ScalingLaw(E=0.6, A=7.0, B=8.0, alpha=0.14, beta=0.12, sharpness=4.0)


def test_a_sharp_law_comes_back_and_is_between_sum_and_larger_term():
    n, d = (grid.ravel() for grid in np.meshgrid(np.logspace(3, 7, 7), np.logspace(4, 8, 6)))
    law = fit_scaling_law(n, d, SHARP.predict(n, d), sharpness=None)
    assert law.sharpness == pytest.approx(4.0, rel=0.02) and law.E == pytest.approx(0.6, abs=0.02)
    np.testing.assert_allclose(law.predict(n, d), SHARP.predict(n, d), rtol=1e-3)
    fixed = fit_scaling_law(n, d, SHARP.predict(n, d), sharpness=4.0)
    assert fixed.sharpness == 4.0 and fixed.alpha == pytest.approx(0.14, abs=1e-3)
    u, v = 7.0 * n**-0.14, 8.0 * d**-0.12
    excess = SHARP.predict(n, d) - 0.6
    assert (excess > np.maximum(u, v)).all() and (excess < u + v).all()
    again = bootstrap(fit_scaling_law, n, d, SHARP.predict(n, d), times=5, sharpness=None)
    assert [round(each.sharpness, 1) for each in again] == [4.0] * 5


def test_the_optimum_of_a_sharp_law_is_where_no_other_split_is_better():
    n, d = SHARP.optimum(1e15)
    assert 6 * n * d == pytest.approx(1e15)
    sizes = n * np.logspace(-0.5, 0.5, 201)
    assert SHARP.predict(sizes, 1e15 / 6 / sizes).argmin() == 100
    with pytest.raises(ValueError, match="sharpness=0 must be positive"):
        fit_scaling_law([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], sharpness=0)


def test_an_outlier_pulls_little():
    loss = LAW.predict(N, D)
    loss[7] *= 1.3
    assert fit_scaling_law(N, D, loss).predict(1e9, 1e10) == pytest.approx(LAW.predict(1e9, 1e10), rel=1e-3)


def test_the_intervals_of_noisy_data_hold_the_truth():
    """Of 10 data sets. (For the law of two variables, 48 intervals of 12 data sets: 92 %.)"""
    law, x, held = PowerLaw(1.5, 30.0, 0.3), np.logspace(3, 8, 16), []
    for seed in range(10):
        loss = law.predict(x) * np.exp(np.random.default_rng(seed).normal(0, 0.003, len(x)))
        laws = bootstrap(fit_power_law, x, loss, times=30, seed=seed)
        assert len(laws) == 30
        for question in (lambda law: law.E, lambda law: float(law.predict(1e9))):
            low, high = interval([question(each) for each in laws])
            assert low < high
            held.append(low <= question(law) <= high)
    assert sum(held) >= 0.8 * len(held)


def test_bootstrap_is_reproducible():
    one, two = (bootstrap(fit_scaling_law, N, D, noisy(0), times=3, seed=4) for _ in range(2))
    assert one == two


def test_the_optimum_is_where_no_other_split_is_better():
    budget = 1e18
    n, d = LAW.optimum(budget)
    assert 6 * n * d == pytest.approx(budget)
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert LAW.predict(n * factor, d / factor) > LAW.predict(n, d)
    assert sum(LAW.exponents) == pytest.approx(1)
    ratio = LAW.optimum(100 * budget)[0] / n
    assert math.log(ratio, 100) == pytest.approx(LAW.exponents[0])


def test_three_approaches_agree_on_one_law():
    """Their exponents of N_opt, from the same synthetic runs without noise."""
    budgets = np.logspace(16, 20, 5)
    vertices = []
    for budget in budgets:
        best, _ = LAW.optimum(budget)
        n = best * np.logspace(-0.3, 0.3, 7)
        vertices.append(fit_isoflop(n, LAW.predict(n, budget / (6 * n)))[0])
    isoflop = np.polyfit(np.log(budgets), np.log(vertices), 1)[0]
    assert isoflop == pytest.approx(LAW.exponents[0], abs=0.01)
    sizes = np.logspace(6, 10, 60)
    curves = [(6 * n * (d := np.logspace(6, 12, 60)), LAW.predict(n, d)) for n in sizes]
    best, loss = envelope(curves, budgets)
    by_envelope = np.polyfit(np.log(budgets), np.log(sizes[best]), 1)[0]
    assert by_envelope == pytest.approx(LAW.exponents[0], abs=0.05)
    assert loss == pytest.approx(LAW.predict(*LAW.optimum(budgets)), rel=1e-3)


def test_an_envelope_says_nothing_outside_its_curves():
    best, loss = envelope([([1.0, 10.0], [3.0, 2.0]), ([10.0, 100.0], [2.5, 1.0])], [0.1, 1.0, 10.0, 31.6, 1e3])
    assert best.tolist() == [-1, 0, 0, 1, -1]
    assert np.isnan(loss[[0, -1]]).all()
    assert loss[3] == pytest.approx(1.75, abs=0.01)


def test_published_fits():
    assert HOFFMANN_2022.predict(70e9, 1.4e12) == pytest.approx(1.9366, abs=1e-3)  # Chinchilla
    assert HOFFMANN_2022.predict(280e9, 300e9) > HOFFMANN_2022.predict(70e9, 1.4e12)  # Gopher, the same budget
    n, d = BESIROGLU_2024.optimum(5.76e23)
    assert 10 < d / n < 40  # the rule of 20 tokens a parameter
    assert KAPLAN_2020["parameters"].predict(1.5e9) == pytest.approx(2.30, abs=0.01)


def test_needed_inverts_predict():
    law = PowerLaw(1.0, 50.0, 0.4)
    assert law.needed(float(law.predict(12345.0))) == pytest.approx(12345.0)
    assert law.needed(1.0) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_scaling_law([1, 2], [1, 2], [3, 4]), "too few"),
        (lambda: fit_scaling_law([5.0] * 8, range(1, 9), range(1, 9)), "n holds 1 different"),
        (lambda: fit_power_law([1, 2, 3], [3, 2, 1]), "x holds 3 different values in 3 runs"),
        (lambda: fit_power_law([1, 2, 3, 4], [3, 2, 1, 0]), "loss holds 0.0"),
        (lambda: fit_power_law([1, 2, 3, math.nan], [3, 2, 1, 1]), "x holds nan"),
        (lambda: fit_power_law([1, 2, 3, 4], [3, 2, 1]), "shape"),
        (lambda: fit_isoflop(X, (np.log(X) - 5) ** 2), "try larger"),
        (lambda: fit_isoflop(X, (np.log(X) + 5) ** 2), "try smaller"),
        (lambda: envelope([], [1.0]), "curves is empty"),
        (lambda: LAW.optimum(0.0), "compute=0.0"),
        (lambda: interval([1.0], level=95), "level=95"),
    ],
)
def test_bad_data_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_huber_is_quadratic_then_straight():
    assert huber(np.array([0.5, 1.0, 3.0]), 1.0) == pytest.approx([0.125, 0.5, 2.5])


def test_the_median_is_what_huber_finds_among_outliers():
    data = np.array([1.0, 1.1, 0.9, 1.05, 50.0])
    found = minimize_huber(lambda p: (p - data, np.ones((len(p), 5, 1))), np.array([[0.0], [60.0]]), 0.01)
    assert found[0] == pytest.approx(1.05, abs=0.03)
