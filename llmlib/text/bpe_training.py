"""Byte-pair encoding, learned: merge the most frequent pair of neighbours, again and again (lecture 02).

Sennrich, Haddow and Birch (2016) on characters; Radford et al. (2019, GPT-2) on bytes, inside the pieces ("words")
that a regular expression cuts, so that no token runs across a word boundary. Recounting all pairs for every merge
takes minutes. Here each distinct word is kept once with its frequency, an index tells which words hold a pair, and a
merge touches only those: the counts are exact after every step, yet ten thousand merges take seconds.
"""

import heapq
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import regex

Source = str | os.PathLike | Iterable[str | os.PathLike]

# Clitics, letters, digits, other signs, spaces; a word keeps the one space before it, a run of spaces gives it up.
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class MergeStep(NamedTuple):
    """One merge: `left` and `right` stood side by side `count` times; after it the text is `n_tokens` tokens long."""

    left: bytes
    right: bytes
    count: int
    n_tokens: int

    @property
    def token(self) -> bytes:
        return self.left + self.right


def compile_pattern(pattern: str) -> regex.Pattern:
    """The compiled pre-tokenizer. What `pattern` leaves out becomes words of one character, so nothing gets lost."""
    try:
        alone = regex.compile(pattern)  # by itself, too: an open bracket would be closed by what is added to it
        compiled = regex.compile(f"{pattern}|[\\s\\S]")
    except (regex.error, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"pattern {pattern[:80]!r} is not a regular expression: {reason}") from None
    if compiled.match("") or alone.match("") or compiled.groups:
        raise ValueError(f"pattern {pattern[:80]!r} matches the empty string or has a group: use (?:...), and + for *")
    return compiled


def documents(source: Source) -> Iterator[str]:
    """The texts of `source`: a str is the text itself, a Path is a file in UTF-8, an iterable may hold both."""
    if isinstance(source, str):
        yield source
    elif isinstance(source, os.PathLike):
        try:
            yield Path(source).read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"file {os.fspath(source)!r} is not valid UTF-8 at byte {error.start}: convert it first"
            ) from None
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
        for item in source:
            if not isinstance(item, str | os.PathLike):
                raise TypeError(f"text_or_files holds a {type(item).__name__}: give texts (str) and files (Path)")
            yield from documents(item)
    else:
        raise TypeError(f"text_or_files is a {type(source).__name__}: give a text (str), a file (Path) or several")


def count_words(source: Source, pattern: str = GPT2_PATTERN, special_tokens: Iterable[str] = ()) -> Counter[str]:
    """How often each word occurs. Special tokens only separate: their characters teach the tokenizer nothing."""
    words: Counter[str] = Counter()
    compiled = compile_pattern(pattern)
    specials = "|".join(regex.escape(s) for s in sorted(special_tokens, key=len, reverse=True))
    for text in documents(source):
        for part in regex.split(specials, text) if specials else [text]:
            words.update(compiled.findall(part))
    return words


def merge_steps(word_counts: Counter[str]) -> Iterator[MergeStep]:
    """Yield the merges of `word_counts` one by one, best first, until no two tokens stand side by side.

    Best is the highest count; among equals the lexicographically greatest pair (bytes of left, then of right). Counts
    are of neighbouring places, so "aaa" holds the pair (a, a) twice, but merging it from the left leaves "aa", "a".
    """
    words = [list(word.encode("utf-8")) for word in word_counts]  # each a list of token ids, merged in place
    frequency = list(word_counts.values())
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    where: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # pair -> words that hold it, or once did
    for index, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += frequency[index]
            where[pair].add(index)
    n_tokens = sum(len(word) * f for word, f in zip(words, frequency))

    tokens = [bytes([b]) for b in range(256)]
    order = [_descending(token) for token in tokens]
    heap = [(-count, order[a], order[b], (a, b)) for (a, b), count in counts.items()]
    heapq.heapify(heap)
    while heap:
        negative, *_, pair = heapq.heappop(heap)
        count = counts.get(pair, 0)
        if count != -negative:  # the count has fallen since it was pushed: put it back where it belongs now
            if count:
                heapq.heappush(heap, (-count, order[pair[0]], order[pair[1]], pair))
            continue
        new = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        order.append(_descending(tokens[new]))
        born: set[tuple[int, int]] = set()
        for index in where.pop(pair):
            n_merged, pairs = _merge(words[index], pair, new, counts, frequency[index])
            n_tokens -= n_merged * frequency[index]
            for p in pairs:
                where[p].add(index)
            born |= pairs
        del counts[pair]
        for a, b in born:  # only pairs with the new token can have gained, so these are all that is new to the heap
            if counts[a, b]:
                heapq.heappush(heap, (-counts[a, b], order[a], order[b], (a, b)))
        yield MergeStep(tokens[pair[0]], tokens[pair[1]], count, n_tokens)


def _merge(
    word: list[int], pair: tuple[int, int], new: int, counts: dict[tuple[int, int], int], frequency: int
) -> tuple[int, set[tuple[int, int]]]:
    """Replace `pair` by `new` in `word` from the left, keeping `counts` right. Returns how often, and the new pairs."""
    a, b = pair
    born = set()
    before = len(word)
    i, last = 0, before - 1
    while i < last:
        if word[i] == a and word[i + 1] == b:
            if i:
                counts[word[i - 1], a] -= frequency
                counts[word[i - 1], new] += frequency
                born.add((word[i - 1], new))
            if i + 1 < last:
                counts[b, word[i + 2]] -= frequency
                counts[new, word[i + 2]] += frequency
                born.add((new, word[i + 2]))
            word[i : i + 2] = [new]
            last -= 1
        i += 1
    return before - len(word), born


def _descending(token: bytes) -> str:
    """A sort key under which the greatest bytes come first, as the heap gives the smallest key."""
    return "".join([chr(255 - b) for b in token]) + "\u0100"
