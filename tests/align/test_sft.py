"""The loss of fine-tuning, and its batches: padded or packed, each example is as if it were alone."""

import math

import pytest
import torch

from llmlib.align import Example, pack_examples, pad_examples, sft_loss
from llmlib.train import TrainConfig, Trainer, next_token_loss

from .conftest import FAMILIES, gradients


def examples(lengths=(7, 4, 9, 3, 6), seed=0, vocab=12):
    rng = torch.Generator().manual_seed(seed)
    made = []
    for n in lengths:
        ids = torch.randint(vocab, (n,), generator=rng).tolist()
        mask = (torch.rand(n, generator=rng) < 0.5).tolist()
        made.append(Example(ids, [*mask[:-1], True]))
    return made


def by_definition(model, several):
    """The mean of -log p(token | those before it) over all targets, one example and one target at a time."""
    losses = []
    for example in several:
        for t in range(1, len(example.ids)):
            if example.loss_mask[t]:
                logits = model(torch.tensor([example.ids[:t]]))[0, -1]
                losses.append(-logits.log_softmax(-1)[example.ids[t]])
    return torch.stack(losses).mean()


# --- sft_loss ---------------------------------------------------------------------------------------------------------


def test_worked_by_hand_the_logits_at_t_predict_the_token_after():
    logits = torch.tensor([[[0.0, math.log(3)], [math.log(7), 0.0], [9.0, -9.0]]])
    ids = torch.tensor([[0, 1, 0]])
    loss = lambda *mask: sft_loss(logits, ids, torch.tensor([mask])).item()
    assert loss(0, 1, 0) == pytest.approx(-math.log(3 / 4))
    assert loss(0, 0, 1) == pytest.approx(-math.log(7 / 8))
    assert loss(False, True, True) == pytest.approx(-(math.log(3 / 4) + math.log(7 / 8)) / 2)
    assert loss(1, 1, 1) == loss(0, 1, 1), "the first token is never a target"


@pytest.mark.parametrize("family", FAMILIES)
def test_with_a_mask_of_ones_it_is_the_loss_of_pre_training(make_model, family):
    model, ids = make_model(family=family), torch.randint(12, (3, 10), generator=torch.Generator().manual_seed(1))
    total, count = next_token_loss(model, ids)
    torch.testing.assert_close(sft_loss(model(ids), ids, torch.ones_like(ids)), total / count)


def test_it_is_the_mean_over_targets_and_not_over_rows(make_model):
    model, several = make_model(), examples((8, 8, 8))
    ids = torch.tensor([example.ids for example in several])
    mask = torch.tensor([example.loss_mask for example in several])
    torch.testing.assert_close(sft_loss(model(ids), ids, mask), by_definition(model, several))


def test_what_is_not_a_target_has_no_gradient(make_model):
    ids = torch.randint(12, (2, 6), generator=torch.Generator().manual_seed(2))
    logits = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(3)).requires_grad_()
    mask = torch.tensor([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0]])
    (slope,) = torch.autograd.grad(sft_loss(logits, ids, mask), logits)
    assert slope.abs().sum(-1).ne(0).tolist() == [[False, False, True, True, False, False], [True] + [False] * 5]
    assert ids.min() >= 0, "the ids are left as they were"


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((1, 3, 5), torch.tensor([[1, 0, 0]]), "holds no target"),
        ((1, 3, 5), torch.zeros(1, 3), "holds no target"),
        ((1, 3, 5), torch.ones(1, 2), r"loss_mask \(1, 2\) do not fit"),
        ((1, 2, 5), torch.ones(1, 3), r"logits \(1, 2, 5\), ids \(1, 3\) .* do not fit: give \(B, T, V\)"),
    ],
)
def test_shapes_and_empty_masks_are_refused(shape, mask, message):
    with pytest.raises(ValueError, match=message):
        sft_loss(torch.zeros(shape), torch.zeros(1, 3, dtype=torch.int64), mask)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_padding_worked_by_hand():
    batch = pad_examples([Example([5, 6, 7], [False, True, True]), Example([8, 9], [False, True])], pad_id=3)
    assert batch["ids"].tolist() == [[5, 6, 7], [8, 9, 3]]
    assert batch["targets"].tolist() == [[6, 7, -100], [9, -100, -100]]
    assert batch["pad_mask"].tolist() == [[True, True, True], [True, True, False]]


