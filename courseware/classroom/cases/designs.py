"""Designs that are bought within a budget: what can be ordered is what a recorded table has tried."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmlib.data import recorded


def tried(allowed: Mapping[str, Sequence[float]]) -> Callable[[object], str | None]:
    """A judge of designs: None for a dict that has an allowed number under each key, else what is wrong with it."""

    def judge(design: object) -> str | None:
        if not isinstance(design, dict) or set(design) != set(allowed):
            return f"give a dict with the keys {', '.join(allowed)}"
        for name, values in allowed.items():
            if type(design[name]) not in (int, float) or design[name] not in values:
                return f"{name} is one of {', '.join(f'{v:g}' for v in values)}: nothing else was tried"
        return None

    return judge


def row_of(table: str, design: Mapping[str, float]) -> dict[str, Any]:
    """What the recorded table has about a design."""
    rows = recorded(table)["results"]
    return next(row for row in rows if all(row[name] == value for name, value in design.items()))
