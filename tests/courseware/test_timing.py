"""Minutes by the rule, and what a lecture's opening says of them."""

import nbformat
import pytest

from courseware.authoring import timing
from courseware.authoring.build import read_source

WORDS = "word " * 130  # one minute


def notebook(*cells) -> nbformat.NotebookNode:
    make = {"md": nbformat.v4.new_markdown_cell, "py": nbformat.v4.new_code_cell}
    return nbformat.v4.new_notebook(cells=[make[kind](source) for kind, source in cells])


def minutes(*cells) -> tuple[float, float]:
    return timing.total(timing.sections(notebook(*cells)))


def test_prose_code_and_what_code_shows_have_their_minutes():
    assert minutes(("md", WORDS)) == pytest.approx((1, 0))
    assert minutes(("py", "x = 1\n\ny = 2")) == pytest.approx((timing.CODE_CELL + 2 * timing.CODE_LINE, 0))
    assert minutes(("py", 'poll("Q", ["a", "b"], "Since a.")')) == pytest.approx((timing.POLL, 0)), "its code is folded"
    assert minutes(("py", 'ballot.vote("before")')) == pytest.approx((timing.POLL, 0)), "a vote is a poll"
    assert minutes(("py", "ballot.shift()")) == pytest.approx((timing.FIGURE, 0))
    assert minutes(("py", "claims_table([])")) == pytest.approx((timing.CLAIMS, 0))
    shown = timing.CODE_CELL + 2 * timing.CODE_LINE + timing.VIEW
    assert minutes(("py", "def f(k): ...\nexplore(f, k=(0, 1, 1))")) == pytest.approx((shown, 0))
    assert minutes(("py", "import math\nfrom courseware import show")) == (0, 0)


def test_the_code_of_a_figure_is_not_read():
    page = notebook(("py", "curves(losses, alt='They fall.')"), ("py", "d = 1\nd.show(alt='A box.')"))
    page.cells[0].metadata["tags"] = ["figure"]
    page.cells[1].metadata["tags"] = ["diagram"]
    assert timing.total(timing.sections(page)) == pytest.approx((2 * timing.FIGURE, 0))


def test_an_optional_heading_takes_all_below_it_and_ends_with_its_peer():
    cells = [("md", f"## I\n{WORDS}\n### More (*optional*)\n{WORDS}\n### Core again\n{WORDS}")]
    cells += [("md", f"## II (*optional*)\n{WORDS}\n### Below\n{WORDS}"), ("md", f"## III\n{WORDS}")]
    core, optional = minutes(*cells)
    assert core == pytest.approx(3, abs=0.05) and optional == pytest.approx(3, abs=0.1)


def test_exercises_reading_comments_answers_and_fenced_headings_take_no_class_time():
    assert minutes(("md", f"## Exercises\n{WORDS}"), ("md", f"## Further reading\n{WORDS}"))[0] == 0
    assert timing.words("one <!-- two three --> <details>four</details> [five](six) $x + y$") == 3
    assert len(timing.sections(notebook(("md", f"```\n# a comment\n```\n{WORDS}")))) == 1


def lecture(tmp_path, opening: str, minutes_of_prose: int):
    path = tmp_path / "90_time.py"
    path.write_text(f"# %% [markdown]\n# # 90\n# {opening}\n\n# %% [markdown]\n# {WORDS * minutes_of_prose}\n")
    return path


@pytest.mark.parametrize(
    ("opening", "length", "wrong"),
    [
        ("**Time:** core 50 minutes, optional 0 minutes; one class.", 50, ""),
        ("**Time:** core 50 minutes; one class.", 57, "says 50 minutes for the core, the rule gives 57"),
        ("**Time:** core 90 minutes; one class.", 90, "core takes 90 minutes and has 1 x 75"),
        ("**Time:** core 90 minutes; two classes.", 90, ""),
        ("about an hour", 60, "states no time; write '**Time:** core 60 minutes"),
        ("**Time:** core 50 minutes, optional 9 minutes", 50, "says 9 minutes for the optional parts"),
    ],
)
def test_an_opening_states_what_the_rule_gives(tmp_path, opening, length, wrong):
    found = timing.problems(lecture(tmp_path, opening, length))
    assert (found == []) if not wrong else any(wrong in line for line in found), found


def test_the_command_lists_sections_and_fails_on_disagreement(course, capsys):
    assert timing.main(["90", "--root", str(course)]) == 1
    printed = capsys.readouterr().out
    assert "90_waves: core" in printed and "states no time" in printed
    assert read_source(course / "lectures" / "source" / "90_waves.py").cells
