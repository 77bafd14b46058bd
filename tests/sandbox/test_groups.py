"""The kernel's limit on a session's processes: found in both versions of control groups, and it holds for bombs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmlib.sandbox import groups
from llmlib.sandbox.groups import pids_group


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A fake kernel: `kernel(mounts, own)` says what is mounted below tmp_path and which groups this process is in."""

    def pretend(mounts, own):
        (tmp_path / "mounts").write_text(mounts.replace("ROOT", str(tmp_path)))
        (tmp_path / "own").write_text(own)
        monkeypatch.setattr(groups, "MOUNTS", tmp_path / "mounts")
        monkeypatch.setattr(groups, "OWN", tmp_path / "own")
        return tmp_path

    return pretend


VERSION_1 = "cgroup ROOT/cpu cgroup rw,cpu 0 0\ncgroup ROOT/pids cgroup rw,pids 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "own", "parent"),
    [
        (VERSION_1, "8:pids:/\n1:cpu:/\n0::/\n", "pids"),
        (VERSION_1, "8:pids:/user/ada\n", "pids/user/ada"),
        ("cgroup2 ROOT/all cgroup2 rw 0 0\n", "0::/slice/session\n", "all/slice"),
        ("cgroup2 ROOT/all cgroup2 rw 0 0\n", "0::/\n", "all"),
    ],
)
def test_the_group_is_made_where_the_kernel_allows_it(kernel, mounts, own, parent):
    root = kernel(mounts, own)
    (root / parent).mkdir(parents=True)
    group = pids_group(17)
    assert group.folder.parent == root / parent
    assert (group.folder / "pids.max").read_text() == "17"


@pytest.mark.parametrize(("mounts", "own"), [("", ""), (VERSION_1, "1:cpu:/\n"), (VERSION_1, "8:pids:/nowhere\n")])
def test_without_groups_there_is_none(kernel, mounts, own):
    kernel(mounts, own)
    assert pids_group(17) is None


def test_a_group_that_is_gone_or_in_use_stops_nobody(tmp_path):
    group = groups.PidsGroup(tmp_path / "gone")
    group.add(os.getpid())
    group.remove()
    (tmp_path / "gone" / "child").mkdir(parents=True)
    group.remove(seconds=0.01)
    assert (tmp_path / "gone").exists()


def test_a_wrapped_command_gets_its_arguments_as_they_are(tmp_path):
    command = groups.PidsGroup(tmp_path).wrap([sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "$HOME"])
    assert subprocess.run(command, capture_output=True, text=True).stdout == "['a b', '$HOME']\n"
    assert Path(tmp_path, "cgroup.procs").read_text().strip().isdigit()


FORKS = """
import os
started = 0
try:
    while started < 100:
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
        started += 1
except BlockingIOError:
    pass
print(started)
"""


def test_the_kernel_stops_counting_at_the_limit():
    group = pids_group(10)
    if group is None:
        pytest.skip("this user may not make control groups")
    process = subprocess.Popen(
        group.wrap([sys.executable, "-c", FORKS]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "9\n"
    process.communicate()
    group.remove()
    assert not group.folder.exists()
