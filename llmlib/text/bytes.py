"""One token per byte of UTF-8: 256 ids cover every text there is, at the price of longer sequences (lecture 02)."""

import json
from collections.abc import Iterable
from pathlib import Path

from llmlib.files import write_file
from llmlib.text.token_files import read_saved


class ByteTokenizer:
    """Ids 0 to 255 are the bytes of the text in UTF-8. Nothing to train and nothing that it cannot encode."""

    vocab_size = 256

    def encode(self, text: str) -> list[int]:
        """The UTF-8 bytes of `text`: one id for an ASCII character, up to four for others."""
        return list(text.encode("utf-8"))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that `ids` (a list of int or a 1-D tensor) stand for; they may end inside a character."""
        ids = [int(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < 256), None)
        if wrong is not None:
            raise ValueError(f"ids holds {wrong}, but a byte tokenizer's ids go from 0 to 255")
        return bytes(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. Bytes that are not valid UTF-8, which a model may well write, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write a JSON file that says which tokenizer this is; there is no vocabulary to keep."""
        write_file(path, json.dumps({"type": "byte"}))

    @classmethod
    def load(cls, path: str | Path) -> "ByteTokenizer":
        """Read what `save` wrote. A damaged file, or one that holds something else, is a ValueError."""
        read_saved(path, "byte", "ByteTokenizer")
        return cls()

    def __repr__(self) -> str:
        return "ByteTokenizer()"
