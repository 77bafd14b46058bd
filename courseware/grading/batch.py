"""Many submissions, a few at a time, each judged in a process of its own that may hang or die without the others."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from courseware.grading.grader import BUDGET, Report, clean, unpacked
from courseware.grading.staff_files import StaffFilesMissing

MEMORY = 6 << 30  # bytes for one judge, beyond what it starts with
GRACE = 120.0  # seconds beyond a submission's budget: starting sandboxes, judging


def workers_here() -> int:
    """One process for each core this one may use, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores))


def reports(
    jobs: Sequence[Callable[[], Report]],
    lost: Callable[[int, str], Report],
    *,
    workers: int,
    seconds: float = BUDGET + GRACE,
) -> Iterator[tuple[int, Report]]:
    """(number of the job, its report) as they come. ``lost(number, why)`` makes the report of one that never came."""
    fork = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(fork)
    waiting = list(enumerate(jobs))[::-1]
    running: dict[Connection, tuple[int, multiprocessing.Process, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, job = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_judge, args=(job, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = (number, process, time.monotonic() + seconds)
            done = wait(list(running), timeout=0.5)
            late = [c for c, (_, _, deadline) in running.items() if time.monotonic() > deadline and c not in done]
            for connection in (*done, *late):
                number, process, _ = running.pop(connection)
                found = _received(connection, process, connection in late)
                yield number, found if isinstance(found, Report) else lost(number, found)
    finally:
        for _, process, _ in running.values():
            _end(process)


def _received(connection: Connection, process: multiprocessing.Process, late: bool) -> Report | str:
    """The report that came, or why none did."""
    with contextlib.closing(connection):
        try:
            found = "took far longer than its time" if late else connection.recv()
        except EOFError:
            found = "the process that judged it died"
    if isinstance(found, str):
        _end(process)
    process.join(10)
    if isinstance(found, StaffFilesMissing):  # true of every submission
        raise found
    if isinstance(found, Exception):
        return f"the grader failed ({type(found).__name__}: {clean(str(found))})"
    return unpacked(found) if isinstance(found, dict) else found


def _limit_memory() -> None:
    """No value of a submission makes the lab's own code fill the machine. Sandboxes set limits of their own."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _end(process: multiprocessing.Process) -> None:
    """End a judge: it closes its sandboxes, or is killed."""
    process.terminate()
    process.join(5)
    process.kill()


def _judge(job: Callable[[], Report], connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _limit_memory()
    try:
        found: object = job().packed()
    except Exception as error:
        found = error
    connection.send(found)
    connection.close()
