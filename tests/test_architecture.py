"""The house of llmlib: its rooms, arrows downwards (contracts in pyproject.toml, [tool.importlinter])."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_imports_keep_to_the_plan():
    run = subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


def test_every_room_has_its_place_in_the_plan():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["llmlib"])
    planned = {name for layer in layers for name in re.findall(r"\w+", layer)}
    rooms = {path.parent.name for path in (ROOT / "llmlib").glob("*/__init__.py")}
    assert rooms <= planned, f"say in pyproject.toml, [tool.importlinter], where these rooms stand: {rooms - planned}"
    assert {"data", "infer", "model", "text", "train"} <= rooms
