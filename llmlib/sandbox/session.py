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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from llmlib.sandbox import backends, standins
from llmlib.sandbox.groups import PidsGroup, pids_group
from llmlib.sandbox.limits import Limits
from llmlib.sandbox.wire import MAX_NODES, UnsupportedValue, decode, encode, printable, shown
from llmlib.sandbox.zygote import Zygote

START_SECONDS = 120.0
WATCH_SECONDS = 0.05
OWN_PROCESSES = 4  # the worker and the sandbox's own


class CodeError(Exception):
    """The untrusted code raised. ``type_name``, ``text``, ``line`` and ``where`` (the function's qualified name) are
    its words: show them, never trust them."""

    def __init__(self, type_name: str, text: str, line: int | None = None, where: str = "") -> None:
        # Without control characters: these words end up in terminals and reports.
        self.type_name, self.text, self.line = printable(type_name), printable(text), line
        self.where = printable(where)
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
    modules replaced by ones that do nothing, ``withhold``: names of torch and numpy functions and classes that refuse
    to work, however they are reached (:mod:`llmlib.sandbox.refusals`).
    ``lend``: path inside -> path outside, read-only; what is lent under /sandbox/lib can be imported. ``env``: further
    environment variables, which may name lent paths.
    ``unsafe=True`` accepts a plain process where no sandbox works; ``backend`` forces one ("bubblewrap", "namespaces",
    "none"). ``capture=True`` keeps what the code prints in ``output`` (else it goes nowhere).
    ``zygote``: start as a fork of this :class:`Zygote`, at once; what is loaded, hidden and lent was said when it was
    made and is not said here. The worker dies with the thread that made the session (or the zygote), so make it in one
    that lives on.
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
        zygote: Zygote | None = None,
        capture: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        setup: dict[str, object] = {"limits": vars(self.limits), "capture": capture}
        self._group: PidsGroup | None = None
        if zygote is not None:
            given = {"preload": preload, "provide": provide, "stubs": stubs, "withhold": withhold, "lend": lend}
            for name, value in (given | {"env": env, "backend": backend}).items():
                if value:
                    raise ValueError(f"{name}={value!r}: sessions of a zygote have what it has; give it to Zygote")
            self.backend = "bubblewrap"
            self._group = pids_group(self.limits.processes + OWN_PROCESSES)
            try:
                self._process = zygote.spawn(self.limits.file_mb, capture, self._group)
            except OSError as error:
                self._remove_group()
                raise backends.SandboxUnavailable(f"the zygote did not start a session: {error}") from None
        else:
            self.backend = backend or backends.choose_backend(unsafe)
            walled = self.backend != "none"
            view = backends.make_view(lend or {}, [*hide, *stubs], self.limits.file_mb)
            command = [backends.PYTHON, "-I", backends.WORKER if walled else str(backends.HERE / "worker.py")]
            if walled:
                command = backends.BUILDERS[self.backend](command, view)
                self._group = pids_group(self.limits.processes + OWN_PROCESSES)
                command = self._group.wrap(command) if self._group else command
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if capture else subprocess.DEVNULL,
                env=backends.environment() | dict((env or {}) if walled else {}),
                start_new_session=True,
            )
            setup |= {"path": backends.import_path(lend), "preload": list(preload), "hide": list(hide)}
            setup |= {"provide": list(provide), "stubs": list(stubs), "withhold": list(withhold)}
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._received = 0
        self._broken = ""  # the limit that was passed
        self._output = bytearray()
        self._own: set[int] = set()  # processes that were there before any untrusted code
        self._baseline_mb = float("inf")
        self._served: dict[str, Session] = {}
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=job, daemon=True) for job in (self._read, self._write, self._watch)]
        if capture:
            self._threads.append(threading.Thread(target=self._collect, daemon=True))
        for thread in self._threads:
            thread.start()
        try:
            self._ask(setup, START_SECONDS)
        except SandboxDied as died:
            self._remove_group()
            raise backends.SandboxUnavailable(f"the {self.backend} sandbox did not start: {died}") from None
        self._own = set(self._tree())
        # A fork still shares its pages: it may come to own each of them.
        own = [self._memory_mb([pid], exact=zygote is None) for pid in self._own]
        self._baseline_mb = sum(own) if zygote is None else max(own, default=0.0)

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
        forbid: Sequence[str] = (),
    ) -> object:
        """Value of ``name(*inputs)`` (a dict: keywords); of ``name`` itself when ``inputs`` is None.

        ``recipe``: (source, function name) of code that gets the object and the inputs and returns the value; it runs
        beside the untrusted code, which can read it. ``forbid``: functions that refuse to work during this call.
        Raises CodeError, SandboxDied, or UnsupportedValue when the reply describes no value.
        """
        args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        request = {"op": "call", "name": name, "recipe": recipe, "seed": seed, "forbid": list(forbid)}
        request["args"] = None if inputs is None else encode(list(args))
        request["kwargs"] = encode(kwargs)
        reply = self._ask(request, seconds)
        if "value" not in reply:
            raise UnsupportedValue("the reply holds no value")
        return decode(reply["value"])

    def seal(self, *, seconds: float = 10.0) -> None:
        """From here on no programme can be started; those that were started are ended.

        So nothing can compute outside the worker, where what is withheld is withheld.
        """
        self._ask({"op": "seal"}, seconds)
        for _ in range(100):
            strays = [pid for pid in self._tree() if pid not in self._own and not _is_dead(pid)]
            if not strays:
                return
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self._die("processes")

    def stand_in(self, name: str, server: "Session", *, seconds: float = 10.0) -> None:
        """Put a stand-in for ``server``'s function or module class ``name`` into this session: values in, values out.

        TypeError for what cannot be stood in for, a plain class or a variable.
        """
        kind = server.call(name, (), recipe=(standins.SERVE, "kind"), seconds=seconds)
        if kind not in ("function", "module"):
            raise TypeError(f"{name} is a {shown(kind)}: only functions and modules can be stood in for")
        self._ask({"op": "stand in", "names": {name: kind}}, seconds)
        self._served[name] = server

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """What the code printed so far (``capture=True``)."""
        return self._output.decode("utf-8", errors="replace")

    def close(self) -> None:
        """Kill everything the session started."""
        self._closed.set()
        self._kill()
        self._process.wait()
        self._remove_group()
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
        if self._closed.is_set():
            self._die(self._broken or "died")
        nonce = secrets.token_hex(16)
        self._received = 0
        self._send({**request, "nonce": nonce})
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self._die("timeout")
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                continue
            if line is None:
                self._die(self._broken or "died")
            if nonce.encode() not in line:
                continue  # written by the code, not by the worker
            if sum(map(line.count, (b"{", b"[", b","))) > MAX_NODES:
                self._die("flood")
            reply = _parse(line)
            if reply is None or reply.get("nonce") != nonce:
                continue
            if "remote" in reply:
                self._serve(reply["remote"], nonce, deadline)
                continue
            if isinstance(reply.get("error"), dict):
                error = reply["error"]
                line_number = error.get("line") if type(error.get("line")) is int else None
                raise CodeError(
                    _text(error.get("type"), 80),
                    _text(error.get("text"), 400),
                    line_number,
                    _text(error.get("where"), 80),
                )
            return reply

    def _serve(self, wanted: object, nonce: str, deadline: float) -> None:
        """Answer one call of a stand-in with a value, or with the type of what went wrong: nothing of the code."""
        try:
            name, recipe, arguments = wanted
            server = self._served[name]
            if recipe not in ("build", "call", "products"):
                raise ValueError("no such request")
            inputs = decode(arguments)
            left = max(0.1, deadline - time.monotonic())
            answer = {"value": encode(server.call(name, inputs, recipe=(standins.SERVE, recipe), seconds=left))}
        except CodeError as error:
            answer = {"error": f"{error.type_name}: this call cannot be answered"}
        except (SandboxDied, UnsupportedValue, KeyError, TypeError, ValueError) as error:
            answer = {"error": f"{type(error).__name__}: this call cannot be answered"}
        self._send({**answer, "nonce": nonce})

    def _send(self, message: dict) -> None:
        self._outbox.put((json.dumps(message) + "\n").encode())

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
                    self._broken = "flood"
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
        """Limits on the whole tree of processes, kept by the clock: whatever the code says or does, every 50 ms."""
        while not self._closed.wait(WATCH_SECONDS):
            tree = self._tree()
            if len(tree) > self.limits.processes + OWN_PROCESSES:
                self._break("processes")
            allowed = self._baseline_mb + self.limits.memory_mb + 64
            if self._memory_mb(tree) > allowed and self._memory_mb(tree, exact=True) > allowed:
                self._break("memory")

    def _break(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._closed.set()
        self._kill()
        self._lines.put(None)

    def _remove_group(self) -> None:
        if self._group:
            self._group.remove()
            self._group = None

    def _kill(self) -> None:
        if isinstance(self._process, subprocess.Popen) and os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def _tree(self) -> list[int]:
        """Ids of our process and all below it, by whichever thread they were started; empty where /proc is not."""
        found, todo = [], [self._process.pid]
        while todo and len(found) <= self.limits.processes + OWN_PROCESSES:
            pid = todo.pop()
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as children:
                        todo += map(int, children.read().split())
            except OSError:
                continue
            found.append(pid)
        return found

    def _memory_mb(self, tree: Iterable[int], *, exact: bool = False) -> float:
        """Memory the processes use that no file backs, shared pages included: exactly, or at most (and quickly)."""
        total = 0
        for pid in tree:
            with contextlib.suppress(OSError, ValueError):
                total += _proportional(pid) if exact else _resident(pid)
        return total / 1024


def _resident(pid: int) -> int:
    """Anonymous and shared memory of a process in kB; pages it shares with a parent count in both."""
    with open(f"/proc/{pid}/status", "rb") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith((b"RssAnon:", b"RssShmem:")))


def _proportional(pid: int) -> int:
    """The same with each shared page counted once over all processes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
            return sum(int(line.split()[1]) for line in rollup if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")))
    except OSError:  # a process that hides its map has what it seems to have
        return _resident(pid)


def _is_dead(pid: int) -> bool:
    """Killed and not yet waited for by its parent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def _text(value: object, limit: int) -> str:
    return value[:limit] if type(value) is str else ""


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
