"""A mixture of two experts (Shazeer et al., 2017; Fedus et al., 2021): each token meets the one the router chooses."""

import pytest
import torch
from torch import nn

from llmlib.infer import generate
from llmlib.model import ModelConfig, Transformer, auxiliary_loss, count_parameters, flops_per_token
from llmlib.train import TrainConfig, Trainer, next_token_loss, route_parameters


class Experts(nn.Module):
    """Two-layer networks side by side, as stacks (n, out, in)."""

    def __init__(self, n: int, d_model: int, d_ff: int):
        super().__init__()
        self.up = nn.Parameter(0.1 * torch.randn(n, d_ff, d_model))
        self.down = nn.Parameter(0.1 * torch.randn(n, d_model, d_ff))
        self.active_fraction = 1 / n  # what `flops_per_token` wants to know

    def forward(self, x, chosen):
        """x: (N, d_model), chosen: (N,) -> (N, d_model)."""
        out = torch.zeros_like(x)
        for number in range(len(self.up)):
            rows = chosen == number
            out[rows] = (x[rows] @ self.up[number].T).relu() @ self.down[number].T
        return out


class TwoExperts(nn.Module):
    def __init__(self, config: ModelConfig, weight: float):
        super().__init__()
        self.router = nn.Linear(config.d_model, 2, bias=False)
        self.experts = Experts(2, config.d_model, config.d_ff)
        self.weight = weight

    def forward(self, x):
        share = self.router(x).softmax(-1)
        certainty, chosen = share.max(-1)
        used = nn.functional.one_hot(chosen, 2).float().flatten(0, -2).mean(0)
        self.used = used.detach()
        self.auxiliary_loss = self.weight * 2 * (used * share.flatten(0, -2).mean(0)).sum()  # 1 * weight when even
        return certainty[..., None] * self.experts(x.flatten(0, -2), chosen.flatten()).view_as(x)


def mixture(weight=1.0, **changes):
    torch.manual_seed(0)
    shape = dict(vocab_size=16, n_layers=2, d_model=32, n_heads=4, d_ff=64, max_seq_len=32)
    model = Transformer(ModelConfig(**shape | changes))
    for block in model.blocks:
        block.mlp = TwoExperts(model.config, weight)
        with torch.no_grad():  # a router that has collapsed: nearly all tokens go to the first
            block.norm2.weight.fill_(1.0)
            block.mlp.router.weight.mul_(0.1)
    return model


def text(n=600):
    return torch.randint(16, (n,), generator=torch.Generator().manual_seed(1)).cumsum(0) % 16


def test_the_loss_adds_what_the_experts_ask_for_once_per_token():
    model, ids = mixture(weight=0.5), text(40).view(2, 20)
    total, count = next_token_loss(model, (ids[:, :-1], ids[:, 1:]))
    asked = auxiliary_loss(model)
    assert asked.item() == pytest.approx(sum(block.mlp.auxiliary_loss.item() for block in model.blocks))
    bare = nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
    assert total.item() == pytest.approx(bare.item() + asked.item() * count.item(), rel=1e-5)
    total.backward()
    assert all(block.mlp.router.weight.grad.abs().sum() > 0 for block in model.blocks)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_few_steps_spread_the_tokens_and_lower_the_loss(optimizer):
    model = mixture()
    config = TrainConfig(steps=40, batch_size=8, seq_len=16, lr=0.01, optimizer=optimizer, device="cpu", progress=False)
    probe = text(64).view(4, 16)
    with torch.no_grad():
        before = next_token_loss(model, probe)[0].item()
        stacks = model.blocks[0].mlp.experts.up.clone()
    Trainer(model, config, text()).run()
    with torch.no_grad():
        after = next_token_loss(model, probe)[0].item()
    assert after < before
    for block in model.blocks:
        assert block.mlp.used.min() > 0.1
    moved = (model.blocks[0].mlp.experts.up - stacks).abs().amax((1, 2))
    assert (moved > 1e-4).all()  # both experts learnt
    assert len(generate(model, [1, 2, 3], max_new_tokens=5, greedy=True)) == 5


def test_expert_stacks_count_and_are_routed_as_matrices():
    model = mixture()
    dense = model.config.replace()
    mlp, experts = 3 * 32 * 64, 2 * 2 * 32 * 64
    assert count_parameters(model) == count_parameters(dense) + 2 * (experts + 2 * 32 - mlp)
    # A token meets the router and one expert of two matrices.
    changed = flops_per_token(model, 10, training=False) - flops_per_token(dense, 10, training=False)
    assert changed == 2 * 2 * (2 * 32 * 64 + 2 * 32 - mlp)
    routes = route_parameters(model)
    assert any(w is model.blocks[0].mlp.experts.up for w in routes["matrices"])


def test_initialising_anew_leaves_the_experts_alone():
    model = mixture()
    before = model.blocks[0].mlp.experts.up.clone()
    model.init_weights()
    assert torch.equal(model.blocks[0].mlp.experts.up, before)
