"""Results that take too long to compute in class: small JSON files under llmlib/recorded/, and whether they are stale.

A recording keeps its command, seeds, date, machine, running time and a hash of the code that produced it. When that
code changes, `stale` says so. What counts is the syntax tree: rewording, formatting and moving a file cost no hour of
training. An `Experiment` makes a recording and goes on where it was interrupted.
"""

import ast
import datetime
import hashlib
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from llmlib.files import write_file

PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = PACKAGE / "recorded"
_STARTED = time.monotonic()  # a script imports this first


def recorded_names() -> list[str]:
    """The names that `recorded` knows, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(name: str) -> dict[str, Any]:
    """The recording `name`: a dict of the arguments of `save_recorded`, "date" and "modules" (name -> hash)."""
    path = FOLDER / f"{name}.json"
    if name not in recorded_names():
        known = ", ".join(recorded_names()) or "none yet"
        raise ValueError(f"nothing is recorded under name {name!r}: choose one of {known}, or run `make recorded`")
    return json.loads(path.read_text(encoding="utf-8"))


def save_recorded(
    name: str,
    results: Any,
    script: str,
    modules: Sequence[str],
    machine: str | None = None,
    *,
    seeds: Sequence[int | str] = (),
    command: str | None = None,
    seconds: float | None = None,
) -> Path:
    """Write a recording and return its path.

    results: whatever JSON can hold, kept small. script: path of the producing script, relative to the repository, or
    its __file__. modules: what the numbers depend on, such as "llmlib.train.loop" or, for a whole room,
    "llmlib.model"; the script itself is always among them. seeds: all that were drawn from, none if nothing is random.
    By default command is "python", the script and its arguments, machine is `describe_machine()`, and seconds is the
    time since the script began.
    """
    script = _relative(script)
    recording = {
        "script": script,
        "command": command or _command(script),
        "seeds": list(seeds),
        "date": datetime.date.today().isoformat(),
        "seconds": round(time.monotonic() - _STARTED if seconds is None else seconds, 1),
        "machine": machine or describe_machine(),
        "modules": _hashes(script, modules),
        "results": results,
    }
    return _write(FOLDER / f"{name}.json", recording)


def _write(path: Path, recording: dict[str, Any]) -> Path:
    """A line for each entry and no spaces in it: with a line for every number, files are half as long again."""
    compact = lambda value: json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    lines = [f"{compact(key)}: {compact(value)}" for key, value in recording.items()]
    return write_file(path, "{\n" + ",\n".join(lines) + "\n}\n")


PARTS_KEPT, PARTS_SIZE = 2, 1_000  # so many, or fewer if they are longer than this in characters; one at least
PARTS_LIST, PARTS_DICT, PARTS_TEXT = 3, 8, 40  # the items, entries and letters kept of their lists, dicts and texts
SAME = 5e-3  # recorded numbers are rounded, and sums are added up in another order on another machine


def difference(a: Any, b: Any) -> float:
    """The largest difference of the numbers in two JSON values, relative above 1; inf where anything else differs.

    What stands under "seconds" may differ: no machine takes the same time twice.
    """
    if isinstance(a, bool) or isinstance(b, bool) or a is None or isinstance(a, str):
        return 0.0 if a == b else math.inf
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) / max(1.0, abs(a))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max((difference(x, y) for x, y in zip(a, b)), default=0.0)
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return max((difference(a[key], b[key]) for key in a if key != "seconds"), default=0.0)
    return math.inf


class Experiment:
    """A recording in the making. What is done is kept, so that an interrupted run goes on where it stopped.

        experiment = Experiment("sweep", script=__file__, modules=["llmlib.train.loop"], seeds=SEEDS)
        losses = [experiment.once(f"seed {seed}", train, seed) for seed in SEEDS]
        experiment.save(losses)

    Each part must stand on its own: seeded, and not in need of the parts before it. The arguments are those of
    `save_recorded`. The first parts are kept in the recording: when its code has changed and its numbers should not
    have, the script with `--confirm` runs these parts again and, if they come out the same, notes so and the new code.
    Results on the way lie in build/experiments; those of other code are not used.
    """

    def __init__(self, name: str, script: str, modules: Sequence[str], seeds: Sequence[int | str] = ()):
        self.name, self.script, self.modules, self.seeds = name, _relative(script), list(modules), list(seeds)
        self._code = _hashes(self.script, modules)
        self._command = _command(self.script)
        self._path = PACKAGE.parent / "build" / "experiments" / f"{name}.json"
        self._done: dict[str, Any] = {}
        self._seconds = 0.0
        self._since = time.monotonic()
        self._confirming = "--confirm" in sys.argv
        self._confirmed: dict[str, float] = {}  # part -> largest difference from what was recorded
        if self._confirming:
            return
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if (kept["code"], kept["command"]) == (self._code, self._command):
                self._done, self._seconds = dict(kept["done"]), float(kept["seconds"])
                print(f"{name}: goes on after {len(self._done)} results of an interrupted run", flush=True)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{name}: begins anew, {self._path} is damaged ({type(error).__name__})", file=sys.stderr, flush=True)

    def once(self, key: str, compute: Callable[..., Any], *arguments: Any) -> Any:
        """compute(*arguments), as JSON gives it back; from the interrupted run if that came so far."""
        if self._confirming:
            return self._confirm(key, compute, arguments)
        if key not in self._done:
            self._done[key] = json.loads(json.dumps(compute(*arguments), allow_nan=False))
            kept = {"code": self._code, "command": self._command, "seconds": self.seconds, "done": self._done}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, json.dumps(kept))
        return self._done[key]

    @property
    def seconds(self) -> float:
        """What the experiment has taken so far, the interrupted runs up to their last result included."""
        return self._seconds + time.monotonic() - self._since

    @property
    def code(self) -> str:
        """A name for the code that the numbers depend on, for folders that must not be used by other code."""
        return hashlib.sha256(json.dumps(self._code, sort_keys=True).encode()).hexdigest()[:8]

    def took_before(self, seconds: float) -> None:
        """Count what was computed outside this class, in a folder of its own that `once` only reads."""
        self._seconds += seconds

    def save(self, results: Any) -> Path:
        """Write the recording; the results on the way are removed."""
        if self._confirming:
            return self._restamp()
        path = save_recorded(
            self.name, results, self.script, self.modules, seeds=self.seeds, command=self._command, seconds=self.seconds
        )
        recording = recorded(self.name)
        recording["modules"] = self._code  # as it was when the run began
        recording["parts"] = _first_parts(self._done)
        self._path.unlink(missing_ok=True)
        return _write(path, recording)

    def _confirm(self, key: str, compute: Callable[..., Any], arguments: tuple) -> Any:
        kept = recorded(self.name).get("parts", {})
        if key not in kept:
            self._restamp()
            sys.exit(0)
        now = json.loads(json.dumps(compute(*arguments), allow_nan=False))
        self._confirmed[key] = difference(_beginnings(kept[key]), _beginnings(now))
        print(f"{self.name}: {key}: largest difference {self._confirmed[key]:.2g}", flush=True)
        if self._confirmed[key] > SAME:
            sys.exit(f"{self.name}: {key} comes out differently; run {self._command} again, without --confirm")
        return now

    def _restamp(self) -> Path:
        """The recording with the hashes of today's code, and what was run again to be allowed that."""
        if not self._confirmed:
            sys.exit(f"{self.name} keeps no part that could be run again; run {self._command} without --confirm")
        recording = recorded(self.name)
        recording["modules"] = self._code
        recording["confirmed"] = {"date": datetime.date.today().isoformat(), "differences": self._confirmed}
        print(f"{self.name}: confirmed by running {len(self._confirmed)} parts again", flush=True)
        return _write(FOLDER / f"{self.name}.json", recording)


