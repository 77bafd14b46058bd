"""What a lecture puts on the screen: figures with alt text, sliders with static panels first, polls, progress bars.

Everything is drawn twice on purpose. The static part (a picture, a question with its answer folded away) is what
GitHub, the site and a paper copy show; the live part (ipywidgets, 7.7 API only, which is what Colab has) follows it
when a kernel is there. `courseware execute` removes the live part from what is committed.
"""

import base64
import html
import io
import re
import string
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ipywidgets as widgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from PIL import Image
from tqdm import tqdm

# Okabe and Ito (2008): eight colours that people with any common colour blindness can tell apart; yellow comes last
# because it is hard to see on white.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]

_DPI = 120  # drawn 1.25 times finer than shown: sharp on a projector, and a lecture of fifteen figures stays small
_CSS_PIXELS_PER_INCH = 96
_ROW_INCHES = 13.4  # static panels share a row until it is wider than this: 1280 pixels

Values = dict[str, Any]
T = TypeVar("T")


def setup_style() -> None:
    """Set matplotlib's defaults for the course: a figure is 9 x 3.6 inches and readable at 1280 x 720 pixels."""
    mpl.rcParams.update(
        {
            "figure.figsize": (9, 3.6),
            "figure.dpi": _CSS_PIXELS_PER_INCH,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 13,
            "axes.titlesize": 14,
            "axes.labelsize": 13,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "legend.fontsize": 12,
            "legend.frameon": False,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#DDDDDD",
            "lines.linewidth": 2.2,
            "image.cmap": "cividis",
        }
    )


# ---------------------------------------------------------------------------------------------------------- figures


