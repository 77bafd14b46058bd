"""Problems whose answers a program can check: what they consist of, how they are split, trained on and rewarded.

A `Problem` has a prompt, the steps that lead to its answer, and the answer. A `Task` draws problems from a seed and
judges replies, whole or step by step. Lecture 16.
"""

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .batches import IGNORE
from .question_sets import open_questions

END = "\n"  # what ends a reply
HELD_OUT = 0.1  # the share of all problems that is kept for testing


@dataclass(frozen=True)
class Problem:
    """A question with one way to its answer; a reply is the steps and the answer, or the answer alone."""

    prompt: str
    steps: tuple[str, ...]
    answer: str
    key: str = ""
    """Problems with the same key are the same problem, in another order or under other names."""
    separator: str = ";"
    """What stands between two steps, and between the last of them and the answer."""

    def reply(self, steps: bool = True) -> str:
        """What a model shall write after the prompt, without the end."""
        return self.separator.join([*self.steps, self.answer]) if steps else self.answer

    def parts(self, reply: str) -> list[str]:
        """A reply, up to its end, as steps and answer: what comes last is the answer."""
        text = reply if END in self.separator else reply.split(END)[0]
        return text.split(self.separator) if self.separator else list(text) or [""]


class Task:
    """A family of problems. A subclass says how to `draw` one; how to judge a step, where more than one is right.

    separator, alphabet: see `Problem`; all characters of prompts and replies, END included, for `CharTokenizer`.
    """

    separator = ";"
    alphabet = ""

    def draw(self, rng: random.Random) -> Problem:
        """One problem, of either side of the split."""
        raise NotImplementedError

    def _draw_if(self, wanted: Callable[[str], bool], rng: random.Random) -> Problem | None:
        """A problem, or None where what was drawn is not wanted; a task that works long on one asks before it does."""
        problem = self.draw(rng)
        return problem if wanted(problem.key) else None

    def problems(self, n: int, rng: random.Random, held_out: bool | None = False) -> list[Problem]:
        """n problems for training; with held_out=True problems that `held_out_key` keeps from training; None: either.

        No problem is on both sides, in whatever order its numbers stand. One may be drawn twice on its own side.
        ValueError if a side is too small to be found.
        """
        wanted = lambda key: held_out is None or held_out_key(key) == held_out
        found: list[Problem] = []
        for _ in range(200 * n + 1000):
            if len(found) == n:
                return found
            problem = self._draw_if(wanted, rng)
            if problem is not None:
                found.append(problem)
        raise ValueError(f"n={n} with held_out={held_out}: only {len(found)} were found; the task has too few problems")

    def is_right(self, problem: Problem, reply: str) -> bool:
        """Whether the answer at the end of a reply is right, whatever the steps before it."""
        return problem.parts(reply)[-1].strip() == problem.answer

    def step_is_right(self, problem: Problem, parts: Sequence[str]) -> bool:
        """Whether the last of `parts`, steps and perhaps the answer, follows from the problem and the parts before it.

        These are taken to be right. Unless a task says otherwise there is one right way: the problem's own.
        """
        right = (*problem.steps, problem.answer)
        return 0 < len(parts) <= len(right) and parts[-1] == right[len(parts) - 1]

    def chain_is_right(self, problem: Problem, reply: str) -> bool:
        """Whether a reply is right in its answer and in every step before it. Without steps it is not."""
        parts = problem.parts(reply)
        sound = all(self.step_is_right(problem, parts[: i + 1]) for i in range(len(parts)))
        return sound and (len(parts) > 1 or not problem.steps) and self.is_right(problem, reply)


