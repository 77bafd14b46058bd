"""Judging one value: is it the expected one, and if not, what should the student look at?

Trusted code, used by ``check`` in the notebook and by ``grade`` in front of the sandbox. It handles values that came
over the border of :mod:`llmlib.sandbox.wire`, so nothing here calls a method a student wrote.
"""

import functools
import inspect
import math
import re
import textwrap
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from courseware.classroom.cases import UNSET, Case, Draw, Mistake, Question, Tolerance, set_parameters
from courseware.classroom.showing import as_array, describe, is_tensor, plain_number
from llmlib.sandbox.wire import Unsupported

REDRAWS = 200


@dataclass(frozen=True)
class Failure:
    """What came instead of a value: ``kind`` is "not started", "error" (an exception) or "died" (limits).

    ``text`` is the error; for "not started" the qualified name of the function whose stub raised, where it is known.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one case; ``message`` is empty when it passed. ``hidden`` cases are staff's: no feedback file
    shows their message. ``shown``: a failing input with both outputs, for the notebook."""

    case: str
    passed: bool
    message: str = ""
    not_started: bool = False
    hidden: bool = False


class Complaint(str):
    """What is wrong with a value, in one sentence; ``kind`` is "kind", "shape", "nan" or "value"."""

    kind: str

    def __new__(cls, text: str, kind: str = "value") -> "Complaint":
        made = super().__new__(cls, text)
        made.kind = kind
        return made


def case_seed(question: Question, case: Case, salt: str) -> int:
    """Seed of a case's inputs: fixed for ``salt="public"``, fresh for a fresh salt."""
    return zlib.crc32(f"{question.id}/{case.name}/{salt}".encode())


def draw_inputs(case: Case, seed: int, small: bool = False) -> tuple | dict | None:
    """The inputs of a case; None when the answer is a value. Inputs that do not tell ``case.separates`` from the right
    answer are drawn again; ValueError when a generator cannot (a case that would judge by luck)."""
    if case.inputs is None:
        return None
    return _drawn(case, seed, small, _attempt(case, seed, small) if case.separates else 0)


def _drawn(case: Case, seed: int, small: bool, attempt: int) -> tuple | dict:
    inputs = case.inputs(Draw(seed + attempt * 1_000_003, small))
    return inputs if isinstance(inputs, tuple | dict) else (inputs,)


@functools.lru_cache(4096)  # a case is drawn for every mistake that might explain it: what separates is found once
def _attempt(case: Case, seed: int, small: bool) -> int:
    """The first draw that tells every one of ``case.separates`` from the right answer."""
    # The mistake that the last draw could not tell apart is asked first: it is the likeliest to refuse the next.
    separates = list(case.separates)
    for attempt in range(REDRAWS):
        expected = apply(case.expected, _drawn(case, seed, small, attempt))
        alike = next(
            (w for w in separates if not _tells_apart(case, _drawn(case, seed, small, attempt), w, expected)), None
        )
        if alike is None:
            return attempt
        separates.remove(alike)
        separates.insert(0, alike)
    raise ValueError(f"case {case.name!r}: {REDRAWS} draws (seed {seed}) never tell a mistake from the right answer")


def _tells_apart(case: Case, inputs: tuple | dict, wrong: Callable, expected: object) -> bool:
    try:
        with np.errstate(all="ignore"):
            mistaken = apply(wrong, inputs)
    except Exception:  # a mistake that raises on these inputs is found out
        return True
    return difference(mistaken, expected, case.tolerance) is not None


@functools.lru_cache(256)  # one submission after the other is asked the same; nothing that judges changes a value
def _expected(case: Case, seed: int, small: bool) -> object:
    return apply(case.expected, draw_inputs(case, seed, small))


@functools.lru_cache(1024)
def _mistaken(wrong: Callable, case: Case, seed: int, small: bool) -> tuple[object] | None:
    """What a mistake gives for a case, in a tuple; None where it makes no sense."""
    try:
        return (apply(wrong, draw_inputs(case, seed, small)),)
    except Exception:
        return None


