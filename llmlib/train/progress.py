"""One line that says how far a run is and how long it will take; many short lines where a line cannot be rewritten."""

import shutil
import sys
import time
from typing import TextIO

BAR_WIDTH = 20
SECONDS_BETWEEN_REDRAWS = 0.1
LINES_IN_A_LOG = 10  # how often a run reports into a file or pipe


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class ProgressBar:
    """A bar with the step, the time left and a note. In a terminal or notebook it redraws itself in place."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = total
        self.stream = sys.stdout if stream is None else stream
        in_notebook = type(self.stream).__module__.startswith("ipykernel")
        self.in_place = in_notebook or self.stream.isatty()
        self.started = time.perf_counter()
        self.drawn_at = float("-inf")
        self.lines = 0
        self.width = 0

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` of `total` steps are finished. Cheap to call after every step."""
        now = time.perf_counter()
        if self.in_place:
            if done < self.total and now - self.drawn_at < SECONDS_BETWEEN_REDRAWS:
                return
        elif done * LINES_IN_A_LOG < (self.lines + 1) * self.total:
            return
        self.drawn_at = now
        self.lines = done * LINES_IN_A_LOG // self.total
        elapsed = now - self.started
        left = elapsed / done * (self.total - done) if done else 0.0
        filled = round(BAR_WIDTH * done / self.total)
        full, empty = "━─" if can_write(self.stream, "━─") else "#."
        bar = full * filled + empty * (BAR_WIDTH - filled)
        when = f"{clock(left)} left" if done < self.total else f"in {clock(elapsed)}"
        self._write(f"{bar} {100 * done // self.total:3d} %  step {done}/{self.total}  {when}  {note}".rstrip())

    def clear(self) -> None:
        """Take the bar away, so that other lines can be printed; the next update draws it again."""
        if self.in_place and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()
            self.width = 0
            self.drawn_at = float("-inf")

    def close(self) -> None:
        """End the line."""
        if self.in_place and self.width:
            self.stream.write("\n")
            self.stream.flush()
            self.width = 0

    def _write(self, line: str) -> None:
        if self.in_place:
            line = line[: shutil.get_terminal_size().columns - 1]  # a wrapped line could not be rewritten
            self.stream.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


def can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
