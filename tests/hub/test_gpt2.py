"""A folder as GPT-2 is published in, written by transformers: the same ids and the same logits."""

import json

import pytest
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

from llmlib.hub import load_gpt2
from llmlib.infer import generate

TEXT = "It was the best of times, it was the worst of times; naïve café, 日本語, 12345.\n" * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator([TEXT], vocab_size=300, special_tokens=[])
    learned.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocab["<|endoftext|>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(vocab) + 3, n_layer=2, n_embd=48, n_head=4, n_positions=64)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


@torch.no_grad()
def test_it_equals_transformers(folder):
    model, tokenizer = load_gpt2(folder, device="cpu")
    reference = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    theirs = transformers.GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    ids = tokenizer.encode(TEXT)[:60]
    assert ids == theirs(TEXT)["input_ids"][:60] and tokenizer.special_tokens == {"<|endoftext|>": theirs.eos_token_id}
    expected = reference(torch.tensor([ids])).logits
    assert expected.std() > 0.1
    assert (model(torch.tensor([ids])) - expected).abs().max() <= 1e-4
    assert not model.training and {p.dtype for p in model.parameters()} == {torch.float32}
    new = generate(model, ids[:8], max_new_tokens=12, greedy=True)
    whole = reference.generate(torch.tensor([ids[:8]]), max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert new == whole[0, 8:].tolist()
    assert load_gpt2(folder, device="cpu", dtype=torch.bfloat16)[0].token_embedding.weight.dtype == torch.bfloat16


def copied(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_a_missing_file_is_named(folder, tmp_path, name):
    copied(folder, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no file {name}"):
        load_gpt2(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(model_type="llama"), "describes 'llama'"),
        (dict(n_layer=10**9), "n_layer '1000000000': expected a whole number"),
        (dict(n_embd="48"), "n_embd '48'"),
        (dict(n_layer=3), "missing: blocks.2"),
        (dict(n_head=7), "does not divide into n_heads 7"),
        (dict(vocab_size=200), "the tokenizer has"),
        (dict(n_positions=63), "wrong size: position_embedding.weight"),
        (dict(activation_function="swish"), "activation_function 'swish'"),
        (dict(layer_norm_epsilon=None), "layer_norm_epsilon 'None'"),
        (dict(scale_attn_by_inverse_layer_idx=True), "which this model does not do"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_in_one_line(folder, tmp_path, change, words):
    copied(folder, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError) as error:
        load_gpt2(tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)
