"""Twenty sound items, a score that cannot be fooled, a gain with an interval, a form that writes only when asked."""

import json
from types import SimpleNamespace

import ipywidgets as widgets
import pytest

from courseware.classroom import concept_test
from courseware.classroom.concept_test import (
    ITEMS,
    LETTERS,
    feedback,
    gain_interval,
    keep,
    kept,
    normalised_gain,
    score,
)

ALL_RIGHT = {item.id: item.answer for item in ITEMS}
ALL_A = dict.fromkeys(ALL_RIGHT, "A")


@pytest.fixture
def outputs(monkeypatch) -> list:
    """What the test displayed, in order: the MIME bundle of texts, or the widget."""
    found: list = []
    monkeypatch.setattr(concept_test, "display", lambda thing, raw=False: found.append(thing))
    monkeypatch.setattr(concept_test, "_SESSION", {})
    return found


def form(outputs, kind=None) -> SimpleNamespace:
    """The controls of the displayed form."""
    boxes = [thing for thing in outputs if isinstance(thing, widgets.VBox)]
    *rest, button, result = boxes[-1].children
    sheet = [buttons for box in boxes[:-1] for buttons in box.children]
    return SimpleNamespace(
        sheet=sheet, when=rest[0], save=rest[1] if len(rest) > 1 else None, button=button, result=result
    )


# ------------------------------------------------------------------------------------------------------------ items


def test_there_are_twenty_items_with_ids_of_their_own():
    assert len(ITEMS) == len({item.id for item in ITEMS}) == len({item.question for item in ITEMS}) == 20


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_item_is_complete(item):
    assert len(item.options) == len(set(item.options)) == 4
    assert item.answer in LETTERS and len(item.answer) == 1
    assert item.lecture in {f"{n:02}" for n in range(21)}
    assert 20 < len(item.explanation) <= 170, "one line"
    assert not item.explanation.startswith(item.options[LETTERS.index(item.answer)])
    assert all(mark not in text for text in (item.question, *item.options) for mark in "$<>&*_`")  # text and HTML alike


def test_answers_cannot_be_guessed_from_their_letter_or_length():
    letters = [item.answer for item in ITEMS]
    assert {letters.count(letter) for letter in LETTERS} == {5}
    assert all(len(set(run)) > 1 for run in zip(letters, letters[1:], letters[2:]))
    longest = [item for item in ITEMS if max(item.options, key=len) == item.options[LETTERS.index(item.answer)]]
    assert 2 <= len(longest) <= 8


def test_items_cover_the_course_in_four_parts_of_five():
    assert [len(items) for items in concept_test.by_part().values()] == [5, 5, 5, 5]
    assert [item for items in concept_test.by_part().values() for item in items] == list(ITEMS)
    assert len({item.lecture for item in ITEMS}) >= 14


# ---------------------------------------------------------------------------------------------------------- scoring


def test_score_counts_right_answers_by_part():
    assert score(ALL_RIGHT).right == 20 and score(ALL_RIGHT).missed == ()
    assert score({}).right == 0 and score({}).fraction == 0
    assert score(ALL_A).right == 5, "guessing one letter earns what chance earns"
    one_wrong = score(ALL_RIGHT | {"kv-cache": "A"})
    assert (one_wrong.right, one_wrong.fraction) == (19, 0.95)
    assert one_wrong.parts["Inside the model"] == (4, 5) and one_wrong.parts["Training"] == (5, 5)
    assert [item.id for item in one_wrong.missed] == ["kv-cache"]


def test_not_knowing_is_not_right():
    assert score(ALL_RIGHT | {"kv-cache": None}).right == 19


@pytest.mark.parametrize(
    "answers", [{"no-such-item": "A"}, {"kv-cache": "E"}, {"kv-cache": "AB"}, {"kv-cache": ""}, {"kv-cache": 1}]
)
def test_mistyped_answers_are_refused(answers):
    with pytest.raises(ValueError, match=next(iter(answers))):
        score(answers)


def test_gain_is_the_share_of_the_possible_that_was_learned():
    assert normalised_gain([0.4], [0.7]) == pytest.approx(0.5)
    assert normalised_gain([0.2, 0.6], [0.8, 0.6]) == pytest.approx(0.5), "of the class means, not the mean of gains"
    assert normalised_gain([0.5, 0.5], [0.25, 0.5]) == pytest.approx(-0.25)
    assert normalised_gain([0.3, 0.9], [1.0, 1.0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([0.5], [0.5, 0.6], "1 and 2"),
        ([], [], "one fraction per student"),
        ([11], [15], "fractions from 0 to 1"),
        ([float("nan")], [0.5], "fractions from 0 to 1"),
        ([-0.1], [0.5], "fractions from 0 to 1"),
        ([1, 1], [1, 1], "no gain to measure"),
    ],
)
def test_gain_of_nonsense_is_refused(before, after, message):
    with pytest.raises(ValueError, match=message):
        normalised_gain(before, after)


def test_gain_interval_holds_the_gain_and_narrows_with_the_class():
    before, after = [0.3, 0.5, 0.4, 0.6], [0.5, 0.9, 0.5, 0.8]
    low, high = gain_interval(before, after)
    assert low < normalised_gain(before, after) < high
    low_large, high_large = gain_interval(before * 10, after * 10)
    assert high_large - low_large < (high - low) / 2
    assert gain_interval(before, after) == (low, high)


# ---------------------------------------------------------------------------------------------------- kept answers


