"""The course as a site that needs no kernel and asks nothing of other hosts: build/site/html.

    python -m courseware site            write it; `make site` installs what this needs and does the same
    python -m courseware site --quick    again, reading only the pages that changed

The pages are gathered in build/site/source in the layout of the repository, so that links between lectures, labs and
docs lead where they do on GitHub, and Sphinx reads them there without executing anything. On the way pictures become
files, sliders and steppers get the frames that `courseware frames` keeps, polls get buttons, and links to files that
are no pages lead to the repository. docs/site holds Sphinx's settings and what runs in the reader's browser.
"""

import argparse
import ast
import base64
import hashlib
import html
import importlib.util
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from courseware.authoring import badges, frames, looks
from courseware.authoring.build import ROOT
from courseware.authoring.execute import NO_SLIDER

NEEDED = {"sphinx": "sphinx", "myst_nb": "myst-nb", "sphinx_book_theme": "sphinx-book-theme"}
PAGE_LIMIT = 2_000_000  # bytes of frames and figures that one page may show
_PICTURE = re.compile(r'<img alt="(?P<alt>[^"]*)" width="(?P<width>\d+)" src="data:image/png;base64,(?P<data>[^"]+)">')
_LINK = re.compile(r"(?<=\])\((?P<target>[^)\s:]+?)(?P<anchor>#[^)\s]*)?\)")
_TITLE = re.compile(r"^# (?P<title>.+)$", re.MULTILINE)
_QUESTION = re.compile(r"\*\*The question of this lecture\.?\*\*\s*(?P<text>.+?)(?:\n\n|\Z)", re.DOTALL)
_KEY = re.compile(r"<details><summary>Answer</summary>\s*\*\*(?P<letter>[A-F])\.\*\*")
_LETTERS = re.compile(r"^- \*\*([A-F])\.\*\* ", re.MULTILINE)


