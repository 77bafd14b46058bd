"""courseware: what turns sources into notebooks, checks answers, grades labs and draws the interactive parts.

Notebooks import from here alone. Names are loaded when they are asked for, so that a lab that only checks answers
waits for no plotting library.
"""

import importlib

_PLACES = {
    "Claim": "classroom.claims",
    "check": "classroom.checker",
    "claims_table": "classroom.claims",
    "explore": "classroom.ui",
    "heatmap": "classroom.ui",
    "log_prediction": "classroom.checker",
    "poll": "classroom.ui",
    "progress": "classroom.ui",
    "setup_style": "classroom.ui",
    "show": "classroom.ui",
    "show_concept_test": "classroom.concept_test",
}

__all__ = list(_PLACES)


def __getattr__(name: str):
    if name not in _PLACES:
        raise AttributeError(f"courseware has no {name!r}; notebooks can import {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"courseware.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
