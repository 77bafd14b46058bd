"""What sliders and steppers show without a kernel: their frames, drawn when a lecture is executed for the site.

    python -m courseware frames            draw those of the lectures whose code has changed
    python -m courseware frames 03 --force
    python -m courseware frames --check    which are missing or out of date; draws nothing

A slider calls the notebook's own function, so its frames need the lecture to run: up to a minute, and too slow for a
page. They are kept like a notebook's outputs, in docs/site/frames/NN.frames, beside a hash of the lecture's code. A
lecture whose prose changes keeps its frames; one whose code changes loses them until they are drawn again, and its page
shows the static panels alone.

Frames of one view differ by little, so they are packed together: a sixth of the bytes of the same pictures one by one.
"""

import argparse
import hashlib
import io
import itertools
import json
import lzma
import math
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

from courseware.authoring import badges
from courseware.authoring.build import ROOT, BuildError, lecture_notebook, lecture_sources, select
from courseware.authoring.execute import run
from courseware.classroom import pictures, ui

MOST = 36  # frames of one view, about: a slider of more values stops at some of them
COLOURS = 64  # of the frames of one view
SECONDS = 600  # a cell may take this long, with all its frames
MIME = "application/vnd.course-frames+json"
_DATE = (1980, 1, 1, 0, 0, 0)  # in the archive, so that the same frames are the same bytes


@dataclass(frozen=True)
class FrameSet:
    """The frames of one view.

    controls: for each slider its label, whether it is a "slider" or a "choice", its values as text, where it starts.
    frames:   one for each combination of values, the last control's running fastest: {"image": name} or {"text": ...},
              and "alt".
    play:     a stepper, which has a play button. width: of the pictures, in CSS pixels; 0 for texts.
    thinned:  how many values the sliders have in JupyterLab, where that is more than here; else 0.
    """

    controls: list[dict[str, Any]]
    frames: list[dict[str, str]]
    play: bool = False
    width: int = 0
    thinned: int = 0


def code_hash(notebook: NotebookNode) -> str:
    """What decides whether frames are up to date: the code of a lecture, without its polls and its set-up cell."""
    cells = (c for c in notebook.cells if c.cell_type == "code" and c.get("id") != badges.SETUP_ID)
    code = [c.source.strip() for c in cells if not c.source.lstrip().startswith("poll(")]
    return hashlib.sha256("\n# %%\n".join(code).encode()).hexdigest()


# ------------------------------------------------------------------------------------------ in the notebook's kernel


def record(folder: str) -> None:
    """From here on, `explore` and `steps` of this kernel also write their frames to `folder`, numbered from 0."""
    out, count = Path(folder), iter(range(10_000))

    def keep(view: "FrameSet", images: Mapping[str, Image.Image]) -> "_Kept":
        number = next(count)
        for name, image in images.items():
            image.save(out / f"{name}.png", compress_level=1)
        (out / f"{number}.json").write_text(json.dumps(vars(view)), encoding="utf-8")
        return _Kept(number)

    def live(fn: Callable, sliders: Mapping[str, Any], alt: Any, start: ui.Values, first: Any) -> "_Kept":
        state = _random_state()
        try:
            return keep(*explored(fn, sliders, alt, start))
        finally:
            _set_random_state(state)

    ui._live = live
    ui._player = lambda views, alts, titles: keep(*stepped(views, alts, titles))


class _Kept:
    """Displayed in place of the live view: the number under which its frames were written."""

    def __init__(self, number: int) -> None:
        self.number = number

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {MIME: {"number": self.number}, "text/plain": f"frames {self.number}"}


def _random_state() -> tuple:
    import torch

    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_random_state(state: tuple) -> None:
    import torch

    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])


