"""Denoising objectives: what is taken out can be put back, and as much is taken as was asked for."""

import itertools
import random

import pytest
import torch

from llmlib.data import corrupt_spans, mask_tokens, restore_spans, split_prefix, unmask_tokens

SENTINELS = range(1000, 1100)


def test_masked_tokens_come_back():
    ids = torch.randint(5, 50, (40, 60), generator=torch.Generator().manual_seed(0))
    inputs, targets = mask_tokens(ids, 4, 50, keep=[7, 8], generator=torch.Generator().manual_seed(1))
    assert torch.equal(unmask_tokens(inputs, targets), ids)
    chosen = targets != -100
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert not chosen[(ids == 7) | (ids == 8)].any()
    free = (ids != 7) & (ids != 8)
    assert abs(chosen[free].double().mean() - 0.15) < 0.03  # 2,300 tokens: four standard errors
    fates = inputs[chosen]
    assert abs((fates == 4).double().mean() - 0.8) < 0.09
    assert abs((fates == ids[chosen]).double().mean() - 0.1) < 0.07


def test_masks_follow_the_generator_and_refuse_nonsense():
    ids = torch.arange(5, 30)
    again = [mask_tokens(ids, 4, 50, generator=torch.Generator().manual_seed(3))[0] for _ in range(2)]
    assert torch.equal(*again)
    for wrong in (dict(rate=0.0), dict(rate=1.0), dict(shares=(0.9, 0.2))):
        with pytest.raises(ValueError):
            mask_tokens(ids, 4, 50, **wrong)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        mask_tokens(ids, 50, 50)


@pytest.mark.parametrize("seed", range(30))
def test_corrupted_spans_come_back(seed):
    rng = random.Random(seed)
    ids = [rng.randrange(1000) for _ in range(rng.randrange(2, 90))]
    inputs, targets = corrupt_spans(ids, SENTINELS, rate=rng.choice([0.15, 0.5, 0.9]), rng=rng)
    assert restore_spans(inputs, targets, SENTINELS) == ids
    marks = [token for token in inputs if token >= 1000]
    assert marks == list(SENTINELS)[: len(marks)]
    assert [token for token in targets if token >= 1000] == list(SENTINELS)[: len(marks) + 1]
    assert targets[0] == 1000 and targets[-1] == 1000 + len(marks)
    assert not any(a >= 1000 and b >= 1000 for a, b in itertools.pairwise(inputs))  # spans never touch
    assert not any(a >= 1000 and b >= 1000 for a, b in itertools.pairwise(targets))  # and none is empty


def test_as_much_is_taken_as_asked_and_every_place_can_be():
    taken = [0] * 20
    rng = random.Random(0)
    for _ in range(2000):
        _, targets = corrupt_spans(range(20), SENTINELS, rate=0.3, rng=rng)
        lost = [token for token in targets if token < 1000]
        assert len(lost) == 6
        for token in lost:
            taken[token] += 1
    assert min(taken) > 150 and max(taken) < 850  # 600 each if all places were equal; the ends are taken less often


def test_the_papers_sentence():
    words = "Thank you for inviting me to your party last week".split()
    restored = restore_spans([0, 1, 1000, 4, 5, 6, 7, 1001, 9], [1000, 2, 3, 1001, 8, 1002], SENTINELS)
    assert [words[i] for i in restored] == words


def test_what_a_model_leaves_out_is_left_out():
    assert restore_spans([1, 1000, 2, 1001], [1001, 9], SENTINELS) == [1, 2, 9]


@pytest.mark.parametrize(
    ("ids", "sentinels", "said"), [([1], SENTINELS, "two"), ([1, 1000], SENTINELS, "holds the sentinel"),
                                   (range(60), [1000], "need")],
)  # fmt: skip
def test_texts_that_cannot_be_corrupted_are_refused(ids, sentinels, said):
    with pytest.raises(ValueError, match=said):
        corrupt_spans(ids, sentinels)


def test_a_prefix_and_its_rest_are_the_text():
    cuts = {len(split_prefix([1, 2, 3, 4], rng=random.Random(seed))[0]) for seed in range(40)}
    assert cuts == {1, 2, 3}
    first, rest = split_prefix([5, 6], rng=random.Random(0))
    assert [*first, *rest] == [5, 6]
    with pytest.raises(ValueError, match="at least two"):
        split_prefix([1])
