"""Everyone works on copies: lectures/ and labs/ in the git-ignored work/, so that `git pull` never meets an answer.

`refresh` brings the copies up to date. A copy in which nobody has written is replaced; one that somebody has changed is
kept, and the course's new version is put beside it. Running a notebook changes its outputs, not what is written in it.
Needs nothing but Python: `python tasks.py start 03` works before anything is installed.
"""

import hashlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "work"
PAGE = f"{FOLDER}/README.md"
RECORD = ".copied.json"  # what each copy was when it was made
_KINDS = {"lectures": "[0-9][0-9]_*.ipynb", "labs": "lab[0-9][0-9]_*.ipynb"}


class UnknownNumber(ValueError):
    """No lecture and no lab has the number asked for."""


class GitError(RuntimeError):
    """git could not say or do what was asked."""


def notebooks(root: Path = ROOT) -> dict[str, list[Path]]:
    """Number ("03") -> the course's notebooks of that number, the lecture first."""
    found: dict[str, list[Path]] = {}
    for folder, pattern in _KINDS.items():
        for path in sorted((root / folder).glob(pattern)):
            found.setdefault(re.search(r"\d\d", path.name).group(), []).append(path)
    return dict(sorted(found.items()))


def written(text: str) -> str | None:
    """A digest of what is written in a notebook: its cells, not their outputs. None if it is no notebook."""
    try:
        cells = json.loads(text)["cells"]
        parts = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    except (ValueError, KeyError, TypeError):
        return None
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def refresh(root: Path = ROOT, numbers: Sequence[str] = ()) -> list[str]:
    """Copy what is new into work/ and update what nobody has changed; returns one line for each thing to know.

    numbers: "03", "3" or "lab03", ...; everything when there are none. Raises UnknownNumber.
    """
    course = notebooks(root)
    wanted = [number.lower().removeprefix("lab").zfill(2) for number in numbers]
    if unknown := [number for number in wanted if number not in course]:
        raise UnknownNumber(f"there is no lecture or lab {', '.join(unknown)}: choose from {', '.join(course)}")
    work = root / FOLDER
    record, told = _read_record(work / RECORD), []
    for number in wanted or course:
        for source in course[number]:
            told += _place(source, work, root, record)
    work.mkdir(exist_ok=True)
    _write(work / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    _write(root / PAGE, page(root))
    return told


def _place(source: Path, work: Path, root: Path, record: dict) -> list[str]:
    """Bring one copy up to date. record: for each copy, the course's version that it was last compared with."""
    text = source.read_text(encoding="utf-8")
    name = source.relative_to(root).as_posix()
    new, old, target = {"file": _digest(text), "written": written(text)}, record.get(name), work / name
    record[name] = new
    if not target.exists():
        _write(target, text)
        return [f"your copy: {FOLDER}/{name}"]
    if old == new:
        return []
    mine = target.read_text(encoding="utf-8", errors="replace")
    if old and _digest(mine) == old["file"]:
        _write(target, text)
        return [f"updated: {FOLDER}/{name}"] if old["written"] != new["written"] else []
    if new["written"] in (written(mine), old and old["written"]):
        return []  # the course has nothing new but outputs, and the copy has its own
    if old and written(mine) == old["written"]:
        _write(target, text)
        return [f"updated: {FOLDER}/{name}"]
    for number in itertools.count(1):
        key = f"{name.removesuffix('.ipynb')}.update{number if number > 1 else ''}.ipynb"
        beside, before = work / key, record.get(key)
        if not beside.exists() or (before and written(beside.read_text(encoding="utf-8")) == before["written"]):
            _write(beside, text)
            record[key] = new
            return [f"{FOLDER}/{name} has your changes and stays; the course's new version is {FOLDER}/{key}"]
    raise AssertionError("counting does not end")


def rescue(root: Path = ROOT) -> list[str]:
    """Move what somebody has written into the course's own notebooks to work/, so that `git pull` can go on.

    Happens in editors that know nothing of work/. A notebook that was merely run is put back as it was.
    """
    changed = _git(root, "diff", "--name-only", "-z", "HEAD", "--", "lectures/*.ipynb", "labs/*.ipynb")
    told = []
    for name in filter(None, changed.split("\0")):
        path = root / name
        original = _git(root, "show", f"HEAD:{name}")
        mine = path.read_text(encoding="utf-8", errors="replace") if path.exists() else original
        if written(mine) != written(original):
            stem, folder = path.stem, root / FOLDER / path.parent.name
            names = itertools.chain([f"{stem}.ipynb"], (f"{stem}.mine{n or ''}.ipynb" for n in itertools.count()))
            target = next(folder / name for name in names if not (folder / name).exists())
            _write(target, mine)
            told.append(f"{name} was changed in place; your version is now {target.relative_to(root).as_posix()}")
        _git(root, "checkout", "-q", "HEAD", "--", name)
    return told


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, encoding="utf-8")
    except OSError as error:
        raise GitError(f"git cannot be run: {error}") from None
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def copies_of(source: Path, root: Path = ROOT) -> list[Path]:
    """The copies of a course notebook that exist: the copy itself, then the newer versions put beside it."""
    folder = root / FOLDER / source.parent.name
    copy = folder / source.name
    return [path for path in [copy, *sorted(folder.glob(f"{source.stem}.update*.ipynb"))] if path.exists()]


