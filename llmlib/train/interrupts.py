"""Ctrl-C, and a notebook's stop button, without a half-done update."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Stoppable(Protocol):
    """What ends when its `stop` is set."""

    stop: bool


@contextmanager
def finish_on_interrupt(trainer: Stoppable) -> Iterator[None]:
    """Within this context the first SIGINT sets `trainer.stop`, so that no update is left half done."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        trainer.stop = True
        signal.signal(signal.SIGINT, before)  # the next one is not waited for
        print("\ninterrupted: finishing this update (once more breaks it off)", file=sys.stderr)

    if callable(before):
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, before)
