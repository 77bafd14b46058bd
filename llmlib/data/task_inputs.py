"""GPT-1's input transformations: every task as rows of tokens that end in one token to read the answer from.

Radford et al. (2018), section 3.3 and figure 1. Pure functions on ids. Lecture 10.

    single            [start] text [extract]
    pair              [start] first [delimiter] second [extract]
    similarity        the pair in both orders
    multiple choice   a pair for each option: [start] context [delimiter] option [extract]
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TaskTokens:
    """The ids of the three tokens that fine-tuning adds. They begin untrained: no text of pre-training holds them.

    All functions here raise a ValueError for a text that holds one of them, and for a limit without room for them.
    """

    start: int
    delimiter: int
    extract: int

    def __post_init__(self):
        if len({self.start, self.delimiter, self.extract}) < 3 or min(self.start, self.delimiter, self.extract) < 0:
            raise ValueError(f"{self} must be three different ids from 0: a model cannot tell them apart otherwise")


def single_row(ids: Sequence[int], tokens: TaskTokens, limit: int) -> list[int]:
    """One text as a row of at most `limit` tokens. Of a longer one the end is cut, with a warning."""
    _check(tokens, limit, ids=ids)
    return [tokens.start, *_cut(ids, limit - 2, limit), tokens.extract]


def pair_row(first: Sequence[int], second: Sequence[int], tokens: TaskTokens, limit: int) -> list[int]:
    """Two texts in one row of at most `limit` tokens, as for "does the second follow from the first?".

    If they are too long together the longer one loses tokens at its end, with a warning, until they fit or are equally
    long; then both do.
    """
    _check(tokens, limit, first=first, second=second)
    room = limit - 3
    a, b = len(first), len(second)
    if a + b > room:
        short = min(a, b, room // 2)
        a, b = (short, room - short) if a <= b else (room - short, short)
    return [tokens.start, *_cut(first, a, limit), tokens.delimiter, *_cut(second, b, limit), tokens.extract]


def similarity_rows(first: Sequence[int], second: Sequence[int], tokens: TaskTokens, limit: int) -> list[list[int]]:
    """Two texts in both orders, for a question that has none: add up the two rows' vectors before the last layer."""
    return [pair_row(first, second, tokens, limit), pair_row(second, first, tokens, limit)]


def choice_rows(
    context: Sequence[int], options: Sequence[Sequence[int]], tokens: TaskTokens, limit: int
) -> list[list[int]]:
    """A row for each option after the same context: one number is read from each, a softmax goes over the rows.

    Options stay whole. A context that does not fit beside the longest of them loses its beginning, with a warning, and
    in all rows alike: the options must be compared after the same words, and what stands next to them matters most.
    ValueError for fewer than two options, and for an option that does not fit alone.
    """
    if len(options) < 2:
        raise ValueError(f"options holds {len(options)}: give at least two to choose from")
    _check(tokens, limit, context=context, **{f"options[{i}]": option for i, option in enumerate(options)})
    room = limit - 3 - max(map(len, options))
    if room < 0:
        raise ValueError(
            f"limit={limit} has no room for an option of {max(map(len, options))} tokens and 3 marks: "
            "shorten the option, or use a model that reads more"
        )
    kept = _cut(context, room, limit, from_start=True)
    return [[tokens.start, *kept, tokens.delimiter, *option, tokens.extract] for option in options]


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of different lengths, filled up on the right: ids (B, T) int64 and pad_mask (B, T) bool, True = real."""
    if not rows or not all(map(len, rows)):
        raise ValueError(f"rows holds {len(rows)} rows, of which each must have a token: leave out empty ones")
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows])
    return ids, torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]


def _check(tokens: TaskTokens, limit: int, **texts: Sequence[int]) -> None:
    marks = 2 if len(texts) == 1 else 3
    if limit <= marks:
        raise ValueError(f"limit={limit} must be more than {marks}, which the start, extract and delimiter take")
    for name, ids in texts.items():
        for mark in ("start", "delimiter", "extract"):
            if getattr(tokens, mark) in ids:
                raise ValueError(f"{name} holds {getattr(tokens, mark)}, the id of {mark}: use ids that no text has")


def _cut(ids: Sequence[int], room: int, limit: int, *, from_start: bool = False) -> list[int]:
    if len(ids) <= room:
        return list(ids)
    where = "beginning" if from_start else "end"
    # no length in it: Python shows the same words from the same line once
    warnings.warn(f"a text does not fit limit={limit} and loses its {where}; the extract token stays", stacklevel=3)
    return list(ids[len(ids) - room :] if from_start else ids[:room])
