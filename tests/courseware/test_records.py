"""The grader's records, and one question graded again: nothing is lost, nothing is believed that is damaged."""

import csv
import dataclasses
import json

import pytest
from minilab import HERE, LAB, RIGHT, sources

from courseware.classroom.compare import Verdict
from courseware.grading import command, exports, records
from courseware.grading.feedback import as_html, as_markdown
from courseware.grading.grader import Report, Result
from courseware.grading.records import RecordError, keep, read_record, read_records, regraded, write_record
from courseware.grading.staff_files import notebook_of
from llmlib.sandbox import available_backend

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)
HIDDEN = Verdict("another", False, "is 9, not 4", hidden=True)


def report(name="ada", number="", wrong=(), why="because", **options):
    results = [
        Result(q, (Verdict("case", True), HIDDEN) if q.id.split(".")[1] in wrong else (Verdict("case", True),))
        for q in LAB.questions
    ]
    return Report(name, LAB, tuple(results), ("a note",), {"lab90.p1": "4", "lab90.t1": why}, "salt", number=number,
                  checksum="c0ffee", **options)  # fmt: skip


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    book = tmp_path / "g.csv"
    path = write_record(book, records.Record(report(wrong=["q3"], student="x7"), "in/ada.ipynb", "2026-01-01T00:00:00"))
    assert path == tmp_path / "g.records" / "lab90" / "ada.json"
    found = read_record(path)
    assert found.points() == {"lab90.q1": 2, "lab90.q2": 2, "lab90.q3": 0, "lab90.q4": 1, "lab90.q5": 1}
    assert found.as_json() == json.loads(path.read_text())
    third = found.report.results[2]
    assert third.message == "1 of 2 cases pass. is 9, not 4" and third.mistakes == ("is 9, not 4",)
    assert "9" not in third.public_message and not third.passed
    assert (found.report.score, found.report.notes, found.report.student) == (6, ("a note",), "x7")
    assert exports.gradescope(found.report)["score"] == 6


DAMAGED = {
    "{": "not JSON",
    "[]": "format is not 1",
    '{"format": 2}': "format is not 1",
    '{"format": 1}': "lab is missing",
    '{"format": 1, "lab": "lab77"}': "there is no lab 'lab77'",
}


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_named(text, tmp_path):
    path = tmp_path / "ada.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=DAMAGED[text]) as raised:
        read_record(path)
    assert str(path) in str(raised.value) and path.read_text() == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["questions"][0].update(points=3), "lab90.q1: 3 of 2 points"),
        (lambda r: r["questions"][0].update(points="2"), "'2' of 2"),
        (lambda r: r["questions"][0].update(id="lab90.q9"), "lab90.q9"),
        (lambda r: r.update(written={"lab90.t9": {"points": 1}}), "lab90.t9"),
        (lambda r: r.pop("answers"), "answers is missing"),
        (lambda r: r.update(questions=7), "no record"),
    ],
)
def test_a_record_that_says_what_cannot_be_is_refused(change, said, tmp_path):
    path = write_record(tmp_path / "g.csv", records.Record(report()))
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(RecordError, match=said):
        read_record(path)


def test_a_folder_of_records_holds_one_lab_and_each_student_once(tmp_path):
    book = tmp_path / "g.csv"
    with pytest.raises(RecordError, match="grade with --out"):
        read_records(book, "lab90")
    keep(book, report("Noether, Emmy", "12"))
    keep(book, report("ada"))
    assert [r.report.name for r in read_records(book, "lab90")] == ["ada", "Noether, Emmy"]
    with pytest.raises(RecordError, match="no record of lab03: it has lab90"):
        read_records(book, "lab03")
    folder = tmp_path / "g.records" / "lab90"
    (folder / "copy.json").write_text((folder / "ada.json").read_text())
    with pytest.raises(RecordError, match=r"ada\.json and .*copy\.json are of one student"):
        read_records(book, "lab90")
    (folder / "copy.json").write_text((folder / "ada.json").read_text().replace('"lab": "lab90"', '"lab": "lab91"'))
    with pytest.raises(RecordError, match="lab91"):
        read_records(book, "lab90")


def test_grading_again_keeps_a_persons_points_while_the_text_is_the_same(tmp_path):
    book, given = tmp_path / "g.csv", {"points": 1.5, "comment": "good", "by": "me", "when": "now"}
    keep(book, report())
    path = records.record_path(book, "lab90", "ada")
    write_record(book, dataclasses.replace(read_record(path), written={"lab90.t1": given}))
    assert keep(book, report(wrong=["q1"])).written == {"lab90.t1": given}
    changed = keep(book, report(why="something else"))
    assert changed.written == {} and changed.report.notes[-1].startswith("lab90.t1 has changed since it was read")


