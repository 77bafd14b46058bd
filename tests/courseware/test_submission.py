"""Reading what was handed in: whose it is, and files that would hang or fill the reader."""

import json
import os

import pytest
from minilab import HERE, RIGHT, sources

from courseware.grading import command
from courseware.grading.staff_files import notebook_of
from courseware.grading.submission import (
    Identity,
    SubmissionError,
    collisions,
    identify,
    lab_of_batch,
    read_cells,
    read_submission,
    runnable,
    visible,
)
from llmlib.sandbox import available_backend

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)


def write(path, cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook_of(cells))
    return path


@pytest.mark.parametrize(
    ("name", "student", "number", "stated"),
    [
        ("adalovelace_LATE_12345_67890_lab03.ipynb", "adalovelace", "12345", True),
        ("adalovelace_12345_67890_lab03-1.ipynb", "adalovelace", "12345", True),
        ("ada/lab03.ipynb", "ada", "", True),
        ("submission_77/lab03_attention_to_gpt.ipynb", "submission_77", "", True),
        ("ada/lab03_attention_to_gpt (1).ipynb", "ada", "", True),
        ("all/lab03_ada.ipynb", "lab03_ada", "", False),
        ("all/Ada Lovelace.ipynb", "Ada Lovelace", "", False),
    ],
)
def test_identities_come_from_a_rule(name, student, number, stated, tmp_path):
    assert identify(tmp_path / name) == Identity(student, number, stated)


def test_names_are_shown_escaped():
    assert visible("a\x1b[2Jb\u202e") == "a\\x1b[2Jb\\u202e"
    assert visible(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert visible("cafe\u0301") == "caf\u00e9"


def test_two_files_of_one_name_collide(tmp_path):
    paths = [tmp_path / "a" / "ada.ipynb", tmp_path / "b" / "ADA.ipynb", tmp_path / "b" / "bob.ipynb"]
    found = collisions(paths)
    assert set(found) == set(paths[:2])
    assert "2 submissions are named" in found[paths[0]] and "a/ada.ipynb" in found[paths[0]]


def test_the_lab_of_a_batch_is_what_most_are_for():
    assert lab_of_batch(["lab01", None, "lab01", "lab03"]) == "lab01"
    assert lab_of_batch([None]) is None
    with pytest.raises(SubmissionError, match="give --lab"):
        lab_of_batch(["lab01", "lab03"])


# -- files that are no notebooks ----


def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    for path in (tmp_path / "pipe.ipynb", "/dev/zero", tmp_path):
        with pytest.raises(SubmissionError, match=r"is not a regular file|cannot be read"):
            read_cells(tmp_path / path)


def test_a_large_file_is_called_large(tmp_path):
    path = tmp_path / "large.ipynb"
    with path.open("wb") as file:
        file.truncate(41 << 20)
    with pytest.raises(SubmissionError, match="is too large"):
        read_cells(path)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("%x\n" + "\n" * 500_000 + "x", None),
        ("%x\n" + "x = 1\n" * 100_000, None),
        ("%x\n" + "(" * 900_000, None),
        ("%x\n" + "1+" * 500_000 + "1", None),
        ("x = 1\n" * 400_000, "characters of code"),
    ],
    ids=["newlines", "lines", "brackets", "a long sum", "too much"],
)
def test_a_large_source_is_read_or_refused(source, says, tmp_path):
    path = write(tmp_path / "big.ipynb", [source, "y = 2"])
    try:
        assert [c.number for c in read_cells(path)] == [1, 2]
        assert says is None
    except SubmissionError as error:
        assert (says or "cannot be read: reading it") in str(error)


def test_a_notebook_that_swells_is_stopped(tmp_path):
    path = tmp_path / "swells.ipynb"
    path.write_text("[" + "{}," * 13_000_000 + "{}]")
    with pytest.raises(SubmissionError, match=r"holds too much|cannot be read|format 4"):
        read_cells(path)


def test_sources_of_any_kind_are_text(tmp_path):
    path = tmp_path / "odd.ipynb"
    cells = [{"cell_type": "code", "source": s} for s in (["a = 1\n", 3, None, "b = 2"], 7, None, {"x": 1})]
    path.write_text(json.dumps({"cells": cells}))
    assert [c.source for c in read_cells(path)] == ["a = 1\nb = 2", "", "", ""]