def apply(function: Callable, inputs: tuple | dict | None, *first: object) -> object:
    """``function(*first, *inputs)``, with dict inputs as keywords."""
    if isinstance(inputs, dict):
        return function(*first, **inputs)
    return function(*first, *(inputs or ()))


@functools.cache
def recipe_text(recipe: Callable, with_torch: bool = True) -> str:
    """Source of a recipe that stands on its own: what it may use, then itself."""
    source = textwrap.dedent(inspect.getsource(recipe))
    if not source.startswith("def "):
        raise ValueError(f"recipe {recipe.__name__!r} must be a plain function written with def: it travels as text")
    lines = ["from __future__ import annotations", "import math", "import numpy as np"]
    if with_torch:
        lines += ["import torch", "from torch import nn", "import torch.nn.functional as F"]
    return "\n".join([*lines, inspect.getsource(set_parameters), source])


@np.errstate(all="ignore")  # wrong answers overflow; the student should read our sentence, not numpy's warning
def judge(
    question: Question,
    case: Case,
    seed: int,
    outcome: object,
    *,
    reveal: bool = True,
    small: bool = False,
    name_mistakes: bool = True,
) -> Verdict:
    """Compare what came back for ``case`` (a value or a :class:`Failure`) with what should have come.

    ``reveal=False`` keeps the expected value out of the message where it is the answer itself (a case without inputs).
    """
    fresh = functools.partial(draw_inputs, case, seed, small)

    def explain(complaint: str) -> str:
        if name_mistakes:
            for mistake in question.mistakes:
                if _recognised(mistake, question, case, seed, outcome, small):
                    return mistake.message
        return _with_hint(question, case, outcome, complaint)

    if isinstance(outcome, Failure):
        if outcome.kind == "not started":
            return Verdict(case.name, False, outcome.text or "not started yet", not_started=True)
        return Verdict(case.name, False, explain(outcome.text))
    if isinstance(outcome, Unsupported) and outcome.type_name == "ellipsis":
        return Verdict(case.name, False, "not started yet", not_started=True)
    complaint = None
    if case.expected is not UNSET:
        expected = _expected(case, seed, small) if callable(case.expected) else case.expected
        complaint = difference(outcome, expected, case.tolerance or question.tolerance)
    if complaint is None and case.judge is not None:
        complaint = _property(case, fresh, outcome)
    if complaint is None:
        return Verdict(case.name, True)
    if not reveal and case.inputs is None:
        complaint = "not the right answer"
    return Verdict(case.name, False, explain(complaint))


def _property(case: Case, fresh: Callable, value: object) -> str | None:
    try:
        return apply(case.judge, fresh(), value)
    except Exception:  # a judgement may assume the right type; a wrong one must not stop the grading
        return Complaint(f"unexpected kind of answer: {describe(value)}", "kind")


def _with_hint(question: Question, case: Case, outcome: object, complaint: str) -> str:
    hint = case.hint or question.hint
    # A hint is about a wrong value: it explains no exception, no wrong type or shape, no NaN.
    attaches = hint and not isinstance(outcome, Failure) and getattr(complaint, "kind", "value") == "value"
    return f"{complaint}. {hint}" if attaches else str(complaint)


@dataclass(frozen=True)
class Trial:
    """One case that was asked: what came back for it."""

    case: Case
    seed: int
    outcome: object
    hidden: bool = False


@np.errstate(all="ignore")
def judge_trials(question: Question, trials: Sequence[Trial]) -> list[Verdict]:
    """The verdicts of one answer on several cases. A mistake is named only if it explains every wrong value it can:
    one that gives what the student got in one case, by chance, and something else in another, was not made."""
    verdicts = [judge(question, t.case, t.seed, t.outcome, reveal=not t.hidden, name_mistakes=False) for t in trials]
    failed = [i for i, v in enumerate(verdicts) if not v.passed and not v.not_started]
    said: list[tuple[Mistake, dict[int, bool | None]]] = []
    for mistake in question.mistakes:
        fits = {i: _recognised_in(mistake, question, trials[i]) for i in failed}
        if any(fits.values()) and False not in fits.values():
            said.append((mistake, fits))
    said.sort(key=lambda entry: -sum(bool(fit) for fit in entry[1].values()))
    for i in failed:
        named = next((mistake.message for mistake, fits in said if fits[i]), None)
        verdicts[i] = replace(verdicts[i], message=named or verdicts[i].message)
    return [replace(v, hidden=t.hidden) for v, t in zip(verdicts, trials)]


