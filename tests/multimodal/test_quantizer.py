"""The vector quantizer: gradients in closed form, dead codes, use."""

import pytest
import torch

from llmlib.multimodal import VectorQuantizer, codebook_use


def made(n_codes=4, d=3, **changes):
    torch.manual_seed(0)
    quantizer = VectorQuantizer(n_codes, d, **changes)
    with torch.no_grad():
        quantizer.codebook.normal_()
    return quantizer


def test_each_vector_becomes_its_nearest_code():
    quantizer, x = made(), torch.randn(2, 5, 3)
    vectors, codes, _ = quantizer(x)
    by_hand = (x[:, :, None] - quantizer.codebook).square().sum(-1).argmin(-1)
    assert torch.equal(codes, by_hand)
    assert torch.allclose(vectors, quantizer.codebook[codes], atol=1e-6)


def test_gradients_pass_straight_through_the_rounding():
    quantizer, x = made(), torch.randn(6, 3, requires_grad=True)
    weight = torch.randn(6, 3)
    (quantizer(x).vectors * weight).sum().backward()
    assert torch.allclose(x.grad, weight)
    assert quantizer.codebook.grad is None  # the reconstruction does not move the codes


def test_the_loss_moves_codes_and_vectors_by_the_paper():
    quantizer, x = made(commitment=0.25), torch.randn(6, 3, requires_grad=True)
    _, codes, loss = quantizer(x)
    loss.backward()
    apart = (x - quantizer.codebook[codes]).detach()
    assert loss.item() == pytest.approx(1.25 * apart.square().mean().item(), rel=1e-5)
    assert torch.allclose(x.grad, 0.25 * 2 * apart / apart.numel(), atol=1e-6)
    expected = torch.zeros_like(quantizer.codebook).index_add(0, codes, -2 * apart / apart.numel())
    assert torch.allclose(quantizer.codebook.grad, expected, atol=1e-6)


def test_a_code_nobody_chooses_is_moved_among_the_data():
    quantizer = made(n_codes=2, patience=3)
    with torch.no_grad():
        quantizer.codebook.copy_(torch.tensor([[0.0, 0, 0], [100.0, 100, 100]]))
    x = torch.rand(20, 3)
    for _ in range(2):
        quantizer(x)
    assert quantizer.codebook[1, 0].item() == 100.0
    quantizer(x)
    assert any(torch.equal(quantizer.codebook[1].detach(), row) for row in x)
    assert codebook_use(quantizer(x).codes, 2)[0] == 2


def test_without_patience_or_in_evaluation_a_dead_code_stays():
    for quantizer in (made(n_codes=2, patience=None), made(n_codes=2, patience=1).eval()):
        with torch.no_grad():
            quantizer.codebook.copy_(torch.tensor([[0.0, 0, 0], [100.0, 100, 100]]))
        for _ in range(5):
            quantizer(torch.rand(20, 3))
        assert quantizer.codebook[1, 0].item() == 100.0


def test_use_is_counted_and_its_perplexity():
    assert codebook_use(torch.arange(8), 8) == (8, pytest.approx(8.0))
    assert codebook_use(torch.zeros(5, dtype=torch.int64), 8) == (1, pytest.approx(1.0))


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        made()(torch.randn(2, 4))
    with pytest.raises(ValueError, match="n_codes=0"):
        VectorQuantizer(0, 3)
