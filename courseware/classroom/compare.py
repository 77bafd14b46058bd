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
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from courseware.classroom.cases import UNSET, Case, Draw, Mistake, Question, Tolerance, set_parameters
from llmlib.sandbox.wire import Unsupported


@dataclass(frozen=True)
class Failure:
    """What came instead of a value: ``kind`` is "not started", "error" (an exception) or "died" (limits)."""

    kind: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one case; ``message`` is empty when it passed."""

    case: str
    passed: bool
    message: str = ""
    not_started: bool = False


def case_seed(question: Question, case: Case, salt: str) -> int:
    """Seed of a case's inputs: fixed for ``salt="public"``, fresh for a fresh salt."""
    return zlib.crc32(f"{question.id}/{case.name}/{salt}".encode())


def draw_inputs(case: Case, seed: int) -> tuple | dict | None:
    """The inputs of a case; None when the answer is a value."""
    if case.inputs is None:
        return None
    inputs = case.inputs(Draw(seed))
    return inputs if isinstance(inputs, tuple | dict) else (inputs,)


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
def judge(question: Question, case: Case, seed: int, outcome: object, *, reveal: bool = True) -> Verdict:
    """Compare what came back for ``case`` (a value or a :class:`Failure`) with what should have come.

    ``reveal=False`` keeps the expected value out of the message where it is the answer itself (a case without inputs).
    """
    fresh = functools.partial(draw_inputs, case, seed)
    if isinstance(outcome, Failure):
        if outcome.kind == "not started":
            return Verdict(case.name, False, "not started yet", not_started=True)
        return Verdict(case.name, False, _explain(question, case, fresh, outcome, outcome.text))
    if isinstance(outcome, Unsupported) and outcome.type_name == "ellipsis":
        return Verdict(case.name, False, "not started yet", not_started=True)
    complaint = None
    if case.expected is not UNSET:
        expected = apply(case.expected, fresh()) if callable(case.expected) else case.expected
        complaint = difference(outcome, expected, case.tolerance or question.tolerance)
    if complaint is None and case.judge is not None:
        complaint = _property(case, fresh, outcome)
    if complaint is None:
        return Verdict(case.name, True)
    if not reveal and case.inputs is None:
        complaint = "not the right answer"
    return Verdict(case.name, False, _explain(question, case, fresh, outcome, complaint))


def _property(case: Case, fresh: Callable, value: object) -> str | None:
    try:
        return apply(case.judge, fresh(), value)
    except Exception:  # a judgement may assume the right type; a wrong one must not stop the grading
        return f"unexpected kind of answer: {describe(value)}"


def _explain(question: Question, case: Case, fresh: Callable, outcome: object, complaint: str) -> str:
    for mistake in question.mistakes:
        if _recognised(mistake, question, case, fresh, outcome):
            return mistake.message
    hint = case.hint or question.hint
    return f"{complaint}. {hint}" if hint else complaint


def _recognised(mistake: Mistake, question: Question, case: Case, fresh: Callable, outcome: object) -> bool:
    if isinstance(outcome, Failure):
        return mistake.error is not None and re.search(mistake.error, outcome.text) is not None
    tolerance = case.tolerance or question.tolerance
    try:
        if mistake.when is not None and apply(mistake.when, fresh(), outcome):
            return True
        if mistake.wrong is UNSET:
            return False
        wrong = apply(mistake.wrong, fresh()) if callable(mistake.wrong) else mistake.wrong
        return difference(outcome, wrong, tolerance) is None
    except Exception:  # a mistake that makes no sense for these inputs was not made here
        return False


# -- comparing values ----------------------------------------------------------------------------------------


def describe(value: object) -> str:
    """A value in a few words: kind, and shape or size, or the value itself when short."""
    if isinstance(value, Unsupported):
        return f"a {value.type_name} object"
    if _is_tensor(value):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    text = repr(value)
    if len(text) <= 60:
        return text
    return f"a {type(value).__name__} of length {len(value)}" if hasattr(value, "__len__") else text[:60] + "..."


