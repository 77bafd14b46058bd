"""Canvas's and Moodle's rules for the files they import, written down again and applied to what we export.

Canvas: lib/gradebook_importer.rb. Moodle: grade/import/csv/classes/load_data.php, lib/csvlib.class.php, and
mod/assign/feedback/offline for the grading worksheet.
"""

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest
from minilab import LAB

from courseware.classroom.compare import Verdict
from courseware.grading import moodle
from courseware.grading.exports import GradebookError, update_gradebook, update_written
from courseware.grading.grader import Report, Result
from courseware.grading.records import Record, keep
from courseware.grading.submission import Identity, identify


def report(name, number="", score=7, **options):
    results = [
        Result(q, (Verdict("case", q.points <= score - (2 if q.id.endswith("q1") else 0)),)) for q in LAB.questions
    ]
    return Report(name, LAB, tuple(results), number=number, checksum="c", **options)


# -- Canvas ----------------------------------------------------------------------------------------------------------


def canvas_reads(text):
    """{assignment title: (number or None, points possible, {student: points})}, and who is identified by a number."""
    first = text.removeprefix("\ufeff").splitlines()[:3]
    counts = {d: {len(next(csv.reader([line], delimiter=d))) for line in first} for d in ";,"}
    delimiter = max(";,", key=lambda d: max(counts[d]) if len(counts[d]) == 1 else 0)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter))
    header, rows = rows[0], rows[1:]
    assert "Student" in header[0] and "ID" in header[1] and len(header) > 3
    columns = 3
    if re.search(r"SIS\s+Login\s+ID", header[2]):
        columns = 4
    elif re.search(r"SIS\s+User\s+ID", header[2]) and re.search(r"SIS\s+Login\s+ID", header[3]):
        integration = bool(re.search(r"Integration\s+ID", header[4]))
        columns = 5 + integration + bool(re.search(r"Root\s+Account", header[4 + integration]))
    assert "Section" in header[columns - 1], "the last column about a student"
    computed = r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)"
    titles = [h for h in header[columns:] if not re.search(computed, h)]
    assert len(set(titles)) == len(titles), "columns are found by their first occurrence"
    possible, students = dict.fromkeys(titles), []
    for row in rows:
        if "Points Possible" in row[0]:
            possible = {t: row[header.index(t)] for t in titles}
        elif not all(re.fullmatch(r"\s*(Muted|Manual Posting.*)?\s*", cell, re.I) for cell in row):
            students.append(row)
    found = {}
    for title in titles:
        number = re.fullmatch(r"(.*)\s\((\d+)\)", title)
        given = {row[0]: row[header.index(title)].strip() for row in students}
        assert all(re.fullmatch(r"(-?[\d.,]+%?|EX)?", value, re.I) for value in given.values())
        found[number[1] if number else title] = (number and number[2], possible[title], given)
    return found, {row[0]: row[1] for row in students}


EXPORT = """\
Student,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section,Lab 90 (4711),Lab 90 Current Score,\
Essay (4712),Current Score
,,,,,,,Manual Posting,,,
    Points Possible,,,,,,,7,(read only),10,(read only)
"Lovelace, Ada",11,u1,alovelace,,uni.edu,Monday,,50,9,90
"Noether, Emmy",12,u2,enoether,,uni.edu,Monday,3,,8,80
"""


def test_canvas_reads_a_gradebook_of_ours(tmp_path):
    path = tmp_path / "g.csv"
    update_gradebook(path, [report("lovelaceada", "11"), report("bob", score=4)])
    update_written(path, LAB, [("lovelaceada", "11", 1.5)])
    found, numbers = canvas_reads(path.read_text())
    assert found == {
        "lab90": (
            None,
            "7",
            {
                "lovelaceada": "7",
                "bob": "7" if report("bob", score=4).score == 7 else str(report("bob", score=4).score),
            },
        ),
        "lab90 written": (None, "2", {"lovelaceada": "1.5", "bob": ""}),
    }
    assert numbers == {"lovelaceada": "11", "bob": ""}


