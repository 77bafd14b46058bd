"""The process that runs untrusted code. It knows no expected value and returns values only.

Started by path with ``python -I``; requests come as JSON lines on stdin, replies go as JSON lines to stdout. Both are
moved to private descriptors before any untrusted code runs, which then sees an empty input and an output nobody reads
(or, for ``output``, a pipe of its own). Every request carries a fresh nonce that its reply must repeat, and the next
request is sent only after the reply: text written early, by whatever means, answers nothing.

While a request is answered the code may call stand-ins (:mod:`standins`): the worker then sends ``remote`` under the
same nonce and reads one line back.
"""

import contextlib
import importlib
import importlib.machinery
import json
import os
import random
import socket
import sys
import threading
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nest
import refusals
import standins
import syscalls
import wire

sys.path.pop(0)


class Withheld:
    """Import hook: some modules are absent, some are stand-ins whose every attribute does nothing."""

    def __init__(self, hide: list[str], provide: list[str], stubs: list[str]) -> None:
        self.hide, self.provide, self.stubs = hide, provide, stubs

    def find_spec(self, name: str, path=None, target=None):
        if any(_within(name, stub) for stub in self.stubs):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        kept = any(_within(name, p) or _within(p, name) for p in self.provide)
        if not kept and any(_within(name, hidden) for hidden in self.hide):
            raise ModuleNotFoundError(f"{name} is not available here: this is for you to write", name=name)
        return None

    def create_module(self, spec):
        return DoNothing(spec.name)

    def exec_module(self, module) -> None:
        pass


class DoNothing(types.ModuleType):
    """A module in which every name is a function that takes anything and returns None."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _set_limits(limits: dict) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return

    def set_hard(what: str, value: int) -> None:
        try:
            resource.setrlimit(getattr(resource, what), (value, value))
        except (AttributeError, ValueError, OSError):
            pass  # a platform without this limit, or a stricter one already in force

    if sys.platform == "linux":
        _limit_processes(resource, limits["processes"])
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as statm:
            mapped = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        set_hard("RLIMIT_AS", mapped + (limits["memory_mb"] << 20))
    set_hard("RLIMIT_CPU", limits["cpu_seconds"])
    set_hard("RLIMIT_FSIZE", limits["file_mb"] << 20)
    set_hard("RLIMIT_CORE", 0)
    set_hard("RLIMIT_NOFILE", 256)  # pipes and sockets hold memory too
    set_hard("RLIMIT_MSGQUEUE", 0)


def _limit_processes(resource, count: int) -> None:
    # Older kernels count all processes of the user, not those of this namespace: keep the limit only if it leaves room.
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (count, hard))
        probe = threading.Thread(target=int)
        probe.start()
        probe.join()
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
    except (RuntimeError, ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


def _short(error: BaseException) -> dict:
    kind = type(error).__name__
    try:
        text = str(error)[:400]
    except BaseException:
        text = "(the error cannot be printed)"
    line, where, trace = None, "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("<"):
            line, where = trace.tb_lineno, trace.tb_frame.f_code.co_qualname
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    return {"type": str(kind)[:80], "text": text, "line": line, "where": str(where)}


def _seed(seed: int) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _recipe(source: str, name: str):
    """A trusted recipe, in a namespace of its own that the student's code does not share."""
    space: dict = {"__name__": "recipe"}
    exec(compile(source, "recipe", "exec"), space)
    return space[name]


def _answer(request: dict, module: types.ModuleType, remote) -> dict:
    space = vars(module)
    if request["op"] == "seal":
        return {"sealed": syscalls.deny(syscalls.EXECUTE)}
    if request["op"] == "stand in":
        for name, kind in request["names"].items():
            space[name] = standins.stand_in(name, kind, remote)
        return {}
    if request["op"] == "run":
        exec(compile(request["source"], request["label"], "exec"), space)
        return {}
    if request["name"] not in space:
        return {"error": {"type": "Missing", "text": f"{request['name']} is not defined", "line": None}}
    value = space[request["name"]]
    if request["args"] is None:
        return {"value": wire.encode(value)}
    _seed(request["seed"])
    args, kwargs = wire.decode(request["args"]), wire.decode(request["kwargs"])
    undo = refusals.refuse(request["forbid"])
    try:
        if request["recipe"]:
            value = _recipe(*request["recipe"])(value, *args, **kwargs)
        else:
            value = value(*args, **kwargs)
        return {"value": wire.encode(value)}
    finally:
        refusals.allow(undo)


def prepare(setup: dict) -> None:
    """Load what is to be there and take away what is not, before any untrusted code."""
    sys.path.extend(setup["path"])
    for name in setup["preload"]:
        importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    refusals.refuse(setup["withhold"], for_good=True)
    sys.meta_path.insert(0, Withheld(setup["hide"], setup["provide"], setup["stubs"]))


def close_streams() -> None:
    """From here on standard input is empty and output goes nowhere."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def converse(requests, replies: int, output: int | None) -> None:
    """One session: its limits, then request by request until nobody asks any more."""
    # Names bound here are looked up in this frame, so patching a module later does not reach them.
    getpid, leave, write, dumps, loads = os.getpid, os._exit, os.write, json.dumps, json.loads
    home = getpid()
    setup = loads(requests.readline())
    if output is not None:
        if setup["capture"]:
            os.dup2(output, 1)
        os.close(output)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", encoding="utf-8", errors="replace"), open(2, "w")
    if "preload" in setup:  # else the zygote has done it
        prepare(setup)
    module = types.ModuleType("__main__")
    worker, sys.modules["__main__"] = sys.modules["__main__"], module
    _set_limits(setup["limits"])
    filtered = syscalls.deny(syscalls.NUMBERS)
    asked = threading.Lock()
    current = [setup["nonce"]]

    def reply(message: dict) -> None:
        data = ("\n" + dumps(message) + "\n").encode()  # the leading newline ends whatever others wrote before
        while data:
            data = data[write(replies, data) :]

    def remote(name: str, recipe: str, arguments: object) -> object:
        with asked:
            reply({"nonce": current[0], "remote": [name, recipe, wire.encode(arguments)]})
            answer = loads(requests.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return wire.decode(answer["value"])

    reply({"nonce": setup["nonce"], "filtered": filtered})
    for line in requests:
        request = loads(line)
        current[0] = request["nonce"]
        try:
            message = _answer(request, module, remote)
        except BaseException as error:
            message = {"error": _short(error)}
        if getpid() != home:  # the code forked and came back twice
            leave(0)
        try:
            sys.stdout.flush()
        except BaseException:
            pass
        reply({"nonce": request["nonce"], **message})
    del worker
    leave(0)


def be_zygote() -> None:
    """Load everything once, then a fork for each session that is asked for."""
    control = socket.socket(fileno=os.dup(0))
    close_streams()
    setup = json.loads(control.recv(1 << 20))
    prepare(setup)
    for name in setup["afterwards"]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    nest.serve(control, setup["controls"], start)


def start(descriptors: list[int]) -> None:
    """A session of a zygote: where requests come from, where replies and (if they are kept) outputs go."""
    requests, replies, *output = descriptors
    converse(os.fdopen(requests, "rb"), replies, output[0] if output else None)


def main() -> None:
    if "--zygote" in sys.argv:
        try:
            be_zygote()
        finally:
            os._exit(1)
    else:
        requests, replies, output = os.fdopen(os.dup(0), "rb"), os.dup(1), os.dup(2)
        close_streams()
        converse(requests, replies, output)


if __name__ == "__main__":
    main()
