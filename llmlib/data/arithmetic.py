"""Arithmetic with and without worked steps: addition, multiplication, and sums that may be taken in any order.

The steps are the scratchpad of Nye et al. (2021); reversed answers and marked digits are after Lee et al., "Teaching
arithmetic to small transformers" (2023), and Zhou et al., "What algorithms can transformers learn?" (2023). Lecture 16.
"""

import random
import re
import string
from collections.abc import Sequence

from .verifiable import END, Problem, Task

MARKS = string.ascii_lowercase


def _length(digits: int | tuple[int, int], name: str = "digits", most: int = 100) -> tuple[int, int]:
    low, high = (digits, digits) if isinstance(digits, int) else digits
    if not 1 <= low <= high <= most:
        raise ValueError(f"{name}={digits} must be a number from 1 to {most}, or two, the smaller first")
    return low, high


class Addition(Task):
    """Two numbers of the same length: "047+385=" with the steps "7+5+0=12;4+8+1=13;0+3+1=4" and the answer "0432".

    A step adds two digits, from the right, and what the step before carried.

    digits: how many each number has; two numbers: a length between them, drawn evenly.
    padded: all numbers have leading zeros, the answer one digit more than the terms. Without it none has any.
    reverse: the answer is written from its last digit on, "2340", as the steps find it.
    marked: before each digit stands a letter, the same for digits of the same place, "c0d4e7+c3d8e5=", and a step
      begins with its own, "e7+5+0=12". The letters are a run of the alphabet that begins anywhere, so that those of
      long numbers are seen on short ones, at most 25 digits.
    """

    def __init__(
        self,
        digits: int | tuple[int, int] = 6,
        *,
        padded: bool = True,
        reverse: bool = False,
        marked: bool = False,
    ) -> None:
        self.lengths = _length(digits, most=len(MARKS) - 1 if marked else 100)
        self.padded, self.reverse, self.marked = padded, reverse, marked
        self.alphabet = "0123456789+=;." + (MARKS if marked else "") + END

    def draw(self, rng: random.Random) -> Problem:
        n = rng.randint(*self.lengths)
        low = 0 if self.padded or n == 1 else 10 ** (n - 1)
        a, b = (rng.randrange(low, 10**n) for _ in range(2))
        return self.problem(a, b, n, first_mark=rng.randrange(1, len(MARKS) - n + 1) if self.marked else 1)

    def problem(self, a: int, b: int, n: int | None = None, first_mark: int = 1) -> Problem:
        """The problem a + b. n: digits of the terms. first_mark: the letter of their first digit, 1 for "b"."""
        n = max(len(str(a)), len(str(b))) if n is None else n
        if self.marked and not 1 <= first_mark <= len(MARKS) - n:
            raise ValueError(f"first_mark={first_mark} must be 1 to {len(MARKS) - n} for {n} digits")
        x, y = f"{a:0{n}}", f"{b:0{n}}"
        marks = MARKS[first_mark - 1 :] if self.marked else [""] * (n + 1)
        steps, carry = [], 0
        for i in reversed(range(n)):
            total = int(x[i]) + int(y[i]) + carry
            steps.append(f"{marks[i + 1]}{x[i]}+{y[i]}+{carry}={total}")
            carry = total // 10
        answer = f"{a + b:0{n + 1}}" if self.padded else str(a + b)
        write = lambda number: "".join(m + d for m, d in zip(marks[n + 1 - len(number) :], number))
        digits = [marks[n + 1 - len(answer) + i] + digit for i, digit in enumerate(answer)]
        written = "".join(reversed(digits) if self.reverse else digits)
        smaller, larger = sorted((a, b))
        return Problem(f"{write(x)}+{write(y)}=", tuple(steps), written, key=f"{n}:{smaller}+{larger}")


class Multiplication(Task):
    """Two numbers: "47*35=" with the steps "47*5=235;47*3=141;235+1410=1645" and the answer "1645".

    A step multiplies the first number by one digit of the second, from the right, or adds such a product, with the
    zeros of its place, to the sum so far. digits: how many the first and the second number have; none begins with 0.
    reverse: the answer is written from its last digit on.
    """

    alphabet = "0123456789+*=;." + END

    def __init__(self, digits: tuple[int, int] = (2, 2), *, reverse: bool = False) -> None:
        for n in digits:
            _length(n)
        self.digits, self.reverse = digits, reverse

    def draw(self, rng: random.Random) -> Problem:
        return self.problem(*(rng.randrange(10 ** (n - 1) if n > 1 else 0, 10**n) for n in self.digits))

    def problem(self, a: int, b: int) -> Problem:
        """The problem a * b."""
        steps, total = [], 0
        for place, digit in enumerate(reversed(str(b))):
            product = a * int(digit)
            steps.append(f"{a}*{digit}={product}")
            if place:
                shifted = product * 10**place
                steps.append(f"{total}+{shifted}={total + shifted}")
                total += shifted
            else:
                total = product
        answer = str(total)
        smaller, larger = sorted((a, b))
        return Problem(
            f"{a}*{b}=", tuple(steps), answer[::-1] if self.reverse else answer, key=f"{smaller}*{larger}"
        )  # fmt: skip


class AnyOrderSum(Task):
    """Numbers to be added in any order: "34+57+8=" with, say, the steps "57+8=65;65+34=99" and the answer "99".

    As many ways as there are orders of the terms lead to one answer, and each problem shows one of them at random. So a
    model spreads its probability over ways, and the way that it is surest of need not arrive where most of its ways do:
    a task for self-consistency (Wang et al., 2023). terms: how many numbers, each from 1 to 10 ** digits - 1.
    """

    alphabet = "0123456789+=;." + END

    def __init__(self, terms: int = 4, digits: int = 2) -> None:
        if terms < 2:
            raise ValueError(f"terms={terms} must be at least 2: a single number is its own sum")
        _length(digits)
        self.terms, self.digits = terms, digits

    def draw(self, rng: random.Random) -> Problem:
        return self.problem([rng.randrange(1, 10**self.digits) for _ in range(self.terms)], rng)

    def problem(self, numbers: Sequence[int], rng: random.Random) -> Problem:
        """The sum of these numbers, by a way that rng chooses."""
        total, *rest = rng.sample(numbers, len(numbers))
        steps = []
        for number in rest:
            steps.append(f"{total}+{number}={total + number}")
            total += number
        key = "+".join(map(str, sorted(numbers)))
        return Problem("+".join(map(str, numbers)) + "=", tuple(steps), str(total), key=key)

    def step_is_right(self, problem: Problem, parts: Sequence[str]) -> bool:
        """Whether the last part adds to the sum so far a number not added yet; or is their sum, once all are added."""
        left = [int(number) for number in problem.prompt.rstrip("=").split("+")]
        total = None
        for i, part in enumerate(parts):
            if not left:
                return i == len(parts) - 1 and part == problem.answer
            if not (found := re.fullmatch(r"([0-9]{1,200})\+([0-9]{1,200})=([0-9]{1,200})", part)):
                return False
            a, b, result = map(int, found.groups())
            for term in [a, b] if total is None else [b]:
                if term not in left:
                    return False
                left.remove(term)
            if (total is not None and a != total) or a + b != result:
                return False
            total = result
        return bool(parts)
