"""The trusted side: start a worker, ask it one thing at a time, believe nothing but the value.

A request that outlives its wall-clock limit, sends too much, or kills the worker ends the session with
:class:`SandboxDied`; an exception in the untrusted code is a :class:`CodeError` and the session goes on.
"""

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from llmlib.sandbox import backends
from llmlib.sandbox.limits import Limits
from llmlib.sandbox.wire import UnsupportedValue, decode, encode, printable

START_SECONDS = 60.0


class CodeError(Exception):
    """The untrusted code raised. ``type_name``, ``text`` and ``line`` are its words: show them, never trust them."""

    def __init__(self, type_name: str, text: str, line: int | None = None) -> None:
        # Without control characters: these words end up in terminals and reports.
        self.type_name, self.text, self.line = printable(type_name), printable(text), line
        super().__init__(f"{self.type_name}: {self.text}" if text else self.type_name)


class SandboxDied(Exception):
    """The worker is gone. ``reason`` is one of "timeout", "died", "flood", "memory", "processes", "gave up"."""

    EXPLAIN: ClassVar = {
        "timeout": "took longer than its time limit",
        "died": "ended the interpreter",
        "flood": "sent more than its limit of output",
        "memory": "used more memory than allowed",
        "processes": "started more processes than allowed",
        "gave up": "cannot be run: the code around it ended or hung the interpreter too often",
    }

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(self.EXPLAIN[reason])


