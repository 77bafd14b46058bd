"""SGD against torch's, SOAP against its definition: Adam in rotated coordinates, Shampoo's basis."""

import math

import pytest
import torch

from llmlib.model import ModelConfig, Transformer
from llmlib.train import SGD, SOAP, AdamW, TrainConfig, build_optimizers
from llmlib.train.soap import eigenbasis


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_orthogonal(n, seed):
    return torch.linalg.qr(torch.randn(n, n, generator=generator(seed), dtype=torch.float64)).Q


def train(optimizer, w, gradient, steps):
    for number in range(steps):
        w.grad = gradient(w, number)
        optimizer.step()
    return w


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.9, 0.5])
def test_sgd_equals_torch(momentum, nesterov):
    gradients = torch.randn(20, 6, 4, generator=generator())
    runs = []
    for kind in (SGD, torch.optim.SGD):
        w = torch.ones(6, 4, requires_grad=True)
        runs.append(train(kind([w], lr=0.03, momentum=momentum, nesterov=nesterov), w, lambda _, t: gradients[t], 20))
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-6, atol=1e-6)


def test_sgd_decay_is_decoupled():
    w = torch.full((3,), 2.0, requires_grad=True)
    train(SGD([w], lr=0.1, weight_decay=0.5), w, lambda w, _: torch.zeros_like(w), 1)
    torch.testing.assert_close(w.detach(), torch.full((3,), 2.0 * 0.95))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(lr=-1.0), "lr=-1.0"),
        (dict(momentum=1.0), "momentum=1.0"),
        (dict(momentum=0.0, nesterov=True), "nesterov"),
    ],
)
def test_sgd_refuses_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SGD([torch.zeros(2, 2, requires_grad=True)], **settings)


def test_soap_without_bases_is_adam():
    gradients = torch.randn(13, 5, 3, generator=generator())
    soap, adam = (torch.ones(5, 3, requires_grad=True) for _ in range(2))
    settings = dict(lr=0.02, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    train(SOAP([soap], max_side=1, **settings), soap, lambda _, t: gradients[t], 13)
    train(AdamW([adam], **settings), adam, lambda _, t: gradients[t + 1], 12)  # the first gradient changes no weight
    torch.testing.assert_close(soap, adam, rtol=1e-6, atol=1e-6)


def test_with_the_eigenbasis_frozen_it_is_adam_on_rotated_weights():
    left, right = random_orthogonal(5, 1), random_orthogonal(4, 2)
    gradients = torch.randn(12, 5, 4, generator=generator(), dtype=torch.float64)
    w = torch.zeros(5, 4, dtype=torch.float64, requires_grad=True)
    soap = SOAP([w], lr=0.01, betas=(0.9, 0.95), refresh=10**6)
    train(soap, w, lambda _, t: gradients[t], 1)  # fills the averages, finds a basis, changes no weight
    assert not w.any()
    soap.state[w].update(left_basis=left, right_basis=right)
    rotated = torch.zeros(5, 4, dtype=torch.float64, requires_grad=True)
    adam = AdamW([rotated], lr=0.01, betas=(0.9, 0.95), weight_decay=0.0)
    train(soap, w, lambda _, t: gradients[t], 12)
    train(adam, rotated, lambda _, t: left.T @ gradients[t] @ right, 12)
    torch.testing.assert_close(w.detach(), left @ rotated.detach() @ right.T, rtol=1e-9, atol=1e-12)


def test_the_basis_diagonalises_what_rows_and_columns_have_in_common():
    w = torch.zeros(6, 3, dtype=torch.float64, requires_grad=True)
    soap = SOAP([w], shampoo_beta=0.5, refresh=1)
    mix = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64))
    turn = random_orthogonal(6, 3)
    train(soap, w, lambda _, t: turn @ mix @ torch.randn(6, 3, generator=generator(t), dtype=torch.float64), 200)
    state = soap.state[w]
    exact = eigenbasis(state["left_gram"])
    agreement = (exact.T @ state["left_basis"]).abs()
    assert agreement.diagonal()[0] > 0.9
    assert torch.allclose(state["left_basis"].T @ state["left_basis"], torch.eye(6, dtype=torch.float64), atol=1e-9)


