"""Written answers: what the model reads, where it stops, how it is read off, and a run that goes on."""

import math

import pytest
import torch
from tiny_questions import BPE, OPENS, tiny_model

from llmlib.evaluate import contains_match, first_line, generate_answers, question_form, reread, score_texts
from llmlib.infer import generate
from llmlib.text import encode_chat
from llmlib.train import evaluate_loss


def written(model, ids, n=12, **options):
    return generate(model, ids, tokenizer=BPE, max_new_tokens=n, greedy=True, **options)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_each_answer_is_that_of_its_own_prompt(model):
    results = generate_answers(model, BPE, OPENS, str.strip, max_new_tokens=12, batch_size=2, stop_strings=())
    for item, result in zip(OPENS, results, strict=True):
        text = BPE.decode(written(model, BPE.encode(question_form(item))))
        assert result.details["output"] == text and result.answer == text.strip() and result.id == item.id
        assert result.expected == list(item.answers) and result.details["tokens"] == 12


def test_output_ends_before_a_stop_string(model):
    whole = generate_answers(model, BPE, OPENS[:1], stop_strings=(), max_new_tokens=12)[0].details["output"]
    stop = whole[3:5]
    cut = generate_answers(model, BPE, OPENS[:1], stop_strings=[stop], max_new_tokens=12)[0].details["output"]
    assert cut == whole[: whole.index(stop)]


def test_confidence_is_the_mean_probability_of_what_was_written(model):
    result = generate_answers(model, BPE, OPENS[:1], max_new_tokens=4, stop_strings=())[0]
    prompt = BPE.encode(question_form(OPENS[0]))
    tokens = written(model, prompt, 4)
    with torch.no_grad():
        logprobs = model(torch.tensor([prompt + tokens]))[0].log_softmax(-1)
    each = [logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(tokens)]
    assert result.details["confidence"] == pytest.approx(math.exp(sum(each) / 4), abs=1e-4)


def test_examples_worked_examples_and_chats(model):
    shots, item = OPENS[:1], OPENS[1]
    plain = f"Question: what?\nAnswer: a cat\n\n{question_form(item)}"
    worked = f"Question: what?\nAnswer: It is a cat. #### cat\n\n{question_form(item)}"
    chat = [{"role": "system", "content": "Be short."}, {"role": "user", "content": question_form(shots[0])}]
    chat += [{"role": "assistant", "content": "a cat"}, {"role": "user", "content": question_form(item)}]
    ways = [
        (BPE.encode(plain), {}),
        (BPE.encode(worked), dict(worked=True)),
        (encode_chat(BPE, chat), dict(chat=True, system="Be short.")),
    ]
    for ids, options in ways:
        result = generate_answers(model, BPE, [item], shots=shots, max_new_tokens=8, stop_strings=(), **options)[0]
        end = [BPE.special_tokens["<|im_end|>"]] if "chat" in options else []
        assert result.details["output"] == BPE.decode(written(model, ids, 8, stop_tokens=end))


def test_outputs_can_be_read_again(model):
    results = generate_answers(model, BPE, OPENS, max_new_tokens=6)
    nothing = reread(results, lambda text: None)
    assert all(result.answer is None and result.score == 0 for result in nothing)
    right = reread(results, lambda text: "on the mat, near the hat", contains_match)
    assert [result.score for result in right] == [0, 1, 1]
    assert reread(right, first_line) == results


def test_a_run_goes_on_where_it_stopped(model, tmp_path, monkeypatch):
    path = tmp_path / "answers.jsonl"
    first = generate_answers(model, BPE, OPENS[:2], path=path, max_new_tokens=5)
    everything = generate_answers(model, BPE, OPENS, path=path, max_new_tokens=5)
    assert everything[:2] == first
    monkeypatch.setattr("llmlib.evaluate.generation.generate", None)  # nothing is left to write
    assert generate_answers(model, BPE, OPENS, path=path, max_new_tokens=5) == everything
    with pytest.raises(ValueError, match="max_new_tokens: 5 there, 6 now"):
        generate_answers(model, BPE, OPENS, path=path, max_new_tokens=6)


def test_first_line():
    assert first_line("\n  Paris. \nAnd more") == "Paris." and first_line(" \n ") is None


def test_texts_are_scored_in_bits_and_perplexity(model):
    texts = ["a cat on the mat", "where is it? near the hat, near the cat."]
    score = score_texts(model, BPE, texts, start=7)
    nats = [evaluate_loss(model, torch.tensor([7, *BPE.encode(text)])) * len(BPE.encode(text)) for text in texts]
    assert score.nats == pytest.approx(nats, abs=1e-3)
    assert score.n_tokens == sum(len(BPE.encode(text)) for text in texts)
    assert score.perplexity == pytest.approx(math.exp(sum(nats) / score.n_tokens), rel=1e-4)
    n_bytes = sum(len(text.encode()) for text in texts)
    assert score.bits_per_byte.value == pytest.approx(sum(nats) / n_bytes / math.log(2), rel=1e-4)
    with pytest.raises(ValueError, match="texts must be a list"):
        score_texts(model, BPE, "one text", start=7)
