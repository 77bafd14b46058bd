"""Run every notebook once, as a test: lectures, untouched labs, and labs with their solutions.

Each notebook is copied into an empty folder of its own and run by nbval on the CPU with one thread, two at a time.
A cell that raises fails; a cell marked `# NBVAL_CHECK_OUTPUT` must print what is committed. Seconds and peak memory
are reported at the end and reviewed by people, never asserted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from courseware.authoring.build import (
    ROOT,
    BuildError,
    lab_sources,
    lecture_sources,
    notebook_text,
    select,
    solution_notebook,
)
from courseware.authoring.execute import CELL_SECONDS, PEAK_MB, environment

# Appended to each copy: writes what the run cost beside the folder, not into it.
_PROBE = """\
import json as _json, pathlib as _pathlib, time as _time, psutil as _psutil
_cost = {{"seconds": _time.time() - _psutil.Process().create_time(), "peak_mb": _peak_mb()}}
_pathlib.Path({path!r}).write_text(_json.dumps(_cost))
"""


def prepare(folder: Path, root: Path = ROOT, names: Sequence[str] = ()) -> list[Path]:
    """Copy the notebooks, each into its own folder under `folder`. Returns their paths.

    Lectures and untouched labs are the committed files, solutions are built here.
    """
    texts: dict[str, str] = {}
    for source in select(lecture_sources(root), names):
        texts[source.stem] = (root / "lectures" / f"{source.stem}.ipynb").read_text(encoding="utf-8")
    for source in select(lab_sources(root), names):
        texts[source.stem] = (root / "labs" / f"{source.stem}.ipynb").read_text(encoding="utf-8")
        texts[f"{source.stem}.solution"] = notebook_text(solution_notebook(source, root))
    return [_copy(text, folder, name) for name, text in texts.items()]


def _copy(text: str, folder: Path, name: str) -> Path:
    notebook = nbformat.reads(text, as_version=4)
    probe = PEAK_MB + _PROBE.format(path=str(folder / f"{name}.json"))
    notebook.cells.append(nbformat.v4.new_code_cell(probe, id="cost"))
    target = folder / name / f"{name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(notebook, target)
    return target


def run(notebooks: Sequence[Path], folder: Path, root: Path = ROOT, workers: int = 2) -> int:
    """Run the copies under nbval. Returns pytest's exit code."""
    (folder / "pytest.ini").write_text("[pytest]\n")  # or pytest would take the options of a project further up
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-c", str(folder / "pytest.ini")]
    command += ["-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    command += ["--nbval-sanitize-with", str(root / "nbval_sanitize.cfg")]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "loadscope"]
    # The first fetch of an asset shows a bar, which is no cell's output: compared cells must not fail over it.
    env = environment() | {"TQDM_DISABLE": "1"}
    return subprocess.run([*command, *map(str, notebooks)], cwd=folder, env=env).returncode


def costs(notebooks: Sequence[Path], folder: Path) -> list[tuple[float, float, str]]:
    """(seconds, peak MB, name) of each notebook that came to its end, the slowest first."""
    found = []
    for notebook in notebooks:
        record = folder / f"{notebook.stem}.json"
        if record.exists():
            cost = json.loads(record.read_text())
            found.append((cost["seconds"], cost["peak_mb"], notebook.stem))
    return sorted(found, reverse=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware run", description="Run every notebook once, as a test.")
    parser.add_argument("names", nargs="*", help="03, lab03, ...; everything when left out")
    parser.add_argument("-n", "--workers", type=int, default=min(2, os.cpu_count() or 1), help="notebooks at a time")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            notebooks = prepare(folder, args.root, args.names)
        except (BuildError, FileNotFoundError) as error:
            print(f"error: {error}\nrun python -m courseware build first", file=sys.stderr)
            return 1
        if not notebooks:
            print(f"no notebooks {'are called ' + ' or '.join(args.names) if args.names else 'yet'}")
            return 1 if args.names else 0
        code = run(notebooks, folder, args.root, args.workers)
        print("\n".join(f"{s:6.1f} s  {mb:6.0f} MB  {name}" for s, mb, name in costs(notebooks, folder)))
    return code


if __name__ == "__main__":
    sys.exit(main())
