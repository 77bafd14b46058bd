"""The figures of a lecture, each in one call: curves over seeds, bars with intervals, panels, tables.

Every function shows its figure with alternative text. Given `ax=`, it draws there instead, shows nothing and needs no
`alt`: that is how panels are filled. Series are named where they end, not in a legend. Heat maps are in maps.py.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from courseware.classroom.pictures import COLORS, HEIGHT, PALETTE, WIDTH, show

BANDS = {"range": "range", "sd": "standard deviation", "ci95": "95 % interval"}
_T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_MARGIN = 1.35  # a label needs this many times its font size of height


def panels(
    n: int,
    *,
    height: float = HEIGHT,
    width: float = WIDTH,
    share_y: bool = False,
    widths: Sequence[float] | None = None,
    titles: Sequence[str] = (),
) -> tuple[Figure, Any]:
    """A figure of n axes side by side, to be filled by figures with `ax=` and displayed by `show(fig, alt=...)`.

    widths: the relative width of each. Returns (figure, axes); for n = 1 the axes alone rather than a list.
    """
    fig, axes = plt.subplots(1, n, figsize=(width, height), sharey=share_y, width_ratios=widths, layout="constrained")
    for ax, title in zip(np.atleast_1d(axes), titles):
        ax.set_title(title)
    return fig, axes


def curves(
    series: Mapping[str, Any],
    *,
    at: Any = None,
    x: str = "",
    y: str = "",
    alt: str | None = None,
    band: str | None = "range",
    reference: Mapping[str, float] | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    log: str = "",
    title: str = "",
    height: float = HEIGHT,
    width: float = WIDTH,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    labels: bool = True,
    ax: Axes | None = None,
) -> None:
    """Lines, each the mean over seeds with a band around it, named where it ends.

    series:    {name: ys} or {name: (xs, ys)}; ys has shape (points,) or (seeds, points). NaN leaves a gap.
    at:        the xs that the series share; counted from 0 when left out.
    band:      "range" (smallest to largest seed), "sd" (one standard deviation) or None; the y label says which.
    reference: {name: y}, dashed horizontal lines. marks: {note: (x, y)}, points with a note. log: "x", "y" or "xy".
    """
    if band not in {"range", "sd", None}:
        raise ValueError(f"band={band!r}: choose 'range', 'sd' or None")
    own, ax = own_axes(ax, width, height, alt)
    seeds, ends = 0, []
    for number, (name, values) in enumerate(series.items()):
        xs, ys = _points(name, values, at)
        color = PALETTE[number % len(PALETTE)]
        mean = ys.mean(axis=0)
        ax.plot(xs, mean, color=color, marker="o" if len(xs) <= 12 else None, markersize=5, label=name)
        if len(ys) > 1 and band:
            seeds = max(seeds, len(ys))
            spread = ys.std(axis=0, ddof=1)
            low, high = (ys.min(axis=0), ys.max(axis=0)) if band == "range" else (mean - spread, mean + spread)
            ax.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
        drawn = np.flatnonzero(np.isfinite(mean))
        if len(drawn):
            ends.append((name, float(mean[drawn[-1]]), color))
    for name, level in (reference or {}).items():
        ax.axhline(level, color=COLORS["grey"], linestyle=(0, (5, 3)), linewidth=1.6)
        ends.append((name, float(level), COLORS["grey"]))
    for note, (mark_x, mark_y) in (marks or {}).items():
        ax.plot([mark_x], [mark_y], "o", color="black", markersize=7, zorder=5)
        ax.annotate(note, (mark_x, mark_y), xytext=(7, 7), textcoords="offset points", fontsize=11.5)
    flat = ax.figure.get_figheight() < 3.0
    y = y if _is_said_before(ax, y) else _with_spread(y, band, seeds, flat)
    _finish(ax, x, y, title, xlim, ylim)
    if "x" in log:
        ax.set_xscale("log")
        _few_ticks(ax.xaxis, narrow=ax.get_position().width * ax.figure.get_figwidth() < 3.2)
    if "y" in log:
        ax.set_yscale("log")
        _few_ticks(ax.yaxis)
    if labels:
        _label_ends(ax, ends)
    _close(own, ax, alt)


def bars(
    values: Mapping[str, Any],
    *,
    x: str = "",
    y: str = "",
    alt: str | None = None,
    interval: str = "range",
    errors: Mapping[str, Any] | None = None,
    reference: Mapping[str, float] | None = None,
    fmt: str = ".2f",
    horizontal: bool = True,
    title: str = "",
    height: float | None = None,
    width: float = WIDTH,
    highlight: Iterable[str] = (),
    ax: Axes | None = None,
) -> None:
    """Bars with their values written beside them, and intervals where there are several seeds.

    values:   {name: number}, {name: [one number per seed]}, or {name: {group: either}} for grouped bars.
    interval: of several seeds: "range", "sd" or "ci95" (Student's t interval of the mean). The seeds are drawn as dots.
    errors:   {name: half width} or {name: (low, high)}: intervals computed elsewhere (not for groups).
    highlight: names drawn in a second colour. fmt: of the values; "" writes none.
    """
    if interval not in BANDS:
        raise ValueError(f"interval={interval!r}: choose one of {', '.join(map(repr, BANDS))}")
    groups = _groups(values)
    count = len(values) * max(1, len(groups))
    own, ax = own_axes(ax, width, height or (min(3.6, 0.9 + 0.36 * count) if horizontal else HEIGHT), alt)
    names, seeds, thick, highlight = list(values), 0, 0.8 / max(1, len(groups)), set(highlight)
    room = ax.get_position().height * ax.figure.get_figheight() * 72 / len(names) * thick  # points of height for a bar
    size = max(6.5, min(11.5, room)) if horizontal else 11.5
    for g, group in enumerate(groups or [None]):
        for i, name in enumerate(names):
            if group is not None and group not in values[name]:
                continue
            samples = np.atleast_1d(as_array(values[name] if group is None else values[name][group]))
            seeds = max(seeds, samples.size)
            place = i + (g - (max(1, len(groups)) - 1) / 2) * thick
            color = PALETTE[g % len(PALETTE)] if groups else COLORS["orange" if name in highlight else "blue"]
            low, high = _interval(samples, interval, None if errors is None else errors.get(name))
            _bar(ax, place, samples, low, high, color, thick, fmt, horizontal, size)
    for name, level in (reference or {}).items():
        (ax.axvline if horizontal else ax.axhline)(level, color="black", linestyle=(0, (5, 3)), linewidth=1.6)
        where = {"xy": (level, 1), "xycoords": ("data", "axes fraction"), "xytext": (4, 2), "va": "bottom"}
        if not horizontal:
            where = {"xy": (1, level), "xycoords": ("axes fraction", "data"), "xytext": (4, 0), "va": "center"}
        ax.annotate(name, **where, textcoords="offset points", fontsize=11.5, annotation_clip=False)
    (ax.set_yticks if horizontal else ax.set_xticks)(range(len(names)), names)
    if horizontal:
        ax.invert_yaxis()
        ax.margins(x=0.24 if fmt and any(bar.get_width() < 0 for bar in ax.patches) else 0.14)  # for the values
    else:
        ax.margins(y=0.14)
    ax.grid(False, axis="y" if horizontal else "x")
    spread = interval if errors is None else None
    x, y = (_with_spread(x, spread, seeds), y) if horizontal else (x, _with_spread(y, spread, seeds))
    _finish(ax, x, y, title, None, None)
    if groups:
        handles = [plt.Rectangle((0, 0), 1, 1, color=PALETTE[g % len(PALETTE)]) for g in range(len(groups))]
        ax.legend(handles, groups, loc="upper left", bbox_to_anchor=(1, 1), handlelength=1, borderaxespad=0.2)
    _close(own, ax, alt)


def table(
    rows: Any,
    *,
    columns: Sequence[str] | None = None,
    fmt: str | Mapping[str, str] = ".2f",
    caption: str = "",
    highlight: Iterable[int] = (),
) -> None:
    """Display a table as Markdown, which every place that shows notebooks can.

    rows: a list of dicts, a dict of columns, or a list of lists with `columns`. Numbers are set right, floats by `fmt`
    (one format for all, or one per column). highlight: the numbers of the rows set in bold.
    """
    names, cells = _cells(rows, columns)
    highlight = set(highlight)
    formats = {name: fmt if isinstance(fmt, str) else fmt.get(name, "") for name in names}
    numeric = [all(_is_number(row[i]) or row[i] is None for row in cells) for i in range(len(names))]
    texts = [[_cell(value, formats[name]) for name, value in zip(names, row)] for row in cells]
    head = [f"| {' | '.join(_cell(name, '') for name in names)} |"]
    head += [f"| {' | '.join('---:' if n else '---' for n in numeric)} |"]
    body = [
        f"| {' | '.join(f'**{text}**' if i in highlight and text else text for text in row)} |"
        for i, row in enumerate(texts)
    ]
    widths = [max(len(name), *(len(row[i]) for row in texts)) if texts else len(name) for i, name in enumerate(names)]
    lines = [list(map(str, names)), *texts]
    plain = "\n".join("  ".join(text.rjust(w) for text, w in zip(line, widths)) for line in lines)
    lead = f"*{caption}*\n\n" if caption else ""
    display({"text/markdown": lead + "\n".join([*head, *body]), "text/plain": plain}, raw=True)


# ------------------------------------------------------------------------------------------------------------ parts


def own_axes(ax: Axes | None, width: float, height: float, alt: str | None) -> tuple[bool, Axes]:
    """The axes to draw on, and whether the figure is ours to show."""
    if ax is not None:
        return False, ax
    if not (alt and alt.strip()):
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows, or give ax= to draw into a panel")
    return True, panels(1, width=width, height=height)[1]


def _close(own: bool, ax: Axes, alt: str | None) -> None:
    if own:
        show(ax.figure, alt)


def as_array(values: Any) -> np.ndarray:
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=float)


def number_text(value: float, fmt: str) -> str:
    """A number by its format; whole-number formats ("d", ",d") round, since values are kept as floats."""
    return format(round(value) if fmt.endswith("d") else value, fmt)


def _points(name: str, values: Any, at: Any) -> tuple[np.ndarray, np.ndarray]:
    """xs of shape (points,) and ys of shape (seeds, points)."""
    xs, ys = values if isinstance(values, tuple) and len(values) == 2 else (at, values)
    ys = np.atleast_2d(as_array(ys))
    xs = np.arange(ys.shape[1]) if xs is None else as_array(xs)
    if ys.ndim != 2 or xs.shape != ys.shape[1:]:
        raise ValueError(
            f"series[{name!r}] has shape {ys.shape} for {len(xs)} xs: give (points,) or (seeds, points), "
            f"and as many xs (at=, or a pair of xs and ys) as points"
        )
    return xs, ys


def _with_spread(label: str, band: str | None, seeds: int, flat: bool = False) -> str:
    """The axis label, with what the band or whisker means; on two lines beside a flat figure."""
    if seeds < 2 or not band:
        return label
    return f"{label}\n(mean and {BANDS[band]}{chr(10) if flat else ' '}of {seeds} seeds)".strip()


def _is_said_before(ax: Axes, y: str) -> bool:
    """Whether a panel without a y label of its own shares the axis, and so the label, of the first."""
    return not y and ax.get_shared_y_axes().joined(ax, ax.figure.axes[0]) and ax is not ax.figure.axes[0]


def _finish(ax: Axes, x: str, y: str, title: str, xlim: Any, ylim: Any) -> None:
    ax.set(xlabel=x, ylabel=y)
    if title:
        ax.set_title(title)
    if xlim:
        ax.set_xlim(*xlim)
    if ylim:
        ax.set_ylim(*ylim)


def _few_ticks(axis: Axis, narrow: bool = False) -> None:
    """A logarithmic axis names its decades, and 2 and 5 (or 3, if narrow) between them where it spans less than two."""
    low, high = axis.get_view_interval()
    if high / low < 100:
        axis.set_major_locator(LogLocator(subs=(1, 3) if narrow else (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_tick_params(labelsize=10 if narrow else 11.5)
    axis.set_minor_formatter(NullFormatter())


def _label_ends(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write each name at the right edge, at the height where its line ends, pushed apart where they would overlap."""
    height = ax.get_position().height * ax.figure.get_figheight() * 72  # points
    to_axes = ax.transData + ax.transAxes.inverted()
    wanted = sorted((to_axes.transform((ax.get_xlim()[1], level))[1], name, color) for name, level, color in ends)
    gap, last = 12 * _MARGIN / height, len(wanted) - 1
    inside = [(i * gap, 1 - (last - i) * gap) for i in range(len(wanted))]  # with room below and above for the others
    places = pushed_apart([max(low, min(place, high)) for (place, _, _), (low, high) in zip(wanted, inside)], gap)
    for place, (_, name, color) in zip(places, wanted):
        ax.annotate(
            name,
            (1, place),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=readable(color),
            fontsize=11.5,
            annotation_clip=False,
        )


def pushed_apart(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as it takes for neighbours to be `gap` apart (pool adjacent violators)."""
    groups: list[list[float]] = []  # each: wanted place of its first member, once stacked, for every member
    for i, place in enumerate(places):
        groups.append([place - i * gap])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    bases = [float(np.mean(group)) for group in groups for _ in group]
    return [base + i * gap for i, base in enumerate(bases)]


def readable(color: str) -> str:
    """The colour, darkened until text in it stands out from white by 4.5 to 1 (WCAG AA)."""
    rgb = np.array(to_rgb(color))
    while 1.05 / (luminance(rgb) + 0.05) < 4.5:
        rgb = rgb * 0.95
    return to_hex(rgb)


def luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour, 0 for black and 1 for white (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def _groups(values: Mapping[str, Any]) -> list[str]:
    """The names of the groups of grouped bars, in order; none for plain bars."""
    if not values:
        raise ValueError("values is empty: give at least one bar")
    if not all(isinstance(value, Mapping) for value in values.values()):
        return []
    return list(dict.fromkeys(group for value in values.values() for group in value))


def _interval(samples: np.ndarray, kind: str, error: Any) -> tuple[float, float] | tuple[None, None]:
    """The ends of a bar's whisker, or None twice."""
    mean = samples.mean()
    if error is not None:
        return (mean - error, mean + error) if np.ndim(error) == 0 else tuple(map(float, error))
    if samples.size < 2:
        return None, None
    if kind == "range":
        return samples.min(), samples.max()
    half = samples.std(ddof=1)
    if kind == "ci95":
        half *= _student(samples.size - 1) / math.sqrt(samples.size)
    return mean - half, mean + half


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t distribution: tabled up to 9 degrees of freedom, then Fisher's expansion."""
    if freedom <= len(_T975):
        return _T975[freedom - 1]
    return 1.96 + 2.3722 / freedom + 2.8225 / freedom**2 + 2.5559 / freedom**3


def _bar(
    ax: Axes,
    place: float,
    samples: np.ndarray,
    low: Any,
    high: Any,
    color: str,
    thick: float,
    fmt: str,
    flat: bool,
    size: float,
) -> None:
    mean = float(samples.mean())
    (ax.barh if flat else ax.bar)(place, mean, thick * 0.9, color=color)
    end = mean
    if low is not None:
        ends = [[max(mean - low, 0.0)], [max(high - mean, 0.0)]]  # rounding: equal samples
        error = {"xerr": ends} if flat else {"yerr": ends}
        ax.errorbar(*((mean, place) if flat else (place, mean)), **error, color="black", capsize=4, linewidth=1.6)
        end = high if mean >= 0 else low
    if samples.size > 1:
        dots = np.full(samples.size, place)
        ax.plot(*((samples, dots) if flat else (dots, samples)), "o", color="white", mec="black", markersize=4, mew=1)
    if fmt:
        side = 1 if mean >= 0 else -1
        ax.annotate(
            number_text(mean, fmt),
            (end, place) if flat else (place, end),
            xytext=(6 * side, 0) if flat else (0, 4 * side),
            textcoords="offset points",
            ha=("left" if side > 0 else "right") if flat else "center",
            va="center" if flat else ("bottom" if side > 0 else "top"),
            fontsize=size,
        )


def _cells(rows: Any, columns: Sequence[str] | None) -> tuple[list[str], list[list[Any]]]:
    if isinstance(rows, Mapping):
        names = list(columns or rows)
        lengths = {name: len(rows[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"rows: the columns have different lengths: {lengths}")
        return names, [list(row) for row in zip(*(rows[name] for name in names))]
    rows = list(rows)
    if rows and isinstance(rows[0], Mapping):
        names = list(columns or dict.fromkeys(name for row in rows for name in row))
        return names, [[row.get(name) for name in names] for row in rows]
    if columns is None:
        raise ValueError("columns=None: name the columns when the rows are lists")
    if wrong := [i for i, row in enumerate(rows) if len(row) != len(columns)]:
        raise ValueError(f"rows[{wrong[0]}] has {len(rows[wrong[0]])} cells for {len(columns)} columns")
    return list(columns), [list(row) for row in rows]


def _is_number(value: Any) -> bool:
    value = value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any, fmt: str) -> str:
    value = value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, fmt or ".2f")
    if isinstance(value, int) and not isinstance(value, bool):
        return format(value, fmt if fmt and fmt[-1] in "d,%" else ",")
    return " ".join(str(value).split()).replace("|", r"\|")
