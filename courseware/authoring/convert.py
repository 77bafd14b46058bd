"""``python -m courseware convert 03 --to nbgrader --out FOLDER``: a lab as an assignment of nbgrader or of otter.

What comes out is the *instructor's* notebook, with solutions in the markers of that tool, which makes the students' own
from it (``nbgrader generate_assignment``, ``otter assign``). Its tests are the public cases, run in the student's own
process: hidden cases, the sandbox, carried mistakes and forbidden names are this course's grader's and are lost there.
Texts and diagnoses, whose keys are staff's, are marked for a person to grade.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from courseware.authoring.build import KERNEL, lab_sources, notebook_text, read_source, select
from courseware.authoring.stubs import STUB, BuildError
from courseware.classroom.cases import Lab, Question, Ungraded, lab_id_of, load_lab
from llmlib.files import write_file

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = 3  # of nbgrader's metadata
CONFIG = f"""\
c = get_config()
c.ClearSolutions.code_stub = {{"python": "# YOUR CODE HERE\\n{STUB.replace('"', chr(92) + '"')}"}}
c.ExecutePreprocessor.timeout = 600  # seconds a cell: some train for a minute, and nbgrader stops at 30
"""

_TEST = """\
import sys
from contextlib import redirect_stderr

from courseware.classroom.required import require

with redirect_stderr(sys.stdout):  # a warning of numpy is no failure, but what is on stderr counts as one
    check({given})
    require({given})"""


@dataclass(frozen=True)
class Part:
    """One code cell of a lab that holds an answer: to a question, to an entry a person reads, or to neither."""

    cell: NotebookNode
    entries: tuple[Question | Ungraded, ...]


def answers_in(lab: Lab, source: str) -> tuple[Question | Ungraded, ...]:
    """The entries that a cell checks, in order."""
    entries = {entry.id: entry for entry in (*lab.questions, *lab.ungraded)}
    return tuple(entries[node.args[0].value] for _, node in _checks(source) if node.args[0].value in entries)


def by_hand(entry: Question | Ungraded) -> bool:
    """Does a person give the points? For a diagnosis, too: what is public judges only the form of the answer."""
    return entry.kind == "diagnosis" if isinstance(entry, Question) else entry.points > 0


def _checks(source: str) -> Iterator[tuple[ast.stmt, ast.Call]]:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check" and call.args:
            if isinstance(call.args[0], ast.Constant):
                yield statement, call


def without_checks(source: str) -> str:
    """The cell without its top-level ``check(...)`` lines."""
    lines, gone = source.split("\n"), set()
    for statement, _ in _checks(source):
        gone |= set(range(statement.lineno, statement.end_lineno + 1))
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone).rstrip()


def regions(source: str, where: str) -> list[tuple[str, list[str]]]:
    """The cell in pieces: ("given", lines) and ("solution", lines), one-line solutions included."""
    lines = source.split("\n")
    ends = {n.end_lineno: n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt)}
    one_liners = {
        node.lineno: number
        for number, line in enumerate(lines, 1)
        if re.search(r"# SOLUTION\s*$", line) and (node := ends.get(number))
    }
    pieces: list[tuple[str, list[str]]] = []
    kind, kept, skip_to = "given", [], 0
    for number, line in enumerate(lines, 1):
        if number <= skip_to:
            continue
        marker = re.match(r"\s*# (BEGIN|END) SOLUTION\s*$", line)
        if marker or number in one_liners:
            if kept:
                pieces.append((kind, kept))
            kept = []
        if marker:
            kind = "solution" if marker[1] == "BEGIN" else "given"
        elif number in one_liners:
            skip_to = one_liners[number]
            text = "\n".join(lines[number - 1 : skip_to])
            pieces.append(("solution", re.sub(r"\s*# SOLUTION\s*$", "", text).split("\n")))
        else:
            kept.append(line)
    if kind == "solution":
        raise BuildError(f"{where}: BEGIN SOLUTION without an END SOLUTION after it")
    return pieces + ([(kind, kept)] if kept else [])


def _indent(lines: list[str]) -> str:
    first = next(line for line in lines if line.strip())
    return first[: len(first) - len(first.lstrip())]


def _stub_of(lines: list[str], function: bool) -> str:
    """What students see instead: an exception inside a function, else the names with dots for values."""
    if function:
        return STUB
    names = [ast.unparse(t) for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.Assign) for t in n.targets]
    return "\n".join(f"{name} = ...  # YOUR CODE HERE" for name in names) or "# YOUR CODE HERE"


# -- nbgrader --------------------------------------------------------------------------------------------------------


def nbgrader_notebook(lab: Lab, source: Path) -> NotebookNode:
    """The source version of an nbgrader assignment."""
    cells = []
    for cell in _cells(source):
        if cell.cell_type != "code" or not re.search(r"# (BEGIN )?SOLUTION\s*$", cell.source, re.MULTILINE):
            cells.append(cell)
            continue
        entries, grade_id = answers_in(lab, cell.source), cell["id"].replace(".", "_")
        questions = [e for e in entries if isinstance(e, Question) and not by_hand(e)]
        texts = [e for e in entries if by_hand(e)]
        body = without_checks(cell.source) if questions else cell.source
        cell.source = "\n".join(_nbgrader_lines(body, f"{source.name}: {cell['id']}"))
        manual = {"grade": True, "points": sum(e.points for e in texts)} if texts else {"grade": False}
        cell.metadata["nbgrader"] = _metadata(_name(texts[0]) if texts else grade_id, solution=True, **manual)
        cells.append(cell)
        for question in questions:
            given = ", ".join([f'"{question.id}"', *question.names])
            test = nbformat.v4.new_code_cell(_TEST.format(given=given), id=f"test-{_name(question)}")
            test.metadata["nbgrader"] = _metadata(_name(question), grade=True, locked=True, points=question.points)
            cells.append(test)
    return _notebook(cells, source)


def _metadata(grade_id: str, *, solution: bool = False, grade: bool = False, locked: bool = False, **more) -> dict:
    found = {"schema_version": SCHEMA, "grade_id": grade_id, "solution": solution, "grade": grade, "locked": locked}
    return {**found, "task": False, **more}


def _nbgrader_lines(source: str, where: str) -> list[str]:
    lines = []
    for kind, part in regions(source, where):
        if kind == "solution":
            indent = _indent(part)
            part = [f"{indent}### BEGIN SOLUTION", *part, f"{indent}### END SOLUTION"]
        lines += part
    return lines


# -- otter -----------------------------------------------------------------------------------------------------------


def otter_notebook(lab: Lab, source: Path) -> NotebookNode:
    """The source version of an otter assignment."""
    config = f"# ASSIGNMENT CONFIG\nname: {lab.id}\nexport_cell: false\ncheck_all_cell: false"
    cells = [_raw(config, f"{lab.id}-config")]
    for cell in _cells(source):
        marked = cell.cell_type == "code" and re.search(r"# (BEGIN )?SOLUTION\s*$", cell.source, re.MULTILINE)
        if not marked:
            cells.append(cell)
            continue
        graded = [e for e in answers_in(lab, cell.source) if isinstance(e, Question) or e.points]
        where = f"{source.name}: {cell['id']}"
        cell.source = "\n".join(_otter_lines(cell.source, where))
        if not graded:  # a prediction, or STUDENT: nothing to give points for, but an answer to leave out
            head = f"# BEGIN QUESTION\nname: {cell['id'].replace('-', '_')}\nmanual: true\npoints: 0"
        elif len(graded) > 1:
            raise BuildError(f"{where}: otter has one question a cell, this one checks {len(graded)}")
        else:
            head = f"# BEGIN QUESTION\nname: {_name(graded[0])}\npoints: {graded[0].points}"
            head += "\nmanual: true" if by_hand(graded[0]) else ""
        block = [head, "# BEGIN SOLUTION", cell, "# END SOLUTION"]
        if graded and not by_hand(graded[0]):
            given = ", ".join([f'"{graded[0].id}"', *graded[0].names])
            test = f"from courseware.classroom.required import require\nrequire({given})"
            block += ["# BEGIN TESTS", nbformat.v4.new_code_cell(test, id=f"test-{_name(graded[0])}"), "# END TESTS"]
        block.append("# END QUESTION")
        cells += [_raw(p, f"{cell['id']}-{n}") if isinstance(p, str) else p for n, p in enumerate(block)]
    return _notebook(cells, source)


def _raw(text: str, name: str) -> NotebookNode:
    return nbformat.v4.new_raw_cell(text, id=name)


def _otter_lines(source: str, where: str) -> list[str]:
    lines = []
    for kind, part in regions(source, where):
        if kind == "given":
            lines += part
            continue
        indent = _indent(part)
        stub = [f"{indent}{line}" for line in _stub_of(part, bool(indent)).split("\n")]
        lines += [f"{indent}# BEGIN SOLUTION NO PROMPT", *part, f"{indent}# END SOLUTION"]
        lines += [f'{indent}""" # BEGIN PROMPT', *stub, f'{indent}""" # END PROMPT']
    return lines


