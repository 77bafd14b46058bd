"""A calculator to hand to a model: arithmetic is parsed and computed, nothing is ever executed. Lecture 17."""

import ast
import math
import operator
import re
from collections.abc import Callable

MAX_LENGTH = 200  # characters of an expression
MAX_BITS = 4096  # of a whole number on the way

Number = int | float


class CalculatorError(ValueError):
    """The expression is not arithmetic, or too much of it; the message says what is wrong."""


def _rounded(value: Number, digits: Number = 0) -> Number:
    if digits not in range(-20, 21):
        raise CalculatorError(f"round takes -20 to 20 digits, not {str(digits)[:20]}")
    return round(value, int(digits)) if digits else round(value)


BINARY: dict[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
UNARY: dict[type, Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "round": _rounded,
    "sqrt": math.sqrt,
}
CONSTANTS = {"pi": math.pi, "e": math.e}
WRITTEN_OTHERWISE = {"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**"}


def calculate(expression: str) -> Number:
    """The value of an arithmetic expression: + - * / // % ** ( ), sqrt and its kind, pi. Built in lecture 17.

    Parsed with `ast` and walked, so that names, calls, attributes and everything else that a model may write are
    errors, not programmes. "12 × 3^2" and "1,234" are understood. Too long an expression and too large a power are
    refused before they are computed. A whole result is an int, any other is
    rounded to 12 digits, so that 0.1 + 0.2 is 0.3. Raises CalculatorError, and nothing else.
    """
    if not isinstance(expression, str):
        raise CalculatorError(f"expression is a {type(expression).__name__}; write it as text")
    if len(expression) > MAX_LENGTH:
        raise CalculatorError(f"expression has {len(expression)} characters; at most {MAX_LENGTH} are computed")
    text = expression.strip().rstrip("=").strip()
    for sign, python in WRITTEN_OTHERWISE.items():
        text = text.replace(sign, python)
    text = _without_thousands(text)
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise CalculatorError(f"{expression[:60]!r} is not an arithmetic expression") from None
    try:
        value = _value(tree)
        if isinstance(value, float) and not math.isfinite(value):
            raise CalculatorError("the result is not a finite number")
    except ZeroDivisionError:
        raise CalculatorError("division by zero") from None
    except CalculatorError:
        raise
    except (OverflowError, TypeError, ValueError, RecursionError) as error:
        raise CalculatorError(f"cannot be computed: {error}") from None
    if isinstance(value, float):
        value = float(f"{value:.12g}")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value


def _without_thousands(text: str) -> str:
    """1,234,567 -> 1234567, unless the comma parts the arguments of a function."""
    if "(" in text and re.search(r"(max|min|round)\s*\(", text):
        return text
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def _value(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
        return UNARY[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if type(node.op) in BINARY:
            return _checked(BINARY[type(node.op)](left, right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id in FUNCTIONS:
            return _checked(FUNCTIONS[node.func.id](*map(_value, node.args)))
        raise CalculatorError(f"there is no function {node.func.id[:30]!r}; there are {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Name):
        raise CalculatorError(f"{node.id[:30]!r} is not a number; put its value in")
    raise CalculatorError(f"{ast.unparse(node)[:40]!r} is not arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > 1 and abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > MAX_BITS:
        raise CalculatorError("the power is too large")
    value = base**exponent
    if isinstance(value, complex):
        raise CalculatorError("the root of a negative number is not real")
    return _checked(value)


def _checked(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise CalculatorError("the number is too large")
    return value
