"""Sources become notebooks: always the same bytes, nothing of a solution in what students get, clear errors."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel

from courseware.authoring import adopt, build
from courseware.authoring.stubs import BuildError, strip_solutions


def run(course: Path, *args: str) -> int:
    return build.main([*args, "--root", str(course)])


def test_building_twice_gives_the_same_bytes(course):
    run(course, "--solutions")
    first = {path: path.read_bytes() for path in course.rglob("*.ipynb")}
    for path in first:
        path.unlink()
    run(course, "--solutions")
    assert len(first) == 3
    assert first == {path: path.read_bytes() for path in course.rglob("*.ipynb")}


def test_solutions_may_go_to_a_folder_outside_the_course(course, tmp_path_factory, capsys):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert run(course, "--solutions", str(elsewhere)) == 0
    assert [path.name for path in elsewhere.iterdir()] == ["lab90_waves.ipynb"]
    assert f"wrote {elsewhere / 'lab90_waves.ipynb'}" in capsys.readouterr().out


def test_labs_need_no_source_where_students_get_none(course, capsys):
    run(course)
    shutil.rmtree(course / "solutions")
    assert run(course, "--check") == 0


def test_check_writes_nothing_and_names_what_is_out_of_sync(course, capsys):
    assert run(course, "--check") == 1
    assert not list(course.rglob("*.ipynb"))
    assert "labs/lab90_waves.ipynb is out of sync" in capsys.readouterr().out
    run(course)
    assert run(course, "--check") == 0


def test_a_notebook_without_source_is_reported(course, capsys):
    run(course)
    (course / "labs" / "lab91_orphan.ipynb").write_text("{}")
    assert run(course, "--check") == 1
    assert "lab91_orphan.ipynb has no source" in capsys.readouterr().out


def test_an_unknown_name_is_an_error(course, capsys):
    assert run(course, "17") == 1
    assert "no source is called 17" in capsys.readouterr().err


def test_lecture_gets_badges_set_up_and_stamp(course):
    notebook = build.lecture_notebook(course / "lectures" / "source" / "90_waves.py", course)
    ids = [cell["id"] for cell in notebook.cells]
    assert ids[:4] == ["badges", "90-000", "colab-setup", "90-001"]
    assert "the-slider" in ids
    assert notebook.metadata.kernelspec.name == "python3"
    assert "executed" not in notebook.metadata.courseware


def test_the_code_of_a_poll_is_folded_away_since_it_holds_the_answer(course):
    notebook = build.lecture_notebook(course / "lectures" / "source" / "90_waves.py", course)
    folded = [c for c in notebook.cells if c.metadata.get("jupyter", {}).get("source_hidden")]
    assert [cell.source.split("(")[0] for cell in folded[1:]] == ["poll", "claims_table"]
    assert folded[0]["id"] == "colab-setup"


def test_students_get_stubs_and_no_solutions(course):
    notebook = build.student_notebook(course / "solutions" / "lab90_waves.py", course)
    text = build.notebook_text(notebook)
    assert "x + x" not in text and '"B"' not in text and "known to staff" not in text and "SOLUTION" not in text
    assert 'raise NotImplementedError(\\"your code here\\")' in text
    assert "prediction = ...  # YOUR CODE HERE" in text
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_solutions_keep_the_code_and_lose_the_markers(course):
    notebook = build.solution_notebook(course / "solutions" / "lab90_waves.py", course)
    text = build.notebook_text(notebook)
    assert "return x + x" in text and "known to staff" in text
    assert "SOLUTION" not in text and "NotImplementedError" not in text


def test_student_and_solution_share_cell_ids(course):
    source = course / "solutions" / "lab90_waves.py"
    student, solution = build.student_notebook(source, course), build.solution_notebook(source, course)
    named = {cell["id"]: cell.cell_type for cell in solution.cells}
    assert {cell["id"]: cell.cell_type for cell in student.cells}.items() <= named.items()


@pytest.mark.parametrize(
    ("cell", "stub"),
    [
        ("x = 1  # SOLUTION", "x = ...  # YOUR CODE HERE"),
        ("x: int = 1  # SOLUTION", "x: int = ...  # YOUR CODE HERE"),
        ('text = """one\ntwo"""  # SOLUTION\nafter = 2', "text = ...  # YOUR CODE HERE\nafter = 2"),
        ("d['k'] = f(\n    1,\n)  # SOLUTION", "d['k'] = ...  # YOUR CODE HERE"),
        ("a = 1\n# BEGIN SOLUTION\nb = 2\n# END SOLUTION\nc = 3", "a = 1\n# YOUR CODE HERE\nc = 3"),
        (
            "def f(x):\n    return x  # SOLUTION",
            'def f(x):\n    raise NotImplementedError("your code here")  # YOUR CODE HERE',
        ),
        (
            "class A:\n    def f(self):\n        # BEGIN SOLUTION\n        return 1\n        # END SOLUTION",
            'class A:\n    def f(self):\n        # YOUR CODE HERE\n        raise NotImplementedError("your code here")',
        ),
    ],
)
def test_stubs(cell, stub):
    assert strip_solutions(cell) == stub


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("# BEGIN SOLUTION\nx = 1", "line 1: BEGIN SOLUTION without an END"),
        ("x = 1\n# END SOLUTION", "line 2: END SOLUTION without a BEGIN"),
        ("# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION", "line 2: BEGIN SOLUTION inside the one of line 1"),
        ("print(1)  # SOLUTION", "line 1: `# SOLUTION` must end"),
        ("a, b = 1, 2  # SOLUTION", "can't be unpacked"),
        ("x = (  # SOLUTION", "not valid Python"),
        ("for i in range(3):\n    # BEGIN SOLUTION\n    print(i)\n    # END SOLUTION", "outside a function"),
        ("def f():\n    # BEGIN SOLUTION\n    x = [\n    # END SOLUTION\n    1]", "not valid Python"),
    ],
)
def test_markers_that_cannot_work_are_refused(cell, message):
    with pytest.raises(BuildError, match=message):
        strip_solutions(cell)


@pytest.mark.parametrize(
    "leak", ["#BEGIN SOLUTION\nx = 1\n#END SOLUTION", "# begin\nx = 1  # SOLUTION: one", "# END SOLUTION."]
)
def test_a_misspelt_marker_never_reaches_students(course, leak):
    source = course / "solutions" / "lab90_waves.py"
    source.write_text(source.read_text() + f"\n# %%\n{leak}\n")
    with pytest.raises(BuildError, match="would reach the students"):
        build.student_notebook(source, course)


def test_a_solution_marker_in_a_lecture_is_refused(course):
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text(source.read_text() + "\n# %%\nx = 1  # SOLUTION\n")
    with pytest.raises(BuildError, match="those belong in solutions"):
        build.lecture_notebook(source, course)


def test_duplicate_ids_are_refused(course):
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text(source.read_text() + '\n# %% id="the-slider"\n1\n')
    with pytest.raises(BuildError, match="share the id 'the-slider'"):
        build.lecture_notebook(source, course)


def test_an_error_names_the_source_and_ends_the_command(course, capsys):
    source = course / "solutions" / "lab90_waves.py"
    source.write_text(source.read_text() + "\n# %%\n# END SOLUTION\n")
    assert run(course) == 1
    assert "lab90_waves.py: cell lab90-006" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ adopt


def edited(course: Path, edit) -> Path:
    path = course / "lectures" / "90_waves.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)
    return path


def test_adopt_carries_an_edit_back_and_the_rest_stays(course):
    run(course)
    source = course / "lectures" / "source" / "90_waves.py"
    before = source.read_text()

    def edit(notebook):
        notebook.cells[1].source = notebook.cells[1].source.replace("What does", "Whatever does")
        notebook.cells[-1].source += "\nprint('new')"

    path = edited(course, edit)
    assert adopt.main(["90", "--root", str(course)]) == 0
    after = source.read_text()
    assert "Whatever does" in after and "print('new')" in after and 'id="the-slider"' in after
    assert "colab" not in after and "source_hidden" not in after
    kept = [line for line in before.splitlines() if line.strip() and "What does" not in line]
    assert [line for line in after.splitlines() if line in kept] == kept
    rebuilt = build.lecture_notebook(source, course)
    adopted = [c.source for c in nbformat.read(path, as_version=4).cells]
    assert [c.source for c in rebuilt.cells] == adopted


def test_adopt_without_an_edit_leaves_the_source_alone(course, capsys):
    run(course)
    source = course / "lectures" / "source" / "90_waves.py"
    before = source.read_bytes()
    assert adopt.main(["90", "--root", str(course)]) == 0
    assert source.read_bytes() == before
    assert "already says the same" in capsys.readouterr().out


def test_adopt_refuses_when_both_sides_changed(course, capsys):
    run(course)
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text(source.read_text() + "\n# %%\nprint('mine')\n")
    edited(course, lambda notebook: notebook.cells.append(nbformat.v4.new_markdown_cell("yours")))
    assert adopt.main(["90", "--root", str(course)]) == 1
    assert "merge by hand" in capsys.readouterr().err
    assert "yours" not in source.read_text()


def test_notebooks_are_plain_json_with_a_final_line_end(course):
    run(course)
    text = (course / "labs" / "lab90_waves.ipynb").read_bytes()
    assert text.endswith(b"}\n") and b"\r" not in text
    assert json.loads(text)["nbformat_minor"] == 5


# ----------------------------------------------------------------------------------------------- as JupyterLab saves


def test_a_notebook_is_in_the_form_in_which_jupyterlab_saves(course):
    assert build.main(["--root", str(course)]) == 0
    for path in [course / "lectures" / "90_waves.ipynb", course / "labs" / "lab90_waves.ipynb"]:
        text = path.read_text()
        notebook = nbformat.reads(text, as_version=4)
        assert notebook.metadata.kernelspec == {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        }
        kernel = IPythonKernel.language_info
        known = {
            "codemirror_mode",
            "file_extension",
            "mimetype",
            "name",
            "nbconvert_exporter",
            "pygments_lexer",
            "version",
        }
        assert notebook.metadata.language_info == {key: kernel[key] for key in known}
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert json.dumps(json.loads(text), sort_keys=True, indent=1, ensure_ascii=False) + "\n" == text


def test_another_python_version_in_a_notebook_is_no_change(course, capsys):
    assert build.main(["--root", str(course)]) == 0
    lab = course / "labs" / "lab90_waves.ipynb"
    notebook = nbformat.read(lab, as_version=4)
    notebook.metadata.language_info.version = "3.14.1"
    lab.write_text(build.notebook_text(notebook))
    assert build.main(["--check", "--root", str(course)]) == 0
    assert build.main(["--root", str(course)]) == 0
    assert '"version": "3.14.1"' in lab.read_text()
