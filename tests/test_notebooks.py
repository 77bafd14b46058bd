"""What every committed notebook promises: its anatomy, its pictures for people who can't see them, its size, no debris.

The notebooks themselves are run by `python -m courseware run`; nothing is executed here.
"""

import json
import re
from pathlib import Path

import nbformat
import pytest

from courseware.authoring import badges, build, execute

ROOT = Path(__file__).resolve().parents[1]
LECTURES = sorted((ROOT / "lectures").glob("*.ipynb"))
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LONGEST_CELL = 60

every_lecture = pytest.mark.parametrize("path", LECTURES, ids=lambda p: p.stem)
every_lab = pytest.mark.parametrize("path", LABS, ids=lambda p: p.stem)
every_notebook = pytest.mark.parametrize("path", [*LECTURES, *LABS], ids=lambda p: p.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in code_cells(path) for output in cell.outputs]


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def code(path: Path) -> str:
    return "\n\n".join(cell.source for cell in code_cells(path) if cell["id"] != badges.SETUP_ID)


# ------------------------------------------------------------------------------------------ sources and notebooks


def test_there_is_a_notebook_for_every_source_and_a_source_for_every_notebook():
    assert [p.stem for p in LECTURES] == [s.stem for s in build.lecture_sources(ROOT)]
    assert [p.stem for p in LABS] == [s.stem for s in build.lab_sources(ROOT)]


