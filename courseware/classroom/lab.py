"""``python -m courseware lab``: JupyterLab on your own copies; what `make lab` runs.

Files outside work/ can be read and run there but not saved: opening a lecture in a plain JupyterLab rewrites it, and
the next `git pull` stops. ``--author`` opens everything for writing.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from courseware.classroom import copies

ROOT = copies.ROOT


def start(numbers: Sequence[str], root: Path = ROOT) -> int:
    """Make or update the copies of some lectures and labs and say how to go on; returns an exit code."""
    try:
        told = copies.refresh(root, numbers)
    except copies.UnknownNumber as error:
        print(f"start: {error}", file=sys.stderr)
        return 2
    print("\n".join(told))
    course = copies.notebooks(root)
    for number in numbers:
        for source in course[number.lower().removeprefix("lab").zfill(2)]:
            name = source.relative_to(root).as_posix()
            if not any(f"{copies.FOLDER}/{name}" in line for line in told):
                print(f"{copies.FOLDER}/{name} is there already and was left as it is; to begin again, rename it first")
    print(f"Open them with `make lab` (or python tasks.py lab); {copies.PAGE} says how to work and hand in.")
    return 0


def start_main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="courseware start", description="Copy lectures and labs into work/.")
    parser.add_argument("numbers", nargs="+", metavar="NUMBER", help="03: lecture 03 and lab 03")
    return start(parser.parse_args(list(argv)).numbers)


def server_arguments(author: bool, root: Path = ROOT) -> list[str]:
    """JupyterLab's arguments: the course is its root and the page of copies is what it opens."""
    # Markdown opens as a page rather than as source, and no server is asked for news.
    arguments = [f"--ServerApp.root_dir={root}", f"--LabApp.app_settings_dir={Path(__file__).parent / 'jupyterlab'}"]
    if author:
        arguments += ["--LabApp.default_url=/lab/tree/README.md"]
    else:
        arguments += [f"--LabApp.default_url=/lab/tree/{copies.PAGE}"]
        arguments += ["--ServerApp.contents_manager_class=courseware.classroom.course_files.CourseFiles"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # usual inside a container
        arguments.append("--allow-root")
    return arguments


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="courseware lab",
        description="Open JupyterLab on your own copies of the notebooks. Other options are JupyterLab's.",
    )
    parser.add_argument("--author", action="store_true", help="open the originals for writing, to change the course")
    options, rest = parser.parse_known_args(list(argv))
    from jupyterlab.labapp import main as jupyterlab

    for line in [] if options.author else copies.refresh():
        print(line, flush=True)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return jupyterlab([*server_arguments(options.author), *rest]) or 0