def test_packing_worked_by_hand():
    """First fit: 4 in row 0; 3 does not fit, row 1; 2 fits into row 0; 3 into row 1; 2 opens row 2."""
    several = [
        Example([10 * i + j for j in range(n)], [False, *[True] * (n - 1)]) for i, n in enumerate((4, 3, 2, 3, 2))
    ]
    batch = pack_examples(several, 6, pad_id=99)
    assert batch["ids"].tolist() == [[0, 1, 2, 3, 20, 21], [10, 11, 12, 30, 31, 32], [40, 41, 99, 99, 99, 99]]
    assert batch["segments"].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, -1, -1, -1, -1]]
    none = -100
    assert batch["targets"].tolist() == [
        [1, 2, 3, none, 21, none],
        [11, 12, none, 31, 32, none],
        [41, none, none, none, none, none],
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_padded_and_alone_have_the_same_loss_and_the_same_gradient(make_model, family):
    model, several = make_model(family=family), examples()
    expected = by_definition(model, several)
    slope = gradients(expected, model)
    for batch in (pack_examples(several, 16), pack_examples(several, 9, pad_id=5), pad_examples(several, pad_id=5)):
        total, count = next_token_loss(model, batch)
        assert count == sum(sum(example.loss_mask[1:]) for example in several)
        torch.testing.assert_close(total / count, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradients(total / count, model), slope, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_of_packed_examples_are_those_of_each_alone(make_model, family):
    model, several = make_model(family=family), examples()
    batch = pack_examples(several, 16)
    packed = model(batch["ids"], segments=batch["segments"])
    found = 0
    for row, segments in enumerate(batch["segments"]):
        for number in range(int(segments.max()) + 1):
            here = segments == number
            ids = batch["ids"][row, here]
            torch.testing.assert_close(packed[row, here], model(ids[None])[0], atol=1e-5, rtol=1e-5)
            assert ids.tolist() in [example.ids for example in several]
            found += 1
    assert found == len(several)


def test_there_is_cross_talk_without_the_segments_and_none_with_them(make_model):
    model = make_model()
    one, two, other = (Example(ids, [False, True, True]) for ids in ([1, 2, 3], [4, 5, 6], [7, 8, 9]))
    first, second = pack_examples([one, two], 6), pack_examples([other, two], 6)
    read = lambda batch, **inputs: model(batch["ids"], **inputs)[0, 3:]
    torch.testing.assert_close(read(first, segments=first["segments"]), read(second, segments=second["segments"]))
    assert (read(first) - read(second)).abs().max() > 0.1


def test_an_example_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="example 1 has 9 tokens, seq_len=8: shorten or leave it out"):
        pack_examples(examples((4, 9)), 8)


def test_the_trainer_takes_packed_examples_and_learns_the_replies_only(make_model):
    """The reply to a prompt of random tokens is its last one plus four, and the end."""
    rng = torch.Generator().manual_seed(0)
    prompts = torch.randint(1, 5, (60, 3), generator=rng).tolist()
    several = [Example([*p, p[-1] + 4, 10], [False] * 3 + [True, True]) for p in prompts]
    batches = [pack_examples(several[i : i + 12], 24) for i in range(0, 60, 12)]
    model = make_model(scale=1)
    config = TrainConfig(steps=50, lr=3e-2, warmup_steps=5, seq_len=24, progress=False)
    history = Trainer(model, config, batches).run()
    assert history.train_loss[-1] < 0.1 < 1.5 < history.train_loss[0]
    assert [int(model(torch.tensor([[1, 2, token]]))[0, -1].argmax()) for token in (3, 4)] == [7, 8]
    prompt_loss, count = next_token_loss(model, torch.tensor(prompts))
    assert prompt_loss / count > math.log(4), "nothing has been learned of the prompts, which are random"
