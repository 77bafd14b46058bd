"""The losses of PPO and DPO against their equations in plain numbers, their gradients by finite differences."""

import math

import pytest
import torch

from llmlib.align import best_of_n_kl, dpo_loss, kl_estimate, masked_mean, ppo_loss, value_loss

# Ratios inside and outside [0.8, 1.2], each with both signs of the advantage.
RATIOS = torch.tensor([[0.5, 0.7, 0.9, 1.1, 1.3, 2.0]], dtype=torch.float64)
ADVANTAGES = torch.tensor([[1.5], [-0.7]], dtype=torch.float64)
OLD = torch.linspace(-3, -0.5, 12, dtype=torch.float64).view(2, 6)
NEW = OLD + RATIOS.log()
ALL = torch.ones(2, 6)


def by_definition(new, old, advantage, clip):
    ratio = math.exp(new - old)
    return -min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)


@pytest.mark.parametrize("clip", [0.1, 0.2, 0.4, math.inf])
def test_ppo_is_its_equation(clip):
    mask = torch.tensor([[1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 0]])
    losses = [
        by_definition(NEW[i, j].item(), OLD[i, j].item(), ADVANTAGES[i, 0].item(), clip)
        for i, j in mask.nonzero().tolist()
    ]
    assert ppo_loss(NEW, OLD, ADVANTAGES.expand(2, 6), mask, clip).item() == pytest.approx(sum(losses) / 10)


def slope_of_ppo(clip, mask=ALL):
    new = NEW.clone().requires_grad_()
    return torch.autograd.grad(ppo_loss(new, OLD, ADVANTAGES.expand(2, 6), mask, clip), new)[0]


@pytest.mark.parametrize("clip", [0.2, math.inf])
def test_the_gradient_of_ppo_by_finite_differences(clip):
    step = 1e-6
    for i in range(2):
        for j in range(6):
            ends = []
            for sign in (1, -1):
                moved = NEW.clone()
                moved[i, j] += sign * step
                ends.append(ppo_loss(moved, OLD, ADVANTAGES.expand(2, 6), ALL, clip).item())
            assert slope_of_ppo(clip)[i, j].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


def test_clipping_stops_gains_only():
    """With A > 0 the gradient ends above 1 + clip, with A < 0 below 1 - clip; the other ways it stays, however far."""
    going = slope_of_ppo(0.2).ne(0)
    assert going.tolist() == [[True, True, True, True, False, False], [False, False, True, True, True, True]]
    unclipped = -ADVANTAGES * RATIOS / 12
    torch.testing.assert_close(slope_of_ppo(0.2), torch.where(going, unclipped, 0.0))
    torch.testing.assert_close(slope_of_ppo(math.inf), unclipped)


def test_a_far_worse_policy_pays_the_full_price():
    """The larger of the two losses counts: for A = -1 at ratio 2 that is 2, for A = 1 at ratio 0.5 it is -0.5."""
    one = torch.ones(1, 1, dtype=torch.float64)
    for ratio, advantage, loss in [(2.0, -1, 2.0), (2.0, 1, -1.2), (0.5, 1, -0.5), (0.5, -1, 0.8)]:
        assert ppo_loss(one * math.log(ratio), one * 0, one * advantage, one).item() == pytest.approx(loss)


def test_masked_tokens_have_no_part_in_ppo():
    mask = torch.tensor([[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1]]).bool()
    assert slope_of_ppo(0.2, mask)[~mask].eq(0).all()
    noisy = torch.where(mask, NEW, NEW + 3)
    advantages = ADVANTAGES.expand(2, 6)
    assert ppo_loss(noisy, OLD, advantages, mask) == ppo_loss(NEW, OLD, advantages, mask)
    with pytest.raises(ValueError, match="mask marks no token: an empty reply has no loss"):
        ppo_loss(NEW, OLD, advantages, torch.zeros(2, 6))


def test_the_masked_mean_is_over_tokens():
    assert masked_mean(torch.tensor([[1.0, 2], [3, 9]]), torch.tensor([[1, 1], [1, 0]])) == 2


