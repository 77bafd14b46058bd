"""Untrusted code under limits: what comes back, what is refused, what is not there."""

import base64
import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from llmlib.sandbox import (
    CodeError,
    Limits,
    SandboxDied,
    SandboxUnavailable,
    Session,
    Unsupported,
    UnsupportedValue,
    available_backend,
    backends,
    decode,
    encode,
    run_python,
)

BACKENDS = [name for name in backends.BUILDERS if backends.works(name)]
needs_sandbox = pytest.mark.skipif(not BACKENDS, reason="neither bubblewrap nor unshare works on this machine")
every_backend = pytest.mark.parametrize("backend", BACKENDS or [pytest.param("bubblewrap", marks=needs_sandbox)])
SMALL = Limits(memory_mb=200, processes=8, file_mb=2, reply_mb=4)


# -- values ----

VALUES = [
    None,
    True,
    7,
    -(10**5000),
    2.5,
    float("inf"),
    1 + 2j,
    "a\nß\ud800",
    b"\x00\xff",
    [1, (2, [3.0])],
    {"a": [1], 2: None},
    {1, 2},
    [],
    {},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_plain_values_come_back_as_they_were(value):
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.zeros((0, 3)),
        np.array(3.5),
        np.asfortranarray(np.eye(3)[:, :2]),
        np.array(["ab"]),
    ],
    ids=str,
)
def test_arrays_come_back_without_pickle(array):
    back = decode(json.loads(json.dumps(encode(array))))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype and back.shape == array.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_come_back_as_tensors(dtype):
    tensor = torch.arange(6).reshape(2, 3).T.to(dtype)
    back = decode(json.loads(json.dumps(encode(tensor))))
    assert back.dtype == dtype
    assert torch.equal(back, tensor)
    assert torch.equal(decode(encode(torch.nn.Parameter(torch.ones(2)))), torch.ones(2))


class AlwaysEqual(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("thing", [AlwaysEqual(3), object(), len, np.array([object()]), [AlwaysEqual(1)]])
def test_objects_do_not_travel(thing):
    back = decode(encode(thing))
    assert isinstance(back[0] if isinstance(thing, list) else back, Unsupported)


def _npy(header: str, data: bytes = b"") -> dict:
    padded = header.encode().ljust(118) + b"\n"
    return {
        "array": base64.b64encode(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + data).decode()
    }


@pytest.mark.parametrize(
    "forged",
    [
        {"what": 1},
        [1],
        {},
        {"int": "zz"},
        {"dict": [[{"list": []}, 1]]},
        {"array": "not base64"},
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", b"12345678"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", b"12345678"),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"12345678"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1000000000000)}"),
        _npy("__import__('os')"),
    ],
    ids=lambda f: str(f)[:20],
)
def test_forged_descriptions_are_refused(forged):
    with pytest.raises(UnsupportedValue):
        decode(forged)


def test_depth_is_bounded_on_both_sides():
    deep: list = []
    for _ in range(50):
        deep = [deep]
    value = decode(encode(deep))
    for _ in range(31):
        (value,) = value
    assert isinstance(value, Unsupported)
    forged: object = None
    for _ in range(100_000):
        forged = {"list": [forged]}
    with pytest.raises(UnsupportedValue):
        decode(forged)


# -- sessions ----


@every_backend
def test_calls_values_errors_and_recipes(backend):
    with Session(SMALL, backend=backend) as session:
        session.run("x = 3\ndef add(a, b=1):\n    return {'sum': a + b}\ndef bad():\n    return 1 / 0")
        assert session.call("add", (2,)) == {"sum": 3}
        assert session.call("add", {"a": 1, "b": 5}) == {"sum": 6}
        assert session.call("x", None) == 3
        assert (
            session.call("add", (4,), recipe=("def twice(f, n):\n    return [f(n), f(n)]", "twice")) == [{"sum": 5}] * 2
        )
        with pytest.raises(CodeError, match="ZeroDivisionError: division by zero") as raised:
            session.call("bad")
        assert raised.value.line == 5
        with pytest.raises(CodeError, match="Missing: nothing is not defined"):
            session.call("nothing")
        with pytest.raises(CodeError, match="SyntaxError"):
            session.run("def f(:")
        with pytest.raises(CodeError) as raised:
            session.run("raise ValueError('\\x1b[2Jred\\n')")
        assert str(raised.value) == "ValueError:  [2Jred "
        assert session.call("x", None) == 3


