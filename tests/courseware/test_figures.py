"""Curves, bars, panels and tables: what is drawn is what was given, and it can be read."""

from itertools import pairwise

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from courseware.classroom import figures, pictures
from courseware.classroom.figures import bars, curves, panels, pushed_apart, table


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        pictures.setup_style()
        yield
        plt.close("all")


@pytest.fixture
def ax():
    return panels(1)[1]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


# ----------------------------------------------------------------------------------------------------------- curves


def test_a_curve_is_the_mean_over_seeds_with_its_range(ax):
    ys = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 7.0]])
    curves({"GPT": ys}, at=[10, 20, 40], x="step", y="nats", ax=ax)
    (line,) = ax.get_lines()
    assert line.get_xdata().tolist() == [10, 20, 40] and line.get_ydata().tolist() == [2, 2, 5]
    corners = ax.collections[0].get_paths()[0].vertices
    assert {(10, 1), (10, 3), (40, 3), (40, 7)} <= {tuple(map(int, corner)) for corner in corners}
    assert ax.get_ylabel() == "nats\n(mean and range of 2 seeds)" and ax.get_xlabel() == "step"


def test_a_band_may_be_one_standard_deviation(ax):
    curves({"GPT": [[1.0, 1.0], [3.0, 3.0]]}, y="nats", band="sd", ax=ax)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(2 + np.sqrt(2)) and heights.min() == pytest.approx(2 - np.sqrt(2))
    assert "standard deviation of 2 seeds" in ax.get_ylabel()


def test_one_seed_has_no_band_and_the_label_claims_none(ax):
    curves({"GPT": torch.tensor([1.0, 2.0])}, y="nats", ax=ax)
    assert len(ax.collections) == 0 and ax.get_ylabel() == "nats"
    curves({"GPT": [[1.0, 2.0], [2.0, 3.0]]}, y="nats", band=None, ax=ax)
    assert len(ax.collections) == 0 and ax.get_ylabel() == "nats"


def test_lines_and_references_are_named_where_they_end_without_overlap(ax):
    curves({"a": [0.0, 1.0], "b": [0.0, 1.001]}, reference={"c": 1.002}, marks={"here": (0.5, 0.5)}, ax=ax)
    assert texts(ax) == ["here", "a", "b", "c"] and ax.get_legend() is None
    places = [text.xy[1] for text in ax.texts[1:]]
    assert min(np.diff(places)) * 3.1 * 72 > 11.5, "a label needs the height of its letters"


def test_series_may_have_their_own_xs_and_gaps(ax):
    curves({"a": ([1, 2], [5.0, 6.0]), "b": ([1, 2, 3], [5.0, 6.0, np.nan])}, log="xy", ax=ax)
    assert ax.get_xscale() == "log" and ax.get_yscale() == "log"
    assert texts(ax) == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: curves({"a": [1.0, 2.0]}, at=[1, 2, 3], ax=ax), r"series\['a'\] has shape \(1, 2\) for 3 xs"),
        (lambda ax: curves({"a": [1.0, 2.0]}, band="95", ax=ax), "band='95': choose"),
        (lambda ax: curves({"a": [1.0, 2.0]}), "alt=None: say in a sentence"),
        (lambda ax: bars({"a": 1}, interval="iqr", ax=ax), "interval='iqr': choose"),
        (lambda ax: bars({}, ax=ax), "values is empty"),
        (lambda ax: table([[1, 2]]), "columns=None"),
        (lambda ax: table([[1, 2], [1]], columns=["a", "b"]), r"rows\[1\] has 1 cells for 2 columns"),
        (lambda ax: table({"a": [1], "b": [1, 2]}), "different lengths"),
    ],
)
def test_a_mistake_is_named(ax, call, message):
    with pytest.raises(ValueError, match=message):
        call(ax)


def test_a_figure_of_its_own_is_shown_with_its_alt_text_and_fits_a_screen(shown):
    before = plt.get_fignums()  # of other tests of the same process
    curves({"a": [1.0, 2.0]}, alt="It rises.")
    (output,) = shown
    assert 'alt="It rises."' in output.data["text/html"] and ' width="691" ' in output.data["text/html"]
    assert plt.get_fignums() == before


