"""pass@k against counting all choices; a model's programmes judged behind a wall, hostile ones too."""

import itertools
import os
import re
from pathlib import Path

import pytest

from llmlib.data import CodeProblem, code_problems
from llmlib.evaluate import completion_of, judge_code, pass_at_k, run_problem, summary
from llmlib.sandbox import SandboxUnavailable, available_backend

needs_sandbox = pytest.mark.skipif(available_backend() is None, reason="no sandbox works on this machine")

ADD = CodeProblem(
    id="add",
    prompt='import math\n\n\ndef double(x):\n    return 2 * x\n\n\ndef add(x: int, y: int):\n    """x + y"""\n',
    entry_point="add",
    solution="    return x + y\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(double(2), [1].pop()) == 5\n",
)


@pytest.mark.parametrize("n", [1, 4, 6])
def test_pass_at_k_is_the_share_of_choices_that_hold_a_right_one(n):
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        choices = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_pass_at_k_by_hand():
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(5, 2, 2) == pytest.approx(1 - 3 / 10)
    assert pass_at_k(200, 0, 100) == 0 and pass_at_k(200, 101, 100) == 1
    assert pass_at_k(5, 2, 2) > 1 - (1 - 2 / 5) ** 2  # which draws one completion twice
    for n, c, k, message in [(5, 6, 1, "c=6 of n=5"), (5, 1, 6, "k=6 must lie between 1"), (5, 1, 0, "k=0")]:
        with pytest.raises(ValueError, match=message):
            pass_at_k(n, c, k)


def test_the_programme_in_a_reply():
    body = completion_of("    return x + y\n\ndef other():\n    pass\n", ADD)
    assert body == ADD.prompt + "    return x + y\n"
    fenced = completion_of("Sure:\n```python\ndef add(x, y):\n    return x + y\n```\nDone.", ADD)
    assert fenced.endswith("def add(x, y):\n    return x + y\n") and "def double" in fenced
    assert completion_of("```\n    return 3\n```", ADD) == ADD.prompt + "    return 3\n"
    for programme in (body, fenced):
        space = {}
        exec(programme, space)
        assert space["add"](1, 2) == 3 and space["double"](2) == 4


HOSTILE = {  # programme -> words of the reason
    "import os\nwhile True:\n    os.fork()\n": "BlockingIOError|processes|time limit",
    ADD.prompt + "    while True:\n        print('x' * 10_000)\n": "time limit|flood",
    "import socket\n"
    + ADD.prompt
    + "    socket.create_connection(('1.1.1.1', 80), timeout=1)\n    return x + y\n": "Error",
    ADD.prompt + "    return len(bytearray(10**10))\n": "MemoryError|memory",
    "import os\nos._exit(0)\n": "ended the interpreter",
    "raise SystemExit(0)\n": "SystemExit",
    ADD.prompt + "    return 0\n\n\ndef check(f):\n    pass\n": "wrong answer",
    ADD.prompt + "    class Equal:\n        __eq__ = lambda *_: True\n    return Equal()\n": "wrong answer",
    ADD.prompt + "    retur x": "Error",
    "": "NameError",
}


@needs_sandbox
@pytest.mark.parametrize(("programme", "reason"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_hostile_programmes_fail_and_harm_nobody(programme, reason):
    verdict = run_problem(ADD, programme, seconds=2.0)
    assert not verdict.passed
    assert re.search(reason, verdict.reason), verdict.reason


@needs_sandbox
def test_files_of_the_machine_cannot_be_deleted(tmp_path):
    kept = Path(tmp_path / "kept.txt")
    kept.write_text("here")
    programme = f"import os, shutil\nshutil.rmtree({str(tmp_path)!r}, ignore_errors=True)\n"
    programme += f"try:\n    os.remove({str(kept)!r})\nexcept OSError:\n    pass\n"
    here = os.path.abspath(__file__)
    programme += f"try:\n    os.remove({here!r})\nexcept OSError:\n    pass\n{ADD.prompt}{ADD.solution}"
    assert run_problem(ADD, programme).passed
    assert kept.read_text() == "here" and os.path.exists(here)


@needs_sandbox
def test_right_programmes_pass_and_are_counted():
    """A test that uses a helper of the prompt, a solution that empties its argument, and one that is wrong."""
    problems = {problem.id: problem for problem in code_problems()}
    some = [problems["HumanEval/70"], problems["HumanEval/53"], ADD]
    programmes = {problem.id: [problem.prompt + problem.solution] * 2 for problem in some}
    programmes["add"] = [ADD.prompt + ADD.solution, ADD.prompt + "    return x\n"]
    results = judge_code(some, programmes, k=1)
    assert [result.score for result in results] == [1, 1, 0.5]
    assert results[2].details == {"passed": [True, False], "reasons": ["", "wrong answer"]}
    assert summary(results).value == pytest.approx(2.5 / 3)
    with pytest.raises(ValueError, match="k=3 must lie between 1 and the n=2"):
        judge_code([ADD], {"add": [""] * 2}, k=3, unsafe=True)


def test_nothing_runs_where_no_sandbox_works(monkeypatch):
    monkeypatch.setattr("llmlib.sandbox.backends.works", lambda backend: False)
    with pytest.raises(SandboxUnavailable):
        run_problem(ADD, ADD.prompt + ADD.solution)
