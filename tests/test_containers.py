"""The devcontainer and Binder start from what the README says: their files are valid and name what exists."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
NEEDS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]


def post_build() -> list[list[str]]:
    """The command lines of binder/postBuild as words, without its comments."""
    text = (ROOT / "binder" / "postBuild").read_text(encoding="utf-8")
    return [shlex.split(line, comments=True) for line in text.splitlines()[1:] if shlex.split(line, comments=True)]


def test_the_devcontainer_runs_the_set_up_of_the_readme():
    import tasks

    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    program, task = settings["postCreateCommand"].split()
    assert program == "make" and task in tasks.TASKS
    # `make setup` takes the address of torch's CPU build from this variable.
    assert set(settings["containerEnv"]) == {"CPU", "OMP_WAIT_POLICY"}
    assert "$(CPU)" in (ROOT / "Makefile").read_text(encoding="utf-8")
    editor = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert editor == "${containerWorkspaceFolder}/.venv/bin/python"
    assert settings["image"].split(":")[1].startswith(f"1-{NEEDS.removeprefix('>=')}-")


def test_binder_names_tasks_that_exist_and_numbers_that_do():
    import tasks

    told = [words for words in post_build() if words[:2] == ["python", "tasks.py"]]
    assert [words[2] for words in told] == ["setup", "start", "assets"]
    assert all(words[2] in {*tasks.TASKS, *tasks.TOOLS} for words in told)
    assert "--cpu" in told[0] and "--all" in told[2]
    assert not told[1][3].startswith("-") and "$(cd lectures" in " ".join(told[1])


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_binders_script_is_valid_and_lists_every_lecture():
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK), "git update-index --chmod=+x binder/postBuild"
    assert subprocess.run(["bash", "-n", script], capture_output=True).returncode == 0
    numbers = re.search(r"start (\$\(.+\))$", script.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    shown = subprocess.run(["bash", "-c", f"echo {numbers}"], cwd=ROOT, capture_output=True, text=True).stdout
    assert shown.split() == sorted(path.name[:2] for path in (ROOT / "lectures").glob("[0-9][0-9]_*.ipynb"))


def test_binder_has_the_courses_python_and_a_pinned_front_end():
    assert (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip() == f"python-{NEEDS.removeprefix('>=')}"
    lines = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert asked[0] == "-c ../constraints.txt"
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert all(re.search(rf"^{re.escape(Requirement(line).name)}==", pins, flags=re.MULTILINE) for line in asked[1:])
