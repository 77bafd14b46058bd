"""tasks.py: set-up once, answers never overwritten, and one closing line that counts what failed."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A fresh copy of the module, at home in an empty folder."""
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "installed.json")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0")
    return module


@pytest.fixture
def commands(tasks, monkeypatch):
    """Every command line that set-up would run; none is run."""
    seen = []

    def note(command, **_):
        seen.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(tasks.subprocess, "run", note)
    return seen


def installs(commands):
    return [command for command in commands if "install" in command and "pip" in command]


def test_setup_installs_once_and_again_only_when_what_is_needed_changes(tasks, commands, tmp_path):
    tasks.setup()
    assert [command[-4:] for command in installs(commands)] == [["-c", "constraints.txt", "-e", ".[course,test]"]]
    assert any("ipykernel" in command and "OMP_WAIT_POLICY" in command for command in commands)
    commands.clear()
    tasks.setup()
    assert not installs(commands)
    (tmp_path / "pyproject.toml").write_text("[project]\n[tool.ruff]\nline-length = 100")
    tasks.setup()
    assert not installs(commands)
    (tmp_path / "constraints.txt").write_text("torch==2.14.0")
    tasks.setup()
    assert len(installs(commands)) == 1
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['torch', 'numpy']")
    tasks.setup()
    assert len(installs(commands)) == 2


def test_setup_with_cpu_takes_torch_alone_from_the_cpu_index(tasks, commands):
    tasks.setup(cpu="file:///some/index")
    first, second = installs(commands)
    assert first[-1] == "torch" and "--no-deps" in first and "file:///some/index" in first
    assert "file:///some/index" not in second and second[-1] == ".[course,test]"


def test_a_failed_installation_is_not_taken_for_done(tasks, monkeypatch, capsys):
    def fail(command, **_):
        return subprocess.CompletedProcess(command, 1 if "constraints.txt" in command else 0)

    monkeypatch.setattr(tasks.subprocess, "run", fail)
    with pytest.raises(SystemExit, match="PIP_FIND_LINKS"):
        tasks.setup()
    assert not tasks.STAMP.exists() and not tasks.installed()


@pytest.fixture
def one_lab(tmp_path):
    (tmp_path / "labs").mkdir()
    lab = tmp_path / "labs" / "lab03_topic.ipynb"
    lab.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "questions"}]}))
    return lab


def test_start_copies_a_lab_and_never_overwrites_answers(tasks, tmp_path, capsys, one_lab):
    assert tasks.main(["start", "3"]) == 0
    copy = tmp_path / "work" / "labs" / "lab03_topic.ipynb"
    assert copy.read_text() == one_lab.read_text()
    copy.write_text("my answers")
    assert tasks.main(["start", "03"]) == 0
    assert copy.read_text() == "my answers"
    out = capsys.readouterr().out
    assert "left as it is" in out and "make lab" in out


@pytest.mark.parametrize("arguments", [["start"], ["start", "17"], ["start", "03", "17"]])
def test_start_says_which_labs_there_are(tasks, tmp_path, capsys, arguments, one_lab):
    assert tasks.main(arguments) == 2
    shown = capsys.readouterr()
    assert re.search(r"(There are|choose from) 03", shown.out + shown.err)
    assert not (tmp_path / "work").exists()


def test_a_tools_options_are_its_own_and_its_files_are_named_from_where_you_are(tasks, monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(tasks, "setup", lambda cpu: ran.append(cpu))

    def run(command, cwd, env):
        ran.append((command[1:], cwd))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(tasks.subprocess, "run", run)
    assert tasks.main(["grade", "--cpu", "ADDRESS", "a.ipynb", "--workers", "4", "b.ipynb", "--help"]) == 3
    asked = ["-m", "courseware", "grade", "a.ipynb", "--workers", "4", "b.ipynb", "--help"]
    assert ran == ["ADDRESS", (asked, None)]


def test_every_command_of_make_is_one_of_tasks(tasks):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    listed = set(re.search(r"^TASKS = (.+)$", makefile, re.MULTILINE)[1].split()) | {"start", "slides"}
    assert listed == {*tasks.TASKS, *tasks.TOOLS}
    assert all(tasks.TASKS[name].__doc__ for name in tasks.TASKS)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as a terminal does")
def test_ctrl_c_is_for_the_tool_to_decide(tmp_path):
    """One Ctrl-C, to both processes as a terminal sends it: the tool asks, and lives on until it wants to end."""
    tool = (
        "import signal, time\n"
        "asked = []\n"
        "signal.signal(signal.SIGINT, lambda *_: asked.append(1))\n"
        "print('ready', flush=True)\n"
        "while not asked: time.sleep(0.01)\n"
        "time.sleep(1)\n"  # subprocess.run by itself gives up, and kills, after a quarter of a second
        "print('answered', flush=True)\n"
        "raise SystemExit(7)"
    )
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport tasks\nfrom pathlib import Path\n"
    program += f"tasks.PYTHON = Path(sys.executable)\nsys.exit(tasks.python('-c', {tool!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.read() == "answered\n"
    assert process.wait() == 7


PASS = ["-c", "print('===== 7 passed, 2 skipped in 0.10s =====')"]
FAIL = ["-c", "print('1 failed, 3 passed, 1 error in 0.10s'); raise SystemExit(1)"]
QUIET = ["-c", "pass"]
BROKEN = ["-c", "print('12 passed in 3s'); raise SystemExit(3)"]


def closing_line(capsys):
    return capsys.readouterr().out.rstrip().splitlines()[-1]


def test_steps_close_with_one_line_that_counts_everything(tasks, capsys):
    assert tasks.steps({"unit tests": PASS, "style": QUIET}) == 0
    line = closing_line(capsys)
    assert "8 passed, 2 skipped in " in line and line.startswith("==") and "failed" not in line


def test_a_failure_anywhere_shows_in_the_line_and_the_exit_code_and_stops_nothing(tasks, capsys):
    assert tasks.steps({"first": FAIL, "style": QUIET, "crashed": BROKEN}) == 1
    out = capsys.readouterr().out
    assert "3 failed, 16 passed in " in out.rstrip().splitlines()[-1]
    assert [line.split()[0] for line in out.splitlines() if " s  " in line] == ["failed", "ok", "failed"]


def test_an_old_python_is_told_what_to_do():
    program = "import sys; sys.version_info = (3, 9, 1); exec(compile(open('tasks.py').read(), 'tasks.py', 'exec'))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert "needs Python 3.11 or newer, this is 3.9.1" in run.stderr and "PYTHON=python3.12" in run.stderr


def test_recorded_runs_each_script_once(tasks, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "llmlib" / "recorded"
    folder.mkdir(parents=True)
    for name, script in (("a", "scripts/one.py"), ("b", "scripts/one.py"), ("c", "scripts/two.py --fast")):
        (folder / f"{name}.json").write_text(json.dumps({"script": script}))
    ran = []
    monkeypatch.setattr(tasks, "python", lambda *arguments: ran.append(arguments) or 0)
    assert tasks.task_recorded(None, []) == 0
    assert ran == [("scripts/one.py",), ("scripts/two.py", "--fast")]
    assert tasks.task_recorded(None, ["unknown"]) == 1
