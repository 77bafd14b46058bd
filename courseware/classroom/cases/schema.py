"""What a lab is made of, as plain data: cases, mistakes, questions of four kinds, and what is kept for people.

The package's docstring explains the words; docs/writing_a_lab.md has an example of each kind.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_QUESTION_ID = re.compile(r"lab\d\d\.q\d+")
_UNGRADED_ID = re.compile(r"lab\d\d\.[pct]\d+")
KINDS = ("write", "test", "diagnosis", "design")


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()


@dataclass(frozen=True)
class Tolerance:
    """``|got - expected| <= atol + rtol * |expected|``, elementwise; for floating-point values only.

    ``to_scale`` takes atol in units of the largest expected number of an array, if that is above 1; mistakes are
    recognised so, answers are not judged so.
    """

    rtol: float = 1e-4
    atol: float = 1e-5
    to_scale: bool = False


@dataclass(frozen=True, eq=False)  # a case is itself, whatever another holds: what is found out about it is kept
class Case:
    """One run of a student's answer and how its value is judged.

    ``inputs(draw)`` returns a tuple (positional) or a dict (by keyword); leave it out when the answer is a value rather
    than a function. Give ``expected`` (a value, or a function of the same inputs), ``judge(value, *inputs)``, or both.
    ``separates``: wrong answers (functions of the inputs) that must not pass; inputs are drawn again until each of them
    differs from ``expected``, so that no mistake is right by the luck of a draw. ``hint`` is one sentence printed when
    a value of the right kind and shape is wrong and no known mistake explains it. ``recipe`` and ``tolerance`` override
    the question's.
    """

    name: str
    inputs: Callable[..., tuple | dict] | None = None
    expected: Any = UNSET
    judge: Callable[..., str | None] | None = None
    hint: str = ""
    recipe: Callable | None = None
    tolerance: Tolerance | None = None
    separates: tuple[Callable, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "separates", tuple(self.separates))
        if self.expected is UNSET and self.judge is None:
            raise ValueError(f"case {self.name!r} has neither expected nor judge: it could never fail")
        if self.separates and (self.inputs is None or not callable(self.expected)):
            raise ValueError(f"case {self.name!r}: separates needs inputs and an expected function to compare with")


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
class Subject:
    """An implementation that a student's test is tried on. ``run(*inputs)`` is trusted and returns plain data.

    ``symptom`` finishes the sentence "your test accepts a function that ..."; a right one may say how it is written.
    """

    symptom: str
    run: Callable


@dataclass(frozen=True)
class Key:
    """Staff's key of a diagnosis: the cause of each run, and which observations are true under each cause.

    ``runs`` maps a run's name to the letter of its cause; ``true`` maps such a letter to the letters of the
    observations that hold in its run, and "correct" to those that hold where nothing is wrong.
    """

    runs: Mapping[str, str]
    true: Mapping[str, str]


@dataclass(frozen=True)
class Budget:
    """A cost a design must keep: ``cost(value)`` is a number of at most ``limit`` ``unit``."""

    name: str
    unit: str
    limit: float
    cost: Callable[[Any], float]


@dataclass(frozen=True)
class Score:
    """What a design is for: ``of(value)`` is measured, and must be at least as good as ``goal``."""

    name: str
    unit: str
    goal: float
    of: Callable[[Any], float]
    better: str = "higher"

    def reached(self, value: float) -> bool:
        return value >= self.goal if self.better == "higher" else value <= self.goal


@dataclass(frozen=True)
class Question:
    """One question of a lab. ``name`` is the function, class or variable the student writes.

    ``kind`` is one of

    * ``"write"``: write ``name``; judged by ``cases``.
    * ``"test"``: write ``examples() -> list of inputs`` and ``holds(inputs, output) -> bool`` (the names are
      ``examples`` and ``name``). Every ``right`` subject must pass on every example, every ``wrong`` one must fail on
      one. ``valid(*inputs)`` says what an example may be (None, or one sentence); it also bounds their size, because
      trusted code runs on them.
    * ``"diagnosis"``: name the cause of the run that was drawn for this student (``runs``, by the value of the
      variable ``student``) and the evidence: ``{"cause": "C", "evidence": ["b", "f"]}``, letters of ``faults`` and
      ``observations``. ``check`` says only whether the format is right; the :class:`Key` is staff's.
    * ``"design"``: plain data within every one of ``budgets`` whose ``score`` reaches its goal; ``valid(value)`` first.

    ``forbids`` lists names the answer may not mention (``"scaled_dot_product_attention"``), on top of the lab's.
    ``uses`` lists the ids of earlier questions whose answers this one calls. ``printed=True`` marks an answer that the
    lecture prints nearly word for word; a lab may give at most half of its automatic points for those.
    """

    id: str
    title: str
    name: str
    points: int
    difficulty: int
    minutes: int
    cases: tuple[Case, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    recipe: Callable | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    hint: str = ""
    uses: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    kind: str = "write"
    printed: bool = False
    examples: str = ""
    right: tuple[Subject, ...] = ()
    wrong: tuple[Subject, ...] = ()
    valid: Callable[..., str | None] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    observations: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    student: str = "STUDENT"
    budgets: tuple[Budget, ...] = ()
    score: Score | None = None

    def __post_init__(self) -> None:
        for name in ("cases", "mistakes", "right", "wrong", "runs", "budgets"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not _QUESTION_ID.fullmatch(self.id):
            raise ValueError(f"question id {self.id!r}: write it as 'lab03.q1'")
        if not self.name.isidentifier():
            raise ValueError(f"{self.id}: name {self.name!r} is not a Python name; name what the student defines")
        if self.points < 1 or not 1 <= self.difficulty <= 5 or self.minutes < 1:
            raise ValueError(f"{self.id}: points and minutes start at 1, difficulty runs from 1 to 5")
        if self.kind not in KINDS:
            raise ValueError(f"{self.id}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.kind == "write" and not self.cases:
            raise ValueError(f"{self.id} has no public case: give check() something to show")
        if self.kind == "test" and not (self.examples.isidentifier() and self.right and self.wrong and self.valid):
            raise ValueError(f"{self.id}: a test needs examples (a name), right and wrong subjects, and valid")
        if self.kind == "diagnosis" and not (len(self.faults) >= 2 and self.observations and self.runs):
            raise ValueError(f"{self.id}: a diagnosis needs faults, observations and runs to draw from")
        if self.kind == "design" and not (self.budgets and self.score and self.valid):
            raise ValueError(f"{self.id}: a design needs budgets, a score, and valid")

    @property
    def names(self) -> tuple[str, ...]:
        """Everything the student defines for this question."""
        return (self.examples, self.name) if self.examples else (self.name,)


@dataclass(frozen=True)
class Number:
    """What a predicted or measured number may be: from ``low`` to ``high``, whole if ``whole``."""

    low: float
    high: float
    whole: bool = False
    unit: str = ""

    def complaint(self, value: object) -> str:
        """What is wrong with ``value``; empty when nothing is."""
        wanted = f"{'a whole number' if self.whole else 'a number'} from {self.low:g} to {self.high:g}"
        wanted += f" ({self.unit})" if self.unit else ""
        if type(value) not in (int, float) or not math.isfinite(value):
            return f"{str(value)[:40]!r} is not {wanted}" if isinstance(value, str) else f"give {wanted}"
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            return f"{value:g} is not {wanted}"
        return ""


@dataclass(frozen=True)
class Ungraded:
    """Something a person reads: ``kind`` is "prediction" (``labNN.p1``), "text" (``.t1``) or "challenge" (``.c1``).

    ``points`` are given by staff, never by the grader; ``name`` is the variable that holds the answer. A prediction is
    a ``number`` or one of ``options``. A challenge is a ``number``, better when ``better`` ("lower" or "higher") than
    ``baseline``, reached within ``seconds`` of computing.
    """

    id: str
    title: str
    name: str
    kind: str = "prediction"
    points: int = 0
    options: tuple = ()
    number: Number | None = None
    baseline: float | None = None
    better: str = "lower"
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("prediction", "text", "challenge"):
            raise ValueError(f"{self.id}: kind {self.kind!r} is not one of prediction, text, challenge")
        if not _UNGRADED_ID.fullmatch(self.id):
            raise ValueError(f"ungraded id {self.id!r}: write it as 'lab03.p1' (prediction), '.t1' (text), '.c1'")
        if self.better not in ("lower", "higher"):
            raise ValueError(f"{self.id}: better {self.better!r} is not lower or higher")

    def complaint(self, value: object) -> str:
        """What is wrong with an answer, for a person who writes or reads it; empty when nothing is."""
        if value is ... or value is None or value == "":
            return "write your answer down first, then run this cell"
        if self.options and value not in self.options:
            return f"{value!r} is not one of {', '.join(map(str, self.options))}"
        if self.kind == "text" and not isinstance(value, str):
            return "write a text, in quotation marks"
        return self.number.complaint(value) if self.number else ""


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
        """Points that the grader gives."""
        return sum(q.points for q in self.questions)

    @property
    def staff_points(self) -> int:
        """Points that people give."""
        return sum(entry.points for entry in self.ungraded)

    @property
    def total_points(self) -> int:
        return self.points + self.staff_points

    @property
    def needs_student(self) -> bool:
        """Is something drawn by who hands this in?"""
        return any(q.kind == "diagnosis" for q in self.questions)


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer: ``source`` redefines the question's name, ``message`` is part of what is then read."""

    question: str
    name: str
    source: str
    message: str
