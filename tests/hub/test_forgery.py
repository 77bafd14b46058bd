"""Forged files: thousands of mutations of tokenizers, state dicts, safetensors and GGUF files, from fixed seeds.

Each either loads or is a ValueError in one line; it takes at most 1 GB of memory and never changes a model on the way.
The suite runs some of each; `FORGERIES=5000 python -m pytest tests/hub/test_forgery.py` runs them all.
"""

import base64
import json
import os
import random
import resource
import sys
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file
from test_llama_gguf import gguf_tensors, llama, write
from test_state_dict_forged import gpt2, reference_names

from llmlib.hub import GGUFFile, load_gpt2, load_hf_state_dict
from llmlib.hub.llama_gguf import load_llama_gguf
from llmlib.hub.safetensors_files import read_safetensors
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer, ByteTokenizer, CharTokenizer, WordPieceTokenizer, read_ranks, smollm2_tokenizer
from llmlib.text.published import bytes_to_printable

N = int(os.environ.get("FORGERIES", "60"))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
TEXT = "It was the best of times, it was the worst of times, naïve café 12345. " * 3

STRANGE = [None, True, -1, 0, 1, 255, 256, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf")]
STRANGE += ["", "x" * 5000, "\n", "\ud800", "é\x00", "a b c", "(((a{999}){999}){999})", "(?P<x>", "AAAA"]
STRANGE += [[], {}, [[]], [[], {}], {"a": {"b": []}}]


@contextmanager
def one_gigabyte():
    """Whoever asks for more memory than that gets none, which is no ValueError."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, lost, doubled or put in; or the end cut off."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 60])
        kind = rng.randrange(6)
        if kind == 0:
            data[place : place + length] = rng.randbytes(length)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = data[place : place + length] * rng.choice([1, 2, 50])
        elif kind == 3:
            data[place:place] = rng.choice([b"\xff" * 8, b"\x00" * 8, b"9" * 30, b'"', b"[" * 2000, b"\n", b"\xc3"])
        elif kind == 4:
            del data[place:]
        elif place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        data = data or bytearray(b"x")
    return bytes(data)


def mutated_json(value, rng: random.Random):
    """One value somewhere inside replaced, removed or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        value, key = dict(value), rng.choice(list(value))
        if rng.random() < 0.15:
            value[str(rng.choice(STRANGE))[:50]] = value.pop(key)
        elif rng.random() < 0.1:
            del value[key]
        else:
            value[key] = mutated_json(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.85:
        value, place = list(value), rng.randrange(len(value))
        if rng.random() < 0.15:
            value.insert(place, value[rng.randrange(len(value))])
        elif rng.random() < 0.1:
            del value[place]
        else:
            value[place] = mutated_json(value[place], rng)
        return value
    return rng.choice(STRANGE)


def run(load, forgeries):
    """How many loaded, and how many were refused; anything but one line is a failure."""
    loaded = refused = 0
    for number, forge in enumerate(forgeries):
        with one_gigabyte():
            try:
                load(forge)
                loaded += 1
            except ValueError as error:
                assert len(str(error).splitlines()) == 1, f"forgery {number}: {error}"
                assert len(str(error)) < 3000, f"forgery {number}"
                refused += 1
            except BaseException as error:
                raise AssertionError(f"forgery {number} ends in {type(error).__name__}: {error}") from error
    assert refused, "none was noticed"


def forged_bytes(path, seed, n=None):
    """n mutations of a file, written to it one after the other."""
    original, rng = path.read_bytes(), random.Random(seed)
    for _ in range(n or N):
        path.write_bytes(mutated(original, rng))
        yield path


def forged_json(path, seed, n=None):
    original, rng = json.loads(path.read_text("utf-8")), random.Random(seed)
    for _ in range(n or N):
        path.write_text(json.dumps(mutated_json(original, rng)), "utf-8")
        yield path


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train(TEXT, 280, ["<|end|>"])


def printable(tokens):
    alphabet = bytes_to_printable()
    return "".join(alphabet[b] for b in tokens)


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b"]
TOKENIZERS = {
    "bpe": (BPETokenizer, lambda bpe, path: bpe.save(path)),
    "characters": (CharTokenizer, lambda bpe, path: CharTokenizer.from_text(TEXT).save(path)),
    "bytes": (ByteTokenizer, lambda bpe, path: ByteTokenizer().save(path)),
    "wordpiece": (WordPieceTokenizer, lambda bpe, path: WordPieceTokenizer(PIECES).save(path)),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_tokenizer_files(kind, bpe, tmp_path):
    cls, save = TOKENIZERS[kind]
    path = tmp_path / "tokenizer"
    save(bpe, path)

    def load(path):
        tokenizer = cls.load(path)
        tokenizer.decode(tokenizer.encode("It was ab"))

    original = path.read_bytes()
    run(load, forged_bytes(path, 1))
    path.write_bytes(original)
    if kind != "wordpiece":
        run(load, forged_json(path, 2))


def test_ranks(bpe, tmp_path):
    path = tmp_path / "ranks"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {i}\n" for token, i in bpe.ranks.items()))
    run(read_ranks, forged_bytes(path, 3))


def test_vocab_and_merges(bpe, tmp_path):
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    table = {printable(token): i for token, i in bpe.ranks.items()} | bpe.special_tokens
    lines = "".join(f"{printable(a)} {printable(b)}\n" for a, b in bpe.merges)
    vocab.write_text(json.dumps(table), "utf-8")
    merges.write_text(lines, "utf-8")
    load = lambda _: BPETokenizer.from_vocab_merges(vocab, merges).encode("It was")
    run(load, forged_bytes(merges, 4))
    merges.write_text(lines, "utf-8")
    run(load, forged_json(vocab, 5))
    vocab.write_text(json.dumps(table), "utf-8")
    run(load, forged_bytes(vocab, 6))


def test_metadata_of_smollm2(bpe):
    tokens = [printable(token) for token in bpe.ranks] + ["<|im_end|>"]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * len(bpe.ranks) + [3],
    }
    smollm2_tokenizer(metadata)
    rng = random.Random(7)
    run(smollm2_tokenizer, (mutated_json(metadata, rng) for _ in range(N)))


def forged_state(state, rng):
    state, names = dict(state), list(state)
    name = rng.choice(names)
    tensor = state[name]
    kind = rng.randrange(9)
    if kind == 0:
        state[name] = rng.choice(STRANGE)
    elif kind == 1:
        state[name] = torch.zeros(1).expand(rng.choice([(1 << 20, 3 << 20), (1 << 40,), (2, 2, 2), (0,), (1,)]))
    elif kind == 2:
        state[rng.choice([str(rng.choice(STRANGE)), name + ".x", name.replace("0", "9"), "lm_head.weight"])] = tensor
    elif kind == 3:
        del state[name]
    elif kind == 4:
        state[name] = tensor.to(rng.choice([torch.int8, torch.int64, torch.bool, torch.complex64, torch.float16]))
    elif kind == 5:
        state[name] = tensor[..., :-1] if tensor.dim() else tensor
    elif kind == 6:
        state[name] = tensor.to_sparse() if rng.random() < 0.5 else tensor.to("meta")
    elif kind == 7:
        state[rng.choice([3, None, ("a",), b"wte.weight"])] = tensor
    else:
        state[name], other = state[rng.choice(names)], rng.choice(names)
        state[other] = tensor
    return state


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_state_dicts(family):
    if family == "gpt2":
        model = gpt2()
        state = reference_names(model)
    else:
        model = Transformer(ModelConfig(11, 1, 8, 2, max_seq_len=6, rope_layout="interleaved"))
        names = {"token_embedding": "embed_tokens", "final_norm": "norm", "norm1": "input_layernorm"}
        names |= {"norm2": "post_attention_layernorm", "attention": "self_attn", "blocks": "layers"}
        state = {".".join(names.get(p, p) for p in key.split(".")): value for key, value in model.state_dict().items()}
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}

    def load(forged):
        try:
            load_hf_state_dict(model, forged)
        except ValueError:
            assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items()), "it was changed"
            raise
        with torch.no_grad():
            for key, tensor in model.state_dict().items():
                tensor.copy_(before[key])

    load(state)
    rng = random.Random(8)
    run(load, (forged_state(state, rng) for _ in range(N)))


