"""Reward models: one number a text, whatever the padding; losses against brute force; measures worked out by hand."""

import itertools
import math

import pytest
import torch

from llmlib.align import (
    RewardEnsemble,
    RewardModel,
    calibration,
    last_token,
    pair_accuracy,
    plackett_luce_loss,
    ranking_batches,
    ranking_loss,
    reward_ranking_loss,
)
from llmlib.train import TrainConfig, Trainer

from .conftest import FAMILIES, weights

END = 11


def texts(lengths=(6, 3, 9, 1), seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randint(1, 11, (n,), generator=rng).tolist() for n in lengths]


def padded(rows, left, pad_id):
    width = max(map(len, rows))
    ids, real = [], []
    for row in rows:
        fill, n = [pad_id] * (width - len(row)), len(row)
        ids.append(fill + row if left else row + fill)
        real.append([False] * len(fill) + [True] * n if left else [True] * n + [False] * len(fill))
    return torch.tensor(ids), torch.tensor(real)


@pytest.fixture
def make_judge(make_model):
    def make(seed=0, family="llama"):
        judge = RewardModel(make_model(seed, family)).eval()
        with torch.no_grad():
            judge.score_head.weight.normal_(generator=torch.Generator().manual_seed(seed + 100))
        return judge

    return make


# --- the model --------------------------------------------------------------------------------------------------------


def test_the_last_real_token_on_either_side():
    values = torch.arange(12).view(3, 4)
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0]]).bool()
    assert last_token(values, mask).tolist() == [1, 7, 9]
    assert last_token(values[..., None].expand(3, 4, 2), mask).tolist() == [[1, 1], [7, 7], [9, 9]]
    with pytest.raises(ValueError, match=r"pad_mask has no True in row 1: an empty text has no score"):
        last_token(values, mask & torch.tensor([[True], [False], [True]]))


@pytest.mark.parametrize("family", FAMILIES)
def test_left_and_right_padding_and_none_give_the_same_score(make_judge, family):
    judge, rows = make_judge(family=family), texts()
    alone = torch.cat([judge(torch.tensor([row])) for row in rows])
    assert alone.std() > 0.1, "different texts, different scores"
    for left, pad_id in itertools.product((False, True), (0, 7)):
        torch.testing.assert_close(judge(*padded(rows, left, pad_id)), alone, atol=1e-5, rtol=1e-5)


def test_the_score_is_the_head_at_the_end_token(make_judge):
    judge = make_judge()
    prompts, replies = texts((4, 2, 5), 1), [*texts((3, 4), 2), []]  # an empty reply is its end token
    expected = torch.stack(
        [
            (judge.trunk.hidden(torch.tensor([[*prompt, *reply, END]]))[0, -1] * judge.score_head.weight[0]).sum()
            for prompt, reply in zip(prompts, replies)
        ]
    )
    judge.train()
    torch.testing.assert_close(judge.score(prompts, replies, END), expected, atol=1e-5, rtol=1e-5)
    assert judge.training and not judge.score(prompts, replies, END).requires_grad
    many = judge.score(prompts * 100, replies * 100, END)  # more than are read at once
    torch.testing.assert_close(many, expected.repeat(100), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="argument 2"):
        judge.score(prompts, replies[:2], END)


def test_it_begins_with_equal_scores_on_a_trunk_of_its_own(make_model):
    policy = make_model()
    before = weights(policy)
    judge = RewardModel(policy)
    assert judge.score(texts(), texts(seed=1), END).eq(0).all()
    with torch.no_grad():
        for weight in judge.parameters():
            weight.add_(1)
    assert torch.equal(weights(policy), before)


def test_a_text_longer_than_the_context_is_refused(make_judge):
    with pytest.raises(ValueError, match=r"max_seq_len 24.*shorten the input"):
        make_judge().score([[1] * 20], [[2] * 4], END)


def test_normalising_shifts_and_scales_and_keeps_the_order(make_judge):
    judge = make_judge()
    prompts, replies = texts((4,) * 8, 1), texts((3, 5, 2, 6) * 2, 2)
    raw = judge.score(prompts, replies, END)
    judge.normalise(raw[:5], spread=False)
    torch.testing.assert_close(judge.score(prompts, replies, END), raw - raw[:5].mean(), atol=1e-5, rtol=1e-5)
    for part in (slice(0, 5), slice(2, 8), slice(2, 8)):  # again and again, from where it stands
        judge.normalise(judge.score(prompts, replies, END)[part])
        expected = (raw - raw[part].mean()) / raw[part].std()
        torch.testing.assert_close(judge.score(prompts, replies, END), expected, atol=1e-4, rtol=1e-4)
    copy = RewardModel(judge.trunk)
    copy.load_state_dict(judge.state_dict())
    torch.testing.assert_close(copy.score(prompts, replies, END), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="scores holds 1: give those of several texts"):
        judge.normalise(raw[:1])


