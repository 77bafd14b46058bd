"""Step by step under supervision: every step is judged before the next is written, and a bad one written anew.

A verifier of whole replies can throw away only after everything is written; one of steps throws away a step ("Let's
verify step by step", Lightman et al., 2023). Lecture 16.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmlib.infer.writer import Thought

Accept = Callable[[int, Sequence[str], bool], bool]
"""accept(number of the prompt, parts of the reply so far, whether it has ended): may the last part stay?"""


@dataclass(frozen=True)
class VerifiedReply:
    """A reply whose every part was judged."""

    reply: str
    tokens: int
    """Generated tokens, those of rejected parts included."""
    rejected: int
    """How many parts were written and thrown away."""
    gave_up: bool
    """Whether a part stayed that was not accepted, because its retries were used up."""
    ended: bool
    """Whether the reply came to its end within max_steps."""


def verified_steps(
    think: Callable[[list[Thought]], list[list[Thought]]],
    prompts: Sequence[str],
    accept: Accept,
    *,
    retries: int = 4,
    max_steps: int = 64,
    separator: str = ";",
) -> list[VerifiedReply]:
    """A reply to each prompt, in which a part that is not accepted is written anew, up to `retries` times.

    think: one way to go on for each thought, such as `Writer.think`. When the retries of a part are used up the last
    attempt stays, and all goes on. With retries=0 nothing is thrown away: plain sampling. All prompts advance together.
    """
    if retries < 0 or max_steps < 1:
        raise ValueError(f"retries={retries} must be at least 0 and max_steps={max_steps} at least 1")
    states = [Thought(prompt, separator=separator) for prompt in prompts]
    tokens, rejected, failed, gave_up = ([0] * len(states) for _ in range(4))
    while going := [i for i, state in enumerate(states) if not state.ended and len(state.parts) < max_steps]:
        for i, (attempt,) in zip(going, think([states[i] for i in going])):
            tokens[i] += attempt.tokens
            good = accept(i, attempt.parts, attempt.ended)
            if not good and failed[i] < retries:
                failed[i] += 1
                rejected[i] += 1
                continue
            gave_up[i] |= not good
            states[i], failed[i] = attempt, 0
    return [
        VerifiedReply(state.reply, tokens[i], rejected[i], bool(gave_up[i]), state.ended)
        for i, state in enumerate(states)
    ]
