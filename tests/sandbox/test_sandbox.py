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
    Zygote,
    available_backend,
    backends,
    decode,
    encode,
    run_python,
    shown,
)

BACKENDS = [name for name in backends.BUILDERS if backends.works(name)]
BELOW_TMP = any(Path(inside).is_relative_to("/tmp") for inside in backends.make_view({}, [], 1).binds)
needs_sandbox = pytest.mark.skipif(not BACKENDS, reason="neither bubblewrap nor unshare works on this machine")
every_backend = pytest.mark.parametrize("backend", BACKENDS or [pytest.param("bubblewrap", marks=needs_sandbox)])
every_wall = pytest.mark.parametrize("wall", [*BACKENDS, "zygote"], indirect=True)
SMALL = Limits(memory_mb=200, processes=8, file_mb=2, reply_mb=4)


@pytest.fixture(scope="module")
def zygote():
    if "bubblewrap" not in BACKENDS or BELOW_TMP:
        pytest.skip("a zygote needs bubblewrap, and a Python that is not below /tmp")
    with Zygote(preload=("numpy",)) as zygote:
        yield zygote


@pytest.fixture
def wall(request) -> dict:
    """What a Session is given to be walled in this way."""
    return {"zygote": request.getfixturevalue("zygote")} if request.param == "zygote" else {"backend": request.param}


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


@every_wall
def test_calls_values_errors_and_recipes(wall):
    with Session(SMALL, **wall) as session:
        session.run("x = 3\ndef add(a, b=1):\n    return {'sum': a + b}\ndef bad():\n    return 1 / 0")
        assert session.call("add", (2,)) == {"sum": 3}
        assert session.call("add", {"a": 1, "b": 5}) == {"sum": 6}
        assert session.call("x", None) == 3
        assert (
            session.call("add", (4,), recipe=("def twice(f, n):\n    return [f(n), f(n)]", "twice")) == [{"sum": 5}] * 2
        )
        with pytest.raises(CodeError, match="ZeroDivisionError: division by zero") as raised:
            session.call("bad")
        assert (raised.value.line, raised.value.where) == (5, "bad")
        with pytest.raises(CodeError, match="Missing: nothing is not defined"):
            session.call("nothing")
        with pytest.raises(CodeError, match="SyntaxError"):
            session.run("def f(:")
        with pytest.raises(CodeError) as raised:
            session.run("raise ValueError('\\x1b[2Jred\\n')")
        assert str(raised.value) == "ValueError:  [2Jred "
        assert session.call("x", None) == 3


