"""Tokens to text one token at a time: whole UTF-8 characters only, and nothing that a stop string would take back."""

import codecs
from collections.abc import Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """What generation asks of a tokenizer. One that works on bytes also offers `decode_bytes(ids) -> bytes`."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


class TokenDecoder:
    """Decode a growing list of tokens: the pieces joined equal `tokenizer.decode` of all of them.

    A token may hold half a character (byte-level BPE cuts emoji and many scripts), so a piece is held back until its
    last character is complete. Built in lecture 02.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace") if hasattr(tokenizer, "decode_bytes") else None
        self._ids: list[int] = []  # tokens not yet sure, after the ones that only give context
        self._context = 0

    def push(self, token: int) -> str:
        """Take the next token, return the text that is now certain (possibly '')."""
        if self._utf8 is not None:
            return self._utf8.decode(self._tokenizer.decode_bytes([token]))
        return self._push_text(token)

    def finish(self) -> str:
        """Return what is left; an unfinished character comes out as U+FFFD, as it does in `tokenizer.decode`."""
        if self._utf8 is not None:
            return self._utf8.decode(b"", final=True)
        before, now = self._texts()
        self._ids, self._context = [], 0
        return now[len(before) :]

    def _push_text(self, token: int) -> str:
        # How a token reads may depend on the one before it (a space, a joiner), so decode it after its predecessors.
        self._ids.append(token)
        before, now = self._texts()
        if now.endswith("\ufffd"):
            return ""
        self._ids = self._ids[self._context :]
        self._context = len(self._ids)
        return now[len(before) :]

    def _texts(self) -> tuple[str, str]:
        return self._tokenizer.decode(self._ids[: self._context]), self._tokenizer.decode(self._ids)


class StopFilter:
    """Pass text through up to the first stop string, holding back only what might still become one.

    "Hello\\nUs" with stop string "\\nUser:" gives "Hello" and keeps "\\nUs" until the next piece decides.
    """

    def __init__(self, stop_strings: Sequence[str] = ()):
        self._stops = tuple(stop_strings)
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """Take the next piece, return the text that may be shown; sets `stopped` once a stop string is complete."""
        if self.stopped:
            return ""
        text = self._held + piece
        # The stop string complete first counts, so that the answer does not depend on how the text was cut into pieces.
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """Return what was held back: no stop string came of it."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
