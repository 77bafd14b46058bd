"""Record the ablations of lecture 03: every piece of a small GPT left out or changed alone, three seeds each.

    OMP_NUM_THREADS=1 python experiments/gpt_pieces.py [--seeds 0 1 2] [--minutes 60]

About two minutes of one quiet core. Finished runs are kept in build/experiments/, so that a run broken off, or out of
minutes, goes on where it was. Losses are bits per character: fitted on the training split and judged, with nothing
chosen by them, on the report split.

- residual: four layers with and without the addition around attention and MLP, and MLPs without any attention.
- scaling: scores divided by nothing, by the root of the head width or by the head width, from two initialisations.
- heads: one or four heads of the same total width. positions: one and two layers without a position table.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import random_batch, save_recorded, split_text, tiny_shakespeare
from llmlib.model import causal_mask
from llmlib.text import CharTokenizer

CONTEXT, BATCH, WARMUP = 32, 16, 20
FINISHED = Path(__file__).resolve().parents[1] / "build" / "experiments" / "gpt_pieces.json"


class Attention(nn.Module):
    """Causal self-attention whose scores are divided by head_width ** power."""

    def __init__(self, d_model: int, n_heads: int, power: float) -> None:
        super().__init__()
        self.n_heads, self.scale = n_heads, (d_model // n_heads) ** power
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (part(x).view(B, T, self.n_heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        scores = (q @ k.transpose(-2, -1) / self.scale).masked_fill(~causal_mask(T), -math.inf)
        self.weights = scores.softmax(-1)
        return self.o((self.weights @ v).transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    """Attention and MLP, each behind a norm; `keep` says around which of the two the input is added back."""

    def __init__(self, d_model: int, n_heads: int, power: float, keep: str, attend: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.RMSNorm(d_model, eps=1e-5) for _ in range(2))
        self.attention = Attention(d_model, n_heads, power) if attend else None
        self.mlp = nn.Sequential(
            nn.Linear(d_model, 4 * d_model, bias=False), nn.GELU(), nn.Linear(4 * d_model, d_model, bias=False)
        )
        self.around_attention, self.around_mlp = keep in ("both", "attention"), keep in ("both", "mlp")

    def forward(self, x: Tensor) -> Tensor:
        if self.attention is not None:
            x = self.around_attention * x + self.attention(self.norms[0](x))
        return self.around_mlp * x + self.mlp(self.norms[1](x))


class SmallGPT(nn.Module):
    """The lecture's GPT with every piece open to change.

    init: "gpt2" draws all matrices with deviation 0.02; "unit" gives queries and keys entries of variance one instead;
    "torch" leaves the matrices as nn.Linear makes them and draws the embeddings with deviation one.
    """

    def __init__(
        self, n_symbols: int, n_layers: int = 2, d_model: int = 64, n_heads: int = 4, *, power: float = 0.5,
        keep: str = "both", attend: bool = True, positions: bool = True, init: str = "gpt2",
    ) -> None:  # fmt: skip
        super().__init__()
        self.token = nn.Embedding(n_symbols, d_model)
        self.position = nn.Embedding(CONTEXT, d_model) if positions else None
        self.blocks = nn.ModuleList(Block(d_model, n_heads, power, keep, attend) for _ in range(n_layers))
        self.norm, self.head = nn.RMSNorm(d_model, eps=1e-5), nn.Linear(d_model, n_symbols, bias=False)
        if init != "torch":
            for p in self.parameters():
                if p.dim() == 2:
                    nn.init.normal_(p, std=0.02)
        if init == "unit":
            for block in self.blocks:
                for p in (block.attention.q.weight, block.attention.k.weight):
                    nn.init.normal_(p, std=d_model**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids)
        if self.position is not None:
            x = x + self.position.weight[: ids.size(1)]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


DEEP = dict(n_layers=4, d_model=32, init="torch")
ARMS: dict[str, dict] = {
    **{f"residual/{keep}": dict(DEEP, keep=keep) for keep in ("both", "none")},
    "residual/none, no attention": dict(DEEP, keep="none", attend=False),
    **{
        f"scaling/{init}/{name}": dict(n_heads=1, power=power, init=init)
        for init in ("gpt2", "unit")
        for name, power in (("none", 0.0), ("root", 0.5), ("width", 1.0))
    },
    "heads/4": dict(n_heads=4),  # one head is scaling/gpt2/root
    "positions/2 layers without": dict(positions=False),
    "positions/1 layer": dict(n_layers=1),
    "positions/1 layer without": dict(n_layers=1, positions=False),
}
STEPS = {"residual": 240, "scaling": 200, "heads": 200, "positions": 200}
RATES = {"residual": 3e-3, "scaling": 3e-3, "heads": 3e-3, "positions": 3e-3}


@torch.no_grad()
def judge(model: nn.Module, tokens: Tensor) -> float:
    """Bits per character over windows that do not overlap."""
    n = (len(tokens) - 1) // CONTEXT * CONTEXT
    x, y = tokens[:n].view(-1, CONTEXT), tokens[1 : n + 1].view(-1, CONTEXT)
    parts = [F.cross_entropy(model(a).transpose(1, 2), b, reduction="sum") for a, b in zip(x.split(256), y.split(256))]
    return float(sum(parts)) / n / math.log(2)


def run(arm: str, seed: int, train: Tensor, report: Tensor, n_symbols: int) -> dict:
    """One training run: its training loss averaged over every 20 steps, and what it reaches on the report split."""
    kind = arm.split("/")[0]
    torch.manual_seed(seed)
    model, generator = SmallGPT(n_symbols, **ARMS[arm]), torch.Generator().manual_seed(seed)
    largest = None
    if kind == "scaling":  # the largest of the last position's 32 weights, before any training, mean over a batch
        with torch.no_grad():
            model(random_batch(train, 64, CONTEXT, torch.Generator().manual_seed(seed))[0])
        largest = model.blocks[0].attention.weights[:, :, -1].amax(-1).mean().item()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATES[kind])
    losses, started = [], time.process_time()
    for step in range(STEPS[kind]):
        for group in optimizer.param_groups:
            group["lr"] = RATES[kind] * min(1.0, (step + 1) / WARMUP)
        x, y = random_batch(train, BATCH, CONTEXT, generator)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / math.log(2))
    curve = torch.tensor(losses).view(-1, 20).mean(1).tolist()
    return {
        "seed": seed, "bits": round(judge(model, report), 4), "curve": [round(bits, 3) for bits in curve],
        "largest_weight": largest and round(largest, 4), "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(time.process_time() - started, 1),
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description="The ablations of lecture 03.")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--minutes", type=float, default=60, help="stop after the run that exceeds them")
    args = options.parse_args()
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_text, rest = split_text(text, 0.1)
    report_text = split_text(rest, 0.5)[1]
    train, report = (torch.tensor(tokenizer.encode(part)) for part in (train_text, report_text))
    results: dict[str, list] = json.loads(FINISHED.read_text("utf-8")) if FINISHED.exists() else {}
    FINISHED.parent.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    for seed in args.seeds:
        for arm in ARMS:
            if any(row["seed"] == seed for row in results.get(arm, [])):
                continue
            if time.process_time() - started > 60 * args.minutes:
                print("out of minutes: start it again to go on")
                return
            results.setdefault(arm, []).append(run(arm, seed, train, report, tokenizer.vocab_size))
            row = results[arm][-1]
            print(f"{arm:30} seed {seed}: {row['bits']:.3f} bits, {row['seconds']:.0f} s", flush=True)
            FINISHED.write_text(json.dumps(results), encoding="utf-8")
    save_recorded(
        "gpt_pieces",
        {"arms": results, "steps": STEPS, "every": 20},
        script="experiments/gpt_pieces.py",
        modules=["llmlib.data.batches", "llmlib.data.corpora"],
    )


if __name__ == "__main__":
    main()