def test_value_loss_by_hand():
    values, old = torch.tensor([[1.0, 1.0, 0.0, 5.0]]), torch.tensor([[0.0, 0.9, 0.1, 0.0]])
    returns, mask = torch.tensor([[2.0, 0.0, 3.0, 0.0]]), torch.tensor([[1, 1, 1, 0]])
    assert value_loss(values, old, returns, mask, clip=None).item() == pytest.approx((1 + 1 + 9) / 3 / 2)
    # near the old ones: 0.2, 1.0 and 0.0, so that the first error grows to 1.8^2
    assert value_loss(values, old, returns, mask).item() == pytest.approx((1.8**2 + 1 + 9) / 3 / 2)


def test_the_clipped_value_loss_does_not_pull_beyond_the_clip():
    value = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.float64)
    for returns, slope in [(2.0, 0.0), (-1.0, 1.5), (0.1, 0.4)]:  # towards it: ended; back: as without clipping
        (found,) = torch.autograd.grad(value_loss(value, 0 * one, returns * one, one), value)
        assert found.item() == pytest.approx(slope)


# --- divergence -------------------------------------------------------------------------------------------------------

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
CLOSE = torch.tensor([0.45, 0.33, 0.14, 0.08], dtype=torch.float64)
FAR = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def moments(kind, reference):
    """Mean and variance of an estimate under P, exactly: a sum over all outcomes."""
    estimate = kl_estimate(P.log(), reference.log(), kind)
    mean = (P * estimate).sum()
    return mean.item(), (P * (estimate - mean).square()).sum().item()


@pytest.mark.parametrize("reference", [CLOSE, FAR])
def test_k1_and_k3_are_unbiased_and_k2_is_not(reference):
    kl = sum(p * math.log(p / q) for p, q in zip(P.tolist(), reference.tolist()))
    assert moments("k1", reference)[0] == pytest.approx(kl)
    assert moments("k3", reference)[0] == pytest.approx(kl)
    d = [math.log(p / q) for p, q in zip(P.tolist(), reference.tolist())]
    assert moments("k2", reference)[0] == pytest.approx(sum(p * x * x / 2 for p, x in zip(P.tolist(), d)))
    assert abs(moments("k2", reference)[0] - kl) > 1e-4


def test_k2_is_nearly_right_where_the_policies_are_close_and_far_off_where_not():
    assert moments("k2", CLOSE)[0] == pytest.approx(moments("k1", CLOSE)[0], rel=0.1)
    assert moments("k2", FAR)[0] / moments("k1", FAR)[0] > 1.1


@pytest.mark.parametrize("kind", ["k2", "k3"])
def test_the_variance_is_lower_near_the_reference(kind):
    assert moments(kind, CLOSE)[1] < moments("k1", CLOSE)[1] / 10


