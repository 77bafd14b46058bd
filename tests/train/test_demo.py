import io

import pytest

from llmlib.model import ModelConfig, preset
from llmlib.train import ProgressBar, load_checkpoint, train_preset, train_presets
from llmlib.train.__main__ import main
from llmlib.train.demo import Screen
from llmlib.train.progress import clock

TEXT = "ROMEO:\nBut, soft! what light through yonder window breaks?\n\nJULIET:\nO Romeo, Romeo! wherefore art thou?\n\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def small_world(monkeypatch):
    """The demo on a text and a model so small that it takes a second."""
    tiny = ModelConfig(vocab_size=65, n_layers=1, d_model=16, n_heads=2, max_seq_len=64)
    monkeypatch.setattr("llmlib.train.demo.tiny_shakespeare", lambda: TEXT * 30)
    monkeypatch.setattr("llmlib.train.__main__.preset", lambda name: tiny)


def test_demo_tells_its_story(small_world, capsys, tmp_path):
    out = tmp_path / "romeo"
    assert main(["--steps", "20", "--characters", "80", "--out", str(out), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    for part in ("counting pairs of characters", "before training", "step 5, 0:0", "step 20/20", "and now it writes"):
        assert part in shown
    assert shown.count("ROMEO:") >= 6  # before, four times during, and the last one
    assert "\033[" not in shown  # no colours, no cursor movements outside a terminal
    assert "\r" not in shown
    loaded = load_checkpoint(out)
    assert loaded.step == 20
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("JULIET")) == "JULIET"


@pytest.mark.parametrize("columns", [80, 60])
def test_on_a_narrow_terminal_lines_break_between_words(small_world, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["--steps", "20", "--characters", "300", "--device", "cpu"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "step 20/20" not in line and " left " not in line]
    assert max(map(len, lines)) <= columns - 2
    told = " ".join(" ".join(lines).split())
    for sentence in ("characters to learn from,", "all of them random so far", "for the last sample", "held-out text:"):
        assert sentence in told


def test_typing_breaks_between_words_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    text = "ROMEO:\nBut, soft! what light through yonder window breaks?\n" + "x" * 30 + " end"
    Screen().type(text[i : i + 2] for i in range(0, len(text), 2))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 23
    assert shown.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert {"window", "through", "yonder"} <= set(shown.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "gpt5"], "preset='gpt5' is unknown: choose one of"),
        (["--steps", "0"], "steps=0 must be at least 1"),
        (["--prompt", "日本"], "'日'"),
        (["--prompt", ""], "prompt"),
    ],
)
def test_bad_arguments_are_one_line_on_stderr(small_world, capsys, arguments, message):
    assert main(["--device", "cpu", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_the_gpu_preset_says_what_it_needs(small_world, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["--preset", "shakespeare-gpu"]) == 2
    assert "made for CUDA" in capsys.readouterr().err


def test_every_recipe_fits_the_model_of_its_name():
    for name in train_presets():
        assert train_preset(name).seq_len <= preset(name).max_seq_len


def test_ours_is_no_larger_than_the_peer():
    from llmlib.model import count_parameters

    ours, peer = preset("shakespeare-cpu"), preset("nanogpt-cpu")
    assert count_parameters(ours) <= count_parameters(peer)
    assert ours.max_seq_len == peer.max_seq_len


def test_progress_rewrites_one_line_in_a_terminal():
    screen = Terminal()
    bar = ProgressBar(4, screen)
    for done in range(1, 5):
        bar.update(done, "loss 1.23")
    bar.close()
    shown = screen.getvalue()
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    last = shown.rstrip("\n").rpartition("\r")[2]
    assert "100 %  step 4/4" in last
    assert "loss 1.23" in last


def test_progress_makes_room_for_other_lines():
    screen = Terminal()
    bar = ProgressBar(4, screen)
    bar.update(1)
    bar.clear()
    screen.write("a sample\n")
    assert screen.getvalue().rpartition("\r")[2] == "a sample\n"
    bar.update(2)
    assert "step 2/4" in screen.getvalue()


def test_progress_in_a_log_is_about_ten_lines():
    log = io.StringIO()
    bar = ProgressBar(1000, log)
    for done in range(1, 1001):
        bar.update(done)
    bar.close()
    lines = log.getvalue().splitlines()
    assert len(lines) == 10
    assert "step 1000/1000" in lines[-1]
    assert "\r" not in log.getvalue()


def test_progress_without_unicode():
    log = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    ProgressBar(1, log).update(1)
    log.seek(0)
    assert "####" in log.read()


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text
