"""The capstone's stages: in a row, gone on with, refused; the card."""

import json

import pytest
import torch
from safetensors.torch import load_file

from llmlib.capstone import PRESETS, STAGES, CapstoneSettings, Pipeline, Workshop, capstone_preset, model_card
from llmlib.capstone.__main__ import main
from llmlib.train import SaveEvery

TINY = CapstoneSettings(
    transcripts=150, pretrain_updates=12, demonstrations=16, sft_epochs=1, rankings=8, align_updates=2, held_out=6,
    save_every=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    pipeline = Pipeline(tmp_path_factory.mktemp("capstone") / "run", TINY)
    return pipeline, list(pipeline.run())


def test_every_stage_leaves_its_record_and_files(finished):
    pipeline, records = finished
    assert [record.name for record in records] == list(STAGES)
    assert all((pipeline.folder / name).exists() for record in records for name in record.files)
    assert all(record.seconds >= 0 and record.joules >= 0 for record in records)
    kept = records[0].figures
    assert kept["kept"] + kept["copies"] + kept["leaked"] + kept["too_long"] == kept["drawn"] == 150
    assert records[1].figures["round_trips"] == 1.0
    assert not (pipeline.folder / "partial" / "pretrain").exists()


def test_no_held_out_request_stands_in_the_corpus(finished):
    pipeline, _ = finished
    workshop = Workshop(pipeline.folder, pipeline.folder, TINY, print)
    held = {request.text for each in workshop.held_out().values() for request in each}
    lines = {
        line
        for text in (pipeline.folder / "corpus.jsonl").read_text().splitlines()
        for line in json.loads(text).split("\n")
    }
    assert held and not held & lines


def test_what_is_done_is_not_done_again(finished, monkeypatch):
    pipeline, records = finished
    for name in STAGES:
        monkeypatch.setitem(STAGES, name, lambda _: pytest.fail("a finished stage ran again"))
    assert list(Pipeline(pipeline.folder, TINY).run()) == records


def test_the_small_model_is_read_from_its_file(finished):
    pipeline, _ = finished
    workshop = Workshop(pipeline.folder, pipeline.folder, TINY, print)
    ids = torch.randint(TINY.vocab_size, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        small, whole = workshop.small_model()(ids), workshop.model("policy")(ids)
    assert 0 < (small - whole).abs().mean() < 0.5 * whole.std()


def test_the_card_holds_the_figures_and_wants_all_stages(finished):
    _, records = finished
    card = model_card(records, TINY)
    assert f"{records[2].figures['parameters']:,}" in card and "Not for" in card
    assert all(f"| {name} |" in card for name in STAGES)
    with pytest.raises(ValueError, match="'report'"):
        model_card(records[:-1], TINY)


def test_a_damaged_file_makes_its_stage_and_later_ones_run_again(finished, tmp_path):
    pipeline, _ = finished
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in pipeline.folder.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "sft.safetensors").write_bytes(b"not weights")
    again = Pipeline(folder, TINY)
    assert [record.name for record in again.records] == list(STAGES)[:3]
    assert [record.name for record in again.run("sft")] == list(STAGES)[:4]
    assert load_file(folder / "sft.safetensors").keys() == load_file(pipeline.folder / "sft.safetensors").keys()


class Killed(BaseException):
    """What takes a process away: nothing catches it."""


def test_a_stage_that_is_killed_goes_on_from_its_checkpoint_and_ends_the_same(finished, tmp_path, monkeypatch):
    whole, _ = finished
    folder, call, saves = tmp_path / "killed", SaveEvery.__call__, []

    def dies_after_two_saves(self, trainer, event):
        call(self, trainer, event)
        if event == "step" and trainer.step % self.steps == 0:
            saves.append(trainer.step)
            if len(saves) == 2:
                raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SaveEvery, "__call__", dies_after_two_saves)
        with pytest.raises(Killed):
            list(Pipeline(folder, TINY).run("pretrain"))
    told = []
    records = list(Pipeline(folder, TINY, progress=told.append).run("pretrain"))
    assert saves == [5, 10] and any("goes on after update 10" in line for line in told)
    ours, theirs = load_file(folder / "base.safetensors"), load_file(whole.folder / "base.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert records[-1].seconds > 0


def test_an_interrupted_training_does_not_count_as_done(tmp_path, monkeypatch):
    call = SaveEvery.__call__

    def stops(self, trainer, event):
        call(self, trainer, event)
        if trainer.step == 3:
            trainer.stop = True  # what the first Ctrl-C does

    monkeypatch.setattr(SaveEvery, "__call__", stops)
    pipeline = Pipeline(tmp_path / "run", TINY)
    with pytest.raises(KeyboardInterrupt):
        list(pipeline.run("pretrain"))
    assert [record.name for record in Pipeline(tmp_path / "run", TINY).records] == ["corpus", "tokenizer"]


def test_reinforcement_goes_on_chunk_by_chunk_and_ends_the_same(finished, tmp_path, monkeypatch):
    from llmlib.capstone import stages

    pipeline, _ = finished
    monkeypatch.setattr(stages, "RL_CHUNK", 1)
    ends = []
    for die in (False, True):
        folder = tmp_path / f"run{die}"
        partial = folder / "partial"
        partial.mkdir(parents=True)
        for path in pipeline.folder.iterdir():
            if path.is_file():
                (folder / path.name).write_bytes(path.read_bytes())
        told = []
        workshop = Workshop(folder, partial, TINY, told.append)
        if die:
            with monkeypatch.context() as patched, pytest.raises(Killed):
                patched.setattr(stages, "save_checkpoint", _dies_after(stages.save_checkpoint))
                stages.align(workshop)
        stages.align(workshop)
        ends.append(load_file(folder / "policy.safetensors"))
    assert any("goes on after update 1" in line for line in told)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def _dies_after(save):
    def saves_and_dies(*arguments, **options):
        save(*arguments, **options)
        raise Killed

    return saves_and_dies


def test_a_folder_of_other_settings_or_other_things_is_left_alone(finished, tmp_path):
    pipeline, _ = finished
    with pytest.raises(ValueError, match=r"another seed"):
        Pipeline(pipeline.folder, TINY.replace(seed=1))
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="no capstone run"):
        Pipeline(tmp_path, TINY)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Pipeline(tmp_path, TINY)
    with pytest.raises(ValueError, match="until='sleep'"):
        list(pipeline.run("sleep"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(width=20), "width=20"),
        (dict(vocab_size=100), "vocab_size=100"),
        (dict(bits=1), "bits=1"),
        (dict(rankings=0), "rankings=0"),
        (dict(group_size=48), "group_size=48"),
        (dict(colour=1), "'colour' is not a setting"),
    ],
)
def test_settings_are_checked(changes, says):
    with pytest.raises(ValueError, match=says):
        TINY.replace(**changes)


