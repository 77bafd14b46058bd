"""A sandbox that has loaded its modules already, forked for every session: starting torch once instead of thirty times.

Only trusted modules run in the zygote. Each session is a fork with walls of its own around it
(:mod:`llmlib.sandbox.nest`), made before it reads its first request, so sessions share nothing but what they cannot
write. It needs bubblewrap and user namespaces within user namespaces; where these are missing, or where a session of it
is found to see more than it should, :class:`SandboxUnavailable` is raised and sessions start the slow way.
"""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmlib.sandbox import backends
from llmlib.sandbox.groups import PidsGroup
from llmlib.sandbox.limits import Limits
from llmlib.sandbox.nest import HOST_PROC

START_SECONDS = 120.0


class Zygote:
    """Keyword arguments as for :class:`llmlib.sandbox.Session`, which takes the zygote in their place.

    ``afterwards``: modules that sessions are likely to import, loaded as they would load them, without what is hidden
    and withheld; those that cannot be are left to them.
    It may be used by the process that made it and by those forked from that one; it ends with its maker's thread.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        hide: Sequence[str] = ("llmlib", "courseware"),
        provide: Sequence[str] = (),
        stubs: Sequence[str] = (),
        withhold: Sequence[str] = (),
        lend: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        afterwards: Sequence[str] = (),
    ) -> None:
        if not hasattr(os, "pidfd_open") or not backends.works("bubblewrap"):
            raise backends.SandboxUnavailable("a zygote needs bubblewrap")
        view = backends.make_view(lend or {}, [*hide, *stubs], 1)
        if any(Path(inside).is_relative_to("/tmp") for inside in view.binds):
            raise backends.SandboxUnavailable("a zygote cannot give a /tmp to each session: Python is installed there")
        command = [backends.PYTHON, "-I", backends.WORKER, "--zygote"]
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            backends.bubblewrap_command(command, view, nest=HOST_PROC),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=backends.environment() | dict(env or {}),
            start_new_session=True,
        )
        theirs.close()
        setup = {"path": backends.import_path(lend), "preload": preload, "hide": hide, "provide": provide}
        setup |= {"stubs": stubs, "withhold": withhold, "afterwards": afterwards}
        setup |= {"controls": backends.KERNEL_CONTROLS}
        try:
            self._control.settimeout(START_SECONDS)
            self._control.send(json.dumps(setup).encode())
            if self._control.recv(16) != b"ready":
                raise OSError("it ended")
            self._try()
        except OSError as error:
            self.close()
            raise backends.SandboxUnavailable(f"the zygote did not start: {error}") from None

    def spawn(self, tmp_mb: int, capture: bool = False, group: PidsGroup | None = None) -> "Fork":
        """A forked worker, in ``group``, that waits for its first request. OSError if it does not come up."""
        lifeline, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        (requests, to_requests), (from_replies, replies) = os.pipe(), os.pipe()
        from_errors, errors = os.pipe() if capture else (None, None)
        given = [theirs.fileno(), requests, replies, *([errors] if capture else [])]
        kept = [to_requests, from_replies, *([from_errors] if capture else [])]
        try:
            try:
                socket.send_fds(self._control, [str(tmp_mb).encode()], given)
            finally:
                theirs.close()
                for descriptor in given[1:]:
                    os.close(descriptor)
            lifeline.settimeout(START_SECONDS)
            message, extra, _, _ = lifeline.recvmsg(16, socket.CMSG_SPACE(struct.calcsize("3i")))
            pids = [struct.unpack("3i", data)[0] for _, kind, data in extra if kind == socket.SCM_CREDENTIALS]
            if message != b"here" or not pids:
                raise OSError("a session did not start")
            ended = os.pidfd_open(pids[0])  # it waits for our answer, so the number is still its own
            if group is not None:
                group.add(pids[0])  # it has started nothing yet
            lifeline.send(b"go")
        except OSError:
            lifeline.close()
            for descriptor in kept:
                os.close(descriptor)
            raise
        return Fork(pids[0], ended, lifeline, kept)

    def close(self) -> None:
        """End the zygote and every session of it."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _try(self) -> None:
        """Does the wall around a session hold? The sandbox's own probe, and what a fork could share."""
        fork = self.spawn(tmp_mb=1)
        try:
            asked = [{"limits": vars(Limits()), "capture": False}]
            asked += [{"op": "run", "source": backends.PROBE + _PROBE, "label": "<probe>"}]
            for request in asked:
                fork.stdin.write(json.dumps({**request, "nonce": "probe"}).encode() + b"\n")
                fork.stdin.flush()
                if not _readable(fork.stdout.fileno(), START_SECONDS):
                    raise OSError("a session did not answer")
                fork.stdout.readline()  # replies begin with an empty line
                reply = json.loads(fork.stdout.readline() or b'{"error": {"type": "died", "text": "no reply"}}')
                if error := reply.get("error"):
                    raise OSError(f"its walls have a hole: {error['type']}: {error['text']}")
        finally:
            fork.kill()
            fork.wait()
            fork.stdin.close()
            fork.stdout.close()


_PROBE = f"""
import ctypes
assert os.listdir({HOST_PROC!r}) == []
assert sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == [1, os.getpid()]
assert "NoNewPrivs:\\t1" in (status := open("/proc/self/status").read())
assert all(int(line.split()[1], 16) == 0 for line in status.splitlines() if line.startswith("Cap"))
assert ctypes.CDLL(None).unshare(0x10000000) == -1
"""


class Fork:
    """A session's process, as much of :class:`subprocess.Popen` as a session uses: killing it kills all it started."""

    def __init__(self, pid: int, ended: int, lifeline: socket.socket, pipes: Sequence[int]) -> None:
        self.pid = pid
        self._ended, self._lifeline = ended, lifeline
        self._lock = threading.Lock()  # no signal through a descriptor that was closed meanwhile
        self.stdin, self.stdout = os.fdopen(pipes[0], "wb"), os.fdopen(pipes[1], "rb")
        self.stderr = os.fdopen(pipes[2], "rb") if len(pipes) > 2 else None

    def poll(self) -> int | None:
        """None while it lives."""
        with self._lock:
            return None if self._ended is not None and not _readable(self._ended, 0) else -signal.SIGKILL

    def kill(self) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._ended is not None:
                signal.pidfd_send_signal(self._ended, signal.SIGKILL)

    def wait(self, seconds: float = 10.0) -> None:
        """Until it has ended; what ties it to this process is given up."""
        if self._ended is not None:
            _readable(self._ended, seconds)
            with self._lock:
                self._lifeline.close()
                os.close(self._ended)
                self._ended = None


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()  # unlike select(), for descriptors of any number
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