def test_an_ensemble_is_the_mean_less_the_disagreement(make_judge):
    judges = [make_judge(seed) for seed in range(3)]
    prompts, replies = texts((4, 2, 5), 1), texts((3, 4, 1), 2)
    each = [judge.score(prompts, replies, END).tolist() for judge in judges]
    for caution in (0.0, 0.7):
        expected = []
        for scores in zip(*each):
            mean = sum(scores) / 3
            expected.append(mean - caution * math.sqrt(sum((s - mean) ** 2 for s in scores) / 3))
        together = RewardEnsemble(judges, caution).score(prompts, replies, END)
        torch.testing.assert_close(together, torch.tensor(expected), atol=1e-5, rtol=1e-5)
    alone = RewardEnsemble(judges[:1], caution=5.0).score(prompts, replies, END)
    torch.testing.assert_close(alone, torch.tensor(each[0]), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="models is empty"):
        RewardEnsemble([])


# --- losses of rankings -----------------------------------------------------------------------------------------------


def scores(prompts=5, K=4, seed=0):
    return torch.randn(prompts, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def pairwise(rows, ranks=None):
    """InstructGPT's equation 1 by two loops: the mean over prompts of the mean over their pairs."""
    means = []
    for i, row in enumerate(rows.tolist()):
        places = range(len(row)) if ranks is None else ranks[i].tolist()
        pairs = [(a, b) for a in range(len(row)) for b in range(len(row)) if places[a] < places[b]]
        if pairs:
            means.append(-sum(log_sigmoid(row[a] - row[b]) for a, b in pairs) / len(pairs))
    return sum(means) / len(means)


@pytest.mark.parametrize("K", [2, 3, 4, 9])
def test_the_ranking_loss_is_the_mean_over_all_pairs(K):
    rows = scores(K=K)
    assert reward_ranking_loss(rows).item() == pytest.approx(pairwise(rows))
    assert reward_ranking_loss(rows + 7).item() == pytest.approx(pairwise(rows)), "a constant is left free"
    assert reward_ranking_loss(torch.zeros(2, K)).item() == pytest.approx(math.log(2))
    assert reward_ranking_loss(rows.flip(1)).item() == pytest.approx(pairwise(rows.flip(1)))


def test_ranks_say_the_order_and_ties_are_left_out():
    rows = scores(K=4)
    ranks = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 1, 1], [5, 5, 5, 5], [2, 1, 1, 9]])
    assert reward_ranking_loss(rows, ranks).item() == pytest.approx(pairwise(rows, ranks))
    order = torch.tensor([2, 0, 3, 1])
    shuffled = reward_ranking_loss(rows[:, order], order.expand(5, 4))
    assert shuffled.item() == pytest.approx(pairwise(rows)), "the places of the columns are all that counts"


def test_the_gradient_of_the_ranking_loss_by_finite_differences():
    rows, ranks = scores(3, 3), torch.tensor([[0, 1, 2], [0, 0, 1], [1, 1, 1]])
    loss = lambda x: reward_ranking_loss(x, ranks)
    assert torch.autograd.gradcheck(loss, rows.clone().requires_grad_())
    (slope,) = torch.autograd.grad(loss(rows.requires_grad_()), rows)
    assert slope[2].eq(0).all(), "a prompt of ties teaches nothing"


def test_rankings_of_equals_only_are_refused():
    with pytest.raises(ValueError, match="ranks holds ties only: nobody said which reply is better"):
        reward_ranking_loss(scores(2, 3), torch.ones(2, 3))


@pytest.mark.parametrize("measure", [reward_ranking_loss, plackett_luce_loss, pair_accuracy, calibration])
@pytest.mark.parametrize("shape", [(3, 1), (4,)])
def test_one_reply_a_prompt_is_refused(measure, shape):
    with pytest.raises(ValueError, match=r"scores has shape .*: give \(prompts, K\) with K >= 2"):
        measure(torch.zeros(shape))


def test_for_two_replies_it_is_the_likelihood_of_plackett_and_luce():
    rows = scores(6, 2)
    torch.testing.assert_close(plackett_luce_loss(rows), reward_ranking_loss(rows))


def test_plackett_luce_is_a_distribution_over_orders():
    row = scores(1, 4)[0]
    total = 0.0
    for order in itertools.permutations(range(4)):
        worth = [math.exp(row[i]) for i in order]
        p = math.prod(worth[i] / sum(worth[i:]) for i in range(4))
        assert plackett_luce_loss(row[list(order)][None]).item() == pytest.approx(-math.log(p))
        total += p
    assert total == pytest.approx(1)
    both = scores(2, 4, seed=1)
    assert plackett_luce_loss(both).item() == pytest.approx(
        (plackett_luce_loss(both[:1]).item() + plackett_luce_loss(both[1:]).item()) / 2
    )


# --- measures ---------------------------------------------------------------------------------------------------------


def test_pair_accuracy_worked_by_hand():
    rows = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert pair_accuracy(rows).tolist() == pytest.approx([1, 0, 2 / 3, 2.5 / 3, 0.5])


