"""Lab 13's own oracles agree with the library, which the lab keeps away from its students."""

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch

from courseware.classroom.cases import Draw, Key, lab13
from llmlib.align import dpo_loss, gae, kl_estimate, ppo_loss
from llmlib.data import recorded

SEEDS = range(4)
DRAWS = [(inputs, seed) for inputs in (lab13.some_cut_off, lab13.all_ended, lab13.all_cut_off) for seed in SEEDS]


@pytest.mark.parametrize(("inputs", "seed"), DRAWS)
def test_advantages_are_the_librarys(inputs, seed):
    rewards, values, mask, ended, after, gamma, lam = inputs(Draw(seed))
    library = gae(rewards, values, mask, gamma, lam, after * ~ended)
    torch.testing.assert_close(lab13.gae(rewards, values, mask, ended, after, gamma, lam), library)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab13.mixed_advantages, lab13.negative_advantages, lab13.nothing_moved_yet])
def test_the_clipped_loss_and_its_gradient_are_the_librarys(inputs, seed):
    logprobs, *others = inputs(Draw(seed))
    ours = lab13.run_policy_loss(lab13.ppo_loss, logprobs, *others)
    library = lab13.run_policy_loss(ppo_loss, logprobs, *others)
    assert ours["loss"] == pytest.approx(library["loss"], rel=1e-5)
    torch.testing.assert_close(ours["gradient"], library["gradient"])


@pytest.mark.parametrize("seed", SEEDS)
def test_divergences_and_prices_are_the_librarys(seed):
    logprobs, reference, mask = lab13.moved_policy(Draw(seed))
    for kind, value in lab13.kl_nats(logprobs, reference, mask).items():
        library = (kl_estimate(logprobs, reference, kind) * mask).sum(1).mean()
        assert value == pytest.approx(library.item(), rel=1e-4)
    scores = torch.zeros(len(mask))
    models = {"policy": logprobs, "previous": logprobs + 1, "reference": reference}
    rewards = lab13.token_rewards(scores, models, mask, 0.1)
    torch.testing.assert_close(rewards, -0.1 * kl_estimate(logprobs, reference) * mask)
    torch.testing.assert_close(lab13.token_rewards(scores + 2, models, mask, 0.1).sum(1), rewards.sum(1) + 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab13.pairs_of_replies, lab13.pairs_far_apart])
def test_the_loss_of_pairs_is_the_librarys(inputs, seed):
    policy, reference, mask, beta = inputs(Draw(seed))
    (chosen, rejected), (ref_chosen, ref_rejected) = (policy * mask).sum(-1), (reference * mask).sum(-1)
    library = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)
    torch.testing.assert_close(lab13.dpo_loss(policy, reference, mask, beta), library)


@pytest.mark.parametrize("ended", [True, False])
def test_right_estimators_are_the_librarys_of_one_lambda_each(ended):
    rewards, values, after = [0.5, -1.0, 2.0], [1.0, 0.25, -0.5], 3.0
    row = lambda numbers: torch.tensor([numbers])
    for subject, lam in zip(lab13.LAB.question("lab13.q6").right, (0.95, 0.0, 1.0, 0.5), strict=True):
        library = gae(row(rewards), row(values), torch.ones(1, 3), 1.0, lam, torch.tensor([0.0 if ended else after]))
        torch.testing.assert_close(row(subject.run(rewards, values, ended, after)), library)


def test_at_a_negative_advantage_max_takes_the_gradient_that_min_gives():
    """A token of negative advantage that has become likelier: what the mistake of question 2 costs."""
    logprobs, old = torch.log(torch.tensor([[1.5]])), torch.zeros(1, 1)
    given = logprobs, old, torch.tensor([[-1.0]]), torch.ones(1, 1, dtype=torch.bool), 0.2
    right = lab13.run_policy_loss(lab13.ppo_loss, *given)["gradient"]
    wrong = lab13.run_policy_loss(lambda *inputs: lab13.ppo_loss(*inputs, slip="max"), *given)["gradient"]
    assert right.item() == pytest.approx(1.5) and wrong.item() == 0


def test_every_cause_has_a_proof_that_is_no_luck_of_a_seed():
    """The same one to three observations prove it among the runs of each recorded seed."""
    spec = importlib.util.spec_from_file_location("lab13_hidden", Path(__file__).parent / "lab13_hidden.py")
    staff = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(staff)
    (key,) = (entry for entry in staff.HIDDEN["lab13.q7"] if isinstance(entry, Key))
    results, causes = recorded("lab13_faults")["results"], {**key.runs, "correct": "correct"}
    seeds = [{name: results[name] for name in causes}]
    seeds += [
        {name: results[name]["other seeds"][i] for name in causes}
        for i in range(len(results["correct"]["other seeds"]))
    ]
    seen = [
        {name: {o for o, holds in staff.OBSERVED.items() if holds(run, runs["correct"])} for name, run in runs.items()}
        for runs in seeds
    ]
    assert len(seen) >= 2
    for name in key.runs:
        always = set.intersection(*(each[name] for each in seen))
        assert any(
            all(not set(proof) <= each[other] for each in seen for other in causes if other != name)
            for n in (1, 2, 3)
            for proof in itertools.combinations(sorted(always), n)
        ), f"{name}: cause {key.runs[name]} is proven by no observations that every seed shows"
