"""Lectures as pages and pictures, and the dispatch of commands."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from courseware import __main__ as commands
from courseware.authoring import pages
from courseware.classroom import polls

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


@pytest.fixture
def notebook(shown) -> nbformat.NotebookNode:
    polls.poll("Is it?", ["yes", "no"], "It **is**.")
    picture = new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": "One pixel."}})
    poll = new_output("display_data", data=shown[0].data)
    cell = new_code_cell("1", outputs=[picture, poll])
    return new_notebook(
        cells=[new_markdown_cell("# Title"), cell, *(new_markdown_cell("text\n\n" * 30) for _ in range(25))]
    )


def test_a_page_keeps_alt_text_and_the_folded_answer(notebook):
    html = pages.to_html(notebook)
    assert 'alt="One pixel."' in html
    assert "<details><summary>Answer</summary>" in html
    assert "It <strong>is</strong>." in html


@pytest.mark.skipif(pages.browser() is None, reason="needs Chromium or Chrome")
def test_pictures_are_as_wide_as_a_screen_and_at_most_two_screens_high(notebook, tmp_path):
    written = pages.pictures(notebook, tmp_path, pages.browser())
    assert len(written) >= 3, "at least one for every ten cells"
    sizes = [Image.open(path).size for path in written]
    assert {width for width, _ in sizes} == {1280}
    assert max(height for _, height in sizes) <= 1440


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
