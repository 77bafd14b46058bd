"""Record the sweeps of lecture 04: each of Llama's changes alone, three seeds, the same tuning for every contender.

    python experiments/modern_llm.py [depth] [positions] [changes]

About ten minutes of one core in all. Three recordings: `modern_llm_depth` (where the norm stands, over depth and
learning rate), `modern_llm_positions` (loss by position up to four times the trained length) and `modern_llm_changes`
(one change at a time from GPT-2's recipe to Llama's).
"""

import statistics
import sys
from dataclasses import asdict

import torch
import torch.nn.functional as F

from llmlib.data import save_recorded, split_text, tiny_shakespeare
from llmlib.model import ModelConfig, Transformer, count_parameters
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer, evaluate_loss

SEEDS = (0, 1, 2)
MODULES = ["llmlib.model.transformer", "llmlib.model.layers", "llmlib.model.rope", "llmlib.train.loop"]
JUDGED = 48 * 1024  # characters of held-out text that every model is judged on


def gpt2_like(vocab_size: int, n_layers: int, d_model: int, n_heads: int, context: int) -> ModelConfig:
    """GPT-2's recipe at toy size. Its initial deviation, 0.02 at width 768, goes with 1/sqrt(width)."""
    return ModelConfig(
        vocab_size=vocab_size, n_layers=n_layers, d_model=d_model, n_heads=n_heads, max_seq_len=context,
        norm="layernorm", mlp="gelu", position="learned", bias=False, init_std=0.02 * (768 / d_model) ** 0.5,
    )  # fmt: skip


def trained(config: ModelConfig, recipe: TrainConfig, text: torch.Tensor) -> Transformer:
    """A model trained from a seed that fixes its first weights and its batches."""
    torch.manual_seed(recipe.seed)
    model = Transformer(config)
    Trainer(model, recipe, text).run()
    return model


def depth(vocab_size: int, train: torch.Tensor, val: torch.Tensor) -> dict:
    """Held-out loss of pre- and post-norm models over depth and learning rate; post-norm also with a warm-up."""
    recipe = TrainConfig(steps=150, batch_size=16, seq_len=32, lr=1e-3, device="cpu", progress=False)
    arms = {"pre": ("pre", 0, (2, 4, 8, 16)), "post": ("post", 0, (2, 4, 8, 16)), "post, warm-up": ("post", 50, (16,))}
    rows = []
    for arm, (position, warmup, depths) in arms.items():
        for n_layers in depths:
            for lr in (3e-3, 1e-2, 3e-2):
                losses = []
                for seed in SEEDS:
                    config = gpt2_like(vocab_size, n_layers, 32, 4, 32).replace(norm_position=position)
                    model = trained(config, recipe.replace(lr=lr, seed=seed, warmup_steps=warmup), train)
                    losses.append(round(evaluate_loss(model, val[:JUDGED], seq_len=32), 4))
                rows.append({"arm": arm, "layers": n_layers, "lr": lr, "val_loss": losses})
                print(rows[-1], flush=True)
    return {"recipe": asdict(recipe), "rows": rows}


@torch.no_grad()
def loss_by_position(model: Transformer, tokens: torch.Tensor, length: int, bins: int = 32) -> list[float]:
    """Mean loss in `bins` equal stretches of windows of `length` tokens."""
    n = (len(tokens) - 1) // length
    x, y = tokens[: n * length].view(n, length), tokens[1 : n * length + 1].view(n, length)
    losses = torch.cat(
        [F.cross_entropy(model(a).transpose(1, 2), b, reduction="none") for a, b in zip(x.split(32), y.split(32))]
    )
    return [round(value, 4) for value in losses.mean(0).view(bins, -1).mean(1).tolist()]


def positions(vocab_size: int, train: torch.Tensor, val: torch.Tensor) -> dict:
    """Trained on windows of 64 characters, read on windows of 256, for four ways of telling positions apart."""
    trained_on, read_at = 64, 256
    recipe = TrainConfig(
        steps=300, batch_size=16, seq_len=trained_on, lr=6e-3, warmup_steps=20, device="cpu", progress=False
    )
    curves: dict[str, list] = {}
    for position in ("learned", "sinusoidal", "rope", "none"):
        for seed in SEEDS:
            # The table gets a row for every position it will be read at; training only ever reaches the first 64.
            config = gpt2_like(vocab_size, 2, 64, 4, read_at).replace(position=position)
            model = trained(config, recipe.replace(seed=seed), train)
            curves.setdefault(position, []).append(loss_by_position(model, val[:JUDGED], read_at))
            print(position, seed, curves[position][-1][::4], flush=True)
            if position == "rope":  # the same weights, read with a slower clock ("NTK-aware" scaling for four times)
                slower = Transformer(config.replace(rope_theta=1e4 * (read_at / trained_on) ** (16 / 14)))
                slower.load_state_dict(model.state_dict())
                curves.setdefault("rope, slower", []).append(loss_by_position(slower, val[:JUDGED], read_at))
                print("rope, slower", seed, curves["rope, slower"][-1][::4], flush=True)
    return {"recipe": asdict(recipe), "trained_on": trained_on, "read_at": read_at, "curves": curves}


CHANGE_RATES = (3e-3, 6e-3, 1.2e-2, 2.4e-2)
CHANGES: dict[str, dict] = {
    "GPT-2's recipe": {},
    "ReLU": {"mlp": "relu"},
    "SwiGLU": {"mlp": "swiglu", "d_ff": 128},  # 3 x 128 x 48 weights, as many as 2 x 192 x 48
    "RMSNorm": {"norm": "rmsnorm"},
    "RoPE": {"position": "rope"},
    "2 key heads for 6": {"n_kv_heads": 2},
    "all of Llama's": {"mlp": "swiglu", "d_ff": 128, "norm": "rmsnorm", "position": "rope", "n_kv_heads": 2},
}


def changes(vocab_size: int, train: torch.Tensor, val: torch.Tensor) -> dict:
    """Held-out loss with one change at a time, each at four learning rates."""
    recipe = TrainConfig(steps=240, batch_size=8, seq_len=64, lr=1e-3, warmup_steps=20, device="cpu", progress=False)
    base = gpt2_like(vocab_size, 3, 48, 6, 64)
    rows = []
    for name, change in CHANGES.items():
        config = base.replace(**change)
        for lr in CHANGE_RATES:
            losses = []
            for seed in SEEDS:
                model = trained(config, recipe.replace(lr=lr, seed=seed), train)
                losses.append(round(evaluate_loss(model, val[:JUDGED], seq_len=64), 4))
            rows.append({"change": name, "lr": lr, "val_loss": losses, "parameters": count_parameters(config)})
            print(rows[-1], flush=True)
    spread = statistics.mean(statistics.stdev(row["val_loss"]) for row in rows)
    print(f"typical deviation between seeds: {spread:.4f}")
    return {"recipe": asdict(recipe), "rows": rows}


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    for sweep in (depth, positions, changes):
        if len(sys.argv) == 1 or sweep.__name__ in sys.argv[1:]:
            results = sweep(tokenizer.vocab_size, train, val)
            save_recorded(
                f"modern_llm_{sweep.__name__}", results, script="experiments/modern_llm.py", modules=MODULES
            )


if __name__ == "__main__":
    main()
