"""Lab 20's judges: they accept what is right by other means, refuse what is not, and survive whatever comes."""

import json
import struct

import numpy as np
import pytest
import torch

from courseware.classroom.cases import Draw, lab20
from courseware.classroom.compare import case_seed, judge
from llmlib.capstone import STAGES
from llmlib.evaluate import bootstrap_interval
from llmlib.text import BPETokenizer

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_librarys_tokenizer_is_accepted_and_its_special_tokens_stay_out_of_texts(seed):
    given = lab20.some_texts(Draw(seed))

    def made(texts, size, special):
        learned = BPETokenizer.train(texts, size - len(special))
        tokens = [learned.decode_bytes([i]) for i in range(learned.vocab_size)]
        order = sorted(
            range(len(tokens)), key=lambda i: (len(tokens[i]) > 1, tokens[i] if len(tokens[i]) == 1 else b"")
        )
        place = {i: n for n, i in enumerate(order)}
        tokens = [tokens[i] for i in order] + [s.encode() for s in special]
        return {
            "tokens": tokens,
            "encode": lambda text: [place[i] for i in learned.encode(text)],
            "decode": lambda ids: b"".join(tokens[i] for i in ids).decode("utf-8", "replace"),
        }

    assert lab20.judge_tokenizer(lab20.run_tokenizer(made, **given), **given) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_the_source_itself_is_accepted_and_its_mean_over_topics_is_not(seed):
    given = lab20.some_documents(Draw(seed))
    _, (after, topic) = lab20._noted(given["documents"], given["prefixes"])

    def told(logits):
        p = np.full((len(given["prefixes"]), given["vocab_size"]), -40.0)
        p[:, lab20.TOPICS :] = lab20._log_softmax(logits)
        return torch.from_numpy(p)

    last = np.array([row[-1] for row in given["prefixes"]]) - lab20.TOPICS
    topics = np.array([row[0] for row in given["prefixes"]])
    assert lab20.judge_base(told(after[last] + topic[topics]), **given) is None
    alone = np.log(np.exp(lab20._log_softmax(after[:, None] + topic[None])).mean(1))
    assert "its topic" in lab20.judge_base(told(alone[last]), **given)


def test_what_comes_next_and_what_is_good_do_not_travel_with_the_inputs():
    given = lab20.some_documents(Draw(0))
    assert set(given) == {"documents", "vocab_size", "prefixes"}
    nexts, _ = lab20._noted(given["documents"], given["prefixes"])
    assert len(nexts) == len(given["prefixes"]) >= 300
    desk = lab20.a_desk(Draw(0))
    assert set(desk) == {"compared", "asked", "offered"}
    assert all(isinstance(text, str) for triple in desk["compared"] for text in triple)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_replies_are_accepted_and_the_first_ones_are_not(seed):
    desk = lab20.a_desk(Draw(seed))
    gold = lab20._noted(*desk.values())
    assert lab20.judge_choose([max(range(5), key=values.__getitem__) for values, _ in gold], **desk) is None
    assert "The same number" in lab20.judge_choose([0] * len(gold), **desk)
    assert "worse ones" in lab20.judge_choose([min(range(5), key=values.__getitem__) for values, _ in gold], **desk)


