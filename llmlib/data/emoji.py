"""Emoji as pictures with names: what a small model can learn to see. Lecture 19.

The pictures are OpenMoji's (asset "openmoji-font", CC BY-SA 4.0), the names Unicode's.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .fetching import fetch
from .verifiable import held_out_key

FILLS = 0.78  # the part of a canvas's side that a drawing takes: some drawings are wider than the font's square
# What Unicode 15 and 16 named: Python before 3.12 doesn't know them, and the set shall be one.
LATER = {0x1F6DC, 0x1FA75, 0x1FA76, 0x1FA77, 0x1FA87, 0x1FA88, 0x1FA89, 0x1FA8F, 0x1FAAD, 0x1FAAE, 0x1FAAF, 0x1FABB}
LATER |= {0x1FABC, 0x1FABD, 0x1FABE, 0x1FABF, 0x1FAC6, 0x1FACE, 0x1FACF, 0x1FADA, 0x1FADB, 0x1FADC, 0x1FADF, 0x1FAE8}
LATER |= {0x1FAE9, 0x1FAF7, 0x1FAF8}
KINDS = {  # first and last code point
    "animal": [(0x1F400, 0x1F43C), (0x1F54A, 0x1F54A), (0x1F577, 0x1F577), (0x1F980, 0x1F9AE), (0x1FAB0, 0x1FAB3)],
    "clock": [(0x1F550, 0x1F567)],
    "clothing": [(0x1F451, 0x1F462), (0x1F97B, 0x1F97F), (0x1F9E2, 0x1F9E6), (0x1FA70, 0x1FA74)],
    "face": [(0x1F600, 0x1F644), (0x1F910, 0x1F917), (0x1F920, 0x1F92F), (0x1F970, 0x1F97A)],
    "food": [(0x1F32D, 0x1F32F), (0x1F345, 0x1F37F), (0x1F950, 0x1F96F), (0x1F9C0, 0x1F9CB), (0x1FAD0, 0x1FAD9)],
    "heart": [(0x2764, 0x2764), (0x1F493, 0x1F49D), (0x1F5A4, 0x1F5A4), (0x1F90D, 0x1F90E), (0x1F9E1, 0x1F9E1)],
    "plant": [(0x1F331, 0x1F335), (0x1F337, 0x1F344), (0x1F940, 0x1F940), (0x1FAB4, 0x1FAB4), (0x1FAB7, 0x1FAB7)],
    "vehicle": [(0x1F680, 0x1F6B2), (0x1F6E9, 0x1F6E9), (0x1F6F3, 0x1F6FC)],
}
COLOURS = {  # the fills of OpenMoji's palette; outlines are (0, 0, 0)
    "black": [(63, 63, 63)],
    "blue": [(146, 211, 245), (97, 178, 228), (30, 80, 160)],
    "brown": [(165, 121, 57), (106, 70, 47)],
    "green": [(177, 204, 51), (92, 158, 49)],
    "grey": [(208, 207, 206), (155, 155, 154)],
    "orange": [(244, 170, 65), (226, 112, 34), (241, 179, 28)],
    "pink": [(255, 167, 192)],
    "purple": [(137, 103, 170), (179, 153, 200)],
    "red": [(234, 90, 71), (210, 47, 39)],
    "yellow": [(252, 234, 43)],
}


@dataclass(frozen=True)
class Emoji:
    """A character, its name in lower case, and the family it is kept with: names that differ in few words."""

    character: str
    name: str
    family: str

    @property
    def kind(self) -> str | None:
        """Animal, food, face ...: by the block of Unicode it stands in; None where the blocks don't say."""
        code = ord(self.character)
        return next((kind for kind, spans in KINDS.items() if any(a <= code <= b for a, b in spans)), None)


def emoji(split: str | None = None) -> list[Emoji]:
    """The emoji of one character that Unicode 14 names and OpenMoji draws, by code point.

    split: "train", "test" (about a ninth) or None for all. Names that differ in a colour, a direction, an hour or a
    mood only (families) are on one side: pictures of one base never stand in both.
    """
    if split not in (None, "train", "test"):
        raise ValueError(f"split is {split!r}: choose train, test, or None for all")
    return [
        each
        for each in _all_emoji()
        if split is None or (split == "test") == held_out_key(f"drawn {each.family}", 0.15)
    ]