class Pages:
    """The source tree of the site, and the files that its pages show."""

    def __init__(self, out: Path, root: Path = ROOT) -> None:
        self.root, self.out, self.home = root, out, badges.home(root)
        self.files: dict[str, bytes] = {}  # in _static/figures
        self.shown: dict[str, set[str]] = {}  # page -> the files it shows
        self.still: list[str] = []  # lectures whose sliders have no frames
        self._written: set[Path] = set()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the tree unless it is there as it is: Sphinx reads again what is newer than its page."""
        path = self.out / name
        data = content.encode() if isinstance(content, str) else content
        self._written.add(path)
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def names(self) -> list[str]:
        """The pages of this tree."""
        return sorted(p.relative_to(self.out).as_posix() for p in self._written if p.suffix in {".md", ".ipynb"})

    def clean(self) -> None:
        """Remove from the tree what an earlier build wrote and this one did not."""
        for path in sorted(self.out.rglob("*")):
            if path.is_file() and path not in self._written:
                path.unlink()

    # ------------------------------------------------------------------------------------------------------ notebooks

    def notebook(self, path: Path) -> NotebookNode:
        """The notebook as its page: pictures as files, sliders and polls alive, links that lead somewhere."""
        page = path.relative_to(self.root).as_posix()
        notebook = nbformat.read(path, as_version=4)
        views, pictures = frames.views_of(notebook, path.stem, self.root) if page.startswith("lectures/") else ({}, {})
        notebook.cells = [cell for cell in notebook.cells if cell.id != badges.SETUP_ID]
        missing = False
        for cell in notebook.cells:
            if cell.id == badges.ROW_ID:
                cell.source = self._row(page, cell.source)
            elif cell.cell_type == "markdown":
                cell.source = self.relinked(cell.source, path)
            else:
                waiting = sum(output.get("data") == NO_SLIDER for output in cell.outputs)
                sets = iter(views.get(cell.id, []) if len(views.get(cell.id, [])) == waiting else [])
                missing |= bool(waiting and not views.get(cell.id))
                cell.outputs = [
                    made for output in cell.outputs for made in self._output(output, page, cell.id, sets, pictures)
                ]
        if missing:
            self.still.append(path.stem)
        return notebook

    def _row(self, page: str, row: str) -> str:
        binder = f"https://mybinder.org/v2/gh/{self.home.slug}/{self.home.ref}?urlpath=lab/tree/{page}"
        return row.replace(" · ", f" · **[Open in Binder]({binder})** · ", 1)

    def _output(
        self, output: NotebookNode, page: str, cell: str, sets: Iterator[dict], pictures: Mapping[str, bytes]
    ) -> list[NotebookNode]:
        data = output.get("data", {})
        if data == NO_SLIDER:
            view = next(sets, None)
            return [_raw(self._view(view, pictures, page, cell) if view else self._no_view(page))]
        if "text/html" in data:
            data["text/html"] = _PICTURE.sub(lambda match: self._picture(match, page), data["text/html"])
        elif data.get("text/markdown", "").startswith("**Poll.**"):
            return [output, _raw(poll_buttons(data["text/markdown"]))]
        return [output]

    def _picture(self, match: re.Match[str], page: str) -> str:
        name, drawn = self._file(base64.b64decode(match["data"]), "png", page)
        return image(name, html.unescape(match["alt"]), int(match["width"]), drawn)

    def _file(self, content: bytes, kind: str, page: str) -> tuple[str, str]:
        """Keep a picture that `page` shows; returns its address from there, and the class that says how it looks."""
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        self.files[name] = content
        self.shown.setdefault(page, set()).add(name)
        return f"{'../' * page.count('/')}_static/figures/{name}", looks.kind(content)

    def _view(self, view: Mapping[str, Any], pictures: Mapping[str, bytes], page: str, cell: str) -> str:
        """A slider or stepper: its controls, the first frame, and what the browser needs for the others."""
        stops = [control["values"] for control in view["controls"]]
        first, shown = 0, []
        for control in view["controls"]:
            first = first * len(control["values"]) + control["start"]
        for frame in view["frames"]:
            if "image" in frame:
                name, drawn = self._file(pictures[frame["image"]], "webp", page)
                shown.append({"image": name, "alt": frame["alt"], "class": drawn})
            else:
                shown.append({"text": frame["text"]})
        controls = "".join(_control(control, cell, i, view["play"]) for i, control in enumerate(view["controls"]))
        frame = shown[first]
        picture = (
            image(frame["image"], frame["alt"], view["width"], frame["class"])
            if "image" in frame
            else f'<pre tabindex="0">{html.escape(frame["text"])}</pre>'
        )
        note = (
            f'<p class="nt-note">This page stops at {len(shown)} of the {view["thinned"]:,} settings; in a notebook '
            "the slider has them all.</p>"
            if view["thinned"]
            else ""
        )
        state = json.dumps({"sizes": [len(s) for s in stops], "frames": shown}, ensure_ascii=False)
        state = state.replace("</", "<\\/")  # a text may hold the tag that ends a script
        kind, word = ("steps", "Step through") if view["play"] else ("explore", "Move the sliders")
        return (
            f'<div class="nt-view nt-{kind}" role="group" aria-label="{word}" hidden>'
            f'<div class="nt-controls">{controls}</div><div class="nt-frame">{picture}</div>{note}'
            f'<script type="application/json">{state}</script></div>'
        )

    def _no_view(self, page: str) -> str:
        return (
            '<p class="nt-note">A slider belongs here. It moves in the notebook: '
            f'<a href="{self.home.colab(page)}">open it in Colab</a> or in JupyterLab.</p>'
        )

    # -------------------------------------------------------------------------------------------------------- Markdown

    def relinked(self, text: str, path: Path) -> str:
        """The Markdown with its relative links leading to pages of the site, else to the file in the repository."""

        def link(match: re.Match[str]) -> str:
            target = (path.parent / match["target"]).resolve()
            if not target.is_relative_to(self.root) or not target.exists():
                return match[0]
            inside = target.relative_to(self.root).as_posix()
            if _is_page(inside) or target.suffix in {".png", ".svg"}:
                return match[0]
            kind = "tree" if target.is_dir() else "blob"
            return f"({self.home.url}/{kind}/{self.home.ref}/{inside}{match['anchor'] or ''})"

        return _LINK.sub(link, text)


def _is_page(name: str) -> bool:
    return bool(re.fullmatch(r"(lectures|labs)/[^/]+\.ipynb|docs/.+\.md", name)) and not name.startswith("docs/site/")


def _raw(content: str) -> NotebookNode:
    return nbformat.v4.new_output("display_data", data={"text/html": content})


def image(address: str, alt: str, width: int, drawn: str) -> str:
    """An image of the page; `drawn` says how the dark page shows it, see `looks.kind`."""
    return (
        f'<img class="nt-figure {drawn} dark-light" alt="{html.escape(alt)}" width="{width}" '
        f'src="{html.escape(address)}" loading="lazy">'
    )


def _control(control: Mapping[str, Any], cell: str, number: int, play: bool) -> str:
    """A slider or a choice as the browser's own control, which the keyboard moves and a screen reader reads."""
    name, values, start = f"{cell}-{control['label'].replace(' ', '-')}-{number}", control["values"], control["start"]
    label = f'<label for="{name}">{html.escape(control["label"])}</label>'
    if control["kind"] == "choice":
        options = "".join(
            f"<option{' selected' if i == start else ''}>{html.escape(value)}</option>"
            for i, value in enumerate(values)
        )
        return f'<div class="nt-control">{label}<select id="{name}">{options}</select></div>'
    slider = (
        f'<input type="range" id="{name}" min="0" max="{len(values) - 1}" step="1" value="{start}" '
        f'data-values="{html.escape(json.dumps(values, ensure_ascii=False))}" '
        f'aria-valuetext="{html.escape(values[start])}">'
    )
    said = f'<output for="{name}">{html.escape(values[start])}</output>'
    if play:
        button = '<button type="button" class="nt-play" aria-label="Play">&#9654;</button>'
        label = f'<label for="{name}" class="nt-unseen">{html.escape(control["label"])}</label>'
        return f'<div class="nt-control">{button}{label}{slider}{said}</div>'
    return f'<div class="nt-control">{label}{slider}{said}</div>'


