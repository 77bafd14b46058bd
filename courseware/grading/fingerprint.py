"""The shape of an answer, without what is easily changed. Run in a limited process of its own: standard library only.

An answer is the last top-level definition of its name. Its syntax tree is read in order and written as words: kinds of
nodes, operators, and the names of attributes (``softmax``), but no names of variables and arguments, no constants, no
comments, docstrings, annotations or attributes of ``self``. Its shape is the set of runs of LENGTH words.
"""

import ast

LENGTH = 8


def shapes(sources: list, names: dict) -> dict:
    """{question id: list of runs} for ``names`` {question id: names of its answer}; what does not parse is left out."""
    found = {}
    for source in sources:
        try:
            body = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        found[target.id] = node.value
    result = {}
    for question, wanted in names.items():
        runs = set()
        for name in wanted:
            if name in found:
                text = list(words(found[name]))
                runs |= {" ".join(text[i : i + LENGTH]) for i in range(len(text) - LENGTH + 1)}
        result[question] = sorted(runs)
    return result


def words(root: ast.AST):
    """The words of a tree, in order, without recursion."""
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield node
            continue
        yield type(node).__name__
        if isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            yield "" if own else node.attr
            todo.append(node.value)
            continue
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        todo += reversed(children(node))


def children(node: ast.AST) -> list:
    found = []
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "annotation", "returns", "type_comment", "kind", "decorator_list", "type_params"):
            continue
        values = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            values = without_docstring(values)
        found += [v for v in values if isinstance(v, ast.AST)]
    return found + ["end"] * bool(found)


def without_docstring(body: list) -> list:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body
