"""Modular addition: every unordered pair once, split without leaks."""

import pytest
import torch

from llmlib.data import modular_addition


def test_every_unordered_pair_stands_in_exactly_one_half():
    train, test = modular_addition(59, 0.5, seed=3)
    assert (len(train), len(test)) == (885, 885)
    rows = torch.cat([train, test])
    assert {(a, b) for a, b, _ in rows.tolist()} == {(a, b) for b in range(59) for a in range(b + 1)}
    assert torch.equal((rows[:, 0] + rows[:, 1]) % 59, rows[:, 2]) and rows.dtype == torch.int64


def test_no_mirror_image_of_a_test_pair_is_in_training():
    train, test = modular_addition(13, 0.7)
    seen = {frozenset(pair) for pair in train[:, :2].tolist()}
    assert not seen & {frozenset(pair) for pair in test[:, :2].tolist()}


def test_the_seed_decides():
    (one, _), (same, _), (other, _) = (modular_addition(11, 0.4, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other) and len(one) == round(0.4 * 66)


@pytest.mark.parametrize(
    "modulus, fraction, message",
    [
        (1, 0.5, "modulus=1 is too small to split"),
        (0, 0.5, "modulus=0 is too small"),
        (-5, 0.5, "modulus=-5 is too small"),
        (2, 0.1, "training half empty: choose a larger fraction"),
        (2, 0.9, "test half empty: choose a smaller fraction"),
        (59, 0.0, "fraction=0.0 must lie between 0 and 1"),
        (59, 1, "fraction=1 must lie between 0 and 1"),
        (59, float("nan"), "fraction=nan must lie"),
    ],
)
def test_what_cannot_be_split_is_refused(modulus, fraction, message):
    with pytest.raises(ValueError, match=message):
        modular_addition(modulus, fraction)


def test_the_smallest_modulus_has_three_pairs():
    train, test = modular_addition(2, 0.5)
    assert len(train) + len(test) == 3 and len(train) and len(test)
