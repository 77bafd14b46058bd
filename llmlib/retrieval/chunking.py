"""Long texts in pieces that can be found and read: sections, then whole paragraphs, then sentences. Lecture 17."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

WORD = re.compile(r"\S+")
PARAGRAPH = re.compile(r"\n[ \t]*\n")
UNDERLINE = re.compile(r"([*=\-~^\"#+])\1{2,}[ \t]*$")
SENTENCE_END = (".", "!", "?", ".)", ':"', '."', ".”")


@dataclass(frozen=True)
class Section:
    """A stretch of text under a heading. path: the headings above it, the outermost first; empty before the first."""

    path: tuple[str, ...]
    text: str


def split_sections(text: str) -> list[Section]:
    """The sections of plain text whose headings are underlined, as in reStructuredText and Python's documentation.

    Which sign underlines which level is settled by the order in which the signs appear. A section's text ends where the
    next heading of any level begins. Sections without text are left out.
    """
    lines = text.split("\n")
    heads = [i for i in range(len(lines) - 1) if _is_heading(lines, i)]
    levels: list[str] = []
    path: list[str] = []
    sections = [Section((), "\n".join(lines[: heads[0] if heads else len(lines)]).strip("\n"))]
    for head, end in zip(heads, [*heads[1:], len(lines)]):
        sign = lines[head + 1][0]
        if sign not in levels:
            levels.append(sign)
        path = [*path[: levels.index(sign)], lines[head].strip()]
        sections.append(Section(tuple(path), "\n".join(lines[head + 2 : end]).strip("\n")))
    return [section for section in sections if section.text.strip()]


def chunk_text(text: str, size: int = 120, overlap: int = 20) -> list[str]:
    """Pieces of at most `size` words, each beginning up to `overlap` words before the end of the one before it.

    Pieces are cut out as they stand, line breaks and indentation included. In its second half a piece ends at the last
    end of a paragraph, else at the last end of a sentence, else in the middle of one. The overlap is for what a cut
    tears apart, so where a paragraph ends there is none; 0 <= overlap < size / 2.
    """
    if size < 2 or not 0 <= overlap < size / 2:
        raise ValueError(f"size={size} must be 2 or more words and overlap={overlap} at least 0 and below half of that")
    return [text[start:end] for start, end in _spans(text, size, overlap)]


def _spans(text: str, size: int, overlap: int) -> Iterator[tuple[int, int]]:
    found = [match.span() for match in WORD.finditer(text)]
    first = 0
    while first < len(found):
        last = min(first + size, len(found))  # one past the last word
        torn = False
        if last < len(found):
            middle = range(last, first + size // 2, -1)
            ends = next((i for i in middle if PARAGRAPH.search(text, found[i - 1][1], found[i][0])), None)
            torn = ends is None
            if torn:
                ends = next((i for i in middle if text[slice(*found[i - 1])].endswith(SENTENCE_END)), last)
            last = ends
        begin = found[first][0]
        yield _line_start(text, begin), found[last - 1][1]
        first = last - overlap if torn else last


def _line_start(text: str, place: int) -> int:
    """Take the indentation along: code without that of its first line reads wrong."""
    start = text.rfind("\n", 0, place) + 1
    return start if not text[start:place].strip() else place


def _is_heading(lines: list[str], i: int) -> bool:
    title, line = lines[i], lines[i + 1]
    return bool(
        title.strip() and title[0] != " " and UNDERLINE.match(line) and len(line.strip()) >= len(title.strip()) - 1
    )