def test_kept_answers_come_back_the_latest_of_each(tmp_path):
    folder = tmp_path / "work"
    keep({}, "before", folder)
    keep(ALL_A, "before", folder)
    path = keep(ALL_RIGHT, "after", folder)
    assert path == folder / "concept_test.jsonl"
    assert kept(path) == {"before": ALL_A, "after": ALL_RIGHT}


def test_nothing_kept_is_no_error(tmp_path):
    assert kept(tmp_path / "none.jsonl") == {}


def test_only_before_and_after_can_be_kept(tmp_path):
    with pytest.raises(ValueError, match="when='later'"):
        keep(ALL_A, "later", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        '{"when": "before"}',
        '{"when": "x", "answers": {}}',
        '{"when": "after", "answers": {"kv-cache": "Z"}}',
        '{"when": "after", "answers": 3}',
    ],
)
def test_a_file_that_was_tampered_with_is_named_with_its_line(tmp_path, line):
    path = keep(ALL_A, "before", tmp_path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"concept_test\.jsonl, line 2"):
        kept(path)


def test_work_folder_is_the_git_ignored_one_of_this_copy():
    root = concept_test.work_folder().parent
    assert (root / "tasks.py").exists()
    assert "work/" in (root / ".gitignore").read_text().split()


# --------------------------------------------------------------------------------------------------------- the form


def test_static_version_shows_all_questions_and_folds_all_answers(outputs, tmp_path):
    concept_test.show_concept_test(tmp_path)
    *questions, fold = [thing["text/markdown"] for thing in outputs if isinstance(thing, dict)]
    text = "\n".join(questions)
    assert all(item.question in text and all(option in text for option in item.options) for item in ITEMS)
    assert all(item.explanation not in text for item in ITEMS)
    assert fold.startswith("<details>") and fold.endswith("</details>")
    assert all(f"{n}. **{item.answer}.** {item.explanation}" in fold for n, item in enumerate(ITEMS, 1))


def test_answer_sheet_starts_with_not_knowing_and_scores_live(outputs, tmp_path):
    concept_test.show_concept_test(tmp_path)
    live = form(outputs)
    assert [buttons.label for buttons in live.sheet] == ["don't know"] * 20
    live.button.click()
    assert "<b>0 of 20</b>" in live.result.value
    for buttons, item in zip(live.sheet, ITEMS):
        buttons.value = item.answer
    live.button.click()
    assert "<b>20 of 20</b>" in live.result.value
    assert list(tmp_path.iterdir()) == [], "nothing is written unless the box is ticked"


def test_ticking_the_box_keeps_and_the_second_time_compares(outputs, tmp_path, monkeypatch):
    concept_test.show_concept_test(tmp_path / "work")
    live = form(outputs)
    live.sheet[0].value, live.save.value = ITEMS[0].answer, True
    live.button.click()
    assert kept(tmp_path / "work" / "concept_test.jsonl")["before"][ITEMS[0].id] == ITEMS[0].answer
    monkeypatch.setattr(concept_test, "_SESSION", {})  # months later, another kernel
    live.when.value, live.save.value = "after", False
    live.button.click()
    assert "Before the course: 1 of 20" in live.result.value


def test_without_a_work_folder_the_comparison_lives_in_memory(outputs, monkeypatch):
    monkeypatch.setattr(concept_test, "work_folder", lambda: None)
    concept_test.show_concept_test()
    live = form(outputs)
    assert live.save is None
    live.button.click()
    live.when.value = "after"
    live.button.click()
    assert "Before the course: 0 of 20" in live.result.value


def test_a_spoiled_file_is_reported_in_the_form(outputs, tmp_path):
    (tmp_path / "concept_test.jsonl").write_text("?\n")
    concept_test.show_concept_test(tmp_path)
    live = form(outputs)
    live.when.value = "after"
    live.button.click()
    assert "line 1" in live.result.value and "<b>0 of 20</b>" in live.result.value


def test_before_the_course_no_answer_is_given_away():
    said = feedback(ALL_A, "before")
    assert "5 of 20" in said and "lectures 00, 01" in said
    assert all(item.explanation not in said and item.question not in said for item in ITEMS)


def test_after_the_course_what_was_missed_is_explained():
    missed = next(item for item in ITEMS if item.id == "kv-cache")
    said = feedback(ALL_RIGHT | {"kv-cache": "A"}, "after", earlier=ALL_A)
    assert "19 of 20" in said and "Before the course: 5 of 20" in said
    assert missed.explanation in said and f"{missed.answer}: {missed.options[1]}" in said
    assert sum(item.explanation in said for item in ITEMS) == 1


# ------------------------------------------------------------------------------------------------------------ staff


def test_staff_see_the_gain_of_the_class_and_who_was_left_out(tmp_path, capsys):
    for name, before in (("ann", ALL_A), ("bob", {})):
        folder = tmp_path / name
        keep(before, "before", folder)
        keep(ALL_RIGHT, "after", folder)
    keep(ALL_A, "before", tmp_path / "cem")
    (tmp_path / "dot").mkdir()
    (tmp_path / "dot" / "concept_test.jsonl").write_text(json.dumps({"when": "before"}) + "\n")
    files = [str(tmp_path / name / "concept_test.jsonl") for name in ("ann", "bob", "cem", "dot")]
    assert concept_test.main(files) == 0
    said = capsys.readouterr()
    assert "2 students: 12 % right before, 100 % after" in said.out
    assert "normalised gain 1.00" in said.out
    assert said.err.count("left out") == 2


def test_staff_without_a_complete_student_get_a_message(tmp_path, capsys):
    assert concept_test.main([str(keep(ALL_A, "before", tmp_path))]) == 1
    assert "no student" in capsys.readouterr().err
