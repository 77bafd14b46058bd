"""How the worker is walled in: bubblewrap, Linux namespaces by hand, or not at all.

A backend turns a command into one that runs it with a private file system, without network, in its own process tree.
What is visible: the system's libraries and this interpreter, read-only; a small /tmp; the worker's own files; whatever
the caller lends read-only. Not visible: home folders, this repository, the caller's environment variables.
"""

import functools
import importlib.util
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
WORKER = "/sandbox/worker.py"
WORKER_FILES = ("worker.py", "wire.py", "standins.py", "refusals.py", "syscalls.py", "nest.py")
# Real root stays the owner of these even without capabilities, and may write them: core_pattern alone is a way out.
KERNEL_CONTROLS = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
TOOLS_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
HERE = Path(__file__).resolve().parent
PYTHON = os.path.abspath(sys.executable)  # the virtual environment's own link, without ".." in its path


class SandboxUnavailable(RuntimeError):
    """No way to wall a process in on this machine."""


@dataclass(frozen=True)
class View:
    """What the sandbox sees: ``binds`` (path inside -> path outside, read-only) and ``masks`` (shown empty)."""

    binds: Mapping[str, str] = field(default_factory=dict)
    masks: Sequence[str] = ()
    tmp_mb: int = 64


def environment() -> dict[str, str]:
    """The environment of the worker: nothing of the caller's but what an interpreter needs to start."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LANG") if name in os.environ}
    return kept | {
        "PATH": TOOLS_PATH,
        "HOME": "/tmp",
        "USER": "student",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # every further one would reserve 64 MB of the memory limit
    }


def interpreter_roots() -> list[str]:
    """Folders this interpreter and its packages live in."""
    roots = {os.path.abspath(p) for p in (sys.prefix, sys.base_prefix)} | {str(Path(PYTHON).resolve().parent.parent)}
    if site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages()):
        roots.add(site.getusersitepackages())
    return sorted(roots)


def module_paths(names: Sequence[str]) -> list[str]:
    """Where top-level modules are installed, so that they can be masked."""
    found = []
    for name in names:
        try:
            spec = importlib.util.find_spec(name.split(".")[0])
        except (ImportError, ValueError):
            continue
        if spec is not None:
            found += [str(Path(p).resolve()) for p in spec.submodule_search_locations or [spec.origin]]
    return found


def make_view(lend: Mapping[str, str], hide: Sequence[str], tmp_mb: int) -> View:
    """The standard view plus what is lent, with hidden modules and this library's own folder masked."""
    roots = [p for p in (*SYSTEM, *interpreter_roots()) if os.path.exists(p)]
    binds = {p: p for p in roots} | {f"/sandbox/{name}": str(HERE / name) for name in WORKER_FILES}
    repository = str(HERE.parent.parent)
    candidates = [*module_paths(hide), str(HERE.parent)]
    if os.path.exists(os.path.join(repository, "pyproject.toml")):
        candidates.append(repository)
    masks = sorted({p for p in candidates if any(Path(p).is_relative_to(os.path.realpath(r)) for r in roots)})
    return View({**binds, **lend}, masks, tmp_mb)


