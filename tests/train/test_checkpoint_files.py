"""Checkpoints as files: what survives in them, what is refused, and what a crash leaves behind."""

import io
import json
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import tracemalloc

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer, load_checkpoint, save_checkpoint
from llmlib.train.packing import pack, unpack

SETTINGS = TrainConfig(
    steps=8, batch_size=4, seq_len=8, optimizer="muon", lr=0.02, embedding_lr=1e-2, vector_lr=1e-2, average=0.9,
    progress=False,
)  # fmt: skip


@pytest.fixture
def saved(tmp_path, tokens, make_model):
    trainer = Trainer(make_model(), SETTINGS, tokens)
    for _ in range(3):
        trainer.train_step()
    return trainer, trainer.save(tmp_path / "run", CharTokenizer.from_text("abcdefg"))


def read(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["next_token"]), {name: file.get_tensor(name) for name in file.keys()}


def test_values_of_any_nesting_come_back_as_they_were():
    tensors = {}
    value = {"a": (1, [2.5, None, True], {"b": torch.arange(3), 7: ()}), "c": [], 1.5: "text", (1, 2): -0.0}
    again = unpack(json.loads(json.dumps(pack(value, tensors, "x"))), tensors)
    assert again["a"][:2] == (1, [2.5, None, True])
    assert again["a"][2]["b"] is tensors["x.a.2.b"]
    assert again["a"][2][7] == ()
    assert (again["c"], again[1.5], again[1, 2]) == ([], "text", 0.0)
    with pytest.raises(ValueError, match=r"x\.a is a set, which a checkpoint cannot hold"):
        pack({"a": {1}}, {}, "x")


def test_betas_stay_a_tuple(saved, tokens, make_model):
    _, path = saved
    other = Trainer(make_model(seed=1), SETTINGS, tokens)
    load_checkpoint(path, other.model, other.optimizers)
    assert other.optimizers[1].param_groups[0]["betas"] == (0.9, 0.95)


def test_adamw_and_torchs_go_on_from_each_others_state(tmp_path, tokens, make_model):
    settings = SETTINGS.replace(optimizer="adamw", average=0.0, lr=1e-2)
    theirs = lambda model, config: [torch.optim.AdamW(model.parameters(), lr=1e-2, betas=config.betas)]
    ours = lambda model, config: [__import__("llmlib.train").train.AdamW(model.parameters(), 1e-2, config.betas)]
    ends = []
    for first_kind, second_kind in ((ours, ours), (ours, theirs), (theirs, ours)):
        first = Trainer(make_model(), settings, tokens, optimizers=first_kind)
        for _ in range(3):
            first.train_step()
        second = Trainer(make_model(seed=3), settings, tokens, optimizers=second_kind)
        second.resume(first.save(tmp_path / "run"))
        ends.append([second.train_step() for _ in range(3)])
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)
    assert ends[2] == pytest.approx(ends[0], abs=1e-5)


def test_a_file_gets_the_permissions_that_the_umask_allows(tmp_path, make_model):
    before = os.umask(0o027)
    try:
        path = save_checkpoint(tmp_path / "run", make_model())
    finally:
        os.umask(before)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_to_and_from_a_file_object(make_model):
    model, file = make_model(), io.BytesIO()
    assert save_checkpoint(file, model, step=4) is file
    file.seek(0)
    loaded = load_checkpoint(file)
    assert loaded.step == 4
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.model.parameters()))
    with pytest.raises(ValueError, match="path=<file object> is damaged"):
        load_checkpoint(io.BytesIO(b"nothing"))


def test_models_without_a_config(tmp_path):
    torch.manual_seed(0)
    make = lambda n=3: nn.Sequential(nn.Linear(2, n), nn.BatchNorm1d(n))
    model, other = make(), make()
    model(torch.randn(5, 2))  # the running statistics are part of it
    path = save_checkpoint(tmp_path / "run", model, torch.optim.SGD(model.parameters(), lr=0.1))
    load_checkpoint(path, other, torch.optim.SGD(other.parameters(), lr=0.2))
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    with pytest.raises(ValueError, match="holds no config of a Transformer"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match="holds the weights of another model"):
        load_checkpoint(path, make(4))


