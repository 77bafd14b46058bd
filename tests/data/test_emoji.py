"""Emoji: one set on every Python, halves apart, pictures that show something."""

import hashlib
import unicodedata

import pytest
import torch

from llmlib.data.emoji import colour_of, draw_emoji, emoji


def test_the_set_is_the_same_on_every_python():
    found = emoji()
    digest = hashlib.sha256("\n".join(f"{e.character} {e.name} {e.family}" for e in found).encode()).hexdigest()
    assert (len(found), digest[:16]) == (1266, "31a2664e4b094120")


def test_no_family_stands_in_both_halves():
    train, test = emoji("train"), emoji("test")
    assert len(train) + len(test) == len(emoji()) and 100 < len(test) < 150
    assert not {e.family for e in train} & {e.family for e in test}


def test_no_test_picture_nearly_equals_one_of_training():
    drawn = [draw_emoji([e.character for e in emoji(split)], 16).flatten(1) for split in ("train", "test")]
    apart = torch.cdist(drawn[1], drawn[0]).min(1).values / drawn[0].shape[1] ** 0.5
    assert apart.min() > 0.1  # root of the mean squared difference of a pixel, of 1


def test_a_picture_shows_its_emoji_in_the_middle():
    (apple,) = draw_emoji(["\N{RED APPLE}"], 32)
    assert apple.shape == (3, 32, 32) and apple.min() >= 0 and apple.max() <= 1
    corners = torch.stack([apple[:, 0, 0], apple[:, 0, -1], apple[:, -1, 0], apple[:, -1, -1]])
    assert (corners == 1).all() and apple[:, 14:18, 14:18].mean() < 0.9
    ink = (apple.min(0).values < 0.9).float()
    middle = (ink.sum(0) * torch.arange(32)).sum() / ink.sum()
    assert 14 < middle < 18


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("RED APPLE", "red"),
        ("GREEN HEART", "green"),
        ("BLUE HEART", "blue"),
        ("GRINNING FACE", "yellow"),
        ("ELEPHANT", "grey"),
        ("BLACK HEART", "black"),
        ("WHITE HEAVY CHECK MARK", "green"),
        ("TANGERINE", "orange"),
    ],
)
def test_colours_are_what_one_would_say(name, colour):
    assert colour_of(draw_emoji([unicodedata.lookup(name)])[0]) == colour


def test_an_empty_picture_has_no_colour():
    assert colour_of(torch.ones(3, 8, 8)) is None


def test_kinds_are_told_by_the_block():
    kinds = {e.name: e.kind for e in emoji()}
    assert kinds["elephant"] == "animal" and kinds["banana"] == "food" and kinds["rocket"] == "vehicle"
    assert kinds["grinning face"] == "face" and kinds["anchor"] is None


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="'a'"):
        draw_emoji(["a"])
    with pytest.raises(ValueError, match="size=4"):
        draw_emoji(["\N{RED APPLE}"], 4)
    with pytest.raises(ValueError, match="'half'"):
        emoji("half")
