"""Every lab under attack: its own reference answers, spoilt so that careless comparisons would let them pass.

In bubblewrap all labs, in the other sandbox every fifth (the walls are no lab's own): COURSE_ATTACKS=all takes all.
"""

import dataclasses
import os
import runpy
from pathlib import Path

import pytest
from warm_labs import ready

from courseware.classroom import cases
from courseware.grading.grader import grade_cells
from courseware.grading.staff_files import load_staff_files
from courseware.grading.submission import Cell
from llmlib.sandbox import backends

BACKENDS = [name for name in backends.BUILDERS if backends.works(name)]
LABS = cases.lab_ids()
PRETENDERS = runpy.run_path(str(Path(__file__).parents[1] / "courseware" / "attacks.py"))["PRETENDERS"]

# NaN and infinity for numbers, objects that equal everything for the rest, tensors without data, wrong in every leaf.
SPOIL = """
import functools as _functools, sys as _sys
_HOWS = ("nan", "equal", "inf", "meta", "-inf")

def _leaf(value, how):
    number = {"inf": float("inf"), "-inf": float("-inf")}.get(how, float("nan"))
    torch = _sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if how == "meta":
            return value.detach().to("meta")
        if how == "equal":
            class Tensor(torch.Tensor):
                __torch_function__ = classmethod(lambda cls, *a, **k: True)
            return value.detach().float().mul(0).as_subclass(Tensor)
        return torch.full(value.shape, number) if not value.is_complex() else value * number
    if isinstance(value, np.ndarray):
        return np.zeros(value.shape).view(Array) if how == "equal" else np.full(value.shape, number)
    if isinstance(value, dict):
        return {key: _leaf(inside, how) for key, inside in value.items()} if value else Equal()
    if isinstance(value, (list, tuple, set)):
        inside = [_leaf(one, how) for one in value]
        return type(value)(inside) if type(value) in (list, tuple) and value else Equal()
    if isinstance(value, (bool, int, float, complex)) and how != "equal":
        return number
    if isinstance(value, str):
        return equal(str)(value)
    return Equal()

def _spoilt(thing, how):
    if isinstance(thing, type):
        def method(name, kind):
            inner = getattr(thing, name)
            if kind is staticmethod:
                return staticmethod(lambda *a, **k: _leaf(inner(*a, **k), how))
            return _functools.wraps(inner)(lambda self, *a, **k: _leaf(inner(self, *a, **k), how))
        kinds = {name: type(f) for name, f in vars(thing).items() if name[0] != "_" or name == "__call__"}
        spoilt = {name: method(name, k) for name, k in kinds.items() if k in (type(_leaf), staticmethod)}
        return type(thing.__name__, (thing,), spoilt)
    if type(thing) is type(_leaf):
        return _functools.wraps(thing)(lambda *a, **k: _leaf(thing(*a, **k), how))
    return _leaf(thing, how)
"""
LOOK = """
import os as _os, re as _re, sys as _sys
_sys.meta_path[:] = [f for f in _sys.meta_path if type(f).__name__ != "Withheld"]
_found, _own = [], (_sys.prefix, _sys.base_prefix, "/proc", "/sys", "/usr", "/sandbox/proc")
for _folder, _folders, _names in _os.walk("/"):
    _folders[:] = [name for name in _folders if not _os.path.join(_folder, name).startswith(_own)]
    _found += [
        _os.path.join(_folder, name)
        for name in _names
        if _re.fullmatch(r"lab[0-9][0-9](_.*)?[.](py|ipynb)|.*_hidden[.]py|test_labs[.]py", name)
    ]
for _name in ("courseware.classroom.cases", "transformers", "nltk", "tokenizers"):
    for _loaded in [m for m in _sys.modules if m.split(".")[0] == _name.split(".")[0]]:
        del _sys.modules[_loaded]
    try:
        if getattr(__import__(_name, fromlist=["x"]), "__file__", None):
            _found.append(_name)
    except ImportError:
        pass
"""


def attacked(lab, staff, turn: int) -> list[Cell]:
    """The reference notebook with every answer spoilt after it, and what a look around found kept as free text."""
    lines = [PRETENDERS, SPOIL]
    for number, question in enumerate(lab.questions):
        for name in question.names:
            lines.append(f"{name} = _spoilt({name}, _HOWS[{(turn + number) % 5}])")
    texts = [entry.name for entry in lab.ungraded if entry.kind == "text"]
    look = [LOOK, *(f"{name} = 'found: ' + ' '.join(_found)" for name in texts)]
    return [*staff.reference, Cell(998, "\n".join(lines)), Cell(999, "\n".join(look))]


@pytest.mark.parametrize("lab_id", LABS)
@pytest.mark.parametrize("backend", BACKENDS or [None])
def test_spoilt_answers_earn_nothing_in_any_lab(lab_id, backend, monkeypatch):
    number = int(lab_id[3:])
    if backend is None:
        pytest.skip("no sandbox (bubblewrap, unshare) on this machine")
    if backend == "namespaces" and number % 5 and os.environ.get("COURSE_ATTACKS") != "all":
        pytest.skip("every fifth lab in this sandbox: COURSE_ATTACKS=all takes all")
    zygote = ready(lab_id) if backend == "bubblewrap" else None
    monkeypatch.setattr(backends, "works", lambda name: name == backend)
    lab, staff = cases.load_lab(lab_id), load_staff_files(cases.load_lab(lab_id))
    alone = dataclasses.replace(staff, reference=())  # nothing is judged again with an earlier answer mended
    report = grade_cells(lab, alone, attacked(lab, staff, number), salt="a", zygote=zygote)
    assert not report.error
    assert [note for note in report.notes if "not judged" in note or "cell 99" in note] == []
    assert {r.question.id: r.message for r in report.results if r.passed} == {}
    found = {entry.id: report.ungraded[entry.id] for entry in lab.ungraded if entry.kind == "text"}
    assert found == {entry: "found: " for entry in found}, "something of staff's can be read"
