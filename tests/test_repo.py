"""The repository around the course: pins, pages and what must never be committed."""

import re
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
    return [Requirement(text) for text in [*PROJECT["dependencies"], *extras["course"], *extras["test"]]]


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
    # What comes along with jupyterlab, nbconvert, ipykernel and matplotlib, and is part of using them.
    known |= {"ipython", "psutil", "traitlets", "jupyter-client", "jupyter-server", "tornado", "pil", "jinja2"}
    for path in [*(ROOT / "llmlib").rglob("*.py"), *(ROOT / "courseware").rglob("*.py")]:
        for name in re.findall(
            r"^\s*(?:import|from) (\w+)[\w.]*(?: import| as|,|$)", path.read_text(encoding="utf-8"), re.M
        ):
            ours = key(name) in known or (path.parent / f"{name}.py").exists()  # a script's neighbour
            assert ours or name in sys.stdlib_module_names, f"{path.relative_to(ROOT)} imports {name}"


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
    ["README.md", "CONTRIBUTING.md", "docs/instructor_guide.md", "docs/writing_a_lecture.md", "docs/sources.md"],
)
def test_links_between_pages_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    built = {"lectures", "labs"}  # written by `courseware build`, which has its own check
    missing = [t for t in targets if not (path.parent / t).exists() and t.split("/")[0] not in built]
    assert not missing, f"{page} links to {missing}"


def test_commands_named_in_the_pages_exist():
    names = ("README.md", "CONTRIBUTING.md", "docs/instructor_guide.md", "docs/writing_a_lecture.md")
    pages = [ROOT / name for name in names]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    tasks = (ROOT / "tasks.py").read_text(encoding="utf-8")
    for command in set(re.findall(r"(?:`make|^make|tasks\.py) ([a-z]+)", text, flags=re.MULTILINE)):
        assert f"def task_{command}(" in tasks, f"the pages name the command {command}"
    for command in set(re.findall(r"-m courseware ([a-z]+)", text)):
        assert command in COMMANDS, f"the pages name python -m courseware {command}"


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
        limit = 0.4 * MB if path.suffix == ".ipynb" else 1 * MB
        assert path.stat().st_size <= limit, f"{path.relative_to(ROOT)} has {path.stat().st_size / MB:.2f} MB"
    assert sum(path.stat().st_size for path in files) <= 40 * MB


def test_ruff_finds_nothing():
    run = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
