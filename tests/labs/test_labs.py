"""Every lab, proven: the reference earns everything, the untouched lab nothing, each mutant costs its own question."""

import contextlib
import functools
import io
import os
import traceback
from pathlib import Path

import pytest

from courseware import check
from courseware.classroom import cases
from courseware.grading.grader import grade_cells, judge_mutants
from courseware.grading.staff_files import load_staff_files, untouched_cells
from llmlib.sandbox import available_backend

ROOT = Path(__file__).resolve().parents[2]
LABS = cases.lab_ids()
SALT = "tests"  # fixed inputs here: a test that fails must fail again

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)


@functools.cache
def staff_of(lab_id):
    return load_staff_files(cases.load_lab(lab_id))


@functools.cache
def mutants_of(lab_id):
    found = judge_mutants(cases.load_lab(lab_id), staff_of(lab_id), salt=SALT)
    return {(mutant.question, mutant.name): (mutant, results) for mutant, results in found}


def named_mutants():
    return [(lab_id, (m.question, m.name)) for lab_id in LABS for m in staff_of(lab_id).mutants]


def test_every_solution_has_cases_and_every_lab_a_solution():
    solutions = sorted({path.stem.split("_")[0] for path in (ROOT / "solutions").glob("lab*.py")})
    hidden = sorted(path.stem.removesuffix("_hidden") for path in Path(__file__).parent.glob("lab*_hidden.py"))
    assert LABS == solutions == hidden


@pytest.mark.parametrize("lab_id", LABS)
def test_lab_is_complete(lab_id):
    lab, staff = cases.load_lab(lab_id), staff_of(lab_id)
    assert 5 <= len(lab.questions) <= 8
    assert {entry.kind for entry in lab.ungraded} >= {"prediction", "challenge"}, "a logged prediction and a challenge"
    for question in lab.questions:
        assert staff.hidden.get(question.id), f"{question.id} has no hidden case"
        assert sum(m.question == question.id for m in staff.mutants) >= 3, f"{question.id} has fewer than three mutants"
    texts = {entry.id for entry in lab.ungraded if entry.kind == "text"}
    assert texts == set(staff.rubrics), "every free text has a rubric, and every rubric a text"


@needs_sandbox
@pytest.mark.parametrize("lab_id", LABS)
def test_reference_solution_gets_full_marks(lab_id):
    lab, staff = cases.load_lab(lab_id), staff_of(lab_id)
    report = grade_cells(lab, staff, staff.reference, salt=SALT)
    assert {r.question.id: r.message for r in report.results} == {q.id: "correct" for q in lab.questions}
    assert report.score == lab.points
    assert report.notes == ()


@needs_sandbox
@pytest.mark.parametrize("lab_id", LABS)
def test_untouched_lab_gets_nothing_and_runs_through(lab_id):
    lab = cases.load_lab(lab_id)
    report = grade_cells(lab, staff_of(lab_id), untouched_cells(lab), salt=SALT)
    assert report.score == 0
    assert {r.message for r in report.results} == {"not started yet"}
    assert report.notes == ()


@pytest.mark.parametrize("lab_id", LABS)
def test_check_never_raises_on_the_untouched_answers(lab_id, tmp_path, monkeypatch):
    lab = cases.load_lab(lab_id)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "MPLBACKEND", "Agg")
    space = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in untouched_cells(lab):
            try:
                exec(compile(cell.source, f"<cell {cell.number}>", "exec"), space)
            except BaseException:
                pytest.fail(f"cell {cell.number} of the untouched lab raises:\n{traceback.format_exc()}")
    for question in lab.questions:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            check(question.id, space[question.name])
        assert "not started yet" in output.getvalue()


@needs_sandbox
@pytest.mark.parametrize(("lab_id", "key"), named_mutants(), ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_mutant_loses_its_question_and_is_named(lab_id, key):
    mutant, results = mutants_of(lab_id)[key]
    assert [r.question.id for r in results if not r.passed] == [mutant.question]
    assert mutant.message in next(r.message for r in results if r.question.id == mutant.question)
