"""Right answers in other words are accepted, and likely wrong ones that nobody named are refused.

The answers are in ``alternatives/labNN.py``; they are judged as the grader judges, by all public and hidden cases, in
this process.
"""

import dataclasses
import functools
import importlib.util
import itertools
from pathlib import Path

import pytest
from warm_labs import ready

from courseware.classroom import cases
from courseware.grading.grader import grade_cells
from llmlib.sandbox import available_backend

FOLDER = Path(__file__).parent
SALTS = ("x", "y")


def load(path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutation = load(FOLDER / "mutation.py")
LABS = cases.lab_ids()
FILES = {lab_id: load(FOLDER / "alternatives" / f"{lab_id}.py") for lab_id in LABS}
QUESTIONS = [(lab_id, q) for lab_id in LABS for q in FILES[lab_id].RIGHT]
REFUSED = [lab_id for lab_id in LABS if hasattr(FILES[lab_id], "REFUSED")]
reference_space = functools.cache(mutation.reference_space)


def accepted(lab_id, question_id, source):
    lab = cases.load_lab(lab_id)
    space = mutation.with_source(reference_space(lab_id), source)
    assert space is not None, f"it does not run:\n{source}"
    return all(mutation.passes(lab, lab.question(question_id), space, salt, True) for salt in SALTS)


@pytest.mark.parametrize(("lab_id", "question_id"), QUESTIONS, ids=lambda v: v)
def test_other_right_answers_are_accepted(lab_id, question_id):
    assert [s for s in FILES[lab_id].RIGHT[question_id] if not accepted(lab_id, question_id, s)] == []


@pytest.mark.parametrize(("lab_id", "question_id"), QUESTIONS, ids=lambda v: v)
def test_unnamed_wrong_answers_are_refused(lab_id, question_id):
    assert [s for s in FILES[lab_id].WRONG[question_id] if accepted(lab_id, question_id, s)] == []


@pytest.mark.parametrize("lab_id", LABS)
def test_every_question_but_a_diagnosis_has_alternatives(lab_id):
    wanted = {q.id for q in cases.load_lab(lab_id).questions if q.kind != "diagnosis"}
    assert set(FILES[lab_id].RIGHT) == set(FILES[lab_id].WRONG) == wanted


@pytest.mark.skipif(available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine")
@pytest.mark.parametrize("lab_id", REFUSED)
def test_an_answer_made_of_what_the_lab_forbids_earns_nothing(lab_id):
    lab, staff = cases.load_lab(lab_id), mutation.staff_of(lab_id)
    for sources in itertools.zip_longest(*FILES[lab_id].REFUSED.values()):  # one answer to each question at a time
        given = {q: source for q, source in zip(FILES[lab_id].REFUSED, sources) if source}
        more = [dataclasses.replace(staff.reference[-1], source=source) for source in given.values()]
        report = grade_cells(lab, staff, [*staff.reference, *more], salt=SALTS[0], zygote=ready(lab_id))
        refused = {r.question.id: r.message for r in report.results if not r.passed}
        assert set(refused) == set(given)
        for message in refused.values():
            assert "you are asked to write yourself" in message or "this is for you to write" in message
