"""When SmolLM2 cannot be had: a notice, and a model of ours behind the same interface. No download in these tests."""

import pytest
import torch

from llmlib.data import AssetError, recorded
from llmlib.hub import is_stand_in, load_smollm2, load_stand_in, smollm2
from llmlib.infer import generate, stream
from llmlib.model import Transformer, preset
from llmlib.text import CHATML_TOKENS, SMOLLM2_SYSTEM, encode_chat, render_chat


@pytest.fixture(params=["the variable says so", "the fetch fails"])
def unavailable(request, monkeypatch):
    monkeypatch.setenv("LLMLIB_NO_SMOLLM2", "1" if request.param == "the variable says so" else "0")

    def fail(name):
        raise AssetError(f"{name} could not be fetched: the network is down")

    monkeypatch.setattr(smollm2, "fetch", fail)


def test_lectures_go_on_with_a_notice(unavailable, capsys):
    model, tokenizer = load_smollm2(device="cpu")
    notice = capsys.readouterr().out
    assert notice.startswith("NOTE: SmolLM2 could not be had") and "stand-in" in notice
    assert "network is down" in notice or "LLMLIB_NO_SMOLLM2 is set" in notice
    assert is_stand_in(model) and tokenizer.vocab_size == model.config.vocab_size


def test_who_wants_no_stand_in_gets_the_error(unavailable):
    with pytest.raises(AssetError, match=r"network is down|LLMLIB_NO_SMOLLM2 is set: unset it"):
        load_smollm2(fallback=False)


def test_the_stand_in_has_the_interface_of_smollm2():
    model, tokenizer = load_stand_in(device="cpu")
    real = preset("smollm2-135m")
    assert model.config.max_seq_len == real.max_seq_len and not model.training
    for field in ("norm", "mlp", "position", "rope_layout", "tie_embeddings", "norm_position"):
        assert getattr(model.config, field) == getattr(real, field)
    assert model.config.n_heads // model.config.n_kv_heads == real.n_heads // real.n_kv_heads == 3
    assert set(CHATML_TOKENS) <= set(tokenizer.special_tokens)
    talk = [{"role": "system", "content": SMOLLM2_SYSTEM}, {"role": "user", "content": "Hi 1 + 1 = é 日本 <|im_end|>"}]
    ids = encode_chat(tokenizer, talk)
    assert ids.count(tokenizer.special_tokens["<|im_end|>"]) == 2 and max(ids) < model.config.vocab_size
    assert tokenizer.decode(ids) == render_chat([talk[0], talk[1] | {"content": "Hi 1 + 1 = é 日本 @"}]).replace(
        "@", "<|im_end|>"
    )


def test_the_stand_in_chats_and_ends_its_turns():
    model, tokenizer = load_stand_in(device="cpu")
    end = tokenizer.special_tokens["<|im_end|>"]
    prompt = encode_chat(tokenizer, [{"role": "user", "content": "Who comes here?"}])
    generator = torch.Generator().manual_seed(0)
    replies = generate(model, [prompt] * 8, max_new_tokens=120, stop_tokens=[end], temperature=0.7, generator=generator)
    texts = [tokenizer.decode(reply) for reply in replies]
    assert all(text.strip() for text in texts)
    assert sum(len(reply) < 120 for reply in replies) >= 6, "most replies come to an end"
    pieces = list(stream(model, prompt, tokenizer=tokenizer, max_new_tokens=10, greedy=True))
    assert "".join(pieces) == tokenizer.decode(generate(model, prompt, max_new_tokens=10, greedy=True))


def test_the_stand_in_says_what_was_recorded_when_it_was_trained():
    model, tokenizer = load_stand_in(device="cpu")
    results = recorded("stand_in")["results"]
    assert model.num_parameters() == results["parameters"]
    end = tokenizer.special_tokens["<|im_end|>"]
    for question, reply in results["replies"].items():
        prompt = encode_chat(tokenizer, [{"role": "user", "content": question}])
        ids = tokenizer.encode(reply)[:3]  # further on, rounding may turn a near-tie
        assert generate(model, prompt, max_new_tokens=3, stop_tokens=[end], greedy=True) == ids


def test_precision_of_the_stand_in():
    model, _ = load_stand_in(device="cpu", dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_only_the_stand_in_is_the_stand_in():
    model, _ = load_stand_in(device="cpu")
    assert is_stand_in(model) and is_stand_in(model.to(torch.bfloat16))
    for config in (preset("smollm2-135m").replace(vocab_size=50_000), model.config.replace(vocab_size=513)):
        with torch.device("meta"):
            assert not is_stand_in(Transformer(config)), "a model with another vocabulary is not the stand-in"
