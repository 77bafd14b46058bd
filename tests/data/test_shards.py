"""Shards: what goes in comes out, across shard ends and epochs; damage and mistakes are refused."""

import json

import pytest
import torch

from llmlib.data.shards import ShardBatches, TokenShards, write_shards
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer


def documents(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 30, (n,), generator=generator).tolist()
    return [torch.randint(1, 50, (size,), generator=generator).tolist() for size in sizes]


def flat(docs):
    return torch.tensor([token for document in docs for token in [*document, 0]])


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "s", documents(), vocab_size=50, end=0, shard_tokens=100)


@pytest.mark.parametrize("vocab_size", [50, 1 << 16, (1 << 16) + 1])
def test_what_goes_in_comes_out(tmp_path, vocab_size):
    docs = [[vocab_size - 1, 1, 2], [], [3]]
    shards = write_shards(tmp_path, iter(docs), vocab_size=vocab_size, end=0, shard_tokens=2)
    assert shards[:].tolist() == [vocab_size - 1, 1, 2, 0, 3, 0]
    assert (len(shards), shards.documents, shards.end) == (6, 2, 0)
    assert len(list(tmp_path.glob("*.bin"))) == 2
    assert TokenShards(tmp_path, verify=True)[2:5].tolist() == [2, 0, 3]


def test_any_part_may_be_read_across_shard_ends(shards):
    whole = flat(documents())
    assert len(shards._arrays) > 3
    assert len(shards) == len(whole)
    for start, stop in ((0, 1), (95, 215), (0, len(whole)), (len(whole) - 3, len(whole)), (7, 7)):
        assert torch.equal(shards[start:stop], whole[start:stop])


def test_an_epoch_covers_every_window_once_and_the_next_is_cut_elsewhere(shards):
    batches = shards.batches(3, 8, seed=1)
    whole = flat(documents())
    first = list(batches)
    assert len(first) == len(batches) == ((len(whole) - 8) // 8) // 3
    seen = [tuple(row) for x, _ in first for row in x.tolist()]

    def cut(start):
        return tuple(whole[start : start + 8].tolist())

    shift = next(s for s in range(8) if cut(s) in seen or cut(s + 8) in seen)
    windows = {tuple(whole[start : start + 8].tolist()) for start in range(shift, len(whole) - 8, 8)}
    assert set(seen) <= windows and len(seen) == len(set(seen))
    for x, y in first:
        assert torch.equal(x[:, 1:], y[:, :-1])
    second = [tuple(row) for x, _ in batches for row in x.tolist()]
    assert second != seen


def test_processes_share_an_epoch(shards):
    together = list(shards.batches(4, 8, seed=2))
    apart = [list(shards.batches(2, 8, seed=2, rank=rank, world_size=2)) for rank in range(2)]
    for (x, _), (a, _), (b, _) in zip(together, *apart):
        assert torch.equal(x, torch.cat([a, b]))


def test_reading_goes_on_where_it_stopped(shards):
    unbroken = shards.batches(3, 8, seed=3)
    expected = [x for _ in range(3) for x, _ in unbroken]
    broken = shards.batches(3, 8, seed=3)
    epoch = iter(broken)
    got = [next(epoch)[0] for _ in range(5)]
    resumed = shards.batches(3, 8, seed=99)
    resumed.load_state_dict(broken.state_dict())
    got += [x for _ in range(3) for x, _ in resumed]
    assert all(torch.equal(a, b) for a, b in zip(expected, got))


def test_a_trainer_reads_them(shards):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=50, n_layers=1, d_model=16, n_heads=2, max_seq_len=8))
    config = TrainConfig(steps=30, lr=1e-2, progress=False, device="cpu")
    history = Trainer(model, config, shards.batches(4, 8)).run()
    assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "00001.bin").unlink(), "00001.bin is missing"),
        (lambda folder: (folder / "00000.bin").write_bytes(b"abc"), "00000.bin is missing or of another length"),
        (lambda folder: (folder / "meta.json").write_text("{"), "meta.json is not one of ours"),
        (lambda folder: (folder / "meta.json").write_text('{"format": "else"}'), "meta.json is not one of ours"),
    ],
)
def test_damage_is_found_on_opening(shards, damage, message):
    damage(shards.folder)
    with pytest.raises(ValueError, match=message):
        TokenShards(shards.folder)


def test_changed_contents_are_found_when_asked_for(shards):
    path = shards.folder / "00000.bin"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    TokenShards(shards.folder)
    with pytest.raises(ValueError, match=r"contents of 00000\.bin"):
        TokenShards(shards.folder, verify=True)


def test_an_impossible_id_is_refused_when_it_is_read(shards):
    meta = json.loads((shards.folder / "meta.json").read_text())
    (shards.folder / "meta.json").write_text(json.dumps(meta | dict(vocab_size=10)))
    with pytest.raises(ValueError, match="outside its vocab_size=10"):
        TokenShards(shards.folder)[:]


def test_an_unfinished_folder_is_refused_and_may_be_written_again(tmp_path):
    def breaks_off():
        yield from documents()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shards(tmp_path, breaks_off(), vocab_size=50, end=0, shard_tokens=100)
    with pytest.raises(FileNotFoundError, match="no finished shards"):
        TokenShards(tmp_path)
    shards = write_shards(tmp_path, documents(), vocab_size=50, end=0, shard_tokens=100)
    assert torch.equal(shards[:], flat(documents()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: write_shards(folder, [[1, 50]], vocab_size=50, end=0), "id 50 .document 0."),
        (lambda folder: write_shards(folder, [[1], [-1]], vocab_size=50, end=0), "id -1 .document 1."),
        (lambda folder: write_shards(folder, [[1]], vocab_size=50, end=50), "end=50"),
        (lambda folder: write_shards(folder, [[], []], vocab_size=50, end=0), "no token"),
        (lambda folder: write_shards(folder, [[1]], vocab_size=50, end=0, shard_tokens=0), "shard_tokens=0"),
    ],
)
def test_mistakes_in_writing_are_named(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path / "new")
    assert not (tmp_path / "new" / "meta.json").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(batch_size=0, seq_len=8), "batch_size=0"),
        (dict(batch_size=2, seq_len=8, rank=2, world_size=2), "rank=2"),
        (dict(batch_size=200, seq_len=8), "too few"),
        (dict(batch_size=1, seq_len=10**6), "too few"),
    ],
)
def test_mistakes_in_reading_are_named(shards, settings, message):
    with pytest.raises(ValueError, match=message):
        ShardBatches(shards, **settings)
    with pytest.raises(ValueError, match="holds shards already"):
        write_shards(shards.folder, [[1]], vocab_size=50, end=0)