def poll_buttons(markdown: str) -> str:
    """The buttons of a poll, read off what the notebook shows of it: its letters, and the right one if there is one."""
    key = _KEY.search(markdown)
    letters = _LETTERS.findall(markdown.split("<details>")[0])
    buttons = "".join(f'<button type="button" aria-pressed="false">{letter}</button>' for letter in letters)
    right = f' data-right="{key["letter"]}"' if key else ""
    return (
        f'<div class="nt-poll"{right} role="group" aria-label="Your answer" hidden>{buttons}'
        '<div class="nt-feedback" aria-live="polite"></div></div>'
    )


# ------------------------------------------------------------------------------------------------------------- the tree


def assemble(out: Path, root: Path = ROOT) -> Pages:
    """Write the site's source tree: pages, index, API pages, settings, figures, MathJax."""
    pages = Pages(out, root)
    lectures = sorted((root / "lectures").glob("[0-9]*_*.ipynb"))
    labs = sorted((root / "labs").glob("lab[0-9]*_*.ipynb"))
    for path in [*lectures, *labs]:
        name = path.relative_to(root).as_posix()
        pages.write(name, nbformat.writes(pages.notebook(path)) + "\n")
    docs = [p for p in sorted((root / "docs").rglob("*")) if p.is_file() and (root / "docs" / "site") not in p.parents]
    for path in docs:
        name = path.relative_to(root).as_posix()
        if path.suffix == ".md":
            pages.write(name, pages.relinked(path.read_text(encoding="utf-8"), path))
        elif path.suffix in {".png", ".svg"}:
            pages.write(name, path.read_bytes())
    rooms = sorted(p.parent.name for p in (root / "llmlib").glob("*/__init__.py"))
    for room in rooms:
        pages.write(f"api/{room}.md", _api_page(room))
    pages.write("api/index.md", _api_index(rooms, root))
    pages.write("index.md", index_page(lectures, labs, docs, root))
    for path in sorted((root / "docs" / "site").rglob("*")):
        inside = path.relative_to(root / "docs" / "site")
        if path.is_file() and inside.parts[0] in {"conf.py", "static", "templates"}:
            pages.write(inside.as_posix(), path.read_bytes())
    for name, content in pages.files.items():
        pages.write(f"vendored/figures/{name}", content)
    for path, name in mathjax_files():
        pages.write(f"vendored/mathjax/{name}", path.read_bytes())
    pages.clean()
    return pages


def mathjax_files() -> Iterator[tuple[Path, str]]:
    """MathJax 3 from its package: the component for TeX, its fonts, and extensions that TeX asks for by name."""
    found = importlib.util.find_spec("mathjax")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the package django-static-mathjax, which ships MathJax, is not installed", name="")
    es5 = Path(next(iter(found.submodule_search_locations))) / "static" / "mathjax" / "es5"
    for pattern in ("tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff", "input/tex/extensions/*.js"):
        for path in sorted(es5.glob(pattern)):
            yield path, path.relative_to(es5).as_posix()


def title_of(notebook: NotebookNode) -> str:
    """The first heading of a notebook."""
    return next((m["title"] for cell in notebook.cells if (m := _TITLE.search(cell.source))), "")


def question_of(notebook: NotebookNode) -> str:
    """The question that a lecture opens with, or nothing."""
    found = next((m["text"] for cell in notebook.cells[:4] if (m := _QUESTION.search(cell.source))), "")
    return " ".join(found.split())