# -- both ------------------------------------------------------------------------------------------------------------


def _name(entry: Question | Ungraded) -> str:
    return entry.id.replace(".", "_")


def _cells(source: Path) -> list[NotebookNode]:
    return [c for c in read_source(source).cells if "solution-only" not in c.metadata.get("tags", [])]


def _notebook(cells: list[NotebookNode], source: Path) -> NotebookNode:
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise BuildError(f"{source.name}: not a valid notebook: {error.message}") from None
    return notebook


def convert(lab: Lab, source: Path, tool: str, folder: Path) -> list[Path]:
    """Write the assignment into ``folder``. nbgrader: its ``source/lab03/`` and, if there is none, a configuration."""
    if tool == "otter":
        folder.mkdir(parents=True, exist_ok=True)
        return [write_file(folder / f"{source.stem}.ipynb", notebook_text(otter_notebook(lab, source)))]
    place = folder / "source" / lab.id
    place.mkdir(parents=True, exist_ok=True)
    written = [write_file(place / f"{source.stem}.ipynb", notebook_text(nbgrader_notebook(lab, source)))]
    if not (folder / "nbgrader_config.py").exists():
        written.append(write_file(folder / "nbgrader_config.py", CONFIG))
    return written


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m courseware convert", description="Write a lab as an assignment of nbgrader or of otter."
    )
    parser.add_argument("lab", help='number of the lab, "03"')
    parser.add_argument("--to", required=True, choices=("nbgrader", "otter"))
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(list(argv))
    lab_id = lab_id_of(options.lab)
    try:
        lab, sources = load_lab(lab_id), select(lab_sources(ROOT), [lab_id])
        if not sources:
            raise BuildError(f"solutions/{lab_id}_*.py is not here: convert from the staff checkout")
        written = convert(lab, sources[0], options.to, options.out)
    except KeyError as error:
        print(f"convert: {error.args[0]}", file=sys.stderr)
        return 2
    except (BuildError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(path)
    print("its tests are the public cases only; for hidden ones and a sandbox, collect there and grade with `grade`")
    return 0
