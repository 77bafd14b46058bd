"""Bits per byte: every token of every document once, whatever its length; intervals over documents."""

import math

import numpy as np
import pytest
import torch

from llmlib.model import ModelConfig, Transformer
from llmlib.train.bits_per_byte import bits_per_byte, document_nats
from llmlib.train.losses import token_loss


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(ModelConfig(vocab_size=11, n_layers=1, d_model=16, n_heads=2, max_seq_len=8)).eval()


def documents(*lengths):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(1, 11, (length,), generator=generator).tolist() for length in lengths]


class Counter(torch.nn.Module):
    """Gives every token the probability 1/11, and notes what it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        return torch.zeros(*ids.shape, 11)


def test_every_token_counts_once_whatever_the_length():
    docs = documents(*range(1, 40))
    for seq_len in (2, 3, 5, 8):
        nats = document_nats(Counter(), docs, 0, seq_len=seq_len)
        assert nats == pytest.approx([len(ids) * math.log(11) for ids in docs])


def test_short_documents_are_what_one_pass_gives(model):
    docs = documents(3, 7, 1, 5, 8)
    alone = []
    for ids in docs:
        x, y = torch.tensor([[0, *ids][:-1]]), torch.tensor([ids])
        with torch.no_grad():
            alone.append(token_loss(model(x), y).item())
    assert document_nats(model, docs, 0, batch_size=2) == pytest.approx(alone, rel=1e-5)


def test_tokens_of_long_documents_see_half_a_window_or_more(model):
    (ids,) = documents(21)
    text = [0, *ids]
    by_hand = 0.0
    for place in range(1, len(text)):  # the windows begin at 0, 4, 8, ...; each counts its last four targets
        begin = 0 if place <= 8 else (place - 5) // 4 * 4
        with torch.no_grad():
            logits = model(torch.tensor([text[begin:place]]))[0, -1]
        by_hand -= logits.log_softmax(-1)[text[place]].item()
    assert document_nats(model, [ids], 0)[0] == pytest.approx(by_hand, rel=1e-5)


def test_the_model_is_left_in_its_mode(model):
    model.train()
    document_nats(model, documents(3), 0)
    assert model.training
    model.eval()


def test_the_mean_is_over_bytes_and_the_interval_over_documents():
    rng = np.random.default_rng(0)
    n_bytes = rng.integers(50, 500, 200)
    nats = n_bytes * rng.normal(0.7, 0.1, 200)
    found = bits_per_byte(nats, n_bytes)
    assert found.value == pytest.approx(nats.sum() / n_bytes.sum() / math.log(2))
    assert found.low < found.value < found.high
    error = 1.96 * np.std(nats / n_bytes - nats.sum() / n_bytes.sum()) / math.sqrt(200) / math.log(2)
    assert found.high - found.low == pytest.approx(2 * error, rel=0.35)
    assert bits_per_byte([math.log(2) * 8], [8]) == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: document_nats(m, [[1], []], 0), "an empty one"),
        (lambda m: document_nats(m, [[1]], 0, seq_len=9), "seq_len=9"),
        (lambda m: document_nats(Counter(), [[1]], 0), "seq_len=None"),
        (lambda m: bits_per_byte([1.0], [1, 2]), "shape"),
        (lambda m: bits_per_byte([1.0], [0]), "n_bytes holds 0"),
        (lambda m: bits_per_byte([], []), "shape"),
    ],
)
def test_mistakes_are_named(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
