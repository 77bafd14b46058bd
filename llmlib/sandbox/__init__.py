"""Run Python nobody has read: a student's answer, a model's programme.

The code runs in a process of its own with limits on memory, processor time, wall-clock time, file sizes and the number
of processes, without network, and with a file system that holds a read-only interpreter and a throw-away folder. Only
*values* come back (see :mod:`llmlib.sandbox.wire`); judging them is the caller's business, on this side.

    with Session() as session:
        session.run("def f(x):\\n    return x + 1")
        session.call("f", (41,))        # 42

    with Zygote(preload=("torch",)) as zygote, Session(zygote=zygote) as session: ...    # torch is loaded once

    run_python("print(6 * 7)").output   # "42\\n"

Backends: bubblewrap, else Linux namespaces through ``unshare``, else :class:`SandboxUnavailable` unless the caller says
``unsafe=True``, which gives a plain process with whatever limits the platform has and protects nothing else.
"""

from llmlib.sandbox.backends import SandboxUnavailable, available_backend
from llmlib.sandbox.limits import Limits
from llmlib.sandbox.session import CodeError, Finished, SandboxDied, Session, run_python
from llmlib.sandbox.wire import Unsupported, UnsupportedValue, decode, encode, shown
from llmlib.sandbox.zygote import Zygote

__all__ = [
    "CodeError",
    "Finished",
    "Limits",
    "SandboxDied",
    "SandboxUnavailable",
    "Session",
    "Unsupported",
    "UnsupportedValue",
    "Zygote",
    "available_backend",
    "decode",
    "encode",
    "run_python",
    "shown",
]