def test_notebooks_are_what_their_sources_build():
    stale = [path.name for path, text in build.build_all(ROOT).items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python -m courseware build"


@every_lecture
def test_lecture_was_executed_from_its_present_source(path):
    assert execute.is_fresh(ROOT / "lectures" / "source" / f"{path.stem}.py", path), "run python -m courseware execute"
    assert all(cell.execution_count for cell in code_cells(path) if cell.source.strip())


# ---------------------------------------------------------------------------------------------------- all notebooks


@every_notebook
def test_notebook_is_valid(path):
    text = path.read_text(encoding="utf-8")
    nbformat.validate(json.loads(text))
    notebook = read(path)
    assert len({cell["id"] for cell in notebook.cells}) == len(notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata, "GitHub shows a notebook with widget state as invalid"


@every_notebook
def test_notebook_opens_with_badges_title_and_set_up(path):
    cells = read(path).cells
    assert cells[0]["id"] == badges.ROW_ID
    assert badges.home(ROOT).colab(path.relative_to(ROOT).as_posix()) in cells[0].source
    number = re.search(r"\d+", path.stem).group()
    assert re.match(rf"# .*\b{number}\b", cells[1].source), (
        "the first line after the badges is the title with its number"
    )
    first_code = next(cell for cell in cells if cell.cell_type == "code")
    assert first_code["id"] == badges.SETUP_ID
    assert first_code.source == badges.setup_cell(ROOT)


@every_notebook
def test_cells_are_short(path):
    long = {cell["id"]: n for cell in code_cells(path) if (n := cell.source.count("\n") + 1) > LONGEST_CELL}
    assert long == {}, f"cells of more than {LONGEST_CELL} lines: split them, or move what is reusable to llmlib"


@every_notebook
def test_no_file_is_read_from_beside_the_notebook(path):
    """On Colab and in the tests a notebook stands alone in an empty folder."""
    relative = re.findall(
        r"(?:open|Path|load|read_csv|imread|from_file)\(\s*f?[\"'](?!/|https?:)[^\"']*[\"']", code(path)
    )
    assert [call for call in relative if "w" not in call.split(",")[-1]] == []
    assert "../" not in code(path)


@every_notebook
def test_nothing_of_the_machine_it_was_made_on(path):
    assert re.findall(r"(?:/home/|/root/|/Users/|/tmp/|[A-Z]:\\\\Users)\S*", path.read_text(encoding="utf-8")) == []


@every_notebook
def test_pictures_in_prose_have_alt_text(path):
    assert re.findall(r"!\[\s*\]\(\S+\)", prose(path)) == []
    assert [tag for tag in re.findall(r"<img\b[^>]*>", prose(path)) if not re.search(r'alt="[^"]+"', tag)] == []


# --------------------------------------------------------------------------------------------------------- lectures


@every_lecture
def test_lecture_says_what_it_asks_teaches_needs_and_takes(path):
    opening = read(path).cells[1].source
    missing = [
        part for part in ("question", "you can", "before", "minute") if not re.search(part, opening, re.IGNORECASE)
    ]
    assert missing == [], "the opening names the question, what you will be able to do, what comes before, and minutes"


@every_lecture
@pytest.mark.parametrize("part", ["scale warning", "summary", "exercises", "further reading"])
def test_lecture_has_its_closing_parts(path, part):
    assert re.search(rf"^(#+ |> *\*\*).*{part}", prose(path), re.IGNORECASE | re.MULTILINE)


@every_lecture
def test_lecture_has_two_interactive_views_and_two_polls(path):
    assert len(re.findall(r"^explore\(", code(path), re.MULTILINE)) >= 2
    assert len(re.findall(r"^poll\(", code(path), re.MULTILINE)) >= 2


@every_lecture
def test_lecture_ends_in_one_claims_table(path):
    tables = [o for o in outputs(path) if o.get("metadata", {}).get("courseware", {}).get("claims")]
    assert len(tables) == 1
    assert len(tables[0].metadata.courseware.authoring.claims) >= 3


@every_lecture
def test_every_picture_has_alt_text(path):
    images = [o for o in outputs(path) if any(mime.startswith("image/") for mime in o.get("data", {}))]
    assert images, "a lecture without a figure"
    without = [o.data.get("text/plain", "") for o in images if len(o.metadata.get("image/png", {}).get("alt", "")) < 20]
    assert without == [], "show figures with courseware.classroom.ui.show(fig, alt=...)"


@every_lecture
def test_lecture_outputs_hold_no_debris(path):
    assert [o for o in outputs(path) if o.get("name") == "stderr"] == []
    assert [o for o in outputs(path) if o.output_type == "error"] == []
    assert [o for o in outputs(path) if WIDGET_VIEW in o.get("data", {})] == []
    assert [o for o in outputs(path) if re.search(r"\d+%\|", str(o.get("text", "")))] == []
    assert [c["id"] for c in code_cells(path) if "execution" in c.metadata] == []


@every_lecture
def test_lecture_is_small(path):
    assert path.stat().st_size <= execute.LIMIT, execute.largest_outputs(read(path))


# ------------------------------------------------------------------------------------------------------------- labs


@every_lab
def test_lab_has_no_outputs_and_no_solutions(path):
    assert outputs(path) == []
    assert [c["id"] for c in code_cells(path) if c.execution_count is not None] == []
    assert "SOLUTION" not in path.read_text(encoding="utf-8")
    assert [c["id"] for c in read(path).cells if "solution-only" in c.metadata.get("tags", [])] == []


@every_lab
def test_lab_names_points_difficulty_and_minutes_and_checks_each_question(path):
    questions = re.findall(r"^## Question (\d+).*$", prose(path), re.MULTILINE)
    headings = re.findall(r"^## Question .*$", prose(path), re.MULTILINE)
    assert 5 <= len(questions) <= 8
    assert [h for h in headings if not re.search(r"\d+ points?, difficulty [1-5], \d+ minutes", h)] == []
    lab = path.stem.split("_")[0]
    assert [q for q in questions if f'check("{lab}.q{q}"' not in code(path)] == []


@every_lab
def test_lab_logs_a_prediction_and_ends_in_an_open_challenge(path):
    assert re.search(r"^## .*prediction", prose(path), re.IGNORECASE | re.MULTILINE)
    assert re.search(r"^## .*challenge", prose(path), re.IGNORECASE | re.MULTILINE)
