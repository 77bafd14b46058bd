"""What a notebook folds away, and that adopting gives back what the author wrote."""

import nbformat
import pytest

from courseware.authoring import folding
from courseware.authoring.stubs import BuildError


def code(source: str, *tags: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


@pytest.mark.parametrize(
    ("cell", "folded"),
    [
        (code("curves(x, alt='a')", "figure"), True),
        (code("d = Diagram()", "diagram"), True),
        (code("poll('Q', ['a', 'b'], 'Since a.')"), True),
        (code("claims_table([])"), True),
        (code("ballot.vote('before')"), True),
        (code("models_ballot.shift()"), True),
        (code("answers.vote(3)"), False),
        (code("x = 1"), False),
        (code("x = 1", "other"), False),
    ],
)
def test_what_only_draws_or_holds_answers_is_folded(cell, folded):
    folding.prepare(cell, "here")
    assert (cell.metadata.get("jupyter") == {"source_hidden": True}) == folded, "JupyterLab"
    assert (cell.metadata.get("cellView") == "form") == folded, "Colab"
    assert ("hide-input" in cell.metadata.get("tags", [])) == folded, "the site"


@pytest.mark.parametrize(
    "cell",
    [
        code("curves(x, alt='a')", "figure"),
        code("poll('Q',\n     ['a', 'b'], 'Since a.')"),
        code("x = 1"),
        nbformat.v4.new_markdown_cell("before\n\n<!-- sources: hlt, day24 -->\n\nafter"),
    ],
)
def test_restoring_undoes_preparing(cell):
    before = nbformat.from_dict(cell)
    folding.prepare(cell, "here")
    folding.restore(cell, "here")
    assert cell == before


def test_a_notebook_does_not_hold_the_answer_of_its_poll():
    cell = code("poll('Q', ['right', 'wrong'], 'Since it is.')")
    folding.prepare(cell, "here")
    assert "Since" not in cell.source and "'right'" in cell.source


def test_an_edited_sealed_poll_is_refused():
    cell = code("poll('Q', ['right', 'wrong'], 'Since it is.')")
    folding.prepare(cell, "here")
    cell.source = cell.source.replace("'wrong'", "'left'")
    with pytest.raises(BuildError, match="there: a sealed poll was edited"):
        folding.restore(cell, "there")


def test_sources_are_named_in_a_box():
    cell = nbformat.v4.new_markdown_cell("<!-- sources: hlt -->")
    folding.prepare(cell, "here")
    assert "> - **HLT**: *Scaling Large Language Models* (Introduction to HLT, Daniel Khashabi, December 2023)" in (
        cell.source
    )
    with pytest.raises(BuildError, match="choose from day24, analytics, 11785, hlt"):
        folding.prepare(nbformat.v4.new_markdown_cell("<!-- sources: J -->"), "here")
    with pytest.raises(BuildError, match="at least one"):
        folding.prepare(nbformat.v4.new_markdown_cell("<!-- sources: -->"), "here")
