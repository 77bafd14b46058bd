"""MiniLM in our core: BertModel's hidden states with padding, and sentence vectors that know what is alike."""

import math
import warnings

import pytest
import torch
import transformers
from safetensors.torch import load_file

from llmlib.data import fetch
from llmlib.hub import embed_texts
from llmlib.hub.minilm import mean_pool
from llmlib.model import preset

TEXTS = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
    "Shares dropped on Wall Street.",
    "A cat sleeps on the sofa.",
    "naïve café déjà-vu, 12.5% — don't!",
    "",
    "Hello world! unbelievable antidisestablishmentarianism 日本語 text",
    "x" * 101,
    "C++ vs. Python_3 @home #tag $5",
    "one two three four five six seven eight nine ten " * 8,
]


@pytest.fixture(scope="module")
def bert():
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
        max_position_embeddings=512, type_vocab_size=2,
    )  # fmt: skip
    reference = transformers.BertModel(config)
    weights = load_file(fetch("minilm"))
    weights.pop("embeddings.position_ids", None)
    reference.load_state_dict(weights)
    return reference.eval()


@pytest.mark.assets
@torch.inference_mode()
def test_hidden_states_equal_bert_with_padding(minilm, bert):
    model, tokenizer = minilm
    assert model.config == preset("minilm-l6") and model.num_parameters() == 22_713_216 and not model.training
    ids, pad_mask = tokenizer.encode_batch(TEXTS)
    assert not pad_mask.all()
    theirs = bert(ids, attention_mask=pad_mask.long())
    ours = model.hidden(ids, pad_mask=pad_mask)
    assert (ours - theirs.last_hidden_state)[pad_mask].abs().max() <= 1e-4
    assert (model.pool(ours) - theirs.pooler_output).abs().max() <= 1e-4


@pytest.mark.assets
@torch.inference_mode()
def test_vectors_are_the_normalised_means_in_the_order_of_the_texts(minilm, bert):
    model, tokenizer = minilm
    vectors = embed_texts(model, tokenizer, TEXTS, batch_size=4)
    assert vectors.shape == (len(TEXTS), 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(TEXTS)))
    for text, vector in zip(TEXTS, vectors, strict=True):
        mean = bert(torch.tensor([tokenizer.encode(text)])).last_hidden_state[0].mean(0)
        assert (vector - mean / mean.norm()).abs().max() <= 1e-5


@pytest.mark.assets
def test_alike_in_meaning_is_alike_in_direction(minilm):
    model, tokenizer = minilm
    vectors = embed_texts(model, tokenizer, TEXTS[:5])
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.6 and similarity[2, 3] > 0.5
    assert similarity[0, 2] < 0.2 and similarity[1, 3] < 0.2 and similarity[3, 4] < 0.2
    questions = ["How do I cook pasta?", "What is the tallest mountain?", "Who wrote Hamlet?"]
    answers = ["Mount Everest is the highest peak on Earth.", "Boil water, add salt, then the noodles."]
    answers += ["The play was written by William Shakespeare."]
    found = embed_texts(model, tokenizer, questions) @ embed_texts(model, tokenizer, answers).T
    assert found.argmax(1).tolist() == [1, 0, 2]


@pytest.mark.assets
def test_long_texts_are_cut_and_none_give_none(minilm):
    model, tokenizer = minilm
    long = "word " * 1000
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 256 tokens and lose their end.*at most 512"):
        cut = embed_texts(model, tokenizer, [long, "word " * 254])
    assert torch.equal(cut[0], cut[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # who names a limit has decided, and nothing is cut of the last
        torch.testing.assert_close(embed_texts(model, tokenizer, [long], max_length=256), cut[:1])
        embed_texts(model, tokenizer, ["word " * 254])
    assert embed_texts(model, tokenizer, []).shape == (0, 384)
    with pytest.raises(TypeError, match="pass a list of texts"):
        embed_texts(model, tokenizer, "one text")
    with pytest.raises(ValueError, match="batch_size is 0"):
        embed_texts(model, tokenizer, ["a"], batch_size=0)


@pytest.mark.assets
def test_characters_that_nobody_trained_on_still_give_a_vector(minilm):
    model, tokenizer = minilm
    vectors = embed_texts(model, tokenizer, ["\U000115af\U000115b0", "\U000115b1", "\x00\u200b", "plain words"])
    assert vectors.isfinite().all() and torch.allclose(vectors.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(vectors[0], vectors[1])  # both are [UNK]: all that is unknown looks alike


def test_mean_pool_leaves_padding_out():
    h = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]], [[0.0, 2.0], [9.0, 9.0], [9.0, 9.0]]])
    pooled = mean_pool(h, torch.tensor([[True, True, False], [True, False, False]]))
    torch.testing.assert_close(pooled, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert math.isclose(pooled.norm(dim=1).sum().item(), 2.0, rel_tol=1e-6)
