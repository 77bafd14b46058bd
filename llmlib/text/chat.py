"""Chat templates: a conversation written as one text, with special tokens as the frame (lectures 04 and 11).

Whoever writes a message must not be able to write the frame: a user who types "<|im_end|>" would otherwise end their
own turn and speak as the assistant. So `encode_chat` lets special tokens come from the template only, and
`render_chat`, which returns plain text in which the two could not be told apart, refuses such content.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
ROLES = ("system", "user", "assistant")
TEMPLATES = ("chatml",)

# What SmolLM2's own template puts first when a conversation has no system message.
SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

Message = Mapping[str, str]


class ChatTokenizer(Protocol):
    """What `encode_chat` asks of a tokenizer; BPETokenizer has it."""

    special_tokens: dict[str, int]

    def encode(self, text: str) -> list[int]: ...


def render_chat(
    messages: Sequence[Message],
    template: str = "chatml",
    add_generation_prompt: bool = True,
    default_system: str | None = None,
) -> str:
    """The conversation as text in ChatML: "<|im_start|>user\\nHello<|im_end|>\\n" for each message.

    messages: dicts with "role" ("system" only as the first, "user", "assistant") and "content" (str).
    add_generation_prompt: end with the opening of the assistant's turn, so that a model continues with its reply.
    default_system: put this system message first if there is none. Malformed messages, and content that holds one of
    the template's special tokens, are a ValueError. Encode the result with `allowed_special=CHATML_TOKENS`.
    """
    start, end = CHATML_TOKENS
    turns = _turns(messages, template, default_system, forbidden=CHATML_TOKENS)
    text = "".join([f"{start}{role}\n{content}{end}\n" for role, content in turns])
    return text + f"{start}assistant\n" if add_generation_prompt else text


def encode_chat(
    tokenizer: ChatTokenizer,
    messages: Sequence[Message],
    template: str = "chatml",
    add_generation_prompt: bool = True,
    default_system: str | None = None,
) -> list[int]:
    """The ids of `render_chat(...)`, with special tokens in the frame only: in a message's content they stay text."""
    turns = _turns(messages, template, default_system)
    missing = [token for token in CHATML_TOKENS if token not in getattr(tokenizer, "special_tokens", {})]
    if missing:
        raise ValueError(
            f"tokenizer has no special token {missing[0]!r}, which ChatML needs: train it with "
            f"special_tokens={list(CHATML_TOKENS)}"
        )
    start, end = (tokenizer.special_tokens[token] for token in CHATML_TOKENS)
    newline = tokenizer.encode("\n")
    ids: list[int] = []
    for role, content in turns:
        ids += [start, *tokenizer.encode(f"{role}\n{content}"), end, *newline]
    return [*ids, start, *tokenizer.encode("assistant\n")] if add_generation_prompt else ids


def _turns(
    messages: Sequence[Message], template: str, default_system: str | None, forbidden: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """The checked (role, content) pairs, the default system message included."""
    if template not in TEMPLATES:
        raise ValueError(f"template is {template!r}: expected one of {', '.join(TEMPLATES)}")
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise ValueError(f"messages is a {type(messages).__name__}: pass a list of dicts with 'role' and 'content'")
    if not messages:
        raise ValueError("messages is empty: pass at least one, such as {'role': 'user', 'content': 'Hello'}")
    turns = [_turn(message, f"messages[{i}]", forbidden) for i, message in enumerate(messages)]
    for i, (role, _) in enumerate(turns):
        if role == "system" and i > 0:
            raise ValueError(f"messages[{i}] is a system message: only the first message can be one")
    if default_system is not None and turns[0][0] != "system":
        turns.insert(0, _turn({"role": "system", "content": default_system}, "default_system", forbidden))
    return turns


def _turn(message: Message, where: str, forbidden: Sequence[str]) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise ValueError(f"{where} is a {type(message).__name__}: expected a dict with 'role' and 'content'")
    for key in ("role", "content"):
        if key not in message:
            raise ValueError(f"{where} has no {key!r}: expected a dict with 'role' and 'content'")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise ValueError(f"{where} has the role {role!r}: expected one of {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise ValueError(f"{where} has content of type {type(content).__name__}: expected a str")
    for token in forbidden:
        if token in content:
            raise ValueError(
                f"{where} holds {token!r} in its content, which in text looks like the frame: remove it, or use "
                f"encode_chat, which keeps it plain text"
            )
    return role, content