def test_regrading_touches_one_question_and_says_who_and_why(tmp_path):
    before = keep(tmp_path / "g.csv", report(wrong=["q3", "q4"]))
    again = dataclasses.replace(report(), results=(report().results[2],), salt="other")
    after = regraded(before, again, by="em", why="q3 had a wrong key")
    assert after.points() == {**before.points(), "lab90.q3": 1} and after.report.score == before.report.score + 1
    (entry,) = after.regrades
    assert (entry["before"], entry["after"], entry["by"], entry["why"], entry["salt"]) == (
        0, 1, "em", "q3 had a wrong key", "other")  # fmt: skip
    assert after.report.results[3].message == before.report.results[3].message


def test_a_persons_points_stand_on_the_students_page():
    given = {"lab90.t1": {"points": 1.5, "comment": "say why <b>", "by": "me", "when": "now"}}
    page, text = as_html(report(), given), as_markdown(report(), given)
    assert "1.5 of 2" in page and "say why &lt;b&gt;" in page and "For what you wrote: 1.5 of 2." in page
    assert "1.5 of 2" in text and "Up to 2 more" in as_markdown(report())


# -- the command -----------------------------------------------------------------------------------------------------


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def graded(tmp_path, capsys):
    """Two submissions, graded; q3 of both is 9."""
    for name in ("ada", "bob"):
        answers = {**RIGHT, "q3": "vocab_size = 9"} | ({"q1": "def softmax(x):\n    return x"} if name == "bob" else {})
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.ipynb").write_text(notebook_of(sources(**answers)))
    options = [str(tmp_path / "in"), "--lab", "90", "--out", str(tmp_path / "g.csv")]
    assert command.main([*options, "--hidden", str(HERE)]) == 0
    capsys.readouterr()
    return options


@needs_sandbox
def test_one_question_is_graded_again_over_a_batch(graded, tmp_path, capsys):
    """As when a hidden case was wrong: staff correct it, and one question's points change."""
    hidden = (HERE / "lab90_hidden.py").read_text()
    corrected = hidden.replace("MUTANTS = [", 'HIDDEN["lab90.q3"] = [Case("the size", expected=9)]\nMUTANTS = [')
    assert corrected != hidden
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "lab90_hidden.py").write_text(corrected)
    before = {r["Student"]: r for r in rows_of(tmp_path / "g.details.csv")}
    arguments = [*graded, "--hidden", str(tmp_path / "new"), "--only", "q3", "--why", "the key was wrong", "--by", "em"]
    assert command.main(arguments) == 0
    said = capsys.readouterr().out
    after = {r["Student"]: r for r in rows_of(tmp_path / "g.details.csv")}
    log = rows_of(tmp_path / "g.regrades.csv")
    assert "lab90.q3 graded again" in said
    assert {r["Student"]: (r["By"], r["Why"], r["Question"]) for r in log} == dict.fromkeys(
        ("ada", "bob"), ("em", "the key was wrong", "lab90.q3")
    )
    for name in ("ada", "bob"):
        unchanged = [f"lab90.q{n}" for n in (1, 2, 4, 5)]
        assert [after[name][q] for q in unchanged] == [before[name][q] for q in unchanged]
        assert int(after[name]["Points"]) == sum(int(after[name][f"lab90.q{n}"]) for n in range(1, 6))
        assert after[name]["Salt"] == before[name]["Salt"], "the same inputs"
    book = {row["Student"]: row["lab90"] for row in rows_of(tmp_path / "g.csv")[1:]}  # rows come as they are graded
    assert book == {name: after[name]["Points"] for name in ("ada", "bob")}


@needs_sandbox
def test_what_cannot_be_graded_again_changes_nothing(graded, tmp_path, capsys):
    before = (tmp_path / "g.csv").read_bytes()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook_of(sources(**RIGHT)))  # handed in again
    (tmp_path / "in" / "eve.ipynb").write_text(notebook_of(sources(**RIGHT)))  # never graded
    again = [*graded, "--hidden", str(HERE), "--why", "x", "--only"]
    assert command.main([*again, "q2"]) == 1
    said = capsys.readouterr().out
    assert "ada: ERROR: has changed since it was graded" in said and "eve: ERROR" in said and "cannot be read" in said
    assert (tmp_path / "g.csv").read_bytes() == before
    assert [r["Student"] for r in rows_of(tmp_path / "g.regrades.csv")] == ["bob"]
    assert command.main([*again, "q9"]) == 2
    assert "lab90 has no lab90.q9; it has lab90.q1" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--only", "q1"], ["--only", "q1", "--out", "g.csv"], ["--why", "x"]])
def test_grading_again_needs_a_gradebook_and_a_reason(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main([str(tmp_path), *arguments])
    assert "--only" in capsys.readouterr().err
