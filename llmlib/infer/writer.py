"""A model that writes texts and thoughts and counts every token, so that methods compare at equal cost. Lecture 16."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from llmlib.infer.detokenize import Tokenizer
from llmlib.infer.generation import Finish, Generation, generate
from llmlib.infer.requests import to_ids
from llmlib.infer.sampling import Sampling

Prompt = str | Sequence[int]


class OutOfBudget(RuntimeError):
    """A call was made with nothing left to spend."""


@dataclass
class Budget:
    """What was spent on generating, and how much may be.

    limit: generated tokens, None for no limit. It is looked at before a call: the call that passes it is still made,
    and counted, the next one is refused with OutOfBudget.
    """

    limit: int | None = None
    generated: int = 0
    """Tokens that were sampled, the ones that ended a text included."""
    read: int = 0
    """Tokens of prompts; of one that several samples share, once."""
    calls: int = 0

    @property
    def left(self) -> float:
        """Tokens that may still be generated, infinite without a limit."""
        return float("inf") if self.limit is None else max(0, self.limit - self.generated)

    def spend(self, generated: int, read: int = 0, calls: int = 1) -> None:
        """Enter a call that was made."""
        self.generated, self.read, self.calls = self.generated + generated, self.read + read, self.calls + calls

    def check(self) -> None:
        """OutOfBudget if nothing is left."""
        if self.left <= 0:
            raise OutOfBudget(
                f"limit={self.limit} generated tokens are spent ({self.generated}): raise it, or stop here"
            )


@dataclass(frozen=True)
class Written:
    """One text that a model wrote."""

    text: str
    """Without what ended it."""
    tokens: list[int]
    """Every token that was sampled, the one that ended it included: len(tokens) is what it cost."""
    finish: Finish
    logprob: float
    """The log-probability of all tokens under the model's own distribution, in nats."""


@dataclass(frozen=True)
class Thought:
    """A reply in parts, as far as it has come: the state of a search over thoughts."""

    prompt: str
    parts: tuple[str, ...] = ()
    separator: str = ";"
    ended: bool = False
    """Whether the last part is the end of the reply, or was cut off."""
    tokens: int = field(default=0, compare=False)
    """What the last part cost."""

    @property
    def reply(self) -> str:
        """What was written after the prompt."""
        return self.separator.join(self.parts)

    @property
    def text(self) -> str:
        """Prompt and parts, so far that the next part begins there."""
        return self.prompt + self.reply + (self.separator if self.parts and not self.ended else "")


class Writer:
    """A model with its tokenizer, its way of sampling and a budget.

        writer = Writer(model, tokenizer, max_new_tokens=64, stop_tokens=tokenizer.encode("\\n"), temperature=1.0)
        pools = writer(prompts, n=16)         # 16 samples of each
        writer.budget.generated               # what they cost

    The settings are those of `generate`. batch_size: rows that are written at a time.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        *,
        max_new_tokens: int = 64,
        stop_tokens: Sequence[int] = (),
        stop_strings: Sequence[str] = (),
        budget: Budget | None = None,
        generator: torch.Generator | None = None,
        batch_size: int = 256,
        **sampling: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self.model, self.tokenizer, self.generator = model, tokenizer, generator
        self.stops = dict(stop_tokens=tuple(stop_tokens), stop_strings=tuple(stop_strings))
        self.max_new_tokens, self.batch_size = max_new_tokens, batch_size
        self.sampling = Sampling.of(None, sampling)
        self.budget = Budget() if budget is None else budget

    def __call__(self, prompts: Sequence[Prompt], n: int = 1, **changes: Any) -> list[list[Written]]:
        """n texts after each prompt, a text or token ids. changes: settings of `generate` for this call alone."""
        settings = dict(max_new_tokens=self.max_new_tokens, **self.stops, sampling=self.sampling) | changes
        rows = [to_ids(prompt, self.tokenizer) for prompt in prompts]
        at_once = max(1, self.batch_size // n)
        written: list[list[Written]] = []
        for start in range(0, len(rows), at_once):
            self.budget.check()
            part = rows[start : start + at_once]
            found = generate(
                self.model, part, n=n, tokenizer=self.tokenizer, return_logprobs=True, generator=self.generator,
                **settings,
            )  # fmt: skip
            groups = [[one] for one in found] if n == 1 else found
            self.budget.spend(sum(len(one.tokens) for group in groups for one in group), sum(map(len, part)))
            written += [[self._written(one, settings["stop_strings"]) for one in group] for group in groups]
        return written

    def _written(self, one: Generation, stop_strings: Sequence[str]) -> Written:
        text = self.tokenizer.decode(one.answer)
        places = [place for stop in stop_strings if (place := text.find(stop)) >= 0]
        text = text[: min(places)] if places else text  # of ids, `generate` keeps the tokens that spell a stop string
        return Written(text, one.tokens, one.finish, float(one.raw_logprobs.sum()))

    def think(self, thoughts: Sequence[Thought], n: int = 1, end: str = "\n", **changes: Any) -> list[list[Thought]]:
        """n ways to go on for each thought, by one part: up to its separator, or `end`, which ends the reply.

        separator and end must be single tokens; without a separator a part is one token. A part that reaches
        max_new_tokens is the last: `ended`. An end right after a separator adds no part but to an empty reply. Thoughts
        that have ended already have no way to go on.
        """
        going = [i for i, thought in enumerate(thoughts) if not thought.ended]
        kinds = {thoughts[i].separator for i in going}
        if len(kinds) > 1:
            raise ValueError(f"thoughts have the separators {sorted(kinds)}: go on with those of one kind together")
        found: list[list[Thought]] = [[] for _ in thoughts]
        if not going:
            return found
        separator = kinds.pop()
        stops = [self._token(mark) for mark in (separator, end) if mark]
        limit = {} if separator else dict(max_new_tokens=1)
        settings = dict(stop_tokens=stops, stop_strings=()) | limit | changes
        groups = self([thoughts[i].text for i in going], n, **settings)
        for i, group in zip(going, groups):
            found[i] = [self._next(thoughts[i], one, separator, stops[-1]) for one in group]
        return found

    def _next(self, thought: Thought, one: Written, separator: str, end: int) -> Thought:
        at_end = one.finish == "stop_token" and one.tokens[-1] == end
        ended = at_end or (one.finish == "length" and separator != "")
        nothing = at_end and not one.text and bool(thought.parts)
        parts = thought.parts if nothing else (*thought.parts, one.text)
        return Thought(thought.prompt, parts, separator, ended, len(one.tokens))

    def _token(self, mark: str) -> int:
        ids = self.tokenizer.encode(mark)
        if len(ids) != 1:
            raise ValueError(f"{mark!r} is {len(ids)} tokens of this tokenizer: separator and end must be one each")
        return ids[0]
