"""Multiple choice: log-probabilities equal to reading each option from scratch, in any batch; forms and traps."""

import json

import pytest
import torch
from tiny_questions import BPE, BYTES, CHOICES, tiny_model

from llmlib.data import ChoiceQuestion
from llmlib.evaluate import (
    ItemResult,
    ResultLog,
    chance_level,
    cloze,
    continuation_logprobs,
    few_shot,
    lettered,
    multiple_choice,
    option_scores,
    read_results,
    rescore,
    results_table,
    split_at_answer,
    summary,
)
from llmlib.text import encode_chat


def from_scratch(model, prompt, option):
    """The definition: read everything, take each token's log-probability."""
    with torch.no_grad():
        logprobs = model(torch.tensor([[*prompt, *option]]))[0].log_softmax(-1)
    return torch.stack([logprobs[len(prompt) + i - 1, token] for i, token in enumerate(option)])


REQUESTS = [
    ([1, 2, 3], [[4], [5, 6, 7], [8, 9]]),
    ([1, 2, 9, 9, 4], [[4, 4]]),
    ([1, 2], [[3, 3, 3, 3], [1]]),
    ([1, 2, 3, 5, 6, 7, 8], []),
]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize("change", [{}, dict(position="learned", norm="layernorm", mlp="gelu", bias=True)])
def test_logprobs_equal_reading_everything(batch_size, change):
    model = tiny_model(64, **change)
    found = continuation_logprobs(model, REQUESTS, batch_size=batch_size)
    for (prompt, options), logprobs in zip(REQUESTS, found, strict=True):
        assert len(logprobs) == len(options)
        for option, each in zip(options, logprobs):
            torch.testing.assert_close(each, from_scratch(model, prompt, option), atol=2e-4, rtol=1e-4)


def test_what_prompts_share_is_read_once(monkeypatch):
    model = tiny_model(64)
    shared = list(range(30))
    requests = [([*shared, 40 + i], [[1, 2], [3]]) for i in range(6)]
    read, hidden = [], model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids, **rest: read.append(ids.numel()) or hidden(ids, **rest))
    found = continuation_logprobs(model, requests, batch_size=3)
    assert sum(read) == 30 + 6 + 6  # the prefix once, a token of each prompt, a token of each longer option
    for (prompt, options), logprobs in zip(requests, found):
        for option, each in zip(options, logprobs):
            torch.testing.assert_close(each, from_scratch(model, prompt, option), atol=2e-4, rtol=1e-4)


def test_the_mode_of_the_model_is_kept_and_dropout_is_off():
    model = tiny_model(64, dropout=0.5).train()
    first, second = (continuation_logprobs(model, REQUESTS[:1]) for _ in range(2))
    assert model.training and all(torch.equal(a, b) for a, b in zip(first[0], second[0]))


def test_the_space_belongs_to_the_option():
    """With and without a space at the prompt's end the same tokens are scored; a token that merges over the border is
    scored whole."""
    prompt, options = split_at_answer(BPE, "Question: what is it? Answer:", ["a cat", "mat"])
    again = split_at_answer(BPE, "Question: what is it? Answer: ", ["a cat", "mat"])
    assert (prompt, options) == again
    assert BPE.decode(prompt) == "Question: what is it? Answer:" and BPE.decode(options[0]) == " a cat"
    assert split_at_answer(BYTES, "one\n", ["two"]) == ([*b"one\n"], [[*b"two"]])
    merged = BPE.encode("Question: what")
    cut = split_at_answer(BPE, "Question: w", ["hat", "x"], joint="")
    assert [*cut[0], *cut[1][0]] == merged and BPE.decode(cut[1][1]).endswith("wx")
    with pytest.raises(ValueError, match="prompt is empty"):
        split_at_answer(BPE, " ", ["a"])


