"""Vocabularies from elsewhere: GPT-2's known ids, and SmolLM2's equal to the tokenizers package string by string."""

import pydoc_data.topics
import random

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llmlib.data import fetch
from llmlib.hub.gguf import GGUFFile
from llmlib.text import SMOLLM2_SYSTEM, encode_chat, gpt2_tokenizer, render_chat, smollm2_tokenizer
from llmlib.text.published import bytes_to_printable, printable_to_bytes

STRINGS = [
    *("Hello world", " the", "", " ", "   ", "\n\n\n", "\t\tx", "a  5", "a 5  6   7", "12345", "3.14159"),
    *("x=10\n  y = 20\n", "don't I'll we've they're he'd I'm it's 'tis", "naïve café", "日本語のテキスト"),
    *("Привет, мир!", "مرحبا", "😀 emoji 👩‍👩‍👧", "½ ² Ⅷ ٣٤", "def f(x):\n    return x**2  # comment\n"),
    *("https://example.com/a?b=1&c=2", "ALLCAPS MixedCase snake_case kebab-case", "tabs\tand\r\nCRLF", "trailing "),
    *(
        "  leading",
        "é",
        "a\u00a0b\u2003c",
        "$1,000,000.00 (approx.)",
        "a" * 21,
        "zzz" * 20,
        "!!!???...",
        "\u200b\u200d",
    ),
    *("ß ẞ İ ı ſ", "it'S IT'S it’s", "strawberry", "9.11 or 9.9?", "   7", "\n 7", "x \n\n  7 \n", "'s's 's"),
]


def varied_strings(n, seed=0):
    """Hand-picked strings, then slices of Python's manual, mixtures of signs, and random characters of many scripts."""
    rng = random.Random(seed)
    manual = "\n".join(pydoc_data.topics.topics.values())
    scripts = [(32, 126), (0xA0, 0x17F), (0x391, 0x3A1), (0x410, 0x44F), (0x5D0, 0x5EA), (0x620, 0x64A), (0x905, 0x939)]
    scripts += [(0x2010, 0x205E), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F300, 0x1F5FF), (9, 13)]
    strings = list(STRINGS)
    while len(strings) < n:
        kind, length = rng.random(), rng.randrange(1, 60)
        if kind < 0.5:
            start = rng.randrange(len(manual))
            strings.append(manual[start : start + 5 * length])
        elif kind < 0.75:
            strings.append("".join(rng.choices(" \n\tabcXYZ0123456789'.,;-_()[]{}éñ漢字😀", k=length)))
        else:
            strings.append("".join(chr(rng.randint(*rng.choice(scripts))) for _ in range(length)))
    return strings


def tiny_metadata(**changes):
    """The tokenizer part of a GGUF file with SmolLM2's kind of vocabulary: a special token, then bytes, then merges."""
    tokens = ["<|im_end|>", *bytes_to_printable().values(), "Ġt", "he", "Ġthe"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
    } | {f"tokenizer.ggml.{key}": value for key, value in changes.items()}


def test_gpt2_gives_the_known_ids():
    gpt2 = gpt2_tokenizer()
    assert gpt2.vocab_size == 50_257
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    assert gpt2.encode(" SolidGoldMagikarp") == [43453]
    assert gpt2.encode("<|endoftext|>", allowed_special="all") == [50256]
    assert len(gpt2.encode("<|endoftext|>")) > 1
    assert gpt2.merges[:3] == [(b" ", b"t"), (b" ", b"a"), (b"h", b"e")] and len(gpt2.merges) == 50_000
    for text in varied_strings(420):
        ids = gpt2.encode(text)
        assert ids == gpt2.encode_reference(text)
        assert gpt2.decode(ids) == text


