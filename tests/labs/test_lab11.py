"""Lab 11's own oracles agree with the library, which the lab keeps away from its students."""

import random

import pytest
import torch

from courseware.classroom.cases import Draw, lab11
from llmlib.align import Example, chat_example, chat_prompt, end_of_turn, pack_examples, pad_examples, sft_loss
from llmlib.data import SupportDesk
from llmlib.hub import load_desk
from llmlib.model import ModelConfig, Transformer

SEEDS = range(4)


@pytest.fixture(scope="module")
def tokenizer():
    return load_desk()[1]


@pytest.fixture(scope="module")
def frame(tokenizer):
    start = tokenizer.special_tokens["<|im_start|>"]
    openings = {role: [start, *tokenizer.encode(f"{role}\n")] for role in ("system", "user", "assistant")}
    return {"open": openings, "end": end_of_turn(tokenizer), "after": tokenizer.encode("\n")}


def test_a_chat_is_the_librarys_token_by_token(tokenizer, frame):
    demonstrations = SupportDesk(0).demonstrations(20, random.Random(0))
    said = [("system", "be kind")]
    for request, reply in demonstrations:
        said += [("user", request.text), ("assistant", reply)]
    library = chat_example(tokenizer, [{"role": role, "content": text} for role, text in said])
    turns = [(role, tokenizer.encode(text)) for role, text in said]
    assert lab11.chat_tokens(turns, frame) == (library.ids, library.loss_mask)
    question = [("user", tokenizer.encode(demonstrations[0][0].text))]
    assert lab11.prompt(question, frame, 200) == chat_prompt(tokenizer, demonstrations[0][0].text)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab11.unequal_replies, lab11.first_tokens_marked])
def test_the_loss_is_the_librarys(inputs, seed):
    logits, ids, mask = inputs(Draw(seed))
    torch.testing.assert_close(lab11.reply_loss(logits, ids, mask), sft_loss(logits, ids, mask))


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_are_the_librarys(seed):
    examples, pad = lab11.padded_with_the_end(Draw(seed))
    library = pad_examples([Example(ids, mask) for ids, mask in examples], pad)
    ours = lab11.collate(examples, pad)
    assert all(torch.equal(ours[a].long(), library[b].long()) for a, b in (("ids", "ids"), ("targets", "targets"), ("real", "pad_mask")))  # fmt: skip
    examples, seq_len, pad = lab11.exactly_full(Draw(seed))
    library = pack_examples([Example(ids, mask) for ids, mask in examples], seq_len, pad)
    ours = lab11.pack(examples, seq_len, pad)
    assert all(torch.equal(ours[name], library[name]) for name in ("ids", "targets", "segments"))


def test_what_is_visible_and_where_it_stands_is_what_the_model_makes_of_segments():
    examples, seq_len, pad = lab11.several_rows(Draw(0))
    batch = lab11.pack(examples, seq_len, pad)
    torch.manual_seed(0)
    model = Transformer(ModelConfig(60, n_layers=1, d_model=16, n_heads=2, max_seq_len=32, position="learned")).eval()
    real = batch["segments"] >= 0
    with torch.no_grad():
        h = model.hidden(batch["ids"], segments=batch["segments"])
        same = model.hidden(batch["ids"], segments=batch["segments"], positions=batch["positions"])
        torch.testing.assert_close(h[real], same[real])
        for r in range(len(h)):
            for j in real[r].nonzero().flatten().tolist():
                changed = batch["ids"].clone()
                changed[r, j] = 59
                moved = (model.hidden(changed, segments=batch["segments"])[r] - h[r]).abs().amax(-1) > 1e-6
                assert torch.equal(moved & real[r], batch["visible"][r, :, j].bool() & real[r])


def test_one_purchase_alone_keeps_the_budgets_and_reaches_the_goal():
    question = lab11.LAB.question("lab11.q7")
    every = [{"n": n, "good": g, "replay": r} for n in lab11.NUMBERS for g in lab11.SHARES for r in lab11.REPLAYS]
    kept = [p for p in every if all(budget.cost(p) <= budget.limit for budget in question.budgets)]
    assert [p for p in kept if question.score.reached(question.score.of(p))] == [{"n": 80, "good": 1.0, "replay": 0.25}]