@every_backend
def test_outside_is_out_of_sight(backend, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    (tmp_path / "secret.txt").write_text("x")
    with Session(SMALL, backend=backend) as session:
        session.run("import os")
        for path in (
            tmp_path / "secret.txt",
            backends.HERE.parent.parent / "pyproject.toml",
            backends.HERE / "wire.py",
        ):
            session.run(f"seen = os.path.exists({str(path)!r})")
            assert session.call("seen", None) is False, path
        session.run("names = sorted(os.environ)")
        assert "SECRET_OF_THE_CALLER" not in session.call("names", None)
        session.run("import glob\nfound = glob.glob('/proc/[0-9]*')")
        assert len(session.call("found", None)) <= 3, "processes outside are visible"
        for module in ("llmlib", "courseware"):
            with pytest.raises(CodeError, match="not available here"):
                session.run(f"import {module}")


@every_backend
def test_nothing_outside_the_throw_away_folder_can_be_written(backend):
    places = [
        "/x",
        "/usr/x",
        "/dev/x",
        "/sandbox/x",
        "/proc/sys/kernel/core_pattern",
        os.path.dirname(os.__file__) + "/x",
    ]
    with Session(SMALL, backend=backend) as session:
        session.run(
            "import os\n"
            "def write(path):\n"
            "    try:\n        open(path, 'r+' if os.path.exists(path) else 'w')\n"
            "    except OSError:\n        return False\n"
            "    return True"
        )
        assert [session.call("write", (p,)) for p in places] == [False] * len(places)
        assert session.call("write", ("/tmp/x",)) is True
        with pytest.raises(CodeError, match=r"File too large|No space left"):
            session.run("open('/tmp/big', 'wb').write(bytes(8 << 20))")


@every_backend
def test_no_network_not_even_the_loopback(backend):
    with Session(SMALL, backend=backend) as session:
        session.run("import socket")
        for address in ("127.0.0.1", "192.0.2.1"):
            with pytest.raises(CodeError, match=r"OSError|ConnectionRefused|unreachable"):
                session.run(f"socket.create_connection(({address!r}, 9), 2)")


@every_backend
def test_processes_left_over_die_with_the_session(backend):
    marker = f"86399.{os.getpid()}"
    with Session(SMALL, backend=backend) as session:
        session.run(f"import subprocess\nsubprocess.Popen(['sleep', '{marker}'], start_new_session=True)")
        assert _becomes(True, marker)
    assert _becomes(False, marker)  # the kernel takes the tree down soon after its root


def _becomes(running: bool, marker: str) -> bool:
    for _ in range(100):
        if _runs(marker) == running:
            return True
        time.sleep(0.1)
    return False


def _runs(marker: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if marker.encode() in path.read_bytes().split(b"\0"):
                return True
    return False


@needs_sandbox
def test_endless_loop_and_exit_end_the_session_with_a_reason():
    for source, reason in [("while True: pass", "timeout"), ("import os; os._exit(0)", "died")]:
        with Session(SMALL) as session:
            with pytest.raises(SandboxDied) as died:
                session.run(source, seconds=0.5)
            assert died.value.reason == reason
            assert not session.alive


@needs_sandbox
def test_memory_is_bounded_on_top_of_what_was_preloaded():
    with Session(SMALL, preload=("numpy",)) as session:
        with pytest.raises(CodeError, match="MemoryError"):
            session.run("big = bytearray(300 << 20)")
        session.run("fits = len(bytearray(50 << 20))")
        assert session.call("fits", None) == 50 << 20


@needs_sandbox
def test_a_fork_bomb_is_stopped():
    with Session(SMALL) as session, pytest.raises((SandboxDied, CodeError)) as stopped:
        session.run("import os\nwhile True: os.fork()", seconds=20)
    assert getattr(stopped.value, "reason", "BlockingIOError") in ("processes", "BlockingIOError")


@needs_sandbox
def test_memory_shared_out_over_processes_is_bounded_too():
    hog = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        kept = b"x" * (150 << 20)
        time.sleep(60)
time.sleep(60)
"""
    with Session(SMALL) as session, pytest.raises(SandboxDied) as died:
        session.run(hog, seconds=20)
    assert died.value.reason == "memory"


@needs_sandbox
def test_a_flood_of_replies_is_cut_off():
    flood = """
import os
for descriptor in range(3, 20):
    try:
        while True:
            os.write(descriptor, b"x" * 65536)
    except OSError:
        pass
"""
    with Session(SMALL) as session, pytest.raises(SandboxDied) as died:
        session.run(flood, seconds=20)
    assert died.value.reason == "flood"


@needs_sandbox
def test_a_worker_that_stops_reading_cannot_hold_the_caller():
    with Session(SMALL) as session:
        session.run(
            "import os, signal, threading\nthreading.Timer(0.2, os.kill, (os.getpid(), signal.SIGSTOP)).start()"
        )
        session.run("import time\ntime.sleep(0.1)")
        session.run("def size(text):\n    time.sleep(0.3)\n    return len(text)")
        with pytest.raises(SandboxDied) as died:
            for _ in range(3):
                session.call("size", ("x" * 1_000_000,), seconds=1.0)
        assert died.value.reason == "timeout"


FORGE = """
import json, os, sys

def say_raw(data):
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, data)
        except OSError:
            pass

def say(message):
    say_raw((json.dumps(message) + "\\n").encode())
"""


@needs_sandbox
def test_replies_written_early_answer_nothing():
    with Session(SMALL) as session:
        session.run(
            FORGE + "for n in ('', '0', None, 1):\n    say({'nonce': n, 'value': {'int': '0x2a'}})\nsay({'value': 42})"
        )
        with pytest.raises(CodeError, match="Missing: answer"):
            session.call("answer")
        session.run("def answer():\n    say({'nonce': 'guess', 'value': 42})\n    return 41")
        assert session.call("answer") == 41
        session.run("def answer():\n    say('half a line')\n    say_raw(b'{\"half')")
        assert session.call("answer") is None


@needs_sandbox
def test_a_stolen_nonce_gives_only_a_value_of_its_own():
    steal = """
def answer(x):
    frame = sys._getframe()
    while frame:
        if "request" in frame.f_locals and "nonce" in frame.f_locals["request"]:
            say({"nonce": frame.f_locals["request"]["nonce"], "value": {"int": "0x0"}})
        frame = frame.f_back
"""
    with Session(SMALL) as session:
        session.run(FORGE + steal)
        assert session.call("answer", (5,)) == 0  # what it claimed; it was never told what was expected
        session.run("def answer(x):\n    return x + 1")
        assert session.call("answer", (5,)) == 6


@needs_sandbox
def test_a_fork_that_comes_back_does_not_answer_twice():
    with Session(SMALL) as session:
        session.run("import os\npid = os.fork()")
        session.run("n = 0\ndef count():\n    global n\n    n += 1\n    return n")
        assert [session.call("count") for _ in range(5)] == [1, 2, 3, 4, 5]


@needs_sandbox
def test_patched_modules_reach_only_the_patcher():
    patch = "import json, os\njson.dumps = json.loads = lambda *a, **k: '{}'\nos.write = None\n"
    with Session(SMALL, preload=("numpy",)) as session:
        session.run(patch + "import numpy\nnumpy.save = lambda *a, **k: None\ndef f(): return 3")
        assert session.call("f") == 3
    with Session(SMALL) as session, pytest.raises(SandboxDied):  # its own loss
        session.run("import builtins\nbuiltins.isinstance = lambda *a: True\ndef f(): return 3")
        session.call("f")


@needs_sandbox
def test_hidden_provided_stubbed_and_withheld(tmp_path):
    package = tmp_path / "given"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "yes.py").write_text("x = 1")
    lend = {"/sandbox/lib/given": str(package)}
    options = {"hide": ("given",), "provide": ("given.yes",), "stubs": ("courseware",)}
    with Session(SMALL, lend=lend, **options) as session:
        session.run(
            "from given.yes import x\nfrom courseware import check\nfrom courseware.classroom.ui import show\n"
            "r = check('q', 1)"
        )
        assert session.call("x", None) == 1
        assert session.call("r", None) is None
        with pytest.raises(CodeError, match=r"given\.no is not available"):
            session.run("import given.no")


@needs_sandbox
def test_torch_values_and_withheld_functions():
    with Session(preload=("torch",), withhold=("scaled_dot_product_attention",)) as session:
        session.run("import torch\nimport torch.nn.functional as F\ndef double(x):\n    return 2 * x.requires_grad_()")
        assert torch.equal(session.call("double", (torch.arange(3.0),)), torch.tensor([0.0, 2.0, 4.0]))
        session.run("def noise():\n    return torch.randn(3)")
        assert torch.equal(session.call("noise", seed=5), session.call("noise", seed=5))
        with pytest.raises(CodeError, match="scaled_dot_product_attention is not available"):
            session.run("F.scaled_dot_product_attention(torch.ones(1, 2, 2), torch.ones(1, 2, 2), torch.ones(1, 2, 2))")


# -- whole programmes ----


@needs_sandbox
def test_run_python_tells_how_a_programme_ended():
    assert run_python("print('ß', 6 * 7)").output == "ß 42\n"
    assert run_python("raise SystemExit(0)").ok
    failed = run_python("print('before')\nraise ValueError('no')")
    assert (failed.status, failed.output, failed.error) == ("error", "before\n", "ValueError: no")
    assert run_python("name = input()").error.startswith("EOFError")
    assert run_python("while True: pass", seconds=0.5).status == "timeout"
    assert run_python("import os; os._exit(3)").status == "died"
    assert run_python("raise KeyboardInterrupt").error == "KeyboardInterrupt"


@needs_sandbox
def test_output_is_kept_up_to_its_limit():
    finished = run_python("for _ in range(50): print('x' * 100_000)", limits=SMALL)
    assert finished.ok
    assert len(finished.output) == SMALL.output_mb << 20


@every_backend
def test_what_is_bound_below_tmp_is_there_and_read_only(tmp_path, backend):
    (tmp_path / "lent.txt").write_text("lent")
    view = backends.make_view({"/tmp/deep/lent": str(tmp_path)}, (), 1)
    probe = "print(open('/tmp/deep/lent/lent.txt').read()); open('/tmp/own', 'w'); open('/tmp/deep/lent/new', 'w')"
    command = backends.BUILDERS[backend]([backends.PYTHON, "-I", "-c", probe], view)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=backends.environment())
    assert done.stdout == "lent\n"
    assert "Read-only file system: '/tmp/deep/lent/new'" in done.stderr
    assert not (tmp_path / "new").exists()


# -- choosing a backend ----


def test_without_a_sandbox_only_the_daring_go_on(monkeypatch):
    monkeypatch.setattr(backends, "works", lambda name: False)
    assert available_backend() is None
    with pytest.raises(SandboxUnavailable, match="install bubblewrap"):
        Session()
    assert run_python("print(1)", unsafe=True).output == "1\n"
    with Session(SMALL, unsafe=True) as session:
        assert session.backend == "none"
        with pytest.raises(SandboxDied):
            session.run("while True: pass", seconds=0.5)


def test_the_view_masks_what_lies_inside_the_interpreter():
    here = str(backends.HERE)
    view = backends.View({"/a": "/a", "/a/b/c": "/a/b/c"}, ["/a/b"], 1)
    order = [step[0] for step in backends._steps(view)]
    assert order == ["/a", "/a/b", "/a/b/c"], "an inner bind must come after the mask around it"
    assert backends.module_paths(["llmlib", "surely_missing"]) == [os.path.dirname(here)]


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="memory_mb=0"):
        Limits(memory_mb=0)
