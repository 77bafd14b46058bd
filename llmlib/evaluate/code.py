"""Programmes written by a model: run behind a wall, judged by tests, counted by pass@k (Chen et al., 2021). Lecture 18.

Nothing that a model wrote runs in this process. Two sandboxes are used for each completion: the tests run in one, the
completion in the other, and only plain values pass between them. So code that redefines `check`, ends the interpreter
with status 0 or returns an object that is equal to everything gains nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmlib.data import CodeProblem
from llmlib.sandbox import CodeError, Limits, SandboxDied, Session, UnsupportedValue

from .records import ItemResult, fingerprint

CODE_STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\nassert ", "\n```")
"""Where a base model's completion of a function ends: HumanEval's own stop strings, and two more."""

LIMITS = Limits(memory_mb=256, cpu_seconds=20, file_mb=1, processes=8, reply_mb=4)
ON_COPIES = """
import copy as _copy
{name} = (lambda f: lambda *args, **kwargs: f(*_copy.deepcopy(args), **_copy.deepcopy(kwargs)))({name})
"""  # a stand-in refuses a function that changes its arguments, and to sort a list in place is no mistake here
RELAYED = ("RuntimeError: ", ": this call cannot be answered")  # how an error in the other sandbox is reported
START, END = re.compile(r"```(?:python|py)?[ \t]*\n", re.IGNORECASE), "```"


@dataclass(frozen=True)
class Verdict:
    """What became of one completion. passed: all tests held. reason: "" if so, else what went wrong, in a few words.

    The words are partly the code's own: show them, never trust them.
    """

    passed: bool
    reason: str = ""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that at least one of k completions passes, from n of which c did: without bias.

    1 - C(n - c, k) / C(n, k), the share of all choices of k among the n that hold a right one (Chen et al., 2021). The
    obvious 1 - (1 - c / n)^k draws with replacement and comes out too low. Average it over problems. 0 <= c <= n and
    1 <= k <= n, or ValueError.
    """
    if not 0 <= c <= n:
        raise ValueError(f"c={c} of n={n} completions cannot have passed: give 0 <= c <= n")
    if not 1 <= k <= n:
        raise ValueError(f"k={k} must lie between 1 and the n={n} completions; draw more of them for a larger k")
    missed = 1.0
    for i in range(k):
        missed *= max(0, n - c - i) / (n - i)
    return 1.0 - missed


def completion_of(reply: str, problem: CodeProblem) -> str:
    """The programme in a reply: what a chat model put into a fence, or a base model's lines up to `CODE_STOPS`.

    Returns the whole programme, the problem's prompt (its imports and helpers) included.
    """
    fence = START.search(reply)
    body = reply[fence.end() :].partition(END)[0] if fence else reply
    if re.search(rf"^\s*(async )?def {re.escape(problem.entry_point)}\b", body, re.MULTILINE):
        return f"{_stub(problem)}\n{body}"
    ends = [place for stop in CODE_STOPS if (place := body.find(stop)) >= 0]
    return problem.prompt + body[: min(ends, default=len(body))]


def run_problem(
    problem: CodeProblem, programme: str, *, seconds: float = 5.0, limits: Limits = LIMITS, **options: Any
) -> Verdict:
    """Run a whole programme against the problem's tests; never raises for its sake.

    seconds: of wall clock, for loading the programme and again for all tests. options: of both `Session`s, such as
    zygote=Zygote() which makes each start a fork, or unsafe=True where no sandbox works. SandboxUnavailable if there is
    none.
    """
    try:
        with Session(limits, **options) as writer, Session(limits, **options) as judge:
            writer.run(programme, seconds=seconds, label="<programme>")
            writer.run(ON_COPIES.format(name=problem.entry_point), seconds=seconds, label="<programme>")
            judge.run(_stub(problem), seconds=seconds)
            judge.stand_in(problem.entry_point, writer, seconds=seconds)
            judge.run(f"{problem.test}\ncheck({problem.entry_point})", seconds=seconds, label="<tests>")
    except CodeError as error:
        if error.type_name == "AssertionError":
            return Verdict(False, "wrong answer")
        return Verdict(False, f"error: {str(error).removeprefix(RELAYED[0]).removesuffix(RELAYED[1])}"[:200])
    except SandboxDied as died:
        return Verdict(False, f"it {died}")
    except (UnsupportedValue, TypeError) as error:
        return Verdict(False, f"no such function: {error}"[:200])
    return Verdict(True)


def judge_code(
    problems: Sequence[CodeProblem], programmes: Mapping[str, Sequence[str]], k: int = 1, **options: Any
) -> list[ItemResult]:
    """Run n programmes for each problem; the score of a result is its pass@k. options: as for `run_problem`.

    programmes: by the problem's id, see `completion_of`; n >= k of them. details: "passed", a list of booleans, and
    "reasons". The same text is run once.
    """
    results = []
    for problem in problems:
        written = programmes[problem.id]
        verdicts = {each: run_problem(problem, each, **options) for each in dict.fromkeys(written)}
        passed = [verdicts[each].passed for each in written]
        details = {"passed": passed, "reasons": [verdicts[each].reason for each in written]}
        score = pass_at_k(len(passed), sum(passed), k)
        results.append(ItemResult(problem.id, score, sum(passed), len(passed), fingerprint(list(written)), details))
    return results


def _stub(problem: CodeProblem) -> str:
    """The prompt as a programme: imports, helper functions, and the function with its docstring for a body."""
    return problem.prompt.rstrip() + "\n    pass\n"
