"""``python -m courseware autograder 03 --out lab03.zip``: a lab's grader as a zip that Gradescope runs.

In the zip: ``setup.sh`` (once, when Gradescope builds the image), ``run_autograder`` (for each submission), and
``course/``, the parts of this repository that grade this lab. Gradescope unpacks it to ``/autograder/source``.

Nothing is scored without a sandbox: ``run_autograder`` then writes no results.json, so that Gradescope reports a failed
autograder and nobody has a zero. With ``--public`` the zip holds public cases only, no hidden case and no solution, and
runs the submission unprotected inside Gradescope's container: quick feedback, whose points a submission can forge.
"""

import argparse
import json
import os
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from courseware.classroom import cases
from courseware.grading import command, exports
from courseware.grading.grader import Report
from courseware.grading.staff_files import StaffFilesMissing, load_staff_files
from courseware.grading.submission import Identity, SubmissionError, guess_lab, read_submission
from llmlib.files import atomic_write
from llmlib.sandbox import available_backend

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
SETTINGS = "course/autograder.json"

SETUP = """\
#!/usr/bin/env bash
# Once, when Gradescope builds the image: Python 3.11 or newer, the course's packages, bubblewrap for the sandbox.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends bubblewrap util-linux python3 python3-venv
PYTHON=""
for candidate in python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" > /dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        PYTHON="$candidate"
        break
    fi
done
if [ -z "$PYTHON" ]; then
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
    PYTHON=python3.11
fi
"$PYTHON" -m venv ../venv
# The CPU build of torch: an index of your own is named by TORCH_INDEX.
../venv/bin/pip install --no-cache-dir -c course/constraints.txt --no-deps \\
    --extra-index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" torch
../venv/bin/pip install --no-cache-dir -c course/constraints.txt -r course/requirements.txt
apt-get clean
echo "--- the sandbox, and what the grader gives the reference solution here:"
../venv/bin/python -c "import sys; sys.path.insert(0, 'course'); \\
from courseware.grading.autograder import self_test; self_test()" || true
"""

RUN = """\
#!/usr/bin/env bash
# For each submission. AUTOGRADER_ROOT and COURSE_PYTHON are for trying it elsewhere.
set -euo pipefail
export AUTOGRADER_ROOT="${AUTOGRADER_ROOT:-/autograder}"
cd "$AUTOGRADER_ROOT"
export PYTHONPATH="$AUTOGRADER_ROOT/source/course"
exec "${COURSE_PYTHON:-$AUTOGRADER_ROOT/venv/bin/python}" -m courseware.grading.autograder
"""


# -- the zip ---------------------------------------------------------------------------------------------------------


def course_files(lab: cases.Lab, *, public: bool, root: Path = ROOT) -> Iterator[Path]:
    """The files that grade this lab: the library and the grader, and of the staff's files this lab's own."""
    for package in ("courseware", "llmlib"):
        for path in sorted((root / package).rglob("*")):
            # No lab's answers may use trained models, which are most of the library's bytes.
            if path.is_file() and LEFT_OUT.isdisjoint(path.parts) and path.suffix not in {".pyc", ".safetensors"}:
                yield path
    yield root / "constraints.txt"
    if not public:
        yield root / "tests" / "labs" / f"{lab.id}_hidden.py"
        yield from sorted((root / "solutions").glob(f"{lab.id}_*.py"))


def write_zip(out: Path, lab: cases.Lab, *, public: bool = False, root: Path = ROOT) -> int:
    """Write the autograder of a lab; returns how many files it holds. The same course gives the same bytes."""
    if not public:
        load_staff_files(lab, root=root)  # hidden cases that are missing or wrong are told here
    requirements = "\n".join(_requirements(root)) + "\n"
    settings = json.dumps({"lab": lab.id, "public": public}) + "\n"
    entries: dict[str, bytes] = {"setup.sh": SETUP.encode(), "run_autograder": RUN.encode()}
    entries |= {"course/requirements.txt": requirements.encode(), SETTINGS: settings.encode()}
    for path in course_files(lab, public=public, root=root):
        entries[f"course/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    with atomic_write(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3  # Unix, whose modes it keeps
            info.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(info, data)
    return len(entries)


def _requirements(root: Path) -> list[str]:
    import tomllib

    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m courseware autograder", description="Write a lab's grader as a zip for Gradescope."
    )
    parser.add_argument("lab", help='number of the lab, "03"')
    parser.add_argument("--out", type=Path, metavar="lab03.zip", help="the zip to write (default: labNN.zip)")
    parser.add_argument(
        "--public", action="store_true", help="public cases only, no sandbox needed; points are a guide"
    )
    options = parser.parse_args(list(argv))
    try:
        lab = cases.load_lab(cases.lab_id_of(options.lab))
        out = options.out or Path(f"{lab.id}.zip")
        count = write_zip(out, lab, public=options.public)
    except KeyError as error:
        print(f"autograder: {error.args[0]}", file=sys.stderr)
        return 2
    except (StaffFilesMissing, OSError, ValueError) as error:
        print(f"autograder: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {count} files, {out.stat().st_size / 1e6:.1f} MB, for {lab.points} points of the grader")
    print("public cases only: its points can be forged" if options.public else "for staff: it holds the hidden cases")
    return 0


