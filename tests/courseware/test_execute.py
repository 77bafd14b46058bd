"""Lectures run from an empty folder; what they print by chance is removed; the stamp tells what is stale."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from courseware.authoring import build, execute, run

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute_course(course, *args: str) -> int:
    return execute.main([*args, "--root", str(course)])


def lecture(course) -> nbformat.NotebookNode:
    return nbformat.read(course / "lectures" / "90_waves.ipynb", as_version=4)


def test_a_lecture_from_source_to_a_stamped_notebook(course, capsys):
    assert execute_course(course, "--check") == 1
    assert execute_course(course) == 0
    printed = capsys.readouterr().out
    assert "MB at the peak" in printed
    assert "-> careful" in printed, "what was on stderr is reported when it is dropped"

    notebook = lecture(course)
    nbformat.validate(notebook)
    assert notebook.metadata.courseware.executed is True
    assert "widgets" not in notebook.metadata
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(WIDGET in output.get("data", {}) for output in outputs)
    assert [o.name for o in outputs if o.output_type == "stream"] == ["stdout"]
    images = [output.data["text/html"] for output in outputs if "<img" in output.get("data", {}).get("text/html", "")]
    assert len(images) == 1 and images[0].startswith('<img alt="A line of slope k. Panels: k = 1; k = 2." ')
    assert "<details>" in json.dumps(notebook), "the poll keeps its answer"
    assert "0xADDRESS" in json.dumps(notebook)
    notices = [o.data["text/markdown"] for o in outputs if "slider" in o.get("data", {}).get("text/markdown", "")]
    assert notices == [execute.NO_SLIDER["text/markdown"]], "for the slider; a poll's buttons need none"
    assert set(notebook.metadata.language_info) == set(build.language_info()), "as JupyterLab writes it"
    assert [c.execution_count for c in notebook.cells if c.cell_type == "code"] == list(range(1, 8))

    assert execute_course(course, "--check") == 0
    assert build.main(["--check", "--root", str(course), "90"]) == 1, "the lab is not built yet"
    assert build.main(["--root", str(course)]) == 0
    assert lecture(course) == notebook, "building keeps the outputs of an unchanged source"


def test_a_changed_source_is_stale_and_loses_its_outputs(course, capsys):
    source, target = course / "lectures" / "source" / "90_waves.py", course / "lectures" / "90_waves.ipynb"
    notebook = build.lecture_notebook(source, course)
    notebook.metadata.courseware["executed"] = True
    notebook.cells[3].outputs = [new_output("stream", text="kept")]
    target.write_text(build.notebook_text(notebook))
    assert execute.is_fresh(source, target)
    build.main(["--root", str(course)])
    assert "kept" in target.read_text()

    source.write_text(source.read_text().replace("What does", "Whatever does"))
    assert not execute.is_fresh(source, target)
    assert execute_course(course, "--check") == 1
    assert "stale" in capsys.readouterr().out
    build.main(["--root", str(course)])
    assert "kept" not in target.read_text()


def test_line_ends_do_not_make_a_lecture_stale(course):
    source = course / "lectures" / "source" / "90_waves.py"
    before = build.source_hash(source)
    source.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert build.source_hash(source) == before


def test_it_runs_on_one_thread_in_an_empty_folder_without_a_gpu():
    code = "import os; print(os.listdir(), os.environ['OMP_NUM_THREADS'], repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    notebook = new_notebook(cells=[new_code_cell(code)])
    report = execute.run(notebook)
    assert notebook.cells[0].outputs[0].text == "[] 1 ''\n"
    assert len(notebook.cells) == 1
    assert report.peak_mb > 10


def test_an_error_stops_the_command_and_nothing_is_written(course, capsys):
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text("# %%\nraise RuntimeError('out of chalk')\n")
    assert execute_course(course) == 1
    assert "out of chalk" in capsys.readouterr().err
    assert not (course / "lectures" / "90_waves.ipynb").exists()


def test_a_lecture_that_is_too_large_is_refused_and_its_largest_output_named(course, capsys):
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text("# %%\nprint('small')\n\n# %%\nprint('x' * 450_000)\n")
    assert execute_course(course) == 1
    message = capsys.readouterr().err
    assert "the limit is 400" in message
    assert "450 kB  90-001" in message
    assert not (course / "lectures" / "90_waves.ipynb").exists()


def normalised(*outputs) -> list:
    cell = new_code_cell(
        "1",
        execution_count=17,
        outputs=list(outputs),
        metadata={"execution": {"iopub.status.idle": "2026"}, "tags": ["a"]},
    )
    notebook = new_notebook(
        cells=[cell], metadata={"widgets": {"state": {}}, "language_info": {"name": "python", "version": "3.11.7"}}
    )
    execute.normalise(notebook)
    (after,) = notebook.cells
    assert notebook.metadata == {"language_info": {"name": "python", "version": "3.11.7"}}
    assert after.metadata == {"tags": ["a"]}
    assert after.execution_count == 1
    return after.outputs


def test_normalising_removes_widgets_and_progress_and_joins_streams():
    outputs = normalised(
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("stream", name="stderr", text="\r 30%|###   | 3/10 [00:01<00:02]"),
        new_output("display_data", data={WIDGET: {"model_id": "0"}, "text/plain": "VBox()"}),
        new_output("execute_result", data={"text/plain": "<f at 0x7f12ab34cd56>"}, execution_count=17),
    )
    assert [o.output_type for o in outputs] == ["stream", "execute_result"]
    assert outputs[0].text == "a\nb\n"
    assert outputs[1].data["text/plain"] == "<f at 0xADDRESS>"
    assert outputs[1].execution_count == 1


def test_normalising_drops_lines_that_were_redrawn_in_place_even_when_they_came_in_pieces():
    pieces = ["start\n", "\r##.. 50 %", "\r#### 100 %", "\nloss 1.88\n"]
    (output,) = normalised(*(new_output("stream", name="stdout", text=piece) for piece in pieces))
    assert output.text == "start\nloss 1.88\n"
    assert normalised(new_output("stream", name="stdout", text="\r## 50 %\r### 100 %")) == []


def test_normalising_leaves_short_hexadecimal_numbers_alone():
    assert normalised(new_output("stream", name="stdout", text="byte 0xe4\n"))[0].text == "byte 0xe4\n"


# -------------------------------------------------------------------------------------------------------------- run


def test_run_gives_every_notebook_an_empty_folder_and_a_solution_of_each_lab(course, tmp_path_factory):
    build.main(["--root", str(course)])
    folder = tmp_path_factory.mktemp("copies")
    copies = run.prepare(folder, course)
    assert [copy.stem for copy in copies] == ["90_waves", "lab90_waves", "lab90_waves.solution"]
    assert all([path.name for path in copy.parent.iterdir()] == [copy.name] for copy in copies)
    assert [copy.stem for copy in run.prepare(tmp_path_factory.mktemp("more"), course, ["lab90"])] == [
        "lab90_waves",
        "lab90_waves.solution",
    ]


def test_run_fails_a_notebook_that_raises_or_prints_something_else_and_passes_the_others(course, capfd):
    build.main(["--root", str(course)])
    lab = course / "labs" / "lab90_waves.ipynb"
    notebook = nbformat.read(lab, as_version=4)
    printed_one = [new_output("stream", name="stdout", text="1\n")]
    notebook.cells = [
        new_code_cell("# NBVAL_CHECK_OUTPUT\nprint(2)", outputs=printed_one, id="x"),
        new_code_cell("double(2)", id="y"),
    ]
    nbformat.write(notebook, lab)
    assert run.main(["lab90", "--root", str(course), "-n", "1"]) == 1
    printed = capfd.readouterr().out
    assert "2 failed, 7 passed" in printed
    assert "NameError" in printed
    assert "MB  lab90_waves.solution" in printed, "the cost of each notebook is reported"


def test_the_bar_of_a_first_download_fails_no_cell_whose_output_is_compared(course, capfd):
    build.main(["--root", str(course)])
    lab = course / "labs" / "lab90_waves.ipynb"
    notebook = nbformat.read(lab, as_version=4)
    code = "# NBVAL_CHECK_OUTPUT\nfrom tqdm import tqdm\nprint(len(list(tqdm(range(3)))))"
    printed = [new_output("stream", name="stdout", text="3\n")]
    notebook.cells = [new_code_cell(code, outputs=printed, execution_count=1, id="x")]
    nbformat.write(notebook, lab)
    assert run.main(["lab90", "--root", str(course), "-n", "1"]) == 0, capfd.readouterr().out


def test_run_says_what_to_do_when_a_notebook_is_missing(course, capsys):
    assert run.main(["--root", str(course)]) == 1
    assert "run python -m courseware build first" in capsys.readouterr().err


@pytest.mark.parametrize(("names", "code"), [([], 0), (["55"], 1)])
def test_run_without_notebooks(tmp_path, names, code, capsys):
    assert run.main([*names, "--root", str(tmp_path)]) == code
    assert "no notebooks" in capsys.readouterr().out
