"""Submissions as files: whose they are, what lab they are for, which cells they hold.

Nothing here parses what a student wrote: that happens in :mod:`courseware.grading.reader`, in a limited process.
"""

import ast
import contextlib
import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from courseware.grading import fingerprint, reader
from courseware.grading.reader import runnable
from llmlib.sandbox import CodeError, Limits, SandboxDied, SandboxUnavailable, Session, UnsupportedValue, Zygote

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 40 << 20
READ_SECONDS = 20.0
# The name Canvas gives a downloaded submission: adalovelace_LATE_12345_67890_lab03.ipynb
_CANVAS_NAME = re.compile(r"(?P<student>[^_]+)(_LATE)?_(?P<id>\d+)_\d+_.*", re.IGNORECASE | re.DOTALL)
# The name Moodle gives a submission, or its folder: Ada Lovelace_12345_assignsubmission_file_lab03.ipynb
_MOODLE_NAME = re.compile(r"(?P<student>.+)_(?P<id>\d+)_assignsubmission_(file|onlinetext)(_.*)?", re.DOTALL)
# The names under which students get a lab, and what browsers make of them: lab03.ipynb, lab03_attention (1).ipynb
_LAB_NAME = re.compile(r"lab_?\d\d(?P<topic>_[a-z_]*)?(-copy)?(-?\d| ?\(\d+\))?", re.IGNORECASE)


class SubmissionError(ValueError):
    """A file that cannot be graded; the message is one line for the report."""


@dataclass(frozen=True)
class Cell:
    """A code cell: ``number`` counts code cells from 1, as a reader would."""

    number: int
    source: str


@dataclass(frozen=True)
class Submission:
    """What a file holds: its cells, the lab that its checks name ("" if none), the SHA-256 of its bytes."""

    cells: tuple[Cell, ...]
    named: str
    checksum: str


@dataclass(frozen=True)
class Identity:
    """Who handed a file in: a name, Canvas's or Moodle's number if known, and whether the file itself says so."""

    student: str
    number: str = ""
    stated: bool = True

    def __str__(self) -> str:
        return f"{self.student} ({self.number})" if self.number else self.student


# -- whose it is -----------------------------------------------------------------------------------------------------


def identify(path: Path) -> Identity:
    """Who handed ``path`` in, by the first rule that fits.

    1. Canvas's name for a download, ``adalovelace_LATE_12345_67890_lab03.ipynb``: its name and number.
    2. Moodle's, ``Ada Lovelace_12345_assignsubmission_file_lab03.ipynb``, of the file or of its folder: the same.
    3. A file still called as students get it (``lab03.ipynb``, ``lab03_attention_to_gpt.ipynb``): the folder's name.
       A folder that is called as a lab itself is passed over, as in nbgrader's ``submitted/ada/lab03/lab03.ipynb``.
    4. Any other file: its name without ``.ipynb``; nobody has confirmed it (``stated`` is False).
    """
    stem = visible(path.name.removesuffix(".ipynb"))
    folders = [visible(folder.name) for folder in path.absolute().parents if folder.name]
    for pattern, name in ((_CANVAS_NAME, stem), (_MOODLE_NAME, stem), (_MOODLE_NAME, "".join(folders[:1]))):
        if found := pattern.fullmatch(name):
            return Identity(found["student"], found["id"])
    owners = [name for name in folders[:2] if not _is_a_labs_name(name)]
    if _is_a_labs_name(stem) and owners:
        return Identity(owners[0])
    return Identity(stem, stated=False)


def _is_a_labs_name(stem: str) -> bool:
    found = _LAB_NAME.fullmatch(stem)
    if found is None or not found["topic"]:
        return found is not None
    names = {p.stem for folder in ("labs", "solutions") for p in (ROOT / folder).glob("lab*")}
    return any(stem.lower().startswith(name.lower()) for name in names)


def collisions(paths: Sequence[Path]) -> dict[Path, str]:
    """Files that several students, or one student twice, would share a row for -> what is wrong.

    Names are compared as the gradebook compares them, by their letters. Two students of one name are told apart by
    Canvas's number; a file without a number may not bear the name of one that has it.
    """
    people = {path: identify(path) for path in paths}
    named = {path: letters(who.student) for path, who in people.items()}
    numbered = {named[path] for path, who in people.items() if who.number}
    groups: dict[str, list[Path]] = {}
    for path, who in people.items():
        groups.setdefault(who.number or named[path], []).append(path)
    refused = {
        path: f"{len(group)} submissions are named {people[path]} "
        f"({', '.join(visible(str(p)) for p in group[:3])}): rename them or give one"
        for group in groups.values()
        if len(group) > 1
        for path in group
    }
    for path, who in people.items():
        if not who.number and named[path] in numbered:
            refused.setdefault(path, f"another submission is named {who}, with a number of Canvas: rename this one")
    return refused


