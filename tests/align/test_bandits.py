"""Policies over four replies, small enough to sum over all outcomes: where each loss comes to rest.

The best policy under a reward r at beta a nat is known: pi_ref exp(r / beta) / Z. Gradients are exact, no reply is
drawn; what the losses average over tokens is weighted with the probability of each reply.
"""

import itertools
import math

import pytest
import torch

from llmlib.align import dpo_loss, group_advantages, kl_estimate, masked_mean, ppo_loss

REF = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
REWARD = torch.tensor([0.0, 1.0, 0.4, 0.8], dtype=torch.float64)
BETA = 0.5


def optimum(reward=REWARD, beta=BETA, reference=REF):
    tilted = reference * (reward / beta).exp()
    return tilted / tilted.sum()


def total_variation(p, q):
    return ((p - q).abs().sum() / 2).item()


def minimise(loss, rounds=40):
    """The policy at the minimum of loss(log pi), by LBFGS from the reference."""
    logits = REF.log().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([logits], max_iter=rounds, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(logits.log_softmax(-1))
        value.backward()
        return value

    optimizer.step(closure)
    return logits.detach().softmax(-1)


def follow(loss, updates=120, lr=0.2, epochs=1):
    """Where Adam comes to rest on the slopes of loss(log pi, log pi_old); the old policy is renewed every `epochs`."""
    logits = REF.log().clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=lr, betas=(0.8, 0.95))
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = lr * (1 - update / updates)
        old = logits.detach().log_softmax(-1)
        for _ in range(epochs):
            optimizer.zero_grad()
            loss(logits.log_softmax(-1), old).backward()
            optimizer.step()
    return logits.detach().softmax(-1)


def value(policy, reward=REWARD, beta=BETA):
    """What is maximised: the reward, less beta times the distance from the reference."""
    return (policy * (reward - beta * (policy / REF).log())).sum().item()


def test_the_closed_form_is_the_best_there_is():
    best = optimum()
    assert value(best) == pytest.approx(BETA * math.log((REF * (REWARD / BETA).exp()).sum()))
    rng = torch.Generator().manual_seed(0)
    others = (best.log() + 0.3 * torch.randn(200, 4, generator=rng, dtype=torch.float64)).softmax(-1)
    assert max(value(other) for other in others) < value(best)
    assert total_variation(best, REF) > 0.2, "there is some way to go"


# --- DPO --------------------------------------------------------------------------------------------------------------


def dpo_on_all_pairs(logp, prefer, **options):
    """The expected loss over pairs of the reference, labelled with prefer(r_i - r_j)."""
    loss = 0.0
    for i, j in itertools.permutations(range(4), 2):
        pair = (logp[i], logp[j], REF[i].log(), REF[j].log())
        loss = loss + REF[i] * REF[j] * prefer(REWARD[i] - REWARD[j]) * dpo_loss(*pair, beta=BETA, **options)
    return loss


def test_dpo_on_exact_preferences_of_bradley_and_terry_finds_the_optimum():
    policy = minimise(lambda logp: dpo_on_all_pairs(logp, torch.sigmoid))
    assert total_variation(policy, optimum()) < 1e-3


def test_ipo_on_the_same_preferences_rests_elsewhere():
    """Its margins answer to the preferences themselves, which are bounded, and not to the rewards behind them."""
    policy = minimise(lambda logp: dpo_on_all_pairs(logp, torch.sigmoid, kind="ipo"))
    assert total_variation(policy, optimum()) > 0.02


def test_where_all_annotators_agree_dpo_runs_off_and_smoothing_or_ipo_holds_it():
    certain = lambda difference: (difference > 0).double()
    end = lambda **options: minimise(lambda logp: dpo_on_all_pairs(logp, certain, **options))[1].item()
    assert end() > 0.99
    assert 0.3 < end(label_smoothing=0.2) < 0.9 and 0.3 < end(kind="ipo") < 0.9


# --- PPO --------------------------------------------------------------------------------------------------------------


def ppo(penalty, **options):
    """PPO with each reply as often as the policy that sampled would draw it: a few clipped steps from there."""

    def loss(logp, old):
        rewards = REWARD - penalty(old)
        advantages = rewards - (old.exp() * rewards).sum()
        return ppo_loss(logp[None], old[None], advantages[None], mask=old.exp()[None])

    return follow(loss, epochs=2, **options)


def test_ppo_with_the_divergence_in_the_reward_finds_the_optimum():
    policy = ppo(lambda old: BETA * kl_estimate(old, REF.log()))
    assert total_variation(policy, optimum()) < 1e-3


def test_ppo_without_it_forgets_the_reference():
    assert ppo(lambda old: 0 * old)[1] > 0.98


# --- GRPO -------------------------------------------------------------------------------------------------------------