def test_the_estimates_of_one_token():
    kl = lambda d, kind: kl_estimate(torch.tensor(d), torch.tensor(0.0), kind).item()
    assert [kl(-0.5, kind) for kind in ("k1", "k2", "k3")] == pytest.approx([-0.5, 0.125, math.exp(0.5) - 1.5])
    assert kl_estimate(torch.zeros(2, 3), torch.ones(2, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="kind='k4' is none of k1, k2, k3"):
        kl(0.0, "k4")


def test_k3_is_never_negative_not_even_in_single_precision():
    d = torch.logspace(-8, 1, 2000)
    for difference in (d, -d):
        estimate = kl_estimate(difference, torch.zeros(2000), "k3")
        assert estimate.min() >= 0
        exact = torch.special.expm1(-difference.double()) + difference.double()
        torch.testing.assert_close(estimate.double(), exact, rtol=1e-3, atol=1e-9)


def test_best_of_n_moves_as_far_as_the_formula_says():
    """Of N equally likely replies with distinct scores the i-th is the best of n with (i^n - (i - 1)^n) / N^n."""
    for n in (1, 2, 4, 16):
        distances = []
        for N in (50, 5000):
            chosen = [(i / N) ** n - ((i - 1) / N) ** n for i in range(1, N + 1)]
            distances.append(sum(p * math.log(p * N) for p in chosen if p > 0))
        assert distances[0] - 1e-9 <= distances[1] <= best_of_n_kl(n) + 1e-9, "a bound where there are few"
        assert distances[1] == pytest.approx(best_of_n_kl(n), abs=0.01)
    assert best_of_n_kl(1) == 0 and best_of_n_kl(8) == pytest.approx(1.2044, abs=1e-4)
    with pytest.raises(ValueError, match="n=0 samples"):
        best_of_n_kl(0)


def test_where_scores_tie_the_distance_is_smaller():
    """Two replies in five are good: the best of n is good with 1 - 0.6^n, in the shares of the reference."""
    for n in (2, 4, 16):
        good = 1 - 0.6**n
        distance = good * math.log(good / 0.4) + (1 - good) * math.log((1 - good) / 0.6)
        assert 0 < distance < 0.8 * best_of_n_kl(n)


# --- preferences ------------------------------------------------------------------------------------------------------

CHOSEN, REJECTED, REF_CHOSEN, REF_REJECTED = torch.tensor(
    [[-4.0, -9.0, -2.5], [-5.0, -6.0, -2.5], [-4.5, -8.0, -3.0], [-4.0, -7.0, -1.0]], dtype=torch.float64
)
MARGINS = [1.5, -2.0, 2.0]


def dpo(**options):
    return dpo_loss(CHOSEN, REJECTED, REF_CHOSEN, REF_REJECTED, **options).item()


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_dpo_is_its_equation(beta):
    at = lambda x: math.log(1 + math.exp(-x))  # -log sigmoid
    mean = lambda losses: sum(losses) / 3
    assert dpo(beta=beta) == pytest.approx(mean([at(beta * h) for h in MARGINS]))
    smooth = mean([0.8 * at(beta * h) + 0.2 * at(-beta * h) for h in MARGINS])
    assert dpo(beta=beta, label_smoothing=0.2) == pytest.approx(smooth)
    assert dpo(beta=beta, kind="ipo") == pytest.approx(mean([(h - 1 / (2 * beta)) ** 2 for h in MARGINS]))


def test_a_policy_that_is_its_reference_has_loss_log_2():
    assert dpo_loss(CHOSEN, REJECTED, CHOSEN, REJECTED, beta=3.0).item() == pytest.approx(math.log(2))


def test_the_gradient_of_dpo_is_that_of_the_paper():
    """-beta sigmoid(-beta h): pairs in the wrong order weigh most; chosen and rejected are pushed alike."""
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    loss = dpo_loss(chosen, rejected, REF_CHOSEN, REF_REJECTED, beta=0.5)
    up, down = torch.autograd.grad(loss, (chosen, rejected))
    expected = [-0.5 / (1 + math.exp(0.5 * h)) / 3 for h in MARGINS]
    assert up.tolist() == pytest.approx(expected) and torch.equal(down, -up)


def test_where_each_kind_comes_to_rest():
    """On one pair: DPO goes on for ever, its conservative form stops at the labels' log odds, IPO at 1 / (2 beta)."""
    beta, zero = 0.5, torch.zeros(1, dtype=torch.float64)
    slope = {}
    for name, options in dict(dpo={}, cdpo=dict(label_smoothing=0.1), ipo=dict(kind="ipo")).items():
        for margin in (1.0, math.log(9) / beta, 100.0):
            policy = torch.tensor([margin], dtype=torch.float64, requires_grad=True)
            loss = dpo_loss(policy, zero, zero, zero, beta, **options)
            slope[name, margin] = torch.autograd.grad(loss, policy)[0].item()
    assert all(slope["dpo", margin] < 0 for margin in (1.0, math.log(9) / beta, 100.0))
    assert slope["cdpo", math.log(9) / beta] == pytest.approx(0) and slope["cdpo", 100.0] > 0 > slope["cdpo", 1.0]
    assert slope["ipo", 1.0] == 0 and slope["ipo", 100.0] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(beta=0.0), "beta=0.0 must be positive"),
        (dict(beta=math.nan), "beta=nan must be positive"),
        (dict(label_smoothing=0.5), r"label_smoothing=0.5 must lie in \[0, 0.5\)"),
        (dict(label_smoothing=-0.1), "label_smoothing=-0.1"),
        (dict(kind="hinge"), "kind='hinge' is none of sigmoid, ipo"),
        (dict(kind="ipo", label_smoothing=0.1), "leave it at 0 for 'ipo'"),
    ],
)
def test_settings_of_dpo_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dpo(**options)
