"""Rollouts: what is sampled, what counts as an action, and how likely it was."""

import math

import pytest
import torch

from llmlib.align import Rollout, best_of_n, reply_logprobs, sample_replies, token_logprobs
from llmlib.infer import generate, wilson_interval

from .conftest import FAMILIES, gradients

END = 7
PROMPTS = [[3, 9, 2], [11], [4, 2, 5, 8, 10, 1]]


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def written(rollout):
    """The actions of each row: the reply, and the end token if it came."""
    return [[*reply, END] if done else reply for reply, done in zip(rollout.replies, rollout.finished.tolist())]


# --- the record -------------------------------------------------------------------------------------------------------


def test_a_rollout_worked_by_hand():
    """Finished, cut off, ended at once. What follows the first end token is dropped; a prompt may hold some."""
    rollout = Rollout.of([[1, END], [2], [3]], [[4, 5, END, 6, END], [6, 5, 4], [END, 1]], end=END, pad_id=9)
    assert rollout.ids.tolist() == [[1, END, 4, 5, END], [2, 6, 5, 4, 9], [3, END, 9, 9, 9]]
    assert rollout.pad_mask.int().tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]
    assert rollout.reply_mask.int().tolist() == [[0, 0, 1, 1, 1], [0, 1, 1, 1, 0], [0, 1, 0, 0, 0]]
    assert rollout.replies == [[4, 5], [6, 5, 4], []]
    assert rollout.finished.tolist() == [True, False, True]

    some = rollout.rows(torch.tensor([2, 1]))
    assert some.prompts == [[3], [2]] and some.replies == [[], [6, 5, 4]]
    assert some.ids.tolist() == [[3, END, 9, 9], [2, 6, 5, 4]] and some.finished.tolist() == [True, False]
    assert some.reply_mask.int().tolist() == [[0, 1, 0, 0], [0, 1, 1, 1]]
    assert rollout.rows(torch.tensor([2])).ids.tolist() == [[3, END]], "cut to the longest"
    moved = rollout.to("cpu")
    assert moved.replies == rollout.replies and torch.equal(moved.ids, rollout.ids)


@pytest.mark.parametrize(
    ("prompts", "replies", "message"),
    [
        ([[1], [2]], [[3], []], r"written\[1\] has no token, not even the end token"),
        ([[1], []], [[3], [4]], r"prompts\[1\] is empty: begin with a token"),
        ([[1]], [[3], [4]], "prompts holds 1 and written 2"),
        ([], [], "prompts holds 0 and written 0"),
    ],
)
def test_nothing_written_and_nothing_asked_are_refused(prompts, replies, message):
    with pytest.raises(ValueError, match=message):
        Rollout.of(prompts, replies, END)


# --- sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_replies_are_those_of_generate_one_prompt_at_a_time(make_model, family):
    model, ended = make_model(family=family).train(), set()
    for end in range(12):
        rollout = sample_replies(model, PROMPTS, end, 8, greedy=True)
        assert model.training
        for prompt, reply in zip(PROMPTS, rollout.replies, strict=True):
            assert [reply] == generate(model, [prompt], max_new_tokens=8, stop_tokens=[end], greedy=True)
        ended |= set(rollout.finished.tolist())
    assert ended == {True, False}


def test_sampled_replies_end_or_are_cut_off(make_model):
    rollout = sample_replies(make_model(scale=2), PROMPTS * 20, END, 6, generator=chance())
    assert 0.1 < rollout.finished.float().mean() < 0.9
    for prompt, reply, tokens, done, ids, real, action in zip(
        rollout.prompts, rollout.replies, written(rollout), rollout.finished, rollout.ids, rollout.pad_mask,
        rollout.reply_mask,
    ):  # fmt: skip
        assert END not in reply and len(tokens) <= 6
        assert done or len(reply) == 6, "cut off at the full length, and not called finished"
        assert ids[real].tolist() == prompt + tokens and ids[action].tolist() == tokens
    assert rollout.prompts == PROMPTS * 20


def test_the_same_generator_gives_the_same_replies(make_model):
    model = make_model(scale=2)
    draw = lambda seed: sample_replies(model, PROMPTS * 4, END, 6, generator=chance(seed)).replies
    assert draw(1) == draw(1) != draw(2)


def test_replies_are_drawn_from_the_policy(make_model):
    """Of one token, as often as the softmax says; at temperature 0.5 as its square says."""
    model, n = make_model(scale=2), 3000
    logits = model(torch.tensor([PROMPTS[0]]))[0, -1]
    for temperature in (1.0, 0.5):
        rollout = sample_replies(
            model, [PROMPTS[0]] * n, END, 1, temperature=temperature, generator=chance()
        )  # fmt: skip
        counts = torch.bincount(rollout.ids[:, 3], minlength=12).tolist()
        for p, count in zip((logits / temperature).softmax(-1).tolist(), counts, strict=True):
            low, high = wilson_interval(count, n, z=4)
            assert low <= p <= high


def test_a_prompt_that_is_too_long_is_refused_before_anything_is_read(make_model):
    model, read = make_model(), []
    model.register_forward_pre_hook(lambda *_: read.append(1))
    with pytest.raises(ValueError, match=r"prompts holds one of 20 tokens, .* max_seq_len=24: .* write at most 4"):
        sample_replies(model, [[1], [1] * 20], END, 5)
    with pytest.raises(ValueError, match="max_new_tokens=0 must be at least 1"):
        sample_replies(model, [[1]], END, 0)
    for prompts, message in [([], "rows is empty"), ([[1], []], r"prompts\[1\] is empty"), ([[99]], "token 99")]:
        with pytest.raises(ValueError, match=message):
            sample_replies(model, prompts, END, 5)
    assert not read
    longest = sample_replies(model, [[1] * 20], END, 4, generator=chance())
    assert reply_logprobs(model, longest).isfinite().all(), "what may be sampled may be read"


