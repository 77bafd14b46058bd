"""Lab 05's own oracles agree with the library, which the lab keeps away from its students."""


import pytest
import torch

from courseware.classroom.cases import Draw, lab05
from llmlib.data import restore_spans, unmask_tokens
from llmlib.model import ModelConfig, pool_hidden, prefix_mask
from llmlib.model.attention import Attention
from llmlib.model.context import AttentionContext

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "inputs", [lab05.an_encoder, lab05.a_decoder, lab05.a_prefix_decoder, lab05.pads_in_front], ids=lambda f: f.__name__
)
def test_the_masks_are_the_librarys(inputs, seed):
    family, real, prefix = inputs(Draw(seed))
    n = {"encoder": real.sum(1), "decoder": torch.zeros_like(prefix), "prefix": prefix}[family]
    T, rows = real.shape[1], []
    for each, count in zip(real, n):  # a text at a time, without its pads
        mask = torch.zeros(T, T, dtype=torch.bool)
        places = each.nonzero()[:, 0]
        mask[places[:, None], places] = prefix_mask(count[None], (1, len(places)))[0, 0]
        rows.append(mask)
    mask = lab05.pattern(family, real, prefix) & real[:, :, None]
    assert torch.equal(mask, torch.stack(rows))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_reaches_what_is_what_moves_it(seed):
    """By gradient, through a stack of layers with residual connections."""
    layers, _ = lab05.who_reaches_whom(Draw(seed))
    tokens = torch.rand(len(layers[0]), 3, dtype=torch.float64)
    moved = torch.autograd.functional.jacobian(lambda x: _stack(layers, x).sum(-1), tokens).abs().sum(-1) > 0
    assert torch.equal(lab05.reaches(layers), moved)
    assert lab05.honest(layers) == [i for i in range(len(tokens) - 1) if not moved[i, i + 1 :].any()]


def _stack(layers, x):
    for mask in layers:
        x = x + mask.double() @ x.sigmoid()
    return x


@pytest.mark.parametrize("seed", SEEDS)
def test_inputs_and_targets_rebuild_the_text(seed):
    ids, *rest = lab05.pieces_of_words(Draw(seed))
    made = lab05.corrupt(ids, *rest)
    assert torch.equal(unmask_tokens(made["inputs"], made["targets"]), ids)
    for inputs in (lab05.a_text_with_gaps, lab05.gaps_at_both_ends, lab05.nothing_taken):
        text, taken, sentinels = inputs(Draw(seed))
        both = lab05.spans(text, taken, sentinels)
        assert restore_spans(both["inputs"], both["targets"], sentinels) == text
        assert lab05.restore(both["inputs"], both["targets"], sentinels) == text
    written = lab05.written_badly(Draw(seed))
    assert lab05.restore(*written) == restore_spans(written[0], written[1][1:], written[2])


@pytest.mark.parametrize("seed", SEEDS)
def test_cross_attention_and_pooling_are_the_librarys(seed):
    x, states, real, weights, n_heads = lab05.a_longer_source(Draw(seed))
    part = Attention(ModelConfig(9, n_layers=1, d_model=x.shape[-1], n_heads=n_heads, position="none"))
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(part, f"{name}_proj").weight.copy_(weight.T)
    theirs = part(x, AttentionContext(source=states, mask=real[:, None, None]))
    torch.testing.assert_close(lab05.cross(x, states, real, weights, n_heads), theirs)
    for inputs in (lab05.the_mean, lab05.the_first, lab05.the_last, lab05.the_last_behind_pads):
        hidden, real, how = inputs(Draw(seed))
        torch.testing.assert_close(lab05.pool(hidden, real, how), pool_hidden(hidden, real, how))