def _recognised_in(mistake: Mistake, question: Question, trial: Trial) -> bool | None:
    """Is it the mistake's value? None where the mistake says nothing about such a case."""
    if _recognised(mistake, question, trial.case, trial.seed, trial.outcome):
        return True
    if isinstance(trial.outcome, Failure) or mistake.wrong is UNSET:
        return None
    if callable(mistake.wrong) and _mistaken(mistake.wrong, trial.case, trial.seed, False) is None:
        return None
    return False


def _recognised(
    mistake: Mistake, question: Question, case: Case, seed: int, outcome: object, small: bool = False
) -> bool:
    if isinstance(outcome, Failure):
        return mistake.error is not None and re.search(mistake.error, outcome.text) is not None
    tolerance = case.tolerance or question.tolerance or Tolerance()
    try:
        if mistake.when is not None and apply(mistake.when, draw_inputs(case, seed, small), outcome):
            return True
        if mistake.wrong is UNSET:
            return False
        made = _mistaken(mistake.wrong, case, seed, small) if callable(mistake.wrong) else (mistake.wrong,)
        if made is None:
            return False
        (wrong,) = made
        # Nothing but NaN looks like everything else that is nothing but NaN: no cause can be read from it.
        # Large numbers leave large rounding errors beside them: a mistake that blows up is still the same mistake.
        return difference(outcome, wrong, replace(tolerance, to_scale=True)) is None and not _only_nan(wrong)
    except Exception:  # a mistake that makes no sense for these inputs was not made here
        return False


# -- comparing values ----------------------------------------------------------------------------------------


def _only_nan(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    if is_tensor(value) or isinstance(value, np.ndarray):
        array = as_array(value)
        return array.dtype.kind == "f" and array.size > 0 and bool(np.isnan(array).all())
    if isinstance(value, list | tuple | dict) and value:
        return all(map(_only_nan, value.values() if isinstance(value, dict) else value))
    return False


def difference(got: object, expected: object, tolerance: Tolerance | None = None) -> str | None:
    """None if ``got`` is the expected value, else a :class:`Complaint` about the first difference."""
    return _differ(got, expected, tolerance or Tolerance(), "")


def _differ(got: object, expected: object, tolerance: Tolerance, where: str) -> str | None:
    at = f" at {where}" if where else ""
    if got is None and expected is not None:
        return Complaint(f"got None{at}: is there a return?", "kind")
    if is_tensor(expected) or isinstance(expected, np.ndarray):
        return _differ_array(got, expected, tolerance, at)
    got = plain_number(got)
    expected = plain_number(expected)
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return Complaint(f"expected a dict{at}, got {describe(got)}", "kind")
        if missing := [k for k in expected if k not in got]:
            return f"{missing[0]!r} is missing{at}"
        if extra := [k for k in got if k not in expected]:
            return f"{describe(extra[0])} should not be there{at}"
        return _first(_differ(got[k], v, tolerance, f"{where}[{k!r}]") for k, v in expected.items())
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple):
            return Complaint(f"expected a {type(expected).__name__}{at}, got {describe(got)}", "kind")
        if len(got) != len(expected):
            return Complaint(f"expected {len(expected)} items{at}, got {len(got)}")
        return _first(_differ(g, e, tolerance, f"{where}[{i}]") for i, (g, e) in enumerate(zip(got, expected)))
    if isinstance(expected, float) and not isinstance(expected, bool):
        if type(got) not in (int, float):
            return Complaint(f"expected a number{at}, got {describe(got)}", "kind")
        if math.isnan(got) and not math.isnan(expected):
            return Complaint(f"got NaN{at}", "nan")
        same = got == expected or abs(got - expected) <= tolerance.atol + tolerance.rtol * abs(expected)
        same = same or (math.isnan(got) and math.isnan(expected))
        return None if same else f"expected {expected:.6g}{at}, got {got:.6g}"
    if type(got) is not type(expected):
        return Complaint(f"expected {describe(expected)}{at}, got {describe(got)} ({type(got).__name__})", "kind")
    return None if got == expected else f"expected {describe(expected)}{at}, got {describe(got)}"


