"""Every lab, proven: the reference earns everything, the untouched lab nothing, each mutant costs its own question."""

import contextlib
import dis
import functools
import importlib.util
import io
import itertools
import os
import re
import traceback
import types
from pathlib import Path

import pytest
from warm_labs import ready

from courseware import check
from courseware.classroom import cases
from courseware.classroom.cases import Key
from courseware.classroom.compare import case_seed, draw_inputs
from courseware.grading.grader import grade_cells, judge_mutants
from courseware.grading.staff_files import load_staff_files, untouched_cells
from llmlib.data import recorded
from llmlib.sandbox import available_backend

ROOT = Path(__file__).resolve().parents[2]
LABS = cases.lab_ids()
PATTERN = [lab_id for lab_id in LABS if cases.load_lab(lab_id).needs_student]  # labs of the four kinds of question
SALT = "tests"  # fixed inputs here: a test that fails must fail again

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)


@functools.cache
def staff_of(lab_id):
    return load_staff_files(cases.load_lab(lab_id))


@functools.cache
def mutants_of(lab_id):
    found = judge_mutants(cases.load_lab(lab_id), staff_of(lab_id), salt=SALT, zygote=ready(lab_id))
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
        assert staff.hidden.get(question.id) or question.kind == "design", f"{question.id} has no hidden case"
        assert sum(m.question == question.id for m in staff.mutants) >= 3, f"{question.id} has fewer than three mutants"
    texts = {entry.id for entry in lab.ungraded if entry.kind == "text"}
    assert texts == set(staff.rubrics), "every free text has a rubric, and every rubric a text"


@needs_sandbox
@pytest.mark.parametrize("lab_id", LABS)
def test_reference_solution_gets_full_marks(lab_id):
    lab, staff = cases.load_lab(lab_id), staff_of(lab_id)
    report = grade_cells(lab, staff, staff.reference, salt=SALT, zygote=ready(lab_id))
    assert {r.question.id: r.message for r in report.results} == {q.id: "correct" for q in lab.questions}
    assert report.score == lab.points
    assert report.notes == ()


@needs_sandbox
@pytest.mark.parametrize("lab_id", LABS)
def test_untouched_lab_gets_nothing_and_runs_through(lab_id):
    lab = cases.load_lab(lab_id)
    report = grade_cells(lab, staff_of(lab_id), untouched_cells(lab), salt=SALT, zygote=ready(lab_id))
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
            check(question.id, *(space[name] for name in question.names))
        assert "not started yet" in output.getvalue()


