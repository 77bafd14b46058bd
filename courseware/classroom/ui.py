"""What moves on the screen of a lecture: sliders, step-throughs and progress bars.

Everything is drawn twice on purpose. The static part is what GitHub, the site and a paper copy show; the live part
(ipywidgets, 7.7 API only, which is what Colab has) follows it when a kernel is there. `courseware execute` removes the
live part from what is committed and leaves a line that says where the slider is.
"""

import html
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from courseware.classroom import pictures
from courseware.classroom.diagrams import Diagram
from courseware.classroom.pictures import WIDTH, display_picture, image_html, need_alt, render, stack, titled

Values = dict[str, Any]
View = Figure | Diagram | str
T = TypeVar("T")


# ---------------------------------------------------------------------------------------------------------- sliders


def explore(
    fn: Callable[..., View],
    *,
    panels: Sequence[Any],
    alt: str | Callable[..., str] = "",
    **sliders: tuple[float, float, float] | Sequence[Any],
) -> None:
    """Show `fn` at two or three chosen settings, then let the reader move the sliders.

    fn:      called as fn(name=value, ...) for every slider name; returns a Figure, a Diagram, or a str (shown as it is,
             for texts that a model writes). A figure without any title gets one naming its setting.
    panels:  the settings shown without a kernel: values if there is one slider, dicts {name: value} if there are more.
             Figures 3.5 inches wide stand two to a row; three are drawn narrower, to stand in one.
    alt:     what the pictures show, or a function of the same arguments as fn that says it. Needed for figures.
    sliders: name=(lo, hi, step) for a number; name=[...] for a choice among a list.
    """
    settings = [_setting(panel, sliders) for panel in panels]
    if len(settings) < 2:
        raise ValueError(
            f"panels={list(panels)!r}: give two or three settings, so that a page without a kernel shows the point"
        )
    made = [fn(**setting) for setting in settings]
    views = [_pictured(view, setting) for view, setting in zip(made, settings)]
    first = views[0]
    if isinstance(first, Image.Image):
        views = _in_one_row(made, views)
        alts = [_alt_for(alt, s) for s in settings]
        need_alt(alts[0])
        text = " ".join(alts) if callable(alt) else f"{alt} Panels: {'; '.join(_label(s) for s in settings)}."
        display_picture(stack(views), text)
    else:
        _display_texts([_label(s) for s in settings], views)
    display(_live(fn, sliders, alt, settings[0], first))


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


def _in_one_row(made: Sequence[View], images: Sequence[Image.Image]) -> list[Image.Image]:
    """Three figures that would stand in two rows, drawn narrower; anything else as it is."""
    if len(images) != 3 or sum(image.width for image in images) <= round(WIDTH * pictures.DPI) + 1:
        return list(images)
    return [render(_narrow(m)) if isinstance(m, Figure) else image for m, image in zip(made, images)]


def _narrow(fig: Figure) -> Figure:
    """A third of the page wide, in smaller type: three panels and the sentence on them share a screen."""
    fig.set_size_inches(WIDTH / 3, min(fig.get_figheight(), 2.5))
    for ax in fig.axes:
        for text in (ax.title, ax.xaxis.label, ax.yaxis.label):
            text.set_fontsize(min(text.get_fontsize(), 10))
        for axis in (ax.xaxis, ax.yaxis):
            size = min(label.get_fontsize() for label in axis.get_ticklabels()) if axis.get_ticklabels() else 10
            axis.set_tick_params(labelsize=min(size, 10))
    return fig


def _draw(fn: Callable[..., View], setting: Values) -> Image.Image | str:
    return _pictured(fn(**setting), setting)


def _pictured(view: Any, setting: Values) -> Image.Image | str:
    if isinstance(view, Diagram):
        return titled(render(view.figure()), _label(setting))
    if isinstance(view, str):
        return view
    if not isinstance(view, Figure):
        raise TypeError(
            f"fn must return a matplotlib Figure, a Diagram or a str, got {type(view).__name__}: end it with return fig"
        )
    if not view.get_suptitle() and not any(ax.get_title() for ax in view.axes):
        view.suptitle(_label(setting), fontsize=13, color="#444444")
    return render(view)


