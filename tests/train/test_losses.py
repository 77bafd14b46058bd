import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmlib.data import pack_documents
from llmlib.train import TrainConfig, Trainer, accumulate_gradients, mean_cross_entropy, next_token_loss, token_loss


def test_the_forms_of_a_batch_agree(tokens, make_model):
    model, ids = make_model(), tokens[:24].view(3, 8)
    expected = token_loss(model(ids)[:, :-1], ids[:, 1:])
    targets = F.pad(ids[:, 1:], (0, 1), value=-100)
    for batch in (ids, (ids, targets), [ids, targets], dict(ids=ids), dict(ids=ids, targets=targets)):
        total, count = next_token_loss(model, batch)
        assert count == 21
        torch.testing.assert_close(total, expected)


def test_documents_and_padding_reach_the_model_and_the_targets(tokens, make_model):
    model = make_model()
    documents = [tokens[:5].tolist(), tokens[10:13].tolist(), tokens[20:24].tolist()]
    packed = pack_documents(documents, seq_len=8)
    alone = sum(next_token_loss(model, torch.tensor([ids]))[0] for ids in documents)
    for batch in (packed, dict(ids=packed["ids"], segments=packed["segments"])):
        total, count = next_token_loss(model, batch)
        assert count == 4 + 2 + 3
        torch.testing.assert_close(total, alone, atol=1e-5, rtol=0)
    right = dict(ids=packed["ids"][1:], pad_mask=packed["segments"][1:] >= 0)
    left = {name: rows.roll(4, dims=1) for name, rows in right.items()}
    for batch in (right, left):
        total, count = next_token_loss(model, batch)
        assert count == 3
        torch.testing.assert_close(total, next_token_loss(model, torch.tensor([documents[2]]))[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (dict(x=torch.zeros(1, 2)), "unknown 'x'"),
        ({}, "no 'ids'"),
        (dict(ids=torch.zeros(1, 2), mask=torch.zeros(1, 2)), "unknown 'mask'.*pass another loss="),
        ("text", "batch is a str"),
        ((torch.zeros(1, 2),) * 3, "batch is a tuple"),
    ],
)
def test_other_batches_are_refused(make_model, batch, message):
    with pytest.raises(ValueError, match=message):
        next_token_loss(make_model(), batch)


def test_a_model_that_sees_the_future_is_refused(tokens, make_model):
    reader = make_model(causal=False)
    with pytest.raises(ValueError, match="causal=False: next_token_loss would show it the answers"):
        next_token_loss(reader, tokens[None, :8])
    with pytest.raises(ValueError, match="causal=False"):
        Trainer(reader, TrainConfig(steps=1, seq_len=8), tokens)

    def fill_in(model, batch):  # the same model may learn to fill in a hidden token
        x, _ = batch
        return token_loss(model(x.clone().index_fill(1, torch.tensor([3]), 0))[:, 3:4], x[:, 3:4]), len(x)

    settings = TrainConfig(steps=2, seq_len=8, progress=False)
    assert len(Trainer(reader, settings, tokens, loss=fill_in).run().train_loss) == 2


def test_no_target_at_all_is_an_error_and_never_nan(tokens, make_model):
    model, x = make_model(), tokens[:16].view(2, 8)
    nothing = torch.full_like(x, -100)
    with pytest.raises(ValueError, match="the batch holds no target"):
        accumulate_gradients(model, [(x, nothing)])
    before = [p.clone() for p in model.parameters()]
    trainer = Trainer(model, TrainConfig(steps=1, seq_len=8, progress=False), [(x, nothing)])
    with pytest.raises(ValueError, match="the batch holds no target"):
        trainer.train_step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    with pytest.raises(ValueError, match="evaluate holds no batch with a target"):
        Trainer(model, TrainConfig(steps=1, seq_len=8), tokens, evaluate=[(x, nothing)]).evaluate()
    model.zero_grad()
    one_empty_part = accumulate_gradients(model, [(x, nothing), (x, x)])  # an empty part among others does no harm
    assert one_empty_part == pytest.approx(token_loss(model(x), x).item() / 16)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_mean_cross_entropy():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([[1, 2, -100], [-100, 4, 0]])
    torch.testing.assert_close(mean_cross_entropy(logits, targets), token_loss(logits, targets) / 4)
    torch.testing.assert_close(mean_cross_entropy(logits[0, 0], targets[0, 0]), -logits[0, 0].log_softmax(-1)[1])
    with pytest.raises(ValueError, match="no target"):
        mean_cross_entropy(logits, torch.full_like(targets, -100))
    with pytest.raises(ValueError, match="targets has shape"):
        mean_cross_entropy(logits, targets[:1])


