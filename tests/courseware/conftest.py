"""A made-up course of one lecture and one lab in a temporary folder."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from courseware.classroom import claims, figures, pictures, polls, ui

REPOSITORY = Path(__file__).resolve().parents[2]

LECTURE = """\
# %% [markdown]
# # 90 · Waves
#
# **The question of this lecture.** What does $k$ do?

# %%
import sys

import matplotlib.pyplot as plt

from courseware.classroom.claims import Claim, claims_table
from courseware import explore, poll, progress, setup_style

setup_style()

# %% id="the-slider"
def line(k):
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.plot([0, 1], [0, k])
    return fig


explore(line, panels=[1, 2], alt="A line of slope k.", k=(1, 5, 1))

# %%
poll("Is it straight?", ["yes", "no"], "It is.")

# %%
for _ in progress(range(3), "waiting"):
    pass
print("one")
print("two", object())
print("careful", file=sys.stderr)

# %%
# NBVAL_CHECK_OUTPUT
1 + 1

# %%
claims_table([Claim("lines are straight", "Euclid, 300 BC", "2 of 2", "holds; on paper", source="hlt")])
"""

LAB = '''\
# %% [markdown]
# # Lab 90

# %%
import math

# %% question="q1"
def double(x):
    """Twice x."""
    # BEGIN SOLUTION
    return x + x
    # END SOLUTION


# %%
prediction = "B"  # SOLUTION

# %% [markdown] tags=["solution-only"]
# The answer is known to staff.

# %%
print("the end")
'''


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The root of a course with lecture 90 and lab 90, not built yet."""
    (tmp_path / "lectures" / "source").mkdir(parents=True)
    for folder in ("solutions", "labs", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lectures" / "source" / "90_waves.py").write_text(LECTURE)
    (tmp_path / "solutions" / "lab90_waves.py").write_text(LAB)
    shutil.copy(REPOSITORY / "nbval_sanitize.cfg", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch>=2.6", "numpy", "surely-missing>=1"]\n'
        '[tool.course]\nslug = "someone/some-course"\nref = "spring"\n'
    )
    return tmp_path


@pytest.fixture
def shown(monkeypatch) -> list:
    """What was displayed, in order: .data and .metadata of raw outputs, .widget of live ones."""
    outputs: list[SimpleNamespace] = []

    def display(thing, metadata=None, raw=False):
        outputs.append(SimpleNamespace(data=thing if raw else {}, metadata=metadata, widget=None if raw else thing))

    for module in (claims, figures, pictures, polls, ui):
        monkeypatch.setattr(module, "display", display)
    return outputs
