"""``check("lab03.q1", answer)``: instant feedback in the notebook, from the public cases. It never raises.

Predictions (``labNN.p1``) are written to ``predictions.jsonl`` beside the notebook, with the time, before you run what
they are about: ``log_prediction("lab03.p1", value)``, or ``check`` with the same arguments.

``check`` runs your code in the notebook itself: an endless loop keeps the cell busy until you interrupt it.
"""

import ast
import contextlib
import inspect
import io
import json
import textwrap
from datetime import datetime

from courseware.classroom import cases
from courseware.classroom.cases import Case, Lab, Question, Ungraded

LOG = "predictions.jsonl"


def check(entry_id: str, answer: object = ...) -> None:
    """Print what the public cases say about ``answer``, the function, class or variable the question asks for.

    For a prediction, a text or a challenge it records the answer. Returns None and never raises, so that a notebook
    with unanswered questions runs from top to bottom.
    """
    try:
        lab, entry = cases.find(entry_id)
        if isinstance(entry, Ungraded):
            _record(entry, answer)
        else:
            _check_question(lab, entry, answer)
    except KeyError as error:
        print(f"check: {error.args[0] if error.args else error}")
    except KeyboardInterrupt:
        print(f"{entry_id}: interrupted. Is there a loop that never ends?")
    except BaseException as error:  # whatever a half-written answer does, the notebook goes on
        print(f"{entry_id}: {type(error).__name__}: the check itself could not finish")


def log_prediction(entry_id: str, value: object = ...) -> None:
    """Write a prediction down, with the time, in predictions.jsonl beside the notebook. Never raises."""
    check(entry_id, value)


def _check_question(lab: Lab, question: Question, answer: object) -> None:
    print(f"{question.id}  {question.title} ({question.points} point{'s' * (question.points != 1)})")
    if answer is ...:
        print("  not started yet")
        return
    for name in forbidden_names(lab, question, _source(answer)):
        print(f"  note   your answer uses {name}: the grader will not accept that, write it yourself")
    verdicts = [run_case(lab, question, case, answer) for case in question.cases]
    if all(v.not_started for v in verdicts):
        print("  not started yet")
        return
    width = max(len(v.case) for v in verdicts)
    for verdict in verdicts:
        print(f"  ok     {verdict.case}" if verdict.passed else f"  wrong  {verdict.case:{width}}  {verdict.message}")
    passed = sum(v.passed for v in verdicts)
    if passed == len(verdicts):
        print(f"  all {passed} public case{'s pass' if passed != 1 else ' passes'}; grading adds hidden ones")
    else:
        print(f"  {passed} of {len(verdicts)} public cases pass: all must, for the points")


def run_case(lab: Lab, question: Question, case: Case, answer: object):
    """Judge ``answer`` on one public case in this process. Returns a ``compare.Verdict``."""
    from courseware.classroom import compare
    from llmlib.sandbox import wire

    seed = compare.case_seed(question, case, "public")
    inputs = compare.draw_inputs(case, seed)
    recipe = case.recipe or question.recipe
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if inputs is None:
                value = answer
            elif recipe is not None:
                space: dict = {"__name__": "recipe"}
                exec(compare.recipe_text(recipe, "torch" in lab.preload), space)
                value = compare.apply(space[recipe.__name__], inputs, answer)
            else:
                value = compare.apply(answer, inputs)
        # Over the border and back: only plain values are judged, here as in the grader.
        outcome = wire.decode(wire.encode(value))
    except NotImplementedError:
        outcome = compare.Failure("not started", "")
    except wire.UnsupportedValue as error:
        outcome = compare.Failure("error", str(error))
    except (Exception, SystemExit) as error:
        outcome = compare.Failure("error", _last_line(error))
    return compare.judge(question, case, seed, outcome)


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


def forbidden_names(lab: Lab, question: Question, source: str) -> list[str]:
    """Which of the lab's and the question's ``forbids`` ``source`` mentions: a name anywhere, a module imported."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Import):
            used.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            used.update([node.module, *(alias.name for alias in node.names)])
            used.update(f"{node.module}.{alias.name}" for alias in node.names)
    forbidden = dict.fromkeys((*lab.forbids, *question.forbids))
    return [name for name in forbidden if any(u == name or u.startswith(name + ".") for u in used)]


def _source(answer: object) -> str:
    try:
        return textwrap.dedent(inspect.getsource(answer))
    except Exception:  # a variable, or something typed at a prompt
        return ""


def _record(entry: Ungraded, value: object) -> None:
    if value is ... or value is None or value == "":
        print(f"{entry.id}  {entry.title}: write your answer down first, then run this cell")
        return
    if entry.options and value not in entry.options:
        print(f"{entry.id}  {entry.title}: {value!r} is not one of {', '.join(map(str, entry.options))}")
        return
    kept = value if isinstance(value, int | float | str | bool) else repr(value)[:2000]
    if entry.kind == "prediction":
        line = {"id": entry.id, "value": kept, "time": datetime.now().astimezone().isoformat(timespec="seconds")}
        try:
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            print(f"{entry.id}: could not write {LOG} here ({error.strerror}); note your prediction elsewhere")
            return
    said = {"prediction": "logged. Now run it", "text": "noted; a person will read it", "challenge": "noted"}[
        entry.kind
    ]
    print(f"{entry.id}  {entry.title}: {said}")