def difference(got: object, expected: object, tolerance: Tolerance | None = None) -> str | None:
    """None if ``got`` is the expected value, else one short sentence about the first difference."""
    return _differ(got, expected, tolerance or Tolerance(), "")


def _differ(got: object, expected: object, tolerance: Tolerance, where: str) -> str | None:
    at = f" at {where}" if where else ""
    if got is None and expected is not None:
        return f"got None{at}: is there a return?"
    if _is_tensor(expected) or isinstance(expected, np.ndarray):
        return _differ_array(got, expected, tolerance, at)
    got = _plain(got)
    expected = _plain(expected)
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return f"expected a dict{at}, got {describe(got)}"
        if missing := [k for k in expected if k not in got]:
            return f"{missing[0]!r} is missing{at}"
        if extra := [k for k in got if k not in expected]:
            return f"{describe(extra[0])} should not be there{at}"
        return _first(_differ(got[k], v, tolerance, f"{where}[{k!r}]") for k, v in expected.items())
    if isinstance(expected, list | tuple):
        if not isinstance(got, list | tuple):
            return f"expected a {type(expected).__name__}{at}, got {describe(got)}"
        if len(got) != len(expected):
            return f"expected {len(expected)} items{at}, got {len(got)}"
        return _first(_differ(g, e, tolerance, f"{where}[{i}]") for i, (g, e) in enumerate(zip(got, expected)))
    if isinstance(expected, float) and not isinstance(expected, bool):
        if type(got) not in (int, float):
            return f"expected a number{at}, got {describe(got)}"
        if math.isnan(got) and not math.isnan(expected):
            return f"got NaN{at}"
        same = got == expected or abs(got - expected) <= tolerance.atol + tolerance.rtol * abs(expected)
        same = same or (math.isnan(got) and math.isnan(expected))
        return None if same else f"expected {expected:.6g}{at}, got {got:.6g}"
    if type(got) is not type(expected):
        return f"expected {describe(expected)}{at}, got {describe(got)} ({type(got).__name__})"
    return None if got == expected else f"expected {describe(expected)}{at}, got {describe(got)}"


def _differ_array(got: object, expected: object, tolerance: Tolerance, at: str) -> str | None:
    kind = "tensor" if _is_tensor(expected) else "numpy array"
    if _is_tensor(got) != _is_tensor(expected) or not (_is_tensor(got) or isinstance(got, np.ndarray)):
        return f"expected a {kind}{at}, got {describe(got)}"
    a, b = _numpy(got), _numpy(expected)
    if a.shape != b.shape:
        return f"expected shape {b.shape}{at}, got {a.shape}"
    families = {
        "i": "integers",
        "u": "integers",
        "f": "floats",
        "b": "booleans",
        "c": "complex numbers",
        "U": "strings",
    }
    if families[a.dtype.kind] != families[b.dtype.kind]:
        return f"expected {families[b.dtype.kind]}{at}, got {families[a.dtype.kind]} ({a.dtype})"
    if b.dtype.kind not in "fc":
        wrong = a != b
    else:
        a, b = a.astype(np.result_type(b, np.float64)), b.astype(np.result_type(b, np.float64))
        if np.isnan(a).any() and not np.isnan(b).any():
            return f"got NaN{at} in {int(np.isnan(a).sum())} of {a.size} entries"
        wrong = ~np.isclose(a, b, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
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


def _is_tensor(value: object) -> bool:
    return type(value).__module__ == "torch" and type(value).__name__ in ("Tensor", "Parameter")


def _numpy(value: object) -> np.ndarray:
    if not _is_tensor(value):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def _plain(value: object) -> object:
    """Numbers that came as zero-dimensional arrays or tensors, as Python numbers."""
    if (_is_tensor(value) or isinstance(value, np.ndarray)) and value.ndim == 0:
        return _numpy(value).item()
    return value.item() if isinstance(value, np.generic) else value
