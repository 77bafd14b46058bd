"""SmolLM2 on one thread, quickly, for lecture 17's experiments: what two prompts have in common is read once.

Weights in 4 bits (SmolLM2's own lie on such a grid), or in 8 for a model that was changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmlib.adapt import fast_decoder
from llmlib.text import BPETokenizer


@dataclass(frozen=True)
class Reply:
    """text: without what ended it. logprob: of all tokens, the ending one included, under the model itself."""

    text: str
    tokens: int
    logprob: float

    @property
    def token(self) -> float:
        """The geometric mean of the tokens' probabilities."""
        return math.exp(self.logprob / max(1, self.tokens))


class QuickWriter:
    """The decoder, which keeps what two prompts have in common."""

    def __init__(self, model: nn.Module, tokenizer: BPETokenizer, weights: str = "int4"):
        self.tokenizer, self.decoder = tokenizer, fast_decoder(model, weights)
        self.ids: list[int] = []
        self.end = tokenizer.special_tokens["<|im_end|>"]

    def read(self, ids: Sequence[int]) -> Tensor:
        """Read a prompt -> the logits of what follows."""
        ids = list(ids)
        shared = next((i for i, (a, b) in enumerate(zip(self.ids, ids)) if a != b), min(len(self.ids), len(ids)))
        shared = min(shared, len(ids) - 1)
        self.decoder.truncate(shared)
        self.ids = ids
        return self.decoder.read(ids[shared:])[-1]

    def write(
        self, prompt: Sequence[int], new: int, stop: str = "\n", generator: torch.Generator | None = None
    ) -> Reply:
        """Greedy, or sampled at temperature 1 with a generator, up to `stop`, the end of the turn or `new` tokens."""
        logits, tokens, total = self.read(prompt), [], 0.0
        while len(tokens) < new:
            logprobs = torch.log_softmax(logits.float(), -1)
            if generator is None:
                token = int(logprobs.argmax())
            else:
                token = int(torch.multinomial(logprobs.exp(), 1, generator=generator))
            tokens.append(token)
            total += float(logprobs[token])
            text = self.tokenizer.decode([each for each in tokens if each != self.end])
            if token == self.end or (stop and stop in text):
                break
            if len(tokens) < new:
                logits = self.decoder.step(token)
                self.ids.append(token)
        text = self.tokenizer.decode([each for each in tokens if each != self.end])
        return Reply(text.partition(stop)[0] if stop else text, len(tokens), total)

    def logprobs(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> list[float]:
        """The log-probability of each option after the prompt, in nats."""
        first = torch.log_softmax(self.read(prompt).float(), -1)
        found = []
        for option in options:
            total = float(first[option[0]])
            if len(option) > 1:
                self.decoder.truncate(len(prompt))
                rest = torch.log_softmax(self.decoder.read(option[:-1], last=len(option) - 1).float(), -1)
                total += float(rest.gather(1, torch.tensor(option[1:])[:, None]).sum())
            found.append(total)
        self.decoder.truncate(len(prompt))
        return found