def index_page(lectures: Sequence[Path], labs: Sequence[Path], docs: Sequence[Path], root: Path = ROOT) -> str:
    """The front page: what the course is, its lectures with their questions and labs, and the tree of all pages."""
    text = (root / "docs" / "site" / "index.md").read_text(encoding="utf-8")
    by_number = {path.stem[3:5]: path for path in labs}
    rows = ["| lecture | its question | lab |", "| --- | --- | --- |"]
    for path in lectures:
        notebook = nbformat.read(path, as_version=4)
        lab = by_number.get(path.stem[:2])
        link = f"[lab {path.stem[:2]}](labs/{lab.name})" if lab else ""
        rows.append(f"| [{title_of(notebook)}](lectures/{path.name}) | {question_of(notebook)} | {link} |")
    names = [p.relative_to(root / "docs").with_suffix("").as_posix() for p in docs if p.suffix == ".md"]
    groups = {
        "Lectures": [f"lectures/{p.stem}" for p in lectures],
        "Labs": [f"labs/{p.stem}" for p in labs],
        "Look it up": [f"docs/{n}" for n in ("notation", "glossary", "sources") if n in names] + ["api/index"],
        "Teaching": ["docs/instructor_guide"] if "instructor_guide" in names else [],
        "Writing": [f"docs/{n}" for n in names if n.startswith("writing_")],
        "Appendix": [f"docs/{n}" for n in ("claims", "promises") if n in names],
    }
    placed = {name for group in groups.values() for name in group}
    groups["Teaching"] += [f"docs/{n}" for n in names if f"docs/{n}" not in placed]
    trees = (
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(entries) + "\n```"
        for caption, entries in groups.items()
        if entries
    )
    return text.replace("<!-- lectures -->", "\n".join(rows)) + "\n" + "\n\n".join(trees) + "\n"


def _api_page(room: str) -> str:
    return (
        f"# llmlib.{room}\n\n```{{eval-rst}}\n.. automodule:: llmlib.{room}\n   :members:\n   :imported-members:\n```\n"
    )


def _api_index(rooms: Sequence[str], root: Path) -> str:
    lines = [f"- [llmlib.{room}]({room}.md): {_summary(root / 'llmlib' / room / '__init__.py')}" for room in rooms]
    tree = "```{toctree}\n:hidden:\n\n" + "\n".join(rooms) + "\n```"
    words = "The library behind the lectures, room by room; what each name says of itself."
    return f"# llmlib\n\n{words}\n\n" + "\n".join(lines) + f"\n\n{tree}\n"


def _summary(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.split("\n\n")[0].replace("\n", " ")


# ------------------------------------------------------------------------------------------------------------ the build


def build(root: Path = ROOT, quick: bool = False) -> int:
    """Gather the pages and let Sphinx write them; every warning is an error. Returns the exit code."""
    out = root / "build" / "site"
    if missing := [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]:
        print(f"error: {', '.join(missing)} not installed: use make site, or pip install -e '.[site]'", file=sys.stderr)
        return 2
    began = time.monotonic()
    pages = assemble(out / "source", root)
    gathered = time.monotonic() - began
    names, before = "\n".join(pages.names()), out / "pages.txt"
    quick = quick and before.exists() and before.read_text(encoding="utf-8") == names  # links lead to what was there
    before.write_text(names, encoding="utf-8")
    from sphinx.cmd.build import main as sphinx

    if not quick:
        shutil.rmtree(out / "html", ignore_errors=True)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    flags = ["-q", "-W", "--keep-going", "-b", "html", "-j", str(min(2, os.cpu_count() or 1)), "-d", str(out / "read")]
    code = sphinx([*flags, *([] if quick else ["-E"]), str(out / "source"), str(out / "html")])
    took = time.monotonic() - began
    for name in pages.still:
        print(f"{name}: its sliders stand still; run python -m courseware frames {name.split('_')[0]}")
    found = sizes(pages, out / "html")
    heavy = {page: size for page, size in found.items() if size > PAGE_LIMIT}
    if found:
        largest = max(found, key=found.__getitem__)
        print(f"largest page with its figures and frames: {largest}, {found[largest] / 1e6:.2f} MB")
    for page, size in heavy.items():
        print(f"error: {page} takes {size:,} bytes, over {PAGE_LIMIT:,}", file=sys.stderr)
    where = (out / "html" / "index.html").relative_to(root)
    print(f"{where}: {took:.0f} s, {gathered:.0f} of them to gather the pages, exit code {code}")
    return code or bool(heavy)


def sizes(pages: Pages, html_folder: Path) -> dict[str, int]:
    """Bytes of each page of a notebook, with every figure and frame that it can show."""
    found = {}
    for page, names in pages.shown.items():
        written = html_folder / Path(page).with_suffix(".html")
        found[page] = sum(len(pages.files[n]) for n in names) + (written.stat().st_size if written.exists() else 0)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware site", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="read only the pages that changed")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    return build(args.root.resolve(), args.quick)


if __name__ == "__main__":
    sys.exit(main())
