"""Sound as a row of vectors: the log-mel spectrogram that speech recognisers read. Lecture 19."""

import math
from functools import lru_cache

import torch
from torch import Tensor

FLOOR = 1e-6  # what counts as no energy


def log_mel(wave: Tensor, rate: int = 16_000, n_mels: int = 40, window: float = 0.025, hop: float = 0.010) -> Tensor:
    """A sound as frames of the log of its energy in n_mels bands: (samples,) -> (frames, n_mels) float32.

    A frame looks at `window` seconds under a Hann window, the next one `hop` seconds later; frames hang over neither
    end. Bands are triangles of equal width on the mel scale (Davis and Mermelstein, 1980), narrow below, wide above.
    Raises ValueError for a sound that is silent, shorter than a window or not one row of finite numbers, and for bands
    so many that one lies between two frequencies.
    """
    n, step = round(window * rate), round(hop * rate)
    if wave.dim() != 1:
        raise ValueError(f"wave has shape {tuple(wave.shape)}: give (samples,), one channel of one sound")
    if len(wave) < n:
        raise ValueError(f"wave has {len(wave)} samples, a window takes {n}: give {window} seconds or more")
    if not wave.isfinite().all():
        raise ValueError("wave holds numbers that are not finite: mend the sound before reading it")
    if not wave.any():
        raise ValueError("wave is silent, every sample is 0: there is nothing to hear; check the recording")
    frames = wave.float().unfold(0, n, step) * torch.hann_window(n, device=wave.device)
    energy = torch.fft.rfft(frames, n=_power_of_two(n)).abs().square()
    return (energy @ mel_bands(rate, _power_of_two(n), n_mels).to(wave.device).T).clamp(min=FLOOR).log()


@lru_cache(maxsize=8)
def mel_bands(rate: int, n_fft: int, n_mels: int) -> Tensor:
    """The bands as weights of the frequencies: -> (n_mels, n_fft // 2 + 1), each a triangle of height 1."""
    corners = _hertz(torch.linspace(0, float(_mel(torch.tensor(rate / 2.0))), n_mels + 2))
    frequencies = torch.arange(n_fft // 2 + 1) * rate / n_fft
    up = (frequencies - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    down = (corners[2:, None] - frequencies) / (corners[2:] - corners[1:-1])[:, None]
    bands = torch.minimum(up, down).clamp(min=0)
    if not bands.any(1).all():
        raise ValueError(f"n_mels={n_mels} is too many for {n_fft // 2 + 1} frequencies: some band holds none of them")
    return bands


def _mel(hertz: Tensor) -> Tensor:
    """O'Shaughnessy's scale (1987)."""
    return 2595 * torch.log10(1 + hertz / 700)


def _hertz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)


def _power_of_two(n: int) -> int:
    return 1 << math.ceil(math.log2(n))
