"""Sessions forked from one process: they start at once and share nothing with it nor with each other."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from llmlib.sandbox import CodeError, Limits, SandboxDied, SandboxUnavailable, Session, Zygote, backends, zygote

BELOW_TMP = any(Path(inside).is_relative_to("/tmp") for inside in backends.make_view({}, [], 1).binds)
pytestmark = pytest.mark.skipif(
    not backends.works("bubblewrap") or BELOW_TMP,
    reason="a zygote needs bubblewrap, and a Python that is not below /tmp",
)
SMALL = Limits(memory_mb=200, processes=8, file_mb=2, reply_mb=4)


@pytest.fixture(scope="module")
def ready():
    with Zygote(preload=("numpy",), hide=("llmlib", "courseware", "xmlrpc"), afterwards=("wave", "no_such")) as made:
        yield made


def test_it_has_what_it_loaded_and_hides_what_it_hides(ready):
    with Session(SMALL, zygote=ready) as session:
        session.run("import sys\nloaded = [name in sys.modules for name in ('numpy', 'wave', 'llmlib')]")
        assert session.call("loaded", None) == [True, True, False]
        with pytest.raises(CodeError, match="not available here"):
            session.run("import xmlrpc")
        session.run("print('heard')")
        assert session.output() == ""
    with Session(SMALL, zygote=ready, capture=True) as session:
        session.run("print('heard')")
        assert _becomes(lambda: session.output() == "heard\n")


WRITE = """
import os, socket, json
open("/tmp/left", "w").write("x")
open("/dev/shm/left", "w").write("x")
heard = socket.socket(socket.AF_UNIX)
heard.bind("\\0meeting")
heard.listen()
json.dumps = None
me = os.getpid()
"""
LOOK = """
import glob, json, os, socket
def found():
    try:
        socket.socket(socket.AF_UNIX).connect("\\0meeting")
        meeting = True
    except OSError:
        meeting = False
    places = os.listdir("/tmp"), os.listdir("/dev/shm"), os.listdir("/dev/pts"), os.listdir("/sandbox/proc")
    return places, meeting, json.dumps is None
def processes():
    return sorted(int(p[6:]) for p in glob.glob("/proc/[0-9]*"))
def ends(pid):
    try:
        os.kill(pid, 9)
    except OSError as error:
        return error.errno
def descriptors():
    return sorted(os.readlink(p).split(":")[0] for p in glob.glob("/proc/self/fd/*") if os.path.islink(p))
def opens(path):
    try:
        open(path, "rb").close()
    except OSError as error:
        return error.errno
"""


def test_sessions_do_not_meet(ready):
    with Session(SMALL, zygote=ready) as one, Session(SMALL, zygote=ready) as other:
        one.run(WRITE)
        other.run(LOOK)
        assert other.call("found") == (([], [], [], []), False, False)
        me = one.call("me", None)
        assert other.call("processes") == [1, me], "each has the numbers of its own world"
        assert one.call("me", None) == me


def test_a_session_holds_nothing_of_the_zygote(ready):
    with Session(SMALL, zygote=ready) as session:
        session.run(LOOK)
        assert set(session.call("descriptors")) == {"/dev/null", "pipe"}
        assert session.call("opens", ("/proc/1/mem",)) == 13, "the process that watches over it cannot be read"
        session.call("ends", (1,))  # the kernel lets nobody inside end process 1
        session.run("import os\nparent = os.getppid()")
        assert session.call("parent", None) == 1
    with Session(SMALL, zygote=ready) as session:
        session.run("ready = 1")


def test_limits_hold_and_a_death_costs_one_session(ready):
    with Session(SMALL, zygote=ready) as session:
        for hog, reason in (("while True: pass", "timeout"), ("import os; os.kill(os.getpid(), 9)", "died")):
            with Session(SMALL, zygote=ready) as ill:
                with pytest.raises(SandboxDied) as died:
                    ill.run(hog, seconds=0.5)
                assert died.value.reason == reason
                assert not ill.alive
        with pytest.raises(CodeError, match="MemoryError"):
            session.run("big = bytearray(300 << 20)")
        session.run("fits = len(bytearray(50 << 20))")
        with pytest.raises(CodeError, match=r"No space left|too large"):
            session.run("open('/tmp/big', 'wb').write(bytes(8 << 20))")
    hog = "import os, time\nfor _ in range(4):\n    if os.fork() == 0: k = b'x' * (150 << 20); time.sleep(60)\n"
    for source, reason in ((hog + "time.sleep(60)", "memory"), ("import os\nwhile True: os.fork()", "processes")):
        with Session(SMALL, zygote=ready) as session, pytest.raises((SandboxDied, CodeError)) as stopped:
            session.run(source, seconds=20)
        assert getattr(stopped.value, "reason", "processes") == reason


def test_a_session_ends_with_the_process_that_asked_for_it(ready):
    marker = f"86398.{os.getpid()}"

    def ask() -> None:
        session = Session(SMALL, zygote=ready)
        session.run(f"import subprocess\nsubprocess.Popen(['sleep', '{marker}'], start_new_session=True)")
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=ask)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert _becomes(lambda: not _runs(marker))


def test_once_it_is_closed_nothing_starts_and_nothing_is_left():
    with Zygote() as closed:
        session = Session(SMALL, zygote=closed)
        session.run("x = 1")
    assert _becomes(lambda: not session.alive)
    session.close()
    with pytest.raises(SandboxUnavailable, match="did not start a session"):
        Session(SMALL, zygote=closed)


def test_walls_with_a_hole_are_not_used(monkeypatch):
    monkeypatch.setattr(zygote, "_PROBE", "assert False, 'seen'")
    with pytest.raises(SandboxUnavailable, match="its walls have a hole: AssertionError: seen"):
        Zygote()
    monkeypatch.setattr(backends, "works", lambda name: False)
    with pytest.raises(SandboxUnavailable, match="needs bubblewrap"):
        Zygote()


def test_a_module_that_keeps_threads_is_refused(tmp_path):
    (tmp_path / "keeps.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"
    )
    with pytest.raises(SandboxUnavailable, match="zygote did not start"):
        Zygote(preload=("keeps",), lend={"/sandbox/lib/keeps.py": str(tmp_path / "keeps.py")})


def test_what_a_zygote_has_is_not_said_again(ready):
    with pytest.raises(ValueError, match=r"preload=\('json',\): sessions of a zygote have what it has"):
        Session(SMALL, zygote=ready, preload=("json",))


def _becomes(true) -> bool:
    for _ in range(100):
        if true():
            return True
        time.sleep(0.1)
    return False


def _runs(marker: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False
