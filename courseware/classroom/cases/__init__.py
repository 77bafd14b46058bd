"""The case schema: what a lab asks, how an answer is judged, and which mistakes are known by name.

A lab is described by three files, and by nothing else:

=============================  ==================================================  =========================
file                           holds                                               do students get it?
=============================  ==================================================  =========================
``courseware/classroom/cases/labNN.py``  ``LAB``: questions, public cases, known mistakes    yes, ``check`` runs it
``tests/labs/labNN_hidden.py`` ``HIDDEN`` cases, ``MUTANTS``, ``RUBRICS``          no (staff; may be overlaid)
``solutions/labNN_topic.py``   the lab's text with the reference answers           no
=============================  ==================================================  =========================

The vocabulary, from the inside out:

* A **case** makes inputs from a seeded :class:`Draw`, has the student's answer run on them, and judges the *value*
  that came back: against ``expected`` (a value, or a function of the same inputs) or by ``judge`` (a property: return
  ``None`` when all is well, otherwise one sentence for the student). Public cases always draw the same inputs; hidden
  cases draw fresh ones at every grading. Inputs and values are plain data: numbers, strings, lists, tuples, dicts,
  sets, None, numpy arrays, torch tensors. Expected values and judgements are computed by trusted code in the parent,
  never in the process that runs the student's code.
* A **recipe** says how to exercise an answer that a plain call cannot, above all an ``nn.Module``:
  ``recipe(student, *inputs) -> value``. It runs beside the student's code (in the sandbox when grading), so it is
  shipped as source text: it must stand on its own, sees only ``torch``, ``nn``, ``F``, ``np`` and ``math``, and returns
  values, never a judgement. Helpers in it: :func:`set_parameters` is available under that name.
* A **mistake** is an answer we have seen before and can name: it recognises the wrong value and tells the student what
  to look at. ``check`` prints it, and so does the grading report.
* A **mutant** is the source of a plausible wrong answer. The tests prove that it loses exactly its question's points
  and that the student gets to read its ``message``.
* A **question** is of one of four kinds: *write* this function, class or value; *test* an unseen implementation (write
  inputs and a predicate that right ones pass and wrong ones fail); *diagnosis* of a run drawn per student; *design*
  under a budget. It is all or nothing: every case, public and hidden, must pass to earn its points. A question that calls
  the answer to an earlier one lists it in ``uses``; then a mistake there costs its own points once, because the grader
  judges the later question again with the reference in place of the broken part.
* **Ungraded** entries are kept for people: a prediction logged before running, a free text with a rubric for staff, the
  score of an open challenge.

docs/writing_a_lab.md walks through a complete example. This schema is frozen: add fields with defaults, never change
the meaning of one.
"""

import importlib
import math
from pathlib import Path

from courseware.classroom.cases.inputs import Draw, set_parameters
from courseware.classroom.cases.schema import (
    UNSET,
    Budget,
    Case,
    Key,
    Lab,
    Mistake,
    Mutant,
    Number,
    Question,
    Score,
    Subject,
    Tolerance,
    Ungraded,
)


def lab_ids() -> list[str]:
    """Ids of all labs that have cases, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("lab[0-9][0-9].py"))


_registered: dict[str, Lab] = {}


def register(lab: Lab) -> Lab:
    """Make a lab known that does not live in this folder (tests, a teacher's own lab). Returns it."""
    _registered[lab.id] = lab
    return lab


def lab_id_of(name: str) -> str:
    """The id that a person means: "3", "03" and "lab03" are "lab03"."""
    return f"lab{name.removeprefix('lab').zfill(2)}"


def load_lab(lab_id: str) -> Lab:
    """The lab with this id ("lab03"); a KeyError names the ones there are."""
    if lab_id in _registered:
        return _registered[lab_id]
    if lab_id not in lab_ids():
        known = ", ".join(sorted({*lab_ids(), *_registered})) or "none yet"
        raise KeyError(f"there is no lab {lab_id!r}; known labs: {known}")
    return importlib.import_module(f"{__name__}.{lab_id}").LAB


def find(entry_id: str) -> tuple[Lab, Question | Ungraded]:
    """The lab and entry of an id such as "lab03.q1"; a KeyError says which ids the lab has."""
    lab = load_lab(entry_id.split(".")[0])
    entries = {entry.id: entry for entry in (*lab.questions, *lab.ungraded)}
    if entry_id not in entries:
        raise KeyError(f"{lab.id} has no {entry_id!r}; it has {', '.join(entries)}")
    return lab, entries[entry_id]


def close_to(value: float, expected: float, tolerance: float) -> bool:
    """For ``judge`` and ``when``: is a number within ``tolerance`` of another (False for NaN)?"""
    return math.isfinite(value) and abs(value - expected) <= tolerance


__all__ = [
    "UNSET",
    "Budget",
    "Case",
    "Draw",
    "Key",
    "Lab",
    "Mistake",
    "Mutant",
    "Number",
    "Question",
    "Score",
    "Subject",
    "Tolerance",
    "Ungraded",
    "close_to",
    "find",
    "lab_id_of",
    "lab_ids",
    "load_lab",
    "register",
    "set_parameters",
]