def _display_texts(titles: Sequence[str], texts: Sequence[str]) -> None:
    markdown = "\n\n".join(f"**{title}**\n\n````\n{text}\n````" for title, text in zip(titles, texts))
    plain = "\n\n".join(f"{title}\n{text}" for title, text in zip(titles, texts))
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
            layout=widgets.Layout(width="480px", max_width="100%"),
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
    fn: Callable[..., View],
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
    return image_html(view, alt)


# ------------------------------------------------------------------------------------------------------------ steps


def steps(
    frames: Sequence[View] | Mapping[str, View],
    *,
    alt: str | Sequence[str] = "",
    panels: int | Sequence[int] = 3,
    name: str = "step",
    start: int = 0,
) -> None:
    """Show something that happens in time: chosen frames side by side, then a slider with a play button over all.

    frames: what there is to see at each step: Figures, Diagrams or texts; {title: frame} names them.
    alt:    what the pictures show: one text for all, or one for each frame. Texts need none.
    panels: how many of the first frames stand on the page without a kernel, or the numbers of those that do.
    name:   what a step is called. start: the number of the first, as the reader counts.
    """
    titles = list(frames) if isinstance(frames, Mapping) else [f"{name} {start + i}" for i in range(len(frames))]
    made = list(frames.values() if isinstance(frames, Mapping) else frames)
    views = [_pixels(frame) for frame in made]
    if len(views) < 2 or len({isinstance(view, str) for view in views}) > 1:
        raise ValueError(f"frames: give at least two, all pictures or all texts; got {len(views)}")
    chosen = list(range(min(panels, len(views)))) if isinstance(panels, int) else list(panels)
    if len(chosen) < 2 or not all(0 <= i < len(views) for i in chosen):
        raise ValueError(f"panels={panels!r}: choose two or more of the {len(views)} frames")
    alts = [alt] * len(views) if isinstance(alt, str) else list(alt)
    if len(alts) != len(views):
        raise ValueError(f"alt has {len(alts)} texts for {len(views)} frames: give one, or one for each")
    if isinstance(views[0], str):
        _display_texts([titles[i] for i in chosen], [views[i] for i in chosen])
    else:
        for text in alts:
            need_alt(text)
        said = alt if isinstance(alt, str) else " ".join(f"{titles[i]}: {alts[i]}" for i in chosen)
        row = _in_one_row([made[i] for i in chosen], [views[i] for i in chosen])
        display_picture(stack([titled(image, titles[i]) for image, i in zip(row, chosen)]), said)
    display(_player(views, alts, titles))


def _pixels(frame: View) -> Image.Image | str:
    if isinstance(frame, str):
        return frame
    if isinstance(frame, Figure | Diagram):
        return render(frame.figure() if isinstance(frame, Diagram) else frame)
    raise TypeError(f"frames must be Figures, Diagrams or texts, got {type(frame).__name__}")


def _player(views: Sequence[Image.Image | str], alts: Sequence[str], titles: Sequence[str]) -> widgets.VBox:
    """A play button and a slider over frames that are ready."""
    last = len(views) - 1
    play = widgets.Play(value=0, min=0, max=last, interval=900)
    slider = widgets.IntSlider(
        value=0, min=0, max=last, readout=False, layout=widgets.Layout(width="400px", max_width="60%")
    )
    widgets.jslink((play, "value"), (slider, "value"))
    title, view = widgets.Label(titles[0]), widgets.HTML(_view_html(views[0], alts[0]))

    def moved(_change: Any) -> None:
        title.value, view.value = titles[slider.value], _view_html(views[slider.value], alts[slider.value])

    slider.observe(moved, names="value")
    return widgets.VBox([widgets.HBox([play, slider, title]), view])


# --------------------------------------------------------------------------------------------------------- progress


def progress(iterable: Iterable[T], desc: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a bar and an ETA on stderr, which is gone when the loop ends and never committed."""
    return iter(tqdm(iterable, desc=desc, total=total, leave=False, file=sys.stderr, mininterval=0.5, ncols=88))
