import json
import os

import pytest
import torch
from safetensors.torch import save_file

from llmlib.text import ByteTokenizer, CharTokenizer
from llmlib.train import TrainConfig, Trainer, load_checkpoint, save_checkpoint

SETTINGS = TrainConfig(
    steps=8, batch_size=4, seq_len=8, optimizer="muon", lr=0.02, embedding_lr=1e-2, vector_lr=1e-2, progress=False
)


def trained(make_model, tokens, steps=3, **shape):
    trainer = Trainer(make_model(**shape), SETTINGS, tokens)
    for _ in range(steps):
        trainer.train_step()
    return trainer


@pytest.mark.parametrize("tied", [True, False])
def test_round_trip(tmp_path, tokens, make_model, tied):
    trainer = trained(make_model, tokens, tie_embeddings=tied)
    tokenizer = CharTokenizer.from_text("abcdefg")
    path = save_checkpoint(tmp_path / "new" / "run", trainer.model, trainer.optimizers, 3, tokenizer)
    assert path.name == "run.safetensors"
    loaded = load_checkpoint(path)
    assert loaded.step == 3
    assert loaded.tokenizer.encode("gab") == tokenizer.encode("gab")
    assert loaded.model.config == trainer.model.config
    assert not loaded.model.training
    torch.testing.assert_close(loaded.model(tokens[None, :8]), trainer.model(tokens[None, :8]), atol=0, rtol=0)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path, tokens, make_model):
    unbroken = trained(make_model, tokens, steps=8)
    first = trained(make_model, tokens, steps=5)
    path = save_checkpoint(tmp_path / "run", first.model, first.optimizers, first.step)
    second = Trainer(make_model(seed=9), SETTINGS, tokens)
    second.step = load_checkpoint(path, second.model, second.optimizers).step
    for _ in range(5):
        second.draw_batch()  # the batches the first run has used
    for _ in range(3):
        second.train_step()
    for a, b in zip(unbroken.model.parameters(), second.model.parameters()):
        torch.testing.assert_close(a, b, atol=0, rtol=0)


def test_without_tokenizer_or_optimizer(tmp_path, make_model):
    path = save_checkpoint(tmp_path / "bare.safetensors", make_model())
    loaded = load_checkpoint(path)
    assert loaded.tokenizer is None
    assert loaded.step == 0
    path = save_checkpoint(tmp_path / "bytes", make_model(), tokenizer=ByteTokenizer())
    assert load_checkpoint(path).tokenizer.decode(ByteTokenizer().encode("é")) == "é"


def refused(path, error=ValueError, **arguments):
    with pytest.raises(error) as problem:
        load_checkpoint(path, **arguments)
    assert "\n" not in str(problem.value)
    assert os.fspath(path) in str(problem.value)
    return str(problem.value)


def test_another_config_is_refused_and_nothing_changes(tmp_path, make_model):
    path = save_checkpoint(tmp_path / "run.safetensors", make_model())
    other = make_model(seed=1, n_layers=2)
    before = [p.clone() for p in other.parameters()]
    message = refused(path, model=other)
    assert "n_layers=1 (the model has 2)" in message
    assert "load it without model=" in message
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters()))


def test_another_optimizer_is_refused(tmp_path, tokens, make_model):
    trainer = trained(make_model, tokens)
    path = save_checkpoint(tmp_path / "run.safetensors", trainer.model, trainer.optimizers)
    message = refused(path, model=make_model(), optimizer=torch.optim.AdamW(make_model().parameters()))
    assert "['Muon', 'AdamW']" in message
    bare = save_checkpoint(tmp_path / "bare.safetensors", make_model())
    assert "no optimizer" in refused(bare, model=make_model(), optimizer=trainer.optimizers)


def test_missing_damaged_and_foreign_files(tmp_path, make_model):
    refused(tmp_path / "nowhere.safetensors", FileNotFoundError)
    path = save_checkpoint(tmp_path / "run.safetensors", make_model())
    whole = path.read_bytes()
    for damage in (whole[:-20], whole[:5], b"", b"\x00" * 100, b"\x80\x04K\x01."):
        path.write_bytes(damage)
        assert "damaged" in refused(path)
    save_file({"w": torch.zeros(2)}, path)
    assert "not written by save_checkpoint" in refused(path)
    save_file({"w": torch.zeros(2)}, path, metadata={"next_token": json.dumps({"format": "of the future"})})
    assert "of the future" in refused(path)


def test_weights_that_do_not_fit_their_own_config(tmp_path, make_model):
    path = save_checkpoint(tmp_path / "run.safetensors", make_model())
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        notes, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    tensors.pop("model.blocks.0.norm1.weight")
    save_file(tensors, path, metadata=notes)
    assert "does not hold the weights" in refused(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, make_model, monkeypatch):
    path = save_checkpoint(tmp_path / "run.safetensors", make_model(), step=1)

    def full_disk(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("llmlib.train.checkpoint.save_bytes", full_disk)
    with pytest.raises(OSError, match="disk is full"):
        save_checkpoint(path, make_model(), step=2)
    assert load_checkpoint(path).step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
