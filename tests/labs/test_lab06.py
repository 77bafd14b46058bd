"""Lab 06's own oracles agree with the library, which the lab keeps away from its students."""

import math

import pytest
import torch

from courseware.classroom.cases import Draw, lab06
from llmlib.model import ModelConfig, MoEConfig
from llmlib.model.mixture import MixtureOfExperts, Routing, balancing_loss, expected_experts, route

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab06.some_logits, lab06.with_a_bias, lab06.one_expert, lab06.all_experts])
def test_the_router_is_the_librarys(inputs, seed):
    logits, k, bias = inputs(Draw(seed))
    ours, library = lab06.route(logits, k, bias), route(logits, k, renormalise=k > 1, bias=bias)
    assert ours[0].equal(library.chosen)
    torch.testing.assert_close(ours[1], library.weights)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "inputs", [lab06.some_choices, lab06.one_choice, lab06.an_expert_without_tokens, lab06.chosen_with_a_bias]
)
def test_the_balancing_loss_is_the_librarys(inputs, seed):
    probabilities, experts = inputs(Draw(seed))
    library = balancing_loss(Routing(experts, torch.empty(0), probabilities))
    torch.testing.assert_close(lab06.balancing_loss(probabilities, experts), library)


@pytest.mark.parametrize("factor", [0.5, 1.25, None])
def test_dispatch_and_places_together_are_the_librarys_mixture_in_training(factor):
    torch.manual_seed(0)
    moe = MoEConfig(n_experts=4, top_k=2, capacity_factor=factor, balancing="none")
    mixture = MixtureOfExperts(ModelConfig(vocab_size=8, n_layers=1, d_model=8, n_heads=2, d_ff=16, moe=moe)).train()
    x = torch.randn(19, 8)
    experts, weights = lab06.route(10 * mixture.router(x), 2, None)
    if factor is not None:
        kept = lab06.keep(experts, 4, factor)
        assert not kept.all() or factor > 1
        weights = weights * kept
    mixture.router.weight.data *= 10
    torch.testing.assert_close(lab06.dispatch(x, experts, weights, list(mixture.experts)), mixture(x))


def test_mixtral_is_counted_as_its_paper_says():
    mixtral = {
        "layers": 32, "d_model": 4096, "d_kv": 1024, "d_expert": 14336, "experts": 8, "top_k": 2, "shared": 0,
        "vocabulary": 32000, "bytes": 2,
    }  # fmt: skip
    found = lab06.count(mixtral, 8)
    assert round(found["total"] / 1e9, 1) == 46.7 and round(found["active"] / 1e9, 1) == 12.9
    met = lab06.count(mixtral, 8)["bytes"] * 8 / 2
    dense = found["active"] - 32 * 2 * 3 * 4096 * 14336 - 32000 * 4096
    assert met == pytest.approx(dense + 32 * expected_experts(8, 2, 8) * 3 * 4096 * 14336)


def test_the_budgets_of_the_design_leave_a_narrow_way():
    """Three or four experts a token and no other number, as the question says that each budget decides something."""
    passing = set()
    for k in range(1, 8):
        for experts in range(k, 64 * k + 1, k):
            for width in range(64, 513, 16):
                design = {"experts": experts, "top_k": k, "d_expert": width}
                if lab06.counted(design)["total"] >= 3_500_000_000 and all(
                    budget.cost(design) <= budget.limit for budget in lab06.BUDGETS
                ):
                    passing.add((k, experts // k))
    assert {k for k, _ in passing} == {3, 4} and min(ratio for _, ratio in passing) > 40


@pytest.mark.parametrize(
    "assign",
    [lab06.first_choices_first, lab06.token_by_token, lab06.surest_first, lab06.last_tokens_first, lab06.kept_make_up],
    ids=lambda f: f.__name__,
)
def test_right_assignments_fill_experts_and_no_more(assign):
    rows = [[0.6, 0.3, 0.1], [0.5, 0.35, 0.15], [0.55, 0.1, 0.35], [0.2, 0.7, 0.1]]
    found = assign(rows, 2, 2)
    taken = [sum(e == expert for entry in found for e, _ in entry) for expert in range(3)]
    assert taken == [2, 2, 1] and all(math.fsum(w for _, w in entry) < 1 + 1e-9 for entry in found)
