"""The byte-level BPE tokenizer: trained here, encoding through tiktoken, saved as plain JSON (lecture 02).

`encode_reference` is the algorithm as one reads it; `encode` gives the same ids from tiktoken's compiled code. Both
merge, inside each word, the neighbours whose union has the lowest rank, until no union is in the vocabulary.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice, pairwise
from operator import index
from pathlib import Path
from typing import Literal

import regex
import tiktoken

from llmlib.text.bpe_training import GPT2_PATTERN, MergeStep, Source, compile_pattern, count_words, merge_steps
from llmlib.text.token_files import check_special_tokens, check_vocabulary, read_vocabulary, write_vocabulary

Special = Literal["all"] | Collection[str]


class BPETokenizer:
    """A vocabulary of byte strings with ranks, a pattern that cuts text into words, and special tokens.

    ranks: token -> id, where the lower id merges first. special_tokens: text -> id; they are control signs, never the
    result of a merge, and `encode` takes them for plain text unless told otherwise. All ids together run from 0 to
    vocab_size - 1. missing_bytes: single bytes without a token, which then cannot be encoded (none, except in
    vocabularies from elsewhere).
    """

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        special_tokens: Mapping[str, int] | None = None,
        pattern: str = GPT2_PATTERN,
        missing_bytes: Iterable[int] = (),
    ):
        self.ranks = dict(ranks)
        self.special_tokens = dict(special_tokens or {})
        self.pattern = pattern
        self.missing_bytes = tuple(sorted(missing_bytes))
        check_special_tokens(self.special_tokens)
        check_vocabulary(self.ranks, self.special_tokens, missing_bytes=self.missing_bytes)
        self._words = compile_pattern(pattern)
        self._tokens = [b""] * self.vocab_size
        for token, i in self.ranks.items():
            self._tokens[i] = token
        for text, i in self.special_tokens.items():
            self._tokens[i] = text.encode("utf-8")

    # Training ---------------------------------------------------------------------------------------------------

    @staticmethod
    def train_steps(
        text_or_files: Source, *, special_tokens: Iterable[str] = (), pattern: str = GPT2_PATTERN
    ) -> Iterator[MergeStep]:
        """The merges that training would make, one at a time, each with its count and the length of the text after it.

        text_or_files: a text (str), a file in UTF-8 (Path), or an iterable of both.
        """
        words = count_words(text_or_files, pattern, special_tokens)
        if not words:
            raise ValueError("text_or_files holds no text: a tokenizer is learned from at least one character")
        return merge_steps(words)

    @classmethod
    def train(
        cls,
        text_or_files: Source,
        vocab_size: int,
        special_tokens: Iterable[str] = (),
        pattern: str = GPT2_PATTERN,
    ) -> "BPETokenizer":
        """Learn a vocabulary: the 256 bytes, then merges, then the special tokens, `vocab_size` in all.

        text_or_files: a text (str), a file in UTF-8 (Path), or an iterable of both. Ties go to the lexicographically
        greatest pair of byte strings. Special tokens in the text separate words and are not learned from. A text too
        short for so many merges gives a smaller vocabulary and a warning. Gage (1994), Sennrich et al. (2016).
        """
        special_tokens = list(special_tokens) if not isinstance(special_tokens, str) else special_tokens
        check_special_tokens(special_tokens)
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            raise ValueError(
                f"vocab_size is {vocab_size}, but 256 bytes and {len(special_tokens)} special tokens are always in it: "
                f"ask for at least {256 + len(special_tokens)}"
            )
        tokens = [bytes([b]) for b in range(256)]
        steps = cls.train_steps(text_or_files, special_tokens=special_tokens, pattern=pattern)
        tokens += [step.token for step in islice(steps, n_merges)]
        if len(tokens) < 256 + n_merges:
            warnings.warn(
                f"the text allows only {len(tokens) - 256} of {n_merges} merges: the vocabulary has "
                f"{len(tokens) + len(special_tokens)} tokens instead of {vocab_size}; train on more text",
                stacklevel=2,
            )
        ranks = {token: i for i, token in enumerate(tokens)}
        return cls(ranks, {s: len(tokens) + i for i, s in enumerate(special_tokens)}, pattern)

    # The vocabulary ---------------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        return len(self.ranks) + len(self.special_tokens)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token, which need not be whole characters. A special token gives its name in UTF-8."""
        return self.decode_bytes([token_id])

    @cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges in the order they were learned, as pairs of byte strings.

        The ranks determine them: merging a token's own bytes with the earlier merges only leaves two parts.
        """
        longer = sorted((token for token in self.ranks if len(token) > 1), key=self.ranks.__getitem__)
        return [self._split_once(token) for token in longer]

    def _split_once(self, token: bytes) -> tuple[bytes, bytes]:
        parts = self._merge_word(token, below=self.ranks[token])
        if len(parts) != 2:
            raise ValueError(
                f"vocabulary has token {token!r} (id {self.ranks[token]}), which no merge of two earlier tokens gives: "
                f"ids must be in the order in which the tokens were learned"
            )
        return parts[0], parts[1]

    # Encoding and decoding --------------------------------------------------------------------------------------

    def encode(self, text: str, allowed_special: Special = ()) -> list[int]:
        """The ids of `text`. `allowed_special`: special tokens to recognise in it, or "all"; others stay plain text."""
        self._check_text(text)
        allowed = self._allowed(allowed_special)
        try:
            ids = self._tiktoken.encode(text, allowed_special=allowed, disallowed_special=())
        except ValueError:  # its regex engine gives up on a run of a million spaces; ours does not
            ids = self._encode(text, allowed, self._tiktoken._encode_single_piece)
        if self.missing_bytes and ids and max(ids) >= self.vocab_size:
            raise self._no_token(text, next(i for i in ids if i >= self.vocab_size) - self.vocab_size)
        return ids

    def encode_reference(self, text: str, allowed_special: Special = ()) -> list[int]:
        """What `encode` computes, in plain Python: the one to read. Time grows with the square of a word's length."""
        self._check_text(text)

        def encode_word(word: bytes) -> list[int]:
            return [self.ranks[token] for token in self._merge_word(word)]

        try:
            return self._encode(text, self._allowed(allowed_special), encode_word)
        except KeyError as error:
            raise self._no_token(text, self.missing_bytes.index(error.args[0][0])) from None

    def _encode(self, text: str, allowed: set[str], encode_word: Callable[[bytes], list[int]]) -> list[int]:
        """Cut `text` at the allowed special tokens, then into words, and encode each word's bytes."""
        specials = "|".join(regex.escape(s) for s in allowed)
        ids: list[int] = []
        for part in regex.split(f"({specials})", text) if specials else [text]:
            if part in allowed:
                ids.append(self.special_tokens[part])
            else:
                for word in self._words.findall(part):
                    ids += encode_word(word.encode("utf-8"))
        return ids

    def _merge_word(self, word: bytes, below: int | None = None) -> list[bytes]:
        """Merge the pair of the lowest rank, the leftmost of equals, until none is left (with a rank `below`)."""
        none = len(self._tokens) if below is None else below
        parts = [word[i : i + 1] for i in range(len(word))]
        while len(parts) > 1:
            rank, i = min((self.ranks.get(left + right, none), i) for i, (left, right) in enumerate(pairwise(parts)))
            if rank >= none:
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return parts

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes of `ids` (a list of int or a 1-D tensor); they may end inside a character."""
        ids = [index(i) for i in ids]
        if ids and not 0 <= min(ids) <= max(ids) < self.vocab_size:
            wrong = next(i for i in ids if not 0 <= i < self.vocab_size)
            raise ValueError(f"ids holds {wrong}, but this tokenizer's ids go from 0 to {self.vocab_size - 1}")
        return b"".join([self._tokens[i] for i in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. Bytes that are not valid UTF-8, which a model may well write, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    @cached_property
    def _tiktoken(self) -> tiktoken.Encoding:
        # tiktoken must find every byte: missing ones get ids past the vocabulary, which `encode` turns into an error.
        missing = {bytes([b]): self.vocab_size + i for i, b in enumerate(self.missing_bytes)}
        return tiktoken.Encoding(
            "llmlib",
            pat_str=self._words.pattern,
            mergeable_ranks={**self.ranks, **missing},
            special_tokens=self.special_tokens,
        )

    def _allowed(self, allowed_special: Special) -> set[str]:
        if isinstance(allowed_special, str):
            if allowed_special != "all":
                raise ValueError(f'allowed_special is the string {allowed_special!r}: pass a list of them, or "all"')
            return set(self.special_tokens)
        unknown = set(allowed_special) - set(self.special_tokens)
        if unknown:
            known = ", ".join(map(repr, self.special_tokens)) or "none"
            raise ValueError(f"allowed_special holds {min(unknown)!r}, but this tokenizer's special tokens are {known}")
        return set(allowed_special)

    @staticmethod
    def _check_text(text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, got {type(text).__name__}: decode bytes as UTF-8 first")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text holds half a surrogate pair, {text[error.start]!r}, at position {error.start}: "
                f"clean it with text.encode('utf-8', 'replace').decode()"
            ) from None

    def _no_token(self, text: str, which: int) -> ValueError:
        byte = self.missing_bytes[which]
        place = next(i for i, char in enumerate(text) if byte in char.encode("utf-8"))
        return ValueError(
            f"text holds {text[place]!r} at position {place}: its byte 0x{byte:02X} has no token in this vocabulary; "
            f"remove the character"
        )

    # Files ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write JSON: type, pattern, special_tokens (text -> id), missing_bytes, and tokens as [base64, id] pairs."""
        write_vocabulary(path, self.ranks, self.special_tokens, self.pattern, self.missing_bytes)

    @classmethod
    def load(cls, path: str | Path) -> "BPETokenizer":
        """Read what `save` wrote. A file with gaps, repeated or missing tokens, or something else, is a ValueError."""
        fields = read_vocabulary(path)
        try:
            tokenizer = cls(**fields)
            _ = tokenizer.merges  # worked out here, so that a vocabulary out of order is found on loading
        except ValueError as error:
            raise ValueError(f"vocabulary file {str(path)!r}: {error}") from None
        return tokenizer

    def __repr__(self) -> str:
        return f"BPETokenizer(vocab_size={self.vocab_size}, special_tokens={list(self.special_tokens)})"
