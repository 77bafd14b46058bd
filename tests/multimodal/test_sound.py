"""Log-mel frames against transformers' audio tools; what cannot be heard is refused."""

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from llmlib.data.syllables import say
from llmlib.multimodal import log_mel, mel_bands


def test_bands_are_those_of_an_independent_implementation():
    theirs = mel_filter_bank(257, 40, 0.0, 8000.0, 16_000, norm=None, mel_scale="htk")
    assert np.abs(mel_bands(16_000, 512, 40).numpy() - theirs.T).max() < 1e-3


def test_frames_are_those_of_an_independent_implementation():
    wave, _ = say(["sa", "mi"])
    theirs = spectrogram(
        wave, window_function(400, "hann"), 400, 160, fft_length=512, power=2.0, center=False,
        mel_filters=mel_filter_bank(257, 40, 0.0, 8000.0, 16_000, norm=None, mel_scale="htk"),
        mel_floor=1e-6, log_mel="log",
    )  # fmt: skip
    ours = log_mel(torch.from_numpy(wave)).numpy()
    assert ours.shape == theirs.T.shape
    assert np.abs(ours - theirs.T).max() < 0.02


def test_a_tone_is_loudest_in_its_own_band():
    time = torch.arange(16_000) / 16_000
    middles = (mel_bands(16_000, 512, 40) * torch.arange(257) * 16_000 / 512).sum(1) / mel_bands(16_000, 512, 40).sum(1)
    for band in (8, 20, 35):
        frames = log_mel(torch.sin(2 * torch.pi * middles[band] * time))
        assert (frames.argmax(1) == band).all()


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (torch.zeros(16_000), "silent"),
        (torch.randn(100), "a window takes 400"),
        (torch.randn(2, 16_000), r"\(samples,\)"),
        (torch.full((16_000,), float("nan")), "not finite"),
    ],
)
def test_what_cannot_be_heard_is_refused(wave, says):
    with pytest.raises(ValueError, match=says):
        log_mel(wave)


def test_too_many_bands_are_refused():
    with pytest.raises(ValueError, match="n_mels=400"):
        log_mel(torch.randn(16_000), n_mels=400)
