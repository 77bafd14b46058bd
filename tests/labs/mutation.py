"""Do the cases of the labs notice what is wrong? Run it with `python tests/labs/mutation.py [lab01 ...]`.

Two questions are asked, both in this process, with the reference answers loaded and one of them replaced:

1. Named mutants (tests/labs/labNN_hidden.py): do the *public* cases alone refuse each of them, whatever is drawn?
   Asked under `--salts` salts (200), since a mistake that only some draws separate would be marked by luck.
2. AST mutants of every reference: one operator, constant, bound, name or statement changed at a time. Do public and
   hidden cases together refuse them? Those that survive must be explained in tests/labs/equivalent_mutants.json.

The report is written to tests/labs/mutation_report.md. Exit code 1 if a named mutant ever passes, or an AST mutant
survives without an explanation.
"""

import argparse
import ast
import contextlib
import copy
import datetime
import functools
import io
import json
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from courseware.classroom import cases, compare
from courseware.classroom.cases import Case, Lab, Question
from courseware.classroom.judging import Request, judge_question
from courseware.classroom.notebook_run import ask
from courseware.grading.staff_files import load_staff_files

HERE = Path(__file__).parent
EXPLAINED, REPORT = HERE / "equivalent_mutants.json", HERE / "mutation_report.md"
SECONDS = 2  # for one mutant on one question: a loop that does not end is refused too


# ------------------------------------------------------------------------------------------------------ running answers


@functools.cache
def staff_of(lab_id: str):
    return load_staff_files(cases.load_lab(lab_id))


def reference_space(lab_id: str) -> dict:
    """The namespace of the reference notebook's graded cells, without its checks."""
    space: dict = {"__name__": "reference"}
    for cell in staff_of(lab_id).reference:
        source = re.sub(r"^check\(.*$", "", cell.source, flags=re.MULTILINE)
        exec(compile(source, f"<{lab_id} cell {cell.number}>", "exec"), space)
    return space


class TooSlow(BaseException):
    pass


@contextlib.contextmanager
def time_limit(seconds: float):
    def stop(*_):
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def passes(lab: Lab, question: Question, space: dict, salt: str, hidden: bool) -> bool:
    """Does the answer in ``space`` pass all public (and hidden) cases under this salt? Ends at the first that fails."""
    more = staff_of(lab.id).hidden.get(question.id, ()) if hidden else ()
    answers = {name: space[name] for name in question.names}
    try:
        with time_limit(SECONDS), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if question.kind == "write":
                every = enumerate((*question.cases, *more))  # the grader's numbers, so the grader's draws
                return all(_passes_case(lab, question, answers, case, f"{salt}/{n}") for n, case in every)
            verdicts = judge_question(
                question,
                more,
                lambda request: ask(lab, question, answers, request),
                salt=salt,
                student=space.get("STUDENT"),
            )
    except TooSlow:
        return False
    return all(v.passed for v in verdicts)


def _passes_case(lab: Lab, question: Question, answers: dict, case: Case, salt: str) -> bool:
    seed = compare.case_seed(question, case, salt)
    inputs = compare.draw_inputs(case, seed)
    recipe = (case.recipe or question.recipe) if inputs is not None else None
    outcome = ask(lab, question, answers, Request(question.name, inputs, recipe, seed))
    return compare.judge(question, case, seed, outcome, name_mistakes=False).passed


def with_source(space: dict, source: str) -> dict | None:
    """A copy of the namespace in which ``source`` has run; functions of the copy see it. None if it does not run."""
    changed = dict(space)
    for name, value in space.items():  # functions keep their globals: give the copy its own functions
        if isinstance(value, type(passes)) and value.__globals__ is space:
            function = type(value)(value.__code__, changed, value.__name__, value.__defaults__, value.__closure__)
            function.__kwdefaults__ = value.__kwdefaults__
            changed[name] = function
    try:
        with time_limit(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, "<mutant>", "exec"), changed)
    except (Exception, TooSlow):
        return None
    return changed


