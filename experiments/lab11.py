"""What lab 11's recordings have in common: demonstrations, a short fine-tuning of the desk's base model, a judge."""

import random
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from llmlib.align import Example, chat_prompt, end_of_turn, pack_examples, reply_example, sample_replies
from llmlib.data import Request, SupportDesk
from llmlib.hub import load_desk
from llmlib.model import Transformer
from llmlib.train import TrainConfig, Trainer, next_token_loss

DESK = SupportDesk(0)
BASE, TOKENIZER = load_desk()
END = end_of_turn(TOKENIZER)
UPDATES, ROWS, RATE, LONGEST_REPLY, SEQ_LEN = 60, 16, 6e-3, 48, 128
Batch = dict[str, Tensor]


def examples_of(demonstrations: Sequence[tuple[Request, str]]) -> list[Example]:
    return [reply_example(TOKENIZER, request.text, reply) for request, reply in demonstrations]


def documents(n: int, name: str) -> list[Example]:
    """Transcripts as they come, every token a target."""
    begin = TOKENIZER.special_tokens["<|endoftext|>"]
    texts = [[begin, *TOKENIZER.encode(text)] for text in DESK.transcripts(n, random.Random(name))]
    return [Example(ids, [True] * len(ids)) for ids in texts if len(ids) <= SEQ_LEN]


HELD_OUT_TEXT = pack_examples(documents(100, "held-out text"), SEQ_LEN)


def loss_on(model: Transformer, batch: Batch) -> float:
    """Nats per target."""
    with torch.no_grad():
        total, count = next_token_loss(model, batch)
    return float(total / count)


def shuffled(n: int, size: int, updates: int, seed: int) -> list[list[int]]:
    """Which of n examples each of the updates reads: epoch after epoch, none left out."""
    order = torch.Generator().manual_seed(seed)
    stream: list[int] = []
    while len(stream) < size * updates:
        stream += torch.randperm(n, generator=order).tolist()
    return [stream[i * size : (i + 1) * size] for i in range(updates)]


def fine_tune(batches: Sequence[Batch], seed: int, lr: float = RATE) -> tuple[Transformer, list[float]]:
    """The base model after one update for each batch, and the training losses."""
    model = deepcopy(BASE).train()
    recipe = TrainConfig(
        steps=len(batches), lr=lr, schedule="cosine", warmup_steps=5, weight_decay=0.0, device="cpu", seed=seed,
        progress=False,
    )  # fmt: skip
    history = Trainer(model, recipe, list(batches)).run()
    return model.eval(), list(history.train_loss)


def replies_of(model: Transformer, requests: Sequence[Request], end: int = END) -> tuple[list[str], list[bool]]:
    """A reply to each request, sampled at temperature 1, and whether it came to an end."""
    prompts = [chat_prompt(TOKENIZER, request.text) for request in requests]
    rollout = sample_replies(model, prompts, end, LONGEST_REPLY, generator=torch.Generator().manual_seed(1))
    return [TOKENIZER.decode(reply).strip() for reply in rollout.replies], rollout.finished.tolist()


def share(values: Sequence[bool]) -> float:
    return round(100 * sum(values) / len(values), 1)
