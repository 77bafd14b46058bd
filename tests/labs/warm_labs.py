"""One lab at a time, loaded once: what the sandboxes of its tests are forked from, as those of a batch are."""

from courseware.classroom import cases
from courseware.grading import grader
from llmlib.sandbox import Zygote

_held: dict[str, Zygote | None] = {}


def ready(lab_id: str) -> Zygote | None:
    """The lab's zygote (None where there cannot be one); the one of the lab before is closed."""
    if lab_id not in _held:
        close()
        _held[lab_id] = grader.warm(cases.load_lab(lab_id))
    return _held[lab_id]


def close() -> None:
    while _held:
        if (zygote := _held.popitem()[1]) is not None:
            zygote.close()