def test_evaluation_by_batches_by_function_and_by_tokens(tokens, make_model):
    model = make_model()
    model.eval()
    settings, split = TrainConfig(steps=1, seq_len=8, progress=False), tokens[:33]
    x, y = split[:32].view(4, 8), split[1:].view(4, 8)
    of_tokens = Trainer(model, settings, tokens, evaluate=split).evaluate()
    assert Trainer(model, settings, tokens, evaluate=[(x, y)]).evaluate() == pytest.approx(of_tokens)
    in_parts = [(x[:1], y[:1]), (x[1:], y[1:])]
    assert Trainer(model, settings, tokens, evaluate=in_parts).evaluate() == pytest.approx(of_tokens)
    assert Trainer(model, settings, tokens, evaluate=lambda model: 2.5).evaluate() == 2.5


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen, self.learning = nn.Dropout(), nn.Embedding(7, 7)

    def forward(self, ids):
        return self.frozen(self.learning(ids))


def test_every_part_gets_back_the_mode_it_was_in(tokens):
    model = Parts()
    model.frozen.eval()
    settings = TrainConfig(steps=1, seq_len=8, progress=False)

    def broken(model):
        raise RuntimeError("broken")

    Trainer(model, settings, tokens, evaluate=tokens).evaluate()
    assert [m.training for m in model.modules()] == [True, False, True]
    from llmlib.train import evaluation_mode

    with pytest.raises(RuntimeError), evaluation_mode(model):
        assert not model.training
        raise RuntimeError
    assert [m.training for m in model.modules()] == [True, False, True]


class Asking(nn.Module):
    """Asks for half a nat more, times its weight."""

    def __init__(self):
        super().__init__()
        self.table, self.weight = nn.Embedding(7, 7), nn.Parameter(torch.ones(()))

    def forward(self, ids):
        self.auxiliary_loss = 0.5 * self.weight
        return self.table(ids)


def test_auxiliary_losses_count_once_per_target_and_in_training_only(tokens):
    model, x = Asking(), tokens[:16].view(2, 8)
    plain = token_loss(model(x)[:, :-1], x[:, 1:]).item() / 14
    assert accumulate_gradients(model, [x[:1], x[1:]]) == pytest.approx(plain + 0.5)
    assert model.weight.grad.item() == pytest.approx(0.5)
    held_out = Trainer(model, TrainConfig(steps=1, seq_len=8), tokens, evaluate=[x]).evaluate()
    assert held_out == pytest.approx(plain)


def test_counts_may_be_fractions(tokens, make_model):
    """A loss may weigh its targets; the mean is over the weights, however small."""
    weighted = lambda model, x: tuple(0.01 * part for part in next_token_loss(model, x))
    model, x = make_model(), tokens[:8].view(1, 8)
    plain = accumulate_gradients(model, [x])
    expected = [p.grad.clone() for p in model.parameters()]
    for parts in ([x], [x, x]):
        model.zero_grad()
        assert accumulate_gradients(model, parts, weighted) == pytest.approx(plain)
        for p, gradient in zip(model.parameters(), expected):
            torch.testing.assert_close(p.grad, gradient)