@every_wall
def test_outside_is_out_of_sight(wall, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    (tmp_path / "secret.txt").write_text("x")
    with Session(SMALL, **wall) as session:
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


@every_wall
def test_nothing_outside_the_throw_away_folder_can_be_written(wall):
    places = [
        "/x",
        "/usr/x",
        "/dev/x",
        "/sandbox/x",
        "/proc/sys/kernel/core_pattern",
        os.path.dirname(os.__file__) + "/x",
    ]
    with Session(SMALL, **wall) as session:
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


@every_wall
def test_no_network_not_even_the_loopback(wall):
    with Session(SMALL, **wall) as session:
        session.run("import socket")
        for address in ("127.0.0.1", "192.0.2.1"):
            with pytest.raises(CodeError, match=r"OSError|ConnectionRefused|unreachable"):
                session.run(f"socket.create_connection(({address!r}, 9), 2)")


@every_wall
def test_processes_left_over_die_with_the_session(wall):
    marker = f"86399.{os.getpid()}"
    with Session(SMALL, **wall) as session:
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


# -- limits that were evaded ----


@every_wall
@pytest.mark.parametrize(
    "call",
    ["memfd_create(b'x', 0)", "shmget(0, 1 << 20, 0o1600)", "unshare(0x10000000)", "syscall(425, 8, None)"],
    ids=lambda call: call.split("(")[0],
)
def test_memory_without_an_address_and_new_namespaces_are_refused(wall, call):
    with Session(SMALL, **wall) as session:
        session.run(f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nr = libc.{call}, ctypes.get_errno()")
        assert session.call("r", None) == (-1, 1)
        session.run("import subprocess\nnested = subprocess.run(['unshare', '--user', 'true']).returncode")
        assert session.call("nested", None) != 0
        session.run("import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()")  # clone itself works


HOGS = {
    "shared mappings": (
        "import mmap, os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        kept = mmap.mmap(-1, 150 << 20)\n"
        "        for at in range(0, 150 << 20, 4096): kept[at] = 1\n"
        "        time.sleep(60)\n"
        "time.sleep(60)"
    ),
    "forks of a thread": (
        "import os, threading, time\n"
        "def hog():\n"
        "    for _ in range(4):\n"
        "        if os.fork() == 0:\n"
        "            kept = b'x' * (150 << 20)\n"
        "            time.sleep(60)\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=hog).start()\n"
        "time.sleep(60)"
    ),
    "a line every 20 ms": (
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        kept = b'x' * (150 << 20)\n"
        "        time.sleep(60)\n"
        "while True:\n"
        "    for descriptor in range(3, 20):\n"
        "        try: os.write(descriptor, b'{}\\n')\n"
        "        except OSError: pass\n"
        "    time.sleep(0.02)"
    ),
}


@needs_sandbox
@pytest.mark.parametrize("hog", HOGS)
def test_memory_is_counted_however_it_is_taken(hog):
    with Session(SMALL) as session, pytest.raises(SandboxDied) as died:
        session.run(HOGS[hog], seconds=20)
    assert died.value.reason == "memory"


@needs_sandbox
def test_pages_shared_by_forks_count_once():
    forks = (
        "import os, time\nkept = b'x' * (100 << 20)\n"
        "children = [os.fork() for _ in range(3)] if os.getpid() == (me := os.getpid()) else []\n"
        "if os.getpid() != me: time.sleep(60)\ntime.sleep(0.5)"
    )
    with Session(SMALL) as session:
        session.run(forks, seconds=20)
        assert session.alive


@needs_sandbox
def test_a_reply_of_empty_objects_is_not_parsed():
    import resource

    steal = """
def answer():
    frame = sys._getframe()
    while frame:
        if "request" in frame.f_locals and "nonce" in frame.f_locals["request"]:
            nonce = frame.f_locals["request"]["nonce"]
        frame = frame.f_back
    data = ('{"nonce": "' + nonce + '", "value": {"list": [' + "{}," * 18_000_000 + "{}]}}\\n").encode()
    for descriptor in range(3, 20):
        try:
            rest = data
            while rest:
                rest = rest[os.write(descriptor, rest):]
        except OSError:
            pass
"""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Session(Limits(memory_mb=500)) as session:
        session.run(FORGE + steal)
        with pytest.raises(SandboxDied) as died:
            session.call("answer", seconds=60)
    assert died.value.reason == "flood"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 << 10


def test_keys_that_hash_alike_and_endless_integers_are_refused():
    alike = [{"int": hex(n * (2**61 - 1))} for n in range(1, 200)]
    for described in ({"set": alike}, {"dict": [[key, 1] for key in alike]}):
        with pytest.raises(UnsupportedValue, match="hash alike"):
            decode(described)
    with pytest.raises(UnsupportedValue, match="40,000 bits"):
        decode({"int": "0x" + "f" * 20_000})
    assert decode(encode(set(range(50_000)))) == set(range(50_000))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "7"),
        (10**6000, "bits)"),
        (-(10**400), "-0x"),
        ("\ud800\x1b[2J", "ud800"),
        ([10**6000], "bits)]"),
        ((1,), "(1,)"),
        ({"a": [1, [2, [3]]]}, "a list of length 1"),
        ("x" * 1000, "..."),
        (list(range(1000)), "..."),
    ],
    ids=lambda v: str(type(v).__name__),
)
def test_any_value_is_shown_with_bounds(value, says):
    text = shown(value)
    assert says in text and len(text) <= 60 and text.isprintable()
    text.encode("utf-8")


