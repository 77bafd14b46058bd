"""Grade the cells of one submission: run them in a sandbox, ask for values, judge the values here.

Three rules keep it honest. The process that runs student code holds nothing staff wrote but the public recipes: no
expected value, no hidden case, no reference. Inputs are drawn afresh and sent one case at a time. And what comes back
is data, compared by trusted code. Where a later answer needs an earlier, broken one, the reference runs in a process of
its own and the student's code gets a stand-in that trades values with it.

So a submission can earn a point only by returning the right value for inputs it has just been given; everything else it
may try costs it that question, at worst its own remaining ones.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from courseware.classroom import judging
from courseware.classroom.cases import Lab, Mutant, Question, load_lab
from courseware.classroom.compare import Failure, Verdict, recipe_text
from courseware.classroom.judging import Request
from courseware.classroom.notebook_run import depends_on
from courseware.grading.staff_files import StaffFiles
from courseware.grading.submission import Cell, definitions
from llmlib.sandbox import CodeError, Limits, SandboxDied, SandboxUnavailable, Session, UnsupportedValue, Zygote, shown
from llmlib.sandbox.wire import Unsupported, printable

# Libraries that hold answers, and this one; a lab's ``provides`` makes exceptions for parts of llmlib.
HIDDEN_LIBRARIES = ("llmlib", "transformers", "tokenizers", "nltk")
MAX_RESTARTS = 12
BUDGET = 300.0  # seconds for a whole submission, by the clock
CACHE = "/sandbox/cache"
STUDENT = "STUDENT"  # the variable of a lab that draws something by who hands it in
LIMITS = Limits(reply_mb=16)


@dataclass(frozen=True)
class Result:
    """One question of one submission."""

    question: Question
    verdicts: tuple[Verdict, ...]
    refused: str = ""
    carried: bool = False  # judged with the reference in place of an earlier, wrong answer
    died: bool = False  # it hung or ended its process

    @property
    def passed(self) -> bool:
        return not self.refused and bool(self.verdicts) and all(v.passed for v in self.verdicts)

    @property
    def score(self) -> int:
        return self.question.points if self.passed else 0

    @property
    def message(self) -> str:
        """What staff read, one line."""
        return self._said([v for v in self.verdicts if not v.passed])

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What was wrong, one line for each different failure; staff read it."""
        if self.refused:
            return (self.refused,)
        return tuple(dict.fromkeys(clean(v.message) for v in self.verdicts if not v.passed))

    @property
    def public_message(self) -> str:
        """What the student may read, one line: nothing of a hidden case but a mistake that is named in public."""
        named = {mistake.message for mistake in self.question.mistakes}
        failed = [v for v in self.verdicts if not v.passed]
        told = [v if not v.hidden or v.message in named else replace(v, message="a hidden case fails") for v in failed]
        return self._said(told)

    def _said(self, failed: Sequence[Verdict]) -> str:
        if self.refused:
            return self.refused
        if not failed:
            return "correct" + (", given a correct answer to the questions it builds on" if self.carried else "")
        if all(v.not_started for v in self.verdicts):
            return clean(failed[0].message) or "not started yet"
        messages = dict.fromkeys(clean(v.message) for v in failed)
        first = "; ".join(list(messages)[:3])
        return f"{len(self.verdicts) - len(failed)} of {len(self.verdicts)} cases pass. {first}"


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
    number: str = ""  # Canvas's, where the file name gives it
    student: str = ""  # what the notebook says in STUDENT
    checksum: str = ""
    public_only: bool = False

    @property
    def score(self) -> int:
        return sum(r.score for r in self.results)

    def packed(self) -> dict:
        """Plain data to send to another process, see :func:`unpacked`."""
        results = [{**vars(r), "question": r.question.id} for r in self.results]
        return {**vars(self), "lab": self.lab and self.lab.id, "results": results}


