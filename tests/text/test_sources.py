import numpy as np
import pytest

from llmlib.text.sources import MarkovSource


def binary_entropy(p):
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.3), (0.1, 0.6), (0.01, 0.02)])
def test_two_state_chain_has_the_textbook_entropy(a, b):
    source = MarkovSource([[1 - a, a], [b, 1 - b]])
    np.testing.assert_allclose(source.stationary, [b / (a + b), a / (a + b)], atol=1e-11)
    expected = (b * binary_entropy(a) + a * binary_entropy(b)) / (a + b)
    assert source.entropy_rate == pytest.approx(expected, abs=1e-11)
    assert source.perplexity == pytest.approx(2**expected)


def test_order_zero_is_a_loaded_die():
    source = MarkovSource([0.5, 0.25, 0.25])
    assert source.order == 0
    assert source.entropy_rate == pytest.approx(1.5)


def test_a_cycle_carries_no_information():
    source = MarkovSource([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert source.entropy_rate == 0
    np.testing.assert_allclose(source.stationary, np.full(3, 1 / 3))
    drawn = source.sample(30, rng=0)
    assert np.array_equal(np.diff(drawn) % 3, np.ones(29))


def test_stationary_distribution_of_order_two_solves_the_dense_linear_system():
    source = MarkovSource.random(2, 4, rng=1)
    dense = np.zeros((16, 16))
    for a, b, c in np.ndindex(4, 4, 4):
        dense[4 * a + b, 4 * b + c] = source.transitions[a, b, c]
    system = np.vstack([dense.T - np.eye(16), np.ones(16)])
    expected = np.linalg.lstsq(system, np.append(np.zeros(16), 1), rcond=None)[0]
    np.testing.assert_allclose(source.stationary.ravel(), expected, atol=1e-12)


def test_sample_follows_the_transitions_and_the_entropy():
    source = MarkovSource.random(2, 3, rng=2)
    drawn = source.sample(200_000, rng=3)
    counts = np.zeros((3, 3, 3))
    np.add.at(counts, (drawn[:-2], drawn[1:-1], drawn[2:]), 1)
    often = counts.sum(-1) > 2000
    seen = counts / counts.sum(-1, keepdims=True)
    np.testing.assert_allclose(seen[often], source.transitions[often], atol=0.05)
    np.testing.assert_allclose(counts.sum(-1) / counts.sum(), source.stationary, atol=0.01)
    assert source.bits_per_symbol(drawn) == pytest.approx(source.entropy_rate, abs=0.01)


def test_sample_depends_on_nothing_but_its_seed():
    source = MarkovSource.random(1, 5, rng=0)
    assert np.array_equal(source.sample(100, rng=7), source.sample(100, rng=np.random.default_rng(7)))
    assert not np.array_equal(source.sample(100, rng=7), source.sample(100, rng=8))
    assert source.sample(0).shape == (0,)


def test_concentration_sets_how_predictable_the_source_is():
    sharp = MarkovSource.random(1, 8, concentration=0.05, rng=0).entropy_rate
    flat = MarkovSource.random(1, 8, concentration=50.0, rng=0).entropy_rate
    assert sharp < 1.5 < 2.9 < flat < 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MarkovSource([[0.5, 0.5]]), "shape"),
        (lambda: MarkovSource([[0.5, 0.4], [0.5, 0.5]]), "sum of 0.9"),
        (lambda: MarkovSource([[1.5, -0.5], [0.5, 0.5]]), "minimum of -0.5"),
        (lambda: MarkovSource.random(-1, 4), "order must not be negative, got -1"),
        (lambda: MarkovSource.random(1, 1), "vocab_size must be at least 2, got 1"),
        (lambda: MarkovSource.random(10, 100), "lower the order"),
        (lambda: MarkovSource.random(1, 4, concentration=0), "concentration must be positive, got 0"),
        (lambda: MarkovSource.random(1, 4, rng=0).sample(-1), "n must not be negative, got -1"),
        (lambda: MarkovSource.random(2, 4, rng=0).bits_per_symbol([1, 2]), "more than 2, got 2"),
        (lambda: MarkovSource([[1 - 1e-7, 1e-7], [2e-7, 1 - 2e-7]]), "mix too slowly"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
