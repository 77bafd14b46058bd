"""Heads of encoders and classifiers: what they read, and what they refuse."""

import pytest
import torch

from llmlib.model import Classifier, EncoderConfig, MaskedLMHead, ModelConfig, Transformer, pool_hidden

SMALL = ModelConfig(vocab_size=31, n_layers=1, d_model=16, n_heads=2, max_seq_len=12)


def test_pooling_reads_real_tokens_alone():
    h = torch.arange(24.0).reshape(2, 4, 3)
    real = torch.tensor([[False, True, True, False], [True, True, True, True]])
    assert torch.equal(pool_hidden(h, real, "first"), h[[0, 1], [1, 0]])
    assert torch.equal(pool_hidden(h, real, "last"), h[[0, 1], [2, 3]])
    assert torch.equal(pool_hidden(h, real, "mean"), torch.stack([h[0, 1:3].mean(0), h[1].mean(0)]))
    with pytest.raises(ValueError, match="empty texts"):
        pool_hidden(h, torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="choose one of"):
        pool_hidden(h, real, "max")


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_classifier_is_blind_to_padding(pooling):
    torch.manual_seed(0)
    model = Classifier(Transformer(SMALL), 3, pooling=pooling).eval()
    ids = torch.randint(31, (1, 5))
    alone = model(ids)
    after = model(torch.cat([ids, ids[:, :3]], 1), torch.tensor([[True] * 5 + [False] * 3]))
    before = model(torch.cat([ids[:, :3], ids], 1), torch.tensor([[False] * 3 + [True] * 5]))
    assert alone.shape == (1, 3)
    assert torch.allclose(after, alone, atol=1e-5) and torch.allclose(before, alone, atol=1e-5)


def test_the_auxiliary_logits_are_the_trunks():
    trunk = Transformer(SMALL).eval()
    model = Classifier(trunk, 2, dropout=0.5).eval()
    ids = torch.randint(31, (2, 5))
    classes, tokens = model(ids, auxiliary=True)
    assert torch.equal(classes, model(ids)) and torch.equal(tokens, trunk(ids))
    model(ids).sum().backward()
    assert trunk.blocks[0].mlp.down_proj.weight.grad is not None and model.trunk is trunk


@pytest.mark.parametrize("wrong", [dict(n_classes=1), dict(n_classes=2, dropout=1.0), dict(n_classes=2, pooling="max")])
def test_impossible_classifiers_are_refused(wrong):
    with pytest.raises(ValueError):
        Classifier(Transformer(SMALL), **wrong)


def test_a_masked_lm_scores_every_token_with_the_tied_matrix():
    model = Transformer(SMALL.replace(causal=False, norm="layernorm", encoder=EncoderConfig()))
    before = model.num_parameters()
    model.lm_head = MaskedLMHead(model)
    assert model(torch.randint(31, (2, 5))).shape == (2, 5, 31)
    assert model.num_parameters() == before + 16 * 16 + 16 + 16 + 31
    model(torch.randint(31, (2, 5))).sum().backward()
    assert model.token_embedding.weight.grad.abs().sum() > 0
