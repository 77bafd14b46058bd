"""``check("lab03.q1", answer)``: instant feedback in the notebook, from the public cases. It never raises.

Predictions (``labNN.p1``) are written to ``predictions.jsonl`` beside the notebook, with the time, before you run what
they are about: ``log_prediction("lab03.p1", value)``, or ``check`` with the same arguments.

``check`` runs your code in the notebook itself: an endless loop keeps the cell busy until you interrupt it.
"""

import ast
import inspect
import textwrap

from courseware.classroom import cases
from courseware.classroom.cases import Case, Lab, Question, Ungraded
from courseware.classroom.recording import record


def check(entry_id: str, *answers: object, seconds: float | None = None) -> None:
    """Print what the public cases say about the answer: the function, class or variable the question asks for.

    A question that asks for two functions takes both, in the order in which the notebook defines them. For a
    prediction, a text or a challenge (with the ``seconds`` it took) the answer is recorded. Returns None and never
    raises, so that a notebook with unanswered questions runs from top to bottom.
    """
    try:
        lab, entry = cases.find(entry_id)
        if isinstance(entry, Ungraded):
            record(entry, answers[0] if answers else ..., seconds)
        else:
            _check_question(lab, entry, answers or (...,))
    except KeyError as error:
        print(f"check: {error.args[0] if error.args else error}")
    except KeyboardInterrupt:
        print(f"{entry_id}: interrupted. Is there a loop that never ends?")
    except BaseException as error:  # whatever a half-written answer does, the notebook goes on
        print(f"{entry_id}: {type(error).__name__}: the check itself could not finish")


def log_prediction(entry_id: str, value: object = ...) -> None:
    """Write a prediction down, with the time, in predictions.jsonl beside the notebook. Never raises."""
    check(entry_id, value)


def _check_question(lab: Lab, question: Question, answers: tuple) -> None:
    from courseware.classroom.notebook_run import public_verdicts, smallest_failure

    points = f"{question.points} point{'s' * (question.points != 1)}"
    print(f"{question.id}  {question.title} ({points}, public cases only)")
    if len(answers) != len(question.names):
        print(f"  give check() {' and '.join(question.names)}, in this order")
        return
    if all(answer is ... for answer in answers):
        print("  not started yet")
        return
    for name in dict.fromkeys(n for a in answers for n in forbidden_names(lab, question, _source(a))):
        print(f"  note   your answer uses {name}: the grader will not accept that, write it yourself")
    verdicts = public_verdicts(lab, question, dict(zip(question.names, answers)))
    if all(v.not_started for v in verdicts):
        print(f"  {verdicts[0].message}")
        return
    width = min(60, max(len(v.case) for v in verdicts))
    shown = False
    for verdict in verdicts:
        print(f"  ok     {verdict.case}" if verdict.passed else f"  wrong  {verdict.case:{width}}  {verdict.message}")
        if not verdict.passed and not shown and (case := _case_named(question, verdict.case)):
            text = smallest_failure(lab, question, case, answers[-1])
            print(textwrap.indent(text, " " * 9), end="\n" if text else "")
            shown = bool(text)
    _conclude(question, verdicts)


def _conclude(question: Question, verdicts: tuple) -> None:
    passed = sum(v.passed for v in verdicts)
    if passed < len(verdicts):
        print(f"  {passed} of {len(verdicts)} public cases pass: all must, for the points")
    elif question.kind == "diagnosis":
        print("  the format is right; whether the answer is, only the grader knows")
    else:
        print(f"  all {passed} public case{'s pass' if passed != 1 else ' passes'}; grading adds hidden ones")


def _case_named(question: Question, name: str) -> Case | None:
    return next((case for case in question.cases if case.name == name and case.inputs is not None), None)


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
