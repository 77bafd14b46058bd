"""The parts of generation: steps with log-probabilities, several samples from one prefill, a cache that goes on."""

import dataclasses

import pytest
import torch
from test_generate import BYTES, Scripted, plain_greedy, seeded, tiny_model

from llmlib.infer import (
    Generation,
    Sampling,
    Step,
    decode_steps,
    decoding_layout,
    filter_logits,
    generate,
    prefill,
    stream,
    token_step,
)
from llmlib.model import KVCache, record

ROWS = [[7, 200, 31, 4], [9], [8, 8, 40]]


@torch.no_grad()
def slow_logits(model, row):
    return model.eval()(torch.tensor([row]))[0, -1]


# --- prefill ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_prefill_gives_the_logits_after_each_row_and_goes_on_from_a_cache(family):
    model = tiny_model(family).train()
    logits, cache = prefill(model, ROWS)
    expected = torch.stack([slow_logits(model, row) for row in ROWS])
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert cache.lengths.tolist() == [4, 1, 3] and not logits.is_inference() and not logits.requires_grad
    more = [[1], [2, 3, 4], [5, 6]]
    logits, same = prefill(model, more, cache)
    assert same is cache and cache.lengths.tolist() == [5, 4, 5]
    expected = torch.stack([slow_logits(model, row + rest) for row, rest in zip(ROWS, more)])
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_prefill_leaves_the_mode_and_refuses_without_touching_the_cache():
    model = tiny_model(dropout=0.5).train()
    _, cache = prefill(model, ROWS)
    assert model.training
    for rows, words in {
        ((1, 2), (3,)): "batch_size 3, not 2",
        ((1,), (256,), (2,)): "token 256",
        ((1,) * 22, (1,), (1,)): "prompts[0] of 22 tokens after 4 in the cache",
    }.items():
        with pytest.raises(ValueError) as error:
            prefill(model, [list(row) for row in rows], cache)
        assert words in str(error.value) and "\n" not in str(error.value)
        assert cache.columns == 4 and cache.lengths.tolist() == [4, 1, 3]
    for wrong in ([1, 2], "text", torch.tensor([[1]]), [[1.5]], [None]):
        with pytest.raises(TypeError, match="list"):
            prefill(model, wrong)
    with pytest.raises(ValueError, match="rows is empty"):
        prefill(model, [])


# --- steps ------------------------------------------------------------------------------------------------------------


def test_a_step_holds_both_log_probabilities_of_its_tokens():
    model, settings = tiny_model(), dict(temperature=0.8, top_k=30, top_p=0.95)
    texts = [list(row) for row in ROWS]
    for step in decode_steps(model, ROWS, 8, Sampling(**settings), generator=seeded()):
        assert isinstance(step, Step) and step.tokens.dtype == torch.int64
        assert not any(tensor.is_inference() for tensor in step), "a loss can be computed with them"
        for i, text in enumerate(texts):
            logits, token = slow_logits(model, text), int(step.tokens[i])
            raw, drawn = logits.log_softmax(-1), filter_logits(logits, **settings).log_softmax(-1)
            assert step.raw_logprobs[i].item() == pytest.approx(raw[token].item(), abs=1e-4)
            assert step.logprobs[i].item() == pytest.approx(drawn[token].item(), abs=1e-4)
            text.append(token)


def test_the_steps_draw_the_same_tokens_as_generate():
    model = tiny_model()
    steps = decode_steps(model, ROWS, 8, temperature=1.1, generator=seeded(3))
    rows = torch.stack([step.tokens for step in steps], 1).tolist()
    assert rows == generate(model, ROWS, max_new_tokens=8, temperature=1.1, generator=seeded(3))


def test_greedy_leaves_nothing_to_chance():
    steps = list(decode_steps(tiny_model(), ROWS, 3, greedy=True))
    assert all(torch.equal(step.logprobs, torch.zeros(3)) and (step.raw_logprobs < 0).all() for step in steps)


def test_steps_refuse_at_the_call():
    with pytest.raises(ValueError, match="top_k=0"):
        decode_steps(tiny_model(), ROWS, 3, top_k=0)
    with pytest.raises(ValueError, match="max_seq_len=24"):
        decode_steps(tiny_model(), ROWS, 30)
    assert list(decode_steps(tiny_model(), ROWS, 0)) == []


def test_between_two_steps_the_model_is_in_its_own_mode_whatever_that_is_by_then():
    model = tiny_model(dropout=0.5)
    expected = generate(model, [1, 2, 3], greedy=True, max_new_tokens=12)
    steps, tokens = decode_steps(model, [[1, 2, 3]], 12, greedy=True), []
    for number, step in enumerate(steps):
        tokens.append(int(step.tokens))
        assert model.training == (number > 0 and number % 2 == 1)
        model.train(number % 2 == 0)
    assert tokens == expected, "dropout was off whenever a step was computed"


