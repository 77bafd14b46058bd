"""The Game of 24: reach 24 with four numbers, each used once, by + - * and /. An exact solver and an exact verifier.

As in "Tree of thoughts" (Yao et al., 2023), where a thought is one operation and the numbers that are left. With more
numbers and another target it is the numbers round of Countdown, which is deeper. Lecture 16.
"""

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd

from .expressions import is_solution
from .verifiable import END, Problem, Task

Hand = tuple[Fraction, ...]
Ratio = tuple[int, int]  # numerator and denominator, without a common divisor: what the solver counts with
Ratios = tuple[Ratio, ...]


class GameOf24(Task):
    """Hands that can be solved: "4 9 10 13=" with the moves "13-9=4:4 4 10;10-4=6:4 6;4*6=24:24" and an expression.

    The answer is "(13-9)*(10-4)", or any other that `is_solution` accepts. A move names what is left after it, in
    order. numbers: how many, each from 1 to `highest`; target: what they shall give. With expression=False a reply ends
    with the last move, which is then the answer, and right together with its moves only. Moves are drawn evenly among
    those that leave the hand solvable, so many ways lead to an answer, but fractions, "8/(1/3)=24:24", come where
    nothing else helps. No move goes below 0: no hand needs it.
    """

    alphabet = "0123456789+-*/=:;() ." + END

    def __init__(self, numbers: int = 4, target: int = 24, highest: int = 13, *, expression: bool = True) -> None:
        if not 2 <= numbers <= 6:
            raise ValueError(f"numbers={numbers} must be 2 to 6: more take the solver too long")
        if highest < 1 or target < 0:
            raise ValueError(f"highest={highest} must be at least 1 and target={target} at least 0")
        self.numbers, self.target, self.highest, self.expression = numbers, target, highest, expression

    def draw(self, rng: random.Random) -> Problem:
        for _ in range(10_000):
            if problem := self._draw_if(lambda key: True, rng):
                return problem
        raise ValueError(f"target={self.target}: no hand of {self.numbers} numbers up to {self.highest} was found")

    def _draw_if(self, wanted: Callable[[str], bool], rng: random.Random) -> Problem | None:
        hand = sorted(rng.randint(1, self.highest) for _ in range(self.numbers))
        return self.problem(hand, rng) if wanted(_key(hand)) and is_solvable(hand, self.target) else None

    def problem(self, hand: Sequence[int], rng: random.Random) -> Problem:
        """The hand with a way that rng chooses. ValueError for one that cannot be solved."""
        if not is_solvable(hand, self.target):
            raise ValueError(f"hand={list(hand)} cannot give {self.target}: draw another")
        moves, left = [], as_hand(hand)
        while len(left) > 1:
            every = moves_from(left)
            order = sorted(rng.sample(every, len(every)), key=lambda found: any(x.denominator > 1 for x in found[1]))
            move, left = next(found for found in order if is_solvable(found[1], self.target))
            moves.append(move)
        steps, answer = (moves, expression_of(hand, moves)) if self.expression else (moves[:-1], moves[-1])
        prompt = " ".join(map(str, hand)) + "="
        return Problem(prompt, tuple(steps), answer, key=_key(hand))

    def hand(self, problem: Problem) -> list[int]:
        """The numbers of a problem."""
        return [int(number) for number in problem.prompt.rstrip("=").split()]

    def is_right(self, problem: Problem, reply: str) -> bool:
        """Whether a reply ends in an expression that is a solution, or, if in a move, whether its moves are one."""
        *_, last = parts = problem.parts(reply)
        if ":" in last:
            return (left := self.left(problem, parts)) is not None and left == (self.target,)
        return is_solution(last, self.hand(problem), self.target)

    def step_is_right(self, problem: Problem, parts: Sequence[str]) -> bool:
        """Whether the last part is a move that the rules allow, a good one or not; or an expression that solves."""
        if not parts:
            return False
        if ":" in parts[-1]:
            return self.left(problem, parts) is not None
        return self.left(problem, parts[:-1]) is not None and is_solution(parts[-1], self.hand(problem), self.target)

    def left(self, problem: Problem, moves: Sequence[str]) -> Hand | None:
        """The numbers left after these moves, in order; None if one of them breaks the rules."""
        return play(self.hand(problem), moves)

    def can_win(self, problem: Problem, moves: Sequence[str]) -> bool:
        """Whether the target can still be reached after these moves: a perfect value, for comparison."""
        left = self.left(problem, moves)
        return left is not None and is_solvable(left, self.target)


def _key(hand: Sequence[int]) -> str:
    return " ".join(map(str, sorted(hand)))


# --- moves ------------------------------------------------------------------------------------------------------------


def as_hand(numbers: Sequence[int | Fraction]) -> Hand:
    """The numbers as fractions, in order."""
    return tuple(sorted(map(Fraction, numbers)))


def moves_from(hand: Sequence[int | Fraction]) -> list[tuple[str, Hand]]:
    """Every move, as text, and the hand after it; of a + b and b + a, and with *, the first alone."""
    hand = as_hand(hand)
    found: dict[str, Hand] = {}
    for i, j in itertools.permutations(range(len(hand)), 2):
        rest = [hand[k] for k in range(len(hand)) if k not in (i, j)]
        for sign, result in _operations(hand[i], hand[j]):
            if sign in "-/" or i < j:
                left = as_hand([*rest, result])
                found[_written(hand[i], sign, hand[j], result, left)] = left
    return list(found.items())


