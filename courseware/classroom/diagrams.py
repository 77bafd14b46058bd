"""Drawn pictures of models: boxes, arrows, vectors of numbers, matrices, brackets, a residual stream, heads.

    d = Diagram(12, 2.4)
    q, k = d.vector(2, 1.2, [1, 0], label="q"), d.vector(6, 1.2, [0.6, 0.8], label="k")
    d.arrow(q, k)
    d.label(9.5, 1.2, r"$q \\cdot k = 0.6$")
    d.show(alt="A query, a key, and their product 0.6.")

Twelve units are the width of the page; x runs to the right and y up from the lower left corner. What is placed at
(x, y) has its centre there, and is returned with the points where arrows may start: .left .right .top .bottom .center.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from courseware.classroom.figures import as_array, luminance, number_text, readable
from courseware.classroom.pictures import COLORS, TINTS, WIDTH, show

UNIT = WIDTH / 12  # inches
Point = tuple[float, float]
_INK = "#222222"
_LINE = 1.8


@dataclass(frozen=True)
class Placed:
    """Something on a diagram: its centre, width and height, and the points in the middle of its edges."""

    x: float
    y: float
    w: float
    h: float

    @property
    def center(self) -> Point:
        return self.x, self.y

    @property
    def left(self) -> Point:
        return self.x - self.w / 2, self.y

    @property
    def right(self) -> Point:
        return self.x + self.w / 2, self.y

    @property
    def top(self) -> Point:
        return self.x, self.y + self.h / 2

    @property
    def bottom(self) -> Point:
        return self.x, self.y - self.h / 2

    def towards(self, other: Point) -> Point:
        """The middle of the edge that faces `other`."""
        dx, dy = other[0] - self.x, other[1] - self.y
        if abs(dx) * self.h >= abs(dy) * self.w:
            return self.right if dx >= 0 else self.left
        return self.top if dy >= 0 else self.bottom


@dataclass(frozen=True)
class Grid(Placed):
    """Cells on a diagram: `cell(row, column)` is one of them. A vector also takes `cell(i)`."""

    rows: int
    columns: int
    label_width: float = 0.0

    @property
    def left(self) -> Point:
        """The middle of the left edge, or of the label that stands there."""
        return self.x - self.w / 2 - self.label_width, self.y

    def cell(self, row: int, column: int | None = None) -> Placed:
        if column is None:
            if 1 not in (self.rows, self.columns):
                raise ValueError(f"cell({row}): a matrix needs a row and a column")
            row, column = (0, row) if self.rows == 1 else (row, 0)
        row, column = range(self.rows)[row], range(self.columns)[column]
        w, h = self.w / self.columns, self.h / self.rows
        return Placed(self.x - self.w / 2 + (column + 0.5) * w, self.top[1] - (row + 0.5) * h, w, h)


class Diagram:
    """A white sheet of width x height units, 12 units across the page."""

    def __init__(self, width: float = 12, height: float = 5, *, scale: float = 1.0) -> None:
        """scale: of everything, for a diagram that needs a smaller unit."""
        self.width, self.height, self.scale = width, height, scale
        self.fig = plt.figure(figsize=(width * UNIT * scale, height * UNIT * scale), layout="none")
        self.ax = self.fig.add_axes((0, 0, 1, 1))
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.axis("off")

    def box(
        self,
        x: float,
        y: float,
        text: str = "",
        *,
        w: float = 2.2,
        h: float = 0.8,
        color: str = "blue",
        dashed: bool = False,
        bold: bool = False,
        size: float = 12,
    ) -> Placed:
        """A rounded box with a text."""
        self._rounded(x, y, w, h, color, dashed)
        self._text(x, y, text, size, _INK, bold)
        return Placed(x, y, w, h)

    def vector(
        self,
        x: float,
        y: float,
        values: Any,
        *,
        label: str = "",
        fmt: str = ".1f",
        color: str | None = None,
        vertical: bool = False,
        cell: float = 0.8,
        vmax: float | None = None,
    ) -> Grid:
        """A row (or column) of cells with its label beside it. values: numbers, strings, or None for a blank."""
        values = _rows([values])[0]
        rows = [[v] for v in values] if vertical else [values]
        return self.matrix(x, y, rows, label=label, fmt=fmt, color=color, cell=cell, vmax=vmax)

    def matrix(
        self,
        x: float,
        y: float,
        values: Any,
        *,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        label: str = "",
        fmt: str = ".1f",
        color: str | None = None,
        cell: float = 0.8,
        mark: Iterable[tuple[int, int]] = (),
        vmax: float | None = None,
    ) -> Grid:
        """Cells with numbers. rows, columns: names beside and above. label: above all. mark: cells to outline.

        color: None shades by value (blue above zero, orange below, full at vmax); a colour gives every cell its tint.
        """
        values = _rows(values)
        if color is not None:
            _known(color)
        numbers = [abs(v) for row in values for v in row if isinstance(v, float) and math.isfinite(v)]
        full = vmax or max(numbers, default=0.0) or 1.0
        high = cell * 0.75 if cell >= 0.7 else cell
        beside = bool(label) and len(values) == 1 and not rows
        edge, taken = x - cell * len(values[0]) / 2, 0.0
        if beside:
            taken = edge - self.label(edge - 0.15, y, label, align="right").left[0]
        grid = Grid(x, y, cell * len(values[0]), high * len(values), len(values), len(values[0]), taken)
        for r, row in enumerate(values):
            for c, value in enumerate(row):
                at = grid.cell(r, c)
                face = _shade(value, full) if color is None else TINTS[color]
                self._cell(at, facecolor=face, edgecolor=_INK, linewidth=1)
                text = "" if value is None else value if isinstance(value, str) else _number(value, fmt)
                dark = color is None and not isinstance(value, str | None) and luminance(face) < 0.179
                longest = max(len(text), 3)
                size = min(12, cell * UNIT * 72 / (0.66 * longest)) if "$" not in text else 12
                self._text(at.x, at.y, text, size, "white" if dark else _INK)
        for r, c in mark:
            self._cell(grid.cell(r, c), fill=False, edgecolor=COLORS["red"], linewidth=2.6, zorder=4)
        for r, name in enumerate(rows or ()):
            self._text(edge - 0.12, grid.cell(r, 0).y, name, 11.5, _INK, align="right")
        for c, name in enumerate(columns or ()):
            self._text(grid.cell(0, c).x, grid.top[1] + 0.24, name, 11.5, _INK)
        if label and not beside:
            self._text(x, grid.top[1] + (0.7 if columns else 0.26), label, 12, _INK)
        return grid

    def arrow(
        self,
        a: Placed | Point,
        b: Placed | Point,
        text: str = "",
        *,
        color: str = "black",
        dashed: bool = False,
        bend: float = 0.0,
    ) -> None:
        """An arrow from a to b, things placed or points; its text stands at the middle. bend: 0.3 is a gentle curve."""
        _known(color)
        start = a.towards(_center(b)) if isinstance(a, Placed) else a
        end = b.towards(_center(a)) if isinstance(b, Placed) else b
        ink = _INK if color == "black" else COLORS[color]
        self.ax.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=15,
                shrinkA=1,
                shrinkB=2,
                linewidth=_LINE,
                linestyle=(0, (3, 2)) if dashed else "-",
                color=ink,
                connectionstyle=f"arc3,rad={bend}",
                zorder=2,
            )
        )
        if text:
            dx, dy = end[0] - start[0], end[1] - start[1]
            x, y = (start[0] + end[0]) / 2 + bend * dy / 2, (start[1] + end[1]) / 2 - bend * dx / 2
            upright = abs(dy) > abs(dx)
            offset = {"align": "left"} if upright else {}
            self._text(x + (0.14 if upright else 0), y + (0 if upright else 0.24), text, 11.5, readable(ink), **offset)

    def label(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        color: str = "black",
        bold: bool = False,
        align: str = "center",
        mono: bool = False,
    ) -> Placed:
        """A text or a formula ($...$). align: "left", "center" or "right" of x."""
        _known(color)
        ink = _INK if color == "black" else readable(COLORS[color])
        text = self._text(x, y, text, size, ink, bold, align, "monospace" if mono else None)
        box = text.get_window_extent(self.fig.canvas.get_renderer()).transformed(self.ax.transData.inverted())
        return Placed((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, box.width + 0.12, box.height + 0.12)

    def bracket(self, start: Point, end: Point, text: str = "", *, side: str = "above") -> None:
        """A square bracket along start-end, opening away from `side`, with a text on that side."""
        offsets = {"above": (0, 0.18), "below": (0, -0.18), "left": (-0.18, 0), "right": (0.18, 0)}
        if side not in offsets:
            raise ValueError(f"side={side!r}: choose one of {', '.join(map(repr, offsets))}")
        (x0, y0), (x1, y1), (dx, dy) = start, end, offsets[side]
        self.ax.plot([x0, x0 + dx, x1 + dx, x1], [y0, y0 + dy, y1 + dy, y1], color=_INK, linewidth=_LINE)
        align = {"left": "right", "right": "left"}.get(side, "center")
        self._text((x0 + x1) / 2 + dx * 1.7, (y0 + y1) / 2 + dy * 2.4, text, 12, _INK, align=align)

    def stream(self, start: Point, end: Point, text: str = "", *, color: str = "sky") -> Placed:
        """A thick line from start to end: the residual stream, which blocks read from and add to."""
        _known(color)
        self.ax.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=26, linewidth=7, color=COLORS[color], shrinkA=0, shrinkB=0,
                zorder=1,
            )
        )  # fmt: skip
        (x0, y0), (x1, y1) = start, end
        upright = abs(y1 - y0) > abs(x1 - x0)
        self._text(
            x0 + (0.22 if upright else 0),
            y0 + (0.12 if upright else 0.3),
            text,
            12,
            readable(COLORS[color]),
            align="left",
        )
        return Placed((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0), abs(y1 - y0))

    def plus(self, x: float, y: float, text: str = "+", *, color: str = "white", r: float = 0.24) -> Placed:
        """A small circle with a sign in it, where two things meet."""
        self.ax.add_patch(Circle((x, y), r, facecolor=TINTS[_known(color)], edgecolor=_INK, linewidth=_LINE, zorder=3))
        self._text(x, y, text, 14, _INK, zorder=5)
        return Placed(x, y, 2 * r, 2 * r)

    def heads(
        self, x: float, y: float, n: int, text: str = "head", *, w: float = 1.6, h: float = 0.9, color: str = "green"
    ) -> Placed:
        """n boxes, one behind the other."""
        step = 0.16
        for i in reversed(range(n)):
            shift = (i - (n - 1) / 2) * step
            self._rounded(x + shift, y + shift, w, h, color, False)
        self._text(x - (n - 1) / 2 * step, y - (n - 1) / 2 * step, text, 12, _INK)
        return Placed(x, y, w + (n - 1) * step, h + (n - 1) * step)

    def figure(self) -> Figure:
        """The matplotlib figure."""
        return self.fig

    def show(self, alt: str) -> None:
        """Display the diagram with its alternative text, and close it."""
        show(self.fig, alt)

    # -------------------------------------------------------------------------------------------------------- parts

    def _cell(self, at: Placed, **look: Any) -> None:
        self.ax.add_patch(Rectangle((at.x - at.w / 2, at.y - at.h / 2), at.w, at.h, **look))

    def _rounded(self, x: float, y: float, w: float, h: float, color: str, dashed: bool) -> None:
        edge = _INK if color in ("white", "none", "grey", "black") else COLORS[_known(color)]
        self.ax.add_patch(
            FancyBboxPatch(
                (x - w / 2, y - h / 2),
                w,
                h,
                boxstyle=f"round,pad=0,rounding_size={min(0.18, h / 3)}",
                facecolor=TINTS[_known(color)],
                edgecolor=edge,
                linewidth=_LINE,
                linestyle=(0, (3, 2)) if dashed else "-",
                zorder=2,
            )
        )

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        color: str,
        bold: bool = False,
        align: str = "center",
        family: str | None = None,
        zorder: float = 5,
    ) -> Any:
        return self.ax.text(
            x,
            y,
            text,
            fontsize=size * min(1.0, self.scale + 0.1),
            color=color,
            ha=align,
            va="center",
            fontweight="bold" if bold else "normal",
            family=family,
            zorder=zorder,
            linespacing=1.15,
        )


def _known(color: str) -> str:
    if color not in TINTS:
        raise ValueError(f"color={color!r}: choose one of {', '.join(TINTS)}")
    return color


def _center(thing: Placed | Point) -> Point:
    return thing.center if isinstance(thing, Placed) else thing


def _rows(values: Any) -> list[list[float | str | None]]:
    """Numbers as floats, strings and blanks as they are, in rows of one length."""
    rows = [
        [v if v is None or isinstance(v, str) else float(v) for v in (as_array(row) if hasattr(row, "shape") else row)]
        for row in values
    ]
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise ValueError(f"values has rows of {[len(row) for row in rows]} cells: give rows of one length")
    return rows


def _number(value: float, fmt: str) -> str:
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    return f"{value:.0f}" if value == int(value) and fmt == ".1f" and abs(value) >= 100 else number_text(value, fmt)


def _shade(value: float | str | None, full: float) -> tuple[float, float, float]:
    """White at zero, blue at `full`, orange at minus `full`; half as strong as the palette, for black numbers on it."""
    if not isinstance(value, float) or not math.isfinite(value):
        return (0.91, 0.91, 0.91) if isinstance(value, float) else (1.0, 1.0, 1.0)
    hue = np.array([0.0, 0.447, 0.698] if value >= 0 else [0.902, 0.624, 0.0])
    strength = 0.62 * min(1.0, abs(value) / full)
    return tuple(1 - strength * (1 - hue))
