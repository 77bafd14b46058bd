"""Lab 09's own oracles agree with the library, which the lab keeps away from its students."""

import pytest
import torch

from courseware.classroom.cases import Draw, lab09
from llmlib import evaluate
from llmlib.data import modular_addition

SEEDS = range(4)


@pytest.mark.parametrize("inputs", [lab09.to_split, lab09.to_split_down, lab09.a_small_table])
def test_the_librarys_split_is_fair(inputs):
    p, fraction, seed = inputs(Draw(0))
    value = lab09.run_split(modular_addition, p, fraction, seed)
    assert lab09.is_fair(value, p, fraction, seed) is None


def test_a_split_of_ordered_pairs_is_not():
    pairs = torch.cartesian_prod(torch.arange(23), torch.arange(23))
    rows = torch.cat([pairs, pairs.sum(1, keepdim=True) % 23], 1)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    said = lab09.is_fair({"train": rows[:265], "test": rows[265:], "again": rows, "other": rows}, 23, 0.5, 0)
    assert "cannot tell them apart" in said


@pytest.mark.parametrize("p", [3, 5, 23, 59])
def test_the_basis_is_the_librarys(p):
    torch.testing.assert_close(lab09.basis(p).float(), evaluate.fourier_basis(p), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab09.a_table, lab09.unlike_waves, lab09.a_square_table, lab09.one_wave])
def test_key_frequencies_and_what_they_leave_are_the_librarys(inputs, seed):
    table, share = inputs(Draw(seed))
    found = lab09.key(table, share)
    assert found["frequencies"] == evaluate.key_frequencies(evaluate.frequency_power(table), share)
    library = evaluate.keep_frequencies(table, found["frequencies"])
    torch.testing.assert_close(found["kept"].float(), library, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("inputs", [lab09.some_codes, lab09.tied_codes, lab09.nothing_known, lab09.known_best])
def test_exposure_is_the_librarys_of_the_same_rank(inputs, seed):
    logprobs, planted = inputs(Draw(seed))
    total = logprobs.sum(1)
    rank = int((total >= total[planted]).sum())
    assert lab09.exposure(logprobs, planted) == pytest.approx(evaluate.exposure(rank, len(total)))


@pytest.mark.parametrize(("copies", "period"), [(2, 5), (3, 4)])
def test_the_score_of_an_induction_head_is_the_librarys(copies, period):
    from llmlib.model import ModelConfig, Transformer, record

    model = Transformer(ModelConfig(40, n_layers=2, d_model=16, n_heads=2, max_seq_len=32))
    model.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0)  # attention that is not even
    ids = evaluate.repeated_tokens(3, period, 40, copies=copies)
    with torch.no_grad(), record(model, "blocks.*.attention.weights") as seen:
        model(ids)
    ours = torch.stack([lab09.induction(seen[f"blocks.{i}.attention.weights"], period) for i in range(2)])
    torch.testing.assert_close(ours.float(), evaluate.induction_scores(model, ids, period), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "search",
    [lab09.every_window, lab09.as_far_as_it_goes, lab09.nothing_inside_another, lab09.longest_first, lab09.by_document],
    ids=lambda f: f.__name__,
)
def test_right_searches_cover_every_copy_and_nothing_else(search):
    draw = Draw(1)
    for _ in range(60):
        row = lambda: [draw.integer(0, 3) for _ in range(1 + draw.integer(0, 12))]
        text, training, k = row(), [row() for _ in range(1 + draw.integer(0, 3))], 1 + draw.integer(0, 4)
        assert lab09.a_search(text, training, k) is None
        found = search(text, training, k)
        stands = lambda piece, training=training: any(
            piece == doc[i : i + len(piece)] for doc in training for i in range(len(doc))
        )
        assert len(set(found)) == len(found)
        assert all(n >= k and s + n <= len(text) and stands(text[s : s + n]) for s, n in found)
        windows = {i for i in range(len(text) - k + 1) if stands(text[i : i + k])}
        assert windows == {i for s, n in found for i in range(s, s + n - k + 1)}
