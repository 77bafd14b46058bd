"""Speech by rule: spans, repeatable, voices and syllables that differ."""

from itertools import pairwise

import numpy as np
import pytest

from llmlib.data.syllables import RATE, SYLLABLES, Speaker, say


def strongest(wave, low, high):
    spectrum, frequencies = np.abs(np.fft.rfft(wave)), np.fft.rfftfreq(len(wave), 1 / RATE)
    inside = (frequencies >= low) & (frequencies < high)
    return frequencies[inside][spectrum[inside].argmax()]


def test_the_same_seed_says_the_same_and_another_something_else():
    first, spans = say(["sa", "ti", "mo"], seed=1)
    again, _ = say(["sa", "ti", "mo"], seed=1)
    other, _ = say(["sa", "ti", "mo"], seed=2)
    assert np.array_equal(first, again) and not np.array_equal(first[: len(other)], other[: len(first)])
    assert first.dtype == np.float32 and np.abs(first).max() <= 1.0
    assert len(spans) == 3 and all(a < b for a, b in spans)
    assert all(b < c for (_, b), (c, _) in pairwise(spans)) and spans[-1][1] <= len(first)


@pytest.mark.parametrize("syllable", SYLLABLES)
def test_every_syllable_sounds_within_its_span(syllable):
    wave, ((first, last),) = say([syllable], noise=0.0)
    energy = np.square(wave)
    assert energy[first:last].sum() > 0.99 * energy.sum() and np.isfinite(wave).all()


def test_a_hiss_is_higher_than_a_vowel():
    wave, ((first, last),) = say(["si"], noise=0.0)
    assert strongest(wave[first : first + 800], 0, RATE / 2) > 3500
    assert strongest(wave[last - 1200 : last], 0, RATE / 2) < 700


def test_pitch_is_the_speakers():
    found = []
    for pitch in (100.0, 200.0):
        wave, ((_, last),) = say(["ma"], Speaker(pitch=pitch), noise=0.0)
        vowel = wave[last - 1400 : last - 400]
        shifts = np.arange(60, 250)
        likeness = [np.corrcoef(vowel[shift:], vowel[:-shift])[0, 1] for shift in shifts]
        found.append(RATE / shifts[int(np.argmax(likeness))])
        assert found[-1] == pytest.approx(0.93 * pitch, rel=0.15)  # it falls by 15 % over a syllable


def test_speakers_are_drawn_within_bounds():
    draw = np.random.default_rng(0)
    drawn = [Speaker.draw(draw) for _ in range(100)]
    assert all(90 <= s.pitch <= 250 and 0.7 < s.tract < 1.15 and 0.85 <= s.tempo <= 1.15 for s in drawn)


def test_what_cannot_be_said_is_refused():
    with pytest.raises(ValueError, match="'qu'"):
        say(["sa", "qu"])
    with pytest.raises(ValueError, match="empty"):
        say([])
