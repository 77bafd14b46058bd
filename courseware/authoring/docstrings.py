"""The course's docstrings as reStructuredText, for the API pages.

Docstrings are written to be read in the code: paragraphs, `names` in single backticks, and lines that begin with
`name:` for what a parameter or a result is. Sphinx gets the same in its own markup, with every character that would
mean something there taken literally.
"""

import re
from collections.abc import Sequence

_ITEM = re.compile(r"^(?P<name>\(?[A-Za-z_][\w.*\[\]]*(?:(?:, | and )[A-Za-z_][\w.*\[\]]*)*\)?): +(?P<text>\S.*)$")
_CODE = re.compile(r"`+([^`]+)`+")


def to_rst(lines: Sequence[str]) -> list[str]:
    """The docstring's lines as reStructuredText: paragraphs, a list for `name: what it is`, examples as they stand."""
    out: list[str] = []
    for block in _blocks(lines):
        if all(line.startswith("    ") for line in block) or block[0].lstrip().startswith(">>>"):
            out += ["::", "", *(f"    {line}" for line in block), ""]
            continue
        text: list[str] = []
        for line in block:
            item, bullet = _ITEM.match(line), line.lstrip().startswith("- ")
            if item or bullet:
                out += [*_paragraph(text), ""]
                what = _inline(line.lstrip()[2:]) if bullet else f"**{_plain(item['name'])}**: {_inline(item['text'])}"
                text = [f"- {what}"]
            else:
                mark = bool(text) and text[0].startswith("- ")
                text.append(("  " if mark else "") + _inline(line.strip()))
        out += [*_paragraph(text), ""]
    return out


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _paragraph(text: list[str]) -> list[str]:
    """Its lines; a first character that would make a list or a heading of it is taken literally."""
    if text and not text[0].startswith("- ") and re.match(r"[-+#.=~^>]|\d+[.)]|\(?\w[.)] ", text[0]):
        return ["\\" + text[0], *text[1:]]
    return text


def _inline(text: str) -> str:
    """Single backticks become code; everything else that Sphinx would read as markup is escaped."""
    pieces, last = [], 0
    for code in _CODE.finditer(text):
        pieces.append(_plain(text[last : code.start()]))
        before = text[code.start() - 1] if code.start() else " "
        after = text[code.end()] if code.end() < len(text) else " "
        pieces.append(("\\ " if before.isalnum() else "") + f"``{code[1]}``" + ("\\ " if after.isalnum() else ""))
        last = code.end()
    return "".join([*pieces, _plain(text[last:])])


def _plain(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)
