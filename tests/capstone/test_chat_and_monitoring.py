"""The chat at the end, and what is watched while it goes on."""

import json
import random

import pytest

from llmlib.capstone import Assistant, Monitor, drift
from llmlib.data import SupportDesk
from llmlib.hub import load_desk


@pytest.fixture(scope="module")
def desk_model():
    return load_desk("ppo", device="cpu")


def texts(desk, n, seed, groups=("demonstrated",)):
    return [request.text for request in desk.requests(n, random.Random(seed), groups)]


def test_pieces_join_to_the_reply_and_are_logged(desk_model, tmp_path):
    monitor = Monitor(tmp_path / "chats" / "log.jsonl")
    assistant = Assistant(*desk_model, monitor=monitor, seed=1)
    said = "".join(assistant.stream("my lamp arrived broken"))
    assert said == Assistant(*desk_model, seed=1).reply("my lamp arrived broken") and said.strip()
    (line,) = [json.loads(line) for line in monitor.path.read_text().splitlines()]
    assert (line["message"], line["reply"]) == ("my lamp arrived broken", said)
    assert monitor.counts["exchanges"] == 1 and monitor.counts["tokens"] > 0


def test_a_message_too_long_or_empty_is_refused_before_anything_is_said(desk_model):
    monitor = Monitor()
    assistant = Assistant(*desk_model, monitor=monitor, seed=1)
    with pytest.raises(ValueError, match=r"\d+ tokens .* and 144 fit"):
        assistant.stream("lamp " * 300)
    with pytest.raises(ValueError, match="empty"):
        assistant.reply("  ")
    assert monitor.counts == {"refused": 1}
    assert assistant.reply("where is my kettle")  # it goes on


def test_what_goes_wrong_is_counted():
    monitor = Monitor()
    assert monitor.note("a", "sorry . sorry .") == ["repeated_sentence"]
    assert monitor.note("b", "we will see .", finished=False) == ["cut_off"]
    assert monitor.note("c", "we will see .") == ["same_as_before"]
    assert monitor.note("d", " ") == ["empty"]
    assert monitor.rates() == {"empty": 0.25, "cut_off": 0.25, "repeated_sentence": 0.25, "same_as_before": 0.25}


def test_only_recent_messages_are_kept():
    monitor = Monitor(recent=3)
    for i in range(5):
        monitor.note(str(i), "yes .")
    assert monitor.messages == ["2", "3", "4"]


def test_drift_is_seen_when_other_things_are_asked_and_rarely_when_not():
    desk = SupportDesk(0)
    before = texts(desk, 300, 0)
    alarms = [drift(before, texts(desk, 60, seed)).alarm for seed in range(1, 13)]
    assert sum(alarms) <= 3  # one in twenty
    assert all(drift(before, texts(desk, 60, seed, ("unseen",))).alarm for seed in range(1, 6))


def test_divergence_lies_between_nothing_and_one_bit():
    assert drift(["a b"] * 10, ["a b"] * 3).value == 0.0
    assert drift(["a b"] * 10, ["c d"] * 3).value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="twice"):
        drift(["a"], ["b"])