# -- code in another process, used by value ----

STAFF = """
import torch
from torch import nn

SECRET = "zebra-4711-quux"

def scale(x, by=2.0):
    return {"scaled": x * by, "by": by}

def spoil(items):
    items.append(1)
    return items

class Plain:
    pass

class Layer(nn.Module):
    def __init__(self, width, secret=SECRET):
        super().__init__()
        self.inner = nn.Linear(width, width, bias=False)
        self.register_buffer("factor", torch.tensor(0.5))

    def forward(self, x):
        return self.factor * self.inner(x).tanh()
"""


@needs_sandbox
def test_a_stand_in_gives_values_and_gradients_and_nothing_of_the_code():
    with Session(preload=("torch",)) as staff, Session(preload=("torch",)) as session:
        staff.run(STAFF)
        for name in ("scale", "spoil", "Layer"):
            session.stand_in(name, staff)
        for name in ("Plain", "SECRET"):
            with pytest.raises(TypeError, match="only functions and modules"):
                session.stand_in(name, staff)
        session.run(
            "import torch\n"
            "def twice(x):\n    return scale(scale(x)['scaled'], by=3.0)\n"
            "def gradient(x):\n"
            "    x.requires_grad_()\n    (twice(x)['scaled'] ** 2).sum().backward()\n    return x.grad\n"
        )
        x = torch.arange(3.0)
        assert torch.equal(session.call("twice", (x,))["scaled"], 6 * x)
        assert torch.equal(session.call("gradient", (x,)), 72 * x)
        with pytest.raises(CodeError, match="TypeError: this call cannot be answered"):
            session.call("spoil", ([],))
        session.run(
            "def use(x, weight):\n"
            "    layer = Layer(3)\n"
            "    layer.load_state_dict({'inner.weight': weight, 'factor': torch.tensor(0.5)})\n"
            "    layer(x).sum().backward()\n"
            "    return layer(x), layer.inner.weight.grad, [n for n, _ in layer.named_parameters()]\n"
            "import gc, inspect\n"
            "def spy():\n"
            "    found = [str(o) for o in gc.get_objects() if isinstance(o, (dict, list, tuple, str))]\n"
            "    found += [str(f.__code__.co_consts) for f in gc.get_objects() if type(f) is type(spy)]\n"
            "    return any('-'.join(['zebra', '4711', 'quux']) in text for text in found)\n"
        )
        weight = torch.randn(3, 3)
        out, grad, names = session.call("use", (x, weight))
        own = weight.clone().requires_grad_()
        expected = 0.5 * (x @ own.T).tanh()
        expected.sum().backward()
        torch.testing.assert_close(out, expected.detach())
        torch.testing.assert_close(grad, own.grad)
        assert names == ["inner.weight"]
        assert session.call("spy", seconds=60) is False


@needs_sandbox
def test_a_stand_in_whose_process_is_gone_raises():
    with Session(SMALL) as staff, Session(SMALL) as session:
        staff.run("from collections import Counter\ndef count(text):\n    return Counter(text)")
        session.stand_in("count", staff)
        session.run(
            "def both():\n  count(count('q'))\n  found = count('aab')\n  return found['a'], found['z'], dict(found)"
        )
        assert session.call("both") == (2, 0, {"a": 2, "b": 1})
        staff.run("def f(x):\n    return x\n\ndef leave(x):\n    import os; os._exit(0)")
        session.stand_in("f", staff)
        session.stand_in("leave", staff)
        session.run("def g(x):\n    return f(x) + 1\ndef h(x):\n    return leave(x)")
        assert session.call("g", (1,)) == 2
        for name in ("h", "g"):
            with pytest.raises(CodeError, match="this call cannot be answered"):
                session.call(name, (1,))