def test_line_ends_before_a_magic_are_left_alone():
    assert runnable("x = (\n\n\n  %y") == "x = (\n\n\n  pass"


def test_the_checksum_is_of_the_file(tmp_path):
    a, b = (write(tmp_path / name, ["x = 1"]) for name in ("a.ipynb", "b.ipynb"))
    assert read_submission(a).checksum == read_submission(b).checksum
    assert read_submission(write(b, ["x = 2"])).checksum != read_submission(a).checksum


# -- the command ----


@needs_sandbox
def test_a_mistyped_path_is_an_error_and_nothing_is_graded(tmp_path, capsys):
    good = write(tmp_path / "ada.ipynb", sources(**RIGHT))
    out = tmp_path / "g.csv"
    assert command.main([str(good), str(tmp_path / "bbo.ipynb"), "--hidden", str(HERE), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert "there is no" in said.err and "bbo.ipynb" in said.err and "points" not in said.out
    assert not out.exists()


@needs_sandbox
def test_another_labs_notebook_is_refused(tmp_path, capsys):
    write(tmp_path / "in" / "ada.ipynb", sources(**RIGHT))
    write(tmp_path / "in" / "bob.ipynb", sources(**RIGHT))
    write(tmp_path / "in" / "eve.ipynb", ["x = 1\ncheck('lab03.q1', x)"])
    out = tmp_path / "g.csv"
    assert command.main([str(tmp_path / "in"), "--lab", "90", "--hidden", str(HERE), "--out", str(out)]) == 1
    assert "eve: ERROR: is the notebook of lab03, handed in for lab90" in capsys.readouterr().out
    assert "lab03" not in out.read_text()
    assert "\neve," in out.read_text()


@needs_sandbox
def test_names_of_any_bytes_and_collisions_cost_nobody_else(tmp_path, capsys):
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in (b"in/caf\xe9.ipynb", b"in/ada.ipynb", b"in/x/ada.ipynb", b"in/\x1b[2Jeve.ipynb"):
        with open(os.fsencode(tmp_path) + b"/" + name, "w") as file:
            file.write(notebook_of(sources(q1=RIGHT["q1"])))
    out = tmp_path / "g.csv"
    options = ["--lab", "90", "--hidden", str(HERE), "--out", str(out), "--feedback", str(tmp_path / "f")]
    assert command.main([str(tmp_path / "in"), *options]) == 1
    said = capsys.readouterr().out
    assert said.count("ERROR: 2 submissions are named ada") == 2
    assert "caf\\xe9: 2 of 7 points" in said and "\\x1b[2Jeve: 2 of 7 points" in said and "\x1b" not in said
    assert "ada" not in out.read_text() and "caf\\xe9,,,,,2" in out.read_text()
    assert len(list((tmp_path / "f").iterdir())) == 4


def test_one_row_is_written_by_one_file(tmp_path, capsys):
    names = ["Ada Lovelace", "adalovelace", "noetheremmy_12_1_lab90", "Noether, Emmy", "gauss", "gausscarl_14_2_lab90"]
    for name in names:
        (tmp_path / f"{name}.ipynb").write_text("{")
    out = tmp_path / "g.csv"
    header = "Student,ID,SIS User ID,SIS Login ID,Section,lab90\n"
    out.write_text(header + '"Gauss, Carl",14,u4,gauss,Monday,7\n')
    command.main([str(tmp_path), "--lab", "90", "--hidden", str(HERE), "--out", str(out)])
    said = capsys.readouterr().out
    assert said.count("2 submissions are named") == 2, "letters are what the gradebook compares"
    assert "Noether, Emmy: ERROR: another submission is named Noether, Emmy, with a number of Canvas" in said
    assert said.count("2 submissions belong to one row of the gradebook") == 2, "a login and a name"
    assert "noetheremmy: ERROR: is not a notebook" in said, "what Canvas names is read"
    assert '"Gauss, Carl",14,u4,gauss,Monday,7\n' in out.read_text()
    people = [tmp_path / name for name in ("smithann_1_2_lab90.ipynb", "smithann_3_4_lab90.ipynb")]
    assert collisions(people) == {}, "two students of one name"