def test_a_stream_that_began_in_evaluation_mode_has_no_dropout_in_training():
    """What failed: the mode was looked at once, when the stream began."""
    model = tiny_model(dropout=0.5)
    expected = generate(model, "abc", tokenizer=BYTES, greedy=True, max_new_tokens=12)
    pieces = []
    for piece in stream(model, "abc", tokenizer=BYTES, greedy=True, max_new_tokens=12):
        pieces.append(piece)
        assert model.training == (len(pieces) > 1)
        model.train()
    assert "".join(pieces) == expected and model.training


# --- n samples --------------------------------------------------------------------------------------------------------


def test_n_samples_come_from_one_reading_of_the_prompts(monkeypatch):
    model, read = tiny_model(), []
    hidden = type(model).hidden

    def spied(self, ids, **inputs):
        read.append(tuple(ids.shape))
        return hidden(self, ids, **inputs)

    monkeypatch.setattr(type(model), "hidden", spied)
    samples = generate(model, ROWS, n=5, max_new_tokens=4, generator=seeded())
    assert read == [(3, 4)] + [(15, 1)] * 3
    assert [len(each) for each in samples] == [5, 5, 5] and all(len(row) == 4 for each in samples for row in each)
    assert len({tuple(row) for row in samples[0]}) > 1


@pytest.mark.parametrize("max_seq_len", [24, 6])  # with sliding beyond 6
def test_each_greedy_sample_equals_the_only_one(max_seq_len):
    model = tiny_model(max_seq_len=max_seq_len)
    arguments = dict(greedy=True, max_new_tokens=8, sliding=True)
    alone = generate(model, ROWS, **arguments)
    assert generate(model, ROWS, n=3, **arguments) == [[row] * 3 for row in alone]
    assert generate(model, ROWS[0], n=2, **arguments) == [alone[0]] * 2
    text = generate(model, "To", tokenizer=BYTES, **arguments)
    assert generate(model, ["To"], n=2, tokenizer=BYTES, **arguments) == [[text, text]]


def test_samples_of_one_prompt_are_drawn_as_rows_of_a_batch_are():
    model = tiny_model()
    batch = generate(model, [ROWS[0]] * 4, max_new_tokens=6, generator=seeded(2))
    assert generate(model, ROWS[0], n=4, max_new_tokens=6, generator=seeded(2)) == batch


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_a_wrong_n_is_refused(n):
    with pytest.raises(ValueError, match=r"n=.* must be a whole number of at least 1"):
        generate(tiny_model(), [1], n=n)


# --- with log-probabilities -------------------------------------------------------------------------------------------


def test_a_generation_says_what_was_sampled_how_likely_and_why_it_ended():
    arguments = dict(tokenizer=BYTES, max_new_tokens=6, greedy=True, return_logprobs=True)
    [one, two] = generate(Scripted(b"abc.de"), ["x", "y"], stop_tokens=[46], **arguments)
    assert isinstance(one, Generation) and one.answer == two.answer == "abc" and one.tokens == list(b"abc.")
    assert one.finish == "stop_token" and one.logprobs.shape == one.raw_logprobs.shape == (4,)
    torch.testing.assert_close(one.raw_logprobs, torch.tensor([9.0] + [0.0] * 255).log_softmax(-1)[:1].expand(4))
    [two] = generate(Scripted(b"abc.de"), ["x"], stop_strings=["bc"], **arguments)
    assert (two.answer, two.tokens, two.finish) == ("a", list(b"abc"), "stop_string")
    three = generate(Scripted(b"abc.de"), [1], max_new_tokens=2, greedy=True, return_logprobs=True)
    assert (three.answer, three.tokens, three.finish) == ([97, 98], [97, 98], "length")
    none = generate(Scripted(b""), [1], max_new_tokens=0, return_logprobs=True)
    assert none.tokens == [] and none.logprobs.shape == (0,) and none.finish == "length"


def test_asking_for_log_probabilities_changes_no_token():
    model, arguments = tiny_model(), dict(max_new_tokens=10, temperature=0.9, top_k=20)
    plain = generate(model, ROWS, generator=seeded(1), **arguments)
    both = generate(model, ROWS, generator=seeded(1), return_logprobs=True, **arguments)
    assert [sample.answer for sample in both] == plain
    nested = generate(model, ROWS, n=2, return_logprobs=True, **arguments)
    assert [[type(sample) for sample in each] for each in nested] == [[Generation] * 2] * 3


# --- continuing from a cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("fast", [False, True])
def test_a_conversation_goes_on_from_its_cache(family, fast):
    model = tiny_model(family)
    if fast:
        decoding_layout(model)
    cache, text = KVCache(model.config), []
    for turn in ([7, 8, 9], [1], [2, 3]):
        unread = text[-1:]  # the last token of an answer was sampled and never read
        answer = generate(model, unread + turn, greedy=True, max_new_tokens=5, cache=cache)
        text += turn
        assert answer == plain_greedy(model, text, 5)
        text += answer
        assert cache.columns == len(text) - 1


