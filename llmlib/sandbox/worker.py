"""The process that runs untrusted code. It knows no expected value and returns values only.

Started by path with ``python -I``; requests come as JSON lines on stdin, replies go as JSON lines to stdout. Both are
moved to private descriptors before any untrusted code runs, which then sees an empty input and an output nobody reads
(or, for ``output``, a pipe of its own). Every request carries a fresh nonce that its reply must repeat, and the next
request is sent only after the reply: text written early, by whatever means, answers nothing.
"""

import importlib
import importlib.machinery
import json
import os
import random
import sys
import threading
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
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


def _withhold_names(names: list[str]) -> None:
    """Replace named functions and classes, wherever a loaded module offers them, by one that refuses."""

    def refuse_by(name: str):
        def refuse(*args, **kwargs):
            raise PermissionError(f"{name} is not available here: this is for you to write")

        return refuse

    for module in [m for key, m in sorted(sys.modules.items()) if key.startswith("torch.nn") or key == "torch"]:
        for name in names:
            if name in vars(module):
                setattr(module, name, refuse_by(name))


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
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("<"):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    return {"type": str(kind)[:80], "text": text, "line": line}


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


def _answer(request: dict, module: types.ModuleType) -> dict:
    space = vars(module)
    if request["op"] == "run":
        exec(compile(request["source"], request["label"], "exec"), space)
        return {}
    if request["name"] not in space:
        return {"error": {"type": "Missing", "text": f"{request['name']} is not defined", "line": None}}
    value = space[request["name"]]
    if request["args"] is not None:
        _seed(request["seed"])
        args, kwargs = wire.decode(request["args"]), wire.decode(request["kwargs"])
        if request["recipe"]:
            value = _recipe(*request["recipe"])(value, *args, **kwargs)
        else:
            value = value(*args, **kwargs)
    return {"value": wire.encode(value)}


def main() -> None:
    # Names bound here are looked up in this frame, so patching a module later does not reach them.
    getpid, leave, write, dumps, loads = os.getpid, os._exit, os.write, json.dumps, json.loads
    home, requests, replies = getpid(), os.fdopen(os.dup(0), "rb"), os.dup(1)
    output = os.dup(2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)

    setup = loads(requests.readline())
    if setup["capture"]:
        os.dup2(output, 1)
    os.close(output)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", encoding="utf-8", errors="replace"), open(2, "w")
    sys.path.extend(setup["path"])
    for name in setup["preload"]:
        importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    _withhold_names(setup["withhold"])
    sys.meta_path.insert(0, Withheld(setup["hide"], setup["provide"], setup["stubs"]))
    module = types.ModuleType("__main__")
    worker, sys.modules["__main__"] = sys.modules["__main__"], module
    _set_limits(setup["limits"])

    def reply(message: dict) -> None:
        data = ("\n" + dumps(message) + "\n").encode()  # the leading newline ends whatever others wrote before
        while data:
            data = data[write(replies, data) :]

    reply({"nonce": setup["nonce"]})
    for line in requests:
        request = loads(line)
        try:
            message = _answer(request, module)
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


if __name__ == "__main__":
    main()
