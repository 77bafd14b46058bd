"""Grade the cells of one submission: run them in a sandbox, ask for values, judge the values here.

Three rules keep it honest. The process that runs student code never holds an expected value, a hidden case or a
reference answer to a question it has yet to be asked. Inputs are drawn afresh and sent one case at a time. And what
comes back is data, compared by trusted code. So a submission can earn a point only by returning the right value for
inputs it has just been given; everything else it may try costs it that question, at worst its own remaining ones.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from courseware.classroom import judging
from courseware.classroom.cases import Lab, Mutant, Question
from courseware.classroom.checker import forbidden_names
from courseware.classroom.compare import Failure, Verdict, recipe_text
from courseware.classroom.judging import Request
from courseware.grading.staff_files import StaffFiles
from courseware.grading.submission import Cell, defining_cells, definitions
from llmlib.sandbox import CodeError, Limits, SandboxDied, Session, UnsupportedValue

# Libraries that hold answers, and this one; a lab's ``provides`` makes exceptions for parts of llmlib.
HIDDEN_LIBRARIES = ("llmlib", "transformers", "tokenizers", "nltk")
MAX_RESTARTS = 12
CACHE = "/sandbox/cache"
STUDENT = "STUDENT"  # the variable of a lab that draws something by who hands it in


@dataclass(frozen=True)
class Result:
    """One question of one submission."""

    question: Question
    verdicts: tuple[Verdict, ...]
    refused: str = ""
    carried: bool = False  # judged again with the reference in place of an earlier, wrong answer

    @property
    def passed(self) -> bool:
        return not self.refused and bool(self.verdicts) and all(v.passed for v in self.verdicts)

    @property
    def score(self) -> int:
        return self.question.points if self.passed else 0

    @property
    def message(self) -> str:
        """What the student reads, one line."""
        if self.refused:
            return self.refused
        failed = [v for v in self.verdicts if not v.passed]
        if not failed:
            return "correct" + (", given a correct answer to the questions it builds on" if self.carried else "")
        if all(v.not_started for v in self.verdicts):
            return "not started yet"
        messages = dict.fromkeys(v.message for v in failed)
        shown = "; ".join(list(messages)[:3])
        return f"{len(self.verdicts) - len(failed)} of {len(self.verdicts)} cases pass. {shown}"


@dataclass(frozen=True)
class Report:
    """One submission: results by question, notes about its cells, answers kept for people, or an ``error``."""

    name: str
    lab: Lab | None = None
    results: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()
    ungraded: dict[str, str] = field(default_factory=dict)
    salt: str = ""
    seconds: float = 0.0
    error: str = ""

    @property
    def score(self) -> int:
        return sum(r.score for r in self.results)


class Bench:
    """A submission loaded in a sandbox, started again after whatever killed it."""

    def __init__(self, lab: Lab, cells: Sequence[Cell], *, unsafe: bool = False, budget: float = 300.0) -> None:
        self.lab, self.cells, self.unsafe = lab, list(cells), unsafe
        self.deadline = time.monotonic() + budget
        self.notes: dict[int, str] = {}
        self.overlay: list[str] = []  # trusted source run after the cells: references standing in, or a mutant
        self._deadly: set[int] = set()
        self._restarts = 0
        self._session: Session | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    def answer(self, request: Request) -> object:
        """What the student's code gives for a request of the judging, or a Failure."""
        recipe = request.recipe and (recipe_text(request.recipe, "torch" in self.lab.preload), request.recipe.__name__)
        return self._value(request.name, request.inputs, recipe, request.seed)

    def variable(self, name: str) -> object:
        """The value of a variable of the submission, or a Failure."""
        return self._value(name, None, None, 0)

    def run_trusted(self, source: str) -> None:
        """Run a reference definition or a mutant after the cells, now and after any restart."""
        self.overlay.append(source)
        if self._session is not None:
            with contextlib.suppress(CodeError):
                self._session.run(source, seconds=self.lab.cell_seconds, label="<staff>")

    def _value(self, name: str, inputs: tuple | dict | None, recipe: tuple[str, str] | None, seed: int) -> object:
        try:
            session = self._ready()
            return session.call(name, inputs, recipe=recipe, seed=seed, seconds=self.lab.call_seconds)
        except CodeError as error:
            if error.type_name == "NotImplementedError":
                return Failure("not started", "")
            place = f" (line {error.line} of its cell)" if error.line else ""
            return Failure("error", f"{error}{place}")
        except UnsupportedValue as error:
            return Failure("error", str(error))
        except SandboxDied as died:
            self.close()
            return Failure("died", f"the answer {died}")

    def _ready(self) -> Session:
        while self._session is None:
            if self._restarts > MAX_RESTARTS:
                raise SandboxDied("gave up")
            self._restarts += 1
            if time.monotonic() > self.deadline:
                raise SandboxDied("timeout")
            self._session = self._load()
        return self._session

    def _load(self) -> Session | None:
        """A fresh session with the cells run; None if one of them killed it (it will be left out from now on)."""
        lab = self.lab
        session = Session(
            Limits(),
            preload=lab.preload,
            hide=(*HIDDEN_LIBRARIES, *(name for name in lab.forbids if name.islower())),
            provide=(*lab.provides, "llmlib.files"),  # what the provided rooms stand on
            stubs=("courseware",),
            withhold=lab.forbids,
            lend=lent_files(lab.provides),
            env={"LLMLIB_CACHE": CACHE},
            unsafe=self.unsafe,
        )
        session.run("def display(*args, **kwargs):\n    pass\n\n\ndef get_ipython():\n    pass\n")
        for cell in self.cells:
            if cell.number in self._deadly:
                continue
            try:
                seconds = max(0.1, min(lab.cell_seconds, self.deadline - time.monotonic()))
                session.run(cell.source, seconds=seconds, label=f"<cell {cell.number}>")
            except CodeError as error:
                place = f", line {error.line}" if error.line else ""
                self.notes[cell.number] = f"code cell {cell.number}{place}: {error}"
            except SandboxDied as died:
                self.notes[cell.number] = f"code cell {cell.number} {died} and was left out"
                self._deadly.add(cell.number)
                session.close()
                return None
        for source in self.overlay:
            with contextlib.suppress(CodeError):
                session.run(source, seconds=lab.cell_seconds, label="<staff>")
        return session


