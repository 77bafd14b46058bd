"""sample_next and filter_logits against transformers' logits warpers, and the cases those do not name."""

import dataclasses

import pytest
import torch

from llmlib.infer import Sampling, filter_logits, log_probability, sample_next, sample_step

INF = float("inf")


def random_logits(rows=6, vocab=50, seed=0):
    return 3 * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("settings", [{"top_k": 1}, {"top_k": 7}, {"top_p": 0.01}, {"top_p": 0.6}, {"min_p": 0.2}])
def test_filters_equal_transformers(temperature, settings):
    warpers = pytest.importorskip("transformers.generation.logits_process")
    logits = random_logits()
    expected = warpers.TemperatureLogitsWarper(temperature)(None, logits)
    oracle = {"top_k": "TopKLogitsWarper", "top_p": "TopPLogitsWarper", "min_p": "MinPLogitsWarper"}
    for name, value in settings.items():
        expected = getattr(warpers, oracle[name])(value)(None, expected)
    torch.testing.assert_close(filter_logits(logits, temperature=temperature, **settings), expected)


def test_filters_combine_in_the_order_of_transformers():
    warpers = pytest.importorskip("transformers.generation.logits_process")
    logits = random_logits()
    expected = warpers.TemperatureLogitsWarper(0.8)(None, logits)
    for warper in (warpers.TopKLogitsWarper(12), warpers.TopPLogitsWarper(0.8), warpers.MinPLogitsWarper(0.1)):
        expected = warper(None, expected)
    ours = filter_logits(logits, temperature=0.8, top_k=12, top_p=0.8, min_p=0.1)
    assert torch.equal(ours.isfinite(), expected.isfinite())
    torch.testing.assert_close(ours, expected)


def test_top_k_beyond_the_vocabulary_and_top_p_one_keep_everything():
    logits = random_logits(vocab=5)
    assert torch.equal(filter_logits(logits, top_k=99), logits)
    assert torch.equal(filter_logits(logits, top_p=1.0), logits)
    assert torch.equal(filter_logits(logits, min_p=0.0), logits)


def test_ties_stay_together_under_top_k_and_break_by_id_under_top_p():
    logits = torch.tensor([2.0, 1.0, 1.0, 1.0, 0.0])
    assert filter_logits(logits, top_k=2).isfinite().tolist() == [True, True, True, True, False]
    flat = torch.zeros(4)
    assert filter_logits(flat, top_p=0.5).isfinite().tolist() == [True, True, False, False]


def test_sampling_changes_neither_the_logits_nor_the_global_generator():
    logits, before = random_logits(), random_logits()
    state = torch.get_rng_state()
    sample_next(logits, temperature=0.7, top_k=5, top_p=0.9, min_p=0.05, generator=seeded())
    assert torch.equal(logits, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_follow_the_filtered_distribution():
    logits = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])
    draws = sample_next(logits.expand(40_000, 6), temperature=0.8, top_k=4, generator=seeded(1))
    expected = filter_logits(logits, temperature=0.8, top_k=4).softmax(-1)
    measured = torch.bincount(draws, minlength=6) / 40_000
    assert measured[4:].sum() == 0
    torch.testing.assert_close(measured, expected, atol=0.01, rtol=0)


def test_shapes_dtype_and_reproducibility():
    logits = random_logits(rows=12).reshape(3, 4, 50)
    first = sample_next(logits, generator=seeded(3))
    assert first.shape == (3, 4) and first.dtype == torch.int64
    assert torch.equal(first, sample_next(logits, generator=seeded(3)))
    assert sample_next(logits[0, 0], greedy=True).shape == ()
    assert sample_next(logits.bfloat16(), generator=seeded(3)).shape == (3, 4)


def test_greedy_and_the_narrowest_settings_agree():
    logits = random_logits()
    best = logits.argmax(-1)
    assert torch.equal(sample_next(logits, greedy=True), best)
    for settings in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-4}):
        assert torch.equal(sample_next(logits, generator=seeded(), **settings), best)


