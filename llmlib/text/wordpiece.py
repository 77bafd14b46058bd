"""WordPiece, the tokenizer of BERT and MiniLM: lower-cased words, cut greedily into the longest known pieces.

Wu et al. (2016) and Devlin et al. (2019, BERT). Unlike byte-level BPE it is not reversible: case, accents and spaces
are gone, and a word with an unknown character becomes [UNK]. Lectures 02, 05 and 17 use it.
"""

import os
import string
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import index
from pathlib import Path

import torch
from torch import Tensor

from llmlib.files import write_file
from llmlib.text.token_files import read_utf8

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
MAX_WORD = 100  # a longer word is [UNK], as in BERT

# The blocks of Chinese characters (BERT's list): each character is a word.
_HAN = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer:
    """An uncased WordPiece vocabulary. vocab: tokens in the order of their ids; "##ing" continues a word.

    Text is always plain: "[SEP]" written in it is four ordinary tokens or fewer, never the control sign.
    """

    def __init__(self, vocab: Sequence[str]):
        self.vocab = list(vocab)
        self._ids = {token: i for i, token in enumerate(self.vocab)}
        if len(self._ids) != len(self.vocab):
            twice = next(token for i, token in enumerate(self.vocab) if self._ids[token] != i)
            raise ValueError(f"vocab holds {twice!r} twice: each token has one id")
        for token in SPECIAL_TOKENS:
            if token not in self._ids:
                raise ValueError(
                    f"vocab lacks {token}: a WordPiece vocabulary for BERT has {', '.join(SPECIAL_TOKENS)}"
                )
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (self._ids[token] for token in SPECIAL_TOKENS)
        self._pieces = lru_cache(maxsize=50_000)(self._cut)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "WordPieceTokenizer":
        """Read a vocab.txt, one token a line; line number (from 0) is the id. An empty line is a ValueError."""
        lines = read_utf8(Path(path)).removesuffix("\n").split("\n")
        tokens = [line.removesuffix("\r") for line in lines]
        if "" in tokens:
            raise ValueError(
                f"vocabulary file {os.fspath(path)!r}, line {tokens.index('') + 1}: no token, so ids have a gap"
            )
        try:
            return cls(tokens)
        except ValueError as error:
            raise ValueError(f"vocabulary file {os.fspath(path)!r}: {error}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write a vocab.txt, one token a line."""
        write_file(path, "".join(f"{token}\n" for token in self.vocab))

    @property
    def vocab_size(self) -> int:
        return len(self.vocab)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The ids of `text`, between [CLS] and [SEP] unless told otherwise."""
        ids = [i for word in basic_words(text) for i in self._pieces(word)]
        return [self.cls_id, *ids, self.sep_id] if add_special_tokens else ids

    def encode_pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """The ids of [CLS] first [SEP] second [SEP], and the token type of each: 0 up to the first [SEP], then 1."""
        left = self.encode(first)
        right = [*self.encode(second, add_special_tokens=False), self.sep_id]
        return left + right, [0] * len(left) + [1] * len(right)

    def encode_batch(self, texts: Sequence[str], max_length: int | None = None) -> tuple[Tensor, Tensor]:
        """Ids of several texts, padded on the right. Returns ids (B, T) int64 and pad_mask (B, T) bool, True = token.

        max_length cuts longer texts, keeping [SEP] at the end; T is the longest that is left.
        """
        if isinstance(texts, str) or not texts:
            raise ValueError(f"texts must be a list of at least one str, got {texts!r}")
        if max_length is not None and max_length < 2:
            raise ValueError(f"max_length is {max_length}, but [CLS] and [SEP] alone take 2")
        rows = [self.encode(text) for text in texts]
        if max_length is not None:
            rows = [row if len(row) <= max_length else [*row[: max_length - 1], self.sep_id] for row in rows]
        width = max(map(len, rows))
        ids = torch.tensor([row + [self.pad_id] * (width - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(width) < lengths[:, None]

    def decode(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Words in lower case with one space between them: not the text that was encoded, but readable."""
        ids = [index(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < self.vocab_size), None)
        if wrong is not None:
            raise ValueError(f"ids holds {wrong}, but this tokenizer's ids go from 0 to {self.vocab_size - 1}")
        skipped = {self.pad_id, self.cls_id, self.sep_id} if skip_special_tokens else set()
        return " ".join([self.vocab[i] for i in ids if i not in skipped]).replace(" ##", "")

    def _cut(self, word: str) -> list[int]:
        """The longest known piece from the left, again and again; one that is missing makes the whole word [UNK]."""
        if len(word) > MAX_WORD:
            return [self.unk_id]
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if (piece := self._ids.get(prefix + word[start:end])) is not None:
                    break
            else:
                return [self.unk_id]
            ids.append(piece)
            start = end
        return ids

    def __repr__(self) -> str:
        return f"WordPieceTokenizer(vocab_size={self.vocab_size})"


def basic_words(text: str) -> list[str]:
    """BERT's uncased pre-tokenizer: drop control characters and accents, lower the case, split at spaces, and make
    every punctuation sign and every Chinese character a word of its own."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    spaced = "".join([_clean(char) for char in text])
    # Case by case, because str.lower() would turn a final sigma into another letter than the model was trained on.
    plain = "".join(
        [char.lower() for char in unicodedata.normalize("NFD", spaced) if unicodedata.category(char) != "Mn"]
    )
    return "".join([f" {char} " if _is_punctuation(char) else char for char in plain]).split()


@lru_cache(maxsize=20_000)
def _clean(char: str) -> str:
    category = unicodedata.category(char)
    if char in "\t\n\r" or category[0] == "Z":
        return " "
    if char == "\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    return f" {char} " if any(low <= ord(char) <= high for low, high in _HAN) else char


@lru_cache(maxsize=20_000)
def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char)[0] == "P"
