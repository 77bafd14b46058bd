"""What goes wrong in long runs: NaNs, interrupts, a kill in the middle, a full disk; and the numbers that are kept."""

import errno
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer, load_checkpoint, next_token_loss
from llmlib.train.callbacks import SaveEvery, StopEarly, WriteMetrics, read_metrics

FORK = multiprocessing.get_context("fork") if "fork" in multiprocessing.get_all_start_methods() else None
TOKENS = torch.randint(7, (2000,), generator=torch.Generator().manual_seed(1))


def model():
    torch.manual_seed(0)
    return Transformer(ModelConfig(vocab_size=7, n_layers=1, d_model=16, n_heads=2, max_seq_len=8))


def trainer(callbacks=(), loss=next_token_loss, **changes):
    settings = dict(steps=12, batch_size=4, seq_len=8, lr=0.01, progress=False, device="cpu") | changes
    return Trainer(model(), TrainConfig(**settings), TOKENS, evaluate=TOKENS[:101], loss=loss, callbacks=callbacks)


def weights(run):
    return [w.detach().clone() for w in run.model.parameters()]


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_a_number_that_is_none_stops_the_run_before_a_weight_is_touched(tmp_path, poison, clip):
    def loss(model, batch):
        value, count = next_token_loss(model, batch)
        if run.step == 5 and poison == "loss":
            value = value * float("nan")
        if run.step == 5 and poison == "gradient":  # the root's slope at 0 is infinite, its value is not
            value = value + (value * 0).sqrt()
        return value, count

    run = trainer([SaveEvery(tmp_path / "run", 2)], loss, grad_clip=clip)
    run.evaluation = None
    with pytest.raises(FloatingPointError, match=r"update 6 .*run\.safetensors.*lower lr") as caught:
        run.run()
    assert "\n" not in str(caught.value)
    assert run.step == 5 and len(run.history.train_loss) == 5
    assert all(torch.isfinite(w).all() and w.grad is None for w in run.model.parameters())
    assert load_checkpoint(tmp_path / "run").step == 4


def test_without_a_checkpoint_the_message_says_so():
    run = trainer(loss=lambda model, batch: (next_token_loss(model, batch)[0] * float("inf"), 4))
    with pytest.raises(FloatingPointError, match="no checkpoint was saved"):
        run.train_step()


def test_float16_scales_skips_and_goes_on():
    run = trainer(dtype="float16", steps=8)
    run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)  # too large: the first updates are skipped
    before = weights(run)
    run.train_step()
    assert all(torch.equal(a, b) for a, b in zip(before, weights(run)))
    assert run.scaler.get_scale() == 2.0**29
    for _ in range(30):
        run.train_step()
    assert any(not torch.equal(a, b) for a, b in zip(before, weights(run)))
    assert run.history.train_loss[-1] < run.history.train_loss[0]
    assert all(torch.isfinite(w).all() for w in weights(run))


def test_the_scale_of_float16_is_resumed(tmp_path):
    run = trainer(dtype="float16")
    run.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    run.train_step()
    run.save(tmp_path / "run")
    again = trainer(dtype="float16")
    again.resume(tmp_path / "run")
    assert again.scaler.get_scale() == 1024.0
    assert run.train_step() == again.train_step()


def test_an_interrupt_finishes_the_update_and_leaves_a_checkpoint(tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def interrupt(run, event):
        if event == "step" and run.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    run = trainer([interrupt, SaveEvery(tmp_path / "run", 100)])
    run.run()
    assert run.step == 5 and run.stop
    assert signal.getsignal(signal.SIGINT) is before
    again = trainer()
    again.resume(tmp_path / "run")
    again.run()
    unbroken = trainer()
    unbroken.run()
    assert all(torch.equal(a, b) for a, b in zip(weights(again), weights(unbroken)))


def test_a_second_interrupt_breaks_it_off():
    def interrupt(run, event):
        if event == "step" and run.step in (3, 4):
            os.kill(os.getpid(), signal.SIGINT)
            run.stop = False  # as if the update took for ever

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer([interrupt]).run()
    assert signal.getsignal(signal.SIGINT) is before


def train_until_killed(path, again, reports):
    torch.set_num_threads(1)
    os.close(2)  # what a killed process would have said
    run = trainer([SaveEvery(path, 3), lambda run, event: reports.send(run.step) or time.sleep(0.005)], steps=10**6)
    if again:
        run.resume(path)
    run.run()


def killed_after(path, steps, again):
    """Train in another process until it reports `steps` updates, kill -9; returns the last one reported."""
    reports, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=train_until_killed, args=(path, again, sender))
    process.start()
    while (last := reports.recv()) < steps:
        pass
    process.kill()
    process.join()
    return last