def test_calibration_worked_by_hand():
    """Differences 1, 2, 3, -1, -2 and 0.5, by size: 0.5, 1, -1, 2, -2, 3."""
    rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.5, 0.0]])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))
    three = calibration(rows, bins=3)
    assert [n for _, _, n in three] == [2, 2, 2]
    assert [observed for _, observed, _ in three] == pytest.approx([1, 0.5, 0.5])
    predicted = [(sigmoid(0.5) + sigmoid(1)) / 2, (sigmoid(1) + sigmoid(2)) / 2, (sigmoid(2) + sigmoid(3)) / 2]
    assert [p for p, _, _ in three] == pytest.approx(predicted)
    assert calibration(rows, bins=1) == [(pytest.approx(sum(predicted) / 3), pytest.approx(4 / 6), 6)]
    assert sum(n for _, _, n in calibration(rows, bins=10)) == 6, "no bin is empty"


def test_equal_scores_predict_one_half_and_half_agree():
    assert calibration(torch.zeros(4, 3), bins=2) == [(0.5, 0.5, 6), (0.5, 0.5, 6)]
    assert pair_accuracy(torch.zeros(4, 3)).eq(0.5).all()


def test_the_true_scores_are_calibrated_and_bold_ones_are_not():
    rng = torch.Generator().manual_seed(0)
    true = torch.randn(4000, 3, generator=rng)
    gumbel = -(-torch.rand(4000, 3, generator=rng).log()).log()
    ranked = true.gather(1, (true + gumbel).argsort(1, descending=True))
    assert all(abs(predicted - observed) < 0.04 for predicted, observed, _ in calibration(ranked))
    assert all(predicted - observed > 0.1 for predicted, observed, _ in calibration(ranked * 5)[2:4])


# --- training ---------------------------------------------------------------------------------------------------------


def rankings(n, seed, K=4):
    """The more often token 5 stands in a reply, the better; counts differ within a prompt."""
    rng = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(n):
        prompt = torch.randint(1, 5, (3,), generator=rng).tolist()
        replies = []
        for fives in range(K - 1, -1, -1):
            reply = torch.randint(6, 11, (5,), generator=rng)
            reply[torch.randperm(5, generator=rng)[:fives]] = 5
            replies.append(
                reply.tolist()[: 4 + int(torch.randint(2, (1,), generator=rng))] if fives < 3 else reply.tolist()
            )
        made.append((prompt, replies))
    return made


def test_ranking_batches_keep_the_replies_of_a_prompt_together_and_in_order():
    several = [([i], [[i, 5], [i]]) for i in range(1, 6)]
    batches = ranking_batches(several, END, prompts_per_batch=2, epochs=2, seed=3)
    assert [batch["prompts"] for batch in batches] == [2, 2, 1] * 2
    epochs = []
    for part in (batches[:3], batches[3:]):
        rows = [ids[real].tolist() for batch in part for ids, real in zip(batch["ids"], batch["pad_mask"])]
        assert all(better == [i, i, 5, END] and worse == [i, i, END]
                   for better, worse in zip(rows[::2], rows[1::2]) for i in better[:1])  # fmt: skip
        assert sorted(row[0] for row in rows[::2]) == [1, 2, 3, 4, 5]
        epochs.append(rows)
    assert epochs[0] != epochs[1], "a new order each epoch"
    again = ranking_batches(several, END, 2, 2, seed=3)
    assert all(torch.equal(a["ids"], b["ids"]) for a, b in zip(batches, again, strict=True))
    for uneven in ([([1], [[2], [3]]), ([1], [[2], [3], [4]])], [([1], [[2]])], []):
        with pytest.raises(ValueError, match=r"rankings have K in .*: batch those of one K >= 2 together"):
            ranking_batches(uneven, END, 2)


def test_the_loss_for_the_trainer_is_the_sum_over_prompts(make_judge):
    judge = make_judge()
    several = rankings(5, seed=0)
    total = count = 0
    for batch in ranking_batches(several, END, 2):
        loss, n = ranking_loss(judge, batch)
        total, count = total + loss, count + n
    rows = torch.stack([judge.score([prompt] * 4, replies, END) for prompt, replies in several])
    assert count == 5
    torch.testing.assert_close(total / count, reward_ranking_loss(rows), atol=1e-5, rtol=1e-5)


def test_a_reward_model_learns_what_is_preferred(make_model):
    judge = RewardModel(make_model(scale=2))
    batches = ranking_batches(rankings(96, seed=1), END, 12, epochs=5)
    held_out = rankings(60, seed=2)
    config = TrainConfig(steps=len(batches), lr=1e-2, warmup_steps=3, weight_decay=0.0, progress=False)
    history = Trainer(judge, config, batches, loss=ranking_loss).run()
    assert history.train_loss[0] == pytest.approx(math.log(2), abs=1e-4), "a head of zeros knows nothing"
    rows = torch.stack([judge.score([prompt] * 4, replies, END) for prompt, replies in held_out])
    assert pair_accuracy(rows).mean() > 0.9
