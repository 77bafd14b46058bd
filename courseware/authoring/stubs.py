"""What a lab's source marks as a solution, and what students get instead.

    # BEGIN SOLUTION ... # END SOLUTION   inside a function becomes `raise NotImplementedError`, at top level a comment
    x = ...  # SOLUTION                   becomes `x = ...  # YOUR CODE HERE`, however many lines the value has
    return ...  # SOLUTION                becomes `raise NotImplementedError`

A student's version always runs to its end: stubs raise only inside functions.
"""

import ast
import re

STUB = 'raise NotImplementedError("your code here")'
HINT = "# YOUR CODE HERE"


class BuildError(Exception):
    """A source that can't become a notebook; the message says where and what to change."""


def strip_solutions(code: str, where: str = "cell") -> str:
    """A cell's code with stubs for its solutions. Raises BuildError for markers that don't pair or can't work."""
    lines: list[str] = []
    opened = 0  # line of the BEGIN we are inside of, 0 if none
    for number, line in enumerate(_stub_statements(code, where).split("\n"), start=1):
        indent = line[: len(line) - len(line.lstrip())]
        if re.match(r"\s*# BEGIN SOLUTION\s*$", line):
            if opened:
                raise BuildError(f"{where}, line {number}: BEGIN SOLUTION inside the one of line {opened}")
            opened = number
            lines += [indent + HINT, indent + STUB] if indent else [HINT]
        elif re.match(r"\s*# END SOLUTION\s*$", line):
            if not opened:
                raise BuildError(f"{where}, line {number}: END SOLUTION without a BEGIN SOLUTION before it")
            opened = 0
        elif not opened:
            lines.append(line)
    if opened:
        raise BuildError(f"{where}, line {opened}: BEGIN SOLUTION without an END SOLUTION after it")
    stripped = "\n".join(lines)
    if stripped != code:
        _check_stubs(stripped, where)
    return stripped


def _stub_statements(code: str, where: str) -> str:
    """Replace each assignment or return that ends in `# SOLUTION`, however many lines it has."""
    lines = code.split("\n")
    marked = [number for number, line in enumerate(lines, start=1) if re.search(r"# SOLUTION\s*$", line)]
    if not marked:
        return code
    ends = {
        n.end_lineno: n for n in ast.walk(_parse(code, where)) if isinstance(n, ast.Assign | ast.AnnAssign | ast.Return)
    }
    for number in reversed(marked):
        node = ends.get(number)
        if node is None:
            raise BuildError(
                f"{where}, line {number}: `# SOLUTION` must end `name = value` or `return value`; else use BEGIN/END"
            )
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(isinstance(target, ast.Tuple | ast.List) for target in targets):
            raise BuildError(
                f"{where}, line {number}: `...` can't be unpacked into several names; give each its own line"
            )
        if isinstance(node, ast.Return):
            stub = f"{STUB}  {HINT}"
        elif isinstance(node, ast.AnnAssign):
            stub = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)} = ...  {HINT}"
        else:
            stub = f"{' = '.join(map(ast.unparse, targets))} = ...  {HINT}"
        lines[node.lineno - 1 : number] = [" " * node.col_offset + stub]
    return "\n".join(lines)


def _parse(code: str, where: str, whose: str = "this cell") -> ast.Module:
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise BuildError(f"{where}: {whose} is not valid Python: {error}") from None


def _check_stubs(code: str, where: str) -> None:
    """An untouched lab must run to its end, so a stub may raise only when its function is called."""
    tree = _parse(code, where, "the student's version")
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and "your code here" in ast.unparse(node) and id(node) not in inside:
            raise BuildError(f"{where}: a stub outside a function would stop an untouched lab; put it in a function")


def reveal_solutions(code: str, where: str = "cell") -> str:
    """A cell's code without the markers, for the notebook that shows the solutions. Raises as strip_solutions does."""
    strip_solutions(code, where)
    lines = (line for line in code.split("\n") if not re.match(r"\s*# (BEGIN|END) SOLUTION\s*$", line))
    return "\n".join(re.sub(r"\s*# SOLUTION\s*$", "", line) for line in lines)
