"""Vocabularies from elsewhere, special tokens added later, and texts that come in pieces."""

import json
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, ByteLevelBPETokenizer

from llmlib.text import BPETokenizer
from llmlib.text import streaming as streaming_module
from llmlib.text.published import SMOLLM2_PATTERN

TEXT = (
    "It was the best of times, it's 1859 (or 1775?), don't we'll they've -- naïve café, 日本語。Привет, "
    "\N{GRINNING FACE} aaa aaaa\t\tx\r\n\n  end  12345 "
)
CORPUS = TEXT * 3
ANY_TEXT = st.text(st.sampled_from("aab bc'\n\t 1é日\N{GRINNING FACE}<|end|>"), max_size=80)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as GPT-2 is published in, written by the tokenizers library, and that library's tokenizer."""
    folder = tmp_path_factory.mktemp("published")
    theirs = ByteLevelBPETokenizer()
    theirs.train_from_iterator([CORPUS], vocab_size=320, special_tokens=[])
    theirs.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    theirs.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocab["<|endoftext|>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    return folder, theirs


def rewritten(folder, tmp_path, change):
    """The same two files with the ids changed."""
    vocab = json.loads((folder / "vocab.json").read_text("utf-8"))
    (tmp_path / "vocab.json").write_text(json.dumps(change(vocab)), "utf-8")
    (tmp_path / "merges.txt").write_bytes((folder / "merges.txt").read_bytes())
    return BPETokenizer.from_vocab_merges(tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_vocab_and_merges_encode_as_their_library_does(published):
    folder, theirs = published
    ours = BPETokenizer.from_vocab_merges(folder / "vocab.json", folder / "merges.txt")
    assert ours.special_tokens == {"<|endoftext|>": ours.vocab_size - 1}
    for text in (TEXT, "", "unheard of: ñ \x00 \N{PILE OF POO}", " " * 9 + "x"):
        assert ours.encode(text) == ours.encode_reference(text) == theirs.encode(text).ids
        assert ours.decode(ours.encode(text)) == text
    assert ours.encode("a<|endoftext|>b", allowed_special="all") == theirs.encode("a<|endoftext|>b").ids


def test_ids_may_have_gaps_and_another_order_than_the_merges(published, tmp_path):
    folder, _ = published
    plain = BPETokenizer.from_vocab_merges(folder / "vocab.json", folder / "merges.txt")
    shuffled = list(range(2000))
    random.Random(0).shuffle(shuffled)
    ours = rewritten(folder, tmp_path, lambda vocab: {token: shuffled[i] for token, i in vocab.items()})
    used = {*ours.ranks.values(), *ours.special_tokens.values()}
    assert ours.vocab_size == max(used) + 1 > plain.vocab_size
    text = TEXT + "<|endoftext|>" + TEXT
    expected = [shuffled[i] for i in plain.encode(text, allowed_special="all")]
    assert ours.encode(text, "all") == ours.encode_reference(text, "all") == expected
    assert ours.decode(expected) == text and ours.merges == plain.merges
    unused = min(set(range(ours.vocab_size)) - used)
    with pytest.raises(ValueError, match=f"ids holds {unused}, which this vocabulary leaves unused"):
        ours.decode([expected[0], unused])
    ours.save(tmp_path / "saved")
    loaded = BPETokenizer.load(tmp_path / "saved")
    assert loaded.encode(text, "all") == expected and loaded.vocab_size == ours.vocab_size
    assert loaded.merges == ours.merges and loaded.ranks == ours.ranks


def test_gaps_alone_keep_the_order_of_the_ids(tmp_path):
    plain = BPETokenizer.train(CORPUS, 300, ["<|end|>"])
    ranks = {token: 2 * i for token, i in plain.ranks.items()}
    gapped = BPETokenizer(ranks, {"<|end|>": 9999}, vocab_size=10_000)
    text = TEXT + "<|end|>"
    assert gapped.encode(text, "all") == [2 * i for i in plain.encode(text, "all")[:-1]] + [9999]
    gapped.save(tmp_path / "saved")
    assert BPETokenizer.load(tmp_path / "saved").encode(text) == gapped.encode(text)
    for size, words in {596: "uses id", 0: "vocab_size 0", 1 << 40: "vocab_size", "9": "vocab_size '9'"}.items():
        with pytest.raises(ValueError, match=words):
            BPETokenizer(ranks, {}, vocab_size=size)
    with pytest.raises(ValueError, match="without gaps"):
        BPETokenizer(ranks)
    with pytest.raises(ValueError, match="order has 1 tokens"):
        BPETokenizer(plain.ranks, {"<|end|>": 299}, order=[b"a"])


def test_missing_bytes_and_gaps_together():
    ranks = {bytes([b]): 3 * b for b in range(200)}
    tokenizer = BPETokenizer(ranks, {"<s>": 1}, missing_bytes=range(200, 256), vocab_size=900)
    assert tokenizer.encode("ab<s>", "all") == [3 * 97, 3 * 98, 1]
    for encode in (tokenizer.encode, tokenizer.encode_reference):
        with pytest.raises(ValueError, match="byte 0xF0 has no token"):
            encode("ab\N{GRINNING FACE}")


@pytest.mark.parametrize(
    ("vocab", "merges", "words"),
    [
        ("{", "", "is not JSON"),
        ("[]", "", "is not a table"),
        ('{"a": -1}', "", "is not a table"),
        ('{"a": 99999999999999999999}', "", "is not a table"),
        ('{"a": 0, "b": 0}', "", "to both"),
        ('{"a": 0, "b": 1}', "a b", "line 1: 'a b' makes a token that"),
        ('{"a": 0, "b": 1, "ab": 2}', "a", "is not two tokens"),
        ('{"a": 0, "b": 1, "abb": 2}', "ab b", "merges a token that no earlier line makes"),
        ('{"é": 0, "日": 1, "é日": 2}', "é 日", "stands for no byte"),
        ('{"a": 0, "": 1}', "", "empty"),
    ],
)
def test_files_that_do_not_belong_together_are_refused_in_one_line(tmp_path, vocab, merges, words):
    (tmp_path / "vocab.json").write_text(vocab, "utf-8")
    (tmp_path / "merges.txt").write_text(merges, "utf-8")
    with pytest.raises(ValueError) as error:
        BPETokenizer.from_vocab_merges(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert words in str(error.value) and "\n" not in str(error.value)


# --- special tokens added later ---------------------------------------------------------------------------------------


def test_special_tokens_can_be_added_after_training(tmp_path):
    class Mine(BPETokenizer):
        pass

    before = Mine.train(CORPUS, 300, ["<|end|>"])
    after = before.with_special_tokens(["<|user|>", "<|bot|>"])
    assert type(after) is Mine and before.vocab_size == 300, "the tokenizer itself stays as it is"
    assert after.special_tokens == {"<|end|>": 299, "<|user|>": 300, "<|bot|>": 301} and after.vocab_size == 302
    assert after.encode(TEXT) == before.encode(TEXT)
    assert after.encode("<|user|>a<|end|>", "all") == [300, *before.encode("a"), 299]
    after.save(tmp_path / "saved")
    assert Mine.load(tmp_path / "saved").special_tokens == after.special_tokens
    gapped = BPETokenizer(before.ranks, {"<|end|>": 999}, vocab_size=1000).with_special_tokens(["<|user|>"])
    assert gapped.special_tokens["<|user|>"] == 1000 and gapped.encode("<|user|>", "all") == [1000]
    wrong = [(["<|end|>"], "one already"), (["<|end"], "begins with it"), (["x", "x"], "twice"), ("x", "list")]
    for given_tokens, words in wrong:
        with pytest.raises(ValueError, match=words):
            before.with_special_tokens(given_tokens)


# --- texts that come in pieces ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["gpt2", "smollm2", "lines", "no pre-tokenizer"])
def tokenizer(request):
    pattern = {"smollm2": SMOLLM2_PATTERN, "lines": r"[^\n]+\n?", "no pre-tokenizer": r"[\s\S]+"}.get(request.param)
    return BPETokenizer.train(CORPUS, 330, ["<|end|>"], **({"pattern": pattern} if pattern else {}))


def chunks_of(text, rng, longest=9):
    while text:
        n = rng.randrange(1, longest)
        yield text[:n]
        text = text[n:]


PARTS = st.lists(st.one_of(ANY_TEXT, st.just(TEXT), st.just("<|end|>")), max_size=6).map("".join)


@settings(max_examples=60)
@given(text=PARTS, seed=st.integers(0, 99))
def test_pieces_give_the_ids_of_the_whole(tokenizer, text, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming_module, "PIECE", 24)
        patch.setattr(streaming_module, "MARGIN", 12)
        for allowed in ((), "all"):
            chunks = chunks_of(text, random.Random(seed))
            assert list(tokenizer.encode_iterable(chunks, allowed)) == tokenizer.encode(text, allowed)


def test_a_file_is_encoded_piece_by_piece_and_a_path_gives_the_same(tokenizer, tmp_path):
    path = tmp_path / "text"
    text = (TEXT + "<|end|>\r\n") * 300
    path.write_bytes(text.encode())
    expected = tokenizer.encode(text, "all")
    assert list(tokenizer.encode_iterable(path, "all")) == expected
    with path.open(encoding="utf-8", newline="") as file:
        assert list(tokenizer.encode_iterable(file, "all")) == expected
    path.write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="is not valid UTF-8"):
        list(tokenizer.encode_iterable(path))


def test_memory_does_not_grow_with_the_text():
    tokenizer = BPETokenizer.train(CORPUS, 300)
    tokenizer.encode(TEXT)
    peaks = []
    for repeats in (1_000, 10_000):
        tracemalloc.start()
        n = sum(1 for _ in tokenizer.encode_iterable(TEXT for _ in range(repeats)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n > 50 * repeats
    assert peaks[1] < 1.2 * peaks[0] < 4e6, "1.1 MB of text or 11, it is the same"


def test_what_is_asked_is_checked_at_the_call(tokenizer):
    with pytest.raises(ValueError, match="allowed_special"):
        tokenizer.encode_iterable(["a"], ["<|nobody|>"])
    with pytest.raises(TypeError, match="text must be a str"):
        list(tokenizer.encode_iterable([b"a"]))


@pytest.mark.parametrize("pattern", ["[a", "(", "x" * 3000 + "["])
def test_a_pattern_that_is_none_by_itself_is_refused_in_one_short_line(pattern):
    with pytest.raises(ValueError, match="is not a regular expression") as error:
        BPETokenizer({bytes([b]): b for b in range(256)}, pattern=pattern)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("pattern", ["(?:(?:a{999}){999}){1,999}", "a{" + "9" * 5000 + "}", "a{0,10001}"])
def test_a_file_whose_pattern_would_fill_the_memory_is_refused(pattern, tmp_path):
    path = tmp_path / "saved"
    BPETokenizer({bytes([b]): b for b in range(256)}).save(path)
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"pattern": pattern}))
    with pytest.raises(ValueError, match="repeats parts too often") as error:
        BPETokenizer.load(path)
    assert len(str(error.value)) < 400
