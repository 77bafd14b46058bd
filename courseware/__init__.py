"""courseware: what turns sources into notebooks, checks answers, grades labs and draws the interactive parts."""

from typing import Any

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    """`from courseware import check` loads the checker (and torch) only when a lab asks for it."""
    if name == "check":
        from courseware.check import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
