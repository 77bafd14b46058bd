"""Running an answer in the notebook's own process: what ``check`` asks, and the smallest input that shows a failure."""

import contextlib
import functools
import inspect
import io
import time
from collections.abc import Callable
from types import CodeType

from courseware.classroom import compare
from courseware.classroom.cases import UNSET, Case, Lab, Question
from courseware.classroom.compare import Failure, Verdict
from courseware.classroom.judging import Request, judge_question
from courseware.classroom.showing import shorten
from llmlib.sandbox import wire

SEARCH_SECONDS, SEARCH_DRAWS, SHOWN = 1.0, 16, 200


def public_verdicts(lab: Lab, question: Question, answers: dict[str, object]) -> tuple[Verdict, ...]:
    """The public part of a question, judged on ``answers`` by name."""
    return judge_question(question, (), lambda request: ask(lab, question, answers, request), salt="public")


def run_case(lab: Lab, question: Question, case: Case, answer: object) -> Verdict:
    """Judge ``answer`` on one public case."""
    seed = compare.case_seed(question, case, "public")
    return compare.judge(question, case, seed, _outcome(lab, question, case, answer, compare.draw_inputs(case, seed)))


def ask(lab: Lab, question: Question, answers: dict[str, object], request: Request) -> object:
    """The value an answer gives, as it would come out of the sandbox, or a Failure."""
    answer = answers[request.name]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if request.inputs is None:
                value = answer
            else:
                inputs = wire.decode(wire.encode(request.inputs))  # the answer may change its inputs, not ours
                if request.recipe is not None:
                    space: dict = {"__name__": "recipe"}
                    exec(_recipe_code(request.recipe, "torch" in lab.preload), space)
                    value = compare.apply(space[request.recipe.__name__], inputs, answer)
                else:
                    value = compare.apply(answer, inputs)
        # Over the border and back: only plain values are judged, here as in the grader.
        return wire.decode(wire.encode(value))
    except NotImplementedError as error:
        return Failure("not started", depends_on(lab, question, _where(error)))
    except wire.UnsupportedValue as error:
        return Failure("error", str(error))
    except (Exception, SystemExit) as error:
        return Failure("error", _last_line(error))


@functools.cache
def _recipe_code(recipe: Callable, with_torch: bool) -> CodeType:
    return compile(compare.recipe_text(recipe, with_torch), "<recipe>", "exec")


def depends_on(lab: Lab, question: Question, raised_in: str) -> str:
    """The sentence for a stub that raised: another question's, when ``raised_in`` (a qualified name) belongs to one."""
    owner = raised_in.split(".")[0]
    if owner in question.names:
        return ""
    other = next((q for q in lab.questions if owner in q.names), None)
    if other is None:
        return ""
    return f"depends on {other.id.split('.')[1]} ({owner}), which is not started yet"


def smallest_failure(lab: Lab, question: Question, case: Case, answer: object) -> str:
    """Three lines (input, expected, yours) for the smallest input found on which ``answer`` fails; "" if none is short.

    Looks at the case itself and at small draws from its generator, for a second at most.
    """
    seed, deadline = compare.case_seed(question, case, "public"), time.monotonic() + SEARCH_SECONDS
    best: tuple[int, str] | None = None
    for attempt in range(SEARCH_DRAWS):
        if attempt and time.monotonic() > deadline:
            break
        try:
            inputs = compare.draw_inputs(case, seed + attempt, small=attempt > 0)
            outcome = _outcome(lab, question, case, answer, inputs)
            if compare.judge(question, case, seed + attempt, outcome, small=attempt > 0).passed:
                continue
            text = _three_lines(lab, question, case, answer, outcome, seed + attempt, small=attempt > 0)
        except Exception:  # a small draw that a generator cannot make
            continue
        if text and (best is None or len(text) < best[0]):
            best = (len(text), text)
    return best[1] if best else ""


def _outcome(lab: Lab, question: Question, case: Case, answer: object, inputs: tuple | dict | None) -> object:
    recipe = (case.recipe or question.recipe) if inputs is not None else None
    return ask(lab, question, {question.name: answer}, Request(question.name, inputs, recipe, 0))


def _three_lines(
    lab: Lab, question: Question, case: Case, answer: object, outcome: object, seed: int, small: bool
) -> str:
    inputs = compare.draw_inputs(case, seed, small)
    shown = _named(inputs, answer, case.recipe or question.recipe)
    if "<" in shown or len(shown) > SHOWN:  # only what can be read and tried by hand
        return ""
    lines = [f"input     {shown}"]
    if case.expected is not UNSET:
        expected = compare.apply(case.expected, inputs) if callable(case.expected) else case.expected
        lines.append(f"expected  {shorten(expected, SHOWN)}")
    yours = outcome.text if isinstance(outcome, Failure) else shorten(outcome, SHOWN)
    return "\n".join([*lines, f"yours     {yours}"])


def _named(inputs: tuple | dict, answer: object, recipe: Callable | None = None) -> str:
    """The inputs under the names of what takes them: the recipe, where there is one."""
    if not isinstance(inputs, dict):
        names = _parameters(recipe)[1:] if recipe else []
        if not names and not isinstance(answer, type):  # no recipe, or one that hands on whatever comes
            names = _parameters(answer)
        if len(names) < len(inputs):
            return ", ".join(shorten(v, SHOWN) for v in inputs)
        inputs = dict(zip(names, inputs))
    return ", ".join(f"{name}={shorten(v, SHOWN)}" for name, v in inputs.items())


def _parameters(function: Callable) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _where(error: BaseException) -> str:
    """The qualified name of the function that raised."""
    trace, name = error.__traceback__, ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_qualname, trace.tb_next
    return name


def _last_line(error: BaseException) -> str:
    trace, line = error.__traceback__, None
    while trace is not None:
        if "ipykernel" in trace.tb_frame.f_code.co_filename or trace.tb_frame.f_code.co_filename.startswith("<"):
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())[:200]
    except Exception:
        text = ""
    place = f" (line {line} of its cell)" if line else ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"