def unpacked(packed: dict) -> Report:
    """The report that ``packed`` describes; its lab is looked up again."""
    lab = load_lab(packed["lab"]) if packed["lab"] else None
    results = tuple(Result(**{**r, "question": lab.question(r["question"])}) for r in packed["results"])
    return Report(**{**packed, "lab": lab, "results": results})


def clean(text: str, limit: int = 1000) -> str:
    """A message on one line of printable characters, whatever a submission put into it."""
    text = printable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 3] + "..."


class Bench:
    """A submission loaded in a sandbox, started again after whatever killed it."""

    def __init__(
        self,
        lab: Lab,
        cells: Sequence[Cell],
        *,
        reference: Sequence[Cell] = (),
        unsafe: bool = False,
        budget: float = BUDGET,
        zygote: Zygote | None = None,
    ) -> None:
        self.lab, self.cells, self.unsafe, self.zygote = lab, list(cells), unsafe, zygote
        self.deadline = time.monotonic() + budget
        self.notes: dict[int, str] = {}
        self.overlay: list[str] = []  # a mutant, run after the cells: only on a bench whose cells are staff's
        self.stand_ins: list[str] = []
        self.question: Question | None = None  # the one being judged
        self.forbidden = ""  # what was called although it is forbidden
        self.died = False  # did the question being judged end its process?
        self._reference = reference
        self._deadly: set[int] = set()
        self._restarts = 0
        self._session: Session | None = None
        self._server: Session | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        if self._server is not None:
            self._server.close()

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
        """Run a reference definition or a mutant after the cells, now and at a restart. Never beside a student's."""
        self.overlay.append(source)
        if self._session is not None:
            with contextlib.suppress(CodeError):
                self._session.run(source, seconds=self.lab.cell_seconds, label="<staff>")

    def stand_in(self, name: str) -> bool:
        """Let calls of ``name`` go to the reference, by value, from here on. False where it cannot be had by value."""
        try:
            self._ready().stand_in(name, self._serving(), seconds=max(0.1, self._left()))
        except (CodeError, TypeError, UnsupportedValue):
            return False
        except SandboxDied:
            self.close()
            return False
        if name not in self.stand_ins:
            self.stand_ins.append(name)
        return True

    def stand_alone(self) -> None:
        """Begin again from the cells, without stand-ins."""
        self.stand_ins.clear()
        self.close()

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _value(self, name: str, inputs: tuple | dict | None, recipe: tuple[str, str] | None, seed: int) -> object:
        try:
            session = self._ready()
            seconds = min(self.lab.call_seconds, self._left())
            forbid = self.question.forbids if self.question else ()
            if seconds <= 0:
                return Failure("died", OUT_OF_TIME)
            return session.call(name, inputs, recipe=recipe, seed=seed, seconds=seconds, forbid=forbid)
        except CodeError as error:
            if error.type_name == "Forbidden":
                self.forbidden = error.text.split(" is not available")[0]
            if error.type_name == "NotImplementedError":
                return Failure("not started", depends_on(self.lab, self.question, error.where) if self.question else "")
            place = f" (line {error.line} of its cell)" if error.line else ""
            return Failure("error", f"{error}{place}")
        except UnsupportedValue as error:
            return Failure("error", str(error))
        except SandboxDied as died:
            self.close()
            self.died = True
            return Failure("died", OUT_OF_TIME if self._left() <= 0 else f"the answer {died}")

    def _ready(self) -> Session:
        while self._session is None:
            if self._left() <= 0:
                raise SandboxDied("timeout")
            if self._restarts > MAX_RESTARTS:
                raise SandboxDied("gave up")
            self._restarts += 1
            self._session = self._load()
        return self._session

    def _start(self) -> Session:
        """A new sandbox; a machine that is too busy to start one gets a second chance."""
        options = {"zygote": self.zygote} if self.zygote else {**surroundings(self.lab), "unsafe": self.unsafe}
        try:
            return Session(LIMITS, **options)
        except SandboxUnavailable:
            return Session(LIMITS, **surroundings(self.lab), unsafe=self.unsafe)

    def _load(self) -> Session | None:
        """A fresh session with the cells run; None if one of them killed it (it will be left out from now on)."""
        lab = self.lab
        session = self._start()
        session.run("def display(*args, **kwargs):\n    pass\n\n\ndef get_ipython():\n    pass\n")
        for cell in self.cells:
            if cell.number in self._deadly:
                continue
            try:
                session.run(
                    cell.source, seconds=max(0.1, min(lab.cell_seconds, self._left())), label=f"<cell {cell.number}>"
                )
            except CodeError as error:
                place = f", line {error.line}" if error.line else ""
                self.notes[cell.number] = clean(f"code cell {cell.number}{place}: {error}")
            except SandboxDied as died:
                self.notes[cell.number] = f"code cell {cell.number} {died} and was left out"
                self._deadly.add(cell.number)
                return None
        try:
            session.seal()  # no helper process computes what is withheld here
            for name in self.stand_ins:
                session.stand_in(name, self._serving())
        except (SandboxDied, CodeError, TypeError):
            session.close()
            return None
        for source in self.overlay:
            with contextlib.suppress(CodeError):
                session.run(source, seconds=lab.cell_seconds, label="<staff>")
        return session

    def _serving(self) -> Session:
        """The process that holds the reference answers and nothing of the student's."""
        if self._server is None or not self._server.alive:
            self._server = self._start()
            self._server.run("def display(*args, **kwargs):\n    pass\n")
            for cell in self._reference:
                with contextlib.suppress(CodeError):
                    self._server.run(cell.source, seconds=self.lab.cell_seconds, label="<staff>")
        return self._server


