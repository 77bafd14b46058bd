"""Lab 12's own oracles agree with the library, which the lab keeps away from its students; its recordings say the same
for every seed."""

import importlib.util
from pathlib import Path

import pytest
import torch

from courseware.classroom.cases import Draw, lab12
from llmlib.align import RewardModel, calibration, pair_accuracy, reward_ranking_loss
from llmlib.data import recorded
from llmlib.hub import load_desk

SEEDS = range(4)


@pytest.fixture(scope="module")
def hidden():
    path = Path(__file__).parent / "lab12_hidden.py"
    spec = importlib.util.spec_from_file_location("lab12_hidden_for_its_own_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab12.without_ties, lab12.with_ties, lab12.far_apart])
def test_the_loss_is_the_librarys(inputs, seed):
    scores, places = inputs(Draw(seed))
    torch.testing.assert_close(lab12.ranking_loss(scores, places), reward_ranking_loss(scores, places))


def test_the_loss_has_its_closed_forms():
    equal, places = torch.zeros(2, 6), torch.arange(6).expand(2, 6)
    assert lab12.ranking_loss(equal, places).item() == pytest.approx(0.693147, abs=1e-6)
    gap = torch.tensor([[1.3, -0.4]])
    expected = torch.log1p(torch.exp(torch.tensor(-1.7))).item()
    assert lab12.ranking_loss(gap, torch.tensor([[1, 2]])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("inputs", [lab12.padded_right, lab12.padded_left, lab12.padded_on_both_sides])
def test_scores_are_those_of_the_librarys_reward_model(inputs):
    torch.manual_seed(0)
    model = RewardModel(load_desk("sft")[0])
    torch.nn.init.normal_(model.score_head.weight)
    _, real, _ = inputs(Draw(1))
    ids = torch.randint(model.config.vocab_size, real.shape)
    with torch.no_grad():
        hidden = model.trunk.hidden(ids, pad_mask=real)
        ours = lab12.read_scores(hidden, real, model.score_head.weight[0])
        torch.testing.assert_close(ours, model(ids, real), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy_and_calibration_are_the_librarys(seed):
    scores, bins = lab12.a_remainder(Draw(seed))
    P, K = scores.shape
    places, prompts = torch.arange(K).repeat(P), torch.arange(P).repeat_interleave(K)
    mean, half = lab12.accuracy(scores.flatten(), places, prompts)
    shares = pair_accuracy(scores)
    torch.testing.assert_close(mean, shares.mean())
    torch.testing.assert_close(half, 1.96 * shares.std() / P**0.5)
    found = [tuple(map(float, row)) for row in lab12.reliability(scores, bins)]
    assert found == [pytest.approx(tuple(map(float, row)), abs=1e-5) for row in calibration(scores, bins)]


def test_normalised_scores_are_those_of_a_normalised_model():
    scores, prompts, shown = lab12.replies_of_several(Draw(0))
    model = RewardModel(load_desk("sft")[0])
    model.normalise(shown, spread=False)
    torch.testing.assert_close(lab12.one_scale(scores, prompts, shown)["normalised"], scores - model.mean)


def test_what_is_true_of_a_run_is_true_under_every_seed(hidden):
    (key,) = hidden.HIDDEN["lab12.q8"]
    results = recorded(hidden.RECORDING)["results"]
    for run, fault in {**key.runs, "correct": "correct"}.items():
        others = results[run]["other seeds"]
        assert len(others) >= 2
        for log in others:
            seen = {letter for letter, holds in hidden.OBSERVED.items() if holds(log, None)}
            assert seen == set(key.true[fault]), (run, fault)


def test_a_purchase_alone_does_not_reach_the_goal_by_chance():
    question = lab12.LAB.question("lab12.q7")
    every = [
        {"requests": n, "replies": K, "passes": p} for n in lab12.NUMBERS for K in lab12.REPLIES for p in lab12.PASSES
    ]
    kept = [d for d in every if all(budget.cost(d) <= budget.limit for budget in question.budgets)]
    reached = [d for d in kept if question.score.reached(question.score.of(d))]
    assert 1 <= len(reached) <= 3
