"""Planted codes: all candidates scored as one by one, ranks by hand, and clear errors."""

import math

import pytest
import torch
from tiny_questions import BPE, BYTES, tiny_model

from llmlib.evaluate import (
    PlantedCode,
    candidate_logprobs,
    continuation_logprobs,
    digit_codes,
    encode_codes,
    rank_code,
)

MODEL = tiny_model()
PREFIX = "The code of the cat is"


@pytest.mark.parametrize("batch_size", [1, 7, 256])
@pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=["bytes", "BPE"])
def test_all_candidates_as_if_each_were_read_alone(tokenizer, batch_size):
    codes = encode_codes(tokenizer, digit_codes(2))
    prefix = tokenizer.encode(PREFIX)
    found = candidate_logprobs(MODEL, prefix, list(codes.values()), batch_size=batch_size)
    expected = continuation_logprobs(MODEL, [(prefix, list(codes.values()))])[0]
    torch.testing.assert_close(found, torch.stack([each.double().sum() for each in expected]), atol=1e-4, rtol=0)


def test_candidates_of_any_lengths_and_in_any_order():
    rows = [[5], [9, 9, 3], [5, 6], [9, 9, 4], [9, 7], [9, 9, 3, 8]]
    found = candidate_logprobs(MODEL, [1, 2, 3], rows, batch_size=2)
    for row, logprob in zip(rows, found):
        with torch.no_grad():
            logits = MODEL(torch.tensor([[1, 2, 3, *row]])).log_softmax(2)[0]
        alone = sum(float(logits[2 + i, token]) for i, token in enumerate(row))
        assert float(logprob) == pytest.approx(alone, abs=1e-4)


def test_the_rank_is_that_of_the_sorted_candidates():
    codes = encode_codes(BYTES, digit_codes(2))
    logprobs = candidate_logprobs(MODEL, BYTES.encode(PREFIX), list(codes.values()))
    order = [digit_codes(2)[i] for i in logprobs.argsort(descending=True)]
    for rank in (1, 50, 100):
        found = rank_code(MODEL, BYTES, PREFIX, order[rank - 1], codes)
        assert found.rank == rank and found.n_candidates == 100
        assert found.exposure == pytest.approx(math.log2(100 / rank))


def test_a_planted_code_is_learned_and_written():
    torch.manual_seed(0)
    model, codes = tiny_model(), encode_codes(BYTES, digit_codes(3))
    ids = torch.tensor([[0, *BYTES.encode(PREFIX + " 417.")]])
    before = rank_code(model, BYTES, PREFIX, "417", codes, start=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        logits = model(ids[:, :-1])
        torch.nn.functional.cross_entropy(logits[0], ids[0, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = rank_code(model, BYTES, PREFIX, "417", codes, start=0)
    assert (after.rank, after.extracted) == (1, True) and not before.extracted and before.rank > 1
    assert after.found_within(100) > 0.99 > before.found_within(100)
    assert rank_code(model, BYTES, PREFIX, "418", codes, start=0).extracted is False
    assert model.training == tiny_model().training


def test_equal_candidates_do_not_flatter_the_attack():
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # every token is as likely as any other
    found = rank_code(model, BYTES, PREFIX, "00", encode_codes(BYTES, digit_codes(2)))
    assert found.rank == 100 and found.exposure == 0


def test_the_chance_of_being_sampled():
    code = PlantedCode(3, 100, math.log(0.1), False)
    assert code.found_within(0) == 0 and code.found_within(2) == pytest.approx(1 - 0.9**2)
    assert PlantedCode(1, 100, 0.0, True).found_within(1) == pytest.approx(1)
    with pytest.raises(ValueError, match="samples=-1 must be 0 or more"):
        code.found_within(-1)


def test_clear_errors():
    codes = encode_codes(BYTES, digit_codes(2))
    with pytest.raises(ValueError, match="max_seq_len=256: shorten the canary's prefix"):
        rank_code(MODEL, BYTES, "x" * 254, "07", codes)
    with pytest.raises(ValueError, match="candidates is empty"):
        rank_code(MODEL, BYTES, PREFIX, "07", {})
    with pytest.raises(ValueError, match="candidates is empty"):
        candidate_logprobs(MODEL, [1], [])
    with pytest.raises(ValueError, match="codes is empty"):
        encode_codes(BYTES, [])
    with pytest.raises(ValueError, match="code='123' is not among the 100 candidates"):
        rank_code(MODEL, BYTES, PREFIX, "123", codes)
    with pytest.raises(ValueError, match=r"candidates\[1\] is empty"):
        candidate_logprobs(MODEL, [1], [[2], []])
    with pytest.raises(ValueError, match="holds 1 codes twice"):
        candidate_logprobs(MODEL, [1], [[2], [3], [2]])
    with pytest.raises(ValueError, match="prefix is empty"):
        rank_code(MODEL, BYTES, "", "07", codes)
    with pytest.raises(ValueError, match="digits=0 must lie between 1 and 6"):
        digit_codes(0)
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        candidate_logprobs(MODEL, [1], [[2]], batch_size=0)
    with pytest.raises(TypeError, match="pass a Transformer"):
        candidate_logprobs(torch.nn.Linear(2, 2), [1], [[2]])


def test_a_prefix_that_shares_a_token_with_the_code_is_refused():
    merged = next(piece for piece in map(lambda i: BPE.decode([i]), BPE.encode("a cat on the mat")) if len(piece) > 1)
    with pytest.raises(ValueError, match="share a token"):
        rank_code(MODEL, BPE, merged[0], merged[1:], encode_codes(BPE, [merged[1:], "x"], joint=""))