def held_out_key(key: str, share: float = HELD_OUT) -> bool:
    """Whether the problem with this key is kept for testing: a fixed choice of about `share` of all keys.

    By a cryptographic hash, so that no digit, number or cup goes missing in training: a remainder such as
    (a + 7 b) mod 10 would take whole pairs of digits out of it.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


# --- controls ---------------------------------------------------------------------------------------------------------


def filler_steps(problem: Problem, symbol: str = ".") -> Problem:
    """The same with every character of its steps replaced: as many tokens, no information (Pfau et al., 2024)."""
    return dataclasses.replace(problem, steps=tuple(symbol * len(step) for step in problem.steps))


def shuffled_steps(problem: Problem, rng: random.Random) -> Problem:
    """The same with its steps in a random order: the same words, but not the way from one to the next."""
    return dataclasses.replace(problem, steps=tuple(rng.sample(problem.steps, len(problem.steps))))


def step_verifier(task: Task, problems: Sequence[Problem]) -> Callable[[int, Sequence[str], bool], bool]:
    """A judge for `llmlib.infer.verified_steps`: does the last part follow, and is the whole right if it has ended?"""

    def accept(i: int, parts: Sequence[str], ended: bool) -> bool:
        whole = problems[i].separator.join(parts)
        return task.chain_is_right(problems[i], whole) if ended else task.step_is_right(problems[i], parts)

    return accept


# --- training ---------------------------------------------------------------------------------------------------------


def encode_problems(
    problems: Sequence[Problem], encode: Callable[[str], list[int]], steps: bool = True
) -> dict[str, Tensor]:
    """Problems as rows for `next_token_loss`: "ids" and "targets", both (n, T) int64, one a row, padded on the right.

    A target is the next token of the reply or the END after it; -100 where the next token is the prompt's or padding.
    encode: text to ids, without anything put before or after. Fine for `ShuffledExamples`.
    """
    if not problems:
        raise ValueError("problems is empty: give at least one")
    texts = [(encode(problem.prompt), encode(problem.reply(steps) + END)) for problem in problems]
    width = max(len(prompt) + len(reply) for prompt, reply in texts)
    ids, targets = torch.zeros(len(texts), width, dtype=torch.long), torch.full((len(texts), width), IGNORE)
    for row, (prompt, reply) in enumerate(texts):
        start, end = len(prompt), len(prompt) + len(reply)
        ids[row, :end] = torch.tensor([*prompt, *reply])
        targets[row, start - 1 : end - 1] = torch.tensor(reply)
    return {"ids": ids, "targets": targets}


def verifiable_reward(
    problems: Sequence[Problem],
    prompts: Sequence[Sequence[int]],
    decode: Callable[[Sequence[int]], str],
    score: Callable[[Problem, str], float],
) -> Callable[[list[list[int]], list[list[int]]], Tensor]:
    """A reward for `train_grpo` and `train_ppo` that asks a program, not a model (RLVR; Lambert et al., 2024).

        reward = verifiable_reward(problems, prompts, tokenizer.decode, task.is_right)

    prompts: the ids of each problem's prompt, as the trainer is given them. score(problem, reply as text): a number, or
    True for 1. The reward takes prompts and replies as ids and gives (B,) float32. ValueError for a prompt that stands
    for two problems with different answers, and, when called, for one that is none of these.
    """
    if len(problems) != len(prompts):
        raise ValueError(f"problems holds {len(problems)} and prompts {len(prompts)}: give the ids of each prompt")
    known: dict[tuple[int, ...], Problem] = {}
    for problem, prompt in zip(problems, prompts):
        if known.setdefault(tuple(prompt), problem).answer != problem.answer:
            raise ValueError(f"prompts holds that of {problem.prompt!r} twice, with different answers: tell them apart")

    def reward(asked: list[list[int]], replies: list[list[int]]) -> Tensor:
        scores = []
        for prompt, reply in zip(asked, replies, strict=True):
            if tuple(prompt) not in known:
                raise ValueError(f"prompt {decode(prompt)!r} is none of the {len(known)} that this reward knows")
            scores.append(float(score(known[tuple(prompt)], decode(reply))))
        return torch.tensor(scores)

    return reward


# --- people's problems ------------------------------------------------------------------------------------------------


def gsm8k() -> list[Problem]:
    """100 word problems of GSM8K's test split (Cobbe et al., 2021) with worked steps, in the file's order; MIT.

    The marks of its calculator, such as <<5*2=10>>, are removed; answers are numbers as `extract_answer` writes them.
    """
    problems = []
    for item in open_questions("gsm8k"):
        *steps, _ = item.worked.split("\n")  # the last line repeats the answer
        problems.append(Problem(item.question, tuple(steps), item.answers[0], key=item.id, separator="\n"))
    return problems
