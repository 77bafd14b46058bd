"""Arithmetic that strangers wrote: read by a small parser of our own, exactly, and never executed. Lecture 16."""

import re
from collections.abc import Sequence
from fractions import Fraction

LONGEST = 200  # characters that an expression may have
DEEPEST = 30  # brackets within brackets


def is_solution(text: str, numbers: Sequence[int], target: int = 24) -> bool:
    """Whether an expression uses each of the numbers once and no other, and gives the target exactly.

    Anything may be passed: what is no expression is no solution. "(13-9)*(10-4)" and "(13 - 9) * (10 - 4) = 24" are
    the same.
    """
    try:
        left, *right = text.split("=")
        value, used = evaluate_expression(left)
        if len(right) > 1 or (right and evaluate_expression(right[0])[0] != target):
            return False
    except ValueError:
        return False
    return value == target and sorted(used) == sorted(numbers)


def evaluate_expression(text: str) -> tuple[Fraction, list[int]]:
    """The exact value of whole numbers with + - * / and brackets, and the numbers that stand in it.

    It is read, never executed; there is no minus sign before a number and no power. ValueError for anything else, for
    a division by 0 and for a text of more than 200 characters or 30 brackets deep.
    """
    if len(text) > LONGEST:
        raise ValueError(f"text has {len(text)} characters: an expression may have {LONGEST}")
    plain = text.translate(str.maketrans("×·÷−–", "**/--"))
    tokens = re.findall(r"[0-9]+|[-+*/()]|\S", plain)  # "1 2" is two numbers, not 12
    if wrong := [token for token in tokens if not re.fullmatch(r"[0-9]+|[-+*/()]", token)]:
        raise ValueError(f"text holds {wrong[0]!r}: write whole numbers, + - * / and brackets")
    value, used, rest = _sum(tokens, 0)
    if rest:
        raise ValueError(f"text goes on with {''.join(rest)!r} where it should end")
    return value, used


def _sum(tokens: list[str], depth: int) -> tuple[Fraction, list[int], list[str]]:
    value, used, rest = _product(tokens, depth)
    while rest and rest[0] in "+-":
        other, more, after = _product(rest[1:], depth)
        value, used, rest = value + other if rest[0] == "+" else value - other, used + more, after
    return value, used, rest


def _product(tokens: list[str], depth: int) -> tuple[Fraction, list[int], list[str]]:
    value, used, rest = _term(tokens, depth)
    while rest and rest[0] in "*/":
        other, more, after = _term(rest[1:], depth)
        if rest[0] == "/" and not other:
            raise ValueError("text divides by 0")
        value, used, rest = value * other if rest[0] == "*" else value / other, used + more, after
    return value, used, rest


def _term(tokens: list[str], depth: int) -> tuple[Fraction, list[int], list[str]]:
    if not tokens or depth > DEEPEST:
        raise ValueError("text ends too early" if not tokens else f"text is more than {DEEPEST} brackets deep")
    if tokens[0].isdigit():
        return Fraction(tokens[0]), [int(tokens[0])], tokens[1:]
    if tokens[0] != "(":
        raise ValueError(f"text holds {tokens[0]!r} where a number should be")
    value, used, rest = _sum(tokens[1:], depth + 1)
    if not rest or rest[0] != ")":
        raise ValueError("text leaves a bracket open")
    return value, used, rest[1:]
