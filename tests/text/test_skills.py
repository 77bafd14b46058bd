"""A language of facts: its frequencies, its noise and its entropy are what it says."""

import math

import numpy as np
import pytest

from llmlib.text import SkillSource


def test_entropy_is_that_of_one_right_and_many_wrong_answers():
    source = SkillSource(4, 16, noise=0.2, rng=0)
    p = np.full(16, 0.2 / 16)
    p[3] += 0.8
    assert source.entropy_rate == pytest.approx(-(p * np.log2(p)).sum())
    assert SkillSource(4, 16, noise=1.0).entropy_rate == pytest.approx(4.0)
    assert SkillSource(4, 16, noise=0.0).entropy_rate == 0.0


def test_skills_come_with_zipfs_frequencies_and_answers_with_the_noise():
    source = SkillSource(8, 4, exponent=0.8, noise=0.3, rng=1)
    records, skills = source.sample(200_000, rng=2)
    assert records.shape == (200_000, 3) and records.min() == 0 and records.max() == source.vocab_size - 1
    counted = np.bincount(skills, minlength=64) / len(skills)
    np.testing.assert_allclose(counted, source.probabilities, atol=5 * np.sqrt(0.25 / 200_000))
    assert counted[0] / counted[1] == pytest.approx(2**1.8, rel=0.05)
    np.testing.assert_array_equal(source.names[skills], records[:, :2])
    right = (records[:, 2] - 8 == source.answers[skills]).mean()
    assert right == pytest.approx(0.7 + 0.3 / 4, abs=0.005)
    assert len({tuple(name) for name in source.names.tolist()}) == 64, "no two skills share a name"


def test_the_share_beyond_the_nth_skill_falls_as_a_power():
    source = SkillSource(512, exponent=0.5, rng=0)
    missed = 1 - np.cumsum(source.probabilities)
    assert missed[99] / missed[399] == pytest.approx(4**0.5, rel=0.1)


def test_cross_entropy_is_the_entropy_for_who_knows_and_a_guess_for_who_does_not():
    source = SkillSource(8, 16, noise=0.3, rng=1)
    records, skills = source.sample(5000, rng=3)
    knows = np.full((5000, source.vocab_size), -50.0)
    knows[:, 8:] = np.log(0.3 / 16)
    knows[np.arange(5000), 8 + source.answers[skills]] = np.log(0.7 + 0.3 / 16)
    assert source.cross_entropy(knows, skills) == pytest.approx(source.entropy_rate * math.log(2), abs=1e-9)
    drawn = -knows[np.arange(5000), records[:, 2]].mean()
    assert drawn == pytest.approx(source.entropy_rate * math.log(2), abs=0.08), "and nearly that on what was drawn"
    guesses = np.log(np.full((5000, source.vocab_size), 1 / 16))
    assert source.cross_entropy(guesses, skills) == pytest.approx(math.log(16))


def test_the_same_seed_is_the_same_language():
    one, two = SkillSource(rng=5), SkillSource(rng=5)
    np.testing.assert_array_equal(one.sample(10, rng=1)[0], two.sample(10, rng=1)[0])
    assert not np.array_equal(one.answers, SkillSource(rng=6).answers)
    assert one.sample(0)[0].shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(n_symbols=1), "n_symbols must be at least 2, got 1"),
        (dict(n_answers=0), "n_answers must be at least 2, got 0"),
        (dict(exponent=0.0), "exponent must be positive, got 0.0: try 0.8"),
        (dict(noise=1.5), "noise must lie between 0 and 1, got 1.5"),
    ],
)
def test_impossible_languages_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SkillSource(**arguments)


def test_wrong_inputs_are_refused():
    source = SkillSource(4)
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        source.sample(-1)
    with pytest.raises(ValueError, match=r"shape \(2, 3\): give \(2, 20\)"):
        source.cross_entropy(np.zeros((2, 3)), [0, 1])
