"""Advantages against their definitions, by loops over plain numbers."""

import math

import pytest
import torch

from llmlib.align import gae, group_advantages, whiten


def batch(seed, B=6, T=9, dtype=torch.float64):
    """Rewards, values and a mask of one run of actions a row, of any place and length; noise where the mask is not."""
    rng = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, B, T, generator=rng, dtype=dtype)
    start = torch.randint(0, T, (B,), generator=rng)
    length = torch.stack([torch.randint(1, T - int(s) + 1, (1,), generator=rng)[0] for s in start])
    places = torch.arange(T)
    return rewards, values, (places >= start[:, None]) & (places < (start + length)[:, None])


def by_definition(rewards, values, mask, gamma, lam, last=None):
    """A_t = sum over l of (gamma lam)^l delta_{t+l}, for each action by a loop over all later ones."""
    advantages = torch.zeros_like(rewards)
    for b in range(len(rewards)):
        actions = mask[b].nonzero()[:, 0].tolist()
        r, v = rewards[b, actions].tolist(), values[b, actions].tolist()
        v.append(0.0 if last is None else last[b].item())
        for t, place in enumerate(actions):
            deltas = [r[s] + gamma * v[s + 1] - v[s] for s in range(t, len(actions))]
            advantages[b, place] = sum((gamma * lam) ** l * delta for l, delta in enumerate(deltas))
    return advantages


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (0.97, 0.0)])
def test_gae_is_its_definition(seed, gamma, lam):
    rewards, values, mask = batch(seed)
    last = torch.randn(6, generator=torch.Generator().manual_seed(seed + 50), dtype=torch.float64)
    last[::2] = 0  # those that ended
    for after in (None, last):
        torch.testing.assert_close(
            gae(rewards, values, mask, gamma, lam, after), by_definition(rewards, values, mask, gamma, lam, after)
        )


def test_gae_worked_by_hand():
    """Values 0.5 and 0.25 before two actions, a reward of 1 at the end: deltas -0.25 and 0.75."""
    rewards, values, mask = torch.tensor([[9.0, 0, 1]]), torch.tensor([[9.0, 0.5, 0.25]]), torch.tensor([[0, 1, 1]])
    assert gae(rewards, values, mask, lam=0.5).tolist() == [[0, -0.25 + 0.5 * 0.75, 0.75]]
    cut_off = gae(rewards, values, mask, lam=0.5, last_values=torch.tensor([2.0]))
    assert cut_off.tolist() == [[0, -0.25 + 0.5 * 2.75, 2.75]]


def test_with_lam_1_it_is_the_return_less_the_value():
    rewards, values, mask = batch(7)
    advantages = gae(rewards, values, mask, gamma=0.9, lam=1.0)
    for b, t in mask.nonzero().tolist():
        later = [s for s in range(t, 9) if mask[b, s]]
        expected = sum(0.9 ** (s - t) * rewards[b, s] for s in later) - values[b, t]
        torch.testing.assert_close(advantages[b, t], expected)


def test_with_lam_0_it_is_the_error_of_one_step():
    rewards, values, mask = batch(8)
    advantages = gae(rewards, values, mask, gamma=0.9, lam=0.0)
    for b, t in mask.nonzero().tolist():
        following = values[b, t + 1] if t < 8 and mask[b, t + 1] else 0.0
        torch.testing.assert_close(advantages[b, t], rewards[b, t] + 0.9 * following - values[b, t])


def test_what_lies_outside_the_mask_does_not_matter():
    rewards, values, mask = batch(9)
    noise = torch.full_like(rewards, torch.nan)
    expected = gae(rewards, values, mask)
    torch.testing.assert_close(gae(torch.where(mask, rewards, noise), torch.where(mask, values, noise), mask), expected)
    assert expected[~mask].eq(0).all()