OUT_OF_TIME = "was not run: the time for the whole submission is used up"


def surroundings(lab: Lab) -> dict[str, object]:
    """What a process that runs answers to this lab finds and does not find: keywords of Session and Zygote."""
    return {
        "preload": lab.preload,
        "hide": (*HIDDEN_LIBRARIES, *(name for name in lab.forbids if name.islower())),
        "provide": (*lab.provides, "llmlib.files") if lab.provides else (),
        "stubs": ("courseware",),
        "withhold": [name for name in lab.forbids if name.split(".")[0] not in HIDDEN_LIBRARIES],
        "lend": lent_files(lab.provides),
        "env": {"LLMLIB_CACHE": CACHE},
    }


def warm(lab: Lab) -> Zygote | None:
    """A process ready for answers to this lab, to be forked for each submission; None where it cannot be had."""
    likely = ["matplotlib.pyplot", "numpy.random", *lab.provides]
    likely += ["sympy", "torch._dynamo"] if "torch" in lab.preload else []  # what gradients and optimizers import late
    try:
        return Zygote(**surroundings(lab), afterwards=likely)
    except SandboxUnavailable:
        return None


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
    ids: Sequence[str] | None = None,
    unsafe: bool = False,
    budget: float = BUDGET,
    zygote: Zygote | None = None,
    only: Sequence[str] = (),
) -> Report:
    """Grade one submission. ``salt`` decides the random inputs: a fresh one at every grading, printed in the report.

    ``ids``: what the roster knows the student by; a lab that draws something per student refuses what was drawn for
    anybody else. If the roster knows nothing (no ids) the notebook is believed and a note says so; None: no such note.
    ``only``: ids of the questions to judge, with what they build on; the others are left out of the results.
    """
    start, whole = time.monotonic(), lab
    lab = narrowed(lab, only) if only else lab
    with Bench(lab, cells, reference=staff.reference, unsafe=unsafe, budget=budget, zygote=zygote) as bench:
        # Before any case: no answer can leave a trace of what it was shown in what is read here.
        ungraded = {entry.id: _ungraded(entry, bench.variable(entry.name)) for entry in lab.ungraded}
        student, doubt, refused = _student(bench, ids) if lab.needs_student else ("", "", "")
        results = judge_all(bench, staff, salt, student)
        if refused:
            results = [replace(r, refused=refused) if r.question.kind == "diagnosis" else r for r in results]
        notes = [note for _, note in sorted(bench.notes.items())] + [doubt] * bool(doubt)
        notes += [f"{r.question.id}: {r.refused}" for r in results if r.refused.startswith(UNJUDGED)]
    seconds = time.monotonic() - start
    said = shown(student, 80).strip("'\"") if isinstance(student, str | int) else ""
    results = [r for r in results if not only or r.question.id in only]
    return Report(name, whole, tuple(results), tuple(notes), ungraded, salt, seconds, student=said)