# --- log-probabilities ------------------------------------------------------------------------------------------------


def by_definition(model, prompt, tokens):
    """log p of each token after the prompt and those before it, each read from a text of its own."""
    logprobs = []
    for t, token in enumerate(tokens):
        logits = model(torch.tensor([[*prompt, *tokens[:t]]]))[0, -1]
        logprobs.append(logits.log_softmax(-1)[token].item())
    return logprobs


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logprobs_of_a_rollout_are_those_it_was_sampled_with(make_model, family):
    model = make_model(family=family, scale=3)
    rollout = sample_replies(model, PROMPTS, END, 6, generator=chance(2))
    logprobs = reply_logprobs(model, rollout)
    assert logprobs[~rollout.reply_mask].eq(0).all()
    for row, (prompt, tokens) in enumerate(zip(PROMPTS, written(rollout))):
        expected = by_definition(model, prompt, tokens)
        assert logprobs[row, rollout.reply_mask[row]].tolist() == pytest.approx(expected, abs=1e-4)
    samples = generate(model, PROMPTS, max_new_tokens=6, stop_tokens=[END], generator=chance(2), return_logprobs=True)
    for row, sample in enumerate(samples):
        assert sample.tokens == written(rollout)[row], "the same draws"
        assert sample.logprobs.tolist() == pytest.approx(logprobs[row, rollout.reply_mask[row]].tolist(), abs=1e-4)


def test_the_end_token_counts_and_an_empty_reply_is_one_action(make_model):
    model = make_model()
    rollout = Rollout.of([[3, 9]], [[END]], END)
    assert rollout.replies == [[]]
    logprob = reply_logprobs(model, rollout)[0]
    assert logprob.tolist() == pytest.approx([0, 0, by_definition(model, [3, 9], [END])[0]], abs=1e-5)


def test_all_replies_of_two_tokens_together_are_certain(make_model):
    """The probabilities of everything that can be written sum to 1: the end at once, or a token and then anything."""
    model = make_model(scale=3)
    replies = [[END]] + [[a, b] for a in range(12) if a != END for b in range(12)]
    rollout = Rollout.of([PROMPTS[0]] * len(replies), replies, END)
    assert reply_logprobs(model, rollout).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_reply_logprobs_have_the_gradient_of_their_definition(make_model):
    model = make_model()
    rollout = Rollout.of(PROMPTS[:2], [[4, END], [5, 6, 1]], END)
    alone = 0.0
    for prompt, tokens in zip(PROMPTS, written(rollout)):
        logits = model(torch.tensor([prompt + tokens[:-1]]))[0, len(prompt) - 1 :]
        alone = alone + logits.log_softmax(-1)[range(len(tokens)), tokens].sum()
    torch.testing.assert_close(reply_logprobs(model, rollout).sum(), alone, atol=1e-4, rtol=1e-5)
    together = gradients(reply_logprobs(model, rollout).sum(), model)
    torch.testing.assert_close(together, gradients(alone, model), atol=1e-3, rtol=1e-3)


def test_token_logprobs_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)], [math.log(7), 0.0], [5.0, -5.0]]])
    expected = [0, math.log(3 / 4), math.log(7 / 8)]
    assert token_logprobs(logits, torch.tensor([[1, 1, 0]]))[0].tolist() == pytest.approx(expected)


# --- best of n --------------------------------------------------------------------------------------------------------


def test_the_best_of_n_is_the_best_of_the_same_draws(make_model):
    model = make_model(scale=2)
    reward = lambda prompts, replies: [
        reply.count(5) - 0.1 * len(reply) + 0.01 * p[0] for p, reply in zip(prompts, replies)
    ]
    best = best_of_n(model, reward, PROMPTS, 6, END, 5, generator=chance(3))
    several = sample_replies(model, [p for p in PROMPTS for _ in range(6)], END, 5, generator=chance(3))
    for i, prompt in enumerate(PROMPTS):
        candidates = several.replies[6 * i : 6 * i + 6]
        scores = reward([prompt] * 6, candidates)
        assert best[i] == candidates[scores.index(max(scores))]
    one = best_of_n(model, reward, PROMPTS, 1, END, 5, generator=chance(4))
    assert one == sample_replies(model, PROMPTS, END, 5, generator=chance(4)).replies


def test_rewards_that_are_no_numbers_are_refused(make_model):
    model = make_model()
    with pytest.raises(ValueError, match="n=0 replies a prompt"):
        best_of_n(model, lambda p, r: [0.0] * len(r), PROMPTS, 0, END, 5)
    with pytest.raises(ValueError, match=r"reward gave nan for reply 1, \[.*the policy is as it was"):
        best_of_n(model, lambda p, r: [0.0, math.nan, 0.0], PROMPTS, 1, END, 5)
    with pytest.raises(ValueError, match=r"reward gave \(2,\) for 3 replies: give one number for each"):
        best_of_n(model, lambda p, r: [0.0, 1.0], PROMPTS, 1, END, 5)
