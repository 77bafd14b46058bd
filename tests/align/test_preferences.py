"""Pairs of replies through the Trainer."""

import pytest
import torch

from llmlib.align import PreferenceLoss, Rollout, dpo_loss, preference_batches, reply_logprobs
from llmlib.train import TrainConfig, Trainer

from .conftest import weights

END = 7


def pairs(n=24, seed=0):
    """Chosen are long replies that begin with 5, rejected short ones with 6, some of them empty."""
    rng = torch.Generator().manual_seed(seed)
    draw = lambda length: torch.randint(8, 12, (length,), generator=rng).tolist()
    return [(draw(1 + i % 3), [5, *draw(i % 4)], [6] * (i % 2) + draw(i % 3)) for i in range(n)]


def logprob(model, prompt, reply):
    """Of a whole reply with its end token: a sum, one text at a time."""
    ids = torch.tensor([[*prompt, *reply, END]])
    logprobs = model(ids)[0].log_softmax(-1)
    return sum(logprobs[t - 1, ids[0, t]] for t in range(len(prompt), ids.shape[1]))


@pytest.mark.parametrize("options", [{}, dict(label_smoothing=0.1), dict(kind="ipo")])
def test_the_loss_is_dpo_of_sums_over_whole_replies(make_model, options):
    policy, reference, several = make_model(0, scale=3), make_model(1, scale=3), pairs(7)
    total = count = 0
    for batch in preference_batches(several, END, reference, pairs_per_batch=3):
        loss, n = PreferenceLoss(beta=0.3, **options)(policy, batch)
        total, count = total + loss, count + n
    columns = [[] for _ in range(4)]
    for prompt, chosen, rejected in several:
        for column, (model, reply) in zip(columns, [(m, r) for m in (policy, reference) for r in (chosen, rejected)]):
            column.append(logprob(model, prompt, reply))
    expected = dpo_loss(*map(torch.stack, columns), beta=0.3, **options)
    assert count == 7
    torch.testing.assert_close(total / count, expected, atol=1e-3, rtol=1e-4)


def test_batches_hold_every_pair_once_an_epoch_with_its_own_reference(make_model):
    reference, several = make_model(1, dropout=0.5).train(), pairs(7)
    batches = preference_batches(several, END, reference, pairs_per_batch=3, epochs=2, seed=1)
    assert reference.training
    reference.eval()
    assert [len(batch["ids"]) // 2 for batch in batches] == [3, 3, 1] * 2
    epochs = []
    for part in (batches[:3], batches[3:]):
        met = []
        for batch in part:
            n = len(batch["ids"]) // 2
            for row in range(n):
                texts = []
                for place in (row, n + row):
                    real, action = batch["pad_mask"][place], batch["reply_mask"][place]
                    prompt, reply = batch["ids"][place, real & ~action].tolist(), batch["ids"][place, action].tolist()
                    assert reply[-1] == END
                    alone = logprob(reference, prompt, reply[:-1]).item()
                    assert batch["reference"][place].item() == pytest.approx(alone, abs=1e-3)
                    texts.append((prompt, reply[:-1]))
                met.append((texts[0][0], texts[0][1], texts[1][1]))
        assert sorted(met) == sorted(several)
        epochs.append(met)
    assert epochs[0] != epochs[1], "a new order each epoch"
    again = preference_batches(several, END, reference, 3, 2, seed=1)
    assert all(torch.equal(a[name], b[name]) for a, b in zip(batches, again, strict=True) for name in a)


def test_the_reference_reads_each_pair_once(make_model):
    reference, read = make_model(), []
    reference.register_forward_pre_hook(lambda _, args: read.append(len(args[0])))
    assert len(preference_batches(pairs(8), END, reference, pairs_per_batch=4, epochs=5)) == 10
    assert sum(read) == 16


def test_training_raises_the_chosen_replies_over_the_rejected(make_model):
    policy, reference = make_model(scale=2), make_model(scale=2)
    several, before = pairs(), weights(reference)
    batches = preference_batches(several, END, reference, pairs_per_batch=8, epochs=8)
    config = TrainConfig(steps=len(batches), lr=1e-2, warmup_steps=2, weight_decay=0.0, progress=False)
    history = Trainer(policy, config, batches, loss=PreferenceLoss(beta=0.2)).run()
    assert history.train_loss[0] == pytest.approx(0.6931, abs=1e-3) and history.train_loss[-1] < 0.4
    assert torch.equal(weights(reference), before)
    margins = []
    for prompt, chosen, rejected in pairs(12, seed=1):
        rollout = Rollout.of([prompt] * 2, [[*chosen, END], [*rejected, END]], END)
        moved = (reply_logprobs(policy, rollout) - reply_logprobs(reference, rollout)).sum(1)
        margins.append((moved[0] - moved[1]).item())
    assert min(margins) > 0, "on pairs it has not seen, too"


def test_no_pairs_and_pairs_that_are_too_long(make_model):
    with pytest.raises(ValueError, match="pairs is empty"):
        preference_batches([], END, make_model(), 2)
    with pytest.raises(ValueError, match=r"max_seq_len 24\); shorten the input"):
        preference_batches([([1] * 20, [5, 5, 5], [6, 6, 6, 6])], END, make_model(), 2)