def test_power_iteration_converges_to_the_eigenvectors():
    vectors = random_orthogonal(5, 0)
    gram = vectors @ torch.diag(torch.tensor([16.0, 8.0, 4.0, 2.0, 1.0], dtype=torch.float64)) @ vectors.T
    basis = torch.eye(5, dtype=torch.float64)
    for _ in range(100):
        basis = eigenbasis(gram, basis)
    torch.testing.assert_close((vectors.T @ basis).abs(), torch.eye(5, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close((vectors.T @ eigenbasis(gram)).abs(), torch.eye(5, dtype=torch.float64))


def quadratic(condition, n=12, m=8):
    """f(W) = 1/2 sum of eigenvalues times squared distance, in coordinates that are entangled on both sides."""
    left, right = random_orthogonal(n, 4), random_orthogonal(m, 5)
    sizes = torch.logspace(0, -math.log10(condition), n * m, dtype=torch.float64).view(n, m)
    target = torch.randn(n, m, generator=generator(6), dtype=torch.float64)

    def loss(w):
        return 0.5 * (sizes * (left.T @ (w - target) @ right) ** 2).sum()

    return loss


@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_on_an_ill_conditioned_quadratic_it_needs_fewer_steps_than_adam(condition):
    loss = quadratic(condition)

    def final(build):
        best = math.inf
        for lr in (0.01, 0.03, 0.1, 0.3):  # the same rates for both
            w = torch.zeros(12, 8, dtype=torch.float64, requires_grad=True)
            optimizer = build(w, lr)
            for step in range(100):
                optimizer.param_groups[0]["lr"] = lr * (1 - step / 100)
                optimizer.zero_grad()
                loss(w).backward()
                optimizer.step()
            best = min(best, loss(w).item())
        return best

    soap = final(lambda w, lr: SOAP([w], lr=lr, betas=(0.9, 0.95), refresh=5))
    adam = final(lambda w, lr: AdamW([w], lr=lr, betas=(0.9, 0.95), weight_decay=0.0))
    assert soap < adam / 30


def test_a_stack_of_matrices_is_treated_one_by_one():
    gradients = torch.randn(8, 3, 5, 4, generator=generator(), dtype=torch.float64)
    stack = torch.zeros(3, 5, 4, dtype=torch.float64, requires_grad=True)
    train(SOAP([stack], refresh=3), stack, lambda _, t: gradients[t], 8)
    alone = torch.zeros(5, 4, dtype=torch.float64, requires_grad=True)
    train(SOAP([alone], refresh=3), alone, lambda _, t: gradients[t, 1], 8)
    torch.testing.assert_close(stack.detach()[1], alone.detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(lr=-1.0), "lr=-1.0"),
        (dict(betas=(0.9, 1.0)), "betas"),
        (dict(refresh=0), "refresh=0"),
        (dict(shampoo_beta=1.0), "shampoo_beta=1.0"),
    ],
)
def test_soap_refuses_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SOAP([torch.zeros(2, 2, requires_grad=True)], **settings)


def test_soap_takes_matrices_only():
    with pytest.raises(ValueError, match="use AdamW"):
        SOAP([torch.zeros(3, requires_grad=True)])


def test_both_go_by_name():
    model = Transformer(ModelConfig(vocab_size=7, n_layers=1, d_model=16, n_heads=2, max_seq_len=8))
    (sgd,) = build_optimizers(model, TrainConfig(optimizer="sgd", momentum=0.7))
    assert isinstance(sgd, SGD) and sgd.param_groups[0]["momentum"] == 0.7
    soap, adamw = build_optimizers(model, TrainConfig(optimizer="soap", optimizer_options=dict(refresh=4)))
    assert isinstance(soap, SOAP) and isinstance(adamw, AdamW) and soap.param_groups[0]["refresh"] == 4
    assert all(w.ndim == 2 for group in soap.param_groups for w in group["params"])