# -- what is forbidden is forbidden by what is called ----

WAYS = {
    "F": "F.rms_norm(x, (4,))",
    "torch": "torch.rms_norm(x, (4,))",
    "packet": "getattr(torch.ops.aten, 'rms' + '_norm')(x, (4,))",
    "overload": "torch.ops.aten.rms_norm.default(x, (4,))",
    "fused": "torch.ops.aten._fused_rms_norm(x, [4], None, 1e-5)",
    "functions": "torch._C._VariableFunctions.rms_norm(x, (4,))",
    "module": "nn.RMSNorm(4)(x)",
    "mode off": "[torch._C.DisableTorchFunction().__enter__(), torch.rms_norm(x, (4,))]",
    "script": "torch.jit.CompilationUnit('def f(x):\\n  return torch.rms_norm(x, [4])\\n').f(x)",
    "compiled": "torch.compile(lambda y: torch.rms_norm(y, (4,)), backend='aot_eager')(x)",
    "decomposed": "torch.ops.aten.rms_norm.default.decompose(x, (4,))",
    "private": "torch._C._nn.scaled_dot_product_attention(x, x, x)",
    "flash": "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)",
    "vmap": "torch.vmap(lambda y: torch._C._nn.scaled_dot_product_attention(y, y, y))(x)",
    "inference": "torch.inference_mode()(lambda y: torch._C._nn.scaled_dot_product_attention(y, y, y))(1 * x)",
    "subclasses": "[c for c in nn.Module.__subclasses__() if c.__name__ == 'MultiheadAttention'][0](4, 2)",
    "alias": "alias(x, (4,))",
    "numpy": "np.logaddexp.reduce([1.0, 2.0])",
    "umath": "np.core.umath.logaddexp(1.0, 2.0)",
}


@pytest.fixture(scope="module")
def strict():
    with Session(
        preload=("numpy", "torch"), withhold=("F.rms_norm", "scaled_dot_product_attention", "MultiheadAttention")
    ) as session:
        session.run("import numpy as np, torch\nfrom torch import nn\nimport torch.nn.functional as F\n")
        session.run("from torch.nn.functional import rms_norm as alias")
        yield session


@needs_sandbox
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_a_withheld_function(way, strict):
    strict.run(f"def f(x):\n    return {WAYS[way]}")
    forbid = ["logaddexp"] if "logaddexp" in WAYS[way] else []
    with pytest.raises(CodeError, match="is not available here"):
        strict.call("f", (torch.ones(1, 2, 3, 4),), forbid=forbid, seconds=60)
    if forbid:  # for that call only
        strict.call("f", (torch.ones(1, 2, 3, 4),))


@needs_sandbox
def test_other_functions_and_own_names_are_left_alone(strict):
    strict.run(
        "class MultiheadAttention(nn.Module):\n    def forward(self, x):\n        return x\n"
        "def rms_norm(x):\n    return x / (x ** 2).mean(-1, keepdim=True).sqrt()\n"
        "def f(x):\n    scaled_dot_product_attention = (x @ x.mT / 2).softmax(-1) @ x\n"
        "    return F.layer_norm(MultiheadAttention()(rms_norm(x)), (4,)) + scaled_dot_product_attention\n"
    )
    assert strict.call("f", (torch.ones(1, 2, 3, 4),)).shape == (1, 2, 3, 4)


@needs_sandbox
def test_once_sealed_no_programme_starts_and_none_is_left():
    with Session(SMALL) as session:
        session.run(
            "import subprocess, sys\n"
            "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
            "def start():\n    return subprocess.run(['true']).returncode"
        )
        assert session.call("start") == 0
        session.seal()
        with pytest.raises(CodeError, match="PermissionError"):
            session.call("start")
        session.run("code = left.wait(10)")
        assert session.call("code", None) == -9
