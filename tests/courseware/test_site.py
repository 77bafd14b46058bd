import base64
import io
import json
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

from courseware.authoring import frames, looks, site
from courseware.authoring.docstrings import to_rst
from courseware.authoring.execute import NO_SLIDER
from courseware.authoring.site import ROOT, Pages, poll_buttons

POLL = (
    "**Poll.** Which?\n\n- **A.** one\n- **B.** two\n- **C.** three\n\n"
    "<details><summary>Answer</summary>\n\n**B.** It is $2$.\n\n</details>"
)


def picture(fig=None, color="white"):
    if fig is None:
        fig = Image.new("RGB", (30, 20), color)
        buffer = io.BytesIO()
        fig.save(buffer, "png")
        return buffer.getvalue()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white")
    plt.close(fig)
    return buffer.getvalue()


def cell_with(*data):
    outputs = [nbformat.v4.new_output("display_data", data=d) for d in data]
    return nbformat.v4.new_code_cell("explore(f)", outputs=outputs, id="c1")


@pytest.fixture
def course(tmp_path):
    """A course of one lecture in a folder."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("lectures", "labs", "docs/site", "llmlib/room"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "llmlib/room/__init__.py").write_text('"""A room: what it is for.\n\nMore."""\n')
    (tmp_path / "docs/site/index.md").write_text("# Course\n\n<!-- lectures -->\n")
    (tmp_path / "docs/notation.md").write_text("# Notation\n\nSee [the tasks](../tasks.py) and [x](missing.md).\n")
    (tmp_path / "tasks.py").write_text("")
    return tmp_path


def lecture(course, *cells):
    path = course / "lectures" / "01_first.ipynb"
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    nbformat.write(notebook, path)
    return path


def html_of(pages, path):
    return [
        o.data["text/html"] for c in pages.notebook(path).cells for o in c.get("outputs", []) if "text/html" in o.data
    ]


def test_pictures_become_files_and_keep_their_alternative_text(course):
    data = picture()
    tag = (
        f'<img alt="a &quot;white&quot; box" width="20" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
    )
    path = lecture(course, cell_with({"text/html": tag, "text/plain": "a box"}))
    pages = Pages(course / "out", course)
    (shown,) = html_of(pages, path)
    (name,) = pages.files
    assert f'src="../_static/figures/{name}"' in shown and 'alt="a &quot;white&quot; box"' in shown
    assert pages.files[name] == data and "base64" not in shown
    assert site.sizes(pages, course / "out") == {"lectures/01_first.ipynb": len(data)}


def kept_frames(course, notebook, monkeypatch):
    view = {
        "controls": [
            {"label": "temperature", "kind": "slider", "values": ["0.1", "0.9"], "start": 1},
            {"label": "model", "kind": "choice", "values": ["small", "large </script>"], "start": 0},
        ],
        "frames": [{"image": f"f{i}", "alt": f"frame {i}"} for i in range(3)] + [{"text": "hot </script>", "alt": ""}],
        "play": False, "width": 20, "thinned": 90,
    }  # fmt: skip
    colors = ("white", "red", "blue")
    made = {f"f{i}": picture(color=color) for i, color in enumerate(colors)}
    monkeypatch.setattr(frames, "views_of", lambda *_: ({"c1": [view]}, made))


def test_a_slider_gets_the_browsers_own_controls_and_its_frames(course, monkeypatch):
    path = lecture(course, cell_with(NO_SLIDER))
    kept_frames(course, path, monkeypatch)
    pages = Pages(course / "out", course)
    (shown,) = html_of(pages, path)
    assert '<label for="c1-temperature-0">temperature</label><input type="range"' in shown
    assert 'max="1" step="1" value="1"' in shown and 'aria-valuetext="0.9"' in shown
    assert "<select" in shown and "<option selected>small</option>" in shown
    assert 'alt="frame 2"' in shown, "the start is the second temperature and the first model"
    assert "4 of the 90 settings" in shown
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', shown, re.DOTALL)[1])
    assert state["sizes"] == [2, 2] and state["frames"][3] == {"text": "hot </script>"}
    assert len(pages.files) == 3 and not pages.still


def test_a_slider_without_frames_says_where_it_moves(course):
    path = lecture(course, cell_with(NO_SLIDER))
    pages = Pages(course / "out", course)
    (shown,) = html_of(pages, path)
    assert "colab.research.google.com" in shown and "input" not in shown
    assert pages.still == ["01_first"]


def test_a_poll_has_a_button_for_each_letter_and_knows_the_right_one():
    shown = poll_buttons(POLL)
    assert re.findall(r">([A-F])</button>", shown) == ["A", "B", "C"]
    assert 'data-right="B"' in shown
    assert "data-right" not in poll_buttons(POLL.replace("Answer", "What to think of").replace("**B.** It", "It"))


def test_polls_keep_what_the_notebook_shows_of_them(course):
    path = lecture(course, cell_with({"text/markdown": POLL, "text/plain": "Poll. Which?"}))
    notebook = Pages(course / "out", course).notebook(path)
    assert notebook.cells[0].outputs[0].data["text/markdown"] == POLL
    assert "nt-poll" in notebook.cells[0].outputs[1].data["text/html"]


def test_links_lead_to_pages_of_the_site_or_into_the_repository(course):
    pages = Pages(course / "out", course)
    text = "[a](../lectures/01_first.ipynb) [b](../tasks.py#L3) [c](https://x.org) [d](#here) [e](gone.md)"
    lecture(course)
    made = pages.relinked(text, course / "docs" / "notation.md")
    assert "(../lectures/01_first.ipynb)" in made and "(https://x.org)" in made and "(#here)" in made
    assert f"({pages.home.url}/blob/{pages.home.ref}/tasks.py#L3)" in made
    assert "(gone.md)" in made, "Sphinx has to warn of it"


def test_the_tree_holds_every_page_and_forgets_the_ones_that_went(course, monkeypatch):
    monkeypatch.setattr(site, "mathjax_files", lambda: iter(()))
    first = nbformat.v4.new_markdown_cell("# 01 · First\n\n**The question of this lecture.** Why *this*?\n\nMore.")
    path = lecture(course, first)
    (course / "labs" / "lab01_first.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook()))
    pages = site.assemble(course / "out", course)
    api, notebooks = ["api/index.md", "api/room.md"], ["labs/lab01_first.ipynb", "lectures/01_first.ipynb"]
    assert pages.names() == [*api, "docs/notation.md", "index.md", *notebooks]
    index = (course / "out" / "index.md").read_text(encoding="utf-8")
    assert "| [01 · First](lectures/01_first.ipynb) | Why *this*? | [lab 01](labs/lab01_first.ipynb) |" in index
    for name in ("lectures/01_first", "labs/lab01_first", "docs/notation", "api/index"):
        assert f"\n{name}\n" in index
    assert "A room: what it is for." in (course / "out" / "api" / "index.md").read_text(encoding="utf-8")
    path.unlink()
    site.assemble(course / "out", course)
    assert not (course / "out" / "lectures" / "01_first.ipynb").exists()


def test_every_page_of_the_course_stands_in_one_group_of_the_index():
    docs = sorted((ROOT / "docs").rglob("*.md"))
    docs = [path for path in docs if ROOT / "docs" / "site" not in path.parents]
    index = site.index_page([], [], docs)
    for path in docs:
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        assert index.count(f"\n{name}\n") == 1, name


def test_drawings_are_turned_over_on_a_dark_page_and_maps_and_photographs_are_not():
    fig, ax = plt.subplots(figsize=(4, 2.5))
    ax.plot([1, 2, 3], color="#0072B2")
    ax.bar([0, 1], [1, 2], color="#FBE6BF")
    assert looks.kind(picture(fig)) == looks.INK
    for cmap in ("cividis", "Greys_r", "Blues"):
        fig, ax = plt.subplots(figsize=(4, 2.5))
        ax.imshow(np.add.outer(np.arange(12), np.arange(16)), cmap=cmap)
        assert looks.kind(picture(fig)) == looks.CARD, cmap
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "png")
    assert looks.kind(buffer.getvalue()) == looks.CARD


def test_docstrings_become_lists_and_their_marks_are_taken_literally():
    said = to_rst(
        ["Draw *one* of `x_1`s; see a_.", "", "a, b: what `f(x)` takes,", "  and more.", "- c: x**2", "", "    >>> 1"]
    )
    text = "\n".join(said)
    assert r"Draw \*one\* of ``x_1``\ s; see a\_." in text
    assert "- **a, b**: what ``f(x)`` takes,\n  and more." in text
    assert "\n- c: x\\*\\*2" in text
    assert "::\n\n        >>> 1" in text


def test_sphinx_reads_every_docstring_of_the_library():
    pytest.importorskip("docutils")
    import importlib
    import inspect

    from docutils.core import publish_doctree

    rooms = [f"llmlib.{path.parent.name}" for path in sorted((ROOT / "llmlib").glob("*/__init__.py"))]
    assert len(rooms) > 8
    for room in map(importlib.import_module, rooms):
        for name in getattr(room, "__all__", []):
            doc = inspect.getdoc(getattr(room, name)) if callable(getattr(room, name)) else None
            if doc:
                warnings = io.StringIO()
                publish_doctree("\n".join(to_rst(doc.splitlines())), settings_overrides={"warning_stream": warnings})
                assert not warnings.getvalue(), f"{room.__name__}.{name}: {warnings.getvalue()}"