def named_survivors(lab_id: str, salts: int) -> list[str]:
    """Named mutants that pass all public cases under some salt, with how often."""
    lab, staff, space = cases.load_lab(lab_id), staff_of(lab_id), reference_space(lab_id)
    found = []
    for mutant in staff.mutants:
        question = lab.question(mutant.question)
        if question.kind == "diagnosis" or (question.kind == "test" and mutant.name in HIDDEN_ONLY):
            continue
        changed = with_source(space, mutant.source)
        # What a loop without end fails once it fails always; two seconds a salt would teach nothing more.
        drawn = range(salts) if changed is not None else ()
        passed = 0
        for i in drawn:
            start = time.perf_counter()
            passed += passes(lab, question, changed, f"m{i}", False)
            if time.perf_counter() - start > SECONDS:
                break
        if passed:
            found.append(f"{mutant.question} {mutant.name}: passes under {passed} of {salts} salts")
    return found


# Tests that fail the public implementations and miss a hidden one: that is what the hidden ones are for.
HIDDEN_ONLY = {"small counts only", "no full row", "two tokens only", "length not tested", "rows not counted"}


# ---------------------------------------------------------------------------------------------------------- AST mutants

_COMPARE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
            ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}  # fmt: skip
_ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
               ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Add}  # fmt: skip
_NAMES = {"max": "min", "min": "max", "any": "all", "all": "any", "sum": "mean", "mean": "sum", "cos": "sin", "sin": "cos",
          "maximum": "minimum", "minimum": "maximum", "triu": "tril", "tril": "triu", "log": "log2", "ones": "zeros",
          "zeros": "ones", "softmax": "log_softmax", "rsqrt": "sqrt", "sqrt": "square", "repeat_interleave": "repeat",
          "silu": "sigmoid", "argmax": "argmin", "cumsum": "cumprod", "append": "extend"}  # fmt: skip


def mutants_of(source: str) -> Iterator[tuple[str, str]]:
    """(what changed, the changed source) for every single change we know how to make."""
    tree = _without_annotations(ast.parse(source))
    total, made = sum(1 for _ in ast.walk(tree)), {ast.unparse(tree)}
    for index in range(total):
        for kind in range(4):
            changed = copy.deepcopy(tree)
            node = next(n for i, n in enumerate(ast.walk(changed)) if i == index)
            line = getattr(node, "lineno", 0)
            if (said := _change(changed, node, kind)) is None:
                break
            if not said:
                continue
            try:
                text = ast.unparse(ast.fix_missing_locations(changed))
            except Exception:
                continue
            if text not in made:
                made.add(text)
                yield f"line {line}: {said}", text


