"""A page of C, compiled on first use and kept, or a reason why not. Lecture 15.

Nothing needs it: whoever asks gets either the functions or a sentence that says what is missing, and has a way without
them. What was built is kept in the cache of `llmlib.data`, under a name that holds a hash of the source, the command
and the processor, so that a home folder shared by two kinds of machine holds two files. The environment variable
LLMLIB_NO_NATIVE, set to anything but 0, switches it off.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from llmlib.data.assets import cache_dir

SOURCE = Path(__file__).with_name("blockwise.c")
COMPILERS = ("cc", "gcc", "clang")
# No -ffast-math: a library linked with it changes how the whole process treats tiny numbers.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
SECONDS = 120


class NativeError(RuntimeError):
    """No native kernel here; the message says why."""


@dataclass(frozen=True)
class NativeKernel:
    """The compiled functions."""

    matmul: ctypes._CFuncPtr
    """blockwise_matmul(x, w, y, scratch, rows, n_in, n_out, bits, add, threads), addresses as integers."""
    instructions: str
    """What its integer products are made of: AVX512-VNNI, AVX2 or plain C."""
    compiler: str
    path: Path
    parallel: bool
    """Whether it was built with OpenMP; without, it runs on one thread."""

    def __str__(self) -> str:
        threads = "" if self.parallel else ", one thread"
        return f"{self.instructions}{threads}, built by {self.compiler}"


def native_kernel() -> NativeKernel:
    """The compiled kernel, built if it is not there yet (seconds, once). Raises NativeError where it cannot be had.

    The answer, good or bad, is that of the first call in a process; `forget_native_kernel()` asks anew.
    """
    found = _found()
    if isinstance(found, str):
        raise NativeError(found)
    return found


def native_failure() -> str | None:
    """Why there is no native kernel; None if there is one."""
    found = _found()
    return found if isinstance(found, str) else None


def forget_native_kernel() -> None:
    """Ask anew at the next call, say after a compiler was installed."""
    _found.cache_clear()


@lru_cache
def _found() -> NativeKernel | str:
    """The kernel, or why there is none: a failed compilation is not repeated for each model."""
    try:
        return _kernel()
    except NativeError as error:
        return str(error)


def _kernel() -> NativeKernel:
    if os.environ.get("LLMLIB_NO_NATIVE", "0") not in ("", "0"):
        raise NativeError("switched off by the environment variable LLMLIB_NO_NATIVE")
    compiler = _compiler()
    reasons = []
    for folder in _folders():
        for flags, parallel in (((*FLAGS, "-fopenmp"), True), (FLAGS, False)):
            path = folder / f"blockwise-{_key(compiler, flags)}.so"
            try:
                return _built(path, compiler, flags, parallel)
            except (OSError, NativeError) as error:
                reasons.append(str(error))
                if isinstance(error, OSError):
                    break  # the folder is no place for it; the flags do not matter
    raise NativeError(reasons[0])


def _built(path: Path, compiler: str, flags: tuple[str, ...], parallel: bool) -> NativeKernel:
    name = Path(compiler).name
    if path.exists():
        try:
            return _loaded(path, name, parallel)
        except (OSError, NativeError):  # damaged: built anew
            path.unlink()
    _compile(compiler, flags, path)
    return _loaded(path, name, parallel)


def _compiler() -> str:
    """The C compiler: $CC or the first of the usual names that is installed."""
    for name in filter(None, (os.environ.get("CC"), *COMPILERS)):
        if found := shutil.which(name):
            return found
    raise NativeError(f"no C compiler found (looked for {', '.join(COMPILERS)})")


def _folders():
    """Where the result may be kept: the cache; or for this process alone, if that cannot be written or run from."""
    yield cache_dir() / "native"
    with tempfile.TemporaryDirectory(prefix="llmlib-native-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)  # what is loaded stays loaded after the folder is gone


def _key(compiler: str, flags: tuple[str, ...]) -> str:
    parts = (SOURCE.read_text(), compiler, *flags, _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """What this processor can do: code made for another one may end the process."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
        told = sorted({line for line in lines if line.startswith(wanted)})
    except OSError:
        told = [platform.processor()]
    return "\n".join([platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability(), *told])


def _compile(compiler: str, flags: tuple[str, ...], path: Path) -> None:
    """OSError if `path` cannot be written, NativeError if the compiler does not like it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # two processes may build at once
    partial.touch()
    try:
        command = [compiler, *flags, "-o", str(partial), str(SOURCE), "-lm"]
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
        if run.returncode:
            said = [line for line in run.stderr.splitlines() if "error" in line] or run.stderr.splitlines() or ["?"]
            raise NativeError(f"{Path(compiler).name} could not compile the kernel: {said[0].strip()[:200]}")
        os.replace(partial, path)
    except subprocess.TimeoutExpired:
        raise NativeError(f"{Path(compiler).name} took more than {SECONDS} s") from None
    finally:
        partial.unlink(missing_ok=True)


def _loaded(path: Path, compiler: str, parallel: bool) -> NativeKernel:
    library = ctypes.CDLL(str(path))  # OSError: damaged, or a folder nothing may be run from
    try:
        matmul, told = library.blockwise_matmul, library.blockwise_instructions
    except AttributeError:
        raise NativeError(f"{path} is not the kernel: delete it") from None
    matmul.argtypes, matmul.restype = [ctypes.c_void_p] * 4 + [ctypes.c_int] * 6, None
    told.argtypes, told.restype = [], ctypes.c_char_p
    return NativeKernel(matmul, told().decode(), compiler, path, parallel)
