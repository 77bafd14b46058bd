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
* A **question** is all or nothing: every case, public and hidden, must pass to earn its points. A question that calls
  the answer to an earlier one lists it in ``uses``; then a mistake there costs its own points once, because the grader
  judges the later question again with the reference in place of the broken part.
* **Ungraded** entries are kept for people: a prediction logged before running, a free text with a rubric for staff, the
  score of an open challenge.

docs/writing_a_lab.md walks through a complete example. This schema is frozen: add fields with defaults, never change
the meaning of one.
"""

import importlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_QUESTION_ID = re.compile(r"lab\d\d\.q\d+")
_UNGRADED_ID = re.compile(r"lab\d\d\.[pct]\d+")


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()


class Draw:
    """Seeded random inputs. Tensors come from ``torch``; ``draw.numpy`` is a numpy ``Generator`` for labs without it.

    ``draw.seed`` is what a report prints, so that a failing hidden case can be drawn again.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.numpy = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0):
        """A float32 tensor of the given shape, entries N(0, scale^2)."""
        import torch

        return torch.from_numpy(self.numpy.normal(0.0, scale, shape).astype(np.float32))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0):
        """A float32 tensor of the given shape, entries uniform in [low, high)."""
        import torch

        return torch.from_numpy(self.numpy.uniform(low, high, shape).astype(np.float32))

    def integers(self, low: int, high: int, *shape: int):
        """An int64 tensor of the given shape, entries in [low, high)."""
        import torch

        return torch.from_numpy(self.numpy.integers(low, high, shape, dtype=np.int64))

    def integer(self, low: int, high: int) -> int:
        """One int in [low, high)."""
        return int(self.numpy.integers(low, high))

    def choice(self, options):
        """One of ``options``."""
        return options[self.integer(0, len(options))]

    def text(self, length: int, alphabet: str = "abcdefgh ") -> str:
        """A random string over ``alphabet``."""
        return "".join(self.choice(alphabet) for _ in range(length))


@dataclass(frozen=True)
class Tolerance:
    """``|got - expected| <= atol + rtol * |expected|``, elementwise; for floating-point values only."""

    rtol: float = 1e-4
    atol: float = 1e-5


@dataclass(frozen=True)
class Case:
    """One run of a student's answer and how its value is judged.

    ``inputs(draw)`` returns a tuple (positional) or a dict (by keyword); leave it out when the answer is a value rather
    than a function. Give ``expected`` (a value, or a function of the same inputs), ``judge(value, *inputs)``, or both.
    ``hint`` is one sentence printed when the case fails and no known mistake explains it.
    ``recipe`` and ``tolerance`` override the question's.
    """

    name: str
    inputs: Callable[[Draw], tuple | dict] | None = None
    expected: Any = UNSET
    judge: Callable[..., str | None] | None = None
    hint: str = ""
    recipe: Callable | None = None
    tolerance: Tolerance | None = None

    def __post_init__(self) -> None:
        if self.expected is UNSET and self.judge is None:
            raise ValueError(f"case {self.name!r} has neither expected nor judge: it could never fail")


@dataclass(frozen=True)
class Mistake:
    """A wrong answer we can name. ``message`` is what the student reads, best put as a question.

    It is recognised by any of: ``wrong``, the value it gives (or a function of the inputs giving it), compared like an
    expected value; ``when(value, *inputs) -> bool``; ``error``, a regular expression found in the exception the answer
    raised (``"IndexError: index 5 is out of range"``). Only failing cases are diagnosed.
    """

    message: str
    wrong: Any = UNSET
    when: Callable[..., bool] | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if self.wrong is UNSET and self.when is None and self.error is None:
            raise ValueError(f"mistake {self.message!r} needs one of wrong, when, error: nothing would recognise it")


