"""A kernel-kept limit on the processes of one session, where this user may set one: a control group of its own.

RLIMIT_NPROC does the same for an ordinary user, but the kernel does not apply it to root, whom containers often run
as; and a watchman that looks every 50 ms is late when a fork bomb leaves him no processor.
"""

import contextlib
import itertools
import os
import time
from pathlib import Path

MOUNTS, OWN = Path("/proc/self/mounts"), Path("/proc/self/cgroup")
_numbers = itertools.count()


class PidsGroup:
    """A control group that holds at most ``limit`` processes and threads. None of its methods fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, pid: int) -> None:
        """Put a process into it; what it starts from now on is in it too."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.procs").write_text(str(pid))

    def wrap(self, command: list[str]) -> list[str]:
        """The command, run from within the group, so that nothing of it was ever outside."""
        script = 'echo $$ > "$0" 2>/dev/null; exec "$@"'
        return ["/bin/sh", "-c", script, str(self.folder / "cgroup.procs"), *command]

    def remove(self, seconds: float = 1.0) -> None:
        """Take the group away as soon as its last process is gone; after ``seconds`` leave it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.folder.rmdir()
            except FileNotFoundError:
                return None
            except OSError:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.01)


def pids_group(limit: int) -> PidsGroup | None:
    """A new group, or None where there are no control groups or this user may not make one."""
    for parent in _parents():
        folder = parent / f"next-token-{os.getpid()}-{next(_numbers)}"
        try:
            folder.mkdir()
            (folder / "pids.max").write_text(str(limit))  # missing where the controller is not passed on
            return PidsGroup(folder)
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return None


def _parents() -> list[Path]:
    """Where a group could be made: below our own, or beside it (version 2 allows no groups below a group in use)."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
        own = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, point, kind, options, *_ in mounts:
        for _, controllers, path in own:
            first_version = kind == "cgroup" and "pids" in options.split(",") and "pids" in controllers.split(",")
            if first_version or (kind == "cgroup2" and not controllers):
                ours = Path(point, path.lstrip("/"))
                found += [ours] if first_version or path == "/" else [ours.parent]
    return found
