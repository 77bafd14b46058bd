"""The encoder-decoder, the prefix LM and their masks: who can influence whom, and the same with a cache as without."""

import pytest
import torch

from llmlib.infer import generate_from
from llmlib.model import (
    Decoder,
    DecoderCache,
    EncoderDecoder,
    EncoderDecoderConfig,
    KVCache,
    ModelConfig,
    RelativePositions,
    Transformer,
    distance_buckets,
    prefix_mask,
    t5_config,
    use_relative_positions,
)

SMALL = ModelConfig(vocab_size=31, n_layers=2, d_model=32, n_heads=4, max_seq_len=24)
SHAPES = {
    "rope": EncoderDecoderConfig(SMALL),
    "first": EncoderDecoderConfig(
        SMALL.replace(
            norm="layernorm", norm_position="post", mlp="relu", d_ff=None, position="sinusoidal", bias=True,
        ),
        n_encoder_layers=3,
    ),
    "t5": EncoderDecoderConfig(SMALL.replace(mlp="relu", d_ff=None, position="none"), relative=(8, 20)),
}  # fmt: skip


def built(shape: str) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(SHAPES[shape]).eval()


def some_ids(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(31, shape, generator=torch.Generator().manual_seed(seed))


def influence(run, embeds: torch.Tensor) -> torch.Tensor:
    """(T_out, T_in) bool: whether output i changes at all with input j, by gradient."""
    embeds = embeds.clone().requires_grad_()
    out = run(embeds)
    rows = []
    for i in range(out.shape[1]):
        (gradient,) = torch.autograd.grad(out[0, i].square().sum(), embeds, retain_graph=True)
        rows.append(gradient[0].abs().sum(-1) > 0)
    return torch.stack(rows)


class TestInfluence:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_an_encoder_sees_all_a_decoder_what_came_before_and_all_of_the_source(self, shape):
        model = built(shape)
        states, ids = model.encode(some_ids(1, 5)), some_ids(1, 6, seed=1)
        assert influence(lambda e: model.encoder.hidden(embeds=e), torch.randn(1, 5, 32)).all()
        own = influence(lambda e: model.decoder.hidden(embeds=e, source=states), torch.randn(1, 6, 32))
        assert torch.equal(own, torch.ones(6, 6).tril().bool())
        assert influence(lambda e: model.hidden(ids, source=e), states.detach()).all()

    def test_padding_of_the_source_is_not_read(self):
        model = built("rope")
        real = torch.tensor([[True, True, True, False, False]])
        read = influence(lambda e: model.hidden(some_ids(1, 4), source=e, source_mask=real), torch.randn(1, 5, 32))
        assert torch.equal(read, real.expand(4, 5))

    def test_a_prefix_is_read_both_ways(self):
        model = Decoder(SMALL).eval()
        seen = influence(lambda e: model.hidden(embeds=e, prefix=torch.tensor([3])), torch.randn(1, 6, 32))
        expected = torch.ones(6, 6).tril().bool()
        expected[:, :3] = True
        assert torch.equal(seen, expected)
        assert torch.equal(prefix_mask(torch.tensor([3]), (1, 6))[0, 0], expected)

    def test_relative_positions_keep_a_causal_model_causal(self):
        model = Transformer(SMALL.replace(position="none"))
        use_relative_positions(model, 8, 20)
        seen = influence(lambda e: model.hidden(embeds=e), torch.randn(1, 6, 32))
        assert torch.equal(seen, torch.ones(6, 6).tril().bool())


class TestCache:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_token_by_token_is_the_same_as_at_once(self, shape):
        model = built(shape)
        source, ids = some_ids(3, 7), some_ids(3, 6, seed=1)
        real = torch.arange(7) < torch.tensor([[7], [4], [1]])
        whole = model(source, ids, source_mask=real)
        states, cache = model.encode(source, real), DecoderCache(model.config, 3)
        with torch.no_grad():
            parts = [
                model.hidden(part, source=states, source_mask=real, cache=cache) for part in ids.split([2, 1, 3], dim=1)
            ]
        assert torch.allclose(model.head(torch.cat(parts, 1)), whole, atol=1e-5)

    def test_rows_go_on_with_their_own_source(self):
        model = built("rope")
        source, ids = some_ids(3, 7), some_ids(3, 4, seed=1)
        states, cache = model.encode(source), DecoderCache(model.config, 3)
        with torch.no_grad():
            model.hidden(ids[:, :3], source=states, cache=cache)
            cache.select([2, 0])
            rest = model.hidden(ids[[2, 0], 3:], source=states[[2, 0]], cache=cache)
        assert torch.allclose(model.head(rest), model(source, ids)[[2, 0], 3:], atol=1e-5)

    def test_reset_forgets_the_source(self):
        model = built("rope")
        cache = DecoderCache(model.config, 1)
        with torch.no_grad():
            model.hidden(some_ids(1, 3), source=model.encode(some_ids(1, 5)), cache=cache)
            cache.reset()
            other, ids = some_ids(1, 6, seed=5), some_ids(1, 3)
            again = model.hidden(ids, source=model.encode(other), cache=cache)
        assert torch.allclose(model.head(again), model(other, ids), atol=1e-5)

    def test_a_prefix_read_first_then_single_tokens(self):
        model = Decoder(SMALL).eval()
        ids, prefix = some_ids(1, 8), torch.tensor([5])
        whole = model(ids, prefix=prefix)
        cache = KVCache(SMALL)
        with torch.no_grad():
            first = model.hidden(ids[:, :5], prefix=prefix, cache=cache)
            rest = [model.hidden(ids[:, i : i + 1], cache=cache) for i in range(5, 8)]
        assert torch.allclose(model.head(torch.cat([first, *rest], 1)), whole, atol=1e-5)

    def test_padding_before_or_after_a_prefix_changes_nothing(self):
        model = Decoder(SMALL).eval()
        ids, prefix = some_ids(1, 6), torch.tensor([4])
        alone = model(ids, prefix=prefix)
        for padded, real in (
            (torch.cat([ids, ids[:, :2]], 1), torch.tensor([[True] * 6 + [False] * 2])),
            (torch.cat([ids[:, :2], ids], 1), torch.tensor([[False] * 2 + [True] * 6])),
        ):
            assert torch.allclose(model(padded, prefix=prefix, pad_mask=real)[real][None], alone, atol=1e-5)

    def test_a_decoder_without_a_prefix_is_a_transformer(self):
        torch.manual_seed(0)
        plain = Transformer(SMALL).eval()
        model = Decoder(SMALL).eval()
        model.load_state_dict(plain.state_dict())
        ids = some_ids(2, 9)
        assert torch.equal(model(ids), plain(ids))
        assert torch.allclose(model(ids, prefix=torch.zeros(2, dtype=torch.long)), plain(ids), atol=1e-5)


class TestWriting:
    def test_a_batch_writes_what_each_source_alone_does(self):
        model = built("rope")
        sources = [some_ids(n, seed=n).tolist() for n in (5, 1, 9, 3)]
        told = dict(start=1, stop=2, max_new_tokens=8)
        together = generate_from(model, sources, **told)
        assert together == [generate_from(model, [source], **told)[0] for source in sources]
        assert any(together) and all(2 not in text and len(text) <= 8 for text in together)

    def test_it_follows_the_most_likely_token(self):
        model = built("t5")
        source, text = some_ids(1, 5), [1]
        for _ in range(6):
            text.append(int(model(source, torch.tensor([text]))[0, -1].argmax()))
        assert generate_from(model, source.tolist(), start=1, stop=-1, max_new_tokens=6)[0] == text[1:]

    @pytest.mark.parametrize(
        ("sources", "said"), [([[]], "is empty"), ([[1] * 25], "more than max_seq_len"), ([1, 2], "list of lists")]
    )
    def test_bad_sources_are_refused(self, sources, said):
        with pytest.raises((ValueError, TypeError), match=said):
            generate_from(built("rope"), sources, start=1, stop=2)


class TestShapes:
    def test_tables_are_shared_and_counted_once(self):
        model = built("t5")
        assert model.encoder.token_embedding is model.decoder.token_embedding
        assert model.num_parameters() == sum(p.numel() for p in set(model.parameters()))
        assert model.num_parameters() - model.num_parameters(non_embedding=True) == 31 * 32

    def test_published_sizes(self):
        # transformers' T5ForConditionalGeneration of these configs, counted on the meta device
        with torch.device("meta"):
            counted = {name: EncoderDecoder(t5_config(name)).num_parameters() for name in ("t5-small", "t5-base")}
        assert counted == {"t5-small": 60_506_624, "t5-base": 222_903_552}
        with pytest.raises(ValueError, match="t5-11b"):
            t5_config("t5")

    def test_saved_weights_come_back(self):
        model, other = built("t5"), EncoderDecoder(SHAPES["t5"])
        other.load_state_dict(model.state_dict())
        source, ids = some_ids(1, 4), some_ids(1, 3)
        assert torch.equal(other.eval()(source, ids), model(source, ids))

    def test_buckets_are_exact_near_by_and_coarse_far_away(self):
        near = distance_buckets(torch.arange(-7, 1), 32, 128).tolist()
        assert near == [7, 6, 5, 4, 3, 2, 1, 0]
        assert distance_buckets(torch.tensor([-128, -500, 128, 3]), 32, 128).tolist() == [15, 15, 31, 19]
        assert distance_buckets(torch.tensor([5, 0, -1, -40]), 32, 128, both_ways=False).tolist() == [0, 0, 1, 23]
        table = RelativePositions(n_heads=2, n_buckets=8, max_distance=20)
        assert torch.equal(table(2, 5), table(5, 5)[:, 3:])


class TestRefusals:
    def test_what_does_not_fit_is_said(self):
        model, ids = built("rope"), some_ids(2, 4)
        states = model.encode(some_ids(2, 5))
        with pytest.raises(ValueError, match="source is missing"):
            model.hidden(ids)
        with pytest.raises(ValueError, match="of shape"):
            model.hidden(ids, source=states[:1])
        with pytest.raises(ValueError, match="without a real token"):
            model.hidden(ids, source=states, source_mask=torch.zeros(2, 5, dtype=torch.bool))
        with pytest.raises(ValueError, match="source_mask has shape"):
            model.hidden(ids, source=states, source_mask=torch.ones(2, 4, dtype=torch.bool))
        with pytest.raises(ValueError, match="without cross-attention"):
            Decoder(SMALL).hidden(ids, source=states)
        with pytest.raises(ValueError, match="one count for each"):
            Decoder(SMALL).hidden(ids, prefix=torch.tensor([1]))
        with pytest.raises(ValueError, match="position='none'"):
            use_relative_positions(Transformer(SMALL))
        with pytest.raises(ValueError, match="causal"):
            Decoder(SMALL.replace(causal=False))

    def test_a_prefix_comes_first(self):
        model, cache = Decoder(SMALL), KVCache(SMALL)
        model.hidden(some_ids(1, 3), cache=cache)
        with pytest.raises(ValueError, match="remembered columns"):
            model.hidden(some_ids(1, 2), prefix=torch.tensor([1]), cache=cache)
        assert cache.columns == 3