def heatmap(
    ax: Axes, values: Any, *, vmin: float = 0.0, vmax: float = 1.0, fmt: str | None = None, cmap: str = "Blues"
) -> AxesImage:
    """Draw a matrix as cells, first row on top, without grid lines over it; returns the image, for `fig.colorbar`.

    values: (rows, columns), an array or tensor. fmt: a format such as ".2f" to write each value into its cell.
    """
    values = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    image = ax.imshow(values, cmap=cmap, vmin=vmin, vmax=float(vmax), aspect="auto", interpolation="nearest")
    ax.grid(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if fmt is not None:
        for (row, column), value in np.ndenumerate(values):
            dark = (value - vmin) / (float(vmax) - vmin) > 0.6
            ax.text(column, row, format(value, fmt), ha="center", va="center", color="white" if dark else "black")
    return image


def show(fig: Figure, alt: str) -> None:
    """Display a figure as one PNG with its alt text, and close it.

    alt: one or two sentences that say what the picture shows, with its numbers, for those who can't see it.
    Raises ValueError when alt is empty.
    """
    _need_alt(alt)
    _display_png(_render(fig), alt)


def _need_alt(alt: str) -> None:
    if not alt.strip():
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows, for readers who can't see it")


def _render(fig: Figure) -> Image.Image:
    """Draw a figure, close it, and return its pixels."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
    plt.close(fig)
    return Image.open(buffer).convert("RGB")


def _png(image: Image.Image) -> bytes:
    """The image as a PNG of at most 64 colours: a quarter of the bytes, and no difference to see in a chart."""
    buffer = io.BytesIO()
    image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _css_width(image: Image.Image) -> int:
    return round(image.width * _CSS_PIXELS_PER_INCH / _DPI)


def _display_png(image: Image.Image, alt: str) -> None:
    data = {"image/png": base64.b64encode(_png(image)).decode(), "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt, "width": _css_width(image)}}, raw=True)


def _stack(images: Sequence[Image.Image]) -> Image.Image:
    """Panels side by side, left to right and top to bottom, as many to a row as fit a 1280-pixel screen."""
    limit, rows, width = round(_ROW_INCHES * _DPI), [[]], 0
    for image in images:
        if rows[-1] and width + image.width > limit:
            rows.append([])
            width = 0
        rows[-1].append(image)
        width += image.width
    size = (
        max(sum(i.width for i in row) for row in rows),
        sum(max(i.height for i in row) for row in rows),
    )
    sheet, top = Image.new("RGB", size, "white"), 0
    for row in rows:
        left = 0
        for image in row:
            sheet.paste(image, (left, top))
            left += image.width
        top += max(i.height for i in row)
    return sheet


# ---------------------------------------------------------------------------------------------------------- sliders


def explore(
    fn: Callable[..., Figure | str],
    *,
    panels: Sequence[Any],
    alt: str | Callable[..., str] = "",
    **sliders: tuple[float, float, float] | Sequence[Any],
) -> None:
    """Show `fn` at two or three chosen settings, then let the reader move the sliders.

    fn:      called as fn(name=value, ...) for every slider name; returns a Figure, or a str (shown as it is, for texts
             that a model writes). A figure without any title gets one naming its setting.
    panels:  the settings shown without a kernel: values if there is one slider, dicts {name: value} if there are more.
             Figures up to 4.4 inches wide go three to a row.
    alt:     what the pictures show, or a function of the same arguments as fn that says it. Needed for figures.
    sliders: name=(lo, hi, step) for a number; name=[...] for a choice among a list.
    """
    settings = [_setting(panel, sliders) for panel in panels]
    if len(settings) < 2:
        raise ValueError(
            f"panels={list(panels)!r}: give two or three settings, so that a page without a kernel shows the point"
        )
    views = [_draw(fn, setting) for setting in settings]
    if isinstance(views[0], Image.Image):
        alts = [_alt_for(alt, s) for s in settings]
        _need_alt(alts[0])
        text = " ".join(alts) if callable(alt) else f"{alt} Panels: {'; '.join(_label(s) for s in settings)}."
        _display_png(_stack(views), text)
    else:
        _display_texts(settings, views)
    display(_live(fn, sliders, alt, settings[0], views[0]))


def _setting(panel: Any, sliders: Mapping[str, Any]) -> Values:
    names = set(sliders)
    if not names:
        raise ValueError("explore needs at least one slider, such as temperature=(0.1, 2.0, 0.1)")
    if isinstance(panel, Mapping):
        if set(panel) != names:
            raise ValueError(f"panels: {dict(panel)!r} must name exactly the sliders {sorted(names)}")
        return {name: panel[name] for name in sliders}
    if len(names) > 1:
        raise ValueError(
            f"panels: {panel!r} must be a dict naming {sorted(names)}, since there is more than one slider"
        )
    return {next(iter(sliders)): panel}


def _label(setting: Values) -> str:
    return ", ".join(f"{name.replace('_', ' ')} = {value}" for name, value in setting.items())


def _alt_for(alt: str | Callable[..., str], setting: Values) -> str:
    return alt(**setting) if callable(alt) else alt


def _draw(fn: Callable[..., Figure | str], setting: Values) -> Image.Image | str:
    view = fn(**setting)
    if isinstance(view, str):
        return view
    if not isinstance(view, Figure):
        raise TypeError(
            f"fn must return a matplotlib Figure or a str, got {type(view).__name__}: end it with `return fig`"
        )
    if not view.get_suptitle() and not any(ax.get_title() for ax in view.axes):
        view.suptitle(_label(setting), fontsize=13, color="#444444")
    return _render(view)


def _display_texts(settings: Sequence[Values], texts: Sequence[str]) -> None:
    markdown = "\n\n".join(f"**{_label(s)}**\n\n````\n{t}\n````" for s, t in zip(settings, texts))
    plain = "\n\n".join(f"{_label(s)}\n{t}" for s, t in zip(settings, texts))
    display({"text/markdown": markdown, "text/plain": plain}, raw=True)


def _control(name: str, values: Sequence[Any], start: Any) -> widgets.Widget:
    """The widget of one slider: (lo, hi, step) is a number, a list is a choice."""
    look = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(values, tuple) and len(values) == 3 and all(isinstance(v, int | float) for v in values):
        lo, hi, step = values
        kind = widgets.IntSlider if all(isinstance(v, int) for v in values) else widgets.FloatSlider
        return kind(
            value=start,
            min=lo,
            max=hi,
            step=step,
            continuous_update=False,
            layout=widgets.Layout(width="480px"),
            **look,
        )
    if start not in list(values):
        raise ValueError(f"panels: {name}={start!r} is not one of the choices {list(values)}")
    kind = widgets.SelectionSlider if all(isinstance(v, int | float) for v in values) else widgets.Dropdown
    return kind(
        options=list(values),
        value=start,
        **({"continuous_update": False} if kind is widgets.SelectionSlider else {}),
        **look,
    )


def _live(
    fn: Callable[..., Figure | str],
    sliders: Mapping[str, Any],
    alt: str | Callable[..., str],
    start: Values,
    first: Image.Image | str,
) -> widgets.VBox:
    """Sliders over one view. The view is an HTML widget, which unlike the Image widget can carry alt text."""
    controls = {name: _control(name, values, start[name]) for name, values in sliders.items()}
    view = widgets.HTML(_view_html(first, _alt_for(alt, start)))

    def redraw(_change: Any) -> None:
        setting = {name: control.value for name, control in controls.items()}
        try:
            view.value = _view_html(_draw(fn, setting), _alt_for(alt, setting))
        except Exception as error:  # a message in the page; a traceback from a callback goes where nobody looks
            view.value = (
                f"<p><b>{html.escape(_label(setting))}</b>: {html.escape(f'{type(error).__name__}: {error}')}</p>"
            )

    for control in controls.values():
        control.observe(redraw, names="value")
    return widgets.VBox([*controls.values(), view])


def _view_html(view: Image.Image | str, alt: str) -> str:
    if isinstance(view, str):
        return f'<pre style="white-space: pre-wrap; line-height: 1.4">{html.escape(view)}</pre>'
    source = base64.b64encode(_png(view)).decode()
    return f'<img alt="{html.escape(alt, quote=True)}" width="{_css_width(view)}" src="data:image/png;base64,{source}">'


# ------------------------------------------------------------------------------------------------------------ polls


def poll(question: str, options: Sequence[str], answer: str | int | None, explanation: str) -> None:
    """Ask a question with lettered options; the answer is folded away, and live buttons give feedback at once.

    question, options, explanation: Markdown, LaTeX allowed.
    answer: the letter ("B"), the position from 0, or None for a poll of opinions that has no right answer.
    """
    letters = string.ascii_uppercase[: len(options)]
    right = _right_letter(answer, letters)
    lines = "\n".join(f"- **{letter}.** {option}" for letter, option in zip(letters, options))
    verdict = f"**{right}.** {explanation}" if right else explanation
    summary = "Answer" if right else "What to think of"
    fold = f"<details><summary>{summary}</summary>\n\n{verdict}\n\n</details>"
    plain = f"Poll. {question}\n" + "\n".join(f"  {letter}. {option}" for letter, option in zip(letters, options))
    display({"text/markdown": f"**Poll.** {question}\n\n{lines}\n\n{fold}", "text/plain": plain}, raw=True)
    display(_buttons(letters, right, explanation))


def _right_letter(answer: str | int | None, letters: str) -> str | None:
    if len(letters) < 2:
        raise ValueError(f"options: a poll needs at least two of them, got {len(letters)}")
    if answer is None:
        return None
    if isinstance(answer, int) and 0 <= answer < len(letters):
        return letters[answer]
    if isinstance(answer, str) and len(answer) == 1 and answer in letters:
        return answer
    raise ValueError(f"answer={answer!r}: give one of the letters {', '.join(letters)}, a position from 0, or None")


def _buttons(letters: str, right: str | None, explanation: str) -> widgets.VBox:
    feedback = widgets.HTMLMath("")
    buttons = [widgets.Button(description=letter, layout=widgets.Layout(width="64px")) for letter in letters]

    def clicked(button: widgets.Button) -> None:
        if right is None:
            feedback.value = f"You chose {button.description}. {_inline_html(explanation)}"
        elif button.description == right:
            button.button_style = "success"
            feedback.value = f"<b>{right} is right.</b> {_inline_html(explanation)}"
        else:
            button.button_style = "warning"
            feedback.value = f"<b>Not {button.description}.</b> Try another one, or unfold the answer above."

    for button in buttons:
        button.on_click(clicked)
    return widgets.VBox([widgets.HBox(buttons), feedback])


def _inline_html(markdown: str) -> str:
    """Bold, emphasis and code of a Markdown paragraph as HTML; formulas are left to MathJax."""
    pieces = re.split(r"(\$[^$]+\$|`[^`]+`)", markdown)
    for i, piece in enumerate(pieces):
        text = html.escape(piece, quote=False)
        if piece.startswith("`"):
            text = f"<code>{text[1:-1]}</code>"
        elif not piece.startswith("$"):
            text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
            text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
        pieces[i] = text
    return "".join(pieces)


# --------------------------------------------------------------------------------------------------------- progress


def progress(iterable: Iterable[T], desc: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a bar and an ETA on stderr, which is gone when the loop ends and never committed."""
    return iter(tqdm(iterable, desc=desc, total=total, leave=False, file=sys.stderr, mininterval=0.5, ncols=88))