def draw_emoji(characters: Sequence[str], size: int = 32) -> Tensor:
    """Pictures of emoji on white: -> (N, 3, size, size) float32 in [0, 1].

    Raises ValueError for a size below 8 and for text that isn't one emoji of the font.
    """
    from PIL import Image, ImageDraw, ImageFont  # imported here: nothing else in the library draws

    if size < 8:
        raise ValueError(f"size={size} leaves nothing to see; give 8 pixels or more")
    unknown = next((c for c in characters if len(c) != 1 or ord(c) not in _drawable()), None)
    if unknown is not None:
        raise ValueError(f"characters holds {unknown!r}, which is not one emoji of the font; see emoji()")
    scale = 4  # drawn larger and made smaller, for soft edges
    font = ImageFont.truetype(str(fetch("openmoji-font")), round(size * scale * FILLS))
    pictures = torch.empty(len(characters), 3, size, size)
    for i, character in enumerate(characters):
        canvas = Image.new("RGB", (size * scale, size * scale), "white")
        middle = (size * scale // 2, size * scale // 2)
        ImageDraw.Draw(canvas).text(middle, character, font=font, embedded_color=True, anchor="mm")
        small = canvas.resize((size, size), Image.Resampling.BOX)
        pictures[i] = (
            torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(size, size, 3).permute(2, 0, 1)
        )
    return pictures / 255


def colour_of(picture: Tensor) -> str | None:
    """The name in `COLOURS` of what fills most of a picture; None where a line on white is all there is.

    picture: (3, H, W) in [0, 1], as `draw_emoji` makes it: a pixel counts where it has a colour of the palette.
    """
    names = [name for name, fills in COLOURS.items() for _ in fills]
    palette = torch.tensor([fill for fills in COLOURS.values() for fill in fills], dtype=torch.float32)
    nearest = torch.cdist(255 * picture.flatten(1).T.float(), palette).min(1)
    counts: Counter[str] = Counter(names[i] for i in nearest.indices[nearest.values < 8].tolist())
    return max(counts, key=lambda name: (counts[name], name)) if counts.total() >= 0.02 * picture[0].numel() else None


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(fetch("openmoji-font")) as font:
        return frozenset(code for code, glyph in font.getBestCmap().items() if code > 0xFF and _has_layers(font, glyph))


def _has_layers(font: object, glyph: str) -> bool:
    return bool(font["COLR"].ColorLayers.get(glyph))


@lru_cache(maxsize=1)
def _all_emoji() -> tuple[Emoji, ...]:
    named = ((chr(code), unicodedata.name(chr(code), "")) for code in sorted(_drawable() - LATER))
    kept = ((character, name.lower()) for character, name in named if name and not _SIGNS.search(name.lower()))
    return tuple(Emoji(character, name, _family(character, name)) for character, name in kept)


# Signs that are hardly pictures: arrows, letters, squares of one colour, and parts of other emoji.
_SIGNS = re.compile(
    r"arrow|circled|enclosed|fitzpatrick|ideograph|keycap|letter|overlay|negative|square\b|squared|circle\b|ellipse|"
    r"pentagon|hexagon|octagon|triangle|diamond shape|-pointing|(small|large|blue|orange) diamond|chevron|half black|"
    r"bar$|emoji component|indicator|(mark|heavy) sign|(plus|minus|division|multiplication) |button|katakana|tag "
)
_VARIES = re.compile(
    r"\b(black|white|red|blue|green|yellow|orange|purple|brown|pink|large|small|medium|heavy|light|dark|left|right|up|"
    r"down|upwards?|downwards?|leftwards?|rightwards?|north|south|east|west|one|two|three|four|five|six|seven|eight|nine|"
    r"ten|eleven|twelve|thirty|oclock|open|closed|sign|symbol|new|full|first|last|quarter|crescent|waxing|waning|"
    r"gibbous|raised|lowered|high|low|back|front|oncoming|flag|face|second|third|place|head)\b"
)
_OF_ONE_BASE = {  # drawings that differ in details
    "white on blue": r"mens symbol|baby symbol|restroom|litter|passport|customs|baggage|luggage|"
    r"input symbol|wheelchair",
    "person": r"person|people|\bman\b|\bwoman\b|men\b|women\b|\bboy|\bgirl|adult|child|baby|prince|worker|guard|"
    r"officer|bride|dancer|family|couple|singer|elf|fairy|vampire|zombie|genie|mage|mer|super|father|mother|deaf|ninja|"
    r"surfer|swimmer|runner|rowboat|lifter|golfer|turban|hooded|silhouette|royal|snowboarder|massage|haircut|facepalm|shrug",
    "pen": r"pencil|crayon|pen$|paintbrush|ballpoint",
    "cat": r"\bcat\b",
    "hand": r"\bhands?\b|finger|index|fist|thumbs|\bclap|\bpinch",
    "weather": r"sun behind|cloud|snowman",
    "station": r"train|railway|tram|metro|monorail|mountain",
    "speaker": r"speaker|\bbell",
    "zodiac": r"^(aries|taurus|gemini|cancer|leo|virgo|libra|scorpius|sagittarius|capricorn|aquarius|pisces)$|"
    r"ophiuchus|religion|cross|dharma|star of david|menorah|om symbol|atom symbol|place of worship|yin yang|sparkle|"
    r"asterisk",
    "prohibited": r"\bno\b|prohibited|non-potable|under eighteen|entry",
    "mail": r"mail|envelope",
    "exclamation": r"exclamation|question mark",
    "yellow face": r"frown|\bimp\b|face with|(melting|saluting) face",
}


def _family(character: str, name: str) -> str:
    """The base a drawing shares with others: its kind of person or sign, or the last word of its name that tells."""
    first = ord(character)
    if any(a <= first <= b for a, b in KINDS["face"]) and "cat" not in name and "person" not in name:
        return "yellow face"
    for family, pattern in _OF_ONE_BASE.items():
        if re.search(pattern, name):
            return family
    rest = re.findall(r"[a-z]+", _VARIES.sub(" ", name.partition(" with ")[0]))
    return rest[-1] if rest else (re.findall(r"[a-z]+", name) or [name])[-1]
