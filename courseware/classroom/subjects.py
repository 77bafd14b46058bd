"""Questions of the kind "test": the student writes inputs and a predicate, we bring the implementations.

A test is worth its points when it passes every right implementation and fails every wrong one on some example. The
implementations run here; the student's code sees their outputs only, one implementation at a time and in an order that
it cannot know, so a predicate has to judge each output by itself.
"""

from collections.abc import Callable, Sequence

import numpy as np

from courseware.classroom.cases import Question, Subject
from courseware.classroom.compare import Failure, Verdict, apply
from courseware.classroom.showing import shorten
from llmlib.sandbox.wire import Unsupported

MAX_EXAMPLES = 24


def list_examples(student):
    """Recipe: the examples as a list of tuples of plain values."""
    return [example if isinstance(example, tuple) else (example,) for example in student()]


def call_predicate(student, pairs):
    """Recipe: what the predicate says of each (inputs, output): "yes", "no", or the error it raised."""
    said = []
    for inputs, output in pairs:
        try:
            value = student(inputs, output)
        except NotImplementedError:
            raise
        except AssertionError:
            value = False
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}"[:200])
            continue
        if type(value).__name__ in ("bool", "bool_", "Tensor", "Series"):
            said.append("yes" if bool(value) else "no")
        else:
            said.append(f"it returned a {type(value).__name__}: return True or False")
    return said


def judge_test(question: Question, hidden: Sequence[Subject], ask: Callable, request: type, salt: str) -> list[Verdict]:
    """One verdict on the examples and the right implementations, one on each wrong implementation."""
    listed = ask(request(question.examples, (), list_examples, 0))
    if (verdict := _bad_examples(question, listed)) is not None:
        return [verdict]
    examples: list[tuple] = listed
    subjects = [(s, s in question.right, s in hidden) for s in (*question.right, *question.wrong, *hidden)]
    seed = sum(salt.encode()) * 7919 + len(salt)
    order = np.random.default_rng([seed, *question.id.encode()]).permutation(len(subjects))
    found: dict[int, Verdict] = {}
    for position in order.tolist():
        subject, is_right, is_hidden = subjects[position]
        outputs = [_output(subject, inputs) for inputs in examples]
        said = ask(request(question.name, (list(zip(examples, outputs)),), call_predicate, position))
        if isinstance(said, Failure):
            message = said.text if said.kind != "not started" else said.text or "not started yet"
            return [Verdict("your test", False, message, not_started=said.kind == "not started")]
        if not isinstance(said, list) or len(said) != len(examples):
            return [Verdict("your test", False, "the predicate gave no answer for some examples")]
        found[position] = (
            _on_right(subject, examples, outputs, said) if is_right else _on_wrong(subject, said, is_hidden)
        )
    verdicts = [found[position] for position in range(len(subjects))]
    right, rest = verdicts[: len(question.right)], verdicts[len(question.right) :]
    return [next((v for v in right if not v.passed), right[0]), *rest]


def _bad_examples(question: Question, listed: object) -> Verdict | None:
    name = f"{question.examples}()"
    if isinstance(listed, Failure):
        if listed.kind == "not started":
            return Verdict(name, False, listed.text or "not started yet", not_started=True)
        return Verdict(name, False, listed.text)
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_EXAMPLES:
        got = len(listed) if isinstance(listed, list) else "no list"
        message = f"return a list of 1 to {MAX_EXAMPLES} examples, each a tuple of inputs (got {got})"
        return Verdict(name, False, message)
    for number, inputs in enumerate(listed):
        try:
            complaint = "a tuple of plain values, please" if _foreign(inputs) else question.valid(*inputs)
        except Exception:  # the wrong number of inputs, or of the wrong kind
            complaint = "these are not the inputs that the question describes"
        if complaint:
            return Verdict(name, False, f"example {number}, {shorten(inputs, 80)}: {complaint}")
    return None


def _foreign(value: object) -> bool:
    if isinstance(value, list | tuple | set):
        return any(map(_foreign, value))
    if isinstance(value, dict):
        return any(map(_foreign, [*value, *value.values()]))
    return isinstance(value, Unsupported)


def _output(subject: Subject, inputs: tuple) -> object:
    try:
        with np.errstate(all="ignore"):
            return apply(subject.run, inputs)
    except Exception:  # an implementation that breaks gives nothing: a test should refuse that too
        return None


def _on_right(subject: Subject, examples: list, outputs: list, said: list) -> Verdict:
    case = "passes right implementations"
    for inputs, output, answer in zip(examples, outputs, said):
        if answer != "yes":
            why = "" if answer == "no" else f" ({shorten(answer, 100)})"
            written = f", written with {subject.symptom}" if subject.symptom else ""
            message = f"your test refuses a right answer{written}{why}: "
            return Verdict(case, False, message + f"inputs {shorten(inputs, 120)}, output {shorten(output, 120)}")
    return Verdict(case, True)


def _on_wrong(subject: Subject, said: list, is_hidden: bool) -> Verdict:
    case = f"fails one that {subject.symptom}" if not is_hidden else "fails another wrong implementation"
    caught = any(answer != "yes" for answer in said)
    message = "" if caught else f"your test accepts an implementation that {subject.symptom}"
    return Verdict(case, caught, message, hidden=is_hidden)
