"""Diagrams: things lie where they were placed, arrows end at their edges, numbers can be read."""

import math

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, Rectangle

from courseware.classroom import pictures
from courseware.classroom.diagrams import Diagram
from courseware.classroom.figures import luminance


@pytest.fixture
def d():
    yield Diagram(12, 4)
    plt.close("all")


def texts(d) -> list[str]:
    return [text.get_text() for text in d.ax.texts]


def test_twelve_units_are_the_width_of_the_page(d):
    assert d.fig.get_size_inches() == pytest.approx([pictures.WIDTH, pictures.WIDTH / 3])


def test_a_box_knows_its_edges_and_which_one_faces_what(d):
    box = d.box(3, 2, "attention", w=2, h=1)
    assert (box.left, box.right, box.top, box.bottom) == ((2, 2), (4, 2), (3, 2.5), (3, 1.5))
    assert box.towards((9, 2.5)) == box.right and box.towards((3.2, 0)) == box.bottom
    assert texts(d) == ["attention"]


def test_an_arrow_goes_from_edge_to_edge(d):
    a, b = d.box(2, 2), d.box(8, 2)
    d.arrow(a, b, "adds")
    (arrow,) = [patch for patch in d.ax.patches if isinstance(patch, FancyArrowPatch)]
    assert arrow._posA_posB == [a.right, b.left]
    assert "adds" in texts(d)


def test_an_arrow_to_a_labelled_vector_ends_before_its_label(d):
    vector = d.vector(6, 2, [1.0, 2.0], label="keys")
    label = next(text for text in d.ax.texts if text.get_text() == "keys")
    edge = label.get_window_extent(d.fig.canvas.get_renderer()).transformed(d.ax.transData.inverted())
    assert vector.left[0] <= edge.x0
    assert vector.cell(0).x == pytest.approx(6 - 0.4) and vector.cell(-1).x == pytest.approx(6 + 0.4)


def test_a_matrix_shows_numbers_strings_and_blanks_row_by_row(d):
    grid = d.matrix(5, 2, [[1, None], [-math.inf, "x"]], rows=["a", "b"], columns=["c", "d"], label="M", mark=[(1, 1)])
    assert [text for text in texts(d)[:4]] == ["1.0", "", "-∞", "x"]
    assert {"a", "b", "c", "d", "M"} <= set(texts(d))
    top, bottom = grid.cell(0, 1), grid.cell(1, 1)
    assert top.x == bottom.x == 5.4 and top.y > bottom.y
    outlined = [patch for patch in d.ax.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
    assert len(outlined) == 1 and outlined[0].get_y() < 2


def test_vectors_take_tensors_and_stand_upright(d):
    assert d.vector(2, 2, torch.tensor([0.25, -0.75]), vertical=True, fmt=".2f").rows == 2
    assert texts(d) == ["0.25", "-0.75"]


def test_cells_are_shaded_by_sign_and_size_and_their_numbers_stand_out(d):
    values = np.linspace(-1, 1, 9)
    d.vector(6, 2, values)
    cells = [patch.get_facecolor() for patch in d.ax.patches]
    assert cells[4][:3] == (1, 1, 1)
    assert cells[0][0] > cells[0][2] and cells[-1][2] > cells[-1][0], "orange below zero, blue above"
    for face, text in zip(cells, d.ax.texts, strict=True):
        light, dark = sorted([luminance(face), luminance(to_rgb(text.get_color()))], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_brackets_streams_heads_and_signs_can_be_joined(d):
    stream, plus, heads = d.stream((1, 1), (11, 1), "residual stream"), d.plus(6, 1), d.heads(6, 2.5, 4)
    d.arrow(heads, plus)
    d.bracket((1, 3), (3, 3), "three tokens")
    assert stream.center == (6, 1) and heads.w > 1.6
    assert {"residual stream", "+", "head", "three tokens"} <= set(texts(d))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.box(1, 1, color="mauve"), "color='mauve': choose one of blue"),
        (lambda d: d.bracket((0, 0), (1, 0), side="over"), "side='over': choose"),
        (lambda d: d.matrix(1, 1, [[1, 2], [1]]), "rows of one length"),
        (lambda d: d.vector(1, 1, []), "rows of one length"),
        (lambda d: d.matrix(1, 1, [[1, 2], [3, 4]]).cell(1), "needs a row and a column"),
        (lambda d: d.show(alt=""), "alt=''"),
    ],
)
def test_a_mistake_is_named(d, call, message):
    with pytest.raises(ValueError, match=message):
        call(d)


def test_a_diagram_is_shown_with_its_alt_text(d, shown):
    d.box(1, 1, "x")
    d.show(alt="A box.")
    assert 'alt="A box."' in shown[0].data["text/html"]
