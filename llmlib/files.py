"""Writing a file so that nobody ever sees half of it: checkpoints, tokenizers, recordings, gradebooks, assets."""

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ENDING = ".partial"
ABANDONED = 3600  # seconds after which an unfinished file is taken for litter where files cannot be locked


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """`with atomic_write(path) as partial: ...` fills the file `partial`, which then takes `path`'s place in one step.

    Until then, and for ever if the body raises or the process is killed, an earlier file at `path` is as it was. What
    a killed process left beside it is removed by the next write to the same path. A new file gets the permissions that
    the umask allows, an existing one keeps its own; a symbolic link stays one and its target is replaced. The folder
    must exist. OSError as the body raises it, on a full disk with a message that says so; ValueError for a path that
    is a folder or a device.
    """
    path = Path(os.path.realpath(path))
    earlier = path.stat() if path.exists() else None
    if earlier is not None and not stat.S_ISREG(earlier.st_mode):
        raise ValueError(f"path={str(path)!r} is a folder or a device, which no file may replace: give a file name")
    mode = None if earlier is None else stat.S_IMODE(earlier.st_mode)
    _remove_litter(path)
    partial = handle = None
    try:
        partial, handle = _open_beside(path, 0o666 if mode is None else mode)
        if mode is not None:
            os.chmod(partial, mode)
        yield partial
        os.fsync(handle)  # or a power cut could leave the new name on an empty file
        if fcntl is None:  # Windows moves no open file
            os.close(handle)
            handle = None
        os.replace(partial, path)
        partial = None
    except Exception as error:
        if disk_is_full(error):
            raise OSError(
                errno.ENOSPC, "the disk is full and the file was not written: free some room and save again", str(path)
            ) from error
        raise
    finally:
        if handle is not None:
            os.close(handle)
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_file(path: str | os.PathLike, content: str | bytes) -> Path:
    """`atomic_write` of a whole text, in UTF-8 and with its line ends as they are, or of bytes; returns the path."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with atomic_write(path) as partial:
        partial.write_bytes(data)
    return Path(path)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."  # names have a length limit


def _open_beside(path: Path, mode: int) -> tuple[Path, int]:
    """A new empty file in the folder of `path`, and a handle that holds its lock: locked means somebody writes it."""
    while True:
        partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(6)}{ENDING}")
        handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), mode)
        with suppress(OSError):  # a file system without locks
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        if partial.exists():
            return partial, handle
        os.close(handle)  # another process swept between the two steps


def _remove_litter(path: Path) -> None:
    """Remove what killed processes left of earlier writes to `path`; whatever cannot be removed stays."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(path)) and entry.name.endswith(ENDING):
                with suppress(OSError):
                    _remove_if_abandoned(entry)


def _remove_if_abandoned(entry: os.DirEntry) -> None:
    if fcntl is None:
        if time.time() - entry.stat().st_mtime > ABANDONED:
            os.unlink(entry.path)
        return
    handle = os.open(entry.path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError, an OSError, if its writer is alive
        os.unlink(entry.path)  # while the lock is held: whoever has just made the file sees that it is gone
    finally:
        os.close(handle)


def disk_is_full(problem: Exception | str) -> bool:
    """Whether an error, or what a program printed, says so: safetensors and pip do it in words only."""
    numbers = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    if getattr(problem, "errno", None) in numbers:
        return True
    return any(words in str(problem) for words in ("No space left on device", "Disk quota exceeded", "Errno 28]"))