def test_trainable_weights_alone_and_only_on_their_base(tmp_path, tokens, make_model):
    base, other_base = make_model(), make_model(seed=1)
    for model in (base, other_base):
        model.requires_grad_(False)
        model.blocks[0].mlp.requires_grad_(True)
    Trainer(base, SETTINGS.replace(average=0.0), tokens).train_step()
    path = save_checkpoint(tmp_path / "part", base, weights="trainable")
    _, tensors = read(path)
    assert sorted(tensors) == ["model.blocks.0.mlp.down_proj.weight", "model.blocks.0.mlp.up_proj.weight"]
    fresh = make_model()
    load_checkpoint(path, fresh)
    assert all(torch.equal(a, b) for a, b in zip(base.parameters(), fresh.parameters()))
    before = [p.clone() for p in other_base.parameters()]
    with pytest.raises(ValueError, match="a base with other frozen weights"):
        load_checkpoint(path, other_base)
    assert all(torch.equal(a, b) for a, b in zip(before, other_base.parameters()))
    with pytest.raises(ValueError, match="the trainable weights only"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match="no trainable parameter"):
        save_checkpoint(path, make_model().requires_grad_(False), weights="trainable")
    with pytest.raises(ValueError, match="weights='some' is unknown"):
        save_checkpoint(path, base, weights="some")


class Shouting(CharTokenizer):
    def encode(self, text):
        return super().encode(text.lower())


class Stranger:
    def save(self, path):
        path.write_text("x")


def test_a_derived_tokenizer_comes_back_and_a_stranger_is_refused_at_once(tmp_path, make_model):
    path = save_checkpoint(tmp_path / "run", make_model(), tokenizer=Shouting.from_text("abcdefg"))
    loaded = load_checkpoint(path).tokenizer
    assert type(loaded) is Shouting
    assert loaded.encode("GAB") == loaded.encode("gab")
    with pytest.raises(ValueError, match="Stranger, which load_checkpoint would not find: derive its class from"):
        save_checkpoint(tmp_path / "other", make_model(), tokenizer=Stranger())
    assert not (tmp_path / "other.safetensors").exists()


def mutations(whole, seed):
    """Damaged copies of a checkpoint: bytes, lengths, and notes and tensors written anew by somebody who knows how."""
    rng = random.Random(seed)
    kind = rng.randrange(6)
    if kind == 0:
        position = rng.randrange(len(whole))
        return whole[:position] + bytes([whole[position] ^ (1 << rng.randrange(8))]) + whole[position + 1 :]
    if kind == 1:
        return whole[: rng.randrange(len(whole))]
    if kind == 2:
        start, end = sorted(rng.randrange(len(whole)) for _ in range(2))
        return whole[:start] + rng.randbytes(min(end - start, 64)) + whole[end:]
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    notes = json.loads(header["__metadata__"]["next_token"])
    if kind == 3:  # a tensor lies about itself
        name = rng.choice([name for name in header if name != "__metadata__"])
        entry = header[name]
        what = rng.choice(["shape", "dtype", "gone", "name"])
        if what == "shape":
            entry["shape"] = rng.choice([[], entry["shape"][::-1], [1, *entry["shape"]], [2**40], [0]])
        elif what == "dtype":
            entry["dtype"] = rng.choice(["I32", "F32", "U8", "F64", "X"])
        elif what == "gone":
            del header[name]
        else:
            header[rng.choice(["model.x", "optimizer.0.state.0", ""])] = header.pop(name)
    else:
        places = list(walk(notes))
        parent, key = rng.choice(places)
        values = [None, True, -1, 0, 3, 10**9, 10**30, 1e400, "", "x", [], {}, [[]], {"dict": []}, {"tuple": [1]}]
        values += [{"tensor": "model.token_embedding.weight"}, {"tensor": 3}, nested(rng.choice([60, 2000]))]
        if kind == 4 or isinstance(parent, list):
            parent[key] = rng.choice(values)
        else:
            del parent[key]
    header["__metadata__"]["next_token"] = json.dumps(notes)
    if header == json.loads(whole[8 : 8 + length]):
        return whole  # by chance nothing has changed
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + whole[8 + length :]


