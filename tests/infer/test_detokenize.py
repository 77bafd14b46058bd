"""Text token by token: whole characters, and stop strings wherever the pieces happen to be cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlib.infer import StopFilter, TokenDecoder
from llmlib.text import BPETokenizer, CharTokenizer


class Bytes:
    """One token per byte."""

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids):
        return bytes(ids)


class BytesThroughText:
    """The same without decode_bytes, as a tokenizer that only gives text."""

    encode, decode = Bytes.encode, Bytes.decode


class Words:
    """A tokenizer whose tokens read differently after another one: the space belongs to neither."""

    words = ("attention", "is", "all", "you", "need")

    def encode(self, text):
        return [self.words.index(word) for word in text.split()]

    def decode(self, ids):
        return " ".join(self.words[i] for i in ids)


def pieces_of(tokenizer, ids):
    decoder = TokenDecoder(tokenizer)
    return [decoder.push(i) for i in ids], decoder.finish()


@pytest.mark.parametrize("tokenizer", [Bytes(), BytesThroughText()])
def test_a_character_comes_out_whole(tokenizer):
    text = "é 漢字 \N{GRINNING FACE}!"
    pieces, rest = pieces_of(tokenizer, tokenizer.encode(text))
    assert "".join(pieces) == text and rest == ""
    assert [piece for piece in pieces if piece] == list(text)


@pytest.mark.parametrize("tokenizer", [Bytes(), BytesThroughText()])
def test_an_unfinished_character_is_marked_at_the_end_as_decode_does(tokenizer):
    ids = tokenizer.encode("ok \N{GRINNING FACE}")[:-1]
    pieces, rest = pieces_of(tokenizer, ids)
    assert "".join(pieces) == "ok " and "".join(pieces) + rest == tokenizer.decode(ids)


def test_a_tokenizer_that_joins_words_keeps_its_spaces():
    pieces, rest = pieces_of(Words(), [0, 1, 2, 3, 4])
    assert pieces == ["attention", " is", " all", " you", " need"] and rest == ""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_pieces_joined_are_the_whole_for_any_bytes(data):
    pieces, rest = pieces_of(Bytes(), list(data))
    assert "".join(pieces) + rest == Bytes().decode(list(data))


@settings(max_examples=300, deadline=None)
@given(st.text("ab\n", max_size=30), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.data())
def test_stop_filter_equals_a_search_in_the_whole_text(text, stops, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
    stop_filter, shown = StopFilter(stops), ""
    for chunk in chunks:
        shown += stop_filter.push(chunk)
        assert not any(stop in shown for stop in stops)
        if stop_filter.stopped:
            break
    shown += stop_filter.finish()
    complete = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert stop_filter.stopped == bool(complete)
    assert shown == (text[: min(complete)[1]] if complete else text)


def test_the_beginning_of_a_stop_string_is_held_back_and_given_when_nothing_came_of_it():
    stop = StopFilter(["\nUser:"])
    assert stop.push("Hello\nUs") == "Hello"
    assert stop.push("e it") == "\nUse it"
    assert stop.push("\nUser") == "" and not stop.stopped
    assert stop.push(": hi") == "" and stop.stopped
    assert stop.push("more") == "" and stop.finish() == ""


def test_of_two_stop_strings_the_one_complete_first_cuts():
    stop = StopFilter(["world", "lo"])
    assert stop.push("hello world") == "hel" and stop.stopped


def test_pieces_of_a_trained_bpe_with_special_tokens_join_to_its_decode():
    text = "naïve café, 日本語, \N{GRINNING FACE}\N{GRINNING FACE}, the theatre there "
    tokenizer = BPETokenizer.train(text * 3, vocab_size=280, special_tokens=["<|end|>"])
    ids = tokenizer.encode(text + "<|end|>" + text, allowed_special={"<|end|>"})
    pieces, rest = pieces_of(tokenizer, ids)
    assert "".join(pieces) + rest == tokenizer.decode(ids)
    assert "\ufffd" not in "".join(pieces)


def test_pieces_of_a_character_tokenizer_are_its_characters():
    tokenizer = CharTokenizer.from_text("To be, or not")
    ids = tokenizer.encode("not")
    assert pieces_of(tokenizer, ids) == (["n", "o", "t"], "")