def explored(
    fn: Callable[..., ui.View], sliders: Mapping[str, Any], alt: str | Callable[..., str], start: ui.Values
) -> tuple[FrameSet, dict[str, Image.Image]]:
    """The frames of `explore`, drawn by the functions that draw its live view, and their pictures by name."""
    stops = {name: _stops(values) for name, values in sliders.items()}
    kept = thinned(stops, start)
    controls = [
        {
            "label": name.replace("_", " "),
            "kind": "slider" if all(isinstance(v, int | float) for v in sliders[name]) else "choice",
            "values": [_said(value) for value in kept[name]],
            "start": kept[name].index(start[name]),
        }
        for name in sliders
    ]
    frames, images = [], {}
    for values in itertools.product(*kept.values()):
        setting = dict(zip(kept, values))
        try:
            view = ui._draw(fn, setting)
        except Exception as error:  # as in the live view: a message in the page
            view = f"{ui._label(setting)}: {type(error).__name__}: {error}"
        frames.append(_frame(view, ui._alt_for(alt, setting) if not isinstance(view, str) else "", images))
    full = math.prod(map(len, stops.values()))
    return FrameSet(controls, frames, False, _width(images), full if full > len(frames) else 0), images


def stepped(
    views: Sequence[Image.Image | str], alts: Sequence[str], titles: Sequence[str]
) -> tuple[FrameSet, dict[str, Image.Image]]:
    """The frames of `steps`, which are ready, and their pictures by name."""
    images: dict[str, Image.Image] = {}
    frames = [_frame(view, alt, images) for view, alt in zip(views, alts, strict=True)]
    control = {"label": "step", "kind": "slider", "values": list(titles), "start": 0}
    return FrameSet([control], frames, True, _width(images)), images


def _frame(view: Image.Image | str, alt: str, images: dict[str, Image.Image]) -> dict[str, str]:
    if isinstance(view, str):
        return {"text": view, "alt": alt}
    name = hashlib.sha256(view.tobytes()).hexdigest()[:10]  # equal frames are one picture
    images[name] = view
    return {"image": name, "alt": alt}


def _width(images: Mapping[str, Image.Image]) -> int:
    return max(map(pictures.css_width, images.values()), default=0)


def _stops(values: Any) -> list:
    """All values of a slider: (lo, hi, step) written out, a choice as it is."""
    if not (isinstance(values, tuple) and len(values) == 3):
        return list(values)
    lo, hi, step = values
    count = math.floor((hi - lo) / step + 1e-9) + 1
    made = [lo + i * step for i in range(count)]
    return made if all(isinstance(v, int) for v in values) else [round(v, 10) for v in made]


def thinned(stops: Mapping[str, Sequence], start: ui.Values, most: int = MOST) -> dict[str, list]:
    """Fewer values for each slider, until all combinations are about `most`: the ends, the start, and some between.

    A choice of names keeps all of them.
    """
    kept = {name: list(values) for name, values in stops.items()}
    strides = {n: 1 for n, values in stops.items() if all(isinstance(v, int | float) for v in values)}
    while math.prod(map(len, kept.values())) > most:
        long = {n: len(kept[n]) for n in strides if len(kept[n]) > 3}
        if not long:
            break
        name = max(long, key=long.__getitem__)
        strides[name] += 1
        last = len(stops[name]) - 1
        kept[name] = [stops[name][i] for i in sorted({*range(0, last, strides[name]), last})]
    for name, value in start.items():
        if value not in kept[name]:  # a start between two stops
            nearest = min(range(len(kept[name])), key=lambda i: abs(kept[name][i] - value))
            kept[name][nearest] = value
    return kept


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def pack(images: Sequence[Image.Image]) -> bytes:
    """Pictures of one view in common colours, as one stream: the palette, then each picture's pixels, row by row."""
    sheet = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
    tops = np.cumsum([0, *(image.height for image in images)])
    for image, top in zip(images, tops):
        sheet.paste(image, (0, int(top)))
    few = sheet.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette = bytes(few.getpalette()[: 3 * COLOURS]).ljust(3 * COLOURS, b"\0")
    rows = np.asarray(few)
    pixels = [rows[top : top + image.height, : image.width].tobytes() for image, top in zip(images, tops)]
    return lzma.compress(palette + b"".join(pixels), preset=6)


def unpack(packed: bytes, sizes: Sequence[tuple[int, int]]) -> list[Image.Image]:
    """The pictures of `pack`; sizes: width and height of each."""
    data = lzma.decompress(packed)
    palette, at, images = data[: 3 * COLOURS], 3 * COLOURS, []
    for width, height in sizes:
        image = Image.frombytes("P", (width, height), data[at : at + width * height])
        image.putpalette(palette)
        images.append(image)
        at += width * height
    return images