def test_masked_tokens_are_never_drawn():
    logits = torch.zeros(2000, 8)
    logits[:, 3:] = -INF
    assert sample_next(logits, generator=seeded(), top_k=6).max() == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0}, ["temperature=0", "greedy=True"]),
        ({"temperature": -1.0}, ["temperature=-1.0", "greedy=True"]),
        ({"temperature": float("nan")}, ["temperature=nan"]),
        ({"temperature": "0.7"}, ["temperature=0.7", "positive number"]),
        ({"temperature": None}, ["temperature=None"]),
        ({"top_k": 2.5}, ["top_k=2.5", "whole number"]),
        ({"top_k": True}, ["top_k=True"]),
        ({"top_p": float("nan")}, ["top_p=nan"]),
        ({"top_p": "x"}, ["top_p=x"]),
        ({"min_p": 1.5}, ["min_p=1.5"]),
        ({"top_k": 0}, ["top_k=0", "None"]),
        ({"top_p": 0.0}, ["top_p=0.0", "None"]),
        ({"top_p": 1.5}, ["top_p=1.5", "None"]),
        ({"min_p": -0.1}, ["min_p=-0.1", "None"]),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(settings, words):
    with pytest.raises(ValueError) as error:
        sample_next(random_logits(), **settings)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words)


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize(("bad", "word"), [(-INF, "all -inf"), (float("nan"), "nan"), (INF, "inf")])
def test_a_row_without_a_choice_is_named(bad, word, greedy):
    logits = random_logits()
    logits[4] = bad
    with pytest.raises(ValueError, match="row 4") as error:
        sample_next(logits, greedy=greedy)
    assert word in str(error.value)


# --- the settings as one value ----------------------------------------------------------------------------------------


def test_settings_are_one_value_that_is_checked_once_and_never_changes():
    how = Sampling(temperature=0.7, top_k=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        how.top_k = 3
    logits = random_logits()
    by_name = sample_next(logits, temperature=0.7, top_k=5, generator=seeded(1))
    assert torch.equal(sample_next(logits, how, generator=seeded(1)), by_name)
    mixed = sample_next(logits, Sampling(temperature=0.7), top_k=5, generator=seeded(1))
    assert torch.equal(mixed, by_name), "a setting by name changes the one in the value"
    assert torch.equal(filter_logits(logits, how), filter_logits(logits, temperature=0.7, top_k=5))
    for call in (sample_next, filter_logits, sample_step):
        with pytest.raises(TypeError, match="topk"):
            call(logits, topk=5)
        with pytest.raises(TypeError, match=r"sampling=0\.7 must be a Sampling"):
            call(logits, 0.7)


def test_a_temperature_of_zero_is_allowed_where_it_plays_no_part():
    assert sample_next(random_logits(), temperature=0, greedy=True).shape == (6,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("temperature", [1e-320, 1e-46, 1e-40, 1e-30, 1e-6])
@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_a_tiny_temperature_is_the_limit_and_no_error_of_torch(temperature, dtype, shift):
    logits = (random_logits() + shift).to(dtype)
    logits[0, 0] = -INF
    picked = sample_next(logits, temperature=temperature, generator=seeded())
    assert torch.equal(logits.gather(1, picked[:, None])[:, 0], logits.amax(1))
    kept = filter_logits(logits, temperature=temperature).float().softmax(-1)
    torch.testing.assert_close(kept.sum(-1), torch.ones(6), atol=1e-2, rtol=0)
    ties = sample_next(torch.zeros(4000, 2), temperature=temperature, generator=seeded())
    assert 0.4 < ties.float().mean() < 0.6, "equals stay equal"


def test_huge_logits_and_huge_temperatures_do_not_overflow():
    logits = torch.tensor([[3e38, 2.9e38, -INF]])
    assert sample_next(logits, temperature=0.5).tolist() == [0]
    assert sample_next(torch.tensor([[-3e38, -2.9e38]]), temperature=0.5).tolist() == [1]
    flat = filter_logits(torch.tensor([1.0, 2.0, -INF]), temperature=1e308).softmax(-1)
    torch.testing.assert_close(flat, torch.tensor([0.5, 0.5, 0.0]))


def test_a_step_is_the_same_draw_with_its_log_probabilities():
    logits, settings = random_logits(), dict(temperature=0.8, top_k=12, min_p=0.02)
    step = sample_step(logits, generator=seeded(2), **settings)
    assert torch.equal(step.tokens, sample_next(logits, generator=seeded(2), **settings))
    rows = torch.arange(len(logits))
    torch.testing.assert_close(step.raw_logprobs, logits.log_softmax(-1)[rows, step.tokens])
    torch.testing.assert_close(step.logprobs, filter_logits(logits, **settings).log_softmax(-1)[rows, step.tokens])
    assert step.logprobs.isfinite().all(), "what was drawn was possible"
    certain = sample_step(logits, greedy=True)
    assert torch.equal(certain.logprobs, torch.zeros(6)) and (certain.raw_logprobs < 0).all()


def test_log_probability_carries_gradients_and_rules_out_what_was_filtered():
    logits = random_logits().requires_grad_()
    log_probability(logits, torch.zeros(6, dtype=torch.long)).sum().backward()
    assert logits.grad.abs().sum() > 0
    kept = filter_logits(torch.tensor([3.0, 2.0, 1.0]), top_k=2)
    assert log_probability(kept, torch.tensor(2)) == -INF
