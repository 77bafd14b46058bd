"""What the recordings of lecture 06 share: the text, the models, a run that watches its routers. They are moe_*.py."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from llmlib.data import split_text, tiny_shakespeare
from llmlib.model import ModelConfig, MoEConfig, Transformer, record
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer, evaluate_loss

MODULES = ["llmlib.model.mixture", "llmlib.model.transformer", "llmlib.train.loop", "experiments/moe_models.py"]
JUDGED = 48 * 1024  # characters of held-out text that every model is judged on
CONTEXT, EXPERTS, TOP_K, D_EXPERT, LAYERS = 64, 8, 2, 96, 2
SEEDS = (0, 1, 2)
START = 0.02 * (768 / 64) ** 0.5  # deviation of the first weights: 0.02 at width 768, and 1/sqrt(width)
ROUTER_START = 0.02
RECIPE = TrainConfig(
    steps=200, batch_size=16, seq_len=CONTEXT, lr=1e-2, warmup_steps=20, device="cpu", progress=False
)  # fmt: skip
AUXILIARY = 0.02


def texts() -> tuple[CharTokenizer, Tensor, Tensor, Tensor]:
    """Tiny Shakespeare by characters: its tokenizer; the text to train, to choose and to report on."""
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_text, rest = split_text(text, 0.1)
    train, *others = (torch.tensor(tokenizer.encode(part)) for part in (train_text, *split_text(rest, 0.5)))
    return tokenizer, train, *(part[:JUDGED] for part in others)


def dense(vocab_size: int, d_ff: int = TOP_K * D_EXPERT, start: float = START) -> ModelConfig:
    """A model with one feed-forward network a block; by default as wide as the experts that a token meets."""
    return ModelConfig(
        vocab_size=vocab_size, n_layers=LAYERS, d_model=64, n_heads=4, max_seq_len=CONTEXT, d_ff=d_ff, init_std=start
    )  # fmt: skip


def mixture(vocab_size: int, balancing: str, start: float = START, **options: float) -> ModelConfig:
    """The same with eight experts of width 96, two a token."""
    options = {"auxiliary_weight": AUXILIARY} | options
    moe = MoEConfig(n_experts=EXPERTS, top_k=TOP_K, d_expert=D_EXPERT, balancing=balancing, **options)
    return dense(vocab_size, start=start).replace(moe=moe)


def built(config: ModelConfig, seed: int, router_start: float = ROUTER_START) -> Transformer:
    """A model whose first weights the seed fixes, the routers' with a deviation of their own."""
    torch.manual_seed(seed)
    model = Transformer(config)
    if config.moe is not None:
        with torch.no_grad():
            for block in model.blocks:
                block.mlp.router.weight.normal_(0.0, router_start)
    return model


@dataclass
class Watched:
    """What a training run showed: one entry an update and layer of shares (1 is fair), dropped share and logits."""

    load: list[list[list[float]]] = field(default_factory=list)
    dropped: list[list[float]] = field(default_factory=list)
    logit: list[list[float]] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0


def train(model: Transformer, recipe: TrainConfig, text: Tensor) -> Watched:
    """Train the model in the library's loop and watch its routers, if it has any."""
    seen_at = Watched()
    with ExitStack() as stack:
        callbacks = []
        if model.config.moe is not None:
            parts = [f"blocks.*.mlp.{part}" for part in ("load", "dropped", "router")]
            seen = stack.enter_context(record(model, *parts))
            rows = lambda part: [seen[f"blocks.{layer}.mlp.{part}"] for layer in range(LAYERS)]

            def watch(trainer: Trainer, event: str) -> None:
                if event == "step":
                    seen_at.load.append([(row * EXPERTS).tolist() for row in rows("load")])
                    seen_at.dropped.append([row.item() for row in rows("dropped")])
                    seen_at.logit.append([row.abs().amax(-1).mean().item() for row in rows("router")])

            callbacks = [watch]
        history = Trainer(model, recipe, text, callbacks=callbacks).run()
    seen_at.loss, seen_at.seconds = history.train_loss, history.training_seconds
    return seen_at


@torch.inference_mode()
def judged(model: Transformer, text: Tensor) -> dict:
    """On held-out text: loss, and of each layer's router the load (1 is fair), the entropy and the size of logits."""
    found: dict = {"loss": round(evaluate_loss(model, text, seq_len=CONTEXT), 4)}
    if model.config.moe is None:
        return found
    parts = [f"blocks.*.mlp.{part}" for part in ("load", "entropy", "router")]
    with record(model.eval(), *parts) as seen:
        model(text.view(-1, CONTEXT))
    of = lambda part: [seen[f"blocks.{layer}.mlp.{part}"] for layer in range(LAYERS)]
    found["load"] = [[round(share * EXPERTS, 3) for share in row.tolist()] for row in of("load")]
    found["least"] = [min(row) for row in found["load"]]
    found["starved"] = [sum(share < 0.1 for share in row) for row in found["load"]]
    found["entropy"] = [round(row.item(), 3) for row in of("entropy")]
    found["logit_max"] = [round(row.abs().amax(-1).mean().item(), 3) for row in of("router")]
    found["logsumexp"] = [round(row.logsumexp(-1).square().mean().sqrt().item(), 3) for row in of("router")]
    return found


def thinned(values: list, every: int) -> list:
    """Means over `every` updates, entries of nested lists each for themselves."""
    return torch.tensor(values)[: len(values) // every * every].unflatten(0, (-1, every)).mean(1).tolist()


def rounded(value: float | list, digits: int = 3) -> float | list:
    return [rounded(each, digits) for each in value] if isinstance(value, list) else round(value, digits)
