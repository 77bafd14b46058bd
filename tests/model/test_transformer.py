"""What must hold for every model the Transformer expresses."""

import pytest
import torch
import torch.nn.functional as F
from model_families import FAMILIES, VOCAB, build, encoder_config, small_config, tokens

from llmlib.model import EncoderConfig, KVCache, Transformer, preset

CLOSE = 1e-5


@torch.no_grad()
def test_shapes_and_the_two_halves(model):
    ids = tokens(2, 9)
    h = model.hidden(ids)
    assert h.shape == (2, 9, 32)
    assert torch.equal(model.head(h), model(ids))
    assert model(ids).shape == (2, 9, VOCAB)


@torch.no_grad()
@pytest.mark.parametrize("changed", [4, 8])
def test_no_token_sees_a_later_one(model, changed):
    ids = tokens(2, 12)
    other = ids.clone()
    other[:, changed] = (ids[:, changed] + 1) % VOCAB
    difference = (model(ids) - model(other)).abs().amax(-1)
    assert difference[:, :changed].max() == 0
    assert difference[:, changed:].min() > 0


@torch.no_grad()
def test_an_encoder_sees_both_ways():
    model = build(encoder_config())
    ids = tokens(1, 8)
    other = ids.clone()
    other[0, -1] = (ids[0, -1] + 1) % VOCAB
    assert (model(ids) - model(other)).abs().amax(-1).min() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_plain_attention_equals_the_kernel(family):
    fast, plain = build(small_config(family)), build(small_config(family, attention="plain"))
    plain.load_state_dict(fast.state_dict())
    ids, pad_mask = tokens(3, 11), torch.ones(3, 11, dtype=torch.bool)
    assert (fast(ids) - plain(ids)).abs().max() <= CLOSE
    pad_mask[0, :4] = False
    pad_mask[1, 7:] = False
    assert (fast(ids, pad_mask=pad_mask) - plain(ids, pad_mask=pad_mask)).abs().max() <= CLOSE
    assert (fast(ids[:, :1]) - plain(ids[:, :1])).abs().max() <= CLOSE


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_changes_nothing_for_the_real_tokens(model, side):
    ids = tokens(1, 6)
    left, right = {"left": (5, 0), "right": (0, 5), "both": (2, 3)}[side]
    pad_mask = F.pad(torch.ones(1, 6, dtype=torch.bool), (left, right))
    for filler in (0, 7):
        padded = F.pad(ids, (left, right), value=filler)
        logits = model(padded, pad_mask=pad_mask)
        assert logits.isfinite().all()
        assert (logits[pad_mask] - model(ids)[0]).abs().max() <= CLOSE


@torch.no_grad()
def test_padding_changes_nothing_for_an_encoder():
    model = build(encoder_config())
    ids, pad_mask = tokens(1, 6), F.pad(torch.ones(1, 6, dtype=torch.bool), (2, 3))
    logits = model(F.pad(ids, (2, 3)), pad_mask=pad_mask)
    assert (logits[pad_mask] - model(ids)[0]).abs().max() <= CLOSE


@torch.no_grad()
def test_a_row_of_nothing_but_padding_stays_finite(model):
    pad_mask = torch.tensor([[True] * 5, [False] * 5])
    assert model(tokens(2, 5), pad_mask=pad_mask).isfinite().all()


@torch.no_grad()
def test_packed_documents_do_not_see_each_other(model):
    parts = [tokens(1, n, seed=n) for n in (4, 1, 7)]
    packed = F.pad(torch.cat(parts, 1), (1, 2))
    segments = torch.tensor([[9, *[0] * 4, 3, *[1] * 7, 9, 9]])
    pad_mask = segments < 9
    alone = torch.cat([model(part)[0] for part in parts])
    assert (model(packed, segments=segments, pad_mask=pad_mask)[0, 1:-2] - alone).abs().max() <= CLOSE
    assert (model(packed, segments=segments.where(pad_mask, -5))[0, 1:-2] - alone).abs().max() <= CLOSE
    if model.config.position != "none":
        running = torch.arange(packed.shape[1])
        moved = model(packed, segments=segments, pad_mask=pad_mask, positions=running)[0, 1:-2]
        # RoPE knows differences of positions only, so a document moved as a whole computes the same.
        same = model.config.position == "rope"
        assert ((moved - alone).abs().max() <= CLOSE) == same


