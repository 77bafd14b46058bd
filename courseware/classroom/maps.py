"""Heat maps and attention maps, with annotations that stay readable on every cell."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from courseware.classroom.figures import as_array, luminance, number_text, own_axes, panels
from courseware.classroom.pictures import COLORS, WIDTH, need_alt, show

_SEQUENTIAL, _DIVERGING = "Blues", "PuOr"
_TALLEST = 3.6  # inches; a taller figure leaves no room for its point on a screen


def heat_map(
    values: Any,
    *,
    x: str = "",
    y: str = "",
    alt: str | None = None,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    fmt: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    center: float | None = None,
    color: str = "",
    title: str = "",
    mark: Iterable[tuple[int, int]] = (),
    height: float | None = None,
    width: float | None = None,
    ax: Axes | None = None,
) -> AxesImage | None:
    """A matrix as coloured cells, first row on top; a NaN stays blank.

    values: (rows, columns), array or tensor. rows, columns: names of the ticks. fmt: ".2f" writes each value.
    vmin, vmax: the values at the ends of the colours, the data's when left out. center: the value that gets no colour,
    with two hues on either side. color: the label of the colour bar; no bar without it. mark: cells to outline.
    Shows the figure, or draws on `ax` and returns the image.
    """
    values = as_array(values)
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}: give a matrix (rows, columns)")
    for name, ticks, size in (("rows", rows, len(values)), ("columns", columns, values.shape[1])):
        if ticks is not None and len(ticks) != size:
            raise ValueError(f"{name} names {len(ticks)} of {size}")
    tall = height or min(_TALLEST, max(1.8, 0.9 + 0.36 * len(values)))
    own, ax = own_axes(ax, width or WIDTH, tall, alt)
    image = _cells(ax, values, vmin, vmax, center, fmt, mark)
    ax.set(xlabel=x, ylabel=y)
    if title:
        ax.set_title(title)
    _name_ticks(ax, rows, columns)
    if color:
        ax.figure.colorbar(image, ax=ax, label=color, shrink=0.95)
    if own:
        show(ax.figure, alt)
        return None  # in a notebook the image would be printed below the figure
    return image


def attention_map(
    weights: Any,
    tokens: Sequence[str],
    *,
    alt: str | None = None,
    keys: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    mark: Iterable[tuple[int, int]] = (),
    fmt: str | None = None,
    height: float | None = None,
    width: float = WIDTH,
    ax: Axes | None = None,
) -> None:
    """Attention weights with their tokens: a row looks, a column is looked at; several maps share one scale.

    weights: (T, T), (heads, T, T) or {title: (T, T)}. keys: the tokens of the columns, where they differ. mark: cells
    to outline in every map. Spaces and line ends in tokens are made visible.
    """
    named = _named_maps(weights, titles)
    looks, looked = visible(tokens), visible(tokens if keys is None else keys)
    for title, matrix in named.items():
        if matrix.shape != (len(looks), len(looked)):
            raise ValueError(
                f"weights{f'[{title!r}]' if title else ''} has shape {matrix.shape} for {len(looks)} tokens "
                f"and {len(looked)} keys"
            )
    if ax is not None:
        if len(named) > 1:
            raise ValueError(f"ax holds one map, weights has {len(named)}: give them one by one")
        axes = [ax]
    else:
        need_alt(alt)
        side = (width - 1.6) / len(named)
        tall = height or min(_TALLEST, side * len(looks) / len(looked) + 1.0)
        fig, axes = panels(len(named), width=width, height=tall)
    largest = max(float(np.nanmax(matrix)) for matrix in named.values())
    mark, one_of = list(mark), np.atleast_1d(axes)
    for i, (panel, (title, matrix)) in enumerate(zip(one_of, named.items())):
        image = _cells(panel, matrix, 0.0, max(largest, 1e-9), None, fmt, mark, square=True)
        panel.set(title=title, xlabel="looked at", ylabel="looks" if i == 0 else "")
        _name_ticks(panel, looks, looked)
    if ax is None:
        fig.colorbar(image, ax=list(one_of), label="weight", shrink=0.9)
        show(fig, alt)


def visible(tokens: Iterable[Any]) -> list[str]:
    """Tokens as they can be printed on an axis: spaces as ␣, line ends as ↵, tabs as ⇥."""
    return [str(token).replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥") or "∅" for token in tokens]


def _named_maps(weights: Any, titles: Sequence[str] | None) -> dict[str, np.ndarray]:
    if isinstance(weights, Mapping):
        return {name: as_array(matrix) for name, matrix in weights.items()}
    values = as_array(weights)
    if values.ndim == 2:
        return {titles[0] if titles else "": values}
    if values.ndim != 3:
        raise ValueError(f"weights has shape {values.shape}: give (T, T), (heads, T, T) or a dict of maps")
    names = list(titles or [f"head {i}" for i in range(len(values))])
    if len(names) != len(values):
        raise ValueError(f"titles names {len(names)} of {len(values)} heads")
    return dict(zip(names, values, strict=True))


def _cells(
    ax: Axes,
    values: np.ndarray,
    vmin: float | None,
    vmax: float | None,
    center: float | None,
    fmt: str | None,
    mark: Iterable[tuple[int, int]],
    square: bool = False,
) -> AxesImage:
    norm: Normalize
    if center is None:
        norm = Normalize(np.nanmin(values) if vmin is None else vmin, np.nanmax(values) if vmax is None else vmax)
    else:
        far = max((abs(end - center) for end in (vmin, vmax) if end is not None), default=None)
        norm = CenteredNorm(center, far)
    cmap = _SEQUENTIAL if center is None else _DIVERGING
    image = ax.imshow(values, cmap=cmap, norm=norm, aspect="equal" if square else "auto", interpolation="nearest")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if fmt is not None:
        size = _text_size(ax, values.shape, fmt, values)
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                ink = "black" if luminance(image.cmap(norm(value))) > 0.179 else "white"
                ax.text(column, row, number_text(value, fmt), ha="center", va="center", color=ink, fontsize=size)
    for row, column in mark:
        ax.add_patch(
            plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=COLORS["red"], linewidth=2.4, zorder=3)
        )
    return image


def _text_size(ax: Axes, shape: tuple[int, int], fmt: str, values: np.ndarray) -> float:
    """The largest size up to 11.5 points at which the longest number fits its cell."""
    longest = max((len(number_text(v, fmt)) for v in values.flat if math.isfinite(v)), default=1)
    box, fig = ax.get_position(), ax.figure
    width = box.width * fig.get_figwidth() * 72 / shape[1] / (0.62 * longest)
    return max(6.0, min(11.5, width * 0.95, box.height * fig.get_figheight() * 72 / shape[0] * 0.8))


def _name_ticks(ax: Axes, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    if rows is None:
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        room = ax.get_position().height * ax.figure.get_figheight() * 72 / len(rows)
        ax.set_yticks(range(len(rows)), rows, fontsize=max(6.0, min(11.5, 0.95 * room)))
    if columns is None:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        room = ax.get_position().width * ax.figure.get_figwidth() * 72 / len(columns)
        longest = max(map(len, columns))
        turned = longest * 7 > room
        size = max(6.0, min(11.5, 0.85 * room if turned else room / (0.8 * longest)))
        ax.set_xticks(range(len(columns)), columns, rotation=90 if turned else 0, fontsize=size)