def _file(matrices, group):
    """An int4 file by the letter of the format."""
    header, body = {"group": group, "matrices": {}}, b""
    for name, matrix in matrices.items():
        grouped = matrix.double().numpy().reshape(-1, group)
        scales = (np.abs(grouped).max(1) / 7).astype("<f2")
        safe = np.where(scales > 0, scales, 1).astype(float)[:, None]
        codes = np.clip(np.rint(grouped / safe), -8, 7).astype(int).reshape(-1) + 8
        header["matrices"][name] = {"shape": list(matrix.shape), "start": len(body)}
        body += scales.tobytes() + bytes((codes[::2] | codes[1::2] << 4).tolist())
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + body


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab20.two_matrices, lab20.a_square, lab20.with_zeros])
def test_a_file_is_read_as_it_was_written_and_each_damage_is_told(inputs, seed):
    given = inputs(Draw(seed))
    file = _file(**given)
    assert lab20.judge_int4(file, **given) is None
    for name, matrix in lab20.read_int4(file).items():
        assert np.abs(matrix - given["matrices"][name].numpy()).max() < given["matrices"][name].abs().max() / 10
    chance = np.random.default_rng(seed)
    for cut in (0, 3, 4, 9, len(file) // 2, len(file) - 1):
        assert isinstance(lab20.judge_int4(file[:cut], **given), str)
    for _ in range(40):  # a header that lies is a wrong answer, not a crash
        at = int(chance.integers(0, 60))
        said = lab20.judge_int4(file[:at] + bytes([int(chance.integers(0, 256))]) + file[at + 1 :], **given)
        assert said is None or isinstance(said, str)


def test_a_header_with_a_huge_shape_is_refused_without_reading_it():
    given = lab20.a_square(Draw(0))
    text = json.dumps({"group": 8, "matrices": {"größer": {"shape": [10**9, 10**9], "start": 0}}}).encode()
    assert isinstance(lab20.judge_int4(struct.pack("<I", len(text)) + text + bytes(500), **given), str)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_interval_of_a_win_rate_is_near_that_of_a_bootstrap_over_requests(seed):
    mine, theirs = lab20._golds(Draw(seed), 4, 200, 0.4)
    found = lab20.win_rate(mine, theirs)
    won = ((mine > theirs).double() + 0.5 * (mine == theirs).double()).mean(0).tolist()
    rate, low, high = bootstrap_interval(won)
    assert found["rate"] == pytest.approx(rate)
    assert found["low"] == pytest.approx(low, abs=0.01) and found["high"] == pytest.approx(high, abs=0.01)


def test_the_cards_stages_are_those_of_the_pipeline():
    assert set(lab20.STAGES) <= set(STAGES)


@pytest.mark.parametrize(
    ("interval", "word"),
    [([0.6, 0.51, 0.7], "better"), ([0.4, 0.3, 0.49], "worse"), ([0.5, 0.4, 0.6], "undecided"), ([0.6, 0.5, 0.7], "undecided")],
)  # fmt: skip
def test_a_verdict_needs_the_whole_interval(interval, word):
    assert lab20.verdict(interval) == word


@pytest.mark.parametrize(
    "keep",
    [lab20.the_first_copy, lab20.the_last_copy, lab20.from_the_end, lab20.long_ones_first],
    ids=lambda f: f.__name__,
)
def test_right_filters_keep_every_promise(keep):
    draw = Draw(2)
    for _ in range(200):
        documents = [draw.choice(["a", "A", "a\nb", " b ", "b\nc", "ab", "c c"]) for _ in range(1 + draw.integer(0, 8))]
        held_out = [draw.choice(["a", " B", "c"]) for _ in range(draw.integer(0, 3))]
        assert lab20.a_corpus(documents, held_out) is None
        kept = [documents[i] for i in keep(documents, held_out)]
        asked = {h.strip().lower() for h in held_out}
        clean = {d for d in documents if not any(x.strip().lower() in asked for x in d.split("\n"))}
        assert len(kept) == len(set(kept)) and set(kept) == clean


STRANGE = (
    None,
    "",
    3.5,
    True,
    [],
    {},
    b"",
    b"\xff" * 40,
    [None],
    {"card": 3},
    {"tokens": 1},
    torch.zeros(2),
    torch.full((3, 3), torch.nan),
)


@pytest.mark.parametrize("question", [q for q in lab20.LAB.questions if q.kind == "write"], ids=lambda q: q.id)
def test_whatever_an_answer_gives_is_judged_without_an_exception(question):
    for case in question.cases:
        seed = case_seed(question, case, "public")
        for value in STRANGE:
            verdict = judge(question, case, seed, value)
            assert not verdict.passed and verdict.message
