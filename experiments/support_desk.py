"""What the experiments of lectures 11 to 13 share: one model of 0.13 million parameters on its way to an assistant.

Stages: `pretrain` on the desk's transcripts, `fine_tune` on demonstrations; support_rewards.py goes on from there.
`judge` measures what the desk itself knows, the gold reward, on requests that no stage has seen.
"""

import copy
import random
from collections.abc import Sequence
from statistics import mean

import torch

from llmlib.align import (
    Example,
    chat_prompt,
    end_of_turn,
    pack_examples,
    pad_examples,
    reply_example,
    sample_replies,
)
from llmlib.align.rollouts import Rollout
from llmlib.data import Request, SupportDesk
from llmlib.data.support_desk import GROUPS
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, Trainer

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCAB_SIZE, CONTEXT, ROW, LONGEST_REPLY = 512, 192, 128, 48
TRANSCRIPTS, UPDATES = 12_000, 1000
DEMONSTRATIONS, QUALITY = 200, 0.2
HELD_OUT = 200  # requests of each group
COMPARED = ("demonstrated", "compared")  # what rankings and PPO's prompts are about
MODULES = [
    "llmlib.model.transformer", "llmlib.model.attention", "llmlib.train.loop", "llmlib.data.support_desk",
    "llmlib.data.support_phrases", "llmlib.align.sft", "llmlib.align.padding", "llmlib.align.rollouts",
    "experiments/support_desk.py",
]  # fmt: skip


def draws(stage: str, seed: int) -> random.Random:
    """Random numbers of one stage's own: no two stages see the same requests."""
    return random.Random(f"{stage} {seed}")


def base_prompt(tokenizer: BPETokenizer, request: Request) -> list[int]:
    """The request as the transcripts have it, up to where an agent's reply begins; the reply ends with its line."""
    end_of_text = tokenizer.special_tokens[SPECIAL[0]]
    return [end_of_text, *tokenizer.encode(f"Customer:\n{request.text}\nAgent:\n")]


def end_of_line(tokenizer: BPETokenizer) -> int:
    return tokenizer.encode("\n")[0]


def pretrain(desk: SupportDesk, seed: int, updates: int = UPDATES, width: int = 64) -> tuple[Transformer, BPETokenizer]:
    """A base model: it has read what customers and agents wrote, and nothing else. A minute of one core."""
    texts = desk.transcripts(TRANSCRIPTS, draws("transcripts", seed))
    tokenizer = BPETokenizer.train(texts[:3000], VOCAB_SIZE, special_tokens=list(SPECIAL))
    start = tokenizer.special_tokens[SPECIAL[0]]
    documents = [[start, *tokenizer.encode(text)] for text in texts]
    config = ModelConfig(
        VOCAB_SIZE, 2, width, width // 16, d_ff=width * 21 // 8, max_seq_len=CONTEXT,
        init_std=0.02 * (768 / width) ** 0.5,
    )  # fmt: skip
    return pretrain_on(documents, config, seed, updates), tokenizer


def pretrain_on(documents: Sequence[list[int]], config: ModelConfig, seed: int, updates: int) -> Transformer:
    """A model that has read documents packed into rows, 16 at random an update; the longest ones are left out."""
    rows = pack_examples([Example(ids, [True] * len(ids)) for ids in documents if len(ids) <= ROW], ROW)

    def batch(number: int) -> dict:
        chosen = torch.randint(len(rows["ids"]), (16,), generator=torch.Generator().manual_seed(1000 * seed + number))
        return {name: tensor[chosen] for name, tensor in rows.items()}

    torch.manual_seed(seed)
    model = Transformer(config)
    recipe = TrainConfig(
        steps=updates, batch_size=16, seq_len=ROW, optimizer="muon", lr=0.02, embedding_lr=0.02, vector_lr=0.005,
        betas=(0.8, 0.95), schedule="wsd", warmup_steps=20, decay_fraction=0.5, final_lr=0.0, seed=seed, device="cpu",
        progress=False,
    )  # fmt: skip
    Trainer(model, recipe, batch).run()
    return model


def adapt(model: torch.nn.Module, batches: Sequence, lr: float, **options: object) -> list[float]:
    """Some passes of AdamW over batches, the rate warmed up and then taken down; the losses."""
    recipe = TrainConfig(
        steps=len(batches), lr=lr, weight_decay=0.0, warmup_steps=min(10, len(batches) - 1), final_lr=0.05,
        device="cpu", progress=False,
    )  # fmt: skip
    return Trainer(model, recipe, list(batches), **options).run().train_loss


def shuffled(examples: Sequence[Example], size: int, epochs: int, seed: int) -> list[dict]:
    """Padded batches of examples in a new order each epoch."""
    rng = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(examples), generator=rng) for _ in range(epochs)]
    return [pad_examples([examples[i] for i in part.tolist()]) for order in orders for part in order.split(size)]


def fine_tune(
    base: Transformer, tokenizer: BPETokenizer, desk: SupportDesk, seed: int, n: int = DEMONSTRATIONS,
    quality: float = QUALITY, epochs: int = 8, lr: float = 1.5e-3,
) -> Transformer:  # fmt: skip
    """The base model after n demonstrations, eight times each. Four seconds."""
    shown = desk.demonstrations(n, draws("demonstrations", seed), quality)
    examples = [reply_example(tokenizer, request.text, reply) for request, reply in shown]
    model = copy.deepcopy(base)
    adapt(model, shuffled(examples, 16, epochs, seed), lr)
    return model


def prompts_of(tokenizer: BPETokenizer, requests: Sequence[Request]) -> list[list[int]]:
    return [chat_prompt(tokenizer, request.text) for request in requests]


def write(
    model: Transformer, prompts: Sequence[list[int]], end: int, seed: int = 0, greedy: bool = False, at_once: int = 512
) -> list[list[int]]:
    """A reply to each prompt, as ids."""
    generator = torch.Generator().manual_seed(seed)
    parts: list[Rollout] = [
        sample_replies(model, prompts[i : i + at_once], end, LONGEST_REPLY, greedy=greedy, generator=generator)
        for i in range(0, len(prompts), at_once)
    ]
    return [reply for part in parts for reply in part.replies]


def held_out(desk: SupportDesk, part: str = "report") -> dict[str, list[Request]]:
    """Requests of each group that no stage is trained on; those of "choose" are for choosing settings."""
    return {group: desk.requests(HELD_OUT, draws(f"{part} {group}", 0), (group,)) for group in GROUPS}


def judge(
    desk: SupportDesk, tokenizer: BPETokenizer, model: Transformer, requests: dict[str, list[Request]], seed: int = 0,
    base: bool = False,
) -> dict[str, list[float]]:  # fmt: skip
    """Gold rewards of a model's replies by group, sampled at temperature 1 and (" greedy") greedily."""
    end = end_of_line(tokenizer) if base else end_of_turn(tokenizer)
    found = {}
    for group, each in requests.items():
        prompts = [base_prompt(tokenizer, request) for request in each] if base else prompts_of(tokenizer, each)
        for greedy in (False, True):
            texts = [tokenizer.decode(reply) for reply in write(model, prompts, end, seed, greedy)]
            name = f"{group} greedy" if greedy else group
            found[name] = [round(desk.gold(request, text), 4) for request, text in zip(each, texts, strict=True)]
    return found


def wins(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """1 where a is better, 0 where b is, 1/2 for ties."""
    return [(x > y) + 0.5 * (x == y) for x, y in zip(a, b, strict=True)]


def means(found: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(mean(values), 3) for name, values in found.items()}