def test_printable_bytes_are_gpt2s_alphabet():
    alphabet = bytes_to_printable()
    assert set(alphabet.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert "".join(alphabet[b] for b in "é x\n".encode()) == "Ã©ĠxĊ"
    assert printable_to_bytes("".join(alphabet[b] for b in range(256))) == bytes(range(256))
    with pytest.raises(ValueError, match="'日'"):
        printable_to_bytes("a日")


def test_a_vocabulary_in_smollm2s_form():
    tokenizer = smollm2_tokenizer(tiny_metadata())
    assert tokenizer.vocab_size == 260
    assert tokenizer.merges == [(b" ", b"t"), (b"h", b"e"), (b" t", b"he")]
    assert [tokenizer.token_bytes(i) for i in tokenizer.encode(" the  12")] == [b" the", b" ", b" ", b"1", b"2"]
    assert tokenizer.encode("<|im_end|>", allowed_special="all") == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, "tokenizer 'llama'"),
        ({"pre": "qwen2"}, "pre-tokenizer 'qwen2'"),
        ({"token_type": [3, 1]}, "2 token types"),
        ({"tokens": ["<|im_end|>", "a", "a"], "token_type": [3, 1, 1]}, "twice, as 1 and 2"),
        ({"tokens": ["<|im_end|>", "a b"], "token_type": [3, 1]}, "stands for no byte"),
        ({"tokens": ["<|im_end|>", ""], "token_type": [3, 1]}, "empty token"),
    ],
)
def test_metadata_of_something_else(changes, message):
    with pytest.raises(ValueError, match=message):
        smollm2_tokenizer(tiny_metadata(**changes))


def test_metadata_without_a_tokenizer():
    with pytest.raises(ValueError, match="expected SmolLM2's"):
        smollm2_tokenizer({})
    metadata = tiny_metadata()
    del metadata["tokenizer.ggml.tokens"]
    with pytest.raises(ValueError, match=r"no entry 'tokenizer\.ggml\.tokens'"):
        smollm2_tokenizer(metadata)


@pytest.fixture(scope="module")
def smollm2():
    with GGUFFile(fetch("smollm2")) as file:
        return file.metadata, smollm2_tokenizer(file.metadata)


@pytest.mark.assets
def test_smollm2_equals_the_tokenizers_package(smollm2):
    metadata, ours = smollm2
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    theirs = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    theirs.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    theirs.decoder = decoders.ByteLevel()
    theirs.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])

    manual = "\n".join(pydoc_data.topics.topics.values())
    unwritable = "".join(map(chr, ours.missing_bytes[:6]))  # control characters; the other 15 never occur in UTF-8
    strings = [text.translate({ord(c): None for c in unwritable}) for text in varied_strings(500)]
    for text in [*strings, "<|im_start|>user\nhi<|im_end|>", manual[:300_000]]:
        ids = ours.encode(text, allowed_special="all")
        assert ids == theirs.encode(text).ids, text[:200]
        assert ours.decode(ids) == text
    for text in strings:
        assert ours.encode_reference(text) == ours.encode(text)


@pytest.mark.assets
def test_smollm2_vocabulary(smollm2, tmp_path):
    metadata, ours = smollm2
    assert (ours.vocab_size, len(ours.special_tokens), len(ours.missing_bytes)) == (49_152, 17, 21)
    assert ours.special_tokens["<|im_end|>"] == metadata["tokenizer.ggml.eos_token_id"] == 2
    stated = [tuple(map(printable_to_bytes, merge.split(" "))) for merge in metadata["tokenizer.ggml.merges"]]
    assert ours.merges == stated
    with pytest.raises(ValueError, match=r"at position 1: its byte 0x04 has no token"):
        ours.encode("a\x04")
    ours.save(tmp_path / "smollm2.json")
    assert type(ours).load(tmp_path / "smollm2.json").encode("a 1<|im_end|>") == ours.encode("a 1<|im_end|>")


@pytest.mark.assets
def test_chatml_equals_the_template_in_smollm2s_file(smollm2):
    jinja2 = pytest.importorskip("jinja2")
    metadata, ours = smollm2
    template = jinja2.Template(metadata["tokenizer.chat_template"])
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Hello!\n"}]
    for messages in (talk, talk[:1], [{"role": "system", "content": "Be brief."}, *talk]):
        for prompt in (True, False):
            theirs = template.render(messages=messages, add_generation_prompt=prompt)
            assert render_chat(messages, add_generation_prompt=prompt, default_system=SMOLLM2_SYSTEM) == theirs
            ids = encode_chat(ours, messages, add_generation_prompt=prompt, default_system=SMOLLM2_SYSTEM)
            assert ids == ours.encode(theirs, allowed_special="all")
