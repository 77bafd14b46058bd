"""Encoding a text that comes in pieces, in bounded memory and as if it had come whole (lecture 02).

A piece may not be cut where a word, a special token or a lookahead of the pattern goes on into the next one. So a cut
is made only at a place that looks like the end of a word, and only if encoding both sides by themselves changes
nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from os import PathLike

import regex

PIECE = 16_384  # characters that are encoded at a time
MARGIN = 128  # characters on either side of a cut that decide whether it is one


def encode_pieces(
    encode: Callable[[str], list[int]], words: regex.Pattern, chunks: Iterable[str], longest_special: int = 0
) -> Iterator[int]:
    """The ids of the chunks one by one, as `encode` gives them for the whole; `words` is the pattern of a word."""
    margin = max(MARGIN, longest_special)
    kept: list[str] = []
    held, enough = 0, PIECE + margin
    for chunk in chunks:
        if not isinstance(chunk, str):
            raise TypeError(f"text must be a str, got {type(chunk).__name__}: decode bytes as UTF-8 first")
        kept.append(chunk)
        held += len(chunk)
        while held >= enough:
            text = "".join(kept)
            cut = _last_cut(encode, words, text, min(PIECE, len(text) - margin), margin)
            if cut is None:
                kept, enough = [text], 2 * held  # one long word so far: look again when there is as much again
                continue
            yield from encode(text[:cut])
            kept, held, enough = [text[cut:]], len(text) - cut, PIECE + margin
    yield from encode("".join(kept))


def _last_cut(
    encode: Callable[[str], list[int]], words: regex.Pattern, text: str, last: int, margin: int
) -> int | None:
    """The last place up to `last` where a word ends whatever comes `margin` characters later; None if there is none."""
    for place in range(last, 0, -1):
        if not _may_end(text[place - 1], text[place]):
            continue
        start = max(0, place - margin)
        left, right = text[start:place], text[place : place + margin]
        if all(word.end() != len(left) for word in words.finditer(left + right)):
            continue
        if encode(left + right) == encode(left) + encode(right):
            return place
    return None


def _may_end(before: str, after: str) -> bool:
    """Only where a space or a punctuation mark follows another kind of character: there no run of equals is cut."""
    if after.isspace():
        return not before.isspace()
    return before.isalpha() and not after.isalnum()


def file_pieces(path: PathLike) -> Iterator[str]:
    """A file in UTF-8 piece by piece, its line ends as they are."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            while piece := file.read(PIECE):
                yield piece
    except UnicodeDecodeError as error:
        raise ValueError(f"file {str(path)!r} is not valid UTF-8 ({error.reason}): convert it first") from None