def test_canvas_reads_its_own_export_after_we_have_written_into_it(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(EXPORT)
    update_gradebook(path, [report("noetheremmy", "12")])
    found, numbers = canvas_reads(path.read_text())
    assert found["Lab 90"] == ("4711", "7", {"Lovelace, Ada": "", "Noether, Emmy": "7"})
    assert found["Essay"] == ("4712", "10", {"Lovelace, Ada": "9", "Noether, Emmy": "8"})
    assert numbers == {"Lovelace, Ada": "11", "Noether, Emmy": "12"}


def test_points_never_go_into_a_column_that_canvas_computes(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(EXPORT.replace("Lab 90 (4711)", "Attention (4711)"))
    update_gradebook(path, [report("noetheremmy", "12")])
    found, _ = canvas_reads(path.read_text())
    assert found["lab90"][2]["Noether, Emmy"] == "7" and "Monday,,50,,9,90" in path.read_text()


def test_two_columns_or_two_rows_that_would_do_are_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "g.csv"
    for text, said in (
        (
            EXPORT.replace("Essay (4712)", "Lab 90 again (4712)").replace("Lab 90 (4711)", "Lab 90 first (4711)"),
            "2 columns",
        ),
        (EXPORT.replace('"Noether, Emmy",12', '"Noether, Emmy",11'), "2 rows with the ID 11"),
    ):
        path.write_text(text)
        with pytest.raises(GradebookError, match=said):
            update_gradebook(path, [report("lovelaceada", "11")])
        assert path.read_text() == text
    path.write_text(EXPORT.replace("Essay (4712)", "Lab 90 written (4712)"))
    update_gradebook(path, [report("lovelaceada", "11")])
    update_written(path, LAB, [("lovelaceada", "11", 2.0)])
    found, _ = canvas_reads(path.read_text())
    assert (found["Lab 90"][2]["Lovelace, Ada"], found["Lab 90 written"][2]["Lovelace, Ada"]) == ("7", "2")


def test_a_persons_points_need_a_row(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text(EXPORT)
    with pytest.raises(GradebookError, match="no row for nobody"):
        update_written(path, LAB, [("lovelaceada", "11", 1.0), ("nobody", "", 1.0)])
    assert path.read_text() == EXPORT


# -- Moodle ----------------------------------------------------------------------------------------------------------

PARTICIPANTS = """\
First name,Last name,Username,Email address,ID number
Ada,Lovelace,alovelace,ada@uni.edu,11
Emmy,Noether,enoether,emmy@uni.edu,12
Carl,Gauss,cgauss,carl@uni.edu,
"""
WORKSHEET = """\
Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 51","Ada Lovelace",ada@uni.edu,"Submitted for grading",,9.00,Yes,"Monday, 2 March 2026, 9:00 AM",-,
"Participant 52","Emmy Noether",emmy@uni.edu,"No submission",,9.00,Yes,-,-,
"""


def moodle_reads(text, separator, users, key, maximum=100.0):
    """Points and feedback of a grade import, by user. AssertionError where Moodle gives up."""
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff").replace("\r\n", "\n")), delimiter=separator))
    header = [name.strip() for name in rows[0]]
    assert len(header) > 1 and all(len(row) == len(header) for row in rows), "csvweirdcolumns"
    assert len(set(header)) == len(header), "two columns would map to one"
    found = {}
    for row in rows[1:]:
        cells = dict(zip(header, map(str.strip, row)))
        assert cells[key], "a blank user leaves the user of the row before"
        assert users.count(cells[key]) == 1, "usermappingerror: the whole import stops"
        grade = cells["lab90"].replace(" ", "")
        points = None if grade in ("", "-") else float(grade)  # unformat_float takes a point in every language
        assert points is None or points <= maximum, "gradevaluetoobig"
        found[cells[key]] = points, cells["lab90 feedback"]
    return found


def records(*reports):
    return [Record(r) for r in reports]


def roster(tmp_path, text):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    return moodle.read_roster(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_moodle_imports_what_we_write_for_its_gradebook(separator, tmp_path):
    people = roster(tmp_path, PARTICIPANTS.replace(",", separator))
    given = Record(
        report("Ada Lovelace"), written={"lab90.t1": {"points": 1.5, "comment": 'say "why"; now', "by": "", "when": ""}}
    )
    filled = moodle.fill(people, [given, *records(report("enoether", score=1), report("Turing, Alan"))])
    text = filled.table.text()
    found = moodle_reads(text, separator, ["ada@uni.edu", "emmy@uni.edu", "carl@uni.edu"], "Email address")
    assert set(found) == {"ada@uni.edu", "emmy@uni.edu"} and filled.unknown == ("Turing, Alan",)
    assert found["ada@uni.edu"] == (8.5, 'q1 2/2; q2 2/2; q3 1/1; q4 1/1; q5 1/1; t1 1.5 (say "why"; now)')
    assert found["emmy@uni.edu"][0] == float(report("x", score=1).score)


def test_students_are_found_by_login_address_number_and_by_a_name_that_one_bears(tmp_path):
    people = roster(tmp_path, PARTICIPANTS + "Ada,Lovelace,alovelace2,ada2@uni.edu,15\n")
    names = ["alovelace", "ADA@uni.edu", "ada", "11", "Gauss, Carl", "carlgauss", "adalovelace"]
    found = [moodle.find(people, record) for record in records(*map(report, names))]
    assert [row and row["Username"] for row in found] == ["alovelace"] * 4 + ["cgauss"] * 2 + [None]
    said = Record(report("submission_7", student="enoether"))
    assert moodle.find(people, said)["Username"] == "enoether", "by what the notebook says in STUDENT"


def test_two_submissions_of_one_student_are_refused(tmp_path):
    with pytest.raises(GradebookError, match="one student of the roster"):
        moodle.fill(roster(tmp_path, PARTICIPANTS), records(report("alovelace"), report("Ada Lovelace")))


def test_a_grading_worksheet_is_filled_in(tmp_path):
    sheet = roster(tmp_path, WORKSHEET)
    filled = moodle.fill(sheet, records(report("Ada Lovelace", "51"), report("Somebody", "99")))
    before, after = (list(csv.DictReader(io.StringIO(t))) for t in (WORKSHEET, filled.table.text()))
    assert list(after[0]) == list(before[0]) and filled.unknown == ("Somebody",)
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(after[0]), "without these Moodle refuses the file"
    assert after[0]["Grade"] == "7" and float(after[0]["Grade"]) <= float(after[0]["Maximum Grade"])
    assert int(after[0]["Identifier"].removeprefix("Participant ")) == 51
    assert after[0]["Feedback comments"].startswith("q1 2/2; q2 2/2")
    changed = {"Grade", "Feedback comments"}
    assert {k: v for k, v in after[0].items() if k not in changed} == {
        k: v for k, v in before[0].items() if k not in changed
    }
    assert after[1] == before[1] and sheet.rows[0]["Grade"] == "", "the roster itself is as it was"


BAD = {
    "a;b\n1;2\n": "names no student as Moodle does",
    "": "no column",
    PARTICIPANTS + "Carl,Gauss,c2,carl@uni.edu,\n": "carl@uni.edu twice",
    PARTICIPANTS.replace("Username", "Email address"): "two columns 'Email address'",
    PARTICIPANTS + "x,y,z,v,w,too many\n": "more cells than the header",
    'Username,x\n"ada': "not a CSV file",
}


@pytest.mark.parametrize("text", BAD)
def test_a_roster_that_is_none_is_named(text, tmp_path):
    with pytest.raises(GradebookError, match=BAD[text]):
        roster(tmp_path, text)


def test_the_command_names_whom_it_could_not_place(tmp_path, capsys):
    book = tmp_path / "g.csv"
    for one in (report("alovelace"), report("turing")):
        keep(book, one)
    (tmp_path / "r.csv").write_text(PARTICIPANTS)
    arguments = [str(book), "--lab", "90", "--roster", str(tmp_path / "r.csv"), "--out", str(tmp_path / "m.csv")]
    assert moodle.main([*arguments, "--separator", "semicolon"]) == 1
    said = capsys.readouterr()
    assert "1 of 2 submissions, points of 9" in said.out and said.err == "not in the roster: turing\n"
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == "Email address;lab90;lab90 feedback"
    assert moodle.main([*arguments[:-1], str(tmp_path / "no" / "m.csv")]) == 2
    assert moodle.main([*arguments[:2], "91", *arguments[3:]]) == 2
    assert "no record of lab91: it has lab90" in capsys.readouterr().err


def test_moodles_names_for_submissions_say_whose_they_are():
    cases = {
        "Ada Lovelace_51_assignsubmission_file_lab03.ipynb": Identity("Ada Lovelace", "51"),
        "Ada Lovelace_51_assignsubmission_file/lab03.ipynb": Identity("Ada Lovelace", "51"),
        "Ada Lovelace_51_assignsubmission_file_/my lab.ipynb": Identity("Ada Lovelace", "51"),
        "Participant_7_assignsubmission_file_x.ipynb": Identity("Participant", "7"),
        "submitted/ada/lab03/lab03.ipynb": Identity("ada"),
    }
    assert {name: identify(Path(name)) for name in cases} == cases


def test_a_score_is_what_the_results_say():
    assert dataclasses.replace(report("x", score=1)).score == sum(r.score for r in report("x", score=1).results)
