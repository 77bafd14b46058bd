"""From a finished run to a shipped and measured model, in small: experiments/base_models_report.py."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from llmlib.data.shards import write_shards
from llmlib.hub import base, load_base
from llmlib.text import BPETokenizer, NGramModel
from llmlib.train import load_checkpoint

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
LINES = ["the ferry to the island leaves twice a day", "in winter it leaves once", "one day it did not come back"]


class Kept:
    """Stands for Experiment, which keeps what it has in places of the course's own."""

    def __init__(self, *arguments, **settings):
        pass

    def once(self, key, compute, *arguments):
        return json.loads(json.dumps(compute(*arguments)))

    def save(self, results):
        Kept.results = json.loads(json.dumps(results))


@pytest.fixture
def report(tmp_path, monkeypatch):
    """The script, with a folder of runs of its own and an empty folder to ship to."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    import base_models
    import base_models_report

    (runs := tmp_path / "runs").mkdir()
    tokenizer = BPETokenizer.train(LINES * 9, 290, special_tokens=list(base_models.SPECIAL))
    tokenizer.save(runs / "tokenizer.bpe")
    end = tokenizer.special_tokens[base_models.SPECIAL[0]]
    write_shards(runs / "train", map(tokenizer.encode, LINES * 500), vocab_size=4096, end=end)
    for name in ("choose", "report"):
        (runs / f"{name}.json").write_text(
            json.dumps(["the ferry leaves", "once a day", "é it came", "back in winter"])
        )
    (shipped := tmp_path / "recorded").mkdir()
    for module in (base, base_models_report):
        monkeypatch.setattr(module, "FOLDER", shipped)
        monkeypatch.setattr(module, "VOCABULARY", shipped / "base.bpe")
    monkeypatch.setattr(base_models_report, "Experiment", Kept)
    monkeypatch.setattr(base_models_report, "FIRST_CHECKPOINT", 1)
    monkeypatch.setattr(base_models_report, "ORDERS", {"tokens": [2, 3], "bytes": [4]})

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script.__file__, "--folder", str(runs), *arguments])
        script.main()

    return base_models, base_models_report, run, runs


def test_a_finished_run_is_shipped_and_measured(report, capsys):
    base_models, script, run, runs = report
    with pytest.raises(SystemExit):
        run(script)
    assert "holds no run of 0.3m that has ended: run base_models.py" in capsys.readouterr().err
    run(base_models, "--size", "0.3m", "--steps", "2", "--device", "cpu")
    run(script, "--intermediate", "0.3m:1")
    results, (size,) = Kept.results, base.base_sizes()
    model, _ = load_base(size, device="cpu")
    trained = load_checkpoint(runs / "0.3m-seed0").model
    for shipped, exact in zip(model.parameters(), trained.parameters()):
        assert torch.equal(shipped, exact.bfloat16().float())
    earlier = load_checkpoint(runs / "0.3m-seed0-00000001").model.token_embedding.weight
    assert torch.equal(load_base(size, updates=1, device="cpu")[0].token_embedding.weight, earlier.bfloat16().float())
    with pytest.raises(ValueError, match=r"updates=2 is not kept of 0.3m: choose one of 1, None"):
        load_base(size, updates=2)

    row = results["sizes"][size]
    assert (row["updates"], row["tokens"]) == (2, 2 * 4096) and [point[0] for point in row["train_loss"]] == [1, 2]
    assert [point[0] for point in row["checkpoints"]] == [1, 2]
    low, high = row["choose"][1:]
    assert row["choose"] == row["report"] and low < row["choose"][0] < high, "the same four documents"
    assert (
        results["documents"]["report"] == dict(number=4, bytes=sum(results["report_bytes"]))
        and not results["differences"]
    )

    best = results["ngram"]
    assert len(results["ngrams_tried"]) == 3 * 4 and best["choose"][0] == min(
        r["choose"] for r in results["ngrams_tried"]
    )
    gap = results["beyond_ngram"][size]
    assert gap[0] == pytest.approx(row["report"][0] - best["report"][0], abs=2e-4) and gap[1] <= gap[0] <= gap[2]


def test_a_shipped_size_whose_run_is_gone_keeps_what_the_run_could_tell(report, monkeypatch):
    base_models, script, run, runs = report
    run(base_models, "--size", "0.3m", "--steps", "2", "--device", "cpu")
    run(script)
    before = Kept.results
    monkeypatch.setattr(script, "recorded_names", lambda: ["base_models"])
    monkeypatch.setattr(script, "recorded", lambda name: {"results": before})
    for path in runs.glob("0.3m-*"):
        path.unlink()
    run(script)
    assert Kept.results["sizes"] == before["sizes"] and len(before["sizes"]["0.3m"]["checkpoints"]) == 2
    before["sizes"]["0.3m"]["report_nats"][0] += 1.0
    with pytest.raises(SystemExit, match=r"base_0\.3m\.safetensors is not what was recorded"):
        run(script)


def test_n_grams_begin_documents_as_transformers_do(report, monkeypatch):
    _, script, _, runs = report
    tokenizer = BPETokenizer.load(runs / "tokenizer.bpe")
    monkeypatch.setattr(script, "DISCOUNTS", {"kneser_ney": (0.7,)})
    monkeypatch.setattr(script, "ORDERS", {"tokens": [3]})
    texts = dict(choose=["once a day"], report=["the ferry leaves", "back in winter"])
    best = script.best_ngram("tokens", tokenizer, script.TokenShards(runs / "train"), texts)["best"]
    end = tokenizer.special_tokens["<|endoftext|>"]
    train = [[end, *tokenizer.encode(line)] for line in LINES * 500]
    model = NGramModel(3, "kneser_ney", discount=0.7, vocab_size=tokenizer.vocab_size).fit([np.array(t) for t in train])
    for text, nats in zip(texts["report"], best["report"]):
        assert nats == pytest.approx(-model.logprob([end, *tokenizer.encode(text)])[1:].sum(), abs=2e-3)


def test_models_of_two_vocabularies_are_not_mixed(report):
    _, script, _, runs = report
    BPETokenizer.train(LINES, 280, special_tokens=["<|endoftext|>"]).save(script.VOCABULARY)
    tokenizer = BPETokenizer.load(runs / "tokenizer.bpe")
    with pytest.raises(ValueError, match=r"base_1m.safetensors was trained with another tokenizer than base.bpe"):
        script.ship(None, tokenizer, script.FOLDER / "base_1m.safetensors")