@dataclass(frozen=True)
class Question:
    """One question of a lab. ``name`` is the function, class or variable the student writes.

    ``forbids`` lists names the answer may not mention (``"scaled_dot_product_attention"``), on top of the lab's.
    ``uses`` lists the ids of earlier questions whose answers this one calls.
    """

    id: str
    title: str
    name: str
    points: int
    difficulty: int
    minutes: int
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...] = ()
    recipe: Callable | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    hint: str = ""
    uses: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(self.cases))
        object.__setattr__(self, "mistakes", tuple(self.mistakes))
        if not _QUESTION_ID.fullmatch(self.id):
            raise ValueError(f"question id {self.id!r}: write it as 'lab03.q1'")
        if not self.name.isidentifier():
            raise ValueError(f"{self.id}: name {self.name!r} is not a Python name; name what the student defines")
        if self.points < 1 or not 1 <= self.difficulty <= 5 or self.minutes < 1:
            raise ValueError(f"{self.id}: points and minutes start at 1, difficulty runs from 1 to 5")
        if not self.cases:
            raise ValueError(f"{self.id} has no public case: give check() something to show")


@dataclass(frozen=True)
class Ungraded:
    """Something a person reads: ``kind`` is "prediction" (``labNN.p1``), "text" (``.t1``) or "challenge" (``.c1``).

    ``points`` are given by staff, never by the grader; ``name`` is the variable that holds the answer.
    """

    id: str
    title: str
    name: str
    kind: str = "prediction"
    points: int = 0
    options: tuple = ()

    def __post_init__(self) -> None:
        if self.kind not in ("prediction", "text", "challenge"):
            raise ValueError(f"{self.id}: kind {self.kind!r} is not one of prediction, text, challenge")
        if not _UNGRADED_ID.fullmatch(self.id):
            raise ValueError(f"ungraded id {self.id!r}: write it as 'lab03.p1' (prediction), '.t1' (text), '.c1'")


@dataclass(frozen=True)
class Lab:
    """A lab: its questions and what student code may use while it is graded.

    ``provides``: modules of the course's own library that student code may import (and everything below them); all
    others are absent in the sandbox. ``forbids``: further modules, or names of functions and classes, that would be the
    answer. ``preload``: imported in the worker before any student code. ``cell_seconds``, ``call_seconds``: wall-clock
    limits for one cell of the notebook and for one case.
    """

    id: str
    title: str
    questions: tuple[Question, ...]
    ungraded: tuple[Ungraded, ...] = ()
    provides: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    preload: tuple[str, ...] = ("numpy", "torch")
    cell_seconds: float = 20.0
    call_seconds: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", tuple(self.questions))
        object.__setattr__(self, "ungraded", tuple(self.ungraded))
        ids = [entry.id for entry in (*self.questions, *self.ungraded)]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{self.id}: two entries share an id in {ids}")
        if stray := [i for i in ids if not i.startswith(self.id + ".")]:
            raise ValueError(f"{self.id}: the ids {stray} belong to another lab")
        if unknown := [u for q in self.questions for u in q.uses if u not in ids]:
            raise ValueError(f"{self.id}: uses names unknown questions {unknown}")

    def question(self, question_id: str) -> Question:
        """The question with this id; KeyError otherwise."""
        return {q.id: q for q in self.questions}[question_id]

    @property
    def points(self) -> int:
        return sum(q.points for q in self.questions)


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer: ``source`` redefines the question's name, ``message`` is part of what is then read."""

    question: str
    name: str
    source: str
    message: str


def set_parameters(module, scale: float = 0.1, seed: int = 0) -> None:
    """Fill every parameter of a torch module with values that depend only on its *name*, shape and ``seed``.

    Two modules whose parameters carry the same names and shapes become equal whatever their initialisation. Available
    to recipes under this name; the reference in ``expected`` calls it too.
    """
    import zlib

    import numpy
    import torch

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            draw = numpy.random.default_rng([seed, zlib.crc32(name.encode())])
            values = draw.normal(0.0, scale, tuple(parameter.shape)).astype(numpy.float32)
            parameter.copy_(torch.from_numpy(values))


def lab_ids() -> list[str]:
    """Ids of all labs that have cases, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("lab[0-9][0-9].py"))


_registered: dict[str, Lab] = {}


def register(lab: Lab) -> Lab:
    """Make a lab known that does not live in this folder (tests, a teacher's own lab). Returns it."""
    _registered[lab.id] = lab
    return lab


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
    "Case",
    "Draw",
    "Lab",
    "Mistake",
    "Mutant",
    "Question",
    "Tolerance",
    "Ungraded",
    "close_to",
    "find",
    "lab_ids",
    "load_lab",
    "register",
    "set_parameters",
]
