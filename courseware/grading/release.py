"""``python -m courseware release --student DEST``: a copy of the course as students get it.

The committed files, without the solutions, the hidden cases and mutants, and what would give an answer away.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Folders and file patterns that stay with staff. The scripts that record a lab's broken runs name what broke them.
STAFF_ONLY = (
    "solutions/*",
    "tests/labs/*",
    "tests/courseware/*",
    "tests/browser/*",  # fills in a lab
    "experiments/*lab[0-9]*",
    "docs/writing_a_lab.md",
)


class ReleaseError(RuntimeError):
    """The release would be incomplete or would overwrite something."""


def student_files(root: Path = ROOT) -> list[Path]:
    """Committed files that students get, relative to ``root``. ReleaseError outside a git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True)
    if listed.returncode != 0:
        raise ReleaseError(f"{root} is not a git checkout: a release is made of committed files")
    names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [path for path in names if (root / path).is_file() and not is_staff_only(path)]


def is_staff_only(path: Path) -> bool:
    """Does this file (relative to the repository) stay with staff?"""
    return any(parent.match(pattern) for pattern in STAFF_ONLY for parent in [path, *path.parents])


def release_student(destination: Path, root: Path = ROOT) -> int:
    """Copy the students' files to ``destination``, a new or empty folder; returns how many."""
    files = student_files(root)
    built = {path.stem for path in files if path.parts[0] == "labs"}
    if missing := sorted(s.stem for s in (root / "solutions").glob("lab*.py") if s.stem not in built):
        raise ReleaseError(f"labs/{missing[0]}.ipynb is not committed: run python -m courseware build, then commit")
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ReleaseError(f"{destination} is not an empty folder: choose another")
    for path in files:
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)
        shutil.copymode(root / path, target)
    return len(files)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m courseware release", description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, required=True, metavar="DEST", help="new folder for the students' copy")
    destination = parser.parse_args(list(argv)).student
    try:
        count = release_student(destination)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    print(f"{count} files in {destination}: no solutions, no hidden cases, no mutants")
    return 0
