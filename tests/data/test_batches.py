import pytest
import torch

from llmlib.data import IGNORE, random_batch, windows


def test_targets_are_the_inputs_one_token_later():
    x, y = random_batch(torch.arange(1000), 32, 16, torch.Generator().manual_seed(0))
    assert x.shape == y.shape == (32, 16) and x.dtype == y.dtype == torch.int64
    assert torch.equal(y, x + 1)
    assert torch.equal(x, x[:, :1] + torch.arange(16))
    assert x.is_contiguous() and y.is_contiguous()


def test_every_place_can_be_drawn_and_none_beyond_the_end():
    tokens = torch.arange(7)
    x, y = random_batch(tokens, 500, 4, torch.Generator().manual_seed(0))
    assert set(x[:, 0].tolist()) == {0, 1, 2}
    assert y.max() == 6


def test_the_generator_makes_a_batch_repeatable():
    tokens = torch.randint(50, (300,))
    draw = lambda seed: random_batch(tokens, 4, 8, torch.Generator().manual_seed(seed))
    assert torch.equal(draw(1)[0], draw(1)[0])
    assert not torch.equal(draw(1)[0], draw(2)[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_small_integer_types_come_out_as_int64(dtype):
    tokens = torch.arange(100).to(dtype)
    for x, y in (random_batch(tokens, 2, 5), windows(tokens, 5)):
        assert x.dtype == y.dtype == torch.int64


@pytest.mark.parametrize("n, seq_len", [(2, 1), (2, 8), (9, 4), (10, 4), (11, 4), (12, 4), (1000, 64)])
def test_windows_predict_every_token_but_the_first_once(n, seq_len):
    tokens = torch.randint(1, 50, (n,), generator=torch.Generator().manual_seed(0))
    x, y = windows(tokens, seq_len)
    real = y != IGNORE
    assert x.shape == y.shape == (-(-(n - 1) // seq_len), seq_len)
    assert torch.equal(y[real], tokens[1:]) and torch.equal(x[real], tokens[:-1])
    assert (~real)[:-1].sum() == 0, "only the last row may be filled up"
    assert (x[~real] == 0).all()


def test_a_loss_over_windows_is_the_loss_over_the_text():
    tokens = torch.randint(5, (100,), generator=torch.Generator().manual_seed(0))
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))  # a bigram model needs no context
    whole = torch.nn.functional.cross_entropy(table[tokens[:-1]], tokens[1:])
    x, y = windows(tokens, 16)
    cut = torch.nn.functional.cross_entropy(table[x].flatten(0, 1), y.flatten(), reduction="sum")
    torch.testing.assert_close(cut / (y != IGNORE).sum(), whole)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: random_batch(torch.arange(8), 2, 8), "tokens holds 8 ids, too few for seq_len=8: 9 are needed"),
        (lambda: random_batch(torch.arange(8).view(2, 4), 2, 2), r"tokens must be one-dimensional, got shape \(2, 4\)"),
        (lambda: random_batch(torch.arange(8), 0, 2), "batch_size must be at least 1, got 0"),
        (lambda: windows(torch.arange(8), 0), "seq_len must be at least 1, got 0"),
        (lambda: windows(torch.arange(1), 4), "tokens holds 1 ids"),
    ],
)
def test_bad_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