def narrowed(lab: Lab, only: Sequence[str]) -> Lab:
    """The lab with these questions and those they build on. KeyError names a question that it has not."""
    needed = set(only) | {used.id for question in only for used in _all_uses(lab, lab.question(question))}
    return replace(lab, questions=tuple(q for q in lab.questions if q.id in needed))


def _student(bench: Bench, ids: Sequence[str] | None) -> tuple[object, str, str]:
    """What STUDENT says; a note if nobody confirms it; a refusal if it is somebody else."""
    from courseware.classroom.diagnosing import normal_id

    student = bench.variable(STUDENT)
    said = normal_id(student) if type(student) in (str, int) else ""
    if not said or ids is None:
        return student if said else "", "", ""
    known = {normal_id(i) for i in ids if i} | {normal_id(i).split("@")[0] for i in ids if i}
    if not known:
        return student, f"{STUDENT} = {shown(student)} is not verified: no roster names who handed this in", ""
    if said in known or said.split("@")[0] in known:
        return student, "", ""
    owner = ", ".join(dict.fromkeys(i for i in ids if i))
    return student, "", f"{STUDENT} is {shown(student)}, but this was handed in by {owner}: the run is drawn from it"


def judge_all(
    bench: Bench, staff: StaffFiles, salt: str, student: object = "", only: Sequence[Question] | None = None
) -> list[Result]:
    """Results of all questions (or of ``only`` some, the others taken for right): first on the answers alone, then
    carrying earlier mistakes forward.

    All public cases come before all hidden ones: what an answer says of a public case its student may read. What builds
    on an answer that hung would hang as well, for its whole time: there the reference comes first.
    """
    lab = bench.lab
    questions = lab.questions if only is None else only
    results: dict[str, Result] = {}
    begun: dict[str, Iterator[Result | None]] = {}
    dead: set[str] = set()

    def go_on(question: Question) -> None:
        if dead.isdisjoint(q.id for q in _all_uses(lab, question)):
            result = next(begun[question.id])
            if result is not None:
                results[question.id] = result
            if bench.died:
                dead.add(question.id)

    # The implementations that a student's test is tried on are hidden ones, too: such questions come last.
    for question in sorted(questions, key=lambda q: q.kind == "test"):
        begun[question.id] = _judge_in_two(bench, staff, question, salt, student)
        go_on(question)
    for question in questions:
        if question.id not in results:
            go_on(question)
    for question in questions:
        result = results.get(question.id)
        if result is None or not (result.passed or result.refused):
            carried = _judge_carried(bench, staff, question, salt, student, results)
            if carried is not None:
                results[question.id] = carried
            elif result is None:
                bench.stand_alone()
                results[question.id] = judge_question(bench, staff, question, salt, student)
            # otherwise the first messages stand: nothing about the reference is shown
    return [results[question.id] for question in questions]


def _judge_carried(
    bench: Bench, staff: StaffFiles, question: Question, salt: str, student: object, results: Mapping[str, Result]
) -> Result | None:
    """The result with the reference in place of the wrong answers it builds on, if it is right then."""
    wrong = [q for q in _all_uses(bench.lab, question) if q.id in results and not results[q.id].passed]
    names = [name for q in wrong for name in q.names]
    if not names or not all(map(staff.reference_definition, names)):
        return None
    if not all([bench.stand_in(name) for name in names]):
        return None
    again = judge_question(bench, staff, question, salt, student)
    return replace(again, carried=True) if again.passed else None


UNJUDGED = "not judged"


