"""Supervised fine-tuning: conversations as tokens, with a mask over what the assistant has to write. Lecture 11.

A conversation becomes an `Example`: its ids, and for each whether it is a target. `pad_examples` and `pack_examples`
make batches of them that the Trainer's default loss takes, because fine-tuning is next-token prediction with fewer
targets: `sft_loss` with a mask of ones is the loss of pre-training.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llmlib.data.batches import IGNORE
from llmlib.text import encode_chat
from llmlib.text.chat import CHATML_TOKENS, ChatTokenizer, Message
from llmlib.train.losses import mean_cross_entropy

from .padding import padded


@dataclass(frozen=True)
class Example:
    """Token ids, and for each whether it is to be predicted; the first n_prompt are the prompt of its last reply."""

    ids: list[int]
    loss_mask: list[bool]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.loss_mask):
            raise ValueError(f"loss_mask has {len(self.loss_mask)} entries for {len(self.ids)} ids: give one for each")
        if not any(self.loss_mask[1:]):
            raise ValueError("loss_mask has no True after the first token: nothing in this example would be learned")


def chat_example(
    tokenizer: ChatTokenizer, messages: Sequence[Message], template: str = "chatml", default_system: str | None = None
) -> Example:
    """A conversation with the assistant's words, and the end token after them, as targets; of every assistant turn.

    What the user and the system say, the roles and the line break behind a turn are read, not learned. The prompt that
    a model will see is a prefix of the example, token by token. ValueError for a conversation without an assistant's
    turn, for an empty reply and for one that the tokenizer would join with the frame before it.
    """
    options = dict(template=template, default_system=default_system)
    ids = encode_chat(tokenizer, messages, add_generation_prompt=False, **options)
    behind = len(tokenizer.encode("\n"))
    mask = [False] * len(ids)
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        if not message["content"]:
            raise ValueError(f"messages[{i}] is an empty reply: leave the conversation out, or it teaches silence")
        if i == 0:
            raise ValueError("messages[0] is an assistant's: begin with what was asked")
        prompt = encode_chat(tokenizer, messages[:i], **options)
        whole = encode_chat(tokenizer, messages[: i + 1], add_generation_prompt=False, **options)
        if whole[: len(prompt)] != prompt:
            raise ValueError(f"messages[{i}] begins with white space that belongs to the frame's last token: strip it")
        mask[len(prompt) : len(whole) - behind] = [True] * (len(whole) - behind - len(prompt))
    if not any(mask):
        raise ValueError("messages holds no turn of the assistant: there is nothing to learn from it")
    return Example(ids, mask)


def reply_example(tokenizer: ChatTokenizer, request: str, reply: str) -> Example:
    """One question and its answer: `chat_example` of two messages."""
    return chat_example(
        tokenizer, [{"role": "user", "content": request}, {"role": "assistant", "content": reply}]
    )  # fmt: skip


def chat_prompt(tokenizer: ChatTokenizer, request: str) -> list[int]:
    """The ids after which a model writes its reply to one message; it ends with `end_of_turn(tokenizer)`."""
    return encode_chat(tokenizer, [{"role": "user", "content": request}])


def end_of_turn(tokenizer: ChatTokenizer) -> int:
    """The id of "<|im_end|>", the token that ends a reply."""
    return tokenizer.special_tokens[CHATML_TOKENS[1]]


def sft_loss(logits: Tensor, ids: Tensor, loss_mask: Tensor) -> Tensor:
    """Mean of -log p(ids[t] | ids[<t]) over all t >= 1 with loss_mask[t]: a scalar, in nats per token. Lecture 11.

    logits: (B, T, V) of the model that read ids (B, T); loss_mask: (B, T) bool or 0/1, True for the tokens to be
    learned, not for the places that predict them: the shift by one happens here. The first token has nothing before it
    and is never a target. With a mask of ones it is pre-training's loss. ValueError for a mask without any target.
    """
    if ids.shape != loss_mask.shape or logits.shape[:2] != ids.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)}, ids {tuple(ids.shape)} and loss_mask {tuple(loss_mask.shape)} "
            "do not fit: give (B, T, V), (B, T) and (B, T)"
        )
    return mean_cross_entropy(logits[:, :-1], ids.masked_fill(~loss_mask.bool(), IGNORE)[:, 1:])


def pad_examples(examples: Sequence[Example], pad_id: int = 0) -> dict[str, Tensor]:
    """Examples as a batch for `next_token_loss`: one a row, padded on the right. -> "ids", "targets", "pad_mask"."""
    ids, pad_mask = padded([example.ids for example in examples], pad_id)
    targets, _ = padded([[*_targets(example).tolist(), IGNORE] for example in examples], IGNORE)
    return {"ids": ids, "targets": targets, "pad_mask": pad_mask}


def pack_examples(examples: Iterable[Example], seq_len: int, pad_id: int = 0) -> dict[str, Tensor]:
    """Examples side by side in rows of seq_len, without cross-talk. -> "ids", "targets", "segments" (rows, seq_len).

    Each goes whole into the first row with room (first fit). `segments` numbers the examples of a row, so that the
    model gives each its own positions and lets none see another; it is -1 in what is left over. The last token of an
    example predicts nothing. ValueError for an example longer than seq_len.
    """
    rows: list[list[Example]] = []
    room: list[int] = []
    for number, example in enumerate(examples):
        n = len(example.ids)
        if n > seq_len:
            raise ValueError(
                f"example {number} has {n} tokens, seq_len={seq_len}: shorten or leave it out, or use more"
            )
        place = next((i for i, left in enumerate(room) if left >= n), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(seq_len)
        rows[place].append(example)
        room[place] -= n
    ids = torch.full((len(rows), seq_len), pad_id)
    targets = torch.full_like(ids, IGNORE)
    segments = torch.full_like(ids, -1)
    for row, packed in enumerate(rows):
        start = 0
        for number, example in enumerate(packed):
            end = start + len(example.ids)
            ids[row, start:end] = torch.tensor(example.ids)
            targets[row, start : end - 1] = _targets(example)
            segments[row, start:end] = number
            start = end
    return {"ids": ids, "targets": targets, "segments": segments}


def _targets(example: Example) -> Tensor:
    """(T - 1,): what each token but the last predicts, -100 where the next one is no target."""
    ids, mask = torch.tensor(example.ids), torch.tensor(example.loss_mask)
    return ids.masked_fill(~mask, IGNORE)[1:]