def webp(image: Image.Image) -> bytes:
    """The picture for the page, lossless; the settings are the fastest within a fifth of the smallest size."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "webp", lossless=True, quality=20, method=1)
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------------- the archive


def archive(name: str, root: Path = ROOT) -> Path:
    """Where the frames of a lecture are kept; name: its number, or its file's stem."""
    return root / "docs" / "site" / "frames" / f"{name.split('_')[0]}.frames"


def read(name: str, root: Path = ROOT) -> dict[str, Any] | None:
    """{"code": hash, "cells": {cell id: [frame set, ...]}} of a lecture, or None where it has no frames."""
    path = archive(name, root)
    if not path.exists():
        return None
    with zipfile.ZipFile(path) as packed:
        return json.loads(packed.read("frames.json"))


def views_of(notebook: NotebookNode, name: str, root: Path = ROOT) -> tuple[dict[str, list[dict]], dict[str, bytes]]:
    """The frame sets of each cell, and the pictures as WebP by name; both empty if there are none for this code."""
    found = read(name, root)
    if found is None or found["code"] != code_hash(notebook):
        return {}, {}
    pictures: dict[str, bytes] = {}
    with zipfile.ZipFile(archive(name, root)) as packed:
        for view in (view for views in found["cells"].values() for view in views):
            if view["pictures"]:
                made = unpack(packed.read(view["packed"]), [(w, h) for _, w, h in view["pictures"]])
                pictures |= {name: webp(image) for (name, _, _), image in zip(view["pictures"], made)}
    return found["cells"], pictures


def draw(source: Path, root: Path = ROOT) -> tuple[int, int, float]:
    """Execute a lecture and keep its frames. Returns how many, the bytes they are kept in, and the seconds it took."""
    notebook = lecture_notebook(source, root)
    code = code_hash(notebook)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        start = f"from courseware.authoring.frames import record\nrecord({scratch!r})"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(start))
        run(notebook, SECONDS)
        cells: dict[str, list[dict]] = {}
        files: dict[str, bytes] = {}
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if MIME in output.get("data", {}):
                    number = output.data[MIME]["number"]
                    view = json.loads((Path(scratch) / f"{number}.json").read_text(encoding="utf-8"))
                    names = list(dict.fromkeys(frame["image"] for frame in view["frames"] if "image" in frame))
                    images = [Image.open(Path(scratch) / f"{name}.png").convert("RGB") for name in names]
                    view["pictures"] = [(name, *image.size) for name, image in zip(names, images)]
                    view["packed"] = f"{number}.xz"
                    if images:
                        files[view["packed"]] = pack(images)
                    cells.setdefault(cell.id, []).append(view)
    path = archive(source.stem, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"code": code, "cells": cells}, ensure_ascii=False, indent=0, sort_keys=True)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(zipfile.ZipInfo("frames.json", _DATE), about.encode(), zipfile.ZIP_DEFLATED)
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_STORED)
    count = sum(len(view["frames"]) for views in cells.values() for view in views)
    return count, path.stat().st_size, time.monotonic() - began


def is_fresh(source: Path, root: Path = ROOT) -> bool:
    """Were the frames of this lecture drawn by the code that it has now?"""
    found = read(source.stem, root)
    return found is not None and found["code"] == code_hash(lecture_notebook(source, root))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware frames", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="03, ...; all lectures when left out")
    parser.add_argument("--force", action="store_true", help="draw them even if the code has not changed")
    parser.add_argument("--check", action="store_true", help="draw nothing; exit 1 if frames are out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    failed = False
    for source in select(lecture_sources(args.root), args.names):
        number = source.stem.split("_")[0]
        if not args.force and is_fresh(source, args.root):
            print(f"{source.stem}: up to date")
        elif args.check:
            failed = True
            print(f"{source.stem}: no frames of this code, run python -m courseware frames {number}")
        else:
            try:
                count, size, seconds = draw(source, args.root)
                print(f"{source.stem}: {count} frames, {size / 1000:.0f} kB packed, {seconds:.0f} s", flush=True)
            except (BuildError, CellExecutionError) as error:
                failed = True
                print(f"{source.stem}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
