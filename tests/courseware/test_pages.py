"""Lectures as pages and pictures, and the dispatch of commands."""

import re

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from courseware import __main__ as commands
from courseware.authoring import pages
from courseware.classroom import polls

PICTURE = '<img alt="One pixel." width="1" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">'


@pytest.fixture
def notebook(shown) -> nbformat.NotebookNode:
    polls.poll("Is it?", ["yes", "no"], "It **is**.")
    picture = new_output("display_data", data={"text/html": PICTURE, "text/plain": "One pixel."})
    poll = new_output("display_data", data=shown[0].data)
    folded = new_code_cell("draws = True", outputs=[picture, poll], metadata={"jupyter": {"source_hidden": True}})
    return new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            folded,
            new_code_cell("reads = True"),
            *(new_markdown_cell("text\n\n" * 30) for _ in range(9)),
        ]
    )


def test_a_page_keeps_alt_text_and_folds_answers_and_code(notebook):
    html = pages.to_html(notebook)
    assert 'alt="One pixel."' in html
    assert "<details><summary>Answer</summary>" in html and "It <strong>is</strong>." in html
    folded = re.search(r'<details class="folded-code">.*?</details>', html, re.DOTALL)[0]
    assert "draws" in folded and html.count('<details class="folded-code">') == 1
    assert "reads" not in folded and "reads" in html


def test_a_page_comes_in_light_and_dark(notebook):
    assert 'data-jp-theme-light="true"' in pages.to_html(notebook)
    assert 'data-jp-theme-light="false"' in pages.to_html(notebook, "dark")


@pytest.mark.skipif(pages.browser() is None, reason="needs Chromium or Chrome")
def test_every_picture_is_one_screen(notebook, tmp_path):
    written = pages.screens(notebook, tmp_path, pages.browser(), "dark")
    sizes = [Image.open(path).size for path in written]
    assert len(written) >= 5 and set(sizes) == {(1280, 720)}
    assert [path.name for path in written] == sorted(path.name for path in tmp_path.iterdir())
    assert written[0].name == "dark_00_from_cell_00.png"
    corner = Image.open(written[0]).convert("RGB").getpixel((1279, 719))
    assert max(corner) < 60, "dark"
    assert len(pages.screens(notebook, tmp_path, pages.browser(), cells=range(0, 1))) == 1


def rows(*used: tuple[int, int], height: int) -> np.ndarray:
    plain = np.ones(height, dtype=bool)
    for top, bottom in used:
        plain[top:bottom] = False
    return plain


def test_screens_are_cut_where_nothing_is():
    assert pages.cuts(rows((5, 60), (70, 95), (100, 130), height=140), 100) == [(5, 99), (100, 130)]
    assert pages.cuts(rows((0, 250), height=300), 100) == [(0, 100), (100, 200), (200, 250)], "taller than a screen"
    assert pages.cuts(rows(height=50), 100) == []
    assert pages.cuts(rows((0, 30), (40, 120), height=140), 100) == [(0, 39), (40, 120)], "a figure is not cut in two"


def test_an_unknown_lecture_is_an_error(course, capsys):
    assert pages.main(["55", "--root", str(course)]) == 1
    assert "no lecture is called 55" in capsys.readouterr().err


def test_commands_are_listed_and_dispatched(course, capsys):
    assert commands.main([]) == 0
    listed = capsys.readouterr().out
    assert [name for name in commands.COMMANDS if name not in listed] == []
    assert commands.main(["bulid"]) == 2
    assert "unknown command 'bulid'" in capsys.readouterr().err
    assert commands.main(["build", "--root", str(course)]) == 0
    assert (course / "labs" / "lab90_waves.ipynb").exists()
