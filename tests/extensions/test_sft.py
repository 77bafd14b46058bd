"""Fine-tuning on answers: masked losses and packed conversations, through the loop as it is."""

import torch
from torch.nn import functional as F

from llmlib.data import ShuffledExamples, pack_documents
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer, next_token_loss

ASK, ANSWER, END = 10, 11, 12


def conversations():
    """A number is asked for, and the next one is the answer: [ASK, n, ANSWER, n + 1, END]."""
    documents = [[ASK, n, ANSWER, (n + 1) % 10, END] for n in range(10)]
    return documents, [[False, False, False, True, True] for _ in documents]


def model(seed=0):
    torch.manual_seed(seed)
    return Transformer(ModelConfig(vocab_size=13, n_layers=2, d_model=32, n_heads=2, max_seq_len=16))


def config(**changes):
    return TrainConfig(
        **{**dict(steps=150, seq_len=16, lr=5e-3, weight_decay=0.0, warmup_steps=5, progress=False), **changes}
    )


def test_packing_and_a_mask_equal_one_conversation_after_the_other():
    documents, counted = conversations()
    packed = pack_documents(documents, seq_len=16, counted=counted)
    assert packed["ids"].shape == (4, 16)
    assert (packed["targets"] != -100).sum() == 20  # two tokens of each answer
    total, count = next_token_loss(model(), packed)
    alone = 0.0
    for ids in documents:
        logits = model()(torch.tensor([ids]))[0]
        alone += F.cross_entropy(logits[2:4], torch.tensor(ids[3:]), reduction="sum")
    assert count == 20
    torch.testing.assert_close(total, alone, atol=1e-4, rtol=0)


def test_the_default_loss_learns_from_packed_conversations():
    documents, counted = conversations()
    packed = pack_documents(documents, 16, counted)
    gpt = model()
    history = Trainer(gpt, config(), ShuffledExamples(packed, batch_size=2), evaluate=[packed]).run()
    assert history.val_loss[-1] < 0.05 < 1.0 < history.val_loss[0]
    for n in range(10):
        assert gpt(torch.tensor([[ASK, n, ANSWER]]))[0, -1].argmax() == (n + 1) % 10


def answers_only(model, batch):
    """A loss of one's own: answers of one or two tokens weigh the same."""
    logits = model(batch["ids"])[:, :-1]
    losses = F.cross_entropy(logits.transpose(1, 2), batch["ids"][:, 1:], reduction="none")
    weights = batch["mask"][:, 1:] / batch["mask"][:, 1:].sum(1, keepdim=True)
    return (losses * weights).sum(), len(weights)


def test_a_loss_of_ones_own_with_a_mask_accumulates_exactly():
    documents, counted = conversations()
    examples = dict(ids=torch.tensor(documents), mask=torch.tensor(counted).float())
    parts = [{name: rows[i : i + 5] for name, rows in examples.items()} for i in (0, 5)]
    in_parts, whole = model(), model()
    settings = dict(steps=3, warmup_steps=0)
    accumulated = Trainer(in_parts, config(accumulate=2, **settings), parts, loss=answers_only).run()
    at_once = Trainer(whole, config(**settings), [examples], loss=answers_only).run()
    torch.testing.assert_close(accumulated.train_loss, at_once.train_loss, atol=1e-5, rtol=0)
    for a, b in zip(in_parts.parameters(), whole.parameters()):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)
