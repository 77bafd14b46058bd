"""Somebody to talk to: a model, its tokenizer and a monitor that listens."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import nn

from llmlib.align import chat_prompt, end_of_turn
from llmlib.infer import stream
from llmlib.text import BPETokenizer

from .monitoring import Monitor
from .workshop import LONGEST_REPLY


class Assistant:
    """Answers one message at a time: it was trained on single questions and remembers nothing.

    ValueError for a message that, with a reply, outgrows the model's context; what was said before is not touched.
    """

    def __init__(
        self, model: nn.Module, tokenizer: BPETokenizer, *, monitor: Monitor | None = None, temperature: float = 0.7,
        seed: int | None = None, longest_reply: int = LONGEST_REPLY,
    ) -> None:  # fmt: skip
        self.model, self.tokenizer, self.monitor = model.eval(), tokenizer, monitor
        self.temperature, self.longest_reply = temperature, longest_reply
        self.generator = torch.Generator().manual_seed(torch.seed() % 2**31 if seed is None else seed)

    def reply(self, message: str) -> str:
        """The whole reply."""
        return "".join(self.stream(message))

    def stream(self, message: str) -> Iterator[str]:
        """The reply as it is written. The message is checked here and now, not when the first piece is asked for."""
        if not message.strip():
            raise ValueError("message is empty: ask something")
        prompt = chat_prompt(self.tokenizer, message.strip())
        room = self.model.config.max_seq_len - self.longest_reply
        if len(prompt) > room:
            if self.monitor is not None:
                self.monitor.note_refused(message)
            raise ValueError(
                f"message takes {len(prompt)} tokens with its frame, and {room} fit: say it in fewer words"
            )
        return self._pieces(message, prompt)

    def _pieces(self, message: str, prompt: list[int]) -> Iterator[str]:
        started, said, end = time.perf_counter(), [], end_of_turn(self.tokenizer)
        pieces = stream(
            self.model, prompt, max_new_tokens=self.longest_reply, temperature=self.temperature,
            generator=self.generator, stop_tokens=[end], tokenizer=self.tokenizer,
        )  # fmt: skip
        for piece in pieces:
            said.append(piece)
            yield piece
        text = "".join(said)
        if self.monitor is not None:
            tokens = len(self.tokenizer.encode(text))
            self.monitor.note(
                message, text, finished=tokens < self.longest_reply, tokens=tokens,
                seconds=time.perf_counter() - started,
            )  # fmt: skip
