"""Lab 08's own oracles agree with the library, which the lab keeps away from its students."""

import numpy as np
import pytest

from courseware.classroom.cases import Draw, lab08
from llmlib.model import ModelConfig, count_parameters, flops_per_token
from llmlib.train.scaling import ScalingLaw, fit_isoflop, fit_power_law

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab08.tied_shape, lab08.untied_shape])
def test_counts_are_those_of_the_model_as_it_is_built(inputs, seed):
    shape = inputs(Draw(seed))
    sizes = {k: v for k, v in shape.items() if k not in ("seq_len", "tied")}
    config = ModelConfig(**sizes, tie_embeddings=shape["tied"])
    assert lab08.count(**shape) == (count_parameters(config), flops_per_token(config, shape["seq_len"]))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_optimum_is_the_librarys_and_costs_least_to_reach_when_nothing_is_served(seed):
    law, compute = lab08.law_and_compute(Draw(seed))
    n, d = lab08.allocation(law, compute)
    whole = ScalingLaw(**law)
    assert (n, d) == pytest.approx(whole.optimum(compute), rel=1e-9)
    assert lab08.cheapest(law, float(whole.predict(n, d)), 0.0) == pytest.approx((n, d), rel=2e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_model_of_the_same_loss_costs_less_in_its_life(seed):
    law, loss, served = lab08.much_served(Draw(seed))
    n, d = lab08.cheapest(law, loss, served)
    assert float(ScalingLaw(**law).predict(n, d)) == pytest.approx(loss, rel=1e-9)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = factor * n
        left = loss - law["E"] - law["A"] * other ** -law["alpha"]
        if left > 0:
            tokens = (law["B"] / left) ** (1 / law["beta"])
            assert 6 * other * tokens + 2 * other * served > (6 * n * d + 2 * n * served) * (1 - 1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_vertex_is_the_librarys(seed):
    n, loss = lab08.bracketed(Draw(seed))
    assert lab08.best_size(n, loss) == pytest.approx(fit_isoflop(n, loss), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fit_finds_the_law_as_the_librarys_does(seed):
    x, loss = lab08.on_a_law(Draw(seed))
    E, A, alpha = lab08.fit(x, loss)
    library = fit_power_law(x, loss)
    assert (E, alpha) == pytest.approx((library.E, library.alpha), abs=5e-3)
    assert np.allclose(E + A * x**-alpha, loss, atol=2e-3)


def test_the_standard_error_of_a_sweep_is_that_of_least_squares_on_noisy_runs():
    """By simulation, near the law: the linear answer is what many noisy sweeps give on average."""
    sweep = [(1e7, 1e8), (1e7, 2e10), (1e8, 1e8), *[(8e7, 1.4e9)] * 5, (7e8, 8e10), (1.6e9, 2.2e11), (6e9, 3e10)]
    n, d = np.array(sweep).T
    rows = lab08._derivatives(n, d)
    target = lab08._derivatives(*(np.array([x]) for x in lab08.TARGET))[0]
    errors = np.random.default_rng(0).normal(scale=lab08.NOISE, size=(len(sweep), 20_000))
    spread = 100 * float((target @ np.linalg.lstsq(rows, errors, rcond=None)[0]).std())
    assert spread == pytest.approx(lab08.standard_error(sweep), rel=0.03)
    assert lab08.standard_error([(m, 20 * m) for m in np.geomspace(1e7, 3e9, 10).tolist()]) == np.inf