@torch.no_grad()
def test_documents_may_interleave(model):
    ids, segments = tokens(1, 10), torch.tensor([[0, 1, 0, 0, 1, 1, 0, 1, 0, 1]])
    together = model(ids, segments=segments)
    for document in (0, 1):
        mine = segments[0] == document
        assert (together[:, mine] - model(ids[:, mine])).abs().max() <= CLOSE


@torch.no_grad()
def test_default_positions_can_be_spelled_out(model):
    ids = tokens(2, 8)
    assert (model(ids, positions=torch.arange(8)) - model(ids)).abs().max() <= CLOSE
    assert (model(ids, positions=torch.arange(8).expand(2, 8)) - model(ids)).abs().max() <= CLOSE
    if model.config.position in ("learned", "sinusoidal"):
        assert (model(ids, positions=torch.arange(8) + 3) - model(ids)).abs().max() > 1e-3


@torch.no_grad()
def test_rope_sees_differences_of_positions_only():
    for family in ("llama", "llama_interleaved"):
        model, ids = build(small_config(family)), tokens(1, 8)
        assert (model(ids, positions=torch.arange(8) + 30) - model(ids)).abs().max() <= 1e-4
        assert (model(ids, positions=torch.arange(8) * 2) - model(ids)).abs().max() > 1e-3


@torch.no_grad()
def test_embeds_take_the_place_of_ids(model):
    ids = tokens(2, 5)
    assert torch.equal(model.hidden(embeds=model.token_embedding(ids)), model.hidden(ids))


def test_a_tied_head_is_one_matrix():
    tied, untied = Transformer(small_config()), Transformer(small_config(tie_embeddings=False))
    assert untied.num_parameters() - tied.num_parameters() == VOCAB * 32
    assert "lm_head.weight" not in tied.state_dict()
    tied(tokens(1, 3)).sum().backward()
    assert (tied.token_embedding.weight.grad.abs().sum(1) > 0).all()  # rows no input used learn through the head


@torch.no_grad()
def test_initialisation_follows_its_description():
    torch.manual_seed(0)
    model = Transformer(small_config("gpt2", d_model=128, vocab_size=500))
    block = model.blocks[1]
    assert block.mlp.up_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.token_embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.mlp.down_proj.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.05)
    assert block.attention.o_proj.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.05)
    assert (block.norm1.weight == 1).all() and (block.norm1.bias == 0).all() and (block.mlp.up_proj.bias == 0).all()
    post = Transformer(small_config("gpt1", d_model=128))
    assert post.blocks[0].mlp.down_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)


