"""The repository around the course: pins, pages and what must never be committed."""

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from courseware.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MB = 1_000_000


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def key(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def direct_requirements():
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["course"], *extras["test"], *extras["browser"], *extras["site"]]
    return [Requirement(text) for text in wanted]


# --- versions ---------------------------------------------------------------------------------------------------------


def test_every_dependency_is_pinned_to_a_version_its_range_allows():
    versions = {key(pin.name): str(pin.specifier).removeprefix("==") for pin in pins()}
    for requirement in direct_requirements():
        assert key(requirement.name) in versions, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(versions[key(requirement.name)]), f"{requirement} excludes its own pin"


def test_pins_are_exact_unique_and_fit_every_platform():
    names = [key(pin.name) for pin in pins()]
    assert len(names) == len(set(names))
    for pin in pins():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), f"{pin}: write ==VERSION, without a build such as +cpu"
        assert not pin.name.startswith(("nvidia", "triton", "cuda")), f"{pin} exists on some machines only"


def test_ranges_leave_colab_its_own_versions():
    for text in PROJECT["dependencies"]:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators <= {">="}, f"{text}: no upper bound and no exact version in pyproject.toml"


def test_conda_installs_the_same_as_tasks():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    pip_lines = re.findall(r"^ {6}- (.+)$", text, flags=re.MULTILINE)
    assert pip_lines == ["-c constraints.txt", "-e .[course,test]"]
    assert re.search(r"python=(\d+\.\d+)", text)[1] == PROJECT["requires-python"].removeprefix(">=")
    assert len(text.splitlines()) == 8
    assert '"-e", ".[course,test]"' in (ROOT / "tasks.py").read_text(encoding="utf-8")


def test_the_package_names_what_it_imports():
    known = {key(r.name) for r in direct_requirements()} | {"llmlib", "courseware"}
    # What comes along with jupyterlab, nbconvert, jupytext, ipykernel and matplotlib, and is part of using them.
    known |= {
        "ipython",
        "psutil",
        "traitlets",
        "jupyter-client",
        "jupyter-server",
        "tornado",
        "pil",
        "fonttools",
        "jinja2",
        "markdown-it",
        "mdit-py-plugins",
    }
    for path in [*(ROOT / "llmlib").rglob("*.py"), *(ROOT / "courseware").rglob("*.py")]:
        for name in re.findall(
            r"^\s*(?:import|from) (\w+)[\w.]*(?: import| as|,|$)", path.read_text(encoding="utf-8"), re.M
        ):
            ours = key(name) in known or (path.parent / f"{name}.py").exists()  # a script's neighbour
            assert ours or name in sys.stdlib_module_names, f"{path.relative_to(ROOT)} imports {name}"


def test_the_package_carries_every_file_it_reads():
    """An installed course (Colab clones, others may not) has what lies beside the modules."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package in ("llmlib", "courseware"):
        carried = {path for pattern in settings["package-data"][package] for path in (ROOT / package).glob(pattern)}
        beside = {p for p in tracked_files() if p.is_relative_to(ROOT / package) and p.suffix not in {".py", ".md"}}
        assert beside <= carried, [str(path.relative_to(ROOT)) for path in beside - carried]


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_readme_lists_every_lecture_and_lab_and_promises_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d\d) \| (.+)$", readme, flags=re.MULTILINE))
    assert sorted(rows) == [f"{n:02}" for n in range(21)]
    lectures = [path.stem for path in (ROOT / "lectures" / "source").glob("[0-9][0-9]_*.py")]
    labs = [path.stem for path in (ROOT / "solutions").glob("lab[0-9][0-9]_*.py")]
    notebooks = [(stem[:2], f"lectures/{stem}.ipynb") for stem in lectures]
    notebooks += [(stem[3:5], f"labs/{stem}.ipynb") for stem in labs]
    for number, notebook in notebooks:
        assert rows[number].count(notebook) == 2, f"README.md, row {number}: link {notebook}, and its Colab badge"
    for number, row in rows.items():
        planned = not any(stem.startswith(number) for stem in lectures)
        assert ("*planned*" in row) == planned, f"README.md, row {number}: planned or not?"


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/instructor_guide.md",
        "docs/writing_a_lecture.md",
        "docs/sources.md",
        "docs/grading.md",
        "docs/grading_elsewhere.md",
    ],
)
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    built = {"lectures", "labs"}  # written by `courseware build`, which has its own check
    missing = [t for t in targets if not (path.parent / t).exists() and t.split("/")[0] not in built]
    assert not missing, f"{page} links to {missing}"


PAGES = ["README.md", "CONTRIBUTING.md", "docs/instructor_guide.md", "docs/writing_a_lecture.md", "docs/grading.md"]


def commands_in(page):
    """Every command line that a page shows, in a block or in the text, as a list of words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines += re.findall(r"`((?:make|python3?|git|conda|jupyter)\b[^`\n]*)`", prose)
    return [shlex.split(part) for line in lines for part in line.split("&&")]


def options_of(main, capsys, *command):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0, "--help succeeds"
    return capsys.readouterr().out