G = 3
GROUPS = torch.tensor(list(itertools.product(range(4), repeat=G)))  # all groups that can be drawn


def grpo(reward, std, distance):
    """GRPO over all groups of G replies, each as often as it is drawn, with BETA times a distance in the loss."""

    def loss(logp, old):
        advantages = group_advantages(reward(old)[GROUPS], std)
        chance = old[GROUPS].sum(1).exp()
        steps = ppo_loss(logp[GROUPS], old[GROUPS], advantages, mask=chance[:, None].expand(-1, G))
        return steps + BETA * distance(logp, old)

    return follow(loss)


def reverse_kl(logp, old=None):
    """KL(policy || reference), summed over all replies."""
    return (logp.exp() * kl_estimate(logp, REF.log())).sum()


def sampled(kind):
    """The distance as `train_grpo` takes it: an estimate at replies that were sampled, which are constants."""
    return lambda logp, old: masked_mean(kl_estimate(logp, REF.log(), kind), old.exp())


# A reply is part of its group's mean, so that a group's advantages are (G - 1) / G of those against the expectation.
SHRUNK = (G - 1) / G * REWARD


def test_the_mean_over_all_groups_is_the_advantage_but_for_the_replys_own_part():
    chance = REF.log()[GROUPS].sum(1).exp()
    assert chance.sum().item() == pytest.approx(1)
    mean = torch.zeros(4, dtype=torch.float64)
    for group, advantages, p in zip(GROUPS, group_advantages(REWARD[GROUPS], std=False), chance):
        mean.index_add_(0, group, p * advantages / G)
    torch.testing.assert_close(mean / REF, SHRUNK - (REF * SHRUNK).sum())


def test_grpo_without_std_finds_the_optimum():
    policy = grpo(lambda old: REWARD, False, reverse_kl)
    assert total_variation(policy, optimum(SHRUNK)) < 1e-3
    in_the_reward = grpo(lambda old: REWARD - BETA * kl_estimate(old, REF.log()), False, lambda logp, old: 0.0)
    assert total_variation(in_the_reward, optimum()) < 1e-3, "what shrinks both leaves the balance as it is"


def test_grpo_with_std_goes_elsewhere():
    """It takes small differences for large ones: the less is at stake, the further it goes for nothing."""
    plain, divided = (grpo(lambda old: REWARD, std, reverse_kl) for std in (False, True))
    assert total_variation(divided, optimum(SHRUNK)) > 0.15
    assert value(divided, SHRUNK) < value(plain, SHRUNK) - 0.05
    plain, divided = (grpo(lambda old: 0.01 * REWARD, std, reverse_kl) for std in (False, True))
    assert total_variation(plain, REF) < 0.01 and total_variation(divided, REF) > 0.15


def test_with_std_the_policy_does_not_depend_on_the_scale_of_the_reward():
    small, large = (grpo(lambda old: scale * REWARD, True, reverse_kl) for scale in (0.1, 10))  # noqa: B023
    assert total_variation(small, large) < 2e-3
    small, large = (grpo(lambda old: scale * REWARD, False, reverse_kl) for scale in (0.1, 2))  # noqa: B023
    assert total_variation(small, large) > 0.3


def test_k3_in_the_loss_does_not_pull_as_the_divergence_it_estimates():
    """Its value is unbiased, its gradient at sampled replies is that of KL(reference || policy): the policy comes to
    rest at pi_ref beta / (beta - A), which is near the optimum for small advantages only. k2 pulls as
    KL(policy || reference) does, k1 not at all."""
    logits = torch.tensor([0.3, -0.2, 0.1, 0.5], dtype=torch.float64, requires_grad=True)
    slope = lambda loss: torch.autograd.grad(loss(logits.log_softmax(-1), logits.detach().log_softmax(-1)), logits)[0]
    torch.testing.assert_close(slope(sampled("k2")), slope(reverse_kl))
    torch.testing.assert_close(slope(sampled("k3")), slope(lambda logp, old: (REF * (REF.log() - logp)).sum()))
    assert slope(sampled("k1")).abs().max() < 1e-12

    for scale, least, most in [(0.1, 0.0, 0.002), (2.0, 0.05, 1.0)]:
        by_k2, by_k3 = (grpo(lambda old: scale * REWARD, False, sampled(kind)) for kind in ("k2", "k3"))  # noqa: B023
        best = optimum(scale * SHRUNK)
        assert total_variation(by_k2, best) < 1e-3
        advantages = scale * (SHRUNK - (by_k3 * SHRUNK).sum())
        torch.testing.assert_close(by_k3, REF * BETA / (BETA - advantages), atol=2e-3, rtol=0)
        assert least <= total_variation(by_k3, best) <= most