def test_rows_that_stopped_early_leave_only_their_own_tokens_in_the_cache():
    model = tiny_model()
    free = generate(model, ROWS, greedy=True, max_new_tokens=8)
    stop = free[1][2]
    assert stop not in free[0][:4], "rows end at different places"
    cache = KVCache(model.config, batch_size=3)
    arguments = dict(greedy=True, max_new_tokens=8, stop_tokens=[stop], return_logprobs=True)
    samples = generate(model, ROWS, cache=cache, **arguments)
    assert len({len(sample.tokens) for sample in samples}) > 1
    assert cache.lengths.tolist() == [len(row) + len(s.tokens) - 1 for row, s in zip(ROWS, samples)]
    unread = [[sample.tokens[-1], 50 + i] for i, sample in enumerate(samples)]
    again = generate(model, unread, greedy=True, max_new_tokens=4, cache=cache)
    whole = [row + sample.tokens + [50 + i] for i, (row, sample) in enumerate(zip(ROWS, samples))]
    assert again == [plain_greedy(model, row, 4) for row in whole]


def test_several_samples_from_a_cache_widen_it():
    model = tiny_model()
    _, cache = prefill(model, [[1, 2, 3]])
    samples = generate(model, [4], n=3, max_new_tokens=5, generator=seeded(), cache=cache)
    assert cache.batch_size == 3 and cache.columns == 3 + 1 + 4
    again = generate(model, [row[-1:] for row in samples], greedy=True, max_new_tokens=3, cache=cache)
    assert again == [plain_greedy(model, [1, 2, 3, 4, *row], 3) for row in samples]


def test_a_cache_without_room_is_refused_before_anything_is_read():
    model = tiny_model()
    for cache, words in {
        KVCache(model.config, max_len=8): "max_len 8 with 0 columns used, and the request needs 10",
        KVCache(model.config, batch_size=2): "batch_size 2, not 1",
        KVCache(dataclasses.replace(model.config, n_layers=3)): "was made for",
    }.items():
        with pytest.raises(ValueError) as error:
            generate(model, [1, 2, 3], max_new_tokens=8, cache=cache)
        assert words in str(error.value) and "\n" not in str(error.value) and cache.columns == 0
    _, cache = prefill(model, [[1] * 20])
    with pytest.raises(ValueError, match=r"after 20 in the cache.*at most 4; no cache can slide"):
        generate(model, [1], max_new_tokens=6, cache=cache, sliding=True)
    assert cache.columns == 20


# --- models that are not plain ----------------------------------------------------------------------------------------


def test_whoever_listens_to_the_whole_model_hears_every_step():
    model, heard = tiny_model(), []
    expected = generate(model, [1, 2, 3], greedy=True, max_new_tokens=4)
    handle = model.register_forward_hook(lambda *_: heard.append(1))
    assert generate(model, [1, 2, 3], greedy=True, max_new_tokens=4) == expected and len(heard) == 4
    handle.remove()
    forward = model.forward
    model.forward = lambda *a, **k: -forward(*a, **k)
    assert generate(model, [1, 2, 3], greedy=True, max_new_tokens=4) != expected, "a replaced forward decides"


class Wrapper(torch.nn.Module):
    """As DistributedDataParallel does it: the model is in .module and the config nowhere else."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


def test_a_wrapped_model_writes_what_the_model_writes():
    model = tiny_model()
    expected = generate(model, ROWS, greedy=True, max_new_tokens=6)
    assert generate(Wrapper(model), ROWS, greedy=True, max_new_tokens=6) == expected
    assert generate(torch.compile(model, backend="eager"), ROWS, greedy=True, max_new_tokens=6) == expected
    with pytest.raises(TypeError, match="without a config"):
        generate(torch.nn.Linear(2, 2), [1])


def test_changes_between_two_steps_are_noticed_by_the_fast_step():
    model = decoding_layout(tiny_model())
    assert token_step(model) is not None
    with record(model, "blocks.1.mlp") as seen:
        expected_seen = []
        for _ in decode_steps(model, [[1, 2, 3]], 6, greedy=True):
            expected_seen.append(seen["blocks.1.mlp"][0, -1].clone())
    steps, heard = decode_steps(model, [[1, 2, 3]], 6, greedy=True), []
    next(steps)
    with record(model, "blocks.1.mlp") as seen:
        for _ in steps:
            heard.append(seen["blocks.1.mlp"][0, -1].clone())
    torch.testing.assert_close(heard, expected_seen[1:], atol=1e-5, rtol=1e-5)
    for layout in (lambda weight: weight, decoding_layout):
        model = decoding_layout(tiny_model())
        steps = decode_steps(model, [[1, 2, 3]], 6, greedy=True)
        tokens = [int(next(steps).tokens)]
        old = model.blocks[0].mlp.down_proj.weight
        old.data = -2 * old.data.contiguous()
        layout(model)
        with torch.no_grad():
            logits = generate_on(model, [1, 2, 3], tokens[0])
        assert int(next(steps).tokens) == logits.argmax(), "weights in other memory are seen"


def generate_on(model, read_before, token):
    """The logits after `token` of a model that was changed after it had read `read_before`."""
    twin = decoding_layout(tiny_model())
    _, cache = prefill(twin, [read_before])
    return model(torch.tensor([[token]]), cache=cache)[0, -1]
