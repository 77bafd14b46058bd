import pytest
import torch

from llmlib.train import TrainConfig, Trainer, WeightAverage


def test_average_of_a_bouncing_weight_is_its_middle():
    w = torch.nn.Parameter(torch.tensor([100.0]))  # what it starts from is forgotten
    average = WeightAverage([w], 0.98)
    for step in range(400):
        w.data.fill_(3.0 + (-1.0) ** step)
        average.update()
    with average.applied():
        assert w.item() == pytest.approx(3.0, abs=0.02)
    assert w.item() == 2.0  # the last value is back
    average.keep()
    assert w.item() == pytest.approx(3.0, abs=0.02)


def test_recursion_by_hand():
    w = torch.nn.Parameter(torch.tensor([5.0]))
    average = WeightAverage([w], 0.05)  # smaller than the warm-up's 1/11, so it rules from the second update on
    expected = None
    for value in (1.0, 2.0, 4.0):
        w.data.fill_(value)
        average.update()
        expected = value if expected is None else 0.05 * expected + 0.95 * value
    assert average.average[0].item() == pytest.approx(expected)


def test_parameters_come_back_after_an_error():
    w = torch.nn.Parameter(torch.tensor([1.0]))
    average = WeightAverage([w], 0.5)
    average.update()
    w.data.fill_(2.0)
    with pytest.raises(RuntimeError), average.applied():
        assert w.item() == 1.0
        raise RuntimeError
    assert w.item() == 2.0


def test_averaging_does_not_disturb_training_but_is_what_run_leaves(tokens, make_model):
    settings = TrainConfig(steps=30, batch_size=4, seq_len=8, lr=0.05, eval_every=10, progress=False)
    plain = Trainer(make_model(), settings, tokens, evaluate=tokens[:200])
    averaged = Trainer(make_model(), settings.replace(average=0.9), tokens, evaluate=tokens[:200])
    plain_history, averaged_history = plain.run(), averaged.run()
    assert plain_history.train_loss == averaged_history.train_loss
    assert plain_history.val_loss[1:] != averaged_history.val_loss[1:]
    for kept, mean in zip(averaged.model.parameters(), averaged.average.average):
        assert torch.equal(kept, mean)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_the_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay="):
        WeightAverage([], decay)
    with pytest.raises(ValueError, match="average="):
        TrainConfig(average=decay)
