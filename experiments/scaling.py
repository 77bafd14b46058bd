"""What the experiments of lecture 08 share: prose as bytes, a family of models, and one run to the end of its schedule.

Bytes instead of tokens, because a run may read no byte twice and there are only 12 million of them.
"""

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from llmlib.data import flaws_of, prose, split_documents
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig, Trainer, evaluate_loss

VOCAB_SIZE, CONTEXT = 256, 128
SOURCES = ("wikipedia", "wikipedia-sections", "wikipedia-articles", "tales", "novels")
SHARES = {"train": 0.94, "choose": 0.03, "report": 0.03}
JUDGED = 1024 * CONTEXT + 1  # held-out bytes that every run is judged on
SHAPES = (  # width and layers, about 2.2 times as many parameters each
    (8, 1), (12, 2), (16, 2), (24, 2), (32, 3), (48, 3), (64, 4), (96, 4), (128, 5),
)  # fmt: skip
MODULES = [
    "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.layers", "llmlib.train.loop",
    "llmlib.train.adamw", "llmlib.train.schedules", "llmlib.data.prose", "llmlib.data.cleaning",
    "experiments/scaling.py",
]  # fmt: skip


def texts() -> dict[str, Tensor]:
    """Bytes to train on, to choose rates by, and to report: whole documents in one random order, a zero after each."""
    torch.set_num_threads(1)
    documents = prose(*SOURCES)
    out = flaws_of(documents, trusted=("tales", "novels"))
    parts = split_documents([d for i, d in enumerate(documents) if i not in out], SHARES)
    splits = {}
    for name, part in parts.items():
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0)).tolist()
        joined = b"".join(part[i].text.encode() + b"\0" for i in order)
        splits[name] = torch.frombuffer(bytearray(joined), dtype=torch.uint8)
    return {name: split if name == "train" else split[:JUDGED] for name, split in splits.items()}


def shape(width: int, layers: int) -> ModelConfig:
    """A small Llama; one head for every 32 of the width, about."""
    heads = max(1, round(width / 32))
    std = 0.02 * (768 / width) ** 0.5  # as deviations go with the width: 0.02 at GPT-2's
    return ModelConfig(VOCAB_SIZE, layers, width, heads, d_ff=8 * round(width / 3), max_seq_len=CONTEXT, init_std=std)


def parameters(config: ModelConfig) -> int:
    """N, with the table of the embedding, which is the output head as well: so 6 N operations a token are right."""
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(config).parameters())


def rows_per_update(tokens: int) -> int:
    """Rows of CONTEXT bytes: as the root of the run's length, 4 for 64,000 bytes and 32 for 4 million."""
    return max(2, round(4 * (tokens / 64_000) ** 0.5))


def one_pass(train: Tensor, tokens: int, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The first `tokens` bytes, each predicted once: windows side by side, in a random order."""
    n = tokens // CONTEXT
    if n * CONTEXT + 1 > len(train):
        raise ValueError(f"tokens={tokens} is more than the {len(train)} bytes there are: a byte would be read twice")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    for start in range(0, n - rows + 1, rows):
        places = order[start : start + rows, None] * CONTEXT + torch.arange(CONTEXT + 1)
        window = train[places].long()
        yield window[:, :-1], window[:, 1:]


def muon_rates(n: int, times: float = 1.0) -> dict:
    """Rates for n parameters: tuned at four sizes, see the sweep's first part."""
    rate = times * (46_000 / n) ** 0.25
    return dict(
        optimizer="muon", lr=0.04 * rate, embedding_lr=0.05 * rate, vector_lr=0.01 * rate, betas=(0.8, 0.95)
    )  # fmt: skip


def recipe(tokens: int, seed: int = 0, **changes: object) -> TrainConfig:
    """A short warm-up, then straight down to zero at the run's last byte."""
    rows = rows_per_update(tokens)
    steps = tokens // CONTEXT // rows
    settings = dict(
        steps=steps, batch_size=rows, seq_len=CONTEXT, betas=(0.9, 0.98), weight_decay=0.0, schedule="wsd",
        warmup_steps=max(1, steps // 20), decay_fraction=0.95, final_lr=0.0, grad_clip=1.0, seed=seed, device="cpu",
        progress=False,
    )  # fmt: skip
    return TrainConfig(**(settings | changes))


def train_once(model: nn.Module, config: TrainConfig, tokens: int, splits: dict[str, Tensor]) -> dict:
    """Train on the first `tokens` bytes, once; the losses on both held-out splits, in nats a byte."""
    began = time.process_time()
    batches = list(one_pass(splits["train"], tokens, config.batch_size))
    Trainer(model, config, batches).run()
    seconds = round(time.process_time() - began, 1)
    losses = {name: round(evaluate_loss(model, splits[name], CONTEXT), 5) for name in ("choose", "report")}
    return dict(seed=config.seed, lr=config.lr, tokens=tokens, seconds=seconds, **losses)


def run(config: ModelConfig, tokens: int, splits: dict[str, Tensor], seed: int = 0, **rates: object) -> dict:
    """One Transformer, trained to the end; by Muon unless other rates are given."""
    torch.manual_seed(seed)
    n = parameters(config)
    log = train_once(Transformer(config), recipe(tokens, seed, **(rates or muon_rates(n))), tokens, splits)
    return dict(width=config.d_model, layers=config.n_layers, parameters=n, **log)
