"""Results that take too long to compute in class: small JSON files under llmlib/recorded/, and whether they are stale.

A recording keeps the script, the date, the machine and a hash of the code that produced it. When that code changes,
`stale` says so; comments, docstrings and blank lines do not count, so wording may improve without an hour of training.
"""

import ast
import datetime
import hashlib
import io
import json
import os
import platform
import tokenize
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

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
    path = FOLDER / f"{name}.json"
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def stale(name: str) -> list[str]:
    """The modules of recording `name` whose code has changed, or that are gone, since it was made. Empty: fresh."""

    def now(module: str) -> str | None:
        try:
            return source_hash(module)
        except FileNotFoundError:
            return None

    return [module for module, then in recorded(name)["modules"].items() if now(module) != then]


def source_hash(module: str) -> str:
    """A hash of the code of a module ("llmlib.data.batches"), a package (all files in it) or a script ("a/b.py")."""
    root = PACKAGE.parent
    path = root / module if module.endswith(".py") else root.joinpath(*module.split("."))
    if path.is_dir():
        files = sorted(path.rglob("*.py"))
    else:
        files = [path.with_suffix(".py")]
    if not files or not files[0].exists():
        raise FileNotFoundError(f"module {module!r} is not a file or folder of this repository: name it as imported")
    codes = [f"{file.relative_to(root).as_posix()}\n{_code(file.read_text(encoding='utf-8'))}" for file in files]
    return hashlib.sha256("\n".join(codes).encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _code(source: str) -> str:
    """`source` without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                text = node.body[0]
                lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def describe_machine() -> str:
    """This machine in words: operating system, processors, GPU, Python and torch."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU threads{gpu}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
