"""Which answers of a class are alike in shape: a hint where to read, with how common such likeness is by itself.

Two answers are compared as sets of short runs of their syntax trees (:mod:`courseware.grading.fingerprint`), after what
the lab gave to everybody is taken away. Their likeness is the share of runs that both have (Jaccard). Short answers are
alike because there are few ways to write them; so each likeness is set beside how many pairs of the class reach it, and
how many pairs of independent right answers do, where staff have some.
"""

import importlib.util
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from courseware.classroom.cases import Lab
from courseware.grading.records import Record
from courseware.grading.submission import Cell, Reader, SubmissionError

ROOT = Path(__file__).resolve().parents[2]
NEAR = 0.6  # likeness below which a question adds nothing to a pair's rarity
ENOUGH = 25  # runs: below this an answer is too short to say anything by its shape
KINDS = ("write", "test")  # a diagnosis or a design is data, not code

Shape = frozenset[str]


@dataclass(frozen=True)
class Pair:
    """Two submissions: likeness by question, and rarity: -log10 of the share of pairs as alike, over NEAR ones."""

    first: str
    second: str
    likeness: Mapping[str, float]
    rarity: float


@dataclass(frozen=True)
class Likeness:
    """What was compared. ``base``: question -> likenesses of pairs of independent right answers."""

    pairs: tuple[Pair, ...] = ()
    base: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    compared: Mapping[str, int] = field(default_factory=dict)  # question -> pairs with two answers long enough
    missing: tuple[str, ...] = ()  # whose file is gone or has changed

    def share_at(self, question: str, likeness: float) -> tuple[int, int]:
        """How many of the class's pairs are at least this alike, of how many."""
        found = [p.likeness[question] for p in self.pairs if question in p.likeness]
        return sum(value >= likeness - 1e-9 for value in found), len(found)

    def base_at(self, question: str, likeness: float) -> tuple[int, int]:
        """The same among independent right answers."""
        found = self.base.get(question, ())
        return sum(value >= likeness - 1e-9 for value in found), len(found)


def jaccard(a: Shape, b: Shape) -> float:
    return len(a & b) / len(a | b)


def compare(shapes: Mapping[str, Mapping[str, Shape]], base: Mapping[str, Sequence[Shape]] | None = None) -> Likeness:
    """Every pair of a class. ``shapes``: student -> question -> shape; ``base``: question -> independent answers."""
    likenesses: dict[tuple[str, str], dict[str, float]] = {}
    for (first, a), (second, b) in itertools.combinations(shapes.items(), 2):
        both = [q for q in a if q in b and min(len(a[q]), len(b[q])) >= ENOUGH]
        likenesses[first, second] = {q: jaccard(a[q], b[q]) for q in both}
    columns: dict[str, list[float]] = {}
    for found in likenesses.values():
        for question, value in found.items():
            columns.setdefault(question, []).append(value)
    pairs = [
        Pair(*names, found, sum(-math.log10(_share(columns[q], v)) for q, v in found.items() if v >= NEAR))
        for names, found in likenesses.items()
    ]
    right = {
        q: tuple(jaccard(a, b) for a, b in itertools.combinations([s for s in found if len(s) >= ENOUGH], 2))
        for q, found in (base or {}).items()
    }
    pairs.sort(key=lambda p: (-p.rarity, p.first, p.second))
    return Likeness(tuple(pairs), right, {q: len(values) for q, values in columns.items()})


def _share(values: Sequence[float], at: float) -> float:
    return sum(value >= at - 1e-9 for value in values) / len(values)


# -- from files ------------------------------------------------------------------------------------------------------


def names_of(lab: Lab) -> dict[str, list[str]]:
    return {q.id: list(q.names) for q in lab.questions if q.kind in KINDS}


def of_class(lab: Lab, records: Sequence[Record], given: Sequence[Cell], root: Path = ROOT) -> Likeness:
    """The submissions that the records name, where the files are still there and the same.

    ``given``: the cells of the lab as students get it, which count for nobody.
    """
    shapes: dict[str, dict[str, Shape]] = {}
    missing = []
    wanted = names_of(lab)
    with Reader() as reading:
        stub = _shapes(reading, [cell.source for cell in given], wanted)
        for record in records:
            name = record.report.name + (f" ({record.report.number})" if record.report.number else "")
            try:
                found = reading.read(Path(record.file))
                if found.checksum != record.report.checksum:
                    raise SubmissionError("has changed since it was graded")
                shapes[name] = _without(_shapes(reading, [c.source for c in found.cells], wanted), stub)
            except SubmissionError:
                missing.append(name)
        base = {}
        for question, sources in independent_answers(lab, root).items():
            answers = [_shapes(reading, [source], {question: wanted.get(question, [])}) for source in sources]
            base[question] = [_without(answer, stub)[question] for answer in answers]
    found = compare(shapes, base)
    return Likeness(found.pairs, found.base, found.compared, tuple(missing))


def _shapes(reading: Reader, sources: list[str], names: Mapping[str, list[str]]) -> dict[str, Shape]:
    found = reading.call("shapes", (sources, dict(names)))
    return {question: frozenset(runs) for question, runs in found.items()}


def _without(shapes: Mapping[str, Shape], stub: Mapping[str, Shape]) -> dict[str, Shape]:
    return {question: runs - stub.get(question, frozenset()) for question, runs in shapes.items()}


def independent_answers(lab: Lab, root: Path = ROOT) -> dict[str, list[str]]:
    """Right answers written apart from each other, for tests: question -> sources. Empty where there are none.

    They are written to differ, so they are less alike than what students write independently.
    """
    path = root / "tests" / "labs" / "alternatives" / f"{lab.id}.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location(f"alternatives_{lab.id}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {question: list(sources) for question, sources in module.RIGHT.items() if question in names_of(lab)}
