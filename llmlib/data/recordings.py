"""Results that take too long to compute in class: small JSON files under llmlib/recorded/, and whether they are stale.

A recording keeps the script, the date, the machine and a hash of the code that produced it. When that code changes,
`stale` says so. What counts is the syntax tree: rewording, formatting and moving a file cost no hour of training.
"""

import ast
import datetime
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from llmlib.files import write_file

PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = PACKAGE / "recorded"


def recorded_names() -> list[str]:
    """The names that `recorded` knows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(name: str) -> dict[str, Any]:
    """The recording `name`: a dict of "script", "date", "machine", "modules" (name -> hash) and "results"."""
    path = FOLDER / f"{name}.json"
    if name not in recorded_names():
        known = ", ".join(recorded_names()) or "none yet"
        raise ValueError(f"nothing is recorded under name {name!r}: choose one of {known}, or run `make recorded`")
    return json.loads(path.read_text(encoding="utf-8"))


def save_recorded(name: str, results: Any, script: str, modules: Sequence[str], machine: str | None = None) -> Path:
    """Write a recording and return its path.

    results: whatever JSON can hold, kept small. script: path of the producing script, relative to the repository.
    modules: what the numbers depend on, such as "llmlib.train.loop" or, for a whole room, "llmlib.model"; the script
    itself is always among them. machine: in words, default `describe_machine()`.
    """
    recording = {
        "script": script,
        "date": datetime.date.today().isoformat(),
        "machine": machine or describe_machine(),
        "modules": {module: source_hash(module) for module in sorted({*modules, script})},
        "results": results,
    }
    text = json.dumps(recording, indent=1, allow_nan=False)
    return write_file(FOLDER / f"{name}.json", text + "\n")


def stale(name: str) -> list[str]:
    """The modules of recording `name` whose code has changed, or that are gone, since it was made. Empty: fresh.

    A module that was moved or renamed is found again by its hash.
    """

    def now(module: str) -> str | None:
        try:
            return source_hash(module)
        except FileNotFoundError:
            return None

    then = recorded(name)["modules"]
    changed = {module: code for module, code in then.items() if now(module) != code}
    gone = [module for module in changed if now(module) is None]
    elsewhere = _hashes_of_all_files() if gone else set()
    return [module for module, code in changed.items() if module not in gone or code not in elsewhere]


def source_hash(module: str) -> str:
    """A hash of the code of a module ("llmlib.data.batches"), a package (all files in it) or a script ("a/b.py").

    It is taken over the syntax tree without docstrings and imports, and knows no names of files, so that formatting,
    rewording and moving leave it as it is.
    """
    root = PACKAGE.parent
    path = root / module if module.endswith(".py") else root.joinpath(*module.split("."))
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if not files or not files[0].exists():
        raise FileNotFoundError(f"module {module!r} is not a file or folder of this repository: name it as imported")
    hashes = sorted(_code_hash(file.read_text(encoding="utf-8")) for file in files)
    return _digest("\n".join(hashes)) if path.is_dir() else hashes[0]


@lru_cache(maxsize=256)
def _code_hash(source: str) -> str:
    return _digest(ast.dump(_Bare().visit(ast.parse(source))))


class _Bare(ast.NodeTransformer):
    """Takes docstrings and imports out of a syntax tree: neither decides a number."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        return super().generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        return None

    visit_ImportFrom = visit_Import


def _hashes_of_all_files() -> set[str]:
    root = PACKAGE.parent
    files = [*PACKAGE.rglob("*.py"), *(root / "experiments").rglob("*.py"), *(root / "benchmarks").rglob("*.py")]
    return {_code_hash(file.read_text(encoding="utf-8")) for file in files}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe_machine() -> str:
    """This machine in words: operating system, processors, GPU, Python and torch."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU threads{gpu}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