def _first_parts(done: dict[str, Any]) -> dict[str, Any]:
    """The first of an experiment's parts, and those after it while they are few and small."""
    kept: dict[str, Any] = {}
    for key, part in list(done.items())[:PARTS_KEPT]:
        part = _beginnings(part)
        if kept and len(json.dumps([*kept.values(), part])) > PARTS_SIZE:
            break
        kept[key] = part
    return kept


def _beginnings(value: Any) -> Any:
    """A JSON value, what is long in it cut: enough to see whether a part comes out as it did."""
    if isinstance(value, dict):
        return {key: _beginnings(each) for key, each in list(value.items())[:PARTS_DICT]}
    if isinstance(value, str):
        return value[:PARTS_TEXT]
    return [_beginnings(each) for each in value[:PARTS_LIST]] if isinstance(value, list) else value


def _relative(script: str) -> str:
    """A script's path from the root of the repository, with forward slashes."""
    path = Path(script)
    return path.resolve().relative_to(PACKAGE.parent.resolve()).as_posix() if path.is_absolute() else script


def _command(script: str) -> str:
    """How to run the script again: with the arguments that it was given, if it is the one that runs."""
    running = Path(sys.argv[0]).name == Path(script).name
    return shlex.join(["python", script, *(sys.argv[1:] if running else [])])


def _hashes(script: str, modules: Sequence[str]) -> dict[str, str]:
    return {module: source_hash(module) for module in sorted({*modules, script})}


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
