import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmlib.text import ByteTokenizer, CharTokenizer

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)


@given(ANY_TEXT)
def test_a_text_survives_its_own_char_tokenizer(text):
    tokenizer = CharTokenizer.from_text(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) == len(text) and set(ids) == set(range(tokenizer.vocab_size))


@given(ANY_TEXT)
def test_every_text_survives_the_byte_tokenizer(text):
    ids = ByteTokenizer().encode(text)
    assert ByteTokenizer().decode(ids) == text
    assert bytes(ids) == text.encode() == ByteTokenizer().decode_bytes(ids)


def test_ids_follow_the_order_of_code_points():
    tokenizer = CharTokenizer.from_text("hello world")
    assert tokenizer.alphabet == " dehlorw"
    assert tokenizer.encode("hold") == [3, 5, 4, 1]
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


def test_an_unknown_character_is_named_with_its_place_and_the_remedy():
    tokenizer = CharTokenizer.from_text("hello")
    with pytest.raises(ValueError) as caught:
        tokenizer.encode("hello é")
    message = str(caught.value)
    assert "' ' (U+0020) at position 5" in message and "4 characters" in message and "ByteTokenizer" in message
    assert "\n" not in message


@pytest.mark.parametrize("wrong", [-1, 4, 1000])
def test_an_id_outside_the_vocabulary_is_named(wrong):
    with pytest.raises(ValueError, match=f"ids holds {wrong}, but this tokenizer's ids go from 0 to 3"):
        CharTokenizer.from_text("hello").decode([0, wrong])


@pytest.mark.parametrize("wrong", [-1, 256])
def test_a_byte_outside_the_range_is_named(wrong):
    with pytest.raises(ValueError, match=f"ids holds {wrong}, but a byte tokenizer's ids go from 0 to 255"):
        ByteTokenizer().decode([wrong])


def test_tensors_can_be_decoded():
    tokenizer = CharTokenizer.from_text("hello")
    assert tokenizer.decode(torch.tensor(tokenizer.encode("hello"))) == "hello"
    assert ByteTokenizer().decode(torch.tensor([104, 105])) == "hi"


def test_bytes_that_are_no_text_are_shown_as_such():
    assert ByteTokenizer().decode([0xE2, 0x82]) == "\ufffd"
    assert ByteTokenizer().decode_bytes([0xE2, 0x82]) == b"\xe2\x82"
    assert ByteTokenizer().vocab_size == 256
    assert len(ByteTokenizer().encode("a€")) == 4


def test_what_was_saved_encodes_the_same(tmp_path):
    tokenizer = CharTokenizer.from_text('line\n"quoted" café \u2028 \x00 😀')
    tokenizer.save(tmp_path / "chars.json")
    again = CharTokenizer.load(tmp_path / "chars.json")
    assert again.alphabet == tokenizer.alphabet
    assert again.encode("café 😀") == tokenizer.encode("café 😀")
    ByteTokenizer().save(tmp_path / "bytes.json")
    assert ByteTokenizer.load(tmp_path / "bytes.json").encode("é") == [195, 169]


@pytest.mark.parametrize("content", ["[]", '{"type": "bpe"}', json.dumps("chars")])
@pytest.mark.parametrize("kind", [CharTokenizer, ByteTokenizer])
def test_a_file_of_another_kind_is_refused(tmp_path, kind, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"does not hold a {kind.__name__}"):
        kind.load(path)


def test_an_alphabet_must_be_one():
    with pytest.raises(ValueError, match="text is empty"):
        CharTokenizer.from_text("")
    with pytest.raises(ValueError, match="alphabet is empty"):
        CharTokenizer("")
    with pytest.raises(ValueError, match="alphabet holds 'l' twice"):
        CharTokenizer("hello")
