"""How a picture looks on a dark page: a drawing on white is turned over, anything else keeps its colours on a card.

The pictures in notebooks are drawn once, on white. A dark page can turn a drawing over in the browser, lightness
reversed and hues kept, since lines, boxes and letters mean the same in light on dark. A heat map or a photograph must
not: its light and dark are what it says.
"""

import colorsys
import io

import numpy as np
from PIL import Image

from courseware.classroom.pictures import PALETTE, TINTS

INK, CARD = "nt-ink", "nt-card"
_CHROMA = 24  # of 255: below this a pixel is grey
_NEAR = 26  # of 255, from the colours that a drawing is made of
_SHADES = 4  # of one hue, each on at least 0.4 % of the picture: a heat map; a drawing has a line, its band, a box


def kind(picture: bytes) -> str:
    """INK for a drawing in the course's colours on white, CARD for a picture whose light and dark say something."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    pixels = np.asarray(image.resize((max(1, image.width // 4), max(1, image.height // 4)), Image.Resampling.NEAREST))
    pixels = pixels.reshape(-1, 3).astype(np.int16)
    spread = pixels.max(1) - pixels.min(1)
    grey = (spread < _CHROMA) & (pixels.mean(1) > 60) & (pixels.mean(1) < 215)
    strange = (spread >= _CHROMA) & (_distance(pixels) > _NEAR)
    if strange.mean() > 0.04 or grey.mean() > 0.08 or (pixels.min(1) > 235).mean() < 0.25:
        return CARD
    return CARD if _most_shades(pixels[spread >= _CHROMA], len(pixels)) >= _SHADES else INK


def _most_shades(coloured: np.ndarray, of: int) -> int:
    """How many shades the hue has that comes in most of them, counting those on at least 0.4 % of all pixels."""
    found, counts = np.unique(coloured >> 4, axis=0, return_counts=True)
    large = found[counts >= 0.004 * of].astype(float)
    if not len(large):
        return 0
    hues = [colorsys.rgb_to_hsv(*(shade / 15))[0] for shade in large]
    return int(np.bincount((np.array(hues) * 12).round().astype(int) % 12).max())


def _distance(pixels: np.ndarray) -> np.ndarray:
    """How far each pixel is from the nearest mixture of white and a colour of a drawing: what fills and edges are."""
    named = [*PALETTE, *(tint for tint in TINTS.values() if tint.startswith("#"))]
    ends = np.array([[int(name[i : i + 2], 16) for i in (1, 3, 5)] for name in named], dtype=float)
    nearest = np.full(len(pixels), np.inf)
    for end in ends:
        towards = end - 255.0
        if not towards.any():
            continue
        along = np.clip((pixels - 255.0) @ towards / (towards @ towards), 0, 1)[:, None]
        nearest = np.minimum(nearest, np.abs(pixels - (255.0 + along * towards)).max(1))
    return nearest
