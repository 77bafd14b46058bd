"""What only staff have: hidden cases, mutants, rubrics and the reference solution of a lab.

They live in ``tests/labs/labNN_hidden.py`` and ``solutions/labNN_*.py``; another folder may be laid over the first.
"""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from courseware.classroom.cases import Case, Key, Lab, Mutant, Subject
from courseware.grading.submission import Cell, SubmissionError, definitions, read_cells, runnable

ROOT = Path(__file__).resolve().parents[2]


class StaffFilesMissing(RuntimeError):
    """Hidden cases are needed and not there."""


@dataclass(frozen=True)
class StaffFiles:
    """Hidden cases by question id, mutants, rubrics by entry id, and the reference notebook's code cells."""

    hidden: Mapping[str, tuple[Case | Subject | Key, ...]]
    mutants: tuple[Mutant, ...] = ()
    rubrics: Mapping[str, str] = field(default_factory=dict)
    reference: tuple[Cell, ...] = ()

    def reference_definition(self, name: str) -> str | None:
        """The reference's top-level statement that defines ``name``."""
        found = None
        for cell in self.reference:
            found = definitions(cell.source).get(name, found)
        return found


def load_staff_files(lab: Lab, hidden_folder: Path | None = None, root: Path = ROOT) -> StaffFiles:
    """Staff's files for a lab. StaffFilesMissing if there are no hidden cases."""
    path = (hidden_folder or root / "tests" / "labs") / f"{lab.id}_hidden.py"
    if not path.exists():
        raise StaffFilesMissing(
            f"no hidden cases for {lab.id} in {path.parent}: grade from the staff checkout, or give --hidden FOLDER"
        )
    spec = importlib.util.spec_from_file_location(f"{lab.id}_hidden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hidden = {question: tuple(cases) for question, cases in module.HIDDEN.items()}
    if unknown := set(hidden) - {q.id for q in lab.questions}:
        raise StaffFilesMissing(f"{path.name}: HIDDEN names unknown questions {sorted(unknown)}")
    for case in (entry for entries in hidden.values() for entry in entries if isinstance(entry, Case)):
        if case.recipe is not None and case.recipe.__module__ == module.__name__:
            raise StaffFilesMissing(
                f"{path.name}: the recipe {case.recipe.__name__!r} of a hidden case runs beside the student's code, "
                f"which can read it: move it to the public cases of {lab.id}"
            )
    solutions = sorted((root / "solutions").glob(f"{lab.id}_*.py"))
    reference = tuple(percent_cells(solutions[0])) if solutions else ()
    return StaffFiles(hidden, tuple(module.MUTANTS), getattr(module, "RUBRICS", {}), reference)


def percent_cells(path: Path) -> list[Cell]:
    """Code cells of a percent-format source that the grader would run."""
    cells, kind, lines = [], None, []

    def finish() -> None:
        source = "\n".join(lines).strip("\n")
        if kind == "code" and source:
            cells.append(Cell(len(cells) + 1, runnable(source)))

    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            finish()
            skipped = "[markdown]" in line or "not-graded" in line or "colab-setup" in line
            kind, lines = None if skipped else "code", []
        else:
            lines.append(line)
    finish()
    return [cell for cell in cells if not cell.source.lower().startswith("# not graded")]


def untouched_cells(lab: Lab, root: Path = ROOT) -> list[Cell]:
    """Code cells of the lab as students get it. SubmissionError if it was not built."""
    built = sorted((root / "labs").glob(f"{lab.id}_*.ipynb"))
    if not built:
        raise SubmissionError(f"labs/{lab.id}_*.ipynb is not built: run python -m courseware build")
    return read_cells(built[0])


def notebook_of(cells: list[str]) -> str:
    """A minimal notebook with these code cells, as JSON (for tests and for staff who grade a script)."""
    entries = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": s, "outputs": [], "execution_count": None}
        for i, s in enumerate(cells)
    ]
    return json.dumps({"cells": entries, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