@pytest.mark.parametrize("normalisation", ["raw", "token", "byte", "prior"])
def test_the_choice_is_the_best_by_the_definition(normalisation):
    model = tiny_model()
    results = multiple_choice(model, BPE, CHOICES, normalisation, batch_size=3)
    for item, result in zip(CHOICES, results, strict=True):
        prompt, options = split_at_answer(BPE, cloze(item)[0], item.options)
        sums = [from_scratch(model, prompt, option).sum().item() for option in options]
        if normalisation == "token":
            sums = [total / len(option) for total, option in zip(sums, options)]
        if normalisation == "byte":
            sums = [total / len(text.encode()) for total, text in zip(sums, item.options)]
        if normalisation == "prior":
            bare, again = split_at_answer(BPE, "Answer:", item.options)
            sums = [a - from_scratch(model, bare, option).sum().item() for a, option in zip(sums, again)]
        assert option_scores(result, normalisation) == pytest.approx(sums, abs=2e-3)
        assert result.answer == max(range(len(sums)), key=sums.__getitem__)
        assert result.score == (result.answer == item.answer) and result.id == item.id


def test_other_normalisations_need_no_second_run():
    model = tiny_model()
    raw = multiple_choice(model, BPE, CHOICES, "raw")
    for name in ("token", "byte"):
        assert rescore(raw, name) == multiple_choice(model, BPE, CHOICES, name)
    with pytest.raises(ValueError, match="q1 has no priors: call multiple_choice with normalisation='prior'"):
        rescore(raw, "prior")
    with pytest.raises(ValueError, match="normalisation is 'bytes': choose one of raw, token, byte, prior"):
        rescore(raw, "bytes")


def test_unnormalised_sums_prefer_short_options():
    """A model that knows nothing: every token costs ln 290."""
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    raw = multiple_choice(model, BPE, [CHOICES[3]], "raw")[0]
    assert raw.details["tokens"][raw.answer] == min(raw.details["tokens"])
    assert raw.details["logprobs"][0] == pytest.approx(-5.670 * raw.details["tokens"][0], abs=0.01)


def test_forms():
    assert cloze(CHOICES[1])[0] == "The cat is near the mat.\nQuestion: where?\nAnswer:"
    assert cloze(CHOICES[2]) == ("The cat", ("sat on the mat.", "is a hat."))
    prompt, letters = lettered(CHOICES[0])
    assert prompt == "Question: what is it?\nA. a cat\nB. a hat on the mat\nC. it\nAnswer:" and letters == "ABC"
    shots = few_shot(lambda item: cloze(item)[0], [(CHOICES[0], "a cat")], CHOICES[1])
    assert shots == "Question: what is it?\nAnswer: a cat\n\n" + cloze(CHOICES[1])[0]
    assert chance_level(CHOICES) == pytest.approx((1 / 3 + 1 / 2 + 1 / 2 + 1 / 4) / 4)


def test_examples_and_chats_reach_the_model():
    model = tiny_model()
    with_shot = multiple_choice(model, BPE, CHOICES[1:2], "raw", shots=CHOICES[:1])[0]
    text = "Question: what is it?\nAnswer: a cat\n\n" + cloze(CHOICES[1])[0]
    prompt, options = split_at_answer(BPE, text, CHOICES[1].options)
    expected = [from_scratch(model, prompt, option).sum().item() for option in options]
    assert with_shot.details["logprobs"] == pytest.approx(expected, abs=2e-3)
    in_chat = multiple_choice(model, BPE, CHOICES[1:2], "raw", chat=True, form=lettered)[0]
    ids = encode_chat(BPE, [{"role": "user", "content": lettered(CHOICES[1])[0]}])
    expected = [from_scratch(model, ids, BPE.encode(letter)).sum().item() for letter in "AB"]
    assert in_chat.details["logprobs"] == pytest.approx(expected, abs=2e-3)


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    model, path = tiny_model(), tmp_path / "choices.jsonl"
    first = multiple_choice(model, BPE, CHOICES[:2], path=path)
    with path.open("a") as file:
        file.write('{"id": "q3", "sco')  # killed here
    asked = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids, **rest: asked.append(len(ids)) or hidden(ids, **rest))
    everything = multiple_choice(model, BPE, CHOICES, path=path)
    assert everything[:2] == first and asked and max(asked) <= 6  # two questions, six options
    asked.clear()
    assert multiple_choice(model, BPE, CHOICES, "raw", path=path) == rescore(everything, "raw") and not asked
    assert {r.id for r in read_results(path)} == {"q1", "q2", "q3", "q4"}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["settings"]["task"] == "multiple choice" and len(lines) == 5