def test_the_terminal_shows_bars_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "class", TINY)
    command = ["--out", str(tmp_path / "run"), "--no-chat"]
    assert main([*command, "--until", "reward"]) == 0
    first = capsys.readouterr().out
    assert "3/9 pretrain" in first and "step 12/12" in first, "training has a bar"
    assert "step 24/24" in first, "and so has writing three replies for each of eight rankings"
    assert main(command) == 0
    second = capsys.readouterr().out
    assert "step 12/12" not in second and "9/9 report" in second and "model card" in second
    assert "promises something all the same" in (tmp_path / "run" / "model_card.md").read_text()


def test_presets_are_named():
    assert all(capstone_preset(name) == settings for name, settings in PRESETS.items())
    with pytest.raises(ValueError, match="preset='huge'"):
        capstone_preset("huge")


def test_the_terminal_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("mine")
    assert main(["--out", str(tmp_path), "--no-chat"]) == 2
    assert "no capstone run" in capsys.readouterr().err


def test_with_prose_the_base_model_reads_both(tmp_path, monkeypatch):
    from llmlib.capstone import stages
    from llmlib.data import prose

    some = prose("novels")[:40]
    monkeypatch.setattr(stages, "prose", lambda: some + some[:3])
    settings = TINY.replace(prose=True, pretrain_rows=4)
    pipeline = Pipeline(tmp_path / "run", settings)
    corpus, tokens, base = pipeline.run("pretrain")
    assert corpus.figures["prose_documents"] == 43 and corpus.figures["prose_kept"] <= 40  # copies are left out
    workshop = Workshop(pipeline.folder, tmp_path, settings, print)
    train, report = workshop.prose("train"), workshop.prose("report")
    assert set(train) | set(report) <= {document.text for document in some} and not set(train) & set(report)
    without = Workshop(pipeline.folder, tmp_path, TINY, print)
    assert without.prose("train") == []
    long = sum(len(workshop.tokenizer.encode(text)) for text in train)
    assert base.figures["rows"] > long / 128 and tokens.figures["round_trips"] == 1.0


def test_the_preset_for_a_gpu_has_twelve_million_parameters():
    from llmlib.model import ModelConfig, count_parameters

    s = capstone_preset("gpu")
    config = ModelConfig(s.vocab_size, s.layers, s.width, s.width // 16, d_ff=s.width * 5 // 2, max_seq_len=192)
    assert 11.5e6 < count_parameters(config) < 12.5e6 and s.prose


def test_the_report_counts_what_replies_do_and_what_is_promised_outside(finished):
    pipeline, records = finished
    card = records[-1].figures
    assert set(card["tasks"]) == set(card["outside"]) == {"base", "sft", "policy", "small"}
    assert all(0 <= share <= 1 for counted in card["tasks"].values() for share in counted.values())
    workshop = Workshop(pipeline.folder, pipeline.folder, TINY, print)
    from llmlib.capstone.report import NOBODYS

    desk = workshop.desk
    assert "wrong promise" in desk.findings(NOBODYS, "i will refund the lamp today .")
    assert "wrong promise" not in desk.findings(NOBODYS, "sorry to hear about your lamp .")