def import_path(lend: Mapping[str, str] | None) -> list[str]:
    """Where the worker looks for modules beside the interpreter's own places, which ``python -I`` keeps to."""
    return [*(["/sandbox/lib"] if lend else []), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def _steps(view: View) -> list[tuple[str, str | None]]:
    """Binds and masks, outer paths first, so that an inner one always wins."""
    steps = [*view.binds.items(), *((mask, None) for mask in view.masks)]
    return sorted(steps, key=lambda step: (len(Path(step[0]).parts), step[0]))


def bubblewrap_command(command: Sequence[str], view: View, *, nest: str = "") -> list[str]:
    """``command`` inside bubblewrap (https://github.com/containers/bubblewrap).

    ``nest``: where a zygote finds the caller's /proc, which it needs to wall its forks in; see :mod:`.zygote`.
    """
    line = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    line += ["--unshare-user", "--disable-userns"] if not nest and _can_disable_namespaces() else []
    line += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
    # Before the binds: an interpreter that lives under /tmp is then bound into the new /tmp, not hidden by it.
    line += ["--size", str(view.tmp_mb << 20), "--tmpfs", "/tmp"]
    for inside, outside in _steps(view):
        line += ["--tmpfs", inside] if outside is None else ["--ro-bind", outside, inside]
    line += ["--proc", "/proc"]
    for path in filter(os.path.exists, KERNEL_CONTROLS):
        line += ["--ro-bind", path, path]
    line += ["--bind", "/proc", nest] if nest else []
    line += ["--dev", "/dev", "--size", "1048576", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    line += ["--chdir", "/tmp", "--remount-ro", "/"]
    return [*line, "--", *command]


@functools.cache
def _can_disable_namespaces() -> bool:
    """Does this bubblewrap refuse nested user namespaces (from 0.8 on)? The worker's own filter does so too."""
    trial = ["bwrap", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        return subprocess.run(trial, capture_output=True, timeout=20, env=environment()).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


_NAMESPACES = """\
set -e
root="$1"; size="$2"; KERNEL_CONTROLS="$3"; shift 3
mount -t tmpfs -o size=1m,mode=755 tmpfs "$root"
mkdir -p "$root/tmp"
mount -t tmpfs -o size="$size",mode=777,nosuid,nodev tmpfs "$root/tmp"
while [ "$1" != "--" ]; do
  inside="$root$1"; outside="$2"; shift 2
  if [ -z "$outside" ]; then mount -t tmpfs -o size=4k,mode=755,ro tmpfs "$inside"; continue; fi
  if [ -d "$outside" ]; then mkdir -p "$inside"; else mkdir -p "$(dirname "$inside")"; : > "$inside"; fi
  mount --rbind "$outside" "$inside"
  mount --make-rprivate "$inside"
done
shift
# Every mount but /tmp made read-only, nested ones too.
while read -r _ at _; do
  case "$at" in "$root/tmp") ;; "$root"/*) mount -o remount,bind,ro,nosuid "$at";; esac
done < /proc/mounts
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
for path in $KERNEL_CONTROLS; do
  if [ -e "$root$path" ]; then
    mount --bind "$root$path" "$root$path"; mount -o remount,bind,ro,nosuid,nodev,noexec "$root$path"
  fi
done
for device in null zero random urandom; do
  : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro,nosuid,nodev "$root"
cd "$root/tmp"
exec chroot "$root" /bin/sh -c 'cd /tmp; exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"' sh "$@"
"""


def namespaces_command(command: Sequence[str], view: View) -> list[str]:
    """``command`` inside user, mount, pid, network and IPC namespaces made with util-linux."""
    root = os.path.join(tempfile.gettempdir(), f"llmlib-sandbox-{os.getuid()}")
    os.makedirs(root, exist_ok=True)  # an empty folder to mount on; nothing is ever written to it
    line = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork"]
    line += [
        "--kill-child=SIGKILL",
        "sh",
        "-c",
        _NAMESPACES,
        "sh",
        root,
        str(view.tmp_mb << 20),
        " ".join(KERNEL_CONTROLS),
    ]
    for inside, outside in _steps(view):
        line += [inside, outside or ""]
    return [*line, "--", *command]


BUILDERS = {"bubblewrap": bubblewrap_command, "namespaces": namespaces_command}
_NEEDS = {"bubblewrap": ("bwrap",), "namespaces": ("unshare", "setpriv", "chroot", "mount")}
PROBE = """
import os, socket
try:
    socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error:
    assert not isinstance(error, TimeoutError)
kernel = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger")
for path in ("/new", "/usr/new", "/dev/new", os.path.dirname(os.__file__) + "/new", *kernel):
    try:
        open(path, "r+" if os.path.exists(path) else "w")
    except OSError:
        continue
    raise SystemExit(f"{path} can be written")
open("/tmp/new", "w").write("x")
interfaces = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
assert set(interfaces) <= {"lo", "sit0", "tunl0", "ip6tnl0"}, interfaces
print("walled in")
"""


@functools.cache
def works(name: str) -> bool:
    """Does this backend start here, and does it hold? Tried once per process, about a tenth of a second."""
    if sys.platform != "linux" or not all(shutil.which(t, path=TOOLS_PATH) for t in _NEEDS[name]):
        return False
    command = BUILDERS[name]([PYTHON, "-I", "-c", PROBE], make_view({}, (), 1))
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, env=environment())
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == b"walled in"


def available_backend() -> str | None:
    """Name of the first backend that works here: "bubblewrap", "namespaces" or None."""
    return next((name for name in BUILDERS if works(name)), None)


def choose_backend(unsafe: bool) -> str:
    """The backend to use; "none" only where the caller accepts that."""
    name = available_backend()
    if name is None and not unsafe:
        raise SandboxUnavailable(
            "no sandbox on this machine: install bubblewrap (Linux), or pass unsafe=True to run the code unprotected"
        )
    return name or "none"
