"""One token per character: the smallest tokenizer that can train a language model (lectures 01 to 03)."""

import json
from collections.abc import Iterable
from pathlib import Path

from llmlib.files import write_file
from llmlib.text.token_files import read_saved


class CharTokenizer:
    """Maps each character of a fixed alphabet to an id, in the order of `alphabet`.

    The vocabulary is only what the training text held, which is its weakness: any other character is an error.
    """

    def __init__(self, alphabet: Iterable[str]):
        self.alphabet = "".join(alphabet)
        self._ids = {char: i for i, char in enumerate(self.alphabet)}
        if not self.alphabet:
            raise ValueError("alphabet is empty: pass the characters, or use CharTokenizer.from_text(text)")
        if len(self._ids) != len(self.alphabet):
            repeated = next(c for i, c in enumerate(self.alphabet) if self._ids[c] != i)
            raise ValueError(f"alphabet holds {repeated!r} twice: use CharTokenizer.from_text(text) to build one")

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """The tokenizer whose alphabet is the distinct characters of `text`, in code-point order."""
        if not text:
            raise ValueError("text is empty: a character tokenizer takes its alphabet from a text")
        return cls(sorted(set(text)))

    @property
    def vocab_size(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> list[int]:
        """Ids of the characters of `text`. A character outside the alphabet is a ValueError that says where it is."""
        try:
            return [self._ids[char] for char in text]
        except KeyError:
            place, char = next((i, c) for i, c in enumerate(text) if c not in self._ids)
            raise ValueError(
                f"text holds {char!r} (U+{ord(char):04X}) at position {place}, which is not among the "
                f"{self.vocab_size} characters of this tokenizer: remove it, build the tokenizer from a text that "
                f"has it, or use ByteTokenizer"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` (a list of int or a 1-D tensor). An id outside the vocabulary is a ValueError."""
        ids = [int(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < self.vocab_size), None)
        if wrong is not None:
            raise ValueError(f"ids holds {wrong}, but this tokenizer's ids go from 0 to {self.vocab_size - 1}")
        return "".join([self.alphabet[i] for i in ids])

    def save(self, path: str | Path) -> None:
        """Write the alphabet as JSON."""
        write_file(path, json.dumps({"type": "char", "alphabet": self.alphabet}))

    @classmethod
    def load(cls, path: str | Path) -> "CharTokenizer":
        """Read what `save` wrote. A damaged file, or one that holds something else, is a ValueError."""
        alphabet = read_saved(path, "char", "CharTokenizer").get("alphabet")
        try:
            if not isinstance(alphabet, str):
                raise ValueError(f"alphabet is {str(alphabet)[:40]!r}, not a text: save the tokenizer again")
            return cls(alphabet)
        except ValueError as error:
            raise ValueError(f"vocabulary file {str(path)!r}: {error}") from None

    def __repr__(self) -> str:
        return f"CharTokenizer(vocab_size={self.vocab_size})"
