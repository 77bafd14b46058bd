"""One script, one process or two: torchrun starts experiments/base_models.py, kills it, and it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from llmlib.data.shards import write_shards
from llmlib.text import BPETokenizer
from llmlib.train import load_checkpoint, read_metrics
from llmlib.train.launch import distribute, join_processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    """What `prepare` would make out of the prose, in small."""
    text = "the ferry to the island leaves twice a day and in winter it leaves once " * 400
    tokenizer = BPETokenizer.train([text], 290, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.save(tmp_path / "tokenizer.bpe")
    ids = torch.randint(300, (40_000,), generator=torch.Generator().manual_seed(0)).tolist()
    write_shards(tmp_path / "train", [ids], vocab_size=4096, end=tokenizer.special_tokens["<|endoftext|>"])
    for name in ("choose", "report"):
        (tmp_path / f"{name}.json").write_text(json.dumps(["the ferry leaves", "once a day"]))
    return tmp_path


def start(folder, *arguments, processes=1):
    launcher = [] if processes == 1 else [
        "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--rdzv-backend", "c10d",
        "--rdzv-endpoint", "localhost:0",
    ]  # fmt: skip
    script = [str(ROOT / "experiments" / "base_models.py"), "--size", "0.3m", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, *launcher, *script, "--folder", str(folder), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"),
    )  # fmt: skip


def losses(folder):
    lines = read_metrics(folder / "0.3m-seed0.jsonl")
    return [line["loss"] for line in lines if "loss" in line], [line["tokens"] for line in lines]


def test_two_processes_train_as_one_and_a_stopped_run_goes_on(folder):
    shutil.copytree(folder, other := folder.parent / f"{folder.name}-other")
    one, two = start(folder, "--steps", "4"), start(other, "--steps", "4", processes=2)
    said = [process.communicate()[0] for process in (one, two)]
    assert one.returncode == two.returncode == 0, said
    assert "bits per byte" in said[0] and "bits per byte" in said[1]
    alone, together = losses(folder), losses(other)
    assert alone[0] == pytest.approx(together[0], abs=1e-4) and len(alone[0]) == 4
    assert alone[1] == together[1] == [4096, 8192, 12288, 16384]

    shutil.rmtree(other)
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("0.3m*"))
    stopped = start(other, "--steps", "4")
    while stopped.poll() is None and not ((other / "0.3m-seed0.jsonl").exists() and losses(other)[0]):
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)  # finishes its update, saves, and ends
    assert stopped.communicate() and stopped.returncode == 0
    again = start(other, "--steps", "4")
    assert "goes on after update" in again.communicate()[0]
    assert losses(other)[0] == alone[0]
    assert load_checkpoint(other / "0.3m-seed0").step == 4


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    device = join_processes("cpu")
    model = nn.Linear(2, 2)
    assert device == torch.device("cpu") and distribute(model, device) is model
    with pytest.raises(ValueError, match="strategy='pdd'"):
        distribute(model, device, "pdd")


def test_more_processes_than_cards_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="process 3 of a machine with 2 cards"):
        join_processes("cuda")


def test_a_world_that_does_not_divide_the_batch_is_refused():
    sys.path.insert(0, str(ROOT / "experiments"))
    try:
        from base_models import recipe
    finally:
        sys.path.pop(0)
    with pytest.raises(ValueError, match="world_size=3 does not divide the 16 sequences"):
        recipe(10**6, 10**6, 3, torch.device("cpu"), 4, None)
    assert recipe(10**6, 10**6, 4, torch.device("cpu"), 4, None).batch_size == 4
