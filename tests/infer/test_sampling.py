"""sample_next and filter_logits against transformers' logits warpers, and the cases those do not name."""

import pytest
import torch

from llmlib.infer import filter_logits, sample_next

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
