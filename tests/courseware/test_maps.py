"""Heat maps and attention maps: values in their places, annotations that can be read."""

from itertools import pairwise

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from courseware.classroom.figures import luminance, panels
from courseware.classroom.maps import attention_map, heat_map, visible


@pytest.fixture
def ax():
    yield panels(1)[1]
    plt.close("all")


def test_every_annotation_stands_out_from_its_cell(ax):
    image = heat_map(np.linspace(-1, 1, 40).reshape(5, 8), fmt=".2f", ax=ax)
    assert len(ax.texts) == 40
    for text in ax.texts:
        column, row = map(int, text.get_position())
        cell = luminance(image.cmap(image.norm(image.get_array()[row, column])))
        ink = luminance(to_rgb(text.get_color()))
        assert (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05) >= 4.5


def test_a_center_takes_two_hues_and_lies_in_the_middle(ax):
    image = heat_map([[-1.0, 4.0]], center=0, ax=ax)
    assert image.norm(0) == pytest.approx(0.5) and image.norm(-4) == pytest.approx(0)


@pytest.mark.parametrize(("width", "bar"), [(3.5, ""), (5.4, "probability")])
def test_the_names_of_many_rows_and_columns_do_not_overlap(width, bar):
    _, ax = panels(1, width=width, height=3.4)
    names = list("abcdefghijklmnopqrstuvwxyz")
    heat_map(np.eye(26), rows=names, columns=names, x="next", y="before", color=bar, ax=ax)
    ax.figure.canvas.draw()
    tops = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(below.y1 <= above.y0 + 1 for above, below in pairwise(tops))
    sides = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(sides))
    plt.close("all")


def test_names_marks_blanks_and_the_colour_bar(ax):
    heat_map([[1.0, np.nan]], rows=["r"], columns=["a", "b"], mark=[(0, 1)], fmt=".1f", color="share", ax=ax)
    assert [text.get_text() for text in ax.texts] == ["1.0"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b"]
    assert ax.patches[0].get_xy() == (0.5, -0.5)
    assert ax.figure.axes[-1].get_ylabel() == "share"


def test_a_map_of_its_own_leaves_nothing_for_the_notebook_to_print(shown):
    assert heat_map([[1.0, 2.0]], alt="two cells") is None and len(shown) == 1


def test_attention_maps_share_a_scale_and_show_their_tokens(shown):
    weights = torch.stack([torch.eye(3), torch.full((3, 3), 1 / 3)])
    attention_map(weights, ["the", " ", "\n"], alt="Two heads: one looks at itself, one at everything.")
    assert "Two heads" in shown[0].data["text/html"]


def test_one_map_may_be_drawn_into_a_panel(ax):
    attention_map([[1.0, 0.0], [0.5, 0.5]], ["a", " "], mark=[(1, 0)], ax=ax)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "␣"]
    assert ax.get_xlabel() == "looked at" and ax.get_ylabel() == "looks"
    assert ax.images[0].norm.vmax == 1.0


def test_whole_numbers_may_be_written_as_such(ax):
    heat_map(torch.tensor([[3, 1000], [0, 7]]), fmt=",d", ax=ax)
    assert [text.get_text() for text in ax.texts] == ["3", "1,000", "0", "7"]


def test_tokens_are_made_visible():
    assert visible([" a", "\n", "\t", ""]) == ["␣a", "↵", "⇥", "∅"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: heat_map([1, 2], ax=ax), r"values has shape \(2,\)"),
        (lambda ax: heat_map([[1, 2]], rows=["a", "b"], ax=ax), "rows names 2 of 1"),
        (lambda ax: heat_map([[1, 2]]), "alt=None"),
        (lambda ax: attention_map([[1.0]], ["a"]), "alt=None"),
        (lambda ax: attention_map([[1.0]], ["a", "b"], ax=ax), r"shape \(1, 1\) for 2 tokens"),
        (lambda ax: attention_map(np.ones((2, 1, 1)), ["a"], ax=ax), "ax holds one map"),
        (lambda ax: attention_map(np.ones((2, 1, 1)), ["a"], titles=["x"], alt="y"), "titles names 1 of 2"),
        (lambda ax: attention_map([1.0], ["a"], alt="y"), r"weights has shape \(1,\)"),
    ],
)
def test_a_mistake_is_named(ax, call, message):
    with pytest.raises(ValueError, match=message):
        call(ax)
