"""Figures with alt text, static panels before sliders, polls that say what is right."""

import base64
import html
import io
import re

import ipywidgets as widgets
import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from courseware.classroom import pictures, ui
from courseware.classroom.diagrams import Diagram


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        pictures.setup_style()
        yield
        plt.close("all")


def figure(k: float = 1, width: float = 2.4):
    fig, ax = plt.subplots(figsize=(width, 3))
    ax.plot([0, 1], [0, k])
    return fig


def picture(output) -> Image.Image:
    data = re.search(r'src="data:image/png;base64,([^"]+)"', output.data["text/html"])[1]
    return Image.open(io.BytesIO(base64.b64decode(data)))


def alt(output) -> str:
    return html.unescape(re.search(r'<img alt="([^"]*)"', output.data["text/html"])[1])


# ---------------------------------------------------------------------------------------------------------- figures


def test_show_gives_a_small_png_with_alt_text_and_closes_the_figure(shown):
    fig = figure(width=9)
    pictures.show(fig, alt="A line.")
    (output,) = shown
    assert alt(output) == "A line." and ' width="864" ' in output.data["text/html"]
    assert output.data["text/plain"] == "A line."
    assert set(output.data) == {"text/html", "text/plain"}, "the pixels once, where JupyterLab keeps the alt text"
    assert picture(output).size == (1296, 432)
    assert len(output.data["text/html"]) < 30_000
    assert not plt.fignum_exists(fig.number)


def test_a_figure_needs_alt_text():
    with pytest.raises(ValueError, match="alt=' '"):
        pictures.show(figure(), alt=" ")
    with pytest.raises(ValueError, match="alt=''"):
        ui.explore(figure, panels=[1, 2], k=(1, 3, 1))


def test_drawing_a_figure_twice_gives_the_same_bytes():
    assert pictures.png(pictures.render(figure())) == pictures.png(pictures.render(figure()))


def test_the_palette_has_eight_distinct_colours_and_is_the_default():
    assert len(set(pictures.PALETTE)) == 8
    assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == pictures.PALETTE
    assert matplotlib.rcParams["font.size"] >= 12


# ---------------------------------------------------------------------------------------------------------- explore


def test_panels_come_first_as_one_picture_then_the_slider(shown):
    ui.explore(figure, panels=[1, 2, 3], alt="A line.", k=(1, 5, 1))
    panels, slider = shown
    assert alt(panels) == "A line. Panels: k = 1; k = 2; k = 3."
    single = pictures.render(figure(2))
    assert picture(panels).size == (3 * single.width, single.height)
    assert isinstance(slider.widget, widgets.VBox)


def test_wide_panels_go_below_each_other(shown):
    ui.explore(lambda k: figure(k, 9), panels=[1, 2], alt="A line.", k=(1, 5, 1))
    panels, _ = shown
    assert picture(panels).size == (1296, 864)


def test_three_panels_and_three_steps_are_drawn_narrow_enough_for_one_row(shown):
    ui.explore(lambda k: figure(k, width=3.5), panels=[1, 2, 3], alt="Slopes.", k=(1, 5, 1))
    ui.steps([figure(k, width=3.5) for k in range(4)], panels=[0, 1, 3], alt="Slopes.")
    sheets = [picture(output) for output in shown if "text/html" in output.data and "<img" in output.data["text/html"]]
    page, one_row = round(pictures.WIDTH * pictures.DPI) + 3, 3.0 * pictures.DPI
    assert len(sheets) >= 2
    assert all(sheet.width <= page and sheet.height < one_row for sheet in (sheets[0], sheets[-1]))


def test_alt_may_depend_on_the_setting(shown):
    say = lambda k: f"Slope {k}."
    ui.explore(figure, panels=[1, 2], alt=say, k=(1, 5, 1))
    panels, _ = shown
    assert alt(panels) == "Slope 1. Slope 2."


def test_moving_a_slider_redraws_the_view(shown):
    ui.explore(figure, panels=[1.0, 2.0], alt=lambda k: f"Slope {k}.", k=(0.5, 5.0, 0.5))
    slider, view = shown[-1].widget.children
    assert isinstance(slider, widgets.FloatSlider) and slider.value == 1.0
    before = view.value
    slider.value = 4.5
    assert view.value != before
    assert 'alt="Slope 4.5."' in view.value and "data:image/png;base64," in view.value


