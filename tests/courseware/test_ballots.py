"""Votes of a class: counted through the fields, kept in a file that only a count writes, compared with intervals."""

import gc
import json
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from courseware import Ballot
from courseware.authoring import execute
from courseware.classroom import ballots, pictures, polls

QUESTION, OPTIONS = "Is scale all we need?", ["yes", "mostly", "no"]


@pytest.fixture
def pages(shown, monkeypatch) -> list:
    """What was displayed, in order."""
    monkeypatch.setattr(ballots, "display", pictures.display)
    return shown


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage of other tests is finalised at the bottom of a hundred thousand brackets, where that would fail."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def ballot(pages, tmp_path) -> Ballot:
    return Ballot(QUESTION, OPTIONS, folder=tmp_path)


def counters(pages) -> SimpleNamespace:
    """The fields and the line of the vote shown last."""
    row, line = pages[-1].widget.children
    return SimpleNamespace(fields=row.children, line=line)


def cast(ballot, pages, name: str, votes: list[int]) -> SimpleNamespace:
    """Show a round and enter the hands."""
    ballot.vote(name)
    live = counters(pages)
    for field, n in zip(live.fields, votes):
        field.value = n
    return live


def text(page) -> str:
    return page.data["text/markdown"]


# ---------------------------------------------------------------------------------------------------------- the page


def test_the_page_reads_well_without_a_kernel(ballot, pages, tmp_path):
    ballot.vote("after: compute")
    static = pages[0]
    assert text(static).startswith(
        "**Vote (after: compute).** Is scale all we need?\n\n- **A.** yes\n- **B.** mostly\n"
    )
    assert text(static).endswith("*A show of hands. When this cell is run, a counter for each option appears below.*")
    assert static.data["text/plain"] == ("Vote (after: compute). Is scale all we need?\n  A. yes\n  B. mostly\n  C. no")
    ballot.shift()
    assert text(pages[-1]) == "*The shift is drawn here once two rounds hold votes; so far none does.*"
    assert os.listdir(tmp_path) == [], "showing is not voting"


def test_kept_votes_do_not_show_in_the_static_part(ballot, pages, tmp_path):
    ballot.vote("before")
    empty = pages[0].data
    cast(ballot, pages, "before", [7, 3, 2])
    Ballot(QUESTION, OPTIONS, folder=tmp_path).vote("before")
    assert pages[-2].data == empty


def test_a_lecture_that_is_merely_run_writes_nothing_and_looks_the_same_twice():
    cells = [
        "from courseware import Ballot",
        f"ballot = Ballot({QUESTION!r}, {OPTIONS!r})\nballot",
        "ballot.vote('before')",
        "ballot.vote('after')",
        "ballot.shift()\nballot.clear()",
        "import os\nprint(ballot.counts, os.listdir())",
    ]

    def executed():
        notebook = new_notebook(cells=[new_code_cell(cell, id=f"c{i}") for i, cell in enumerate(cells)])
        execute.run(notebook)
        return notebook

    first = executed()
    assert first == executed()
    nothing = {"yes": 0, "mostly": 0, "no": 0}
    assert first.cells[-1].outputs[0].text == f"{ {'before': nothing, 'after': nothing} } []\n"
    assert [len(cell.outputs) for cell in first.cells] == [0, 1, 1, 1, 1, 1], "the fields are gone, the text stays"


def test_a_console_sees_the_ballot_as_text(ballot, pages):
    cast(ballot, pages, "before", [3, 1, 0])
    assert repr(ballot).splitlines() == [
        "Ballot: Is scale all we need?",
        "  A. yes",
        "  B. mostly",
        "  C. no",
        "  before: 4 votes: A 75 %, B 25 %, C 0 %",
    ]


def test_a_vote_is_not_taken_for_a_poll():
    code = "ballot.vote('before')"
    assert polls.poll_arguments(code) is None and polls.sealed_poll(code) == code


# ---------------------------------------------------------------------------------------------------------- counting


def test_hands_are_counted_in_fields_and_a_line_says_what_they_come_to(ballot, pages):
    live = cast(ballot, pages, "before", [6, 3, 3])
    assert [field.description for field in live.fields] == ["A", "B", "C"]
    assert ballot.counts == {"before": {"yes": 6, "mostly": 3, "no": 3}}
    assert live.line.value.startswith("12 votes: A 50 %, B 25 %, C 25 %; kept in votes-is-scale-all-we-need-")
    live.fields[0].value -= 6
    assert ballot.counts["before"]["yes"] == 0 and live.line.value.startswith("6 votes: A 0 %")


def test_rounds_keep_the_order_in_which_they_were_shown(ballot, pages, tmp_path):
    ballot.vote("before")
    early = counters(pages)
    cast(ballot, pages, "after", [1, 0, 0])
    early.fields[1].value = 1
    assert list(ballot.counts) == ["before", "after"]
    assert list(Ballot(QUESTION, OPTIONS, folder=tmp_path).counts) == ["before", "after"]