def test_safetensors_and_gpt2_folders(bpe, tmp_path):
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    save_file({name: tensor.contiguous() for name, tensor in reference_names(gpt2()).items()}, weights)
    original = weights.read_bytes()
    run(read_safetensors, forged_bytes(weights, 9))
    weights.write_bytes(original)
    shape = dict(model_type="gpt2", vocab_size=400, n_positions=6, n_embd=8, n_layer=1, n_head=2, n_inner=None)
    config.write_text(json.dumps(shape | dict(layer_norm_epsilon=1e-5, activation_function="gelu")))
    (tmp_path / "vocab.json").write_text(json.dumps({printable(token): i for token, i in bpe.ranks.items()}), "utf-8")
    (tmp_path / "merges.txt").write_text("".join(f"{printable(a)} {printable(b)}\n" for a, b in bpe.merges), "utf-8")
    run(lambda _: load_gpt2(tmp_path, device="cpu"), forged_json(config, 10, n=max(N // 5, 30)))


def test_gguf_files(tmp_path):
    path = tmp_path / "model.gguf"
    write(path, gguf_tensors(llama(tie=True)))

    def load(path):
        load_llama_gguf(path)

    def read(path):
        with GGUFFile(path) as file:
            for name in file.tensors:
                file.read(name)

    original = path.read_bytes()
    run(load, forged_bytes(path, 11))
    path.write_bytes(original)
    header = original[: min(len(original), 3000)]
    rng = random.Random(12)

    def beginnings():
        for _ in range(N):
            path.write_bytes(mutated(header, rng) + original[len(header) :])
            yield path

    run(load, beginnings())
    run(read, beginnings())
