"""Induction scores against attention written by hand, and on models of the course."""

import math

import pytest
import torch

from llmlib.evaluate import in_context_gain, induction_scores, previous_token_scores, repeated_tokens, token_losses
from llmlib.hub import load_base
from llmlib.model import ModelConfig, Transformer, intervene

CONFIG = ModelConfig(vocab_size=20, n_layers=2, d_model=16, n_heads=4, max_seq_len=64)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(CONFIG).eval()


def looking(back, T):
    """Weights (T, T) whose every row looks `back` tokens back, or at the first token where there are none."""
    weights = torch.zeros(T, T)
    weights[torch.arange(T), (torch.arange(T) - back).clamp(min=0)] = 1
    return weights


def test_repeated_tokens_repeat():
    ids = repeated_tokens(3, 5, 20, seed=1, copies=3, low=4, start=2)
    assert ids.shape == (3, 16) and (ids[:, 0] == 2).all() and (ids[:, 1:] >= 4).all()
    assert torch.equal(ids[:, 1:6], ids[:, 6:11]) and torch.equal(ids[:, 1:6], ids[:, 11:])
    assert torch.equal(repeated_tokens(3, 5, 20, seed=1), repeated_tokens(3, 5, 20, seed=1))


@pytest.mark.parametrize("start", [None, 0])
def test_a_perfect_induction_head_scores_one(model, start):
    period = 6
    ids = repeated_tokens(4, period, 20, copies=3, start=start)
    T = ids.shape[1]
    with intervene(model, {"blocks.1.attention.weights.2": looking(period - 1, T)}):
        scores = induction_scores(model, ids, period)
    assert scores.shape == (2, 4) and scores[1, 2] == 1
    assert scores.flatten().sort().values[-2] < 0.5


def test_a_head_that_looks_at_the_token_before_scores_one(model):
    ids = repeated_tokens(2, 8, 20)
    with intervene(model, {"blocks.0.attention.weights.3": looking(1, ids.shape[1])}):
        scores = previous_token_scores(model, ids)
        assert induction_scores(model, ids, 8)[0, 3] == 0
    assert scores[0, 3] == 1 and scores[0, :3].max() < 0.5


def test_without_a_period_the_last_occurrence_is_found(model):
    ids = torch.tensor([[1, 2, 3, 1, 4, 1, 2]])  # repeats: 1 at 3 -> key 1; 1 at 5 -> key 4; 2 at 6 -> key 2
    weights = torch.zeros(7, 7)
    weights[:, 0] = 1
    for query, key, weight in ((3, 1, 0.9), (5, 4, 0.6), (6, 2, 0.3)):
        weights[query, key], weights[query, 0] = weight, 1 - weight
    with intervene(model, {"blocks.0.attention.weights.0": weights}):
        assert induction_scores(model, ids)[0, 0] == pytest.approx(0.6)


def test_both_ways_agree_where_tokens_differ_within_a_copy(model):
    ids = torch.stack([torch.randperm(20)[:9] for _ in range(5)]).repeat(1, 2)
    assert torch.allclose(induction_scores(model, ids), induction_scores(model, ids, 9), atol=1e-6)


def test_a_head_that_spreads_evenly_scores_one_over_what_it_sees(model):
    T, period = 12, 6
    with intervene(model, {"blocks.*.attention.weights": torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]}):
        scores = induction_scores(model, repeated_tokens(2, period, 20), period)
        before = previous_token_scores(model, repeated_tokens(2, period, 20))
    assert torch.allclose(scores, torch.tensor(sum(1 / n for n in range(7, 13)) / 6))
    assert torch.allclose(before, torch.tensor(sum(1 / n for n in range(2, 13)) / 11))


def test_losses_are_those_of_the_next_token(model):
    ids = repeated_tokens(2, 4, 20)
    losses = token_losses(model, ids)
    assert losses.shape == (2, 7)
    expected = -model(ids)[1, 3].log_softmax(-1)[ids[1, 4]]
    assert losses[1, 3].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_gain_is_early_minus_late():
    losses = torch.tensor([[4.0, 4.0, 1.0, 0.0], [2.0, 2.0, 1.0, 0.0]])
    assert in_context_gain(losses, slice(0, 2), slice(2, 4)) == pytest.approx(2.5)
    assert in_context_gain(losses, 0, 3) == pytest.approx(3.0)
    for late in (slice(4, 9), 4):
        with pytest.raises(ValueError, match=r"late=.*selects nothing"):
            in_context_gain(losses, 0, late)


def test_a_ladder_model_copies_and_a_head_of_it_does_the_looking():
    model, tokenizer = load_base("1m", device="cpu")
    ids = repeated_tokens(8, 24, 4000, low=300, start=tokenizer.special_tokens["<|endoftext|>"])
    scores = induction_scores(model, ids, 24)
    assert scores.shape == (6, 3) and 0 <= scores.min() and scores.max() <= 1
    assert previous_token_scores(model, ids).shape == (6, 3)
    assert math.isfinite(in_context_gain(token_losses(model, ids), slice(1, 24), slice(25, 48)))


def test_bad_input_is_refused(model):
    with pytest.raises(ValueError, match="period=1"):
        repeated_tokens(2, 1, 20)
    with pytest.raises(ValueError, match="low=19"):
        repeated_tokens(2, 4, 20, low=19)
    with pytest.raises(ValueError, match="period=9 must lie between 2 and 7"):
        induction_scores(model, repeated_tokens(1, 4, 20), 9)
    with pytest.raises(ValueError, match="no token that comes again"):
        induction_scores(model, torch.arange(6)[None])
    with pytest.raises(ValueError, match="no token before another"):
        previous_token_scores(model, torch.zeros(1, 1, dtype=torch.long))
