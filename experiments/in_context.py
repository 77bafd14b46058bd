"""Record how a small Transformer learns to learn linear functions from examples, for lecture 10.

    OMP_NUM_THREADS=1 python experiments/in_context.py

Every row of a batch is a function of its own, y = w x with w and x drawn from normal distributions, of dimension 3. The
model sees up to ten pairs and predicts the next y (Garg et al., 2022). Recorded: the recipe of the lecture over five
seeds, with its controls; four times as long; one and four layers; and how many different functions training must hold
before the model does it for a new one (Raventós et al., 2023). Then recall of pairs of symbols, with the key beside its
value in one place and with the two in places of their own. Ten minutes of one free core.
"""

import argparse
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from llmlib.data import Experiment
from llmlib.model import ModelConfig, Transformer
from llmlib.train import TrainConfig
from llmlib.train.parameter_groups import build_optimizers

SEEDS, DIMENSION, PAIRS, BATCH, UPDATES, TESTED = (0, 1, 2, 3, 4), 3, 10, 64, 400, 2000
FEW_SEEDS, POOLS = (0, 1, 2), (1, 4, 16, 64, 256, 1024)
SYMBOLS, KEPT, RECALL_UPDATES = 32, 8, 800


def draw(n: int, rng: torch.Generator, pairs: int = PAIRS, pool: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """x (n, pairs + 1, d) and y (n, pairs + 1): a function for each row, of `pool` (functions, d) if there is one."""
    if pool is None:
        w = torch.randn(n, DIMENSION, generator=rng)
    else:
        w = pool[torch.randint(len(pool), (n,), generator=rng)]
    x = torch.randn(n, pairs + 1, DIMENSION, generator=rng)
    return x, (x * w[:, None]).sum(-1)


def as_row(x: Tensor, y: Tensor) -> Tensor:
    """The question (x, 0, 1) and then the pair (x, y, 0), one after the other: (n, 2 * pairs, d + 2)."""
    ask = torch.cat([x, torch.zeros_like(x[..., :1]), torch.ones_like(x[..., :1])], -1)
    tell = torch.cat([x, y[..., None], torch.zeros_like(x[..., :1])], -1)
    return torch.stack([ask, tell], 2).flatten(1, 2)[:, :-1]


def new_model(seed: int, layers: int = 2) -> Transformer:
    """No norm on what goes in and on what comes out, since sizes matter here; no positions, since order does not."""
    model = Transformer(
        ModelConfig(1, layers, 64, 4, d_ff=64, mlp="gelu", position="none", qk_norm=True, tie_embeddings=False)
    )
    model.token_embedding, model.final_norm = torch.nn.Linear(DIMENSION + 2, 64), None
    rng = torch.Generator().manual_seed(seed)
    model.init_weights(rng)
    torch.nn.init.normal_(model.token_embedding.weight, std=0.5, generator=rng)
    return model


def predict(model: Transformer, x: Tensor, y: Tensor) -> Tensor:
    """What the model says at each question, having seen the pairs before it: (n, pairs + 1)."""
    h = model.hidden(embeds=model.token_embedding(as_row(x, y)))
    return model.head(h[:, 0::2])[..., 0]


def optimizers_of(model: Transformer, lr: float = 0.03, rest: float = 0.006) -> list:
    return build_optimizers(
        model,
        TrainConfig(optimizer="muon", lr=lr, embedding_lr=rest, head_lr=rest, vector_lr=rest, weight_decay=0.0),
    )


def step(optimizers: list, update: int, updates: int) -> None:
    """One update; rates rise over 20 updates and fall over the second half."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            first = group.setdefault("first", group["lr"])
            group["lr"] = first * min(1.0, (update + 1) / 20, 2 * (1 - update / updates))
        optimizer.step()
        optimizer.zero_grad()


def train(model: Transformer, seed: int, updates: int = UPDATES, pool: Tensor | None = None) -> None:
    rng, optimizers = torch.Generator().manual_seed(1000 + seed), optimizers_of(model)
    for update in range(updates):
        x, y = draw(BATCH, rng, pool=pool)
        F.mse_loss(predict(model, x, y), y).backward()
        step(optimizers, update, updates)


@torch.no_grad()
def errors(model: Transformer, x: Tensor, y: Tensor, truth: Tensor | None = None) -> list[float]:
    """Mean squared error after 0, 1, 2, ... pairs, as a share of the variance of y."""
    truth = y if truth is None else truth
    found = ((predict(model, x, y) - truth) ** 2).mean(0) / (truth**2).mean()
    return [round(value, 4) for value in found.tolist()]


def ridge(x: Tensor, y: Tensor, strength: float = 1e-3) -> list[float]:
    """The same of ridge regression on the pairs so far, which with strength -> 0 is the best there is without noise."""
    found = []
    for k in range(x.shape[1]):
        past, eye = x[:, :k].double(), strength * torch.eye(DIMENSION, dtype=torch.double)
        w = torch.linalg.solve(past.mT @ past + eye, (past.mT @ y[:, :k, None].double()))
        guess = (x[:, k].double() * w[..., 0]).sum(-1)
        found.append((((guess - y[:, k]) ** 2).mean() / (y**2).mean()).item())
    return [round(value, 4) for value in found]


def swapped(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs that no longer belong together: each x with the y of the pair before it; and the true y."""
    return x, y.roll(1, dims=1), y


def recipe(seed: int, updates: int = UPDATES, layers: int = 2) -> dict:
    """One model, judged on new functions: as trained, on longer rows, larger x, steeper functions and swapped pairs."""
    model = new_model(seed, layers)
    train(model, seed, updates)
    rng = torch.Generator().manual_seed(7)
    x, y = draw(TESTED, rng)
    long = draw(TESTED, rng, pairs=3 * PAIRS)
    found = {
        "seed": seed,
        "updates": updates,
        "layers": layers,
        "model": errors(model, x, y),
        "ridge": ridge(x, y),
        "other function": errors(model, x, torch.cat([draw(TESTED, rng)[1][:, :-1], y[:, -1:]], 1), y),
        "swapped": errors(model, *swapped(x, y)),
        "long": errors(model, *long),
        "larger x": errors(model, 2 * x, 2 * y),
        "steeper": errors(model, x, 2 * y),
    }
    print(found, flush=True)
    return found


def from_pool(seed: int, functions: int) -> dict:
    """Trained on so many different functions alone; judged on those and on new ones."""
    pool = torch.randn(functions, DIMENSION, generator=torch.Generator().manual_seed(50 + seed))
    model = new_model(seed)
    train(model, seed, pool=pool)
    rng = torch.Generator().manual_seed(8)
    found = {"seed": seed, "functions": functions}
    found["known"] = errors(model, *draw(TESTED, rng, pool=pool))
    found["new"] = errors(model, *draw(TESTED, rng))
    print(found, flush=True)
    return found


def recall(seed: int, apart: bool) -> dict:
    """Eight pairs of a key and a value, then a key: the share of right values. apart: key and value in two places."""
    length = 2 * KEPT + 1 if apart else KEPT + 1
    model = Transformer(
        ModelConfig(
            2 * SYMBOLS, 2, 64, 4, max_seq_len=length, position="rope", mlp="gelu", d_ff=128, qk_norm=True,
            tie_embeddings=False,
        )
    )  # fmt: skip
    model.init_weights(torch.Generator().manual_seed(seed))
    rng, optimizers = torch.Generator().manual_seed(2000 + seed), optimizers_of(model, 0.02, 0.01)

    def logits(n: int) -> tuple[Tensor, Tensor]:
        keys = torch.rand(n, SYMBOLS, generator=rng).argsort(1)[:, :KEPT]
        values = torch.randint(SYMBOLS, (n, KEPT), generator=rng)
        at = torch.randint(KEPT, (n, 1), generator=rng)
        asked, answer = keys.gather(1, at), values.gather(1, at)[:, 0]
        if apart:
            ids = torch.cat([torch.stack([keys, SYMBOLS + values], 2).flatten(1), asked], 1)
            return model.head(model.hidden(ids)[:, -1])[:, SYMBOLS:], answer
        rows = model.token_embedding(keys) + model.token_embedding(SYMBOLS + values)
        rows = torch.cat([rows, model.token_embedding(asked)], 1)
        return model.head(model.hidden(embeds=rows)[:, -1])[:, SYMBOLS:], answer

    for update in range(RECALL_UPDATES):
        scores, answer = logits(2 * BATCH)
        F.cross_entropy(scores, answer).backward()
        step(optimizers, update, RECALL_UPDATES)
    with torch.no_grad():
        scores, answer = logits(TESTED)
    right = (scores.argmax(1) == answer).float().mean().item()
    found = {"seed": seed, "apart": apart, "right": round(right, 4), "best guess": round(1 / KEPT, 4)}
    print(found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    experiment = Experiment("in_context", script=__file__, modules=["llmlib.train.muon"], seeds=SEEDS)
    once = experiment.once
    runs = [once(f"recipe, seed {seed}", recipe, seed) for seed in SEEDS]
    pools = [
        once(f"{functions} functions, seed {seed}", from_pool, seed, functions)
        for seed in FEW_SEEDS
        for functions in POOLS
    ]
    for layers, updates in ((1, UPDATES), (4, UPDATES), (2, 4 * UPDATES)):
        runs += [
            once(f"{layers} layers, {updates} updates, seed {seed}", recipe, seed, updates, layers)
            for seed in FEW_SEEDS
        ]
    recalled = [
        once(f"recall, {apart}, seed {seed}", recall, seed, apart) for seed in FEW_SEEDS for apart in (False, True)
    ]
    sizes = dict(dimension=DIMENSION, pairs=PAIRS, batch=BATCH, updates=UPDATES, tested=TESTED, symbols=SYMBOLS,
                 kept=KEPT, recall_updates=RECALL_UPDATES, entropy=round(math.log(SYMBOLS), 3))  # fmt: skip
    experiment.save({**sizes, "runs": runs, "pools": pools, "recall": recalled})


if __name__ == "__main__":
    main()