def nested(depth):
    value = []
    for _ in range(min(depth, 500)):
        value = [value]
    return value


def walk(value):
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from walk(value[key])


N_MUTATIONS = int(os.environ.get("MUTATIONS", "25"))


def test_damaged_and_forged_files_are_refused_in_one_line_and_change_nothing(saved, tokens, make_model, tmp_path):
    _, path = saved
    whole = path.read_bytes()
    trainer = Trainer(make_model(seed=1), SETTINGS, tokens)
    trainer.train_step()

    def snapshot():
        tensors = {}
        states = [pack(each.state_dict(), tensors, str(i)) for i, each in enumerate(trainer.optimizers)]
        kept = [t.clone() for t in (*tensors.values(), *trainer.model.parameters(), *trainer.average.average)]
        return json.dumps(states), kept, trainer.step, trainer.feed.state_dict()["own"]["generator"].clone()

    before = snapshot()
    damaged = tmp_path / "damaged.safetensors"
    tracemalloc.start()
    for seed in (*range(N_MUTATIONS), 1188):  # the last once put a tensor into the message
        content = mutations(whole, seed)
        if content == whole:
            continue
        damaged.write_bytes(content)
        for load in (lambda: load_checkpoint(damaged), lambda: trainer.resume(damaged)):
            with pytest.raises(ValueError) as problem:
                load()
            assert "\n" not in str(problem.value), seed
            assert str(damaged) in str(problem.value), seed
            assert len(str(problem.value)) < 1000, seed
    assert tracemalloc.get_traced_memory()[1] < 2**28
    after = snapshot()
    assert before[0] == after[0]
    assert before[2] == after[2]
    assert all(torch.equal(a, b) for a, b in zip((*before[1], before[3]), (*after[1], after[3])))


@pytest.mark.parametrize("field", ["n_layers", "max_seq_len", "d_model", "vocab_size", "d_ff"])
def test_a_forged_size_allocates_nothing(saved, field):
    _, path = saved
    notes, tensors = read(path)
    for pair in notes["config"]["dict"]:
        if pair[0] == field:
            pair[1] = 10**9
    save_file(tensors, path, metadata={"next_token": json.dumps(notes)})
    with pytest.raises(ValueError, match="safetensors'"):
        load_checkpoint(path)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_while_saving_leaves_the_old_file_and_no_litter(tmp_path):
    script = """
        import sys, time
        from llmlib.model import ModelConfig, Transformer
        from llmlib.train import checkpoint, save_checkpoint
        model = Transformer(ModelConfig(vocab_size=7, n_layers=1, d_model=8, n_heads=1, max_seq_len=8))
        save_checkpoint(sys.argv[1], model, step=1)
        def slow(tensors, metadata):
            print("saving", flush=True)
            time.sleep(60)
        checkpoint.save_bytes = slow
        save_checkpoint(sys.argv[1], model, step=2)
    """
    path = tmp_path / "run.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "saving\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(path).step == 1
    save_checkpoint(path, load_checkpoint(path).model, step=3)
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_full_disk_says_so(make_model):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        save_checkpoint(full, make_model())


def test_a_large_model_is_not_confused_with_a_forged_one(tmp_path):
    config = ModelConfig(vocab_size=11, n_layers=40, d_model=8, n_heads=1, max_seq_len=100_000)
    path = save_checkpoint(tmp_path / "deep", Transformer(config))
    assert load_checkpoint(path).model.config == config
