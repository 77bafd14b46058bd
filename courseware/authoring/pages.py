"""Look at what we made: an executed lecture as HTML and as pictures of a 1280-pixel-wide screen, under build/pages/.

A tool for authors. Pictures need Chromium or Chrome; formulas stay as TeX when the machine is offline.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from PIL import Image, ImageChops

from courseware.authoring.build import ROOT, select

WIDTH, SCREEN = 1280, 1440  # one picture is two screens of 1280 x 720
_TALLEST = 12_000  # pixels; Chromium draws no taller page than about 16,000
_CELLS = 10  # cells per page that Chromium draws
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def browser() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def to_html(notebook: nbformat.NotebookNode) -> str:
    """The notebook as one HTML page in JupyterLab's style, with the pictures' alt text (nbconvert's own has none)."""
    page = nbformat.from_dict(notebook)  # a copy
    for output in (output for cell in page.cells for output in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            about = output.metadata.get("image/png", {})
            alt, width = escape(about.get("alt", "")), f' width="{about["width"]}"' if "width" in about else ""
            image = f'<img alt="{alt}"{width} src="data:image/png;base64,{output.data.pop("image/png").strip()}">'
            output.data["text/html"] = image
    html, _ = HTMLExporter(template_name="lab").from_notebook_node(page)
    return html


def pictures(notebook: nbformat.NotebookNode, folder: Path, chromium: str) -> list[Path]:
    """Draw the notebook, a few cells at a time, and cut it into pictures of at most 1280 x 1440 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    written: list[Path] = []
    for start in range(0, len(notebook.cells), _CELLS):
        part = nbformat.from_dict({**notebook, "cells": notebook.cells[start : start + _CELLS]})
        image = _without_white_end(_screenshot(to_html(part), chromium))
        for top in range(0, image.height, SCREEN):
            path = folder / f"{len(written):02d}_cells_{start:02d}.png"
            image.crop((0, top, image.width, min(top + SCREEN, image.height))).save(path)
            written.append(path)
    return written


def _screenshot(html: str, chromium: str) -> Image.Image:
    with tempfile.TemporaryDirectory() as scratch:
        page, shot = Path(scratch) / "page.html", Path(scratch) / "page.png"
        page.write_text(html, encoding="utf-8")
        size = f"--window-size={WIDTH},{_TALLEST}"
        command = [chromium, *_FLAGS, size, f"--user-data-dir={scratch}/profile", f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return Image.open(shot).convert("RGB")


def _without_white_end(image: Image.Image) -> Image.Image:
    box = ImageChops.difference(image, Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))).getbbox()
    return image.crop((0, 0, image.width, min(box[3] + 20, image.height))) if box else image


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware pages", description="Export lectures to HTML and pictures.")
    parser.add_argument("names", nargs="+", help="03, ...")
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
        (out / f"{path.stem}.html").write_text(to_html(notebook), encoding="utf-8")
        print(f"wrote build/pages/{path.stem}.html")
        if chromium:
            print(f"wrote {len(pictures(notebook, out / path.stem, chromium))} pictures in build/pages/{path.stem}/")
        else:
            print("no pictures: neither Chromium nor Chrome was found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