def _differ_array(got: object, expected: object, tolerance: Tolerance, at: str) -> str | None:
    kind = "tensor" if is_tensor(expected) else "numpy array"
    if is_tensor(got) != is_tensor(expected) or not (is_tensor(got) or isinstance(got, np.ndarray)):
        return Complaint(f"expected a {kind}{at}, got {describe(got)}", "kind")
    a, b = as_array(got), as_array(expected)
    if a.shape != b.shape:
        return Complaint(f"expected shape {b.shape}{at}, got {a.shape}", "shape")
    families = {
        "i": "integers",
        "u": "integers",
        "f": "floats",
        "b": "booleans",
        "c": "complex numbers",
        "U": "strings",
    }
    if families[a.dtype.kind] != families[b.dtype.kind]:
        return Complaint(f"expected {families[b.dtype.kind]}{at}, got {families[a.dtype.kind]} ({a.dtype})", "kind")
    if b.dtype.kind not in "fc":
        wrong = a != b
    else:
        a, b = a.astype(np.result_type(b, np.float64)), b.astype(np.result_type(b, np.float64))
        if np.isnan(a).any() and not np.isnan(b).any():
            return Complaint(f"got NaN{at} in {int(np.isnan(a).sum())} of {a.size} entries{_where_nan(a)}", "nan")
        scale = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0)) if tolerance.to_scale else 1.0
        wrong = ~np.isclose(a, b, rtol=tolerance.rtol, atol=tolerance.atol * scale, equal_nan=True)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"[{', '.join(map(str, index))}]" if index else ""
    shown = (
        (f"{b[index]:.4g}", f"{a[index]:.4g}")
        if b.dtype.kind in "iuf"
        else (repr(b[index].item()), repr(a[index].item()))
    )
    extra = _pattern(a, b)
    return (
        f"{int(wrong.sum())} of {a.size} entries differ{at}: expected {shown[0]}{' at ' + place if place else ''}, "
        f"got {shown[1]}{extra}"
    )


def _where_nan(a: np.ndarray) -> str:
    """Which rows hold the NaNs, when whole rows do: 0 / 0 or a softmax over nothing but minus infinity."""
    if a.ndim < 2:
        return ""
    rows = np.isnan(a).any(-1)
    rows = rows.reshape(-1, rows.shape[-1])
    if rows.all():
        return ""
    which = np.flatnonzero(rows.all(0))
    if len(which) and rows.sum() == len(which) * len(rows):
        rows_named = f"row{'s' * (len(which) > 1)} {', '.join(map(str, which[:4].tolist()))}"
        return f", all of them in {rows_named} of the last two axes"
    return ""


def _pattern(a: np.ndarray, b: np.ndarray) -> str:
    """A constant factor or offset between the two, when there is one: often the whole story."""
    if b.dtype.kind != "f" or a.size < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return ""
    if (np.abs(b) > 1e-9).all():
        ratio = a / b
        if np.allclose(ratio, ratio.flat[0], rtol=1e-3) and abs(ratio.flat[0]) > 1e-6:
            return f" (every entry is {ratio.flat[0]:.4g} times the expected one)"
    if np.allclose(a - b, (a - b).flat[0], rtol=1e-3, atol=1e-6):
        return f" (every entry is off by {(a - b).flat[0]:.4g})"
    return ""


def _first(complaints) -> str | None:
    return next((c for c in complaints if c is not None), None)
