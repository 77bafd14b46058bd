"""Batches of any kind, and runs that go on in the middle of an epoch."""

import pytest
import torch

from llmlib.data import RandomWindows, ShuffledExamples, pack_documents, random_batch
from llmlib.train import TrainConfig, Trainer

SETTINGS = TrainConfig(
    steps=12, batch_size=2, seq_len=8, accumulate=2, optimizer="muon", lr=0.02, embedding_lr=1e-2, vector_lr=1e-2,
    average=0.9, warmup_steps=3, schedule="wsd", progress=False,
)  # fmt: skip


def test_windows_are_those_of_random_batch(tokens):
    generator = torch.Generator().manual_seed(3)
    for (x, y), _ in zip(RandomWindows(tokens, 4, 8, seed=3), range(3)):
        expected = random_batch(tokens, 4, 8, generator)
        assert torch.equal(x, expected[0])
        assert torch.equal(y, expected[1])


def test_processes_share_out_one_large_batch(tokens):
    whole = next(iter(RandomWindows(tokens, 6, 8)))[0]
    parts = [next(iter(RandomWindows(tokens, 2, 8, rank=rank, world_size=3)))[0] for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)
    examples = dict(n=torch.arange(12))
    whole = [batch["n"] for batch in ShuffledExamples(examples, 6)]
    parts = [[batch["n"] for batch in ShuffledExamples(examples, 3, rank=rank, world_size=2)] for rank in range(2)]
    assert torch.equal(torch.cat([parts[0][0], parts[1][0]]), whole[0])


def test_an_epoch_holds_every_example_once_and_the_next_is_shuffled_anew():
    batches = ShuffledExamples(dict(n=torch.arange(10)), 3)
    epochs = [torch.cat([batch["n"] for batch in batches]) for _ in range(3)]
    for order in epochs:
        assert len(order.unique()) == 9  # what does not fill a batch is left over
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[1], epochs[2])


def sources(tokens):
    x = torch.arange(20)[:, None] + torch.arange(9)
    rows = tokens[x]
    documents = [tokens[i : i + 3 + i % 6].tolist() for i in range(0, 300, 10)]
    return {
        "tokens": lambda: tokens,
        "windows": lambda: RandomWindows(tokens, 2, 8, seed=5),
        "packed": lambda: ShuffledExamples(pack_documents(documents, 8), 2, seed=1),
        "list": lambda: [rows[i : i + 2, :8] for i in range(0, 14, 2)],
        "function": lambda: lambda number: (rows[number % 20 :][:1, :-1], rows[number % 20 :][:1, 1:]),
        "generator": lambda: (rows[i % 20 :][:1, :8] for i in range(100)),
    }


@pytest.mark.parametrize("kind", ["tokens", "windows", "packed", "list", "function", "generator"])
def test_a_resumed_run_is_the_unbroken_one_bit_by_bit(kind, tokens, make_model, tmp_path):
    """Inside an epoch, with accumulation, averaging, dropout, evaluation, and a run that a callback stopped."""
    source, evaluate = sources(tokens)[kind], tokens[:50]
    torch.manual_seed(7)
    unbroken = Trainer(make_model(dropout=0.1), SETTINGS, source(), evaluate=evaluate)
    expected = unbroken.run()

    def stop(trainer, event):
        trainer.stop = event == "step" and trainer.step == 5

    torch.manual_seed(7)
    first = Trainer(make_model(dropout=0.1), SETTINGS, source(), evaluate=evaluate, callbacks=[stop])
    first.run()
    path = first.save(tmp_path / "run")
    torch.manual_seed(99)
    second = Trainer(make_model(seed=4, dropout=0.1), SETTINGS, source(), evaluate=evaluate)
    second.resume(path)
    assert second.step == 5
    history = second.run()
    assert history.train_loss == expected.train_loss
    assert history.steps == expected.steps
    assert history.val_loss == expected.val_loss
    for a, b in zip(unbroken.model.parameters(), second.model.parameters()):
        assert torch.equal(a, b)
    for a, b in zip(unbroken.average.set_aside, second.average.set_aside):
        assert torch.equal(a, b)


def test_training_goes_on_from_the_raw_weights_after_run(tokens, make_model):
    once = Trainer(make_model(), SETTINGS, tokens)
    for _ in range(6):
        once.train_step()
    twice = Trainer(make_model(), SETTINGS, tokens, callbacks=[lambda t, _: setattr(t, "stop", t.step == 3)])
    twice.run()
    for _ in range(3):
        twice.train_step()
    assert twice.history.train_loss == once.history.train_loss


