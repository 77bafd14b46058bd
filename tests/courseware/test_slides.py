import re

import nbformat
import pytest

from courseware.authoring import slides
from courseware.authoring.slides import first_sentence, slides_of

text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
PICTURE = '<img alt="a curve" width="691" src="data:image/png;base64,AAAA">'


def shown(*data, tags=()):
    outputs = [nbformat.v4.new_output("display_data", data=d) for d in data]
    return code("show(fig)", outputs=outputs, metadata={"tags": list(tags)})


@pytest.fixture
def deck():
    return nbformat.v4.new_notebook(
        cells=[
            text("# 09 · Memorise?\n\n**The question of this lecture.** Has it *learned*?\n\nMore."),
            text("## I. Heart\n\nA table of sums. It is small."),
            code("x = 1"),
            shown({"text/html": PICTURE, "text/plain": "a curve"}, tags=["hide-input"]),
            text("First by heart. <!-- keeps: 09-x --> Then by rule, with $p = 1$.\n\nAnd a second paragraph."),
            shown(
                {
                    "text/markdown": "**Poll.** Which?\n\n- **A.** one\n- **B.** two\n\n"
                    "<details><summary>Answer</summary>\n\n**B.** Since.\n\n</details>"
                }
            ),
            shown({"text/markdown": "*recorded*\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"}),
        ]
    )


def test_each_figure_table_and_poll_is_a_slide_under_its_heading(deck):
    made = slides_of(deck)
    assert [slide.kind for slide in made] == ["title", "section", "shown", "poll", "poll", "table"]
    assert made[0].title == "09 · Memorise?" and made[0].point == "Has it *learned*?"
    assert made[2].title == "I. Heart" and 'alt="a curve"' in made[2].body and "width" not in made[2].body
    assert made[5].title == "I. Heart" and "<td>1</td>" in made[5].body


def test_the_point_is_what_is_said_first_of_the_figure(deck):
    assert slides_of(deck)[2].point == "First by heart. Then by rule, with $p = 1$."


def test_the_prose_is_in_the_speaker_notes(deck):
    notes = "\n".join(slides_of(deck)[2].notes)
    assert "A table of sums." in notes and "And a second paragraph." in notes and "<!--" not in notes


def test_the_summarys_points_are_one_slide_a_sentence_each():
    said = "## Summary\n\n1. A sum is *small*. " + "Long. " * 60 + "\n2. Then, $p = 1$.\n\n**Still open.** Why?"
    (made,) = slides_of(nbformat.v4.new_notebook(cells=[text(said)]))
    assert made.kind == "summary" and made.body.count("<li>") == 2 and not made.point
    assert "<em>small</em>" in made.body and r"\(p = 1\)" in made.body and "Still open" not in made.body
    assert len(made.body) < 400 and "Still open" in made.notes[0]


def test_a_polls_answer_is_on_the_second_of_its_slides_alone(deck):
    asked, answered = slides_of(deck)[3:5]
    assert "Since" not in asked.body + asked.point and asked.body == answered.body
    assert answered.point == "**B.** Since."


def test_a_point_ends_with_a_sentence_and_is_never_a_formula_alone():
    long = "One is short. " + "Word " * 60 + "end. Last."
    assert first_sentence(long) == "One is short."
    assert first_sentence("$$x = 1$$\n\nThen this.") == "Then this."
    assert first_sentence("One. Such a forecast is calibrated: with $c$ its confidence,\n\n$$p = c$$") == "One."
    assert first_sentence("A hundred thousand vectors:\n\n- one") == "A hundred thousand vectors:"


def test_the_page_loads_nothing_from_elsewhere_and_leaves_formulas_to_mathjax(deck):
    page = slides.page(deck, "09")
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert r"\(p = 1\)" in page and page.count("<section") == 6 and page.count("</section>") == 6


def test_a_deck_has_every_file_that_its_page_names(deck, tmp_path):
    pytest.importorskip("mathjax")
    pytest.importorskip("sphinx_revealjs")
    assert slides.write(deck, "09", tmp_path) == 6
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert len(named) >= 5
    assert all((tmp_path / name).is_file() for name in named)


def test_every_lecture_makes_a_deck():
    paths = sorted((slides.ROOT / "lectures").glob("[0-9]*.ipynb"))
    assert paths
    for path in paths:
        made = slides_of(nbformat.read(path, as_version=4))
        assert made[0].kind == "title" and sum(slide.kind == "shown" for slide in made) >= 4, path.name


def table(rows, words="word " * 5):
    lines = "".join(f"\n| {n} | {words} |" for n in range(rows))
    return {"text/markdown": f"*recorded*\n\n| n | text |\n| --- | --- |{lines}\n\nbelow"}


@pytest.mark.parametrize(
    ("rows", "kinds"), [(8, ["table"]), (10, ["table wide"]), (12, ["table long"]), (24, ["table long"] * 2)]
)
def test_a_table_gets_smaller_letters_and_then_more_slides(rows, kinds):
    made = slides_of(nbformat.v4.new_notebook(cells=[text("## I. Heart\n\nA table."), shown(table(rows))]))[1:]
    assert [slide.kind for slide in made] == kinds
    assert re.findall(r"<td>(\d+)</td>", "".join(slide.body for slide in made)) == [str(n) for n in range(rows)]
    assert all("<th>text</th>" in slide.body and "recorded" in slide.body for slide in made)
    assert ["below" in slide.body for slide in made] == [False] * (len(kinds) - 1) + [True]


def test_a_table_is_kept_whatever_is_said_around_it():
    said = {"text/markdown": f"{'A long caption. ' * 110}\n\n| n |\n| --- |\n| 7 |"}
    made = slides_of(nbformat.v4.new_notebook(cells=[text("## I. Heart\n\nA table."), shown(said)]))[1:]
    assert len(made) == 1 and "<td>7</td>" in made[0].body


def test_a_long_cell_counts_with_the_lines_it_takes():
    made = slides_of(nbformat.v4.new_notebook(cells=[text("## I. Heart\n\nA."), shown(table(4, "word " * 60))]))[1:]
    assert [slide.kind for slide in made] == ["table wide"]  # of four short rows: "table"
