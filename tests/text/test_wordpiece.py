"""WordPiece: equal to the tokenizers package on varied strings, and bad input."""

import random
from itertools import pairwise

import pytest
import regex
import torch
from tokenizers import BertWordPieceTokenizer

from llmlib.data import fetch
from llmlib.text import WordPieceTokenizer
from llmlib.text.wordpiece import basic_words

# A vocabulary of ours, so that the comparison needs no large download: every character the strings use, a few words.
WORDS = (
    "the of and un ##able ##s ##ing eat ##ed hello world cafe naive don t ##ho ##el ελλασ ##ος привет москва 日 本 語 é"
)
SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789αβγσςжщאשابक가나あア.,;!?'\"()[]-_#$%&*+/<=>@^`{|}~—–“”’…·¿¡。、"
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB += [token for token in dict.fromkeys([*WORDS.split(), *SIGNS, *(f"##{c}" for c in SIGNS)])]

STRINGS = [
    *(
        "",
        " ",
        "\n\t",
        "Hello, world!",
        "Hello\u00a0world\u3000the",
        "UNEATABLES",
        "naïve Café déjà-vu",
        "don't",
        "x" * 100,
    ),
    *(
        "x" * 101,
        "日本語 and 日本",
        "ΕΛΛΑΣ ΕΛΛΆΣ Σ",
        "İstanbul ISPARTA ı ſ ß ẞ",
        "МОСКВА Привет",
        "가나다 각",
        "a\u0301e\u0308",
    ),
    *(
        "tab\tnew\r\nline",
        "nul\x00l",
        "zero\u200bwidth\u200djoin",
        "\ufffd bad \ufffd",
        "soft\u00adhyphen",
        "\ufeffbom",
        "\x0bv\x0cf",
    ),
    *(
        "\x1c\x85 \u2028line\u2029",
        "C++ vs. Python_3 @home #tag $5",
        "...!!!",
        "3.14%",
        "½ ² Ⅷ",
        "😀 the 👩‍👩‍👧",
        "𠀀𠀁 丽",
    ),
    *("##able", "# #ing", "un##able", "ﬁne ﬂow", "Ǆ ǅ", "ａｂｃ！", "e\u0336x", "\u202eright", "²x", "x²"),
]


def varied_strings(n):
    rng = random.Random(1)
    scripts = [(32, 126), (0xA0, 0x17F), (0x391, 0x3A1), (0x3A3, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x620, 0x64A)]
    scripts += [(0x905, 0x939), (0x2010, 0x205E), (0x300, 0x340), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3)]
    scripts += [(0x1F300, 0x1F5FF), (0, 31), (0x7F, 0x9F), (0x20000, 0x20010), (0xFF01, 0xFF5E)]
    words = [
        *WORDS.replace("##", "").split(),
        "The",
        "EATING,",
        "Unable.",
        "café",
        "naïve",
        "“hello”",
        "world's",
        "(of)",
    ]
    strings = list(STRINGS)
    while len(strings) < n:
        if rng.random() < 0.4:
            strings.append(" ".join(rng.choices(words, k=rng.randrange(1, 15))))
        elif rng.random() < 0.5:
            strings.append("".join(rng.choices(SIGNS + SIGNS.upper() + "   \n", k=rng.randrange(1, 50))))
        else:
            strings.append("".join(chr(rng.randint(*rng.choice(scripts))) for _ in range(rng.randrange(1, 40))))
    return strings


def assert_equal_to_the_tokenizers_package(ours):
    theirs = BertWordPieceTokenizer({token: i for i, token in enumerate(ours.vocab)}, lowercase=True)
    strings = varied_strings(500)
    for text in strings:
        assert ours.encode(text) == theirs.encode(text).ids, repr(text)
        assert ours.encode(text, add_special_tokens=False) == theirs.encode(text, add_special_tokens=False).ids
    for first, second in pairwise(strings):
        pair = theirs.encode(first, second)
        assert ours.encode_pair(first, second) == (pair.ids, pair.type_ids)


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCAB)


def test_equal_to_the_tokenizers_package(tokenizer):
    assert_equal_to_the_tokenizers_package(tokenizer)