def letters(name: str) -> str:
    """``Lovelace, Ada`` -> ``lovelaceada``, as in the names of downloads; a name without any stays as it is."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in text if c.isalnum()) or text


def visible(text: str) -> str:
    """A file's name as text that can be shown and stored: no control characters, one form of each letter."""
    text = os.fsencode(text).decode("utf-8", errors="backslashreplace")
    text = unicodedata.normalize("NFC", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# -- what it holds ---------------------------------------------------------------------------------------------------


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most 40 MB; SubmissionError for anything else. Never waits for a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            kind = os.fstat(file.fileno())
            if not stat.S_ISREG(kind.st_mode):
                raise SubmissionError("is not a regular file")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SubmissionError(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise SubmissionError(f"is too large: the file has more than {MAX_BYTES >> 20} MB")
    return data


class Reader:
    """Reads notebooks in a limited process, which is started again when a notebook breaks it."""

    def __init__(self, zygote: Zygote | None = None) -> None:
        self._session: Session | None = None
        self._zygote = zygote

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._session is not None:
            self._session.close()

    def _start(self) -> Session:
        limits = Limits(memory_mb=1024, cpu_seconds=3600, reply_mb=16)
        if self._zygote is not None:
            with contextlib.suppress(SandboxUnavailable):
                return Session(limits, zygote=self._zygote)
        # unsafe: without a sandbox a plain process with limits; what it runs is ours
        return Session(limits, unsafe=True)

    def read(self, path: Path) -> Submission:
        """The submission in a file. SubmissionError says in one line why there is none."""
        data = read_bytes(path)
        found = self.call("read", (data,))
        if "error" in found:
            raise SubmissionError(found["error"])
        cells = tuple(Cell(int(number), str(source)) for number, source in found["cells"])
        return Submission(cells, str(found["lab"]), hashlib.sha256(data).hexdigest())

    def call(self, name: str, inputs: tuple) -> dict:
        """What a function of :mod:`.reader` or :mod:`.fingerprint` says of a student's text. SubmissionError if it
        breaks the process."""
        if self._session is None or not self._session.alive:
            self._session = self._start()
            for module in (reader, fingerprint):
                self._session.run(Path(module.__file__).read_text(encoding="utf-8"))
        try:
            return self._session.call(name, inputs, seconds=READ_SECONDS)
        except (SandboxDied, CodeError, UnsupportedValue) as error:
            self._session.close()
            self._session = None
            raise SubmissionError(f"cannot be read: reading it {error}") from None


def read_submission(path: Path, zygote: Zygote | None = None) -> Submission:
    """One submission, read in a limited process of its own."""
    with Reader(zygote) as reading:
        return reading.read(path)


def read_cells(path: Path) -> list[Cell]:
    """The code cells to grade, in order. Cells tagged "not-graded", or starting with "# not graded", are left out."""
    return list(read_submission(path).cells)


def guess_lab(path: Path, cells: Sequence[Cell] = (), named: str = "") -> str | None:
    """The lab a notebook belongs to: the one its checks name most often, else the one in its file name."""
    if named := named or reader.named_lab([cell.source for cell in cells]):
        return named
    found = re.search(r"lab_?(\d\d)", path.name.lower())
    return f"lab{found.group(1)}" if found else None


def lab_of_batch(found: Sequence[str | None]) -> str | None:
    """The lab most of a batch is for. None if nothing names one; SubmissionError if there is no majority."""
    counts = Counter(filter(None, found)).most_common(2)
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        raise SubmissionError(f"the submissions are for {counts[0][0]} and for {counts[1][0]}: give --lab")
    return counts[0][0] if counts else None


# -- staff's own sources ---------------------------------------------------------------------------------------------


def definitions(source: str) -> dict[str, str]:
    """Names a piece of staff's code binds at top level -> the statement that does; empty where it does not parse."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, str] = {}
    lines = source.splitlines()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names, first = [node.name], min([node.lineno, *(d.lineno for d in node.decorator_list)])
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names, first = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)], node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names, first = [(a.asname or a.name).split(".")[0] for a in node.names], node.lineno
        else:
            continue
        found.update(dict.fromkeys(names, "\n".join(lines[first - 1 : node.end_lineno])))
    return found


__all__ = [
    "Cell",
    "Identity",
    "Reader",
    "Submission",
    "SubmissionError",
    "collisions",
    "definitions",
    "guess_lab",
    "identify",
    "lab_of_batch",
    "read_cells",
    "read_submission",
    "runnable",
    "visible",
]