# -- in the container ------------------------------------------------------------------------------------------------


def run_in_container(folder: Path, root: Path = ROOT) -> int:
    """Grade ``folder/submission`` into ``folder/results/results.json``. 1, and no file, where nothing can be scored."""
    settings = json.loads((root / "autograder.json").read_text(encoding="utf-8"))
    lab, public = cases.load_lab(settings["lab"]), settings["public"]
    if available_backend() is None and not public:
        print(
            "NOT SCORED: there is no sandbox in this container. setup.sh installs bubblewrap, but the container does "
            "not let it open a namespace. No result is written, so that nobody is given a zero: download the "
            "submissions and grade them on a machine of your own, or upload a zip made with --public."
        )
        return 1
    start, people = time.monotonic(), submitters(folder / "submission_metadata.json")
    try:
        notebook = the_notebook(folder / "submission", lab.id)
    except SubmissionError as error:
        report = Report("submission", error=str(error))
    else:
        ids = tuple(people)
        who = Identity(people[0] if people else notebook.stem)
        report = command.grade_file(notebook, lab.id, ids=ids, unsafe=public, public_only=public, who=who)
    command.print_report(report)
    if report.error.endswith("not scored"):  # our fault: a failed autograder, not a zero
        return 1
    found = exports.gradescope(report) | {"execution_time": round(time.monotonic() - start, 1)}
    found["stdout_visibility"] = "hidden"  # it holds messages of hidden cases
    if public:
        note = "Public cases only: the points that count are given later, with hidden cases."
        found["output"] = "\n".join(filter(None, [note, found["output"]]))
    (folder / "results").mkdir(exist_ok=True)
    exports.write_results(folder / "results" / "results.json", found)
    return 0


def submitters(metadata: Path) -> list[str]:
    """Names, addresses and numbers of those who handed in; none where Gradescope says nothing that can be read."""
    try:
        users = json.loads(metadata.read_text(encoding="utf-8"))["users"]
        return [str(user[key]) for key in ("name", "email", "sid", "id") for user in users if user.get(key)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def the_notebook(folder: Path, lab: str) -> Path:
    """The one notebook of this lab that was handed in. SubmissionError if there is none, or more than one."""
    found = [p for p in sorted(folder.rglob("*.ipynb")) if not any(part.startswith(".") for part in p.parts)]
    if len(found) > 1:
        found = [path for path in found if _names(path) == lab] or found
    if len(found) != 1:
        names = f" ({', '.join(path.name for path in found[:3])})" if found else ""
        raise SubmissionError(f"{len(found) or 'no'} notebooks were handed in{names}: hand in the one of {lab}")
    return found[0]


def _names(path: Path) -> str | None:
    try:
        return guess_lab(path, named=read_submission(path).named)
    except SubmissionError:
        return None


def self_test(root: Path = ROOT) -> None:
    """Print which sandbox works here and what the reference solution gets. For staff who read the build's log."""
    settings = json.loads((root / "autograder.json").read_text(encoding="utf-8"))
    lab, backend = cases.load_lab(settings["lab"]), available_backend()
    if settings["public"]:
        print("public cases only, no sandbox used")
        return
    print(f"sandbox: {backend or 'NONE, so nothing will be scored'}")
    if backend is not None:
        from courseware.grading.grader import grade_cells

        staff = load_staff_files(lab, root=root)
        report = grade_cells(lab, staff, staff.reference, salt="setup", name="reference solution")
        print(f"the reference solution: {report.score} of {lab.points} points")


if __name__ == "__main__":
    sys.exit(run_in_container(Path(os.environ.get("AUTOGRADER_ROOT", "/autograder"))))
