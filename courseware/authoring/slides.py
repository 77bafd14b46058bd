"""A lecture as slides: one figure and its point each, the prose as speaker notes. build/slides/NN/index.html.

    python -m courseware slides 03           (make slides LECTURE=03)

The deck is made of the executed notebook. A figure or table becomes a slide under the heading that it stands under,
with the first sentence said of it; a poll becomes two, the second with the answer; a section begins with its title,
and the summary's points are one slide. What the notebook says in between is in the notes, for the speaker's window
(press S). reveal.js and MathJax are copied beside the deck, so it opens from a folder, offline, in any browser.
"""

import argparse
import html
import importlib.util
import math
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from courseware.authoring import badges
from courseware.authoring.build import ROOT, select
from courseware.authoring.execute import NO_SLIDER

WIDTH, HEIGHT = 1280, 720
_LONGEST = 210  # characters of a point
_ROOM, _LINE = 480, 35  # pixels for a table with what stands around it, and for a line of text
_LETTERS = {"table": 22, "table wide": 19, "table long": 16}  # pixels, by kind of slide
_HEADING = re.compile(r"^(?P<level>#{1,4}) (?P<title>.+)$", re.MULTILINE)
_ITEM = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SIZED = re.compile(r'(<img [^>]*?) width="\d+"')
_BAR = re.compile(r"(?<!\\)\|")  # between a table's cells
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z*`$\"(])")


@dataclass
class Slide:
    """title: its heading, in Markdown as point and notes are. body: what it shows, as HTML. kind: its class."""

    title: str
    body: str = ""
    point: str = ""
    notes: list[str] = field(default_factory=list)
    kind: str = "shown"


def slides_of(notebook: NotebookNode) -> list[Slide]:
    """The slides of an executed lecture, in order."""
    made: list[Slide] = []
    title, said = "", []
    for number, cell in enumerate(notebook.cells):
        if cell.id in {badges.ROW_ID, badges.SETUP_ID}:
            continue
        if cell.cell_type == "markdown":
            text = _COMMENT.sub("", cell.source).strip()
            for heading, body in _sections(text):
                if heading:
                    level, title = heading
                    if level <= 2:
                        made.append(_opening(title, body, level))
                        said = []
                if body:
                    said.append(body)
                    if made:  # what is said after a figure is said while it is shown
                        made[-1].notes.append(body)
            continue
        for kind, body in _outputs(cell):
            if kind == "poll":
                question, _, answer = body.partition("<details>")
                made.append(Slide("Poll", markdown(question.replace("**Poll.** ", "", 1)), kind="poll"))
                answer = re.sub(r"<summary>.*?</summary>|</details>", "", answer).strip()
                made.append(Slide("Poll", markdown(question.replace("**Poll.** ", "", 1)), answer, kind="poll"))
                continue
            point = _point(notebook.cells[number + 1 :]) or first_sentence(said[-1] if said else "")
            made.append(Slide(title, body, point, said[-1:], kind))
    return [slide for slide in made if slide.body or slide.kind in {"title", "section"}]


def _sections(text: str) -> Iterator[tuple[tuple[int, str] | None, str]]:
    """A cell's text cut at its headings: ((level, title) or None, what stands below)."""
    found = list(_HEADING.finditer(text))
    first = found[0].start() if found else len(text)
    if text[:first].strip():
        yield None, text[:first].strip()
    for heading, following in zip(found, [*found[1:], None]):
        body = text[heading.end() : following.start() if following else len(text)].strip()
        yield (len(heading["level"]), heading["title"]), body


def _opening(title: str, body: str, level: int) -> Slide:
    """The first slide of the lecture, with its question, or of a section, with its first sentence; or the summary."""
    if level == 1:
        question = body.split("\n\n")[0].replace("**The question of this lecture.**", "").strip()
        return Slide(title, point=question, kind="title")
    points = _ITEM.findall(body) if title == "Summary" else []
    if points:
        return Slide(title, markdown("\n".join(f"1. {first_sentence(point)}" for point in points)), kind="summary")
    return Slide(title, point=first_sentence(body), kind="section")


def _outputs(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """What a cell shows that a slide can hold: ("shown", picture), ("table", table) or ("poll", its Markdown)."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "<img" in data.get("text/html", ""):
            yield "shown", _SIZED.sub(r"\1", data["text/html"])
        elif data.get("text/markdown", "").startswith("**Poll.**"):
            yield "poll", data["text/markdown"]
        elif data != NO_SLIDER and "\n| --- " in data.get("text/markdown", "") and len(data["text/markdown"]) < 2500:
            yield from _table(data["text/markdown"])


def _table(text: str) -> Iterator[tuple[str, str]]:
    """A table in large letters, or in small ones, or its rows in even shares over several slides."""
    lines = text.strip().splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("| --- ")) + 1
    end = next((number for number in range(head, len(lines)) if not lines[number].startswith("|")), len(lines))
    above, rows, below = lines[:head], lines[head:end], lines[end:]
    around = sum(_LINE * math.ceil(len(line) / 105) for line in [*above[:-2], *below] if line)
    sizes = [(kind, _heights([above[-2], *rows], letters)) for kind, letters in _LETTERS.items()]
    kind, heights = next((size for size in sizes if around + sum(size[1]) <= _ROOM), sizes[-1])
    shares = max(1, math.ceil(sum(heights[1:]) / max(_ROOM - around - heights[0], _ROOM / 4)))
    for share in range(shares):
        part = rows[len(rows) * share // shares : len(rows) * (share + 1) // shares]
        yield kind, markdown("\n".join([*above, *part, *(below if share == shares - 1 else [])]))


def _heights(rows: Sequence[str], letters: int) -> list[float]:
    """About how many pixels each row takes: a column holds its longest word, then grows with its cells."""
    width = 0.6 * letters  # of a letter in the widest of the fonts below
    cells = [[re.sub(r"[*`]", "", cell).strip() for cell in _BAR.split(row.strip())[1:-1]] for row in rows]
    columns = list(zip(*cells))
    words = [max((len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    rest = [max(max(map(len, column)) - word, 0) for column, word in zip(columns, words)]
    room = (WIDTH - 48 - 28 * len(columns)) / width - sum(words)  # letters in a row
    share = min(1.0, max(room, 0) / (sum(rest) or 1))
    wide = [word + share * more for word, more in zip(words, rest)]
    lines = [max(math.ceil(len(cell) / most - 1e-9) for cell, most in zip(row, wide)) for row in cells]
    return [1.35 * letters * max(1, number) + 9 for number in lines]


def _point(cells: Sequence[NotebookNode]) -> str:
    """The first sentence said after a figure, or nothing if something else comes before."""
    for cell in cells:
        if cell.cell_type == "code":
            if cell.get("outputs") or "hide-input" not in cell.metadata.get("tags", []):
                return ""
            continue
        text = _COMMENT.sub("", cell.source).strip()
        return "" if text.startswith("#") else first_sentence(text)
    return ""


def first_sentence(text: str) -> str:
    """The first sentences of a text, as many as a slide has room for; formulas and code stay whole.

    A last one that leads to what a slide does not have, a formula of its own or a list, is left out.
    """
    paragraph = next(
        (p for p in text.split("\n\n") if p.strip() and not p.lstrip().startswith(("$$", "|", "<", "-"))), ""
    )
    paragraph = " ".join(paragraph.split())
    chosen = ""
    sentences = _END.split(paragraph)
    if len(sentences) > 1 and sentences[-1].endswith((",", ":")):
        del sentences[-1]
    for sentence in sentences:
        if chosen and len(chosen) + len(sentence) > _LONGEST:
            break
        chosen = f"{chosen} {sentence}".strip()
    return chosen


# ------------------------------------------------------------------------------------------------------------- the page


def markdown(text: str) -> str:
    """Markdown with tables, HTML and formulas as HTML; formulas are left to MathJax."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(content: str, options: dict) -> str:
        left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
        return html.escape(f"{left}{content}{right}", quote=False)

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return reader.use(dollarmath_plugin, renderer=formula, double_inline=True).render(text)


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/reset.css">
<link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="deck.css">
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/reveal.js"></script>
<script src="reveal/notes/notes.js"></script>
<script src="mathjax/tex-chtml.js"></script>
<script>
Reveal.initialize({{
  width: {width}, height: {height}, margin: 0.03, hash: true, slideNumber: "c/t", transition: "none",
  controls: true, center: false, display: "flex", plugins: [RevealNotes], pdfSeparateFragments: false,
}});
</script>
</body>
</html>
"""


def page(notebook: NotebookNode, name: str) -> str:
    """The deck as one HTML page."""
    made = slides_of(notebook)
    title = made[0].title if made else name
    body = "\n".join(_section(slide) for slide in made)
    return _PAGE.format(title=html.escape(title), slides=body, width=WIDTH, height=HEIGHT)


def _section(slide: Slide) -> str:
    level = "h1" if slide.kind in {"title", "section"} else "h2"
    parts = [f"<{level}>{_inline(slide.title)}</{level}>"]
    if slide.body:
        parts.append(f'<div class="body">{slide.body}</div>')
    if slide.point:
        parts.append(f'<div class="point">{markdown(slide.point)}</div>')
    if slide.notes:
        parts.append(f'<aside class="notes">{markdown(chr(10).join(n + chr(10) for n in slide.notes))}</aside>')
    return f'<section class="{slide.kind}">\n' + "\n".join(parts) + "\n</section>"


def _inline(text: str) -> str:
    return re.sub(r"^<p>|</p>\s*$", "", markdown(text).strip())


_STYLE = """\
/* The course's deck: dark on white as its figures are, sized for 1280 x 720. */
body { background: white; }
.reveal { font: 26px/1.35 system-ui, "Segoe UI", Roboto, sans-serif; color: #1c1c1c; }
.reveal .slides { text-align: left; }
.reveal .slides section {
  height: 700px; width: 100%; flex-direction: column; padding: 8px 24px; box-sizing: border-box;
}
.reveal h1 { font-size: 52px; line-height: 1.15; margin: 0 0 28px; color: #0b4f83; }
.reveal h2 { font-size: 30px; line-height: 1.2; margin: 0 0 12px; color: #0b4f83; font-weight: 600; }
.reveal section.title, .reveal section.section { justify-content: center; }
.reveal .body { flex: 1 1 auto; min-height: 0; display: flex; flex-direction: column; justify-content: center; }
.reveal section.poll .body { flex: 0 1 auto; }
.reveal section.shown .body img { max-width: 100%; height: 100%; object-fit: contain; margin: 0 auto; display: block; }
.reveal .point { flex: 0 0 auto; margin-top: 10px; font-size: 25px; }
.reveal .point p, .reveal .body p { margin: 0 0 8px; }
.reveal section.title .point { font-size: 32px; }
.reveal section.poll .body, .reveal section.poll .body ul { font-size: 27px; }
.reveal section.poll ul { list-style: none; padding: 0; margin: 14px 0; }
.reveal section.poll li { margin: 8px 0; }
.reveal section.poll .point { border-left: 5px solid #1b7f4b; padding-left: 16px; }
.reveal section.summary .body { font-size: 25px; }
.reveal section.summary ol { padding-left: 1.4em; margin: 0; }
.reveal section.summary li { margin: 10px 0; }
.reveal table { border-collapse: collapse; margin: 0 auto; }
.reveal section.table .body > p { font-size: 20px; }
.reveal th, .reveal td { padding: 4px 14px; border-bottom: 1px solid #c8c8c8; text-align: left; }
.reveal code { font-family: ui-monospace, Consolas, monospace; font-size: 0.9em; background: #f1f1f1; padding: 0 4px; }
.reveal strong { font-weight: 650; }
.reveal em { font-style: italic; }
.reveal .slide-number { background: none; color: #555; font-size: 15px; }
"""


def write(notebook: NotebookNode, name: str, out: Path) -> int:
    """Write the deck with all it needs into a folder; returns the number of slides."""
    from courseware.authoring.site import mathjax_files

    out.mkdir(parents=True, exist_ok=True)
    (out / "index.html").write_text(page(notebook, name), encoding="utf-8")
    letters = [f".reveal section.{k.replace(' ', '.')} table {{ font-size: {px}px; }}\n" for k, px in _LETTERS.items()]
    (out / "deck.css").write_text("".join([_STYLE, *letters]), encoding="utf-8")
    for path, inside in [*reveal_files(), *((p, f"mathjax/{n}") for p, n in mathjax_files())]:
        (out / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / inside)
    return len(slides_of(notebook))


def reveal_files() -> Iterator[tuple[Path, str]]:
    """reveal.js out of the package sphinx-revealjs, which ships it whole; nothing else of that package is used."""
    found = importlib.util.find_spec("sphinx_revealjs")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the package sphinx-revealjs, which ships reveal.js, is not installed")
    folder = Path(next(iter(found.submodule_search_locations))) / "_static" / "revealjs"
    for name in ("reset.css", "reveal.css", "reveal.js"):
        yield folder / "dist" / name, f"reveal/{name}"
    for path in sorted((folder / "plugin" / "notes").iterdir()):
        yield path, f"reveal/notes/{path.name}"
    yield folder / "LICENSE", "reveal/LICENSE"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware slides", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NN", help="03, ...")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    chosen = select(sorted((args.root / "lectures").glob("[0-9]*.ipynb")), args.names)
    if not chosen:
        print(f"error: no lecture is called {' or '.join(args.names)}", file=sys.stderr)
        return 1
    for path in chosen:
        out = args.root / "build" / "slides" / path.stem[:2]
        count = write(nbformat.read(path, as_version=4), path.stem, out)
        print(f"{(out / 'index.html').relative_to(args.root)}: {count} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
