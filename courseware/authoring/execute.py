"""Run lectures, normalise what they print, stamp them with the hash of their source.

A lecture runs as a student on Colab would run it: from an empty folder, here on one thread and on the CPU. What differs
from run to run without meaning anything is removed, so that a diff shows what changed: widget state, progress bars,
execution times, memory addresses. Live sliders go too; the static panels beside them stay, and a line says what is
missing.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from courseware.authoring.build import (
    ROOT,
    BuildError,
    lecture_notebook,
    lecture_sources,
    notebook_text,
    select,
    source_hash,
    stamped,
)

LIMIT = 400_000  # bytes of a committed lecture
CELL_SECONDS = 120
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "CUDA_VISIBLE_DEVICES": "",  # notebooks choose the CPU preset when there is no CUDA
    "JUPYTER_PREFER_ENV_PATH": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
# The most memory a kernel ever held, in MB. Linux's ru_maxrss would also count the parent it was forked from.
PEAK_MB = """\
def _peak_mb():
    import pathlib, sys
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(next(l for l in status.read_text().splitlines() if l.startswith("VmHWM")).split()[1]) / 1000
    if sys.platform == "win32":
        import psutil
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
"""
_WIDGET = "application/vnd.jupyter.widget-view+json"
_SLIDES = re.compile(r"\b(IntSlider|FloatSlider|SelectionSlider|Dropdown|Play)\(")
NO_SLIDER = {
    "text/markdown": "*The slider belongs here. It needs a kernel: run this cell to get it.*",
    "text/plain": "(a slider, when this cell is run)",
}
_PROGRESS = re.compile(r"\r|\d+%\||\d+it \[|[\d.?]+(it/s|s/it)")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


@dataclass(frozen=True)
class Report:
    """What a run cost: seconds in all, MB at the peak, the slowest cells; and the stderr lines that were dropped."""

    seconds: float
    peak_mb: float
    slowest: list[tuple[float, str]]
    dropped: list[str]


def environment() -> dict[str, str]:
    """The environment of a notebook's kernel: ours, with one thread and no GPU."""
    return {**os.environ, **ONE_THREAD}


