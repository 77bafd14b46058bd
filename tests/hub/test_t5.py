"""T5 and BERT's masked LM against transformers, with the reference's random weights loaded into ours."""

import pytest
import torch
import transformers

from llmlib.hub import load_hf_state_dict, load_t5_state_dict
from llmlib.infer import generate_from
from llmlib.model import (
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    MaskedLMHead,
    ModelConfig,
    Transformer,
    distance_buckets,
    t5_config,
)

TOLERANCE = 1e-4


def shaken(reference):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return reference.eval()


def t5_pair(tie: bool = True):
    torch.manual_seed(0)
    reference = shaken(
        transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=97, d_model=48, d_kv=10, d_ff=80, num_layers=2, num_decoder_layers=3, num_heads=4,
                relative_attention_num_buckets=8, relative_attention_max_distance=20, dropout_rate=0.0,
                tie_word_embeddings=tie, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
            )
        )
    )  # fmt: skip
    decoder = ModelConfig(
        97, n_layers=3, d_model=48, n_heads=4, head_dim=10, d_ff=80, max_seq_len=40, mlp="relu", position="none",
        norm_eps=1e-6, tie_embeddings=tie,
    )  # fmt: skip
    ours = EncoderDecoder(EncoderDecoderConfig(decoder, n_encoder_layers=2, relative=(8, 20))).eval()
    load_t5_state_dict(ours, reference.state_dict())
    return reference, ours


@pytest.mark.parametrize("tie", [True, False])
def test_t5_is_the_reference(tie):
    reference, ours = t5_pair(tie)
    source, ids = torch.randint(2, 97, (3, 30)), torch.randint(2, 97, (3, 26))
    real = torch.arange(30) < torch.tensor([[30], [11], [2]])
    with torch.no_grad():
        theirs = reference(input_ids=source, attention_mask=real.long(), decoder_input_ids=ids).logits
        assert (ours(source, ids, source_mask=real) - theirs).abs().max() < TOLERANCE * max(1, theirs.abs().max())


def test_t5_writes_what_the_reference_writes():
    reference, ours = t5_pair()
    sources = [[5, 9, 40, 3], [77], [8, 8, 20, 30, 41, 13, 2]]
    for source in sources:
        told = dict(max_new_tokens=12, do_sample=False, num_beams=1, use_cache=False)
        theirs = reference.generate(torch.tensor([source]), **told)[0].tolist()[1:]
        theirs = theirs[: theirs.index(1)] if 1 in theirs else theirs
        assert generate_from(ours, [source], start=0, stop=1, max_new_tokens=12)[0] == theirs


@pytest.mark.parametrize("both_ways", [True, False])
def test_buckets_are_the_references(both_ways):
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-300, 301)
    theirs = T5Attention._relative_position_bucket(distance, both_ways, 32, 128)
    assert torch.equal(distance_buckets(distance, 32, 128, both_ways), theirs)


@pytest.mark.parametrize("name", ["t5-small", "t5-base"])
def test_published_shapes_have_the_references_size(name):
    shape = t5_config(name)
    config = shape.decoder
    with torch.device("meta"):
        reference = transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=config.vocab_size, d_model=config.d_model, d_kv=config.head_dim, d_ff=config.d_ff,
                num_layers=config.n_layers, num_heads=config.n_heads, tie_word_embeddings=True,
            )
        )  # fmt: skip
        ours = EncoderDecoder(shape)
    assert ours.num_parameters() == sum(p.numel() for p in set(reference.parameters()))


def test_weights_that_do_not_fit_are_named():
    reference, ours = t5_pair()
    state = dict(reference.state_dict())
    before = ours.decoder.final_norm.weight.clone()
    lost = {name: tensor for name, tensor in state.items() if "decoder.final_layer_norm" not in name}
    with pytest.raises(ValueError, match=r"missing: decoder.final_norm.weight"):
        load_t5_state_dict(ours, lost)
    with pytest.raises(ValueError, match=r"unknown names: decoder.more"):
        load_t5_state_dict(ours, state | {"decoder.more": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"wrong size: encoder.relative.weight"):
        load_t5_state_dict(
            ours,
            state | {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": torch.zeros(9, 4)},
        )
    assert torch.equal(ours.decoder.final_norm.weight, before)
    with pytest.raises(ValueError, match="no T5"):
        load_t5_state_dict(EncoderDecoder(EncoderDecoderConfig(ModelConfig(97, 1, 48, 4))), state)


def masked_lm_pair():
    reference = shaken(
        transformers.BertForMaskedLM(
            transformers.BertConfig(
                vocab_size=97, num_hidden_layers=2, hidden_size=48, num_attention_heads=4, intermediate_size=192,
                max_position_embeddings=24, type_vocab_size=2, pad_token_id=0,
            )
        )
    )  # fmt: skip
    ours = Transformer(
        ModelConfig(
            97, 2, 48, 4, max_seq_len=24, norm="layernorm", norm_position="post", norm_eps=1e-12, mlp="gelu",
            position="learned", bias=True, causal=False, encoder=EncoderConfig(),
        )
    ).eval()  # fmt: skip
    ours.lm_head = MaskedLMHead(ours)
    return reference, ours


def test_a_masked_lm_is_the_reference():
    reference, ours = masked_lm_pair()
    load_hf_state_dict(ours, reference.state_dict())
    ids = torch.randint(1, 97, (2, 15))
    real = torch.arange(15) < torch.tensor([[15], [6]])
    with torch.no_grad():
        theirs = reference(input_ids=ids, attention_mask=real.long()).logits
        assert (ours(ids, pad_mask=real) - theirs)[real].abs().max() < TOLERANCE


def test_a_masked_lm_whose_head_is_another_matrix_is_refused():
    reference, ours = masked_lm_pair()
    state = dict(reference.state_dict())
    state["cls.predictions.decoder.weight"] = state["cls.predictions.decoder.weight"] + 1
    with pytest.raises(ValueError, match=r"not in the config: lm_head.decoder.weight"):
        load_hf_state_dict(ours, state)
