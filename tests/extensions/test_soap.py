"""An optimizer from outside, registered under a name: a SOAP (Vyas et al., 2024) of forty lines."""

import pytest
import torch
from torch.optim import Optimizer

from llmlib.model import ModelConfig, Transformer
from llmlib.train import AdamW, TrainConfig, Trainer, group_parameters, register_optimizer, route_parameters


class SOAPLike(Optimizer):
    """Adam in the eigenbasis of Shampoo's preconditioners. Its state is nested on purpose."""

    def __init__(self, params, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0, refresh=4):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, refresh=refresh))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                g, state = w.grad, self.state[w]
                if not state:
                    n, m = g.shape
                    state["t"], state["exp_avg"] = 0, torch.zeros_like(g)
                    state["sides"] = [dict(gram=torch.zeros(k, k), basis=torch.eye(k)) for k in (n, m)]
                    state["rotated"] = (torch.zeros_like(g), "second moments")
                state["t"] += 1
                for side, gram in zip(state["sides"], (g @ g.T, g.T @ g)):
                    side["gram"].lerp_(gram, 1 - beta2)
                    if state["t"] % group["refresh"] == 1:
                        side["basis"] = torch.linalg.eigh(side["gram"]).eigenvectors
                left, right = (side["basis"] for side in state["sides"])
                squares = state["rotated"][0]
                state["exp_avg"].lerp_(g, 1 - beta1)
                squares.lerp_((left.T @ g @ right).square(), 1 - beta2)
                m_hat = left.T @ state["exp_avg"] @ right / (1 - beta1 ** state["t"])
                update = m_hat / ((squares / (1 - beta2 ** state["t"])).sqrt() + 1e-8)
                w.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * left @ update @ right.T)


def build_soap(model, config, refresh=4):
    routes = route_parameters(model)
    matrices = group_parameters({"matrices": routes.pop("matrices")}, config, decayed=("matrices",))
    return [SOAPLike(matrices, betas=config.betas, refresh=refresh), AdamW(group_parameters(routes, config))]


@pytest.fixture
def config():
    register_optimizer("soap-like", build_soap)
    options = dict(refresh=3)
    return TrainConfig(
        steps=40, batch_size=8, seq_len=8, optimizer="soap-like", optimizer_options=options, lr=1e-2, progress=False
    )


@pytest.fixture
def tokens():
    steps = torch.randint(1, 3, (2000,), generator=torch.Generator().manual_seed(0))
    return steps.cumsum(0) % 7


def model(seed=0):
    torch.manual_seed(seed)
    return Transformer(ModelConfig(vocab_size=7, n_layers=1, d_model=16, n_heads=2, max_seq_len=8, mlp="relu2"))


def test_it_learns_and_gets_its_options(config, tokens):
    trainer = Trainer(model(), config, tokens[:1800], evaluate=tokens[1800:])
    soap, adamw = trainer.optimizers
    assert soap.param_groups[0]["refresh"] == 3
    assert isinstance(adamw, AdamW)
    assert trainer.run().val_loss[-1] < 1.0  # ln 2 is the floor, ln 7 = 1.95 the start


def test_its_nested_state_survives_a_checkpoint(config, tokens, tmp_path):
    unbroken = Trainer(model(), config, tokens)
    for _ in range(8):
        unbroken.train_step()
    first = Trainer(model(), config, tokens)
    for _ in range(5):
        first.train_step()
    path = first.save(tmp_path / "run")
    second = Trainer(model(seed=1), config, tokens)
    second.resume(path)
    state = next(iter(second.optimizers[0].state.values()))
    assert isinstance(state["rotated"], tuple)
    assert state["rotated"][1] == "second moments"
    assert state["t"] == 5
    assert second.optimizers[0].param_groups[0]["betas"] == config.betas
    for _ in range(3):
        second.train_step()
    for a, b in zip(unbroken.model.parameters(), second.model.parameters()):
        assert torch.equal(a, b)


def test_options_that_it_does_not_know_are_refused(config, tokens):
    with pytest.raises(ValueError, match=r"optimizer_options=\{'freshness': 1\} do not suit optimizer='soap-like'"):
        Trainer(model(), config.replace(optimizer_options=dict(freshness=1)), tokens)
