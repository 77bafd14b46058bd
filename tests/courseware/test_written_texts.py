"""Written answers out to a person and the points back: all of a file or nothing of it."""

import csv
import dataclasses

import pytest
from minilab import LAB
from test_records import report, rows_of

from courseware.grading import answers, exports, records
from courseware.grading.exports import GradebookError, safe, unsafe
from courseware.grading.records import keep, read_records

TEXTS = {"ada": "exp overflows\nso subtract", "bob": "=1+1", "eve": "", "Noether, Emmy": "exp overflows\nso subtract"}


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "g.csv"
    for name, text in TEXTS.items():
        given = report(name, why=text)
        keep(path, given)
        exports.update_gradebook(path, [given])
        exports.update_details(exports.details_path(path), [given])
    return path


def run(book, *arguments):
    return answers.main([str(book), "--lab", "90", "--by", "em", *map(str, arguments)])


def filled(path, points, comments=()):
    """The file as a person saves it: points (and comments) by student."""
    rows = rows_of(path)
    for row in rows:
        name = row["Student"].removeprefix("\ufeff")
        row["Points"], row["Comment"] = points.get(name, ""), dict(comments).get(name, "")
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_answers_are_collected_question_by_question(book, tmp_path, capsys):
    assert run(book, "--out", tmp_path / "r") == 0
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == ["lab90.t1.csv", "lab90.t1.html"]
    with open(tmp_path / "r" / "lab90.t1.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["Student"]: row for row in csv.DictReader(file)}
    assert rows["ada"]["Answer"] == TEXTS["ada"] and rows["ada"]["Points"] == "" and rows["ada"]["Of"] == "2"
    assert rows["bob"]["Answer"] == "'=1+1", "no formula"
    page = (tmp_path / "r" / "lab90.t1.html").read_text()
    assert "<h2>ada, Noether, Emmy</h2>" in page, "equal answers stand once"
    assert "3 of 4 answered. Nothing from eve." in page and "http" not in page.split("</style>")[1]
    assert run(book, "--out", tmp_path / "r") == 2, "points may be in it"
    assert "is there already" in capsys.readouterr().err


def test_points_come_back_beside_the_graders(book, tmp_path):
    run(book, "--out", tmp_path / "r")
    path = tmp_path / "r" / "lab90.t1.csv"
    filled(path, {"ada": "1,5", "bob": "0", "Noether, Emmy": "2"}, {"ada": "why; -1 for the sign"})
    before = book.read_text()
    assert run(book, "--merge", path, "--feedback", tmp_path / "f") == 0
    rows = {row["Student"].strip(): row for row in rows_of(book)}
    assert rows["Points Possible"]["lab90 written"] == "2" and rows["ada"]["lab90"] == "7"
    got = {name: rows[name]["lab90 written"] for name in TEXTS}
    assert got == {"ada": "1.5", "bob": "0", "eve": "", "Noether, Emmy": "2"}
    details = {row["Student"]: row for row in rows_of(exports.details_path(book))}
    assert details["ada"]["lab90.t1"] == "1.5" and details["eve"]["lab90.t1"] == ""
    ada = next(r for r in read_records(book, "lab90") if r.report.name == "ada")
    assert ada.written["lab90.t1"]["by"] == "em" and ada.written["lab90.t1"]["comment"] == "why; -1 for the sign"
    assert "1.5 of 2" in (tmp_path / "f" / "ada.html").read_text()
    assert "eve.html" not in [p.name for p in (tmp_path / "f").iterdir()]
    after = book.read_text()
    assert before != after and run(book, "--merge", path) == 0 and book.read_text() == after, "twice is once"
    exports.update_gradebook(book, [report("ada", wrong=["q1"])])
    assert {r["Student"].strip(): r for r in rows_of(book)}["ada"]["lab90 written"] == "1.5"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("ada", "adam"), "nobody of that name and ID was graded"),
        (lambda t: t.replace("lab90.t1", "lab03.t1").replace("lab90,", "lab03,"), "not one of lab90's texts"),
        (lambda t: t.replace("bob,,'=1+1,0", "bob,,'=1+1,3"), "'3' is not a number from 0 to 2"),
        (lambda t: t.replace("bob,,'=1+1,0", "bob,,'=1+1,nan"), "'nan' is not a number"),
        (lambda t: t.replace("bob,,'=1+1,0", "ada,,'=1+1,0"), "is there twice"),
        (lambda t: t.replace("Points", "Marks"), "no column Points"),
        (lambda t: t + "x,y\n", "is of y"),
        (lambda t: t + '"', "not a CSV file"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(change, said, book, tmp_path, capsys):
    run(book, "--out", tmp_path / "r")
    path = tmp_path / "r" / "lab90.t1.csv"
    filled(path, {"ada": "1", "bob": "0"})
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")
    files = [book, exports.details_path(book), *sorted((tmp_path / "g.records").rglob("*.json"))]
    before = [p.read_bytes() for p in files]
    capsys.readouterr()
    assert run(book, "--merge", path) == 2
    assert said in capsys.readouterr().err
    assert [p.read_bytes() for p in files] == before


def test_a_gradebook_without_the_students_changes_no_record(book, tmp_path, capsys):
    run(book, "--out", tmp_path / "r")
    filled(tmp_path / "r" / "lab90.t1.csv", {"ada": "1"})
    book.write_text("Student,ID,Section\n")
    assert run(book, "--merge", tmp_path / "r" / "lab90.t1.csv") == 2
    assert "has no row for ada" in capsys.readouterr().err
    assert all(not record.written for record in read_records(book, "lab90"))


@pytest.mark.parametrize("text", ["good; -1 for x", "=sum", "it's 'quoted'", "a, -b", "", "'tis"])
def test_a_comment_comes_back_as_it_was_typed(text):
    assert unsafe(safe(text)) == text


def test_there_is_nothing_to_collect_where_nobody_gives_points(tmp_path):
    lab = dataclasses.replace(LAB, ungraded=LAB.ungraded[:1])
    one = records.Record(dataclasses.replace(report(), lab=lab))
    with pytest.raises(GradebookError, match="no question that a person gives points for"):
        answers.collect(tmp_path / "r", [one], {})
