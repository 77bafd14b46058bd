"""Speech-like sound made by rule: syllables of a consonant and a vowel, by speakers who differ. Lecture 19.

A vowel is a buzz at the speaker's pitch whose harmonics are loud near three resonances, the formants (Peterson and
Barney, 1952); a consonant is a hiss, a murmur or a burst. Real speech is harder in every way: no syllable here runs
into its neighbour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE = 16_000  # samples a second
VOWELS = {"a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "o": (570, 840, 2410)}
VOWELS |= {"u": (300, 870, 2240)}  # formants in Hz, of men's voices
HISSES = {"s": (4200, 7500, 0.09), "f": (1200, 7000, 0.08), "x": (2000, 4000, 0.09)}  # from Hz, to Hz, seconds
MURMURS = {"m": (250, 1000, 2200), "l": (360, 1300, 2700)}  # formants
BURSTS = {"t": (2500, 6500), "p": (300, 1500), "k": (1200, 2800)}  # from Hz, to Hz
CONSONANTS = (*HISSES, *MURMURS, *BURSTS)
SYLLABLES = tuple(c + v for c in CONSONANTS for v in VOWELS)


@dataclass(frozen=True)
class Speaker:
    """A voice: pitch in Hz, size of the vocal tract (1: a man's; a smaller one sounds higher), tempo (1: as usual)."""

    pitch: float = 120.0
    tract: float = 1.0
    tempo: float = 1.0

    @classmethod
    def draw(cls, generator: np.random.Generator) -> "Speaker":
        """Somebody: pitch 90 to 250 Hz, tract 0.8 to 1.05 (smaller with a higher pitch), tempo 0.85 to 1.15."""
        pitch = float(np.exp(generator.uniform(math.log(90), math.log(250))))
        tract = 1.05 - 0.25 * math.log(pitch / 90) / math.log(250 / 90) + float(generator.normal(0, 0.02))
        return cls(pitch, tract, float(generator.uniform(0.85, 1.15)))


def say(
    syllables: Sequence[str], speaker: Speaker = Speaker(), seed: int = 0, noise: float = 0.003
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Sound of the syllables, float32 in [-1, 1] at 16,000 samples a second, and each one's first and last sample.

    No two are alike: lengths, loudness, the melody and the formants vary a little. noise: standard deviation of a hiss
    over all. Raises ValueError for an unknown syllable and for none at all.
    """
    unknown = next((s for s in syllables if s not in SYLLABLES), None)
    if unknown is not None:
        raise ValueError(f"syllables holds {unknown!r}: say one of {', '.join(SYLLABLES[:6])} ..., see SYLLABLES")
    if not syllables:
        raise ValueError("syllables is empty: give one at least")
    draw = np.random.default_rng(seed)
    pieces, spans, at = [_pause(0.05)], [], int(0.05 * RATE)
    for syllable in syllables:
        sound = draw.uniform(0.7, 1.0) * _syllable(syllable, speaker, draw)
        spans.append((at, at + len(sound)))
        gap = _pause(draw.uniform(0.02, 0.05) / speaker.tempo)
        pieces += [sound, gap]
        at += len(sound) + len(gap)
    wave = np.concatenate(pieces)
    wave = 0.8 * wave / np.abs(wave).max() + draw.normal(0, noise, len(wave))
    return wave.astype(np.float32), spans


def _syllable(syllable: str, speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    consonant, vowel = syllable
    sounding = _voiced(VOWELS[vowel], draw.uniform(0.11, 0.17) / speaker.tempo, speaker, draw)
    if consonant in HISSES:
        low, high, seconds = HISSES[consonant]
        before = 0.25 * _hiss(low, high, seconds * draw.uniform(0.8, 1.2) / speaker.tempo, draw)
    elif consonant in MURMURS:
        before = 0.35 * _voiced(MURMURS[consonant], draw.uniform(0.05, 0.08) / speaker.tempo, speaker, draw)
    else:
        burst = _hiss(*BURSTS[consonant], 0.02, draw) * np.exp(-np.linspace(0, 4, int(0.02 * RATE)))
        before = np.concatenate([_pause(draw.uniform(0.03, 0.05) / speaker.tempo), 0.6 * burst])
    return np.concatenate([before, sounding])


def _voiced(formants: Sequence[float], seconds: float, speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    """Harmonics of a falling pitch, the n-th as loud as 1/n and as the resonances make it."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = speaker.pitch * draw.uniform(0.92, 1.08) * (1.0 - 0.15 * time / seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    at = np.array(formants) * draw.normal(1.0, 0.03, 3) / speaker.tract
    harmonics = np.arange(1, int(5000 / pitch.max()) + 1)
    distance = (harmonics[:, None] * pitch.mean() - at) / np.array([80.0, 110.0, 160.0])
    loud = (np.array([1.0, 0.6, 0.35]) / (1.0 + distance**2)).sum(1) / np.sqrt(harmonics)
    wave = (loud[:, None] * np.sin(harmonics[:, None] * phase)).sum(0)
    return _soft_ends(wave / np.abs(wave).max())


def _hiss(low: float, high: float, seconds: float, draw: np.random.Generator) -> np.ndarray:
    """Noise of the frequencies between two."""
    spectrum = np.fft.rfft(draw.normal(size=int(seconds * RATE)))
    frequencies = np.fft.rfftfreq(int(seconds * RATE), 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    wave = np.fft.irfft(spectrum, int(seconds * RATE))
    return _soft_ends(wave / np.abs(wave).max())


def _soft_ends(wave: np.ndarray) -> np.ndarray:
    edge = min(len(wave) // 4, int(0.01 * RATE))
    ramp = np.linspace(0, 1, edge)
    wave = wave.copy()
    wave[:edge] *= ramp
    wave[-edge:] *= ramp[::-1]
    return wave


def _pause(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE))
