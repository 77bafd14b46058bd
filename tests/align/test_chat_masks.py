"""Masks against conversations worked out by hand: the marks stand under what is learned."""

import pytest

from llmlib.align import Example, chat_example, chat_prompt, end_of_turn, reply_example
from llmlib.text import CHATML_TOKENS, BPETokenizer, encode_chat


class Letters:
    """One token a character; the frame's tokens are "<" and ">"."""

    def __init__(self):
        self.special_tokens = dict(zip(CHATML_TOKENS, map(ord, "<>")))

    def encode(self, text):
        return [ord(letter) for letter in text]


def turns(*contents, roles=("user", "assistant")):
    return [dict(role=roles[i % 2], content=content) for i, content in enumerate(contents)]


SYSTEM = [dict(role="system", content="be kind")]
CHATS = [  # "/" stands for the line break
    (turns("hi", "yo"),
     "<user/hi>/<assistant/yo>/",
     "                     ___ "),
    (turns("a", "one", "b", "two"),
     "<user/a>/<assistant/one>/<user/b>/<assistant/two>/",
     "                    ____                     ____ "),
    ([*SYSTEM, *turns("a", "b")],
     "<system/be kind>/<user/a>/<assistant/b>/",
     "                                     __ "),
    (turns("a", "b", "c"),
     "<user/a>/<assistant/b>/<user/c>/",
     "                    __          "),
    ([*SYSTEM, dict(role="assistant", content="b")],
     "<system/be kind>/<assistant/b>/",
     "                            __ "),
    (turns("<>", ">/<"),  # what looks like the frame in a reply is learned as text
     "<user/<>>/<assistant/>/<>/",
     "                     ____ "),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "text", "marks"), CHATS)
def test_what_the_assistant_writes_is_learned_and_its_end_and_nothing_else(messages, text, marks):
    example = chat_example(Letters(), messages)
    assert "".join(map(chr, example.ids)).replace("\n", "/") == text
    assert "".join("_" if learn else " " for learn in example.loss_mask) == marks


def test_the_marks_cover_each_reply_with_its_end():
    for messages, _, _ in CHATS:
        example = chat_example(Letters(), messages)
        learned = "".join(chr(token) for token, learn in zip(example.ids, example.loss_mask) if learn)
        assert learned == "".join(f"{turn['content']}>" for turn in messages if turn["role"] == "assistant")


def test_a_default_system_message_is_read_and_not_learned():
    example = chat_example(Letters(), turns("a", "b"), default_system="be kind")
    same = chat_example(Letters(), [*SYSTEM, *turns("a", "b")])
    assert example == same and example != chat_example(Letters(), turns("a", "b"))


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train("user assistant system good morning my friend hello there\n" * 9, 300, CHATML_TOKENS)


REPLIES = ["hello there", "good morning\nmy friend", "12 . x"]


@pytest.mark.parametrize("reply", REPLIES)
def test_the_prompt_is_a_prefix_of_the_example_token_by_token(tokenizer, reply):
    example, prompt = reply_example(tokenizer, "good morning", reply), chat_prompt(tokenizer, "good morning")
    assert example == chat_example(tokenizer, turns("good morning", reply))
    assert example.ids[: len(prompt)] == prompt == encode_chat(tokenizer, turns("good morning"))
    assert not any(example.loss_mask[: len(prompt)])
    learned = [token for token, learn in zip(example.ids, example.loss_mask) if learn]
    assert learned == [*tokenizer.encode(reply), end_of_turn(tokenizer)], "what is learned is what will be written"
    assert example.ids[len(prompt) + len(learned) :] == tokenizer.encode("\n")
    assert tokenizer.decode([end_of_turn(tokenizer)]) == "<|im_end|>"


def test_in_a_long_conversation_every_prompt_is_a_prefix(tokenizer):
    messages = [*SYSTEM, *turns("hello", "good morning", "my friend", "there")]
    example = chat_example(tokenizer, messages)
    for i in (2, 4):
        prompt = encode_chat(tokenizer, messages[:i])
        assert example.ids[: len(prompt)] == prompt
        assert example.loss_mask[len(prompt)] and not example.loss_mask[len(prompt) - 1]


class Pairs(Letters):
    """Two line breaks are one token."""

    def encode(self, text):
        return super().encode(text.replace("\n\n", "\v"))


def test_a_reply_that_the_tokenizer_joins_with_the_frame_is_refused():
    assert reply_example(Pairs(), "hi", "a\n\nb").loss_mask.count(True) == 4
    with pytest.raises(ValueError, match=r"messages\[1\] begins with white space .* strip it"):
        reply_example(Pairs(), "hi", "\nhello")


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (turns("a", ""), r"messages\[1\] is an empty reply: leave the conversation out"),
        (turns("a", "b", "c", ""), r"messages\[3\] is an empty reply"),
        (turns("a"), "no turn of the assistant"),
        (SYSTEM, "no turn of the assistant"),
        (turns("hello", roles=("assistant", "user")), r"messages\[0\] is an assistant's: begin with what was asked"),
        ([], "messages is empty"),
        ([dict(role="bot", content="x")], "role 'bot'"),
    ],
)
def test_conversations_that_teach_nothing_are_refused(messages, message):
    with pytest.raises(ValueError, match=message):
        chat_example(Letters(), messages)


def test_examples_by_hand_are_checked():
    assert Example([1, 2], [False, True]).ids == [1, 2]
    with pytest.raises(ValueError, match="loss_mask has 1 entries for 2 ids"):
        Example([1, 2], [True])
    with pytest.raises(ValueError, match="nothing in this example would be learned"):
        Example([1, 2], [True, False])  # before the first token there is nothing to predict it from
