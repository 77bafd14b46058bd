"""BPE: training equals the textbook's recount after every merge, encoding equals the reference, files and bad input."""

import base64
import json
import random
from collections import Counter
from itertools import islice, pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from llmlib.text import BPETokenizer, read_ranks
from llmlib.text.bpe_training import GPT2_PATTERN, merge_steps
from llmlib.text.published import bytes_to_printable

TEXT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness;\n"
    "  it's 1859 (or 1775?), don't we'll they've -- naïve café, 日本語, Привет, "
    "😀👩‍👩‍👧 aaa aaaa aaaaaaa\t\tx\r\n\n  end  "
) * 3
ALPHABET = st.text(st.sampled_from("aab bc'\n\t 1é日😀"), max_size=60)


def naive_merges(word_counts, n_merges):
    """Count all pairs, merge the best everywhere, repeat: bytes throughout, nothing clever."""
    words = {word: [bytes([b]) for b in word.encode()] for word in word_counts}
    steps = []
    for _ in range(n_merges):
        counts = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                counts[pair] += word_counts[word]
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        for word, parts in words.items():
            merged = []
            while parts:
                n = 2 if tuple(parts[:2]) == best else 1
                merged.append(b"".join(parts[:n]))
                parts = parts[n:]
            words[word] = merged
        n_tokens = sum(len(parts) * word_counts[word] for word, parts in words.items())
        steps.append((*best, counts[best], n_tokens))
    return steps


def random_words(seed):
    rng = random.Random(seed)
    return Counter("".join(rng.choice("aabc") for _ in range(rng.randrange(1, 12))) for _ in range(40))


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT, 340, ["<|endoftext|>", "<|pad|>"])


# Training