@needs_sandbox
@pytest.mark.parametrize(("lab_id", "key"), named_mutants(), ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_mutant_loses_its_question_and_is_named(lab_id, key):
    mutant, results = mutants_of(lab_id)[key]
    assert [r.question.id for r in results if not r.passed] == [mutant.question]
    assert mutant.message in next(r.message for r in results if r.question.id == mutant.question)


@pytest.mark.parametrize("lab_id", LABS)
def test_a_reference_builds_on_no_question_but_those_it_names(lab_id):
    """So a mutant can change the verdict on its own question and on those that name it, and on no other."""
    lab = cases.load_lab(lab_id)
    owner = {name: question.id for question in lab.questions for name in question.names}
    for question in lab.questions:
        allowed, todo = {question.id}, list(question.uses)
        while todo:
            allowed.add(used := todo.pop())
            todo += lab.question(used).uses
        for name in question.names:
            read = global_names(compile(staff_of(lab_id).reference_definition(name) or "", name, "exec"))
            assert {owner[n] for n in read & set(owner)} <= allowed, (question.id, name)


def global_names(code):
    """What code looks up outside of its functions, those inside it included."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return found.union(*(global_names(inner) for inner in code.co_consts if isinstance(inner, types.CodeType)))


# ------------------------------------------------------------------------------------------- what a lab promises


def solution_text(lab_id):
    (path,) = (ROOT / "solutions").glob(f"{lab_id}_*.py")
    return path.read_text(encoding="utf-8")


def hidden_module(lab_id):
    spec = importlib.util.spec_from_file_location(
        f"{lab_id}_hidden_again", Path(__file__).parent / f"{lab_id}_hidden.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("lab_id", PATTERN)
def test_points_add_up_everywhere(lab_id):
    lab, text = cases.load_lab(lab_id), solution_text(lab_id)
    headings = {int(n): (int(points), int(difficulty), int(minutes)) for n, points, difficulty, minutes in re.findall(
        r"^# ## Question (\d+): .*\((\d+) points?, difficulty (\d), (?:about )?(\d+) minutes\)$", text, re.MULTILINE)}  # fmt: skip
    schema = {int(q.id.split("q")[1]): (q.points, q.difficulty, q.minutes) for q in lab.questions}
    assert headings == schema
    by_people = [int(n) for n in re.findall(r"^# ## .*\((\d+) points, given by a person\)$", text, re.MULTILINE)]
    assert sum(by_people) == lab.staff_points > 0
    total, automatic, person = map(
        int, re.search(r"(\d+) points: (\d+) by the grader, (\d+) by a person", text).groups()
    )
    assert (total, automatic, person) == (lab.total_points, lab.points, lab.staff_points)
    minutes = int(re.search(r"About (\d+) minutes", text).group(1))
    assert abs(minutes - sum(q.minutes for q in lab.questions)) <= 10


@pytest.mark.parametrize("lab_id", PATTERN)
def test_at_most_half_of_the_points_are_for_what_the_lecture_prints(lab_id):
    lab = cases.load_lab(lab_id)
    assert 2 * sum(q.points for q in lab.questions if q.printed) <= lab.points
    assert any(q.kind == "diagnosis" for q in lab.questions) and any(
        q.kind in ("test", "design") for q in lab.questions
    )


@pytest.mark.parametrize("lab_id", PATTERN)
def test_a_lab_says_how_to_open_and_hand_in_and_how_its_challenge_is_measured(lab_id):
    text = solution_text(lab_id)
    assert "make lab" in text and "To hand in" in text and "public cases only" in text
    challenge = next(entry for entry in cases.load_lab(lab_id).ungraded if entry.kind == "challenge")
    assert challenge.baseline is not None and challenge.number.unit
    assert "Stopwatch(" in text or challenge.seconds is None
    assert all(entry.number or entry.options for entry in cases.load_lab(lab_id).ungraded if entry.kind == "prediction")


@pytest.mark.parametrize("lab_id", PATTERN)
def test_a_diagnosis_is_drawn_from_at_least_eight_faults_that_evidence_can_tell_apart(lab_id):
    lab, staff = cases.load_lab(lab_id), staff_of(lab_id)
    module = hidden_module(lab_id)
    results = recorded(module.RECORDING)["results"]
    for question in (q for q in lab.questions if q.kind == "diagnosis"):
        (key,) = (entry for entry in staff.hidden[question.id] if isinstance(entry, Key))
        assert set(key.runs) == set(question.runs) <= set(results) and set(key.true) == {*question.faults, "correct"}
        assert len(set(key.runs.values())) == len(question.faults) >= 8
        for run, fault in {**key.runs, "correct": "correct"}.items():  # the key is what the recorded numbers say
            seen = {o for o, holds in module.OBSERVED.items() if holds(results[run], results["correct"])}
            assert seen == set(key.true[fault]), (run, fault)
        assert set(module.OBSERVED) == set(question.observations)
        given_away = 0
        for fault in question.faults:
            true = key.true[fault]
            proofs = [set(e) for n in (1, 2, 3) for e in itertools.combinations(true, n)
                      if not any(set(e) <= set(key.true[other]) for other in key.true if other != fault)]  # fmt: skip
            assert proofs, f"{fault}: no three observations prove it"
            given_away += min(map(len, proofs)) == 1
        assert given_away <= len(question.faults) // 2, "most causes need two observations that are put together"
        text = solution_text(lab_id).replace("`", "")
        assert all(f"| {words} |" in text for words in [*question.faults.values(), *question.observations.values()]), (
            "the notebook and the schema name the same causes and observations"
        )


@pytest.mark.parametrize("lab_id", PATTERN)
def test_every_case_can_be_drawn_under_any_salt(lab_id):
    lab, staff = cases.load_lab(lab_id), staff_of(lab_id)
    for question in lab.questions:
        for case in [*question.cases, *(c for c in staff.hidden.get(question.id, ()) if isinstance(c, cases.Case))]:
            for salt in range(4):  # `make mutation` draws the public ones under 200
                draw_inputs(case, case_seed(question, case, str(salt)))


@pytest.mark.parametrize("lab_id", PATTERN)
def test_public_cases_refuse_every_named_mutant_whatever_is_drawn(lab_id):
    """Three salts here; `make mutation` takes 200, and mutates the references besides."""
    spec = importlib.util.spec_from_file_location("mutation", Path(__file__).parent / "mutation.py")
    mutation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutation)
    assert mutation.named_survivors(lab_id, 3) == []


@pytest.mark.parametrize("lab_id", LABS)
def test_every_wrong_value_with_a_name_is_separated_by_construction(lab_id):
    for question in cases.load_lab(lab_id).questions:
        separated = {wrong for case in question.cases for wrong in case.separates}
        named = [m for m in question.mistakes if callable(m.wrong)]
        assert [m.message for m in named if m.wrong not in separated] == [], question.id


@pytest.mark.parametrize("lab_id", LABS)
def test_the_kept_mutation_report_covers_every_reference_and_explains_every_survivor(lab_id):
    text = (Path(__file__).parent / "mutation_report.md").read_text(encoding="utf-8")
    assert "200 salts each: all refused, every time." in text and "not explained" not in text
    rows = set(re.findall(rf"^\| ({lab_id}\.q\d+) \|", text, re.MULTILINE))
    assert rows == {q.id for q in cases.load_lab(lab_id).questions if q.kind == "write"}
