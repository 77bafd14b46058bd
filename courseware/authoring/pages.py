"""Look at what we made: an executed lecture as HTML, and as the screens on which a class meets it, under build/pages/.

    python -m courseware pages 03                 the page, light and dark, and a picture of every screen
    python -m courseware pages 03 --cells 10-20   the screens of some cells only, counted as in the notebook from 0

A screen is 1280 x 720 pixels at 150 % zoom, which is what a projector shows. Code that is folded in the notebook is
folded on the page. Pictures need Chromium or Chrome; formulas stay as TeX when the machine is offline.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from PIL import Image

from courseware.authoring.build import ROOT, select

WIDTH, HEIGHT, ZOOM = 1280, 720, 1.5  # pixels of a screen, and how far it is zoomed in
THEMES = ("light", "dark")
_TALLEST = 15_000  # pixels; Chromium draws no taller page than about 16,000
_CELLS = 8  # cells per page that Chromium draws
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    f"--force-device-scale-factor={ZOOM}",
]
# JupyterLab's own page, with the code of folded cells under a line that opens it. The line that nobody sees beside a
# picture keeps screens from being cut where the picture has nothing but white.
_TEMPLATE = """\
{% extends 'lab/index.html.j2' %}
{% block notebook_css %}
{{ super() }}
<style>
details.folded-code > summary { cursor: pointer; padding: 2px 8px; opacity: 0.7; font: 13px system-ui, sans-serif; }
.jp-RenderedHTMLCommon details > summary { cursor: pointer; }
.jp-OutputArea-output img { max-width: 100%; height: auto; border-left: 1px solid #fdfdfd; }
</style>
{% endblock notebook_css %}
{% block input_group %}
{%- if cell.metadata.get('jupyter', {}).get('source_hidden') -%}
<details class="folded-code"><summary>Code</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{% endblock input_group %}
"""


def browser() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def to_html(notebook: nbformat.NotebookNode, theme: str = "light") -> str:
    """The notebook as one HTML page in JupyterLab's style, folded where the notebook is."""
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"folded.html.j2": _TEMPLATE})], template_file="folded.html.j2", theme=theme
    )
    page = nbformat.from_dict(notebook)  # a copy
    return exporter.from_notebook_node(page)[0]


def screens(
    notebook: nbformat.NotebookNode, folder: Path, chromium: str, theme: str = "light", cells: range | None = None
) -> list[Path]:
    """Draw the notebook, a few cells at a time, and cut it into screens, between lines where there is room to cut."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{theme}_*.png"):
        old.unlink()
    chosen = range(len(notebook.cells)) if cells is None else range(len(notebook.cells))[cells.start : cells.stop]
    strips, firsts = [], []  # pieces of the page, and for each of its rows the number of the piece's first cell
    for start in chosen[::_CELLS]:
        part = nbformat.from_dict({**notebook, "cells": notebook.cells[start : min(start + _CELLS, chosen.stop)]})
        strips.append(_trimmed(np.asarray(_screenshot(to_html(part, theme), chromium))))
        firsts += [start] * len(strips[-1])
    written: list[Path] = []
    if strips:
        page = np.concatenate(strips)
        for top, bottom in cuts(_is_plain(page)):
            screen = np.broadcast_to(page[-1, 0], (HEIGHT, WIDTH, 3)).copy()
            screen[: bottom - top] = page[top:bottom]
            written.append(folder / f"{theme}_{len(written):02d}_from_cell_{firsts[top]:02d}.png")
            Image.fromarray(screen).save(written[-1], optimize=True)
    return written


def cuts(plain: np.ndarray, height: int = HEIGHT) -> list[tuple[int, int]]:
    """Where to cut a tall page into screens: (top, bottom) of each, at the last rows that hold nothing.

    plain: for each row of pixels, whether it is empty. A screen is cut through what it shows only when that is taller.
    """
    used = np.flatnonzero(~plain)
    if not len(used):
        return []
    found, top, end = [], int(used[0]), int(used[-1]) + 1
    while top < end:
        bottom = min(top + height, end)
        if bottom < end:
            empty = np.flatnonzero(plain[top + height // 4 : bottom])
            bottom = top + height // 4 + int(empty[-1]) if len(empty) else bottom
        found.append((top, bottom))
        rest = used[used >= bottom]
        top = int(rest[0]) if len(rest) else end
    return found


def _is_plain(pixels: np.ndarray) -> np.ndarray:
    """For each row, whether all of its pixels have the page's colour."""
    return (pixels == pixels[-1, 0]).all(axis=(1, 2))


def _trimmed(pixels: np.ndarray) -> np.ndarray:
    """The rows up to the last that holds something, and a few more."""
    used = np.flatnonzero(~_is_plain(pixels))
    return pixels[: min(len(pixels), used[-1] + 16)] if len(used) else pixels[:1]


def _screenshot(html: str, chromium: str) -> Image.Image:
    with tempfile.TemporaryDirectory() as scratch:
        page, shot = Path(scratch) / "page.html", Path(scratch) / "page.png"
        page.write_text(html, encoding="utf-8")
        size = f"--window-size={round(WIDTH / ZOOM)},{round(_TALLEST / ZOOM)}"
        command = [chromium, *_FLAGS, size, f"--user-data-dir={scratch}/profile", f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        image = Image.open(shot).convert("RGB")
    sheet = Image.new("RGB", (WIDTH, image.height + 1), image.getpixel((image.width - 1, image.height - 1)))
    sheet.paste(image, (0, 0))
    return sheet


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware pages", description="Export lectures to HTML and pictures.")
    parser.add_argument("names", nargs="+", help="03, ...")
    parser.add_argument("--cells", type=_range, metavar="A-B", help="pictures of these cells only")
    parser.add_argument("--theme", choices=THEMES, help="one theme only; both when left out")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    out, chromium = args.root / "build" / "pages", browser()
    notebooks = select(sorted((args.root / "lectures").glob("[0-9]*.ipynb")), args.names)
    if not notebooks:
        print(f"error: no lecture is called {' or '.join(args.names)}", file=sys.stderr)
        return 1
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        out.mkdir(parents=True, exist_ok=True)
        for theme in [args.theme] if args.theme else THEMES:
            name = f"{path.stem}.html" if theme == "light" else f"{path.stem}.{theme}.html"
            (out / name).write_text(to_html(notebook, theme), encoding="utf-8")
            print(f"wrote build/pages/{name}")
            if chromium:
                written = screens(notebook, out / path.stem, chromium, theme, args.cells)
                print(f"wrote {len(written)} {theme} screens in build/pages/{path.stem}/")
    if not chromium:
        print("no pictures: neither Chromium nor Chrome was found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
