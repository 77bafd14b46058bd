"""Labs as assignments of nbgrader and of otter, by the rules of those tools and, where they are installed, by them."""

import ast
import re
import sys

import nbformat
import pytest
import yaml

from courseware.authoring import convert
from courseware.authoring.build import lab_sources
from courseware.classroom import cases
from courseware.classroom.required import require
from courseware.grading.staff_files import load_staff_files

SOURCES = {source.stem[:5]: source for source in lab_sources()}
SOME = ["lab03", "lab09", "lab16"]


def nbgrader_rules(notebook):
    """nbgrader's metadata, schema 3 (nbgrader/nbgraderformat/v3.json and v3.py)."""
    seen, points = set(), 0
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader")
        has_region = "### BEGIN SOLUTION" in cell.source
        assert bool(meta and meta["solution"]) == has_region, "a region in a cell that is no solution is an error"
        if meta is None:
            continue
        assert set(meta) <= {"schema_version", "grade", "solution", "locked", "task", "grade_id", "points", "cell_type"}
        assert meta["schema_version"] == 3 and all(
            type(meta[k]) is bool for k in ("grade", "solution", "locked", "task")
        )
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", meta["grade_id"]) and meta["grade_id"] not in seen
        assert meta["grade"] == ("points" in meta) and not (meta["solution"] and meta["locked"])
        assert not meta["grade"] or meta["solution"] or meta["locked"], "tests are read-only"
        assert cell.cell_type == "code" and not meta["task"]
        seen.add(meta["grade_id"])
        points += meta.get("points", 0)
    return points


def release(source):
    """What ClearSolutions leaves of a cell, with our stub."""
    lines, inside = [], False
    for line in source.split("\n"):
        if "BEGIN SOLUTION" in line:
            assert not inside
            inside = True
            lines.append(line[: len(line) - len(line.lstrip())] + convert.STUB)
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    assert not inside
    return "\n".join(lines)