def _without_annotations(tree: ast.AST) -> ast.AST:
    """Nothing asks for them when the code runs, so to change one changes nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return tree


def _change(tree: ast.AST, node: ast.AST, kind: int) -> str | None:
    """Change ``node`` in the ``kind``-th way; what was done, "" for nothing this time, None when there are no more."""
    before = _short(node)
    if isinstance(node, ast.Compare) and kind == 0:
        node.ops[0] = _COMPARE[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and kind == 0:
        node.op = _ARITHMETIC[type(node.op)]()
    elif isinstance(node, ast.BinOp) and kind == 1:
        _replace(tree, node, node.left)
        return f"{before} -> its left side"
    elif isinstance(node, ast.BoolOp) and kind == 0:
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and kind == 0:
        _replace(tree, node, node.operand)
        return f"{before} -> {_short(node.operand)}"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and kind < 3:
        node.value = (node.value + 1, node.value - 1, 0 if node.value else 2)[kind]
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool) and kind == 0:
        node.value = not node.value
    elif isinstance(node, ast.IfExp) and kind < 2:
        _replace(tree, node, node.body if kind == 0 else node.orelse)
        return f"{before} -> {'always' if kind == 0 else 'never'} the condition"
    elif isinstance(node, ast.If | ast.While) and kind == 0:
        node.test = ast.UnaryOp(ast.Not(), node.test)
        return f"the condition {before} turned round"
    elif isinstance(node, ast.Slice) and kind < 2:
        if (node.lower, node.upper)[kind] is None:
            return ""
        setattr(node, ("lower", "upper")[kind], None)
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES and kind == 0:
        node.attr = _NAMES[node.attr]
    elif isinstance(node, ast.Name) and node.id in _NAMES and kind == 0 and isinstance(node.ctx, ast.Load):
        node.id = _NAMES[node.id]
    elif isinstance(node, ast.Call) and kind == 0 and node.keywords:
        node.keywords.pop()
    elif isinstance(node, ast.comprehension) and kind == 0 and node.ifs:
        node.ifs.pop()
        return "a condition of a comprehension dropped"
    elif isinstance(node, ast.Tuple) and kind == 0 and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        node.elts.reverse()
    elif (
        isinstance(node, ast.Assign | ast.AugAssign | ast.Expr)
        and kind == 0
        and not isinstance(getattr(node, "value", None), ast.Constant)
    ):
        _replace(tree, node, ast.Pass())
        return f"`{before}` dropped"
    elif isinstance(node, ast.Return) and kind == 0 and node.value is not None:
        node.value = ast.Constant(None)
    else:
        return None
    return f"{before} -> {_short(node)}"


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
                return
            if isinstance(value, list) and any(item is old for item in value):
                setattr(parent, field, [new if item is old else item for item in value])
                return


def _short(node: ast.AST) -> str:
    with contextlib.suppress(Exception):
        text = " ".join(ast.unparse(node).split())
        return text if len(text) <= 70 else text[:67] + "..."
    return type(node).__name__


def ast_results(lab_id: str, salts: int = 3) -> dict[str, dict]:
    """Per question: how many mutants, how many refused by public cases alone, by all cases, and the survivors."""
    lab, staff, space = cases.load_lab(lab_id), staff_of(lab_id), reference_space(lab_id)
    results = {}
    for question in lab.questions:
        if question.kind != "write":
            continue
        found = {"mutants": 0, "public": 0, "all": 0, "survivors": []}
        for said, source in mutants_of(staff.reference_definition(question.name) or ""):
            changed = with_source(space, source)
            found["mutants"] += 1
            public = changed is None or not all(passes(lab, question, changed, f"a{i}", False) for i in range(salts))
            everything = public or not all(passes(lab, question, changed, f"a{i}", True) for i in range(salts))
            found["public"] += public
            found["all"] += everything
            if not everything:
                found["survivors"].append(said)
        results[question.id] = found
    return results


# --------------------------------------------------------------------------------------------------------------- report


def report(results: dict[str, dict], named: list[str], salts: int, explained: dict[str, str]) -> tuple[str, int]:
    """The report, and how many survivors nobody explained."""
    made = f"Made by `make mutation` (`python tests/labs/mutation.py`) on {datetime.date.today()}."
    lines = ["# Mutation report of the labs", "", made, ""]
    lines += [f"Named mutants against the public cases alone, {salts} salts each: "
              + ("all refused, every time." if not named else "")]  # fmt: skip
    lines += [f"- **passes**: {text}" for text in named] + [""]
    lines += [
        "| question | AST mutants | refused by public cases | by all cases | survivors explained |",
        "| --- | --- | --- | --- | --- |",
    ]
    unexplained, told = 0, []
    totals = [0, 0, 0, 0]
    for question, found in results.items():
        known = [s for s in found["survivors"] if f"{question} {s}" in explained]
        row = [found["mutants"], found["public"], found["all"], len(known)]
        totals = [a + b for a, b in zip(totals, row)]
        lines.append(f"| {question} | " + " | ".join(map(str, row)) + " |")
        told += [f"- {question}, {s}: {explained[f'{question} {s}']}" for s in known]
        missing = [s for s in found["survivors"] if s not in known]
        unexplained += len(missing)
        told += [f"- **{question}, {s}: not explained**" for s in missing]
    lines += ["| all | " + " | ".join(map(str, totals)) + " |", "", "## Survivors", "", *(told or ["None."]), ""]
    return "\n".join(lines), unexplained


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labs", nargs="*", default=cases.lab_ids())
    parser.add_argument("--salts", type=int, default=200, help="salts for the named mutants")
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args(argv)
    explained = json.loads(EXPLAINED.read_text(encoding="utf-8")) if EXPLAINED.exists() else {}
    results, named, start = {}, [], time.perf_counter()
    for lab_id in options.labs:
        named += named_survivors(lab_id, options.salts)
        print(f"{lab_id}: named mutants done, {time.perf_counter() - start:.0f} s", flush=True)
        results |= ast_results(lab_id)
        print(f"{lab_id}: AST mutants done, {time.perf_counter() - start:.0f} s", flush=True)
    text, unexplained = report(results, named, options.salts, explained)
    options.report.write_text(text, encoding="utf-8")
    print(text)
    return 1 if named or unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