def lent_files(provides: Sequence[str]) -> dict[str, str]:
    """Files of the course's library that a lab provides, as read-only paths in the sandbox."""
    if not provides:
        return {}
    import llmlib

    root = Path(llmlib.__file__).resolve().parent
    lent = {f"/sandbox/lib/llmlib/{name}": str(root / name) for name in ("__init__.py", "files.py")}
    for name in provides:
        inside = Path(*name.split("."))
        source = root.parent / inside
        if not source.is_dir():
            inside, source = inside.with_suffix(".py"), source.with_suffix(".py")
        if not source.exists():
            raise ValueError(f"provides names {name!r}, but there is no {source.name} in the library")
        lent[f"/sandbox/lib/{inside}"] = str(source)
    if "llmlib.data" in provides:
        if (root / "recorded").is_dir():
            lent["/sandbox/lib/llmlib/recorded"] = str(root / "recorded")
        with contextlib.suppress(ImportError):
            from llmlib.data.fetching import cache_dir

            if cache_dir().is_dir():
                lent[CACHE] = str(cache_dir())
    return lent


def grade_cells(
    lab: Lab,
    staff: StaffFiles,
    cells: Sequence[Cell],
    *,
    salt: str,
    name: str = "submission",
    unsafe: bool = False,
    budget: float = 300.0,
) -> Report:
    """Grade one submission. ``salt`` decides the random inputs: a fresh one at every grading, printed in the report."""
    start = time.monotonic()
    with Bench(lab, cells, unsafe=unsafe, budget=budget) as bench:
        student = bench.variable(STUDENT) if lab.needs_student else ""
        results = judge_all(bench, staff, salt, cells, student)
        ungraded = {entry.id: _shown(bench.variable(entry.name)) for entry in lab.ungraded}
        notes = tuple(note for _, note in sorted(bench.notes.items()))
    return Report(name, lab, tuple(results), notes, ungraded, salt, time.monotonic() - start)


def judge_all(
    bench: Bench, staff: StaffFiles, salt: str, cells: Sequence[Cell] = (), student: object = ""
) -> list[Result]:
    """Results of all questions: first on the answers alone, then carrying earlier mistakes forward."""
    lab = bench.lab
    results: dict[str, Result] = {}
    for question in lab.questions:
        source = "\n".join(cell.source for name in question.names for cell in defining_cells(list(cells), name))
        if used := forbidden_names(lab, question, source):
            refused = f"the answer uses {used[0]}, which this question asks you to write yourself"
            results[question.id] = Result(question, (), refused)
        else:
            results[question.id] = judge_question(bench, staff, question, salt, student)
    stand_ins: set[str] = set()
    for question in lab.questions:
        broken = [q for q in lab.questions if q.id in _all_uses(lab, question) and not results[q.id].passed]
        references = {name: staff.reference_definition(name) for q in broken for name in q.names}
        if results[question.id].passed or results[question.id].refused or not broken or None in references.values():
            continue
        for name, source in references.items():
            if name not in stand_ins:
                stand_ins.add(name)
                bench.run_trusted(source)
        again = judge_question(bench, staff, question, salt, student)
        if again.passed:  # otherwise the first messages stand: nothing about the reference is shown
            results[question.id] = replace(again, carried=True)
    return list(results.values())


def judge_question(bench: Bench, staff: StaffFiles, question: Question, salt: str, student: object = "") -> Result:
    """All public and hidden cases of one question, on fresh inputs. The first death ends it."""
    hidden = staff.hidden.get(question.id, ())
    return Result(question, judging.judge_question(question, hidden, bench.answer, salt=salt, student=student))


def _all_uses(lab: Lab, question: Question) -> set[str]:
    found: set[str] = set()
    todo = list(question.uses)
    while todo:
        if (used := todo.pop()) not in found:
            found.add(used)
            todo += lab.question(used).uses
    return found


def judge_mutants(lab: Lab, staff: StaffFiles, *, salt: str, unsafe: bool = False) -> list[tuple[Mutant, list[Result]]]:
    """What the grader says of every mutant, all in one sandbox session with the reference answers loaded."""
    found = []
    reference = {name: staff.reference_definition(name) for q in lab.questions for name in q.names}
    with Bench(lab, staff.reference, unsafe=unsafe) as bench:
        for mutant in staff.mutants:
            bench.overlay.clear()
            for source in filter(None, reference.values()):
                bench.run_trusted(source)
            bench.run_trusted(mutant.source)
            found.append((mutant, judge_all(bench, staff, salt, [Cell(1, mutant.source)], bench.variable(STUDENT))))
            stray = set(definitions(mutant.source)) - set(reference)
            for name in stray:  # a mutant may bring helpers; the next one must not meet them
                bench.run_trusted(staff.reference_definition(name) or f"globals().pop({name!r}, None)")
    return found


def _shown(value: object) -> str:
    if isinstance(value, Failure):
        return ""
    text = value if isinstance(value, str) else repr(value)
    return "" if text == "<ellipsis object>" else text[:4000]
