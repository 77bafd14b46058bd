"""Record lecture 03's induction heads: one and two layers of attention on pairs that come again, three seeds each.

The lecture trains the first seed of two layers itself, with the same code; here are the others, the single layers, and
what silencing heads of layer 0 costs. Run it with `OMP_NUM_THREADS=1 python experiments/induction_head.py`; it takes
under half a minute of one core.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.model import causal_mask, plain_attention
from llmlib.train import AdamW, Muon

LETTERS, LENGTH, STEPS, EVERY, SEEDS = 16, 32, 140, 10, (0, 1, 2)


def pairs_batch(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of key, value, key, value, ... out of 8 pairs drawn anew for every row; which pairs show the same key."""
    keys = torch.rand(n, LETTERS, generator=generator).argsort(dim=1)[:, :8]
    values = LETTERS + torch.randint(LETTERS, (n, 8), generator=generator)
    pick = torch.randint(8, (n, LENGTH // 2), generator=generator)
    ids = torch.stack([keys.gather(1, pick), values.gather(1, pick)], dim=-1).flatten(1)
    return ids, (pick[:, :, None] == pick[:, None, :]).tril(-1)


class Attention(nn.Module):
    """Causal multi-head attention without biases that keeps its weights."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        B, T, d_model = x.shape
        split = (B, T, self.n_heads, d_model // self.n_heads)
        q, k, v = (p(x).view(split).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        out, self.weights = plain_attention(q, k, v, causal_mask(T))
        return self.o_proj(out.transpose(1, 2).reshape(x.shape))


class AttentionOnly(nn.Module):
    """Embeddings, attention layers behind norms, a head: no MLP."""

    def __init__(self, n_layers: int, d_model: int = 64, n_heads: int = 4) -> None:
        super().__init__()
        self.token = nn.Embedding(2 * LETTERS, d_model)
        self.position = nn.Embedding(LENGTH, d_model)
        self.norms = nn.ModuleList(nn.RMSNorm(d_model, eps=1e-5) for _ in range(n_layers))
        self.layers = nn.ModuleList(Attention(d_model, n_heads) for _ in range(n_layers))
        self.head = nn.Linear(d_model, 2 * LETTERS, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position.weight[: ids.size(1)]
        for norm, layer in zip(self.norms, self.layers):
            x = x + layer(norm(x))
        return self.head(F.rms_norm(x, x.shape[-1:]))


@torch.no_grad()
def repeats_right(model: AttentionOnly, ids: Tensor, same: Tensor) -> float:
    """Of the values whose key was shown before, how many per cent are predicted."""
    right = model(ids)[:, 0::2].argmax(dim=-1) == ids[:, 1::2]
    return 100 * right[same.any(dim=-1)].double().mean().item()


@torch.no_grad()
def looking_back(model: AttentionOnly, ids: Tensor) -> Tensor:
    """(heads,) of layer 0: the mean weight of values on the token before them."""
    model(ids)
    return model.layers[0].weights.diagonal(-1, dim1=-2, dim2=-1)[:, :, 0::2].mean(dim=(0, 2))


@torch.no_grad()
def without_heads(model: AttentionOnly, heads: list[int], ids: Tensor, same: Tensor) -> float:
    """Per cent right with these heads of layer 0 silenced; nothing is retrained."""
    weight = model.layers[0].o_proj.weight
    kept, width = weight.clone(), weight.size(1) // model.layers[0].n_heads
    for head in heads:
        weight[:, head * width : (head + 1) * width] = 0
    right = repeats_right(model, ids, same)
    weight.copy_(kept)
    return right


def run(n_layers: int, seed: int) -> dict:
    """One training run; for two layers also what silencing heads of the first costs."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = AttentionOnly(n_layers)
    matrices = [p for name, p in model.named_parameters() if "proj" in name]
    others = [p for name, p in model.named_parameters() if "proj" not in name]
    optimizers = Muon(matrices, lr=0.02), AdamW(others, lr=0.01, weight_decay=0.0)
    log: dict = {"layers": n_layers, "seed": seed, "right": []}
    for step in range(STEPS):
        ids, _ = pairs_batch(32, generator)
        loss = F.cross_entropy(model(ids)[:, 0::2].transpose(1, 2), ids[:, 1::2])
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if step % EVERY == EVERY - 1:
            log["right"].append(round(repeats_right(model, *pairs_batch(64, generator)), 1))
    if n_layers == 2:
        ids, same = pairs_batch(300, torch.Generator().manual_seed(99))
        back = looking_back(model, ids)
        ranking, n = back.argsort(descending=True).tolist(), max(1, min(2, int((back > 0.5).sum())))
        log["looking_back"] = [round(weight, 3) for weight in back.tolist()]
        silenced = {"nothing": [], "heads that look back": ranking[:n], "as many others": ranking[-n:]}
        log["silenced"] = {name: round(without_heads(model, heads, ids, same), 1) for name, heads in silenced.items()}
    return log


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "induction_head",
        script=__file__,
        modules=["llmlib.model.attention", "llmlib.train.muon"],
        seeds=SEEDS,
    )
    results = []
    for n_layers in (2, 1):
        for seed in SEEDS:
            results.append(experiment.once(f"{n_layers} layers, seed {seed}", run, n_layers, seed))
            print(results[-1], flush=True)
    experiment.save({"every": EVERY, "runs": results})


if __name__ == "__main__":
    main()
