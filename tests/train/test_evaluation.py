import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmlib.train import bits, count_baselines, evaluate_loss, token_loss


class Bigram(nn.Module):
    """Logits that depend on one token only, so the loss of a split can be computed without windows."""

    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocab_size, vocab_size, generator=torch.Generator().manual_seed(1)))

    def forward(self, ids):
        return self.table[ids]


@pytest.mark.parametrize("n_tokens", [2, 7, 65, 66, 200])
def test_every_token_is_predicted_exactly_once(tokens, n_tokens):
    model, split = Bigram(7), tokens[:n_tokens]
    expected = F.cross_entropy(model.table[split[:-1]], split[1:]).item()
    assert evaluate_loss(model, split, seq_len=8, batch_size=3) == pytest.approx(expected, abs=1e-5)


def test_windows_do_not_see_each_other(tokens, make_model):
    model = make_model()
    split = tokens[:17]
    by_hand = sum(token_loss(model(x[None, :-1]), x[None, 1:]).item() for x in (split[:9], split[8:])) / 16
    assert evaluate_loss(model, split) == pytest.approx(by_hand, abs=1e-5)  # seq_len is the model's 8


def test_mode_is_restored_and_dropout_is_off(tokens, make_model):
    model = make_model(dropout=0.5).train()
    assert evaluate_loss(model, tokens[:100]) == evaluate_loss(model, tokens[:100])
    assert model.training
    model.eval()
    evaluate_loss(model, tokens[:100])
    assert not model.training


def test_bad_windows_are_refused(tokens, make_model):
    with pytest.raises(ValueError, match="seq_len=9 exceeds the model's max_seq_len=8"):
        evaluate_loss(make_model(), tokens, seq_len=9)
    with pytest.raises(ValueError, match="seq_len=None"):
        evaluate_loss(Bigram(7), tokens)
    with pytest.raises(ValueError, match="batch_size=0"):
        evaluate_loss(make_model(), tokens, batch_size=0)


def test_token_loss_leaves_out_minus_100():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([[1, 2, -100], [-100, 4, 0]])
    expected = sum(-logits[b, t].log_softmax(-1)[targets[b, t]] for b, t in [(0, 0), (0, 1), (1, 1), (1, 2)])
    torch.testing.assert_close(token_loss(logits, targets), expected)


def test_baselines_by_hand():
    train, val = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 1, 1])
    baselines = count_baselines(train, val, vocab_size=2)
    assert baselines["uniform"] == pytest.approx(math.log(2))
    assert baselines["unigram"] == pytest.approx(-math.log(3 / 7))  # three 1s of seven, after adding one to each
    after_0, after_1 = 3 / 4, 1 / 4  # P(1 | 0), P(1 | 1): 0 was followed by 1 twice, 1 by 0 twice
    assert baselines["bigram"] == pytest.approx(-(math.log(after_0) + math.log(after_1)) / 2)


def test_bits():
    assert bits(math.log(8)) == pytest.approx(3.0)