def test_a_file_keeps_any_text_and_an_empty_file_is_none_of_ours(tmp_path):
    path = tmp_path / "log.jsonl"
    odd = ItemResult("a\u2028b", 1.0, "line\x85\r\nend\x1c", ["é"], "x", {"output": "\u2029"})
    ResultLog(path, {"task": "t"}).add([odd])
    with path.open("a") as file:
        file.write('{"id": ')
    assert read_results(path) == [odd]
    assert ResultLog(path, {"task": "t"}).find("a\u2028b", "x") == odd and read_results(path) == [odd]
    assert ResultLog(path, {"task": "t"}).find("a\u2028b", "y") is None
    for text in ("", "my notes\nnot ended", '[1]\n{"id": '):
        path.write_text(text)
        with pytest.raises(ValueError, match="its first line has none"):
            ResultLog(path, {"task": "t"})
        assert path.read_text() == text


def test_a_file_of_another_model_or_form_is_refused(tmp_path):
    path = tmp_path / "choices.jsonl"
    multiple_choice(tiny_model(), BPE, CHOICES[:1], path=path)
    with pytest.raises(ValueError, match=r"other settings .model: "):
        multiple_choice(tiny_model(seed=1), BPE, CHOICES[:1], path=path)
    with pytest.raises(ValueError, match=r"other settings .form: 'cloze' there, 'lettered' now"):
        multiple_choice(tiny_model(), BPE, CHOICES[:1], form=lettered, path=path)


def test_a_changed_question_is_asked_again(tmp_path):
    path, model = tmp_path / "choices.jsonl", tiny_model()
    multiple_choice(model, BPE, CHOICES[:1], path=path)
    other = ChoiceQuestion("q1", "where is it?", ("a cat", "a hat"), 1)
    result = multiple_choice(model, BPE, [other], path=path)
    assert result == multiple_choice(model, BPE, [other]) and read_results(path) == rescore(result, "raw")


def test_tables_and_summaries():
    results = rescore(multiple_choice(tiny_model(), BPE, CHOICES), "byte")
    right = sum(result.score for result in results) / 4
    assert summary(results).value == right
    table = results_table({"tiny": results}, {"tiny": chance_level(CHOICES)})
    assert table.splitlines()[0] == "| run | questions | score (%) | 95 % interval | chance (%) |"
    assert table.splitlines()[2].startswith(f"| tiny | 4 | {100 * right:.1f} | ") and "| 39.6 |" in table
    with pytest.raises(ValueError, match="results is empty"):
        summary([])


def test_what_cannot_work_is_refused():
    model = tiny_model(max_seq_len=12)
    with pytest.raises(ValueError, match="max_seq_len=12: give fewer examples or a shorter context"):
        multiple_choice(model, BPE, CHOICES)
    with pytest.raises(ValueError, match="shots holds q1, which is also asked"):
        multiple_choice(model, BPE, CHOICES, shots=CHOICES[:1])
    with pytest.raises(ValueError, match="two with the same id"):
        multiple_choice(model, BPE, [CHOICES[0], CHOICES[0]])
    with pytest.raises(ValueError, match="empty continuation"):
        continuation_logprobs(model, [([1], [[]])])
    with pytest.raises(ValueError, match="empty prompt"):
        continuation_logprobs(model, [([], [[1]])])
    with pytest.raises(ValueError, match="batch_size=0"):
        continuation_logprobs(model, [([1], [[1]])], batch_size=0)
    with pytest.raises(TypeError, match="model is a Linear; pass a Transformer"):
        continuation_logprobs(torch.nn.Linear(2, 2), [([1], [[1]])])
    assert continuation_logprobs(model, []) == []
