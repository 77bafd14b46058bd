"""Bootstrap over questions, paired comparison and the sign test: coverage, hand-made cases, independent definitions."""

import numpy as np
import pytest

from llmlib import data
from llmlib.evaluate import bootstrap_interval, compare, sign_test


def test_the_interval_is_that_of_the_general_bootstrap():
    values = np.random.default_rng(0).random(80)
    ours = bootstrap_interval(values, times=1000, seed=3)
    low, high = data.bootstrap_interval(np.mean, values, times=1000, seed=3)
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.01)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """400 samples of 60 questions of a model that is right 70 % of the time."""
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(400):
        interval = bootstrap_interval(rng.random(60) < 0.7, times=300, seed=seed)
        hits += interval.low <= 0.7 <= interval.high
    assert 0.90 <= hits / 400 <= 0.98


def test_intervals_over_answers_are_too_narrow_and_ours_are_not():
    """8 answers a question that agree: coverage over answers collapses, over questions it stays."""
    rng = np.random.default_rng(2)
    over = {"questions": 0, "grouped": 0, "answers": 0}
    for seed in range(150):
        right = rng.random(40) < 0.5
        rows = np.repeat(right[:, None], 8, axis=1).astype(float)
        kinds = {
            "questions": bootstrap_interval(rows, times=200, seed=seed),
            "grouped": bootstrap_interval(rows.ravel(), groups=np.repeat(np.arange(40), 8), times=200, seed=seed),
            "answers": bootstrap_interval(rows.ravel(), times=200, seed=seed),
        }
        for kind, interval in kinds.items():
            over[kind] += interval.low <= 0.5 <= interval.high
    assert over["questions"] / 150 > 0.88 and over["grouped"] / 150 > 0.88
    assert over["answers"] / 150 < 0.7


def test_groups_of_different_sizes_are_drawn_whole():
    values, groups = [1, 1, 1, 0], ["a", "a", "a", "b"]
    interval = bootstrap_interval(values, groups=groups, times=500)
    assert interval.value == 0.75 and interval.low == 0 and interval.high == 1  # both a, both b, or each once


def test_a_level_widens_the_interval_and_the_seed_fixes_it():
    values = np.random.default_rng(4).random(50)
    wide, narrow = bootstrap_interval(values, level=0.99), bootstrap_interval(values, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)


def test_pairing_finds_what_two_intervals_hide():
    """b is right wherever a is, and on a few questions more."""
    a = np.array([1] * 50 + [0] * 50)
    b = a.copy()
    b[50:58] = 1
    alone = bootstrap_interval(a), bootstrap_interval(b)
    assert alone[0].high > alone[1].low
    both = compare(a, b)
    assert both.difference == pytest.approx(0.08) and both.low > 0
    assert (both.a_better, both.b_better, both.ties) == (0, 8, 92)
    assert both.p_value == pytest.approx(2 / 2**8)
    assert compare(b, a).difference == pytest.approx(-0.08)


def test_sign_test_by_hand():
    assert sign_test(5, 0) == pytest.approx(2 / 32)
    assert sign_test(3, 1) == pytest.approx(2 * (1 + 4) / 16)
    assert sign_test(2, 2) == sign_test(0, 0) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([]), r"values has shape \(0,\): give one score a question"),
        (lambda: bootstrap_interval([[1, 0], [1]]), "rows of different lengths: give a flat list and groups="),
        (lambda: bootstrap_interval([1, float("nan")]), "not finite: score a missing answer 0"),
        (lambda: bootstrap_interval([1, 0], level=95), "level=95 must lie between 0 and 1"),
        (lambda: bootstrap_interval([1, 0], times=0), "times=0 must be at least 1"),
        (lambda: bootstrap_interval([1, 0], groups=["a"]), "groups has length 1 and values 2"),
        (lambda: compare([1, 0], [1]), r"a has shape \(2,\) and b \(1,\)"),
        (lambda: sign_test(-1, 2), "wins=-1 and losses=2 must be counts"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
