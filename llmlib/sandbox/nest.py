"""Inside the sandbox: a process that has loaded its modules is forked for each session, and each fork walls itself in.

The walls of the outer sandbox stay as they are. What forks could share inside them is taken away from each before any
untrusted code runs: process ids, /tmp, /dev/shm, /dev/pts, /proc, network, IPC and capabilities, in user namespaces
below which none can be made. So a session neither sees nor reaches the process it was forked from, nor its siblings.
Standard library only: the worker reads it by path.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable

HOST_PROC = "/sandbox/proc"  # makes a /proc of one's own possible (the kernel wants to see a whole one first)
CLONE_NEW = {"NS": 0x20000, "UTS": 0x4000000, "IPC": 0x8000000, "USER": 0x10000000, "PID": 0x20000000, "NET": 1 << 30}
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 24, 38, 47
CAPABILITIES = 0x20080522  # version 3 of the header of capset


def serve(control: socket.socket, controls: list[str], session: Callable[[list[int]], None]) -> None:
    """Fork a walled-in ``session(descriptors)`` for each message on ``control``, until its other end is closed.

    A message is the size of /tmp in MB and brings the descriptors: the session's lifeline first, then its own.
    ``controls``: paths of /proc that stay read-only.
    """
    for _ in range(40):  # a module's own threads may be about to end
        if len(os.listdir("/proc/self/task")) == 1:
            break
        time.sleep(0.05)
    else:
        raise RuntimeError("a module that was loaded keeps threads: it cannot be forked")
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 8)
        if not message:
            return
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                control.close()
                _wall_in(int(message), controls, socket.socket(fileno=descriptors[0]), descriptors[1:], session)
            os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)


def _wall_in(tmp_mb: int, controls: list[str], lifeline: socket.socket, descriptors: list[int], session) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    _check(libc.unshare(sum(CLONE_NEW.values())))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    if os.fork() != 0:  # the child is process 1 of the new namespace: with it all others end
        os._exit(0)
    os.setsid()
    _mount_own(libc, tmp_mb, controls)
    os.chdir("/tmp")
    _drop_capabilities(libc)
    lifeline.send(b"here")  # the kernel tells the other end which process this is
    if lifeline.recv(8) != b"go":
        return
    child = os.fork()
    if child == 0:
        lifeline.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        session(descriptors)
        os._exit(0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for descriptor in descriptors:
        os.close(descriptor)
    ended = os.pidfd_open(child)
    select.select([lifeline, ended], [], [])  # until nobody is interested any more, or the session is over


def _mount_own(libc: ctypes.CDLL, tmp_mb: int, controls: list[str]) -> None:
    def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
        given = [s.encode() if s else None for s in (source, target, kind)]
        _check(libc.mount(*given, ctypes.c_ulong(flags), options.encode()))

    plain = NOSUID | NODEV
    mount("none", "/", None, REC | PRIVATE)
    mount("proc", "/proc", "proc", plain | NOEXEC)
    with open("/proc/sys/user/max_user_namespaces", "w") as limit:
        limit.write("0")
    with contextlib.suppress(OSError), open("/proc/sys/kernel/pid_max", "w") as limit:
        limit.write("301")  # of this namespace alone, from Linux 6.14 on; the least the kernel takes
    for path in filter(os.path.exists, controls):
        mount(path, path, None, BIND | REC)
        mount("none", path, None, BIND | REMOUNT | RDONLY | plain | NOEXEC)
    mount("tmpfs", "/tmp", "tmpfs", plain, f"size={tmp_mb}m,mode=1777")
    mount("tmpfs", "/dev/shm", "tmpfs", plain, "size=1m,mode=1777")
    for path in (HOST_PROC, "/dev/pts"):
        mount("tmpfs", path, "tmpfs", plain | NOEXEC | RDONLY, "size=4k,mode=755")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    number = 0
    while libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
    header, nothing = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    _check(libc.capset(header, nothing))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