def test_a_round_shown_again_goes_on_where_it_was(ballot, pages):
    cast(ballot, pages, "before", [6, 3, 3])
    ballot.vote("before")
    assert [field.value for field in counters(pages).fields] == [6, 3, 3]


def test_clearing_starts_anew_everywhere(ballot, pages, tmp_path):
    live = cast(ballot, pages, "before", [6, 3, 3])
    ballot.clear()
    assert [field.value for field in live.fields] == [0, 0, 0] and live.line.value == "no votes yet"
    assert ballot.counts == {"before": dict.fromkeys(OPTIONS, 0)}
    assert sum(Ballot(QUESTION, OPTIONS, folder=tmp_path).counts["before"].values()) == 0
    live.fields[2].value = 2
    assert ballot.counts["before"] == {"yes": 0, "mostly": 0, "no": 2}


# ----------------------------------------------------------------------------------------------------------- keeping


def test_votes_outlive_the_kernel(ballot, pages, tmp_path):
    cast(ballot, pages, "before", [6, 3, 3])
    (path,) = tmp_path.iterdir()
    assert path.name == ballots.file_name(QUESTION)
    assert json.loads(path.read_text()) == {"question": QUESTION, "options": OPTIONS, "rounds": {"before": [6, 3, 3]}}
    again = Ballot(QUESTION, OPTIONS, folder=tmp_path)
    assert again.counts == ballot.counts
    again.vote("before")
    assert [field.value for field in counters(pages).fields] == [6, 3, 3]


def test_a_ballot_made_twice_counts_as_one(ballot, pages, tmp_path):
    """Running the cell that makes it again leaves fields of the earlier one on the page."""
    early = cast(ballot, pages, "before", [6, 3, 3])
    again = Ballot(QUESTION, OPTIONS, folder=tmp_path)
    cast(again, pages, "after", [1, 1, 10])
    early.fields[0].value = 7
    assert (
        again.counts
        == ballot.counts
        == {
            "before": {"yes": 7, "mostly": 3, "no": 3},
            "after": {"yes": 1, "mostly": 1, "no": 10},
        }
    )


def test_two_questions_have_two_files(tmp_path):
    long = "A question that is the same for longer than any name of a file should be, "
    assert len({ballots.file_name(q) for q in (QUESTION, long + "one?", long + "two?", "是吗?", "好吗?")}) == 5
    assert all(len(ballots.file_name(q)) < 60 and ballots.file_name(q).isascii() for q in (long, "是吗?"))


GOOD = {"question": QUESTION, "options": OPTIONS, "rounds": {"before": [6, 3, 3]}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        (b"\xff\xfe", "damaged"),
        (json.dumps({"rounds": {}}), "damaged"),
        (json.dumps(GOOD | {"rounds": [1, 2]}), "damaged"),
        (json.dumps(GOOD | {"rounds": {"before": [6, 3]}}), "round 'before'"),
        (json.dumps(GOOD | {"rounds": {"before": [6, 3, -1]}}), "round 'before'"),
        (json.dumps(GOOD | {"rounds": {"before": [6, 3, True]}}), "round 'before'"),
        (json.dumps(GOOD | {"rounds": {"before": "639"}}), "round 'before'"),
        (json.dumps(GOOD | {"options": ["yes", "no", "mostly"]}), "options="),
        (json.dumps(GOOD | {"options": 3}), "damaged"),
        (json.dumps(GOOD | {"question": "Who?"}), "question="),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_and_stays(no_collection, ballot, pages, tmp_path, content, says):
    ballot.vote("before")
    live = counters(pages)
    live.fields[0].value = 6
    path = tmp_path / ballots.file_name(QUESTION)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    for attempt in (lambda: Ballot(QUESTION, OPTIONS, folder=tmp_path), ballot.clear, ballot.shift):
        with pytest.raises(ValueError, match=f"{says}.*move it elsewhere to start anew"):
            attempt()
    live.fields[1].value = 5
    assert live.line.value.startswith("not counted: ") and path.name in live.line.value
    assert [field.value for field in live.fields] == [6, 0, 0]
    assert path.read_bytes() == data


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / ballots.file_name(QUESTION)).mkdir()
    with pytest.raises(ValueError, match="cannot be read"):
        Ballot(QUESTION, OPTIONS, folder=tmp_path)


def test_where_nothing_can_be_written_votes_are_counted_and_the_line_says_so(ballot, pages, monkeypatch, tmp_path):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    live = cast(ballot, pages, "before", [1, 0, 0])
    with monkeypatch.context() as patch:
        patch.setattr(ballots, "write_file", refuse)
        live.fields[0].value = 2
        live.fields[2].value = 4
    assert "NOT kept in votes-" in live.line.value and "Permission denied" in live.line.value
    assert str(tmp_path) not in live.line.value
    assert ballot.counts["before"] == {"yes": 2, "mostly": 0, "no": 4}
    live.fields[1].value = 1
    assert "; kept in" in live.line.value
    assert Ballot(QUESTION, OPTIONS, folder=tmp_path).counts == ballot.counts