def _operations(a: Fraction, b: Fraction) -> Iterator[tuple[str, Fraction]]:
    yield from (("+", a + b), ("*", a * b))
    if a >= b:
        yield "-", a - b
    if b:
        yield "/", a / b


def _written(a: Fraction, sign: str, b: Fraction, result: Fraction, left: Hand) -> str:
    first, second = (str(x) if x.denominator == 1 else f"({x})" for x in (a, b))
    return f"{first}{sign}{second}={result}:{' '.join(map(str, left))}"


def _calculation(move: str) -> tuple[Fraction, str, Fraction] | None:
    """What a move calculates; None for what is no move."""
    number = r"([0-9]{1,20}|\([0-9]{1,20}/[1-9][0-9]{0,19}\))"
    found = re.match(rf"{number}([-+*/]){number}=", move)
    return found and (Fraction(found[1].strip("()")), found[2], Fraction(found[3].strip("()")))


def play(hand: Sequence[int], moves: Sequence[str]) -> Hand | None:
    """The hand after these moves; None if one of them is wrong: in its numbers, its result, or what it says is left."""
    left = as_hand(hand)
    for move in moves:
        if not (found := _calculation(move)):
            return None
        a, sign, b = found
        rest, result = list(left), dict(_operations(a, b)).get(sign)
        for number in (a, b):
            if number not in rest:
                return None
            rest.remove(number)
        left = None if result is None else as_hand([*rest, result])
        if left is None or move != _written(a, sign, b, result, left):
            return None
    return left


def is_solvable(hand: Sequence[int | Fraction], target: int | Fraction = 24) -> bool:
    """Whether all of these numbers together can give the target. Exact."""
    return _is_solvable(tuple(x.as_integer_ratio() for x in as_hand(hand)), target.as_integer_ratio())


@lru_cache(maxsize=200_000)
def _is_solvable(hand: Ratios, target: Ratio) -> bool:
    if len(hand) <= 2 or target[0] == 0:
        return target in _values(hand)
    if len(hand) > 4:
        hands = (
            tuple(sorted([*hand[:i], *hand[i + 1 : j], *hand[j + 1 :], result]))
            for i, j in itertools.combinations(range(len(hand)), 2)
            for result in {*_results(hand[i], hand[j]), *_results(hand[j], hand[i])}
        )
        return any(_is_solvable(left, target) for left in hands)
    for some, others in _splits(hand):  # the last operation joins what two parts of the hand come to
        found = _values(others)
        for v in _values(some):
            # Of v and its partner w one of v + w, w - v, v - w, v * w, v / w and w / v is the target.
            ways = (*_results(target, v), *_results(v, target)) if v[0] else (target,)
            if any(w in found for w in ways):
                return True
    return False


@lru_cache(maxsize=200_000)
def _values(hand: Ratios) -> frozenset[Ratio]:
    """All that a hand can come to."""
    if len(hand) == 1:
        return frozenset(hand)
    found = set()
    for some, others in _splits(hand):
        for v, w in itertools.product(_values(some), _values(others)):
            found.update(_results(v, w))
            found.update(_results(w, v))
    return frozenset(found)


def _splits(hand: Ratios) -> set[tuple[Ratios, Ratios]]:
    """Every way to part a hand in two, the smaller part first."""
    return {
        (tuple(hand[i] for i in some), tuple(x for i, x in enumerate(hand) if i not in some))
        for size in range(1, len(hand) // 2 + 1)
        for some in itertools.combinations(range(len(hand)), size)
    }


def _results(a: Ratio, b: Ratio) -> list[Ratio]:
    """a + b, a * b, a - b if it is not below 0, and a / b if b is not 0: `_operations` without the cost of Fraction."""
    (p, q), (r, s) = a, b
    found = [(p * s + r * q, q * s), (p * r, q * s)]
    if p * s >= r * q:
        found.append((p * s - r * q, q * s))
    if r:
        found.append((p * s, q * r))
    return [(n // (g := gcd(n, d)), d // g) for n, d in found]


def solve(hand: Sequence[int], target: int = 24) -> str | None:
    """An expression in these numbers that gives the target, the first found; None if there is none."""
    if not is_solvable(hand, target):
        return None
    moves, left = [], as_hand(hand)
    while len(left) > 1:
        move, left = next(found for found in moves_from(left) if is_solvable(found[1], target))
        moves.append(move)
    return expression_of(hand, moves)


def expression_of(hand: Sequence[int], moves: Sequence[str]) -> str:
    """What right moves that use up a hand come to, as one expression with no bracket too many."""
    terms = [(Fraction(number), str(number), 2) for number in hand]  # value, text, how firmly it holds together
    for move in moves:
        a, sign, b = _calculation(move)
        left, right = (terms.pop([term[0] for term in terms].index(value)) for value in (a, b))
        binds = 0 if sign in "+-" else 1
        first = left[1] if left[2] >= binds else f"({left[1]})"
        second = right[1] if right[2] > binds or (right[2] == binds and sign in "+*") else f"({right[1]})"
        terms.append((dict(_operations(a, b))[sign], f"{first}{sign}{second}", binds))
    if len(terms) != 1:
        raise ValueError(f"moves={list(moves)} leave {len(terms)} numbers: an expression needs them all used up")
    return terms[0][1]
