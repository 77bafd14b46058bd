"""Confidence against correctness: a calibrated and a boastful model, simulated; bins by hand."""

import math

import numpy as np
import pytest

from llmlib.evaluate import ItemResult, calibration_error, option_probabilities, reliability, selective_accuracy


def test_bins_by_hand():
    bins = reliability([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1], bins=2)
    assert [(each.confidence, each.accuracy, each.count) for each in bins] == [
        (pytest.approx(0.15), 0.5, 2),
        (pytest.approx(0.85), 1, 2),
    ]
    assert bins[0].low < 0.5 < bins[0].high and bins[1].high == pytest.approx(1)
    assert calibration_error([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1], bins=2) == pytest.approx((0.35 + 0.15) / 2)
    assert len(reliability([0.5, 0.5], [1, 0], bins=10)) == 2


def test_a_calibrated_model_lies_on_the_diagonal_and_a_boastful_one_does_not():
    rng = np.random.default_rng(0)
    sure = rng.random(20_000)
    right = rng.random(20_000) < sure
    assert calibration_error(sure, right) < 0.02
    assert calibration_error(sure**0.25, right) > 0.25
    for each in reliability(sure, right):
        assert each.accuracy == pytest.approx(each.confidence, abs=0.05)
    assert selective_accuracy(sure, right, 0.2) == pytest.approx(0.9, abs=0.02)
    assert selective_accuracy(sure, right, 1) == pytest.approx(0.5, abs=0.02)
    assert selective_accuracy(rng.random(20_000), right, 0.2) == pytest.approx(0.5, abs=0.03)


def test_option_probabilities_are_a_softmax():
    result = ItemResult("x", 0, 0, 0, details={"logprobs": [-1.0, -2.0], "tokens": [1, 2], "bytes": [2, 8]})
    assert option_probabilities(result) == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])
    assert option_probabilities(result, "token") == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reliability([0.5], [1, 0]), r"confidence has shape \(1,\) and correct \(2,\)"),
        (lambda: reliability([], []), "give one of each an answer"),
        (lambda: reliability([1.5], [1]), "confidence holds a number outside 0 to 1"),
        (lambda: reliability([0.5], [1], bins=0), "bins=0 must be at least 1"),
        (lambda: selective_accuracy([0.5], [1], 0), "coverage=0 must lie in"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