# --------------------------------------------------------------------------------------------------------- the shift


def test_the_shift_needs_two_rounds_with_votes(ballot, pages):
    cast(ballot, pages, "before", [6, 3, 3])
    ballot.vote("skipped")
    ballot.shift()
    assert "so far one does" in text(pages[-1])


def test_the_shift_draws_shares_and_wilson_intervals(ballot, pages, monkeypatch):
    drawn = {}
    monkeypatch.setattr(ballots, "show", lambda fig, alt: drawn.update(fig=fig, alt=alt))
    cast(ballot, pages, "before", [5, 5, 0])
    ballot.vote("skipped")
    cast(ballot, pages, "after: compute", [0, 12, 0])
    ballot.shift()
    # For 5 of 10 Wilson's interval is 1/2 -+ z / (2 sqrt(10 + z^2)); for 0 of n it ends at z^2 / (n + z^2).
    z = 1.96
    half = z / (2 * (10 + z * z) ** 0.5)
    ends = {
        "before A": (0.5 - half, 0.5 + half),
        "before C": (0, z * z / (10 + z * z)),
        "after A": (0, z * z / (12 + z * z)),
        "after B": (12 / (12 + z * z), 1),
    }
    assert [round(100 * x) for x in ends["before A"]] == [24, 76] and round(100 * ends["before C"][1]) == 28
    assert drawn["alt"] == (
        "Is scale all we need? (A: yes; B: mostly; C: no.) Shares with 95 % intervals, by round: "
        "before, 10 votes: A 50 % (24 to 76), B 50 % (24 to 76), C 0 % (0 to 28); "
        "after: compute, 12 votes: A 0 % (0 to 24), B 100 % (76 to 100), C 0 % (0 to 24)."
    )
    (axes,) = drawn["fig"].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["before\n(n = 10)", "after: compute\n(n = 12)"]
    assert [
        list(line.get_ydata())
        for line in axes.lines
        if len(line.get_ydata()) == 2 and line.get_label() in ("A. yes", "B. mostly", "C. no")
    ] == [[50, 0], [50, 100], [0, 0]]
    whiskers = [container.lines[2][0].get_segments() for container in axes.containers]
    for name, option, place in (("before A", 0, 0), ("before C", 2, 0), ("after A", 0, 1), ("after B", 1, 1)):
        low, high = whiskers[option][place][:, 1] / 100
        assert (low, high) == pytest.approx(ends[name], abs=1e-9)


def test_the_shift_is_a_picture_with_words(ballot, pages):
    cast(ballot, pages, "before", [5, 5, 0])
    cast(ballot, pages, "costs $5, not $6", [1, 1, 8])
    ballot.shift()
    assert pages[-1].data["text/html"].startswith('<img alt="Is scale all we need? (A: yes;')
    assert "costs $5, not $6, 10 votes: A 10 %" in pages[-1].data["text/plain"]


def test_formulas_and_long_options_are_drawn_by_their_letter(pages, monkeypatch, tmp_path):
    drawn = {}
    monkeypatch.setattr(ballots, "show", lambda fig, alt: drawn.update(fig=fig))
    options = ["$L \\propto C^{-\\alpha}$", "one that is longer than a label may be", "`few`"]
    ballot = Ballot("Is $L$ all?", options, folder=tmp_path)
    cast(ballot, pages, "before", [1, 1, 1])
    cast(ballot, pages, "after", [1, 1, 2])
    ballot.shift()
    (axes,) = drawn["fig"].axes
    assert [line.get_label() for line in axes.lines if line.get_label()[0] in "ABC"] == ["A", "B", "C. few"]
    assert axes.get_title() == ""


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("", OPTIONS), "question=''.*give the text"),
        ((3, OPTIONS), "question=3"),
        ((QUESTION, "yes"), "options='yes': give a list of texts"),
        ((QUESTION, 3), "options=3: give a list of texts"),
        ((QUESTION, ["yes", " "]), r"options=\['yes', ' '\]: give a list"),
        ((QUESTION, ["yes"]), r"options=\['yes'\].*two to six different"),
        ((QUESTION, ["yes", "yes"]), "two to six different"),
        ((QUESTION, list("abcdefg")), "two to six different"),
    ],
)
def test_a_ballot_needs_a_question_and_different_options(arguments, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        Ballot(*arguments, folder=tmp_path)


def test_a_ballot_needs_a_folder_that_is_there(tmp_path):
    with pytest.raises(ValueError, match=r"folder='.*none' is not there: make it"):
        Ballot(QUESTION, OPTIONS, folder=tmp_path / "none")


@pytest.mark.parametrize("name", ["", "  ", None, 1])
def test_a_round_needs_a_name(ballot, name):
    with pytest.raises(ValueError, match=r"name=.*name the round, such as 'before'"):
        ballot.vote(name)
