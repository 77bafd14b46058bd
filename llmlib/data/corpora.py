"""The texts of the course, each one call away: Shakespeare, two novels, first names."""

import json
import re
from functools import lru_cache

from .fetching import fetch

# The well-known "tiny Shakespeare" (Karpathy, 2015) is the beginning of these plays, in this order.
TINY_ORDER = (
    *("coriolanus", "richard-iii", "richard-ii", "romeo-and-juliet", "henry-vi-part-3"),
    *("a-winter-s-tale", "measure-for-measure", "the-taming-of-the-shrew", "the-tempest"),
)
TINY_CHARACTERS = 1_115_394

# Stage directions never run over the end of a paragraph: _so_, and in a few plays *so* or [so] or [so]_.
DIRECTION = re.compile(r"(?<![A-Za-z0-9])_(?=\S)[^_]*_|(?<!\*)\*(?!\*)[^*]+\*(?!\*)|\\?\[[^]_]*[]_]+")


@lru_cache(maxsize=1)
def _plays() -> dict[str, str]:
    """Title, as in TINY_ORDER, -> the play as "Name:" and the lines spoken, in the order of title."""
    plays = {}
    for line in fetch("shakespeare-plays").read_text(encoding="ascii").splitlines():
        play = json.loads(line)
        plays[play["name"].rpartition("/")[2].removesuffix(".md")] = _speeches(play["text"])
    return dict(sorted(plays.items()))


def _speeches(markdown: str) -> str:
    text = "\n\n".join(DIRECTION.sub("", paragraph) for paragraph in markdown.split("\n\n"))
    text = re.sub(r"\\([^\w\s])", r"\1", text)  # Markdown's escapes
    speeches: list[list[str]] = []
    silent = True  # until the next speaker is named: titles and headings of scenes
    for line in (line.strip() for line in text.split("\n")):
        if name := re.fullmatch(r"\*\*(.+?)\*\*", line):
            speeches.append([f"{name[1]}:"])
            silent = False
        elif line.startswith("#"):
            silent = True
        elif line and not silent:
            speeches[-1].append(line)
    return "\n".join("\n".join(speech) + "\n" for speech in speeches if len(speech) > 1)


def tiny_shakespeare() -> str:
    """Tiny Shakespeare: 1,115,394 characters of plays, 64 of them distinct, as in char-rnn and nanoGPT (Karpathy).

    Rebuilt from the same edition, since the well-known file is in no package: 99.8 % of that file's lines are here, in
    its order, and the length is the same. (That file has a 65th character, the digit 3.) sha256 of the UTF-8 text:
    2d6c16043f2bb00255c7840c7bace770f45bafb7826fcb80e87132aedcf197a7. Lecture 01 introduces it.
    """
    plays = _plays()
    return "\n".join(plays[name] for name in TINY_ORDER)[:TINY_CHARACTERS]


def all_plays() -> str:
    """All 38 plays as "Name:" and the lines spoken, in alphabetical order of title: 4.8 million characters."""
    return "\n".join(_plays().values())


def first_names() -> list[str]:
    """The first names of the US census of 1990 in lower case, a to z only, sorted, each once: 5,163 names."""
    lines = [line for sex in ("female", "male") for line in fetch(f"names-{sex}").read_text("ascii").splitlines()]
    return sorted({line.split()[0].lower() for line in lines})


def botchan() -> str:
    """Botchan, a novel by Natsume Soseki (1906) in the English of Yasotaro Morri (1919): 256 thousand characters."""
    text = fetch("botchan").read_text(encoding="utf-8-sig")
    return text[text.index("BOTCHAN (MASTER DARLING)\nBy") : text.index("--(THE END)--")]


def alice() -> str:
    """Alice's Adventures in Wonderland by Lewis Carroll (1865): 148 thousand characters."""
    return fetch("alice").read_text(encoding="ascii").strip("\n\x1a") + "\n"


def split_text(text: str, val_fraction: float = 0.1) -> tuple[str, str]:
    """Cut `text` into its beginning, for training, and its last `val_fraction`, for validation (as nanoGPT does)."""
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must lie between 0 and 1, got {val_fraction}: 0.1 keeps the last tenth")
    cut = int(len(text) * (1 - val_fraction))
    return text[:cut], text[cut:]