class Session:
    """One worker process and the namespace of the code that ran in it.

    ``preload``: modules imported before any untrusted code (torch takes about two seconds). ``hide``: modules that are
    absent, ``provide``: exceptions to that (their files must be lent where the file system is walled), ``stubs``:
    modules replaced by ones that do nothing, ``withhold``: names of torch functions and classes that refuse to work.
    ``lend``: path inside -> path outside, read-only; what is lent under /sandbox/lib can be imported. ``env``: further
    environment variables, which may name lent paths.
    ``unsafe=True`` accepts a plain process where no sandbox works; ``backend`` forces one ("bubblewrap", "namespaces",
    "none"). ``capture=True`` keeps what the code prints in ``output`` (else it goes nowhere). The worker dies with the
    thread that made the session, so make it in one that lives on.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        preload: Sequence[str] = (),
        hide: Sequence[str] = ("llmlib", "courseware"),
        provide: Sequence[str] = (),
        stubs: Sequence[str] = (),
        withhold: Sequence[str] = (),
        lend: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        unsafe: bool = False,
        backend: str | None = None,
        capture: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.backend = backend or backends.choose_backend(unsafe)
        walled = self.backend != "none"
        view = backends.make_view(lend or {}, [*hide, *stubs], self.limits.file_mb)
        command = [backends.PYTHON, "-I", backends.WORKER if walled else str(backends.HERE / "worker.py")]
        if walled:
            command = backends.BUILDERS[self.backend](command, view)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if capture else subprocess.DEVNULL,
            env=backends.environment() | dict((env or {}) if walled else {}),
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._received = 0
        self._flooded = False
        self._output = bytearray()
        self._threads = [threading.Thread(target=job, daemon=True) for job in (self._read, self._write)]
        if capture:
            self._threads.append(threading.Thread(target=self._collect, daemon=True))
        for thread in self._threads:
            thread.start()
        self._baseline_mb = 0
        setup = {
            "limits": vars(self.limits),
            "path": [*(["/sandbox/lib"] if lend else []), *_extra_paths()],
            "preload": list(preload),
            "hide": list(hide),
            "provide": list(provide),
            "stubs": list(stubs),
            "withhold": list(withhold),
            "capture": capture,
        }
        try:
            self._ask(setup, START_SECONDS)
        except SandboxDied as died:
            raise backends.SandboxUnavailable(f"the {self.backend} sandbox did not start: {died}") from None
        self._baseline_mb = self._usage()[1]

    # -- what callers use ---------------------------------------------------------------------------------------------

    def run(self, source: str, *, seconds: float = 10.0, label: str = "<code>") -> None:
        """Execute ``source`` in the session's namespace. CodeError if it raises, SandboxDied if it cannot go on."""
        self._ask({"op": "run", "source": source, "label": label}, seconds)

    def call(
        self,
        name: str,
        inputs: tuple | dict | None = (),
        *,
        recipe: tuple[str, str] | None = None,
        seed: int = 0,
        seconds: float = 10.0,
    ) -> object:
        """Value of ``name(*inputs)`` (a dict: keywords); of ``name`` itself when ``inputs`` is None.

        ``recipe``: (source, function name) of trusted code that gets the object and the inputs and returns the value.
        Raises CodeError, SandboxDied, or UnsupportedValue when the reply describes no value.
        """
        args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        request = {"op": "call", "name": name, "recipe": recipe, "seed": seed}
        request["args"] = None if inputs is None else encode(list(args))
        request["kwargs"] = encode(kwargs)
        reply = self._ask(request, seconds)
        if "value" not in reply:
            raise UnsupportedValue("the reply holds no value")
        return decode(reply["value"])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """What the code printed so far (``capture=True``)."""
        return self._output.decode("utf-8", errors="replace")

    def close(self) -> None:
        """Kill everything the session started."""
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._outbox.put(None)
        for thread in self._threads:
            thread.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the conversation ---------------------------------------------------------------------------------------------

    def _ask(self, request: dict, seconds: float) -> dict:
        nonce = secrets.token_hex(16)
        self._received = 0
        self._outbox.put((json.dumps({**request, "nonce": nonce}) + "\n").encode())
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self._die("timeout")
            try:
                line = self._lines.get(timeout=min(left, 0.1))
            except queue.Empty:
                self._watch()
                continue
            if line is None:
                self._die("flood" if self._flooded else "died")
            reply = _parse(line)
            if reply is None or reply.get("nonce") != nonce:
                continue  # written by the code, not by the worker
            if isinstance(reply.get("error"), dict):
                error = reply["error"]
                line_number = error.get("line") if type(error.get("line")) is int else None
                raise CodeError(str(error.get("type"))[:80], str(error.get("text"))[:400], line_number)
            return reply

    def _die(self, reason: str) -> None:
        self.close()
        raise SandboxDied(reason)

    def _read(self) -> None:
        pending = bytearray()
        limit = self.limits.reply_mb << 20
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
                self._received += len(chunk)
                if self._received > limit:
                    self._flooded = True
                    break
                pending += chunk
                if b"\n" in chunk:
                    *lines, rest = bytes(pending).split(b"\n")
                    pending = bytearray(rest)
                    for line in filter(None, lines):
                        self._lines.put(line)
        self._lines.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (data := self._outbox.get()) is not None:
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def _collect(self) -> None:
        limit = self.limits.output_mb << 20
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._process.stderr.fileno(), 1 << 16):
                self._output += chunk[: max(0, limit - len(self._output))]

    def _watch(self) -> None:
        """Limits the kernel does not keep for root: processes and memory of the whole tree."""
        processes, memory_mb = self._usage()
        if processes > self.limits.processes + 4:  # the worker and the sandbox's own
            self._die("processes")
        if memory_mb > self._baseline_mb + self.limits.memory_mb + 64:
            self._die("memory")

    def _usage(self) -> tuple[int, float]:
        """Processes below ours, and the memory only they use, in MB; zeros where /proc does not tell."""
        count, private = 0, 0
        todo = [self._process.pid]
        while todo and count <= self.limits.processes + 4:
            pid = todo.pop()
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as children:
                    todo += children.read().split()
                with open(f"/proc/{pid}/statm") as statm:
                    _, resident, shared, *_ = map(int, statm.read().split())
            except OSError:
                continue
            count += 1
            private += (resident - shared) * os.sysconf("SC_PAGE_SIZE")
        return count, private / 2**20


def _extra_paths() -> list[str]:
    """Packages of the user's own site folder, which ``python -I`` leaves out."""
    import site

    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []


def _parse(line: bytes) -> dict | None:
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return reply if type(reply) is dict else None


@dataclass(frozen=True)
class Finished:
    """What became of a programme. ``status``: "ok", "error", or a reason of :class:`SandboxDied`."""

    status: str
    output: str
    error: str

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def run_python(source: str, *, seconds: float = 10.0, limits: Limits | None = None, **options: object) -> Finished:
    """Run a whole programme and return what it printed; ``options`` as for :class:`Session`. Never raises for its sake.

    A programme decides itself what it prints and how it ends: to judge an answer, call it with inputs of your own
    through a :class:`Session` and compare the value.
    """
    with Session(limits, capture=True, **options) as session:
        try:
            session.run(source, seconds=seconds, label="<program>")
            status, error = "ok", ""
        except CodeError as raised:
            finished = raised.type_name == "SystemExit" and raised.text in ("", "0", "None")
            status, error = ("ok", "") if finished else ("error", str(raised))
        except SandboxDied as died:
            status, error = died.reason, str(died)
        session.close()
        return Finished(status, session.output(), error)