def test_several_sliders_and_choices_and_texts(shown):
    shout = lambda word, times: f"<{word * times}>"
    ui.explore(
        shout, panels=[{"word": "ha", "times": 1}, {"word": "ho", "times": 2}], word=["ha", "ho"], times=(1, 9, 1)
    )
    assert shown[0].data["text/plain"] == "word = ha, times = 1\n<ha>\n\nword = ho, times = 2\n<hoho>"
    word, times, view = shown[-1].widget.children
    assert isinstance(word, widgets.Dropdown) and isinstance(times, widgets.IntSlider)
    times.value = 3
    word.value = "ho"
    assert "&lt;hohoho&gt;" in view.value


def test_an_error_while_sliding_is_shown_in_the_view(shown):
    def fragile(k):
        if k == 3:
            raise ValueError("no three")
        return str(k)

    ui.explore(fragile, panels=[1, 2], k=(1, 5, 1))
    slider, view = shown[-1].widget.children
    slider.value = 3
    assert "ValueError: no three" in view.value
    slider.value = 4
    assert "4" in view.value and "ValueError" not in view.value


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"panels": [1], "k": (1, 5, 1)}, "two or three settings"),
        ({"panels": [1, 2]}, "at least one slider"),
        ({"panels": [1, 2], "k": (1, 5, 1), "j": (1, 5, 1)}, "must be a dict"),
        ({"panels": [{"k": 1}, {"j": 2}], "k": (1, 5, 1)}, "must name exactly"),
        ({"panels": ["c", "a"], "k": ["a", "b"]}, "not one of the choices"),
    ],
)
def test_explore_says_what_is_wrong(shown, kwargs, message):
    with pytest.raises(ValueError, match=message):
        ui.explore(lambda **values: "text", **kwargs)


def test_explore_says_when_the_function_returns_nothing(shown):
    with pytest.raises(TypeError, match="got NoneType"):
        ui.explore(lambda k: None, panels=[1, 2], alt="a", k=(1, 2, 1))


# --------------------------------------------------------------------------------------------------------- progress


def test_progress_passes_everything_on_and_writes_to_stderr_only(capsys):
    assert list(ui.progress(range(4), "counting")) == [0, 1, 2, 3]
    captured = capsys.readouterr()
    assert captured.out == "" and "counting" in captured.err


# ------------------------------------------------------------------------------------------------------------ steps


def drawing(k: int) -> Diagram:
    sheet = Diagram(4, 2)
    sheet.box(2, 1, str(k))
    return sheet


def test_chosen_frames_stand_side_by_side_and_a_slider_goes_through_all(shown):
    ui.steps([drawing(k) for k in range(4)], alt=[f"Box {k}." for k in range(4)], panels=[0, 3])
    static, live = shown
    assert alt(static) == "step 0: Box 0. step 3: Box 3."
    single = pictures.render(drawing(0).figure())
    assert picture(static).width == 2 * single.width
    assert picture(static).height > single.height + 20, "each says above it which step it is"
    bar, view = live.widget.children
    play, slider, title = bar.children
    assert isinstance(play, widgets.Play) and (slider.max, title.value) == (3, "step 0")
    slider.value = 2
    assert title.value == "step 2" and 'alt="Box 2."' in view.value


def test_texts_are_steps_too_and_may_have_titles(shown):
    ui.steps({"before": "a b", "after": "ab"})
    assert "**before**" in shown[0].data["text/markdown"]
    bar, view = shown[1].widget.children
    bar.children[1].value = 1
    assert bar.children[2].value == "after" and "ab" in view.value


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (["a"], {}, "at least two"),
        (["a", drawing(1)], {"alt": "x"}, "all pictures or all texts"),
        (["a", "b"], {"panels": [0, 2]}, "two or more of the 2 frames"),
        (["a", "b"], {"alt": ["x"]}, "1 texts for 2 frames"),
        ([drawing(1), drawing(2)], {}, "alt=''"),
    ],
)
def test_steps_says_what_is_wrong(shown, frames, options, message):
    with pytest.raises(ValueError, match=message):
        ui.steps(frames, **options)


def test_an_outline_keeps_its_colour_on_a_map(shown):
    red = (0xD5, 0x5E, 0x00)
    fig, ax = plt.subplots()
    ax.imshow([[i / 100 for i in range(100)]], cmap="Blues", aspect="auto")
    ax.add_patch(plt.Rectangle((40, -0.4), 3, 0.8, fill=False, edgecolor=pictures.COLORS["red"], linewidth=2.5))
    pictures.show(fig, alt="A map with an outline.")
    colors = picture(shown[0]).convert("RGB").getcolors(1 << 20)
    assert min(sum(abs(a - b) for a, b in zip(color, red)) for _, color in colors) <= 6
    assert (255, 255, 255) in {color for _, color in colors}, "the card is white"
