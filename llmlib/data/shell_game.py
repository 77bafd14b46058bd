"""The shell game: a ball under one of several cups, which are swapped in pairs. Where is it now? Lecture 16.

As little to know as can be, and a long way to think: without steps a model must compose all swaps in the depth it has;
with steps it looks up one swap at a time.
"""

import random

from .verifiable import END, Problem, Task


class ShellGame(Task):
    """ "3:124513=" is a ball under cup 3 and the swaps 1-2, 4-5, 1-3; the steps "33" and the answer "1" make "331".

    A step is the cup that holds the ball after one more swap, one character without a separator; the answer is the cup
    after the last. cups: 2 to 9. swaps: how many; two numbers: between them, drawn evenly.
    """

    separator = ""

    def __init__(self, cups: int = 5, swaps: int | tuple[int, int] = 12) -> None:
        low, high = (swaps, swaps) if isinstance(swaps, int) else swaps
        if not 2 <= cups <= 9:
            raise ValueError(f"cups={cups} must be 2 to 9: a cup is one digit")
        if not 1 <= low <= high:
            raise ValueError(f"swaps={swaps} must be at least 1, or two numbers, the smaller first")
        self.cups, self.swaps = cups, (low, high)
        self.alphabet = "".join(map(str, range(1, cups + 1))) + ":=." + END

    def draw(self, rng: random.Random) -> Problem:
        cups, n = range(1, self.cups + 1), rng.randint(*self.swaps)
        return self.problem(rng.choice(cups), [sorted(rng.sample(cups, 2)) for _ in range(n)])

    def problem(self, start: int, swaps: list[list[int]]) -> Problem:
        """The game that begins at cup `start`; swaps: pairs of cups."""
        positions, ball = [], start
        for a, b in swaps:
            ball = {a: b, b: a}.get(ball, ball)
            positions.append(str(ball))
        prompt = f"{start}:" + "".join(f"{a}{b}" for a, b in swaps) + "="
        return Problem(prompt, tuple(positions[:-1]), positions[-1], key=prompt, separator=self.separator)
