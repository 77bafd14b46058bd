"""A made-up class: notebooks put together from a lab's reference, its other right answers, its mutants and its stubs.

Each student has an ability, each question a difficulty; what comes of a question is drawn from both. The last students
copy from the first ones, with other names for their variables. Used to look at what staff get, and by its tests.
"""

import ast
import importlib.util
import itertools
from pathlib import Path

import numpy as np

from courseware.classroom import cases
from courseware.classroom.diagnosing import drawn_run
from courseware.grading.staff_files import load_staff_files, notebook_of, untouched_cells
from courseware.grading.submission import definitions

FOLDER = Path(__file__).parent
FIRST = "Ada Ben Chen Dara Emil Fatima Goran Hana Ivan Jun Kofi Lena Mads Nour Olga Paul Quinn Rosa Sven Tala".split()
LAST = ["Adler", "Berg"]
TEXTS = (
    "Both curves fall together and still fall at the end, so the run is neither overfitting nor finished. I would "
    "train for longer; both should keep falling, and the gap should open only much later.",
    "The gap is small. Training is not finished because the loss still goes down.",
    "The loss goes down, which is good.",
    "Validation is a little above training, by less than the noise of one batch. A bigger model would lower both.",
    "",
)


class Renamed(ast.NodeTransformer):
    """Other names for the arguments and variables of functions, and no docstring: what a copy looks like."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(f"my_{node.id}" if node.id in self.names else node.id, node.ctx), node)


def disguised(source: str) -> str:
    """The same answer with its variables renamed. Arguments keep their names: the lab may call by keyword."""
    tree = ast.parse(source)
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]:
        stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        arguments = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
        Renamed(stored - arguments).visit(function)
    return "# my own\n" + ast.unparse(tree)


def alternatives(lab_id: str):
    path = FOLDER / "alternatives" / f"{lab_id}.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{lab_id}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def right_diagnosis(question: cases.Question, key: cases.Key, student: str) -> dict:
    truth = key.runs[drawn_run(question, student)]
    for size in (1, 2, 3):
        for evidence in itertools.combinations(key.true[truth], size):
            if not any(set(evidence) <= set(true) for fault, true in key.true.items() if fault != truth):
                return {"cause": truth, "evidence": list(evidence)}
    raise ValueError(f"no evidence proves {truth}")


def make_class(lab_id: str, n: int = 40, copies: int = 2, seed: int = 0) -> dict[str, list[str]]:
    """{name: sources of the cells}. The last ``copies`` students copied from the strongest ones."""
    lab = cases.load_lab(lab_id)
    staff, given, others = load_staff_files(lab), untouched_cells(lab), alternatives(lab_id)
    draw = np.random.default_rng(seed)
    people = [f"{first} {last}" for last in LAST for first in FIRST][:n]
    abilities, made, answers = draw.normal(0.6, 1.3, n), {}, {}
    order = sorted(range(n - copies), key=lambda i: -abilities[i])
    for number, name in enumerate(people):
        login, source = name.lower().replace(" ", "."), None
        if number >= n - copies:
            source = people[order[number - (n - copies)]]
        answers[name] = {}
        for question in lab.questions:
            if source is not None and question.kind in ("write", "test"):
                kept = answers[source][question.id]
                answers[name][question.id] = disguised(kept) if kept else kept
                continue
            chance = 1 / (1 + np.exp(-(abilities[number] - 0.55 * (question.difficulty - 3))))
            fate = "right" if draw.random() < chance else ("stub" if draw.random() < 0.25 else "wrong")
            answers[name][question.id] = _answer(lab, staff, others, question, fate, draw, login)
        made[name] = _cells(lab, staff, given, answers[name], login, draw)
    return made


def _answer(lab, staff, others, question, fate, draw, login) -> str:
    if fate == "stub":
        return ""
    reference = "\n\n\n".join(filter(None, (staff.reference_definition(name) for name in question.names)))
    if fate == "right":
        if question.kind == "diagnosis":
            key = next(k for k in staff.hidden[question.id] if isinstance(k, cases.Key))
            return f"{question.name} = {right_diagnosis(question, key, login)!r}"
        choices = [reference, *others.RIGHT.get(question.id, [])]
    else:
        choices = [m.source for m in staff.mutants if m.question == question.id]
        choices += others.WRONG.get(question.id, [])[:3]
    return choices[draw.integers(len(choices))]


def _cells(lab, staff, given, answers, login, draw) -> list[str]:
    """The cells as the lab gives them, each answer below its stub."""
    sources = []
    for cell in given:
        source, defined = cell.source, definitions(cell.source)
        if "STUDENT" in defined:
            source = f"STUDENT = {login!r}"
        for entry in lab.ungraded:
            if entry.name in defined and entry.kind == "text":
                source = f"{entry.name} = {TEXTS[draw.integers(len(TEXTS))]!r}"
            elif entry.name in defined and (reference := staff.reference_definition(entry.name)):
                source = reference
        for question in lab.questions:
            if question.name in defined and answers[question.id]:
                source = f"{source}\n\n\n{answers[question.id]}"
        sources.append(source)
    return sources


def write_class(folder: Path, lab_id: str, **options) -> list[Path]:
    """The class as files ``NAME.ipynb``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, sources in make_class(lab_id, **options).items():
        paths.append(folder / f"{name}.ipynb")
        paths[-1].write_text(notebook_of(sources), encoding="utf-8")
    return paths
