import json
import random

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from courseware.authoring import frames
from courseware.authoring.build import lecture_sources
from courseware.authoring.frames import FrameSet, code_hash, explored, pack, stepped, thinned, unpack, webp

KEPT = sorted((frames.ROOT / "docs" / "site" / "frames").glob("*.frames"))


def line(p):
    fig, ax = plt.subplots(figsize=(3.5, 2.0))
    ax.plot([0, p])
    return fig


def test_a_slider_has_a_frame_for_each_value_and_its_alternative_text():
    made, images = explored(line, {"p": (0.0, 1.0, 0.5)}, lambda p: f"a line to {p:g}", {"p": 0.5})
    assert made.controls == [{"label": "p", "kind": "slider", "values": ["0", "0.5", "1"], "start": 1}]
    assert [frame["alt"] for frame in made.frames] == ["a line to 0", "a line to 0.5", "a line to 1"]
    assert len({frame["image"] for frame in made.frames}) == 3 == len(images)
    assert made.thinned == 0 and made.width == 336 and not made.play


def test_several_sliders_give_every_combination_with_the_last_one_running_fastest():
    made, _ = explored(lambda a, b: f"{a}{b}", {"a": [1, 2], "b": ["x", "y", "z"]}, "", {"a": 1, "b": "y"})
    assert [frame["text"] for frame in made.frames] == ["1x", "1y", "1z", "2x", "2y", "2z"]
    assert [control["kind"] for control in made.controls] == ["slider", "choice"]


def test_a_long_slider_is_thinned_evenly_and_keeps_its_ends_and_where_it_starts():
    stops = [round(0.01 * i, 10) for i in range(101)]
    kept = thinned({"p": stops}, {"p": 0.5})["p"]
    assert len(kept) <= frames.MOST and kept[0] == 0 and kept[-1] == 1 and 0.5 in kept
    assert set(np.diff(kept).round(2)) <= {0.01, 0.02, 0.03, 0.04}
    two = thinned({"q": range(21), "k": range(21)}, {"q": 5, "k": 3})
    assert len(two["q"]) * len(two["k"]) <= frames.MOST and 5 in two["q"] and 3 in two["k"]


def test_a_choice_of_names_keeps_all_of_them():
    names = {"model": [str(i) for i in range(60)]}
    assert thinned(names, {"model": "7"})["model"] == names["model"]


def test_a_setting_that_fails_says_so_as_the_live_view_does():
    def fails_at_two(n):
        if n == 2:
            raise ValueError("n=2: too many")
        return line(n)

    made, images = explored(fails_at_two, {"n": (1, 3, 1)}, "a line", {"n": 1})
    assert made.frames[1]["text"] == "n = 2: ValueError: n=2: too many" and len(images) == 2


def test_steps_keep_their_titles_and_equal_frames_are_one_picture():
    red, blue = Image.new("RGB", (8, 4), "red"), Image.new("RGB", (8, 4), "blue")
    made, images = stepped([red, blue, red], ["r", "b", "r again"], ["start", "middle", "end"])
    assert made.play and made.controls[0]["values"] == ["start", "middle", "end"]
    assert [frame["alt"] for frame in made.frames] == ["r", "b", "r again"]
    assert made.frames[0]["image"] == made.frames[2]["image"] and len(images) == 2


def test_what_is_packed_comes_out_the_same_and_is_small_where_frames_differ_by_little():
    rng = np.random.default_rng(0)
    noise = np.where(rng.random((60, 90, 1)) < 0.5, 255, 0).astype(np.uint8).repeat(3, axis=2)
    pictures = []
    for i in range(12):
        pixels = noise.copy()
        pixels[i, :] = (0, 114, 178)
        pictures.append(Image.fromarray(pixels))
    pictures.append(Image.new("RGB", (20, 10), "white"))
    packed = pack(pictures)
    for before, after in zip(pictures, unpack(packed, [image.size for image in pictures]), strict=True):
        assert np.array_equal(np.asarray(before), np.asarray(after.convert("RGB")))
    assert len(packed) < sum(len(webp(image)) for image in pictures) / 4


def test_only_the_code_decides_whether_frames_are_up_to_date():
    cell, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell

    def notebook(code, prose="One.", poll="poll('a', ['b', 'c'], 'd e')"):
        return nbformat.v4.new_notebook(cells=[text(prose), cell(code), cell(poll)])

    before = code_hash(notebook("x = 1"))
    assert before == code_hash(notebook("x = 1", prose="Another.", poll="poll('other', ['b', 'c'], 'd e')"))
    assert before != code_hash(notebook("x = 2"))


def test_frames_do_not_change_what_the_lecture_draws_at_random_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(frames.ui, "_live", frames.ui._live)
    monkeypatch.setattr(frames.ui, "_player", frames.ui._player)
    frames.record(str(tmp_path))

    def drawing(n):
        return line(float(torch.rand(1)) + random.random() + np.random.rand() + n)

    torch.manual_seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    shown = frames.ui._live(drawing, {"n": (1, 3, 1)}, "a line", {"n": 1}, None)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()
    number = shown._repr_mimebundle_()[frames.MIME]["number"]
    kept = json.loads((tmp_path / f"{number}.json").read_text())
    assert len(kept["frames"]) == 3 and (tmp_path / f"{kept['frames'][0]['image']}.png").exists()


def test_a_lecture_without_frames_of_its_code_has_none(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    assert frames.views_of(notebook, "99_nothing", tmp_path) == ({}, {})


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_frames_are_whole(path):
    about = frames.read(path.stem)
    views = [view for cell in about["cells"].values() for view in cell]
    assert views
    for view in views:
        fields = FrameSet(**{name: view[name] for name in ("controls", "frames", "play", "width", "thinned")})
        assert len(fields.frames) == np.prod([len(control["values"]) for control in fields.controls])
        known = {name for name, _, _ in view["pictures"]}
        for frame in fields.frames:
            assert frame["image"] in known if "image" in frame else frame["text"]
            assert frame["alt"].strip() or "text" in frame


def test_all_kept_frames_together_stay_small():
    sizes = [path.stat().st_size for path in KEPT]
    assert sizes and max(sizes) <= 500_000 and sum(sizes) <= 4_000_000


@pytest.mark.parametrize("source", lecture_sources(), ids=lambda p: p.stem[:2])
def test_a_lectures_frames_are_of_its_present_code(source):
    assert frames.is_fresh(source), f"python tasks.py frames {source.stem[:2]}"
