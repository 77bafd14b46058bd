"""A complete small lab without torch: the example of docs/writing_a_lab.md that the tests of check and grade run on."""

import dataclasses
import functools
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import grader
from courseware.grading.staff_files import load_staff_files
from courseware.grading.submission import Cell, runnable

from .lab90 import LAB

HERE = Path(__file__).parent
cases.register(LAB)
STAFF = load_staff_files(LAB, HERE, HERE)
HASTY = dataclasses.replace(LAB, cell_seconds=1.5, call_seconds=1.5)

SETUP = "import math\n\nimport numpy as np\n\nfrom courseware import check"
STUBS = {
    "q1": "def softmax(x):\n    raise NotImplementedError('your code here')\n\ncheck('lab90.q1', softmax)",
    "q2": "def bigrams(text):\n    raise NotImplementedError('your code here')\n\ncheck('lab90.q2', bigrams)",
    "q3": "vocab_size = ...\ncheck('lab90.q3', vocab_size)",
    "q4": "def surprise(x, target):\n    raise NotImplementedError('your code here')",
    "q5": "class Table:\n    def __init__(self, size):\n        raise NotImplementedError('your code here')",
}
RIGHT = {
    "q1": "def softmax(x):\n    e = np.exp(x - x.max())\n    return e / e.sum()",
    "q2": "def bigrams(text):\n    return list(zip(text, text[1:]))",
    "q3": "vocab_size = len(set('hello'))",
    "q4": "def surprise(x, target):\n    return -math.log(softmax(x)[target])",
    "q5": STAFF.reference_definition("Table"),
}
WRONG = {
    "q1": "def softmax(x):\n    return np.exp(x)",
    "q2": "def bigrams(text):\n    return []",
    "q3": "vocab_size = 'nope'",
}


@functools.cache
def zygote():
    """One for all tests, as a batch has one for all submissions; None where there cannot be one."""
    return grader.warm(LAB)


def graded(lab, staff, submission, **options) -> grader.Report:
    """grade_cells as a batch does it; for LAB and what only differs from it in time limits and cases."""
    return grader.grade_cells(lab, staff, submission, zygote=zygote(), **options)


def sources(**answers: str) -> list[str]:
    """Cell sources of a submission: the stubs, with these answers in place (q1="...")."""
    return [SETUP, *{**STUBS, **answers}.values()]


def cells(**answers: str) -> list[Cell]:
    return [Cell(number, runnable(source)) for number, source in enumerate(sources(**answers), 1)]