def run(notebook: NotebookNode, cell_seconds: int = CELL_SECONDS, allow_errors: bool = False) -> Report:
    """Execute a notebook in place, from an empty folder, and normalise it. Raises CellExecutionError.

    cell_seconds: after which a cell counts as failed. allow_errors: go on after a cell that raised.
    """
    cells = list(notebook.cells)
    probe = nbformat.v4.new_code_cell(PEAK_MB + "print(_peak_mb())")
    notebook.cells = [*cells, probe]
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            notebook,
            timeout=cell_seconds,
            allow_errors=allow_errors,
            kernel_name="python3",
            resources={"metadata": {"path": empty}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        started = time.perf_counter()
        try:
            client.execute(env=environment())
        finally:
            notebook.cells = cells
            seconds = time.perf_counter() - started
    slowest = sorted(((_seconds(cell), _first_line(cell)) for cell in cells), reverse=True)
    return Report(seconds, float(probe.outputs[0].text), slowest, normalise(notebook))


def _seconds(cell: NotebookNode) -> float:
    times = cell.metadata.get("execution", {})
    start, end = times.get("iopub.execute_input"), times.get("shell.execute_reply")
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() if start and end else 0.0


def _first_line(cell: NotebookNode) -> str:
    return f"{cell.get('id', '')}: {cell.source.strip().splitlines()[0][:70] if cell.source.strip() else ''}"


def normalise(notebook: NotebookNode) -> list[str]:
    """Remove from an executed notebook all that differs by chance. Returns what was on stderr beside progress bars."""
    dropped: list[str] = []
    notebook.metadata.pop("widgets", None)
    count = 0
    for cell in notebook.cells:
        cell.metadata = NotebookNode(
            {k: v for k, v in cell.metadata.items() if k not in {"execution", "collapsed", "scrolled"}}
        )
        if cell.cell_type != "code":
            continue
        if cell.source.strip():
            count += 1
        cell.execution_count = count if cell.source.strip() else None
        kept: list[NotebookNode] = []
        for output in cell.outputs:
            if _WIDGET in output.get("data", {}):
                if _SLIDES.search(output.data.get("text/plain", "")):
                    kept.append(nbformat.v4.new_output("display_data", data=NO_SLIDER))
                continue
            if output.get("name") == "stderr":
                lines = [line for line in output.text.splitlines() if line.strip() and not _PROGRESS.search(line)]
                dropped += [f"{_first_line(cell)} -> {line}" for line in lines]
                continue
            if output.output_type == "execute_result":
                output.execution_count = count
            _keep(kept, _without_addresses(output))
        for output in kept:
            if output.output_type == "stream":
                output.text = _without_redrawn_lines(output.text)
        cell.outputs = [output for output in kept if output.get("text", "shown")]
    return dropped


def _without_addresses(output: NotebookNode) -> NotebookNode:
    if "text" in output:
        output.text = _ADDRESS.sub("0xADDRESS", output.text)
    if "text/plain" in output.get("data", {}):
        output.data["text/plain"] = _ADDRESS.sub("0xADDRESS", output.data["text/plain"])
    return output


def _without_redrawn_lines(text: str) -> str:
    """Drop the lines that went back to their start with a carriage return: progress bars."""
    return "\n".join(line for line in text.split("\n") if "\r" not in line.removesuffix("\r"))


def _keep(kept: list[NotebookNode], output: NotebookNode) -> None:
    """Append an output, joined to the one before if both are pieces of one stream."""
    if kept and output.output_type == "stream" and kept[-1].output_type == "stream" and kept[-1].name == output.name:
        kept[-1].text += output.text
    else:
        kept.append(output)


def is_fresh(source: Path, target: Path) -> bool:
    """Was the notebook at `target` executed from what `source` holds now?"""
    notebook = stamped(target)
    return notebook is not None and notebook.metadata.courseware.sha256 == source_hash(source)


def largest_outputs(notebook: NotebookNode, n: int = 5) -> list[tuple[int, str]]:
    """The n outputs that take the most bytes, with the first line of their cell."""
    sizes = [
        (len(str(output.get("data", output.get("text", "")))), _first_line(cell))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    return sorted(sizes, reverse=True)[:n]


def execute(source: Path, target: Path, root: Path = ROOT) -> Report:
    """Build, run, normalise, stamp and write one lecture. Raises BuildError when it comes out too large."""
    notebook = lecture_notebook(source, root)
    try:
        report = run(notebook)
    except CellExecutionError:
        _keep_for_inspection(notebook, root / "build" / "failed" / target.name)
        raise
    notebook.metadata.courseware["executed"] = True
    text = notebook_text(notebook)
    size = len(text.encode())
    if size > LIMIT:
        largest = "\n".join(f"  {s / 1000:6.0f} kB  {where}" for s, where in largest_outputs(notebook))
        raise BuildError(
            f"{target.name}: {size / 1000:.0f} kB, the limit is {LIMIT // 1000}; its largest outputs:\n{largest}"
        )
    target.write_text(text, encoding="utf-8", newline="\n")
    return report


def _keep_for_inspection(notebook: NotebookNode, path: Path) -> None:
    normalise(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook_text(notebook), encoding="utf-8", newline="\n")
    print(f"the cells up to the error are in {path}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="courseware execute", description="Run lectures and store their outputs.")
    parser.add_argument("names", nargs="*", help="03, 04, ...; every lecture when left out")
    parser.add_argument("--force", action="store_true", help="run them even if their source has not changed")
    parser.add_argument("--check", action="store_true", help="run nothing; exit 1 if a lecture's outputs are stale")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    failed = False
    for source in select(lecture_sources(args.root), args.names):
        target = args.root / "lectures" / f"{source.stem}.ipynb"
        if is_fresh(source, target) and not args.force:
            print(f"{source.stem}: up to date")
            continue
        if args.check:
            failed = True
            print(f"{source.stem}: stale, run python -m courseware execute {source.stem.split('_')[0]}")
            continue
        try:
            report = execute(source, target, args.root)
        except (BuildError, CellExecutionError) as error:
            failed = True
            print(f"{source.stem}: {error}", file=sys.stderr)
            continue
        size = target.stat().st_size / 1000
        print(f"{source.stem}: {report.seconds:.1f} s, {report.peak_mb:.0f} MB at the peak, {size:.0f} kB written")
        for seconds, where in report.slowest[:5]:
            if seconds >= 1:
                print(f"  {seconds:5.1f} s  {where}")
        for line in report.dropped:
            print(f"  dropped from stderr: {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