@torch.no_grad()
def test_init_weights_repeats_with_a_generator():
    model, twin = Transformer(small_config()), Transformer(small_config())
    for each in (model, twin):
        each.init_weights(torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


@torch.no_grad()
def test_zero_init_residual_makes_every_block_the_identity():
    model = Transformer(small_config("shakespeare", zero_init_residual=True))
    ids = tokens(1, 6)
    embedded = model.token_embedding(ids)
    assert torch.equal(model.hidden(ids), model.final_norm(embedded))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_learns(family):
    model = build(small_config(family)).train()
    F.cross_entropy(model(tokens(2, 9)).flatten(0, 1), tokens(2, 9, seed=5).flatten()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_dropout_acts_in_training_only():
    model = build(small_config(dropout=0.5))
    ids = tokens(1, 8)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


@torch.no_grad()
def test_tables_keep_their_precision_through_bfloat16():
    model, ids = build(small_config()), tokens(1, 30)
    table = model.position_table.table.clone()
    assert model.bfloat16()(ids).dtype == torch.bfloat16
    assert torch.equal(model.float().position_table.table, table)
    assert "position_table.table" not in model.state_dict()


@torch.no_grad()
def test_autocast_to_bfloat16(model):
    ids, cache = tokens(2, 9), KVCache(model.config, batch_size=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(ids)
        cached = torch.cat([model(ids[:, :5], cache=cache), model(ids[:, 5:6], cache=cache)], 1)
    scale = model(ids).std()
    assert 0 < (logits - model(ids)).abs().max() < 0.3 * scale
    assert (cached - model(ids[:, :6])).abs().max() < 0.3 * scale


@torch.no_grad()
def test_a_model_built_on_the_meta_device_can_be_materialised():
    with torch.device("meta"):
        model = Transformer(small_config())
    expected = build(small_config())
    model.to_empty(device="cpu").load_state_dict(expected.state_dict())
    assert torch.equal(model(tokens(1, 7)), expected(tokens(1, 7)))


def test_state_dict_round_trip(model):
    copy = Transformer(model.config).eval()
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy(tokens(1, 5)), model(tokens(1, 5)))


def fails(match, call, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)


def test_ids_outside_the_vocabulary(model):
    fails(r"ids holds 61, outside 0..60 \(vocab_size 61\); encode with", model, torch.tensor([[1, 61]]))
    fails("ids holds -1", model, torch.tensor([[-1, 3]]))


def test_context_overflow(model):
    assert model(tokens(1, 40)).shape[1] == 40
    fails("context overflow: 41 tokens > max_seq_len 40; shorten", model, tokens(1, 41))
    fails("positions holds 40, outside 0..39", model, tokens(1, 2), positions=torch.tensor([0, 40]))
    fails("positions holds 40", model, tokens(1, 41), pad_mask=torch.ones(1, 41, dtype=torch.bool))
    for n_padding in (10, 47):  # only real tokens count, however many columns there are
        pad_mask = torch.arange(50)[None] >= n_padding
        assert model(tokens(1, 50), pad_mask=pad_mask).shape[1] == 50


def test_wrong_shapes(model):
    fails(r"ids has shape \(3,\); give \(B, T\)", model, tokens(3))
    fails("ids has shape", model, torch.empty(1, 0, dtype=torch.long))
    fails("either ids or embeds", model)
    fails("either ids or embeds", model, tokens(1, 2), embeds=torch.zeros(1, 2, 32))
    fails(r"embeds has shape \(1, 2, 31\); give \(B, T, 32\)", model, embeds=torch.zeros(1, 2, 31))
    fails(r"pad_mask has shape \(2,\)", model, tokens(1, 2), pad_mask=torch.ones(2, dtype=torch.bool))
    fails("pad_mask has dtype torch.int64; give bool", model, tokens(1, 2), pad_mask=torch.ones(1, 2).long())
    fails(r"segments has shape \(1, 3\)", model, tokens(1, 2), segments=torch.zeros(1, 3).long())
    fails(r"positions has shape \(3,\); give \(2,\) or \(1, 2\)", model, tokens(1, 2), positions=torch.arange(3))


def test_token_types_and_pooler_need_an_encoder(model):
    fails("without type embeddings", model, tokens(1, 2), token_types=torch.zeros(1, 2).long())
    fails("no pooler", model.pool, torch.zeros(1, 2, 32))
    encoder = build(encoder_config(encoder=EncoderConfig(n_token_types=2)))
    fails("token_types holds 2, outside 0..1", encoder, tokens(1, 2), token_types=torch.tensor([[0, 2]]))
    fails(r"token_types has shape \(1, 3\)", encoder, tokens(1, 2), token_types=torch.zeros(1, 3).long())


@torch.no_grad()
def test_the_course_presets_run():
    for name in ("nanogpt-cpu", "shakespeare-cpu"):
        config = preset(name)
        assert Transformer(config)(tokens(1, 8)).shape == (1, 8, config.vocab_size)
