"""courseware: what turns sources into notebooks, checks answers, grades labs and draws the interactive parts.

Notebooks import from here alone. Names are loaded when they are asked for, so that a lab that only checks answers
waits for no plotting library.
"""

import importlib

_PLACES = {
    "Ballot": "classroom.ballots",
    "COLORS": "classroom.pictures",
    "Claim": "classroom.claims",
    "Diagram": "classroom.diagrams",
    "LiveCurve": "classroom.live",
    "PALETTE": "classroom.pictures",
    "Stopwatch": "classroom.recording",
    "as_number": "classroom.recording",
    "attention_map": "classroom.maps",
    "bars": "classroom.figures",
    "chat": "classroom.chats",
    "check": "classroom.checker",
    "claims_table": "classroom.claims",
    "curves": "classroom.figures",
    "explore": "classroom.ui",
    "heat_map": "classroom.maps",
    "log_prediction": "classroom.checker",
    "my_run": "classroom.diagnosing",
    "panels": "classroom.figures",
    "poll": "classroom.polls",
    "progress": "classroom.ui",
    "setup_style": "classroom.pictures",
    "show": "classroom.pictures",
    "show_concept_test": "classroom.concept_test",
    "steps": "classroom.ui",
    "table": "classroom.figures",
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