# ------------------------------------------------------------------------------------------------------------- bars


def test_bars_show_means_values_whiskers_and_seeds(ax):
    bars({"one": [1.0, 3.0], "four": 1.5}, x="bits", ax=ax)
    assert [patch.get_width() for patch in ax.patches] == [2.0, 1.5]
    assert texts(ax) == ["2.00", "1.50"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["one", "four"] and ax.yaxis_inverted()
    ends = ax.containers[1].lines[2][0].get_segments()[0][:, 0]
    assert ends.tolist() == [1.0, 3.0]
    assert ax.get_xlabel() == "bits\n(mean and range of 2 seeds)"


def test_bars_of_equal_seeds(ax):
    """The mean of three times 0.1 is above 0.1, and matplotlib refuses a whisker of negative length."""
    bars({"same": [0.1, 0.1, 0.1]}, ax=ax)
    assert texts(ax) == ["0.10"]


def test_a_confidence_interval_is_students(ax):
    bars({"one": [1.0, 2.0, 3.0]}, interval="ci95", ax=ax)
    low, high = ax.containers[1].lines[2][0].get_segments()[0][:, 0]
    assert high - 2 == pytest.approx(4.303 / np.sqrt(3), abs=1e-3) == 2 - low


@pytest.mark.parametrize(("freedom", "point"), [(1, 12.706), (9, 2.262), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_students_points(freedom, point):
    assert figures._student(freedom) == pytest.approx(point, abs=2e-3)


def test_intervals_may_be_given(ax):
    bars({"a": 1.0, "b": 2.0}, errors={"a": 0.5, "b": (1.5, 3.0)}, y="bits", horizontal=False, ax=ax)
    ends = [container.lines[2][0].get_segments()[0][:, 1].tolist() for container in ax.containers[1::2]]
    assert ends == [[0.5, 1.5], [1.5, 3.0]]
    assert ax.get_ylabel() == "bits"


def test_grouped_bars_name_their_groups(ax):
    bars({"a": {"choose": 1.0, "report": 2.0}, "b": {"report": 3.0}}, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["choose", "report"]
    assert len(ax.patches) == 3 and len({patch.get_facecolor() for patch in ax.patches}) == 2


# ------------------------------------------------------------------------------------------------------------ parts


def test_panels_stand_side_by_side_with_titles():
    fig, axes = panels(2, titles=["left", "right"], widths=[1, 2])
    assert [ax.get_title() for ax in axes] == ["left", "right"]
    assert fig.get_size_inches().tolist() == [7.2, 3.1]


@pytest.mark.parametrize(
    ("at", "named"),
    [([117, 345, 762, 1542], ["200", "500", "1,000"]), ([512, 4096], ["500", "1,000", "2,000"]), ([1e3, 1e6], None)],
)
def test_a_logarithmic_axis_names_few_values_and_no_minor_one(ax, at, named):
    curves({"a": range(len(at))}, at=at, log="x", ax=ax)
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    shown = [tick.label1.get_text() for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert not any(tick.label1.get_text() for tick in ax.xaxis.get_minor_ticks())
    assert shown == named if named else len(shown) == 4


@pytest.mark.parametrize("color", pictures.PALETTE)
def test_names_are_dark_enough_to_read_on_white(color):
    assert 1.05 / (figures.luminance(to_rgb(figures.readable(color))) + 0.05) >= 4.5


def test_labels_move_as_little_as_they_must():
    assert pushed_apart([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert pushed_apart([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])
    assert pushed_apart([0.0, 0.5, 0.5, 0.5], 0.1) == pytest.approx([0.0, 0.4, 0.5, 0.6])


def test_a_logarithmic_axis_of_a_narrow_panel_names_fewer_values():
    fig, axes = panels(2, width=7.6)
    for ax, name in zip(axes, ("text it was learned from", "85M (GPT-2)")):
        curves({name: range(4)}, at=[257, 1000, 4000, 8000], x="tokens", log="x", ax=ax)
    fig.canvas.draw()
    low, high = axes[0].get_xlim()
    shown = [t.label1 for t in axes[0].xaxis.get_major_ticks() if low <= t.get_loc() <= high]
    assert [label.get_text() for label in shown] == ["300", "1,000", "3,000"]
    places = [label.get_window_extent() for label in shown]
    assert all(left.x1 < right.x0 for left, right in pairwise(places))


def test_values_of_many_bars_do_not_overlap(ax):
    bars({name: {"GPT-2": 1.9, "SmolLM2": 1.8} for name in "abcdefghijk"}, fmt=".1f", ax=ax)
    ax.figure.canvas.draw()
    places = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 1.5 for below, above in pairwise(places))


def test_names_of_lines_that_end_together_at_the_top_stay_beside_the_panel(ax):
    curves({name: [0.0, 1.0] for name in "abcd"}, ylim=(0, 1), ax=ax)
    places = sorted(text.xy[1] for text in ax.texts)
    assert places[-1] == pytest.approx(1.0)
    assert np.diff(places).min() > 0.05


def test_panels_that_share_an_axis_say_once_what_the_band_is():
    _, axes = panels(3, share_y=True)
    for i, ax in enumerate(axes):
        curves({"a": np.ones((3, 4))}, y="" if i else "loss", ax=ax)
    assert [ax.get_ylabel() for ax in axes] == ["loss\n(mean and range of 3 seeds)", "", ""]
    _, axes = panels(2)
    for ax in axes:
        curves({"a": np.ones((3, 4))}, ax=ax)
    assert [ax.get_ylabel() for ax in axes] == ["(mean and range of 3 seeds)"] * 2, "panels with axes of their own"


def test_the_value_of_a_negative_bar_does_not_reach_the_names():
    fig, ax = panels(1, height=3.0)
    means = {"ReLU (89,424 parameters)": 0.01, "RoPE (86,352 parameters)": -0.216, "all (77,136 parameters)": -0.209}
    bars(means, errors=dict(zip(means, (0.019, 0.036, 0.03))), fmt="+.3f", x="difference (nats)", ax=ax)
    fig.canvas.draw()
    assert min(text.get_window_extent().x0 for text in ax.texts) >= ax.get_window_extent().x0


# ------------------------------------------------------------------------------------------------------------ tables


def test_a_table_is_markdown_with_numbers_on_the_right(shown):
    table([{"model": "a|b", "loss": 1.234, "n": 1000}, {"model": "c", "loss": None, "n": 2}], highlight=[1])
    assert shown[0].data["text/markdown"].splitlines() == [
        "| model | loss | n |",
        "| --- | ---: | ---: |",
        r"| a\|b | 1.23 | 1,000 |",
        "| **c** |  | **2** |",
    ]
    assert "1,000" in shown[0].data["text/plain"] and "<" not in shown[0].data["text/plain"]


def test_a_table_takes_columns_or_rows_and_a_format_for_each(shown):
    table({"x": torch.tensor([0.5, 0.25]), "y": [True, False]}, fmt={"x": ".1%"}, caption="Shares")
    table([[1, 2]], columns=["a", "b"])
    assert "*Shares*" in shown[0].data["text/markdown"] and "| 50.0% | True |" in shown[0].data["text/markdown"]
    assert "| 1 | 2 |" in shown[1].data["text/markdown"]


def test_compact_pictures_are_as_wide_on_the_page_and_take_fewer_bytes():
    made = {}
    try:
        for compact in (False, True):
            pictures.setup_style(compact=compact)
            fig = plt.figure()
            fig.add_subplot().plot([0, 1, 0])
            image = pictures.render(fig)
            made[compact] = pictures.css_width(image), len(pictures.png(image))
    finally:
        pictures.setup_style()
    assert made[True][0] == pytest.approx(made[False][0], abs=1)
    assert made[True][1] < 0.8 * made[False][1]