def test_whole_numbers_are_not_rounded():
    half = gae(torch.tensor([[0, 0, 1]]), torch.tensor([[0.5, 0.5, 0.5]]), torch.ones(1, 3), lam=0.5)
    assert half.tolist() == [[0.125, 0.25, 0.5]]
    assert gae(torch.tensor([[0, 1]]), torch.tensor([[0, 0]]), torch.ones(1, 2), lam=0.5).tolist() == [[0.5, 1]]
    assert group_advantages(torch.tensor([[0, 1]]), std=False).tolist() == [[-0.5, 0.5]]


def test_masks_with_gaps_and_other_shapes_are_refused():
    rewards, values, mask = batch(1)
    gap = torch.zeros_like(mask)
    gap[2, [0, 3]] = True
    with pytest.raises(ValueError, match="mask has a gap in a row"):
        gae(rewards, values, gap)
    with pytest.raises(ValueError, match=r"rewards \(6, 8\), values \(6, 9\) .* give all three as \(B, T\)"):
        gae(rewards[:, 1:], values, mask)


# --- whitening --------------------------------------------------------------------------------------------------------


def test_whitening_by_hand():
    values, mask = torch.tensor([[1.0, 3.0, 100.0], [5.0, -100.0, 7.0]]), torch.tensor([[1, 1, 0], [1, 0, 1]])
    deviation = math.sqrt(((1 - 4) ** 2 + (3 - 4) ** 2 + (5 - 4) ** 2 + (7 - 4) ** 2) / 4)
    expected = torch.tensor([[-3.0, -1.0, 0.0], [1.0, 0.0, 3.0]]) / deviation
    torch.testing.assert_close(whiten(values, mask), expected)
    torch.testing.assert_close(whiten(values, mask, shift=False), (expected + 4) * mask)


def test_whitening_of_one_value_of_equals_and_of_none():
    one = torch.tensor([[False, True]])
    assert whiten(torch.tensor([[3.0, 8.0]]), one).tolist() == [[0, 0]]
    assert whiten(torch.full((2, 3), 2.0), torch.ones(2, 3)).eq(0).all()
    assert whiten(torch.tensor([[math.nan, 8.0]]), one).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="mask marks no value"):
        whiten(torch.zeros(1, 2), torch.zeros(1, 2))


# --- groups -----------------------------------------------------------------------------------------------------------


def test_group_advantages_by_loops():
    rewards = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i, group in enumerate(rewards.tolist()):
        mean = sum(group) / 4
        deviation = math.sqrt(sum((r - mean) ** 2 for r in group) / 3)
        centred = [r - mean for r in group]
        assert group_advantages(rewards, std=False)[i].tolist() == pytest.approx(centred)
        assert group_advantages(rewards)[i].tolist() == pytest.approx([c / deviation for c in centred], rel=1e-5)


@pytest.mark.parametrize("std", [True, False])
def test_a_group_of_equal_rewards_has_no_advantages(std):
    """Also where the mean of equal numbers is another number, by a rounding error."""
    rng = torch.Generator().manual_seed(1)
    equal = (torch.rand(400, 1, generator=rng) * 1000).expand(400, 7)
    assert (equal.mean(1, keepdim=True) != equal).any()
    assert group_advantages(equal, std).eq(0).all()


def test_with_std_a_group_nearly_alike_weighs_as_much_as_one_that_differs():
    rewards = torch.tensor([[0.0, 0.01], [0.0, 10.0]])
    torch.testing.assert_close(group_advantages(rewards)[0], group_advantages(rewards)[1], atol=2e-3, rtol=0)
    assert group_advantages(rewards, std=False).tolist() == [[pytest.approx(-0.005), pytest.approx(0.005)], [-5, 5]]


@pytest.mark.parametrize("shape", [(3, 1), (3,), (1, 1), (2, 2, 2)])
def test_groups_of_one_are_refused(shape):
    with pytest.raises(ValueError, match=r"rewards has shape .*: give \(groups, G\) with G >= 2"):
        group_advantages(torch.zeros(shape))
