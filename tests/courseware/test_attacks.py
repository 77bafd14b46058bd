"""A hundred attacks on the grader, in both sandboxes: each earns nothing and leaves nothing behind."""

import dataclasses
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from attacks import ACTS, DEADLY, PRETENDERS, TAKES_ALL, VALUES
from minilab import HASTY, HERE, LAB, RIGHT, STAFF, WRONG, cells, zygote

from courseware.grading.grader import grade_cells
from llmlib.sandbox import backends

BACKENDS = [name for name in backends.BUILDERS if backends.works(name)]
MARKER = "left-by-an-attack"
EVERYTHING = {"q1", "q2", "q3", "q4", "q5"}
ALONE = dataclasses.replace(STAFF, reference=())  # no second process with the reference, for what builds on an answer
BUILDS_ON = {"q1": {"q4"}}


@pytest.fixture(scope="module")
def listener():
    """A door on this machine that an attack with a network could knock at: (port, who came)."""
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0door{os.getpid()}")
        other.listen()
        for server in (door, other):
            server.settimeout(0.1)

        def wait():
            while door.fileno() >= 0:
                for server in (door, other):
                    try:
                        server.accept()
                        came.append(str(server.family))
                    except OSError:
                        pass

        threading.Thread(target=wait, daemon=True).start()
        yield door.getsockname()[1], came


@pytest.fixture(params=BACKENDS or ["bubblewrap"])
def backend(request, monkeypatch):
    """One of the two sandboxes, the other one switched off; bubblewrap with its zygote, as a batch has it."""
    if not BACKENDS:
        pytest.skip("no sandbox (bubblewrap, unshare) on this machine")
    monkeypatch.setattr(backends, "works", lambda name: name == request.param)
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "zebra-4711")
    return request.param


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """The grader's own process and folders are what they were."""
    monkeypatch.chdir(tmp_path)
    before = _surroundings()
    yield
    assert _surroundings() == before
    assert list(tmp_path.iterdir()) == []
    assert not Path("/tmp/pickled").exists() and not Path("/", MARKER).exists()


def _surroundings() -> tuple[dict, dict]:
    files = {path.name: hash(path.read_bytes()) for path in HERE.rglob("*.py")}
    return files, {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def graded(backend: str, lab, answers: dict[str, str], staff=STAFF):
    ready = zygote() if backend == "bubblewrap" else None
    return grade_cells(lab, staff, cells(**answers), salt="a", zygote=ready)


def passed(report) -> set[str]:
    return {r.question.id.split(".")[1] for r in report.results if r.passed}


def filled(source: str, port: int) -> str:
    """An attack that knows where everything is: paths of the tests, and words to look for."""
    paths = [str(HERE / "lab90_hidden.py"), str(HERE / "solutions" / "lab90_mini.py"), str(Path.cwd()), str(HERE)]
    words = ["SECRET_OF_THE_GRADER", "zebra-4711", str(HERE), "pytest"]
    names = f"PATHS = {paths}\nWORDS = {words}\nPORT = {port}\nDOOR = {os.getpid()}\n"
    return source if source.startswith("%%") else PRETENDERS + names + source.replace("MARKER", MARKER)


def rounds(attacks: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
    """Submissions that hold every attack, one a question: {question: name of the attack}."""
    found: list[dict[str, str]] = []
    for name, (question, _) in attacks.items():
        free = next((entry for entry in found if question not in entry), None)
        if free is None:
            found.append(free := {})
        free[question] = name
    return found


def test_the_table_is_as_large_as_it_says():
    assert len(VALUES) + len(ACTS) + len(DEADLY) >= 90
    assert {name for entry in rounds(VALUES) for name in entry.values()} == set(VALUES)


@pytest.mark.parametrize("number", range(len(rounds(VALUES))))
def test_a_value_that_pretends_earns_nothing(number, backend, nothing_left):
    attacked = rounds(VALUES)[number]
    answers = {question: VALUES[name][1] for question, name in attacked.items()}
    first = min(RIGHT)
    given = {**RIGHT, **answers}
    given[first] = PRETENDERS + given[first]
    report = graded(backend, HASTY, given, ALONE)
    assert not report.error and not [note for note in report.notes if "not judged" in note], report.notes
    lost = set(attacked).union(*(BUILDS_ON.get(question, set()) for question in attacked))
    assert passed(report) == EVERYTHING - lost, attacked
    for result in report.results:
        assert result.message.isprintable() and len(result.message) < 4000


@pytest.mark.parametrize("name", ACTS)
def test_an_act_earns_nothing_finds_nothing_and_leaves_nothing(name, backend, listener, nothing_left):
    port, came = listener
    answers = {"q1": filled(ACTS[name], port), "q2": RIGHT["q2"], "q3": WRONG["q3"]}
    report = graded(backend, HASTY, answers, STAFF if "reference" in ACTS[name] else ALONE)
    assert not report.error and not [note for note in report.notes if "not judged" in note], report.notes
    assert passed(report) <= {"q2"}
    if "FOUND" in ACTS[name]:  # it tells what it found
        said = report.results[0].message
        assert re.search(r"RuntimeError: FOUND +\(line", said), said
        assert passed(report) == {"q2"}, report.notes
    assert came == []
    assert not _processes_left()


@pytest.mark.parametrize("name", DEADLY)
def test_a_deadly_act_costs_only_itself(name, backend, nothing_left):
    lab = dataclasses.replace(HASTY, call_seconds=1.0)
    report = graded(backend, lab, {**RIGHT, "q1": PRETENDERS + DEADLY[name]})
    assert not report.error and "q1" not in passed(report)
    if name not in TAKES_ALL:
        assert passed(report) == EVERYTHING - {"q1"}, report.notes
    assert not _processes_left()


def _processes_left() -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if "time.sleep(99)" in line and "ps -eo" not in line]


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_after_it_all_an_honest_student_gets_full_marks(backend, nothing_left):
    assert passed(graded(backend, LAB, RIGHT)) == EVERYTHING
