"""What every committed notebook promises: its anatomy, its pictures for people who can't see them, its size, no debris.

The notebooks themselves are run by `python -m courseware run`; nothing is executed here.
"""

import ast
import html
import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from courseware.authoring import badges, build, execute, promises, timing
from courseware.authoring.folding import is_folded
from courseware.classroom import polls

ROOT = Path(__file__).resolve().parents[1]
LECTURES = sorted((ROOT / "lectures").glob("*.ipynb"))
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LONGEST_CELL = 60
COLUMNS, LINES = 88, 30  # of code that is shown: what a screen of 1280 x 720 at 150 % holds
FIGURE_LINES, DIAGRAM_LINES = 5, 25
CLAIM_LENGTH = 220

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
    if (ROOT / "solutions").is_dir():  # which students do not get
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
    language = build.language_info(notebook.metadata.language_info.get("version", ""))
    assert notebook.metadata.language_info == language, "what JupyterLab writes: run courseware build"
    assert text == build.notebook_text(notebook), "not the form in which JupyterLab saves"


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
    assert len(re.findall(r"^(?:explore|steps)\(", code(path), re.MULTILINE)) >= 2
    assert len(re.findall(r"^poll\(", code(path), re.MULTILINE)) >= 2


@every_lecture
def test_lecture_ends_in_one_claims_table(path):
    tables = [o for o in outputs(path) if o.get("metadata", {}).get("courseware", {}).get("claims")]
    assert len(tables) == 1
    assert len(tables[0].metadata.courseware.claims) >= 3


@every_lecture
def test_every_picture_has_alt_text(path):
    data = [output.get("data", {}) for output in outputs(path)]
    alts = [re.match(r'<img alt="([^"]*)" ', d["text/html"]) for d in data if "<img" in d.get("text/html", "")]
    assert alts, "a lecture without a figure"
    assert [d for d in data if any(mime.startswith("image/") for mime in d)] == [], (
        "show figures with the functions of courseware: JupyterLab gives no alt text to a bare image"
    )
    assert [alt for alt in alts if alt is None or len(html.unescape(alt[1])) < 20] == []


@every_lecture
def test_lecture_outputs_hold_no_debris(path):
    assert [o for o in outputs(path) if o.get("name") == "stderr"] == []
    assert [o for o in outputs(path) if o.output_type == "error"] == []
    assert [o for o in outputs(path) if WIDGET_VIEW in o.get("data", {})] == []
    assert [o for o in outputs(path) if re.search(r"\d+%\|", str(o.get("text", "")))] == []
    assert [text for o in outputs(path) if (text := bare_object(o))] == [], "end the cell with a semicolon or a show()"
    assert [c["id"] for c in code_cells(path) if "execution" in c.metadata] == []


def bare_object(output: nbformat.NotebookNode) -> str:
    """What Python prints for an object without a form of its own, <Axes: ...> or <a.B at 0x...>; "" if none shows."""
    shown = output.get("text", "")
    if not any(mime in output.get("data", {}) for mime in ("text/html", "text/markdown", "text/latex")):
        shown += output.get("data", {}).get("text/plain", "")
    found = re.search(
        r"<(?:matplotlib\b|Axes|Figure\b|[\w.]+ at 0x|[^<>\n]*\b(?:object|function) [^<>\n]*at 0x)[^\n]*", shown
    )
    return found.group() if found else ""


def test_a_bare_object_is_recognised():
    def result(text, **other):
        return nbformat.v4.new_output("execute_result", data={"text/plain": text, **other}, execution_count=1)

    image = "<matplotlib.image.AxesImage at 0xADDRESS>"
    drawn = [
        image,
        "[<matplotlib.lines.Line2D at 0xADDRESS>]",
        "<Axes: xlabel='x'>",
        "<Figure size 640x480 with 1 Axes>",
    ]
    others = ["<llmlib.data.Batches object at 0xADDRESS>", "<function f at 0xADDRESS>", "<zip at 0xADDRESS>"]
    for bare in [*drawn, *others]:
        assert bare_object(result(bare)) in bare and bare_object(result(bare))
    assert bare_object(nbformat.v4.new_output("stream", text=f"here: {image}\n")) == image
    assert not bare_object(result(image, **{"text/html": "<b>a picture</b>"}))
    for good in ("a < b and c > d", "<s> the object </s>", "<|im_start|>user", "<unk> at 3", "tensor([1])"):
        assert not bare_object(result(good))


@every_lecture
def test_lecture_is_small(path):
    assert path.stat().st_size <= execute.LIMIT, execute.largest_outputs(read(path))


# ------------------------------------------------------------------------------------------- the form of a lecture
#
# docs/writing_a_lecture.md says why. Each rule is looked for in the sources.


