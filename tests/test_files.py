"""The one way a file of ours is written: whole or not at all, and nothing left lying about."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from llmlib import files
from llmlib.files import atomic_write, write_file

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and signals of POSIX")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_text_and_bytes_arrive_as_they_are(tmp_path):
    path = tmp_path / "a.txt"
    assert write_file(path, "é\r\n\n") == path
    assert path.read_bytes() == b"\xc3\xa9\r\n\n"
    write_file(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)):
        with atomic_write(path) as partial:
            partial.write_text("ne")
            assert path.read_text() == "old"
            raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left"), RuntimeError("I/O error: No space left on device (os error 28)")],
)
def test_a_full_disk_says_so(tmp_path, error):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="the disk is full and the file was not written: free some room") as caught:
        with atomic_write(path):
            raise error
    assert caught.value.errno == errno.ENOSPC and str(path) in str(caught.value) and names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_device_is_refused_and_not_replaced(tmp_path):
    for place in ("/dev/full", tmp_path):
        with pytest.raises(ValueError, match="is a folder or a device"):
            write_file(place, "x")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@posix
@pytest.mark.parametrize("umask, expected", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        path = write_file(tmp_path / "a", "x")
        assert stat.S_IMODE(path.stat().st_mode) == expected
        for mode in (0o600, 0o640, 0o666):
            path.chmod(mode)
            with atomic_write(path) as partial:
                assert stat.S_IMODE(partial.stat().st_mode) == mode, "nobody else may read it while it is written"
                partial.write_text("y")
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real").write_text("old")
    (tmp_path / "link").symlink_to("deep/real")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "deep" / "real").read_text() == "new"
    assert names(tmp_path / "deep") == ["real"]


def test_an_awkward_name(tmp_path):
    for name in ("[a]*.json", "x" * 250, "é" * 120, " "):
        write_file(tmp_path / name, name)
        assert (tmp_path / name).read_text(encoding="utf-8") == name
    assert len(names(tmp_path)) == 4


def test_a_missing_folder_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "nowhere" / "a", "x")


KILLED = """
import sys
from llmlib.files import atomic_write
with atomic_write(sys.argv[1]) as partial:
    partial.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@posix
def test_kill_9_leaves_the_old_file_and_the_next_save_clears_away_the_rest(tmp_path):
    path = tmp_path / "model.bin"
    path.write_text("old")
    writer = subprocess.Popen([sys.executable, "-c", KILLED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout.readline() == b"writing\n"
        with atomic_write(path) as partial:  # the other one is at work: its file is none of our business
            assert len(names(tmp_path)) == 3
            partial.write_text("between")
        assert len(names(tmp_path)) == 2 and path.read_text() == "between"
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    assert path.read_text() == "between" and len(names(tmp_path)) == 2
    (tmp_path / ".model.bin.notes").write_text("somebody else's")
    write_file(tmp_path / "other", "x")
    assert len(names(tmp_path)) == 4, "litter of another file is left to its next save"
    write_file(path, "new")
    assert path.read_text() == "new" and names(tmp_path) == [".model.bin.notes", "model.bin", "other"]


def test_without_locks_only_old_litter_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    path = tmp_path / "a"
    fresh, old = (tmp_path / f".a.{i}.partial" for i in "01")
    fresh.write_text("x")
    old.write_text("x")
    os.utime(old, (time.time() - 7200,) * 2)
    write_file(path, "x")
    assert names(tmp_path) == [".a.0.partial", "a"]


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "a"
    failures = []

    def write(letter):
        try:
            for _ in range(30):
                write_file(path, letter * 5000)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = path.read_text()
    assert not failures and len(text) == 5000 and len(set(text)) == 1 and names(tmp_path) == ["a"]