@given(st.dictionaries(st.text("abé", min_size=1, max_size=10), st.integers(1, 5), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_every_step_equals_a_full_recount(words):
    assert [tuple(step) for step in islice(merge_steps(Counter(words)), 30)] == naive_merges(words, 30)


@pytest.mark.parametrize("seed", range(5))
def test_every_step_equals_a_full_recount_on_more_words(seed):
    words = random_words(seed)
    assert [tuple(step) for step in merge_steps(words)] == naive_merges(words, 1000)


@pytest.mark.parametrize("n", range(2, 12))
def test_overlapping_pairs_merge_from_the_left(n):
    first = next(merge_steps(Counter({"a" * n: 3})))
    assert (first.token, first.count, first.n_tokens) == (b"aa", 3 * (n - 1), 3 * (n - n // 2))


def test_ties_go_to_the_lexicographically_greatest_pair():
    steps = list(islice(merge_steps(Counter(["ab", "ac", "ba", "aé"])), 4))
    assert [step.token for step in steps] == ["é".encode(), b"ba", b"a\xc3\xa9", b"ac"]
    longer_wins = merge_steps(Counter({"xy": 2, "xyzw": 1, "zw": 2}))  # (z, w) and (x, y) three times each
    assert next(longer_wins).token == b"zw"


def test_a_longer_left_half_is_greater_than_its_beginning():
    words = Counter({"ab": 9, "abc": 1, "ad": 1})
    assert [step.token for step in islice(merge_steps(words), 3)] == [b"ab", b"abc", b"ad"]


def test_train_steps_end_when_every_word_is_one_token():
    steps = list(BPETokenizer.train_steps("low lower lowest low"))
    assert steps[-1].n_tokens == 4
    assert all(before.count >= after.count for before, after in pairwise(steps))


def test_training_fills_the_vocabulary_in_order(tokenizer):
    assert tokenizer.vocab_size == 340
    assert [tokenizer.token_bytes(i) for i in range(256)] == [bytes([i]) for i in range(256)]
    assert tokenizer.special_tokens == {"<|endoftext|>": 338, "<|pad|>": 339}
    steps = BPETokenizer.train_steps(TEXT)
    assert tokenizer.merges == [(s.left, s.right) for s in islice(steps, 340 - 258)]
    assert [tokenizer.token_bytes(256 + i) for i in range(82)] == [a + b for a, b in tokenizer.merges]


def test_no_token_crosses_a_word_and_special_tokens_teach_nothing():
    text = "one two<|endoftext|>one two<|endoftext|>" * 20
    tokenizer = BPETokenizer.train(text, 262, ["<|endoftext|>"])
    learned = [tokenizer.token_bytes(i) for i in range(256, tokenizer.vocab_size - 1)]
    assert {b"one", b" two"} <= set(learned)
    assert not any(b"|" in token or b"text" in token for token in learned)


def test_texts_files_and_lists_of_both_teach_the_same(tmp_path):
    path = tmp_path / "half.txt"
    path.write_bytes(TEXT.encode())
    whole = BPETokenizer.train([TEXT, TEXT], 300).ranks
    assert BPETokenizer.train([path, TEXT], 300).ranks == whole
    assert BPETokenizer.train((p for p in [path, path]), 300).ranks == whole


def test_a_short_text_gives_a_smaller_vocabulary_and_says_so():
    with pytest.warns(UserWarning, match="allows only 2 of 43 merges"):
        tokenizer = BPETokenizer.train("abc", 300, ["<|end|>"])
    assert tokenizer.vocab_size == 259
    assert tokenizer.encode("abc<|end|>", allowed_special="all") == [257, 258]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", 300), "holds no text"),
        (([], 300), "holds no text"),
        (("text", 255), "at least 256"),
        (("text", 257, ["<a>", "<b>"]), "at least 258"),
        (("text", 300, "<a>"), "pass a list"),
        (("text", 300, ["<a>", "<a>"]), "twice"),
        (("text", 300, ["<a>", "<a>b"]), "begins with it"),
        (("text", 300, [""]), "non-empty"),
        (("text", 300, [], r"\w*"), "empty string"),
        (("text", 300, [], r"(\w)+"), "group"),
        (("text", 300, [], "("), "not a regular expression"),
    ],
)
def test_bad_training_arguments(arguments, message):
    with pytest.raises(ValueError, match=regex.escape(message)):
        BPETokenizer.train(*arguments)


@pytest.mark.parametrize("source", [b"bytes", 7, ["text", 7]])
def test_what_is_neither_text_nor_file(source):
    with pytest.raises(TypeError, match="text_or_files"):
        BPETokenizer.train(source, 300)


def test_a_training_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin1\.txt.* is not valid UTF-8 at byte 3"):
        BPETokenizer.train(path, 300)


# Encoding and decoding


@given(ALPHABET | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_encode_equals_the_reference_and_decodes_to_the_text(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids == tokenizer.encode_reference(text)
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert tokenizer.decode(ids) == text


def test_encoding_the_training_text_takes_as_many_tokens_as_training_said(tokenizer):
    *_, last = islice(BPETokenizer.train_steps(TEXT), 82)
    assert len(tokenizer.encode(TEXT)) == last.n_tokens


def test_encode_equals_the_tokenizers_package_with_our_merges(tokenizer):
    printable = bytes_to_printable()
    as_text = lambda token: "".join(printable[b] for b in token)
    theirs = Tokenizer(
        models.BPE(
            vocab={as_text(token): i for token, i in tokenizer.ranks.items()},
            merges=[(as_text(a), as_text(b)) for a, b in tokenizer.merges],
        )
    )
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rng = random.Random(0)
    for _ in range(400):
        start = rng.randrange(len(TEXT))
        text = TEXT[start : start + rng.randrange(60)]
        assert tokenizer.encode(text) == theirs.encode(text).ids, text


def test_merges_go_by_rank_and_not_by_the_longest_match():
    tokenizer = BPETokenizer({bytes([b]): b for b in range(256)} | {b"bc": 256, b"ab": 257, b"cd": 258})
    for encode in (tokenizer.encode, tokenizer.encode_reference):
        assert [tokenizer.token_bytes(i) for i in encode("xabcd")] == [b"x", b"a", b"bc", b"d"]
        assert [tokenizer.token_bytes(i) for i in encode("xabd")] == [b"x", b"ab", b"d"]


def test_special_tokens_stay_text_unless_allowed(tokenizer):
    text = "a<|endoftext|>b<|pad|>"
    for encode in (tokenizer.encode, tokenizer.encode_reference):
        assert max(encode(text)) < 338
        assert tokenizer.decode(encode(text)) == text
        assert encode(text, allowed_special="all") == [97, 338, 98, 339]
        only_one = encode(text, allowed_special=["<|pad|>"])
        assert only_one[-1] == 339 and 338 not in only_one
        assert encode("", allowed_special="all") == []
    assert tokenizer.decode([97, 338]) == "a<|endoftext|>"


@pytest.mark.parametrize("allowed", ["<|pad|>", ["<|no|>"], "ALL"])
def test_unknown_allowed_special(tokenizer, allowed):
    with pytest.raises(ValueError, match="allowed_special"):
        tokenizer.encode("a", allowed_special=allowed)


def test_a_pattern_that_leaves_characters_out_loses_none():
    tokenizer = BPETokenizer.train("ab ab, ab!" * 5, 257, pattern=r"\p{L}+")
    assert tokenizer.decode(tokenizer.encode("ab, ba! 12")) == "ab, ba! 12"
    assert tokenizer.encode("ab, ba") == tokenizer.encode_reference("ab, ba")


def test_a_million_spaces(tokenizer):
    text = " " * 1_000_001 + "a"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_invalid_utf8_decodes_to_the_replacement_character(tokenizer):
    ids = tokenizer.encode("é")[:1] if len(tokenizer.encode("é")) > 1 else [0xC3]
    assert tokenizer.decode(ids) == "\ufffd"
    assert tokenizer.decode_bytes([0xFF, 97]) == b"\xffa"
    assert tokenizer.decode([0xFF, 97]) == "\ufffda"
    assert tokenizer.decode([]) == "" and tokenizer.decode_bytes([]) == b""


def test_ids_may_be_a_tensor(tokenizer):
    import torch

    assert tokenizer.decode(torch.tensor(tokenizer.encode("the age"))) == "the age"


@pytest.mark.parametrize("wrong", [-1, 340])
def test_ids_outside_the_vocabulary(tokenizer, wrong):
    with pytest.raises(ValueError, match=f"holds {wrong}, .* from 0 to 339"):
        tokenizer.decode([5, wrong])
    with pytest.raises(ValueError, match="from 0 to 339"):
        tokenizer.token_bytes(wrong)


def test_text_that_cannot_be_encoded(tokenizer):
    with pytest.raises(TypeError, match="decode bytes"):
        tokenizer.encode(b"bytes")
    for encode in (tokenizer.encode, tokenizer.encode_reference):
        with pytest.raises(ValueError, match=r"surrogate pair.* at position 2"):
            encode("ab\ud800")


def test_a_byte_without_a_token_cannot_be_encoded():
    ranks = {bytes([b]): b for b in range(255)} | {b"ab": 255}
    del ranks[bytes([254])]
    ranks[b"ab"] = 254
    tokenizer = BPETokenizer(ranks, missing_bytes=[254, 255])
    assert tokenizer.vocab_size == 255 and tokenizer.encode("ab") == [254]
    ranks = {bytes([b]): b - 1 for b in range(1, 256)}
    tokenizer = BPETokenizer(ranks, missing_bytes=[0])
    for encode in (tokenizer.encode, tokenizer.encode_reference):
        with pytest.raises(ValueError, match=r"'\\x00' at position 1: its byte 0x00 has no token"):
            encode("a\x00b")


# Files


def test_save_and_load_keep_everything(tokenizer, tmp_path):
    path = tmp_path / "bpe.json"
    tokenizer.save(path)
    loaded = BPETokenizer.load(path)
    for name in ("ranks", "special_tokens", "pattern", "merges", "missing_bytes"):
        assert getattr(loaded, name) == getattr(tokenizer, name)
    assert loaded.encode(TEXT, allowed_special="all") == tokenizer.encode(TEXT, allowed_special="all")
    assert json.loads(path.read_text())["tokens"][97] == ["YQ==", 97]


def b64(token):
    return base64.b64encode(token).decode()


def damaged(change):
    saved = {
        "type": "bpe",
        "pattern": GPT2_PATTERN,
        "special_tokens": {"<|end|>": 258},
        "missing_bytes": [],
        "tokens": [[b64(bytes([b])), b] for b in range(256)] + [[b64(b"ab"), 256], [b64(b"abc"), 257]],
    }
    change(saved)
    return json.dumps(saved).encode()


def edit(key, value):
    return lambda saved: saved.__setitem__(key, value)


def edit_row(i, row):
    return lambda saved: saved["tokens"].__setitem__(i, row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(edit_row(257, [b64(b"abc"), 400])), "none with id 257"),
        (damaged(lambda saved: saved["tokens"].pop(256)), "none with id 256"),
        (damaged(edit_row(257, [b64(b"ab"), 257])), "b'ab' occurs twice"),
        (damaged(edit_row(257, [b64(b"abc"), 256])), "id 256 to both"),
        (damaged(edit("special_tokens", {"<|end|>": 257})), "id 257 to both"),
        (damaged(edit_row(65, [b64(b"xyz"), 65])), "no token for byte 0x41"),
        (damaged(edit("missing_bytes", [7])), "declared missing for byte 0x07"),
        (damaged(edit_row(257, [b64(b"xyz"), 257])), "no merge of two earlier tokens"),
        (damaged(edit_row(257, ["a*c", 257])), "damaged"),
        (damaged(edit_row(257, [b64(b"abc"), 257.5])), "ids are integers"),
        (damaged(edit_row(257, [b64(b"abc"), -1])), "ids are integers"),
        (damaged(edit_row(257, [b64(b"abc"), True])), "ids are integers"),
        (damaged(edit_row(257, [b"".decode(), 257])), "empty token"),
        (damaged(edit_row(257, "ab")), "damaged"),
        (damaged(edit("tokens", 5)), "damaged"),
        (damaged(edit("special_tokens", ["<|end|>"])), "damaged"),
        (damaged(edit("missing_bytes", [300])), "damaged"),
        (damaged(edit("pattern", "(")), "not a regular expression"),
        (damaged(lambda saved: saved.pop("pattern")), "damaged"),
        (damaged(edit("type", "char")), "does not hold a BPETokenizer"),
        (b"[1, 2]", "does not hold a BPETokenizer"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "not valid UTF-8 at byte 0"),
        (b"", "is not JSON"),
    ],
)
def test_damaged_vocabulary_files(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=regex.escape(message)) as caught:
        BPETokenizer.load(path)
    assert "bad.json" in str(caught.value) and "\n" not in str(caught.value)


def test_the_undamaged_file_loads(tmp_path):
    path = tmp_path / "good.json"
    path.write_bytes(damaged(lambda saved: None))
    assert BPETokenizer.load(path).merges == [(b"a", b"b"), (b"ab", b"c")]


def rank_lines(*extra, skip=()):
    lines = [f"{b64(bytes([b]))} {b}" for b in range(256) if b not in skip]
    return "\n".join([*lines, *extra]).encode()


def test_rank_files_read_back(tmp_path):
    path = tmp_path / "ranks.tiktoken"
    path.write_bytes(rank_lines(f"{b64(b'ab')} 256", "", f"{b64(b'abc')} 257"))
    ranks = read_ranks(path)
    assert len(ranks) == 258 and ranks[b"abc"] == 257
    assert BPETokenizer(ranks).encode("abc") == [257]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rank_lines(f"{b64(b'ab')} 257"), "none with id 256"),
        (rank_lines(f"{b64(b'ab')} 99999999999999999999"), "none with id 256"),
        (rank_lines(f"{b64(b'a')} 256"), "line 257: token b'a' occurs twice"),
        (rank_lines(f"{b64(b'ab')} 255"), "id 255 to both"),
        (rank_lines(f"{b64(b'ab')} -1"), "ids are integers"),
        (rank_lines(f"{b64(b'ab')} 65", skip=[65]), "no token for byte 0x41"),
        (rank_lines("ab"), "line 257: expected a base64 token and its rank"),
        (rank_lines("a*b= 256"), "line 257: expected"),
        (rank_lines(f"{b64(b'ab')} x"), "line 257: expected"),
        (rank_lines(f"{b64(b'ab')} 1 2"), "line 257: expected"),
        (rank_lines() + b"\n\xff 256", "not valid UTF-8"),
        (b"", "no token for byte 0x00"),
    ],
)
def test_damaged_rank_files(tmp_path, content, message):
    path = tmp_path / "bad.tiktoken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=regex.escape(message)) as caught:
        read_ranks(path)
    assert "bad.tiktoken" in str(caught.value) and "\n" not in str(caught.value)
