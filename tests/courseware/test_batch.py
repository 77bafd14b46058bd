"""Batches: what dies or hangs costs nobody else, results come as they are made, and a stopped batch goes on."""

import functools
import os
import subprocess
import sys
import time

import pytest
from minilab import HERE, LAB, RIGHT, sources

from courseware.grading import batch, command
from courseware.grading.grader import Report
from courseware.grading.staff_files import notebook_of
from llmlib.sandbox import SandboxUnavailable, available_backend

needs_sandbox = pytest.mark.skipif(
    available_backend() is None, reason="no sandbox (bubblewrap, unshare) on this machine"
)


def lost(number, why):
    return Report(str(number), error=why)


def test_a_judge_that_dies_or_hangs_costs_its_own_report():
    jobs = [
        functools.partial(os._exit, 3),
        functools.partial(time.sleep, 600),
        functools.partial(Report, "fine", LAB),
    ]
    found = dict(batch.reports(jobs, lost, workers=3, seconds=1.5))
    assert found[0].error == "the process that judged it died"
    assert found[1].error == "took far longer than its time"
    assert found[2] == Report("fine", LAB)


def _fills_memory():
    import numpy as np

    kept = [np.empty(2 << 27) for _ in range(8)]  # 2 GB each, never touched
    return Report(str(len(kept)))


def _starts_a_child(folder):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "pid").write_text(str(process.pid))
    try:
        time.sleep(600)
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_judge_has_a_memory_limit_and_ends_what_it_started(tmp_path):
    jobs = [_fills_memory, functools.partial(_starts_a_child, tmp_path)]
    found = dict(batch.reports(jobs, lost, workers=2, seconds=10))
    assert "MemoryError" in found[0].error and found[1].error == "took far longer than its time"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_at_a_time_is_in_order():
    jobs = [functools.partial(Report, str(i)) for i in range(4)]
    assert [number for number, _ in batch.reports(jobs, lost, workers=1)] == [0, 1, 2, 3]


@needs_sandbox
def test_a_stopped_batch_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    for name in ("ada", "bob", "eve"):
        (tmp_path / f"{name}.ipynb").write_text(notebook_of(sources(q1=RIGHT["q1"])))
    arguments = [str(tmp_path), "--lab", "90", "--hidden", str(HERE), "--out", str(tmp_path / "g.csv")]
    real = batch.reports

    def stops(*args, **options):
        yield next(real(*args, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "reports", stops)
    assert command.main(arguments) == 130
    said = capsys.readouterr()
    assert "1 of 3 are graded and written" in said.err and "--resume" in said.err
    assert (tmp_path / "g.csv").read_text().count(",2\n") == 1
    monkeypatch.setattr(batch, "reports", real)
    assert command.main([*arguments, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "1 of 3 were graded before" in said and said.count("of 7 points") == 2
    assert (tmp_path / "g.csv").read_text().count(",2\n") == 3
    (tmp_path / "bob.ipynb").write_text(notebook_of(sources(**RIGHT)))
    assert command.main([*arguments, "--resume"]) == 0
    assert "bob: 7 of 7" in capsys.readouterr().out


@needs_sandbox
def test_a_result_file_that_cannot_be_is_told_before_grading(tmp_path, capsys):
    (tmp_path / "lab90.ipynb").write_text(notebook_of(sources(**RIGHT)))
    (tmp_path / "results.json").write_text("mine")
    arguments = [str(tmp_path / "lab90.ipynb"), "--hidden", str(HERE), "--json", str(tmp_path / "results.json")]
    assert command.main(arguments) == 2
    said = capsys.readouterr()
    assert "results.json" in said.err and "points" not in said.out
    assert (tmp_path / "results.json").read_text() == "mine"


@needs_sandbox
def test_a_sandbox_that_does_not_start_costs_one_report(tmp_path, monkeypatch):
    path = tmp_path / "ada.ipynb"
    path.write_text(notebook_of(sources(**RIGHT)))
    started = []

    def slow(*args, **options):
        started.append(1)
        raise SandboxUnavailable("the bubblewrap sandbox did not start: took longer than its time limit")

    monkeypatch.setattr("courseware.grading.grader.Session", slow)
    report = command.grade_file(path, "lab90", hidden_folder=HERE)
    assert "did not start" in report.error and "not scored" in report.error
    assert len(started) == 2, "tried twice"


@needs_sandbox
def test_the_public_check_says_that_it_is_public(tmp_path, capsys):
    path = tmp_path / "lab90.ipynb"
    path.write_text(notebook_of(sources(**RIGHT)))
    assert command.check_notebook(path) == 0
    assert "public cases only" in capsys.readouterr().out.splitlines()[0]
