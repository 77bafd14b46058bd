"""Files that other systems read: they hold what they should, and nobody's row is lost."""

import csv
import dataclasses
import io
import multiprocessing
import os
import stat

import pytest
from minilab import LAB

from courseware.classroom.compare import Verdict
from courseware.grading import exports
from courseware.grading.exports import GradebookError, file_name, read_gradebook, safe, update_details, update_gradebook
from courseware.grading.grader import Report, Result

FULL = tuple(Result(q, (Verdict("case", True),)) for q in LAB.questions)


def report(name, number="", **options):
    return Report(name, LAB, FULL, number=number, **options)


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_a_new_gradebook_is_one_that_canvas_reads(tmp_path):
    path = tmp_path / "g.csv"
    update_gradebook(path, [report("ada", "11"), report("bob")])
    assert path.read_text().splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,lab90",
        "    Points Possible,,,,,7",
        "ada,11,,,,7",
        "bob,,,,,7",
    ]


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,lab90 (4711),Essay (4712),Current Score
,,,,,Manual Posting,,
    Points Possible,,,,,7,10,(read only)
"Lovelace, Ada",11,u1,alovelace,Monday,,9,90
"Noether, Emmy",12,u2,enoether,Monday,3,8,80
"Student, Test",13,,t,Monday,,,
"""


def test_an_exported_gradebook_is_updated_in_place(tmp_path):
    path = tmp_path / "g.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CANVAS.encode())
    update_gradebook(path, [report("lovelaceada", "11"), report("noetheremmy"), report("newcomer", "99")])
    text = path.read_text(encoding="utf-8")
    before, after = CANVAS.splitlines(), text.lstrip("\ufeff").splitlines()
    assert text.startswith("\ufeff") and after[:3] == before[:3]
    assert after[3] == '"Lovelace, Ada",11,u1,alovelace,Monday,7,9,90'
    assert after[4] == '"Noether, Emmy",12,u2,enoether,Monday,7,8,80'
    assert after[5:] == [before[5], "newcomer,99,,,,7,,"]


def test_a_new_labs_column_stands_beside_the_old_ones(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(CANVAS.replace("lab90 (4711)", "lab09 (4711)"))
    update_gradebook(path, [report("alovelace")])
    assert path.read_text().splitlines()[0].split(",")[5:] == ["lab09 (4711)", "lab90", "Essay (4712)", "Current Score"]
    assert rows_of(path)[2]["lab90"] == "7"
    assert rows_of(path)[1]["lab90"] == "7", "points possible"


def test_a_semicolon_stays_one_and_foreign_files_are_left(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("Student;ID;Section\nada;1;x\n")
    update_gradebook(path, [report("ada", "1")])
    assert path.read_text().splitlines()[0] == "Student;ID;Section;lab90"
    for text in ("a,b\n1,2\n", "Student,ID\nada,1,2,3\n", 'Student,ID\n"ada', "Student,ID,ID\n"):
        path.write_text(text)
        with pytest.raises(GradebookError):
            update_gradebook(path, [report("ada")])
        assert path.read_text() == text


def test_who_is_in_the_roster_is_known_by_every_id(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(CANVAS)
    book = read_gradebook(path)
    known = ["alovelace", "u1", "11", "Lovelace, Ada"]
    for name, number in (("whatever", "11"), ("ALovelace", ""), ("u1", ""), ("lovelaceada", ""), ("Lovelace, Ada", "")):
        assert exports.roster_ids(book, name, number) == known
    assert exports.roster_ids(book, "nobody") == [] == exports.roster_ids(book, "test student")


def _grade_many(path, start):
    for i in range(start, start + 15):
        update_gradebook(path, [report(f"s{i}")])
        update_details(exports.details_path(path), [report(f"s{i}")])


def test_two_graders_lose_no_row(tmp_path):
    path = tmp_path / "g.csv"
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    both = [context.Process(target=_grade_many, args=(path, start)) for start in (0, 100)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert len(rows_of(path)) == 31 and len(rows_of(exports.details_path(path))) == 30


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_the_mode_of_a_gradebook_is_not_widened(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("Student,ID\n")
    path.chmod(0o600)
    update_gradebook(path, [report("ada")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "g.csv"
    update_gradebook(path, [report("ada")])
    before = path.read_text()
    monkeypatch.setattr("os.replace", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        update_gradebook(path, [report("bob")])
    assert path.read_text() == before
    assert {p.name for p in tmp_path.iterdir()} == {"g.csv", ".g.csv.lock"}


@pytest.mark.parametrize(
    "text", ["=cmd()", "+1\n2", "-1", "@x", "\uff1dcmd()", "\uff0b1", "\t=x", " =x", "\ufe66x", "|x"]
)
def test_formulas_are_defused(text, tmp_path):
    assert safe(text).startswith("'") and "\n" not in safe(text)
    path = tmp_path / "d.csv"
    update_details(path, [report(text, notes=(text,), student=text)])
    (row,) = rows_of(path)
    assert [row[c][0] for c in ("Student", "Note", "STUDENT")] == ["'"] * 3
    update_details(path, [report(text)])
    assert len(rows_of(path)) == 1, "the same student again"


def test_no_cell_begins_a_formula_where_semicolons_divide_cells(tmp_path):
    assert safe("ada;=1+1") == "ada;'=1+1" and safe("ada, -1; \uff1dx") == "ada, '-1; '\uff1dx"
    assert safe('x;"=1') == "x;'\"=1" and safe("Ada; O'Neil, 3-4") == "Ada; O'Neil, 3-4"
    path = tmp_path / "g.csv"
    for _ in range(2):  # the same student again
        update_gradebook(path, [report("ada;=HYPERLINK(1)")])
    assert path.read_text().splitlines()[2:] == ["ada;'=HYPERLINK(1),,,,,7"]


def test_an_error_keeps_earlier_points_and_twins_are_noted(tmp_path):
    path = tmp_path / "d.csv"
    update_details(path, [report("ada", student="x7", checksum="c"), report("bob", student="X7")])
    first, second = rows_of(path)
    assert first["Note"] == "the same STUDENT as bob" and second["Note"] == "the same STUDENT as ada"
    table = exports.read_details(path)
    assert exports.already_graded(table, "ada", "", "lab90", "c")
    assert not exports.already_graded(table, "ada", "", "lab90", "d")
    update_details(path, [Report("ada", LAB, error="broken")])
    assert (rows_of(path)[0]["Points"], rows_of(path)[0]["lab90.q1"]) == ("7", "2")
    assert rows_of(path)[0]["Note"].startswith("ERROR: broken")
    assert not exports.already_graded(exports.read_details(path), "ada", "", "lab90", "c")


def test_every_student_has_a_file_name_of_his_own():
    names = ["ada", "a/b", "a%2Fb", "..", ".", "x" * 400, "x" * 401, "caf\u00e9", "A_1"]
    made = [file_name(n) for n in names] + [file_name("A", "1") + "!"]
    assert len(set(made)) == len(made)
    assert not [m for m in made if "/" in m or m.startswith(".") or len(m.encode()) > 200]


def test_gradescope_reads_one_result_for_one_submission():
    found = exports.gradescope(report("ada", salt="s"))
    assert found["score"] == 7 and len(found["tests"]) == 5
    assert {"name", "score", "max_score", "output", "status", "visibility"} == set(found["tests"][0])
    broken = exports.gradescope(dataclasses.replace(report("ada"), error="is not a notebook"))
    assert broken["score"] == 0 and "is not a notebook" in broken["output"]