@pytest.mark.assets
def test_minilm_equals_the_tokenizers_package():
    minilm = WordPieceTokenizer.load(fetch("minilm-vocab"))
    assert minilm.vocab_size == 30_522
    assert minilm.encode("Hello world!") == [101, 7592, 2088, 999, 102]
    assert minilm.decode(minilm.encode("Unbelievable tokenization")) == "unbelievable token ##ization".replace(
        " ##", ""
    )
    assert_equal_to_the_tokenizers_package(minilm)


def test_the_longest_piece_wins_and_one_unknown_piece_spoils_the_word(tokenizer):
    pieces = lambda text: [tokenizer.vocab[i] for i in tokenizer.encode(text, add_special_tokens=False)]
    assert pieces("uneatable") == ["un", "##e", "##a", "##t", "##able"]
    assert pieces("unable eating hello日") == ["un", "##able", "eat", "##ing", "hello", "日"]
    assert pieces("eatĦ eat") == ["[UNK]", "eat"]


def test_basic_words():
    assert basic_words("Héllo,  WORLD's 日本\x00!\u200b") == ["hello", ",", "world", "'", "s", "日", "本", "!"]


def test_special_tokens_in_text_are_text(tokenizer):
    ids = tokenizer.encode("[SEP] the [CLS][PAD]")
    assert (ids.count(tokenizer.sep_id), ids.count(tokenizer.cls_id), ids.count(tokenizer.pad_id)) == (1, 1, 0)


def test_decode(tokenizer):
    ids = tokenizer.encode("Unable, eating: hello")
    assert tokenizer.decode(ids) == "unable , eating [UNK] hello"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "[CLS] unable , eating [UNK] hello [SEP]"
    assert tokenizer.decode(torch.tensor(ids)) == tokenizer.decode(ids)
    for wrong in (-1, tokenizer.vocab_size):
        with pytest.raises(ValueError, match=f"ids holds {wrong}"):
            tokenizer.decode([wrong])


def test_encode_batch_pads_on_the_right(tokenizer):
    texts = ["the world", "", "eating of unable cafe"]
    ids, mask = tokenizer.encode_batch(texts)
    assert ids.dtype == torch.int64 and mask.dtype == torch.bool
    assert [row[keep].tolist() for row, keep in zip(ids, mask)] == [tokenizer.encode(text) for text in texts]
    assert (ids[~mask] == tokenizer.pad_id).all()
    assert mask.int().diff(dim=1).max() <= 0  # tokens first, then padding


def test_encode_batch_cuts_long_texts_before_the_last_token(tokenizer):
    ids, mask = tokenizer.encode_batch(["the of and the of and", "the"], max_length=4)
    the, of = (tokenizer.vocab.index(token) for token in ("the", "of"))
    assert ids.tolist() == [[tokenizer.cls_id, the, of, tokenizer.sep_id], [tokenizer.cls_id, the, tokenizer.sep_id, 0]]
    assert mask.sum().item() == 7


@pytest.mark.parametrize(("texts", "max_length"), [([], None), ("text", None), (["text"], 1)])
def test_bad_batches(tokenizer, texts, max_length):
    with pytest.raises(ValueError, match=r"texts must be|max_length is"):
        tokenizer.encode_batch(texts, max_length)


def test_text_must_be_a_str(tokenizer):
    with pytest.raises(TypeError, match="text must be a str"):
        tokenizer.encode(b"bytes")


def test_save_and_load(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "vocab.txt")
    assert WordPieceTokenizer.load(tmp_path / "vocab.txt").vocab == tokenizer.vocab


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n", "line 3: no token, so ids have a gap"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\nthe\n", "'the' twice"),
        (b"[PAD]\n[CLS]\n[SEP]\nthe\n", "lacks [UNK]"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\ncaf\xe9\n", "not valid UTF-8 at byte 27"),
        (b"", "line 1: no token"),
    ],
)
def test_damaged_vocabulary_files(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=regex.escape(message)) as caught:
        WordPieceTokenizer.load(path)
    assert "bad.txt" in str(caught.value) and "\n" not in str(caught.value)
