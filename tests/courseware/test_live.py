"""The live curve: one picture, redrawn, with words; and what is drawn is the run."""

import matplotlib

matplotlib.use("agg")

import numpy as np
import pytest
import torch

from courseware.classroom import live
from courseware.classroom.live import LiveCurve, smoothed
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer


@pytest.fixture
def displayed(monkeypatch):
    """What was displayed and how often it was redrawn."""
    seen = []

    class Handle:
        def update(self, picture, raw):
            assert raw
            seen.append(("redrawn", picture))

    def display(picture, raw, display_id):
        assert raw and display_id
        seen.append(("new", picture))
        return Handle()

    monkeypatch.setattr(live, "display", display)
    return seen


def run(*callbacks, steps=60):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=7, n_layers=1, d_model=16, n_heads=2, max_seq_len=8))
    tokens = torch.randint(7, (500,), generator=torch.Generator().manual_seed(1))
    config = TrainConfig(steps=steps, batch_size=2, seq_len=8, lr=0.01, eval_every=20, progress=False, device="cpu")
    trainer = Trainer(model, config, tokens, evaluate=tokens[:101], callbacks=callbacks)
    trainer.run()
    return trainer


def test_it_is_one_picture_that_is_redrawn_and_says_what_it_shows(displayed):
    trainer = run(LiveCurve(seconds=0), steps=8)
    assert [kind for kind, _ in displayed][:2] == ["new", "redrawn"]
    assert sum(kind == "new" for kind, _ in displayed) == 1 and len(displayed) >= 8
    last = displayed[-1][1]
    assert last["text/plain"].endswith(f"in 8 updates; held out {trainer.history.val_loss[-1]:.2f}.")
    assert "<img alt=" in last["text/html"]


def test_a_patient_one_draws_at_the_first_update_and_at_the_end(displayed):
    run(LiveCurve(seconds=3600))
    assert len(displayed) == 2
    assert "in 60 updates" in displayed[-1][1]["text/plain"]


def test_the_lines_are_the_runs_numbers(displayed):
    trainer = run()
    figure = LiveCurve(scale=2.0, y="half nats").draw(trainer)
    training, smooth, held_out = figure.axes[0].lines
    assert np.allclose(training.get_ydata(), 2 * np.array(trainer.history.train_loss))
    assert len(smooth.get_ydata()) == 60
    assert list(held_out.get_xdata()) == [0, 20, 40, 60]
    assert figure.axes[0].get_ylabel() == "half nats"


def test_a_second_run_gets_a_picture_of_its_own(displayed):
    curve = LiveCurve(seconds=3600)
    run(curve, steps=3)
    run(curve, steps=3)
    assert [kind for kind, _ in displayed] == ["new", "redrawn"] * 2


def test_smoothing_keeps_a_constant_and_follows_slowly():
    assert smoothed([2.0] * 100) == pytest.approx([2.0] * 100)
    stairs = smoothed([1.0] * 50 + [0.0] * 50)
    assert 0 < stairs[55] < 1 and stairs[-1] < 0.01
    assert (np.diff(stairs[50:]) < 0).all()


@pytest.mark.parametrize("settings", [dict(seconds=-1), dict(scale=0)])
def test_mistakes_are_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        LiveCurve(**settings)