def tool_main(tool):
    """The function behind a tool of tasks.py."""
    module, *command = tool.split()
    if module == "courseware":
        place, _, function = COMMANDS[command[0]][0].partition(":")
        return getattr(importlib.import_module(f"courseware.{place}"), function)
    return importlib.import_module(module).main


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_pages_exist_and_take_what_is_given_to_them(page, capsys):
    import tasks

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    seen = [words for words in commands_in(page) if words[1:] not in ([], ["tasks.py"])]  # named, not shown
    assert len(seen) > 5
    for words in seen:
        shown = f"{page}: {' '.join(words)}"
        if words[0] == "make":
            name, rest = (words[1:] or ["help"])[0], words[2:]
            assert name in {*tasks.TASKS, *tasks.TOOLS, "help", "X"}, shown
            assert all(f"$({word.partition('=')[0]})" in makefile or word.startswith("PYTHON=") for word in rest), shown
        elif words[1:2] == ["tasks.py"]:
            name, flags = words[2], [word for word in words[3:] if word.startswith("--") and word != "--cpu"]
            assert name in {*tasks.TASKS, *tasks.TOOLS, "X"}, shown
            part = words[3:4] if name == "assets" else []  # whose parts have options of their own
            usage = options_of(tool_main(tasks.TOOLS[name][0]), capsys, *part) if name in tasks.TOOLS else ""
            assert all(re.search(rf"{flag}\b", usage) for flag in flags), shown
        elif words[1:3] == ["-m", "courseware"]:
            inside = page == "docs/writing_a_lecture.md" or words[0].startswith(".venv/") or words[3] == "lab"
            assert inside, f"{shown}: works in the course's environment only, where is it said?"
            assert words[3] in COMMANDS or words[3] == "--help", shown
        else:
            known = ("git clone", "git pull", "conda env", "conda activate", "cd next-token", "jupyter lab")
            assert " ".join(words[:2]) in known or words[:3] == ["python", "-m", "pytest"], shown


@pytest.mark.parametrize(
    "tool",
    [
        *("check", "grade", "autograder", "summary", "answers", "moodle", "convert", "release"),
        *("badges", "gain", "adopt", "pages", "claims", "run", "lab", "start"),
    ],
)
def test_every_tool_explains_itself(tool, capsys):
    assert "usage" in options_of(tool_main(f"courseware {tool}"), capsys)


def test_the_wrong_python_says_what_to_type():
    """Debian's own python3, say: it has none of the course's packages."""
    program = "import sys, runpy; sys.argv = ['x', 'grade', 'a.ipynb', '--out', 'b.csv']; "
    program += "sys.path = ['.', *[p for p in sys.path if 'site-packages' not in p]]; "
    program += "runpy.run_module('courseware', run_name='__main__')"
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is not the course's Python" in done.stderr and "Traceback" not in done.stderr
    assert "python tasks.py grade a.ipynb --out b.csv" in done.stderr


def test_pictures_in_the_pages_need_no_network():
    for page in PAGES:
        pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", (ROOT / page).read_text(encoding="utf-8"))
        missing = [picture for picture in pictures if not (ROOT / page).parent.joinpath(picture).is_file()]
        assert missing == [], page


def test_licences_are_whole():
    code = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in code and "END OF TERMS AND CONDITIONS" in code
    assert "creativecommons.org/licenses/by/4.0" in (ROOT / "LICENSE-text").read_text(encoding="utf-8")


# --- what must never be committed -------------------------------------------------------------------------------------


def test_no_file_names_a_folder_of_someones_machine():
    # Put together here, so that this file does not contain what it looks for.
    places = re.compile(
        "|".join(["/" + "work/(main|shared)", "/" + "opt/", "/" + "root/", "/home/" + "[a-z]", r"C:\\" + "Users"])
    )
    suffixes = {".py", ".md", ".ipynb", ".toml", ".txt", ".yml", ".cfg", ".json", ".cff", ""}
    for path in tracked_files():
        if path.suffix in suffixes and path.name != "test_notebooks.py":  # which looks for the same in notebooks
            found = places.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)} contains {found.group()!r}"


def test_no_weights_no_corpora_and_no_big_files():
    binary = {".bin", ".gguf", ".gz", ".npz", ".onnx", ".pickle", ".pkl", ".pt", ".pth", ".tar", ".whl", ".zip"}
    files = tracked_files()
    for path in files:
        assert path.suffix not in binary, f"{path.relative_to(ROOT)}: fetch it with llmlib.data.assets instead"
        if path.name.startswith("base_") and path.suffix == ".safetensors":
            continue  # tests/hub/test_base.py has a limit for them all
        limit = 0.4 * MB if path.suffix == ".ipynb" else 1 * MB
        assert path.stat().st_size <= limit, f"{path.relative_to(ROOT)} has {path.stat().st_size / MB:.2f} MB"
    assert sum(path.stat().st_size for path in files) <= 43 * MB  # of which sliders' frames for the site 3


def test_ruff_finds_nothing():
    run = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_test_files_have_names_of_their_own():
    """pytest imports them by their names alone, but where a folder is a package."""
    names = [path.name for path in ROOT.glob("tests/**/test_*.py") if not (path.parent / "__init__.py").exists()]
    assert sorted(names) == sorted(set(names))