@pytest.fixture
def one_thread():
    """Sums come out alike here and in the processes that are killed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(FORK is None, reason="needs fork")
def test_kills_lose_at_most_the_updates_since_the_last_save(tmp_path, one_thread):
    """Five; `KILLS=20 python -m pytest tests/train/test_robustness.py -k kills` makes more."""
    path, reached, draws = tmp_path / "run.safetensors", 0, random.Random(0)
    for number in range(int(os.environ.get("KILLS", "5"))):
        more = draws.randint(3, 12)
        last = killed_after(path, reached + more, again=number > 0)
        saved = load_checkpoint(path).step
        assert last - 3 <= saved <= last + 3  # some updates may have gone unreported
        assert saved > reached - 3
        reached = saved
    unbroken = trainer(steps=10**6)
    unbroken.evaluation = None
    while unbroken.step < reached:
        unbroken.train_step()
    for a, b in zip(weights(unbroken), load_checkpoint(path).model.parameters()):
        assert torch.equal(a, b.detach())
    run = trainer(steps=10**6)
    run.resume(path)
    run.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["run.safetensors"]  # no litter after the next save


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    run = trainer([SaveEvery(tmp_path / "run", 2)])
    for _ in range(2):
        run.train_step()
    run.save(tmp_path / "run")
    whole = Path.write_bytes

    def full(self, data):
        if self.suffix != ".json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="the disk is full"):
        run.run()
    assert load_checkpoint(tmp_path / "run").step == 2


def test_powers_of_two_are_kept(tmp_path):
    trainer([SaveEvery(tmp_path / "run", 5, keep_powers_of_two=True)]).run()
    names = sorted(path.stem for path in tmp_path.glob("*.safetensors"))
    assert names == ["run", "run-00000001", "run-00000002", "run-00000004", "run-00000008"]
    assert load_checkpoint(tmp_path / "run-00000004").step == 4
    assert load_checkpoint(tmp_path / "run").step == 12


def test_metrics_are_written_as_they_come_and_go_on_after_a_resume(tmp_path):
    path = tmp_path / "logs" / "run.jsonl"
    run = trainer([WriteMetrics(path), SaveEvery(tmp_path / "run", 4)], eval_every=4, schedule="wsd", warmup_steps=2)
    run.config = run.config.replace(steps=12)

    def stop(run, event):
        run.stop = run.stop or (event == "step" and run.step == 7)

    run.callbacks.append(stop)
    run.run()
    lines = read_metrics(path)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 8))
    assert [line["step"] for line in lines if "held_out" in line] == [0, 4]
    assert lines[1]["lr"] == pytest.approx(0.005) and lines[-1]["tokens"] == 7 * 32
    with path.open("a") as file:
        file.write('{"step": 9, "loss"')  # a crash
    again = trainer([WriteMetrics(path)], eval_every=4, schedule="wsd", warmup_steps=2)
    again.resume(tmp_path / "run")
    again.run()
    lines = read_metrics(path)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    assert [line["loss"] for line in lines if "loss" in line] == pytest.approx(again.history.train_loss)


def test_a_run_that_gains_nothing_more_stops():
    values = iter([5.0, 4.0, 3.0, 3.5, 3.2, 3.1, 2.0, 1.0])
    run = trainer([StopEarly(patience=3)], eval_every=1, steps=8)
    run.evaluation = lambda model: next(values)
    run.run()
    assert run.step == 5


@pytest.mark.parametrize(
    ("call", "message"), [(lambda: SaveEvery("x", 0), "steps=0"), (lambda: StopEarly(patience=0), "patience=0")]
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