def rules(source: Path) -> dict[str, list[str]]:
    """Rule -> what breaks it, for one lecture's source."""
    cells = build.read_source(source).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    visible = [cell for cell in code if not is_folded(cell)]
    drawn = [cell for cell in code if "diagram" in cell.metadata.get("tags", []) and "Diagram(" in cell.source]
    return {
        f"visible code has at most {COLUMNS} columns and {LINES} lines": [
            *(
                f"{c['id']}: {line.strip()[:60]}"
                for c in visible
                for line in c.source.split("\n")
                if len(line) > COLUMNS
            ),
            *(f"{c['id']}: {n} lines" for c in visible if (n := len(written(c))) > LINES),
        ],
        f"a figure takes at most {FIGURE_LINES} lines, a diagram {DIAGRAM_LINES}": [
            f"{cell['id']}: {len(written(cell))} lines"
            for cell in code
            for tag, most in (("figure", FIGURE_LINES), ("diagram", DIAGRAM_LINES))
            if tag in cell.metadata.get("tags", []) and len(written(cell)) > most
        ],
        "code that draws is folded": [
            f"{cell['id']}: tag it figure or diagram"
            for cell in visible
            if re.search(r"\bplt\.|\.show\(|^\s*(show|curves|bars|heat_map|attention_map|panels)\(", cell.source, re.M)
        ],
        "at least two drawn diagrams": [] if len(drawn) >= 2 else [f"{len(drawn)} cells tagged diagram draw a Diagram"],
        "at least two displayed equations": [] if prose.count("$$") >= 4 else [f"{prose.count('$$') // 2} of $$...$$"],
        "every poll is one call with literal arguments": [
            f"{cell['id']}: {cell.source[:60]}"
            for cell in code
            if re.search(r"^\s*poll\(", cell.source, re.M) and polls.poll_arguments(cell.source) is None
        ],
        "claims name their sources, say their split and fit a cell": claims_broken(code),
        "sources are cited by name": [
            *re.findall(r"\bdecks?\s+[BNCJ]\b.{0,40}", prose, re.IGNORECASE),
            *([] if re.search(r"<!-- sources: *\w", prose) else ["no line <!-- sources: ... --> for the box"]),
        ],
        "minutes are those of the rule": timing.problems(source),
    }


def written(cell: nbformat.NotebookNode) -> list[str]:
    """The lines of a cell that hold something."""
    return [line for line in cell.source.split("\n") if line.strip()]


def claims_broken(code: list[nbformat.NotebookNode]) -> list[str]:
    found = []
    for call in (node for cell in code for node in ast.walk(parsed(cell.source)) if isinstance(node, ast.Call)):
        if not (isinstance(call.func, ast.Name) and call.func.id == "Claim"):
            continue
        says = ast.unparse(call.args[0] if call.args else call)[:60]
        if not {"source"} <= {keyword.arg for keyword in call.keywords}:
            found.append(f"{says}: no source=")
        for field in [*call.args, *(keyword.value for keyword in call.keywords)]:
            length = sum(
                len(n.value) for n in ast.walk(field) if isinstance(n, ast.Constant) and isinstance(n.value, str)
            )
            if length > CLAIM_LENGTH:
                found.append(f"{says}: {length} characters in one cell of the table")
    return found


def parsed(code: str) -> ast.AST:
    try:
        return ast.parse(re.sub(r"^\s*[%!].*$", "pass", code, flags=re.M))
    except SyntaxError:
        return ast.Module([], [])


every_source = pytest.mark.parametrize("source", build.lecture_sources(ROOT), ids=lambda p: p.stem)


@every_source
def test_lecture_keeps_the_rules_of_its_form(source):
    broken = {rule: what for rule, what in rules(source).items() if what}
    assert broken == {}


def test_the_keys_of_polls_spread_over_the_letters():
    keys: Counter[str] = Counter()
    for source in build.lecture_sources(ROOT):
        for cell in build.read_source(source).cells:
            arguments = polls.poll_arguments(cell.source)
            if arguments and not arguments[3] and len(arguments[1]) == 4:
                question, options, _, _, draw = arguments
                keys["ABCD"[polls.shuffled(question, options, draw).index(options[0])]] += 1
    assert set(keys) == set("ABCD")
    assert max(keys.values()) <= 0.4 * keys.total(), f"{dict(keys)}: give a poll of the commonest letter another draw="


def test_no_notebook_shows_the_answer_of_a_poll():
    for path in LECTURES:
        for cell in code_cells(path):
            assert polls.poll_arguments(cell.source) is None, f"{path.stem}, {cell['id']}: not sealed"


def test_promises_between_lectures_are_kept():
    assert promises.problems(build.lecture_sources(ROOT)) == []


def test_symbols_are_those_of_the_notation_page():
    """docs/notation.md says what a letter means; a lecture that uses another name is at odds with all others."""
    page = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
    assert re.findall(r"`(B|T|V|d_model|n_heads|d_head|n_layers)`", page)
    for source in build.lecture_sources(ROOT):
        text = source.read_text(encoding="utf-8")
        assert (
            re.findall(r"^(?:D|WIDTH|HEADS|embed_dim|hidden_size|n_embd)\b *(?:,[^=]*)?=[^=].*$", text, re.M) == []
        ), "see docs/notation.md for the names of sizes"


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