# --- the page that `make lab` opens -----------------------------------------------------------------------------------

_PAGE = """\
# Your copy of the course

Everything in this folder is yours: run it, change it, save it. Git ignores it, so updating the course (`git pull`, then
`make lab`) never touches what you wrote: a notebook that you have changed stays, and its new version is put beside it.
The originals one folder up are read-only here.

| | lecture | lab |
| --- | --- | --- |
{rows}

**Work on a lab.** Open it in the table, run the set-up cell, fill in your answers. The `check(...)` below a question
says at once what the public cases think of it. Everything at once, in a terminal of the course's folder:
`python tasks.py check-lab {example}`.

**Hand it in.** Save (Ctrl+S), then give in that one file, `{example}` for instance, where your course collects
submissions; in the file browser on the left, right-click and *Download* copies it elsewhere. Leave the questions as
they are; the grader runs your answers itself, so it does not matter which outputs are saved.

**Begin again.** Rename or delete your copy, and `make lab` makes a fresh one.

**A slider is missing** when a notebook is opened again: sliders live in the kernel. Run the cell once more (or *Run,
Run All Cells*). The panels above it say the same without a kernel.

[About the course](../README.md) · [for instructors](../docs/instructor_guide.md)
"""


def page(root: Path = ROOT) -> str:
    """The Markdown of work/README.md: links to the copies, how to work, how to hand in."""
    rows, example = [], "work/labs/lab01.ipynb"
    for number, sources in notebooks(root).items():
        cells = {"lectures": "", "labs": ""}
        for source in sources:
            links = []
            for copy in copies_of(source, root):
                target = copy.relative_to(root / FOLDER).as_posix()
                if not links:
                    links.append(f"[{title(source)}]({target})")
                    example = f"{FOLDER}/{target}" if source.parent.name == "labs" and number == "01" else example
                else:
                    links.append(f"[new version]({target})")
            cells[source.parent.name] = ", ".join(links)
        if any(cells.values()):
            rows.append(f"| {number} | {cells['lectures']} | {cells['labs']} |")
    return _PAGE.format(rows="\n".join(rows), example=example)


def title(notebook: Path) -> str:
    """A notebook's first heading, or its name."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").splitlines()
    except (ValueError, KeyError, TypeError):
        return notebook.stem
    return next((re.sub(r"[\[\]|]", "", line[2:]).strip() for line in lines if line.startswith("# ")), notebook.stem)


# --- files ------------------------------------------------------------------------------------------------------------


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_record(path: Path) -> dict:
    """What is known of the copies. A lost or damaged record costs no answer: an unknown copy counts as changed."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {k: v for k, v in record.items() if {"file", "written"} <= v.keys()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
