"""The byte-level BPE tokenizer: trained here, encoding through tiktoken, saved as plain JSON (lecture 02).

`encode_reference` is the algorithm as one reads it; `encode` gives the same ids from tiktoken's compiled code. Both
merge, inside each word, the neighbours whose union has the lowest rank, until no union is in the vocabulary. (Which
characters are letters is a question of Unicode's version: in scripts of the last few years the two cut words
differently.)
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, pairwise
from operator import index
from os import PathLike
from pathlib import Path
from typing import Literal, Self

import regex
import tiktoken

from llmlib.text.bpe_training import GPT2_PATTERN, MergeStep, Source, compile_pattern, count_words, merge_steps
from llmlib.text.streaming import encode_pieces, file_pieces
from llmlib.text.token_files import (
    check_special_tokens,
    check_vocabulary,
    read_vocab_merges,
    read_vocabulary,
    write_vocabulary,
)

Special = Literal["all"] | Collection[str]


class BPETokenizer:
    """A vocabulary of byte strings with ranks, a pattern that cuts text into words, and special tokens.

    ranks: token -> id, where the lower id merges first. special_tokens: text -> id; they are control signs, never the
    result of a merge, and `encode` takes them for plain text unless told otherwise. All ids together run from 0 to
    vocab_size - 1. Three things that only vocabularies from elsewhere need: missing_bytes, single bytes without a
    token, which then cannot be encoded; vocab_size, where some ids are left unused; order, the tokens in the order in
    which they merge, where that is not the order of their ids.
    """

    def __init__(
        self,
        ranks: Mapping[bytes, int],
        special_tokens: Mapping[str, int] | None = None,
        pattern: str = GPT2_PATTERN,
        missing_bytes: Iterable[int] = (),
        vocab_size: int | None = None,
        order: Sequence[bytes] | None = None,
    ):
        self.ranks = dict(ranks)
        self.special_tokens = dict(special_tokens or {})
        self.pattern = pattern
        self.missing_bytes = tuple(sorted(missing_bytes))
        check_special_tokens(self.special_tokens)
        check_vocabulary(self.ranks, self.special_tokens, missing_bytes=self.missing_bytes, vocab_size=vocab_size)
        if order is not None and (len(order) != len(self.ranks) or set(order) != set(self.ranks)):
            raise ValueError(f"order has {len(order)} tokens: give each of the {len(self.ranks)} in ranks once")
        used = len(self.ranks) + len(self.special_tokens)
        self.vocab_size = used if vocab_size is None else vocab_size
        """Ids run from 0 to vocab_size - 1."""
        in_order = sorted(self.ranks, key=self.ranks.__getitem__)
        self._order = None if order is None or list(order) == in_order else list(order)
        self._words = compile_pattern(pattern)
        self._tokens: list[bytes | None] = [None] * self.vocab_size
        for token, i in self.ranks.items():
            self._tokens[i] = token
        for text, i in self.special_tokens.items():
            self._tokens[i] = text.encode("utf-8")
        # What merges first: the ids themselves, or numbers of their own where ids have gaps or another order.
        self._rank = self.ranks
        self._ids: list[int] | None = None  # the id of each number that tiktoken returns, if they differ
        if self._order is not None or used < self.vocab_size:
            listed = self._order or in_order
            self._rank = {token: number for number, token in enumerate(listed)}
            self._ids = [self.ranks[token] for token in listed]
            self._ids += [-1] * len(self.missing_bytes) + list(self.special_tokens.values())

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

    def with_special_tokens(self, special_tokens: Iterable[str]) -> Self:
        """The same tokenizer with more special tokens, which get the ids from vocab_size on, in the order given.

        A model that was trained before needs as many new rows in its embedding and its head.
        """
        more = list(special_tokens) if not isinstance(special_tokens, str) else special_tokens
        check_special_tokens(more)
        known = next((token for token in more if token in self.special_tokens), None)
        if known is not None:
            raise ValueError(
                f"special_tokens holds {known!r}, which is one already, with id {self.special_tokens[known]}"
            )
        both = {**self.special_tokens, **{token: self.vocab_size + i for i, token in enumerate(more)}}
        size = None if self._ids is None else self.vocab_size + len(more)
        return type(self)(self.ranks, both, self.pattern, self.missing_bytes, size, self._order)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token, which need not be whole characters. A special token gives its name in UTF-8."""
        return self.decode_bytes([token_id])

    @cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The merges in the order they were learned, as pairs of byte strings.

        The ranks determine them: merging a token's own bytes with the earlier merges only leaves two parts.
        """
        longer = sorted((token for token in self.ranks if len(token) > 1), key=self._rank.__getitem__)
        return [self._split_once(token) for token in longer]

    def _split_once(self, token: bytes) -> tuple[bytes, bytes]:
        parts = self._merge_word(token, below=self._rank[token])
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
            numbers = self._tiktoken.encode(text, allowed_special=allowed, disallowed_special=())
        except ValueError:  # its regex engine gives up on a run of a million spaces; ours does not
            numbers = self._encode(text, allowed, self._tiktoken._encode_single_piece, self._tiktoken._special_tokens)
        if self.missing_bytes:
            self._refuse_missing(text, numbers)
        return numbers if self._ids is None else [self._ids[number] for number in numbers]

    def encode_iterable(self, chunks: Iterable[str] | PathLike, allowed_special: Special = ()) -> Iterator[int]:
        """The ids of a text that comes in pieces, one by one: the same as `encode` of the whole, in bounded memory.

        chunks: pieces of text, cut anywhere (an open text file is one, line by line), or the path of a file in UTF-8. A
        piece of about 16,384 characters is encoded at a time; it grows where a text goes on without any space or
        punctuation mark, and `pattern` may look no more than 128 characters past the end of a word.
        """
        allowed = self._allowed(allowed_special)
        pieces = file_pieces(chunks) if isinstance(chunks, PathLike) else chunks
        return encode_pieces(
            lambda text: self.encode(text, allowed), self._words, pieces, max(map(len, allowed), default=0)
        )

    def encode_reference(self, text: str, allowed_special: Special = ()) -> list[int]:
        """What `encode` computes, in plain Python: the one to read. Time grows with the square of a word's length.

        The same ids, but for scripts younger than tiktoken's tables of Unicode: it does not know that their characters
        are letters, and cuts words elsewhere.
        """
        self._check_text(text)

        def encode_word(word: bytes) -> list[int]:
            return [self.ranks[token] for token in self._merge_word(word)]

        try:
            return self._encode(text, self._allowed(allowed_special), encode_word, self.special_tokens)
        except KeyError as error:
            raise self._no_token(text, self.missing_bytes.index(error.args[0][0])) from None

    def _encode(
        self,
        text: str,
        allowed: set[str],
        encode_word: Callable[[bytes], list[int]],
        special_tokens: Mapping[str, int],
    ) -> list[int]:
        """Cut `text` at the allowed special tokens, then into words, and encode each word's bytes."""
        specials = "|".join(regex.escape(s) for s in allowed)
        ids: list[int] = []
        for part in regex.split(f"({specials})", text) if specials else [text]:
            if part in allowed:
                ids.append(special_tokens[part])
            else:
                for word in self._words.findall(part):
                    ids += encode_word(word.encode("utf-8"))
        return ids

    def _merge_word(self, word: bytes, below: int | None = None) -> list[bytes]:
        """Merge the pair of the lowest rank, the leftmost of equals, until none is left (with a rank `below`)."""
        none = len(self._rank) + len(self.special_tokens) if below is None else below
        parts = [word[i : i + 1] for i in range(len(word))]
        while len(parts) > 1:
            rank, i = min((self._rank.get(left + right, none), i) for i, (left, right) in enumerate(pairwise(parts)))
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
        try:
            return b"".join([self._tokens[i] for i in ids])
        except TypeError:
            unused = next(i for i in ids if self._tokens[i] is None)
            raise ValueError(f"ids holds {unused}, which this vocabulary leaves unused") from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. Bytes that are not valid UTF-8, which a model may well write, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    @cached_property
    def _tiktoken(self) -> tiktoken.Encoding:
        # tiktoken must find every byte: missing ones get numbers past the others, which `encode` turns into an error.
        first = self._first_missing
        missing = {bytes([b]): first + i for i, b in enumerate(self.missing_bytes)}
        special = self.special_tokens
        if self._ids is not None:
            special = {text: first + len(missing) + i for i, text in enumerate(special)}
        return tiktoken.Encoding(
            "llmlib",
            pat_str=self._words.pattern,
            mergeable_ranks={**self._rank, **missing},
            special_tokens=special,
        )

    @property
    def _first_missing(self) -> int:
        return self.vocab_size if self._ids is None else len(self._rank)

    def _refuse_missing(self, text: str, numbers: list[int]) -> None:
        first = self._first_missing
        if numbers and max(numbers) >= first:
            wrong = next((number - first for number in numbers if 0 <= number - first < len(self.missing_bytes)), None)
            if wrong is not None:
                raise self._no_token(text, wrong)

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
        ranks = self.ranks if self._order is None else {token: self.ranks[token] for token in self._order}
        size = self.vocab_size if len(self.ranks) + len(self.special_tokens) < self.vocab_size else None
        in_order = self._order is None
        write_vocabulary(path, ranks, self.special_tokens, self.pattern, self.missing_bytes, size, in_order)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. A file with gaps, repeated or missing tokens, or something else, is a ValueError."""
        fields = read_vocabulary(path)
        try:
            tokenizer = cls(**fields)
            _ = tokenizer.merges  # worked out here, so that a vocabulary out of order is found on loading
        except ValueError as error:
            raise ValueError(f"vocabulary file {str(path)!r}: {error}") from None
        return tokenizer

    @classmethod
    def from_vocab_merges(cls, vocab: str | PathLike, merges: str | PathLike, pattern: str = GPT2_PATTERN) -> Self:
        """Read vocab.json and merges.txt, in which GPT-2 and many others are published (Radford et al., 2019).

        What no merge makes, such as "<|endoftext|>", is a special token. Ids may have gaps, and need not be in the
        order of the merges. Files that are damaged or do not belong together are a ValueError.
        """
        ids, special_tokens, order = read_vocab_merges(vocab, merges)
        missing = [b for b in range(256) if bytes([b]) not in ids]
        used = max([*ids.values(), *special_tokens.values()], default=0) + 1
        size = used if used > len(ids) + len(special_tokens) else None
        try:
            tokenizer = cls(ids, special_tokens, pattern, missing, size, order)
            _ = tokenizer.merges
        except ValueError as error:
            raise ValueError(f"vocabulary file {str(vocab)!r}: {error}") from None
        return tokenizer

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={list(self.special_tokens)})"