@pytest.mark.parametrize("lab_id", sorted(SOURCES))
def test_every_lab_is_an_nbgrader_assignment(lab_id):
    lab = cases.load_lab(lab_id)
    notebook = convert.nbgrader_notebook(lab, SOURCES[lab_id])
    nbformat.validate(notebook)
    assert nbgrader_rules(notebook) == lab.total_points
    text = "\n".join(cell.source for cell in notebook.cells)
    assert not re.search(r"(?<!#)# (BEGIN|END) SOLUTION|\S\s*# SOLUTION$", text, re.M), "our own markers"
    tested = re.findall(r'^ *require\("(.*?)"', text, re.M)
    assert tested == [q.id for q in lab.questions if q.kind != "diagnosis"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(release(cell.source))
    released = "\n".join(release(cell.source) for cell in notebook.cells)
    answers = [load_staff_files(lab).reference_definition(name) for q in lab.questions for name in q.names]
    assert not [answer for answer in answers if answer and answer in released]


@pytest.mark.parametrize("lab_id", sorted(SOURCES))
def test_every_lab_is_an_otter_assignment(lab_id):
    """Raw cells open and close blocks, one in another, as otter/assign/blocks.py reads them."""
    lab = cases.load_lab(lab_id)
    notebook = convert.otter_notebook(lab, SOURCES[lab_id])
    nbformat.validate(notebook)
    first, *rest = notebook.cells
    assert first.cell_type == "raw" and first.source.startswith("# ASSIGNMENT CONFIG")
    assert yaml.safe_load(first.source)["name"] == lab_id
    opened, questions, tests = [], {}, 0
    for cell in rest:
        if cell.cell_type != "raw":
            tests += "TESTS" in opened
            assert "TESTS" not in opened or (cell.cell_type == "code" and cell.source.startswith("from courseware"))
            assert not re.search(r"# BEGIN SOLUTION", cell.source) or opened == ["QUESTION", "SOLUTION"]
            continue
        word, block = re.match(r"# (BEGIN|END) (QUESTION|SOLUTION|TESTS)\b", cell.source).groups()
        if word == "END":
            assert opened.pop() == block
            continue
        assert block != "QUESTION" or not opened
        opened.append(block)
        if block == "QUESTION":
            config = yaml.safe_load(cell.source)
            assert set(config) <= {"name", "points", "manual"} and config["name"] not in questions
            questions[config["name"]] = config
    assert not opened and tests == sum(q.kind != "diagnosis" for q in lab.questions)
    assert sum(config["points"] for config in questions.values()) == lab.total_points
    by_hand = {name for name, config in questions.items() if config.get("manual") and config["points"]}
    wanted = [q.id for q in lab.questions if q.kind == "diagnosis"] + [u.id for u in lab.ungraded if u.points]
    assert by_hand == {name.replace(".", "_") for name in wanted}


def test_one_line_solutions_become_regions():
    source = 'x = [\n    1,\n]  # SOLUTION\ny = 2\n\n\ndef f():\n    return 3  # SOLUTION\n\n\ncheck("lab03.q1", f)'
    pieces = convert.regions(source, "here")
    assert [kind for kind, _ in pieces] == ["solution", "given", "solution", "given"]
    assert pieces[0][1] == ["x = [", "    1,", "]"] and pieces[2][1] == ["    return 3"]
    assert convert.without_checks(source).endswith("return 3  # SOLUTION")
    assert convert._stub_of(pieces[0][1], False) == "x = ...  # YOUR CODE HERE"
    assert [e.id for e in convert.answers_in(cases.load_lab("lab03"), source)] == ["lab03.q1"]


def test_require_raises_what_check_would_print():
    lab = cases.load_lab("lab01")
    question = next(q for q in lab.questions if q.kind == "write")
    space: dict = {}
    for cell in load_staff_files(lab).reference:
        try:
            exec(cell.source, space)
        except Exception:  # what trains or draws
            continue
    assert require(question.id, space[question.name]) is None
    with pytest.raises(AssertionError, match="public cases pass"):
        require(question.id, lambda *args: None)
    with pytest.raises(TypeError, match="give "):
        require(question.id)
    with pytest.raises(KeyError, match="read by a person"):
        require(next(u.id for u in lab.ungraded), 1)


def test_nbgraders_tests_put_nothing_on_stderr_which_it_counts_as_a_failure(capsys):
    import numpy as np

    from courseware.classroom.checker import check

    def perplexity(p):
        print("a warning", file=sys.stderr)  # as numpy's of log(0), which is rightly infinite
        with np.errstate(divide="ignore"):
            return float(np.exp(-np.log(p).mean()))

    notebook = convert.nbgrader_notebook(cases.load_lab("lab01"), SOURCES["lab01"])
    test = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "lab01_q4")
    exec(test.source, {"check": check, "perplexity": perplexity})
    out, err = capsys.readouterr()
    assert "a warning" in out and not err
    with pytest.raises(AssertionError, match="public cases pass"):
        exec(test.source, {"check": check, "perplexity": lambda p: 1.0})


def test_the_command_writes_the_folders_of_the_tools(tmp_path, capsys):
    assert convert.main(["03", "--to", "nbgrader", "--out", str(tmp_path / "n")]) == 0
    assert [p.name for p in (tmp_path / "n" / "source" / "lab03").iterdir()] == [f"{SOURCES['lab03'].stem}.ipynb"]
    config = (tmp_path / "n" / "nbgrader_config.py").read_text()
    compile(config, "config", "exec")
    assert convert.STUB.split("(")[0] in config and "timeout = 600" in config
    assert convert.main(["03", "--to", "otter", "--out", str(tmp_path / "o")]) == 0
    assert convert.main(["77", "--to", "otter", "--out", str(tmp_path / "x")]) == 2
    assert "lab77" in capsys.readouterr().err and not (tmp_path / "x").exists()


@pytest.mark.parametrize("lab_id", SOME)
def test_nbgrader_itself_finds_nothing_wrong(lab_id):
    validator = pytest.importorskip("nbgrader.nbgraderformat", reason="nbgrader is not installed").MetadataValidator
    notebook = convert.nbgrader_notebook(cases.load_lab(lab_id), SOURCES[lab_id])
    assert validator().validate_nb(notebook) is None
    assert any("nbgrader" in cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("lab_id", SOME)
def test_otter_itself_makes_a_students_notebook(lab_id, tmp_path):
    assign = pytest.importorskip("otter.assign", reason="otter-grader is not installed")
    (path,) = convert.convert(cases.load_lab(lab_id), SOURCES[lab_id], "otter", tmp_path)
    assign.main(str(path), str(tmp_path / "dist"), no_run_tests=True, no_pdfs=True)
    made = nbformat.read(tmp_path / "dist" / "student" / path.name, 4)
    text = "\n".join(cell.source for cell in made.cells)
    assert text.count("your code here") >= 3 and "SOLUTION" not in text