def test_averages_nest(tokens, make_model):
    trainer = Trainer(make_model(), SETTINGS, tokens, evaluate=tokens[:50])
    for _ in range(5):
        trainer.train_step()
    raw = [p.clone() for p in trainer.model.parameters()]
    outside = trainer.evaluate()
    with trainer.averaged():
        assert trainer.evaluate() == outside  # it used to be the loss of the raw weights
        with trainer.averaged():
            pass
        shown = [p.clone() for p in trainer.model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(shown, trainer.average.average))
    assert all(torch.equal(a, b) for a, b in zip(raw, trainer.model.parameters()))


def resume_refused(trainer, path, message):
    before = [p.clone() for p in trainer.model.parameters()], trainer.feed.state_dict()
    with pytest.raises(ValueError, match=message) as problem:
        trainer.resume(path)
    assert "\n" not in str(problem.value)
    assert all(torch.equal(a, b) for a, b in zip(before[0], trainer.model.parameters()))
    assert trainer.step == 0
    assert trainer.feed.state_dict()["drawn"] == before[1]["drawn"]


def test_another_run_is_refused_before_anything_changes(tokens, make_model, tmp_path):
    trainer = Trainer(make_model(), SETTINGS, tokens)
    trainer.train_step()
    path = trainer.save(tmp_path / "run")
    other = lambda changes, batches=tokens: Trainer(make_model(seed=2), SETTINGS.replace(**changes), batches)
    resume_refused(other(dict(lr=0.03)), path, r"saved with lr=0.02 \(here 0.03\)")
    resume_refused(other(dict(average=0.0)), path, "average=0.9")
    resume_refused(other({}, [tokens[None, :8]]), path, "batches is of another kind")
    resume_refused(other({}, ShuffledExamples(dict(ids=tokens[:80].view(10, 8)), 2)), path, "batches cannot go on")
    longer = other(dict(steps=20, eval_every=5))
    longer.resume(path)
    assert longer.step == 1
    from llmlib.train import save_checkpoint

    bare = save_checkpoint(tmp_path / "bare", trainer.model, trainer.optimizers)
    resume_refused(other({}), bare, "holds no state of a run")


def test_batches_that_end_or_are_none(tokens, make_model):
    x = tokens[None, :8]
    trainer = Trainer(make_model(), SETTINGS, (x for _ in range(3)))
    trainer.train_step()
    with pytest.raises(ValueError, match="nothing more to give after 3"):
        trainer.train_step()
    with pytest.raises(ValueError, match="nothing more to give after 0"):
        Trainer(make_model(), SETTINGS, []).train_step()
    with pytest.raises(ValueError, match="batches is a int"):
        Trainer(make_model(), SETTINGS, 5)


def test_batches_move_to_the_device_in_the_form_they_have(tokens, make_model):
    seen = []

    def loss(model, batch):
        seen.append(batch)
        return model(batch["pair"][0]).sum() * 0.0, 1

    batch = dict(pair=(tokens[None, :8], [tokens[None, :8]]), name="a")
    Trainer(make_model(), SETTINGS.replace(steps=1, warmup_steps=0, device="cpu"), [batch], loss=loss).run()
    assert isinstance(seen[0]["pair"], tuple)
    assert isinstance(seen[0]["pair"][1], list)
    assert seen[0]["name"] == "a"


def test_packing():
    packed = pack_documents([[1, 2, 3], [4, 5], [6], list(range(10, 17))], seq_len=6)
    assert packed["ids"].tolist() == [[1, 2, 3, 4, 5, 6], [10, 11, 12, 13, 14, 15], [16, 0, 0, 0, 0, 0]]
    assert packed["segments"].tolist() == [[0, 0, 0, 1, 1, 2], [0] * 6, [0, -1, -1, -1, -1, -1]]
    assert packed["targets"].tolist()[0] == [2, 3, -100, 5, -100, -100]
    assert packed["targets"].tolist()[1] == [11, 12, 13, 14, 15, -100]
    counted = pack_documents([[1, 2, 3]], 4, counted=[[True, False, True]])
    assert counted["targets"].tolist() == [[-100, 3, -100, -100]]
    for arguments, message in (
        (([], 4), "no token"),
        (([[1]], 0), "seq_len must"),
        (([[1, 2]], 4, [[True]]), "counted must say"),
    ):
        with pytest.raises(ValueError, match=message):
            pack_documents(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((dict(a=torch.zeros(3), b=torch.zeros(2)), 1), "rows"),
        (({}, 1), "rows"),
        ((dict(a=torch.zeros(3)), 4), "does not fit 3 examples"),
        ((dict(a=torch.zeros(3)), 0), "batch_size=0"),
    ],
)
def test_examples_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffledExamples(*arguments)