def judge_question(bench: Bench, staff: StaffFiles, question: Question, salt: str, student: object = "") -> Result:
    """All public and hidden cases of one question, on fresh inputs. The first death ends it."""
    return next(found for found in _judge_in_two(bench, staff, question, salt, student) if found is not None)


def _judge_in_two(
    bench: Bench, staff: StaffFiles, question: Question, salt: str, student: object
) -> Iterator[Result | None]:
    """None when the public cases are asked and hidden ones are left, then the result."""
    hidden = staff.hidden.get(question.id, ())
    steps = judging.public_then_hidden(question, hidden, bench.answer, salt=salt, student=student)
    forbidden, died = "", False
    while True:
        bench.question, bench.forbidden, bench.died = question, forbidden, died
        try:
            next(steps)
        except StopIteration as done:
            verdicts = done.value
            break
        except SandboxUnavailable:
            raise
        except (Exception, SystemExit) as error:  # the lab's own code, on a value it did not foresee
            yield Result(
                question, (), f"{UNJUDGED}: {type(error).__name__} in the lab's own code; staff must look at it"
            )
            return
        finally:
            bench.question, forbidden, died = None, bench.forbidden, bench.died
        yield None
    refused = ""
    if forbidden and not all(v.passed for v in verdicts):
        refused = f"the answer uses {forbidden}, which you are asked to write yourself"
    yield Result(question, verdicts, refused, died=died)


def _all_uses(lab: Lab, question: Question) -> list[Question]:
    """The questions that this one builds on, directly or through others, in the lab's order."""
    found: set[str] = set()
    todo = list(question.uses)
    while todo:
        if (used := todo.pop()) not in found:
            found.add(used)
            todo += lab.question(used).uses
    return [q for q in lab.questions if q.id in found]


MUTANT_SECONDS = 3.0  # a mutant is small and its loop may never end: nobody need wait for it as for a student


def judge_mutants(
    lab: Lab, staff: StaffFiles, *, salt: str, unsafe: bool = False, zygote: Zygote | None = None
) -> list[tuple[Mutant, list[Result]]]:
    """What the grader says of every mutant, all in one sandbox session with the reference answers loaded.

    The first mutant of each question is judged on the whole lab, the further ones on their own question and on those
    that say they build on it.
    """
    found, lab = [], replace(lab, call_seconds=min(lab.call_seconds, MUTANT_SECONDS))
    judged: set[str] = set()
    reference = {name: staff.reference_definition(name) for q in lab.questions for name in q.names}
    options = {"unsafe": unsafe, "budget": 3600.0, "zygote": zygote}
    with Bench(lab, staff.reference, reference=staff.reference, **options) as bench:
        for mutant in staff.mutants:
            bench.overlay.clear()
            bench.stand_ins.clear()
            bench.run_trusted("\n\n".join(filter(None, reference.values())))
            bench.run_trusted(mutant.source)
            only = None
            if mutant.question in judged:
                only = [q for q in lab.questions if mutant.question in (q.id, *(u.id for u in _all_uses(lab, q)))]
            judged.add(mutant.question)
            found.append((mutant, judge_all(bench, staff, salt, bench.variable(STUDENT), only)))
            stray = set(definitions(mutant.source)) - set(reference)
            for name in stray:  # a mutant may bring helpers; the next one must not meet them
                bench.run_trusted(staff.reference_definition(name) or f"globals().pop({name!r}, None)")
    return found


def _ungraded(entry, value: object) -> str:
    """An answer kept for a person, as text; a prediction outside its range is marked."""
    if isinstance(value, Failure) or (isinstance(value, Unsupported) and value.type_name == "ellipsis"):
        return ""
    if isinstance(value, str):
        text = "\n".join(printable(line) for line in value[:4000].split("\n"))
    else:
        text = shown(value, 400)
    if value is None or text == "":
        return ""
    try:
        complaint = "" if entry.kind == "text" else entry.complaint(value)
    except Exception:  # a range cannot be compared with just anything
        complaint = "not an answer of the kind asked for"
    return f"{text} [{clean(complaint, 120)}]" if complaint else text
