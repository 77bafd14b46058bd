"""Lab 18's own oracles agree with the library, which the lab keeps away from its students."""

import math

import pytest
import torch

from courseware.classroom.cases import Draw, lab18
from llmlib.data import contamination
from llmlib.evaluate import (
    bootstrap_interval,
    calibration_error,
    continuation_logprobs,
    find_overlaps,
    pass_at_k,
    reliability,
    sign_test,
)
from llmlib.model import ModelConfig, Transformer

SEEDS = range(4)


def test_sums_of_log_probabilities_are_the_librarys():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=23, d_model=16, n_layers=1, n_heads=2, max_seq_len=16)).eval()
    prompt, options = [3, 5, 8], [[1], [2, 7, 9], [4, 4]]
    library = [each.sum().item() for each in continuation_logprobs(model, [(prompt, options)])[0]]
    ids = torch.tensor([prompt + option + [-1] * (3 - len(option)) for option in options])
    with torch.no_grad():
        logits = model(ids.clamp(min=0))
    ours = lab18.option_scores(logits, ids, 3, ["a", "b", "c"], "raw")
    torch.testing.assert_close(ours, torch.tensor(library, dtype=torch.double), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab18.few_programmes, lab18.many_programmes, lab18.few_wrong_ones])
def test_pass_at_k_is_the_librarys(inputs, seed):
    counts, k = inputs(Draw(seed))
    assert lab18.pass_at_k(counts, k) == pytest.approx(sum(pass_at_k(n, c, k) for n, c in counts) / len(counts))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bootstrap_draws_what_the_library_draws(seed):
    scores, questions, _, level = lab18.several_answers(Draw(seed))
    library = bootstrap_interval(scores.tolist(), groups=questions.tolist(), times=4000, level=level)
    n = int(questions.max()) + 1
    draws = torch.randint(n, (4000, n), generator=torch.Generator().manual_seed(seed))
    assert lab18.bootstrap(scores, questions, draws, level) == pytest.approx(list(library), abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_interval_over_answers_is_too_narrow_in_every_case(seed):
    inputs = lab18.several_answers(Draw(seed))
    (_, low, high), (_, near, far) = lab18.bootstrap(*inputs), lab18.bootstrap(*inputs, slip="normal")
    assert far - near < 0.75 * (high - low)


@pytest.mark.parametrize("seed", SEEDS)
def test_p_is_that_of_the_librarys_sign_test(seed):
    a, b, draws, level = lab18.two_models(Draw(seed))
    wins, losses = int((b > a).sum()), int((a > b).sum())
    assert lab18.compare(a, b, draws, level)["p"] == pytest.approx(sign_test(wins, losses))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab18.copied_and_new, lab18.a_word_in_a_word, lab18.fewer_words_than_n])
def test_overlaps_are_the_librarys(inputs, seed):
    test, train, n = inputs(Draw(seed))
    ours = lab18.overlaps(test, train, n)
    assert ours == pytest.approx([each.share for each in find_overlaps(test, train, n)])
    if inputs is not lab18.fewer_words_than_n:  # lecture 07's share looks for a short text as a whole text only
        assert ours == pytest.approx(contamination(test, train, n))


@pytest.mark.parametrize("seed", SEEDS)
def test_calibrations_by_count_are_the_librarys(seed):
    draw = Draw(seed)
    sure = (torch.randperm(900, generator=torch.Generator().manual_seed(seed))[:17] / 900).tolist()
    right = draw.integers(0, 2, 17).tolist()
    table, error = lab18.calibrates_by_count(sure, right, 17)  # bins of one answer, however the rest is shared out
    library = reliability(sure, right, 17)
    assert [row[0] for row in table] == [each.count for each in library]
    assert error == pytest.approx(calibration_error(sure, right, 17))


def test_a_guard_that_refuses_everything_scores_nothing():
    found = lab18.judge_defence(*lab18.refuses_everything(Draw(0)))
    assert found == {"leaks": 0.0, "false refusals": 1.0, "score": 0.0}
    assert math.isclose(lab18.judge_defence(*lab18.refuses_everything(Draw(0)), slip="mean")["score"], 0.5)
