"""What a notebook keeps for people: predictions with their time, texts, the line of a challenge for the leaderboard."""

import json
import math
import time
from datetime import datetime

from courseware.classroom.cases import Ungraded

LOG = "predictions.jsonl"


def record(entry: Ungraded, value: object, seconds: float | None = None) -> None:
    """Say what is wrong with an answer, or note it."""
    if complaint := entry.complaint(value):
        print(f"{entry.id}  {entry.title}: {complaint}")
        return
    if entry.kind == "prediction":
        kept = value if isinstance(value, int | float | str | bool) else repr(value)[:2000]
        line = {"id": entry.id, "value": kept, "time": datetime.now().astimezone().isoformat(timespec="seconds")}
        try:
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            print(f"{entry.id}: could not write {LOG} here ({error.strerror}); note your prediction elsewhere")
            return
    said = {"prediction": "logged. Now run it", "text": "noted; a person will read it", "challenge": "noted"}
    print(f"{entry.id}  {entry.title}: {said[entry.kind]}")
    if entry.kind == "challenge":
        print(_standing(entry, value, seconds))


def _standing(entry: Ungraded, value: object, seconds: float | None) -> str:
    """How a score compares with the baseline, and the line to post."""
    number = as_number(value)
    unit = f" {entry.number.unit}" if entry.number and entry.number.unit else ""
    lines = []
    if entry.baseline is not None and math.isfinite(number):
        gain = (entry.baseline - number) * (1 if entry.better == "lower" else -1)
        verdict = "exactly the baseline" if gain == 0 else f"{abs(gain):.4g} {'better' if gain > 0 else 'worse'}"
        lines.append(f"  baseline {entry.baseline:,.6g}{unit}; yours {number:,.6g}{unit}: {verdict}")
    if seconds is not None and entry.seconds is not None and seconds > entry.seconds:
        lines.append(f"  it took {seconds:.0f} s, and {entry.seconds:.0f} s are allowed: it does not count yet")
    else:
        took = "" if seconds is None else f" | {seconds:.0f} s"
        lines.append(f"  for the leaderboard: {entry.id} | {number:,.6g}{unit}{took}")
    return "\n".join(lines)


def as_number(value: object) -> float:
    """A number as a float, anything else (an unanswered ``...``) as NaN, which plots as nothing."""
    return float(value) if type(value) in (int, float) else math.nan


class Stopwatch:
    """``with Stopwatch(60) as clock:`` measures what is inside; ``clock.left`` says how many seconds remain.

    It stops nothing: a loop that must end in time asks ``while clock.left > 0``.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self._start, self._end = limit, time.perf_counter(), None

    def __enter__(self) -> "Stopwatch":
        self._start, self._end = time.perf_counter(), None
        return self

    def __exit__(self, *exc: object) -> None:
        self._end = time.perf_counter()
        over = "" if self.seconds <= self.limit else ": too long"
        print(f"{self.seconds:.1f} s of {self.limit:.0f} s{over}")

    @property
    def seconds(self) -> float:
        """Seconds so far, or those it took."""
        return (self._end or time.perf_counter()) - self._start

    @property
    def left(self) -> float:
        return max(0.0, self.limit - self.seconds)
