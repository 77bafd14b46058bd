"""Record a correct training run and eight faulty ones, one of which lab 03 gives to a student to diagnose.

Every run trains the lab's model (2 layers, 64 wide, context 64) with one line changed. Run it with
`python experiments/lab03_faults.py`; it takes about a minute on one free core.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import random_batch, save_recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer

FAULTS = {
    "A": "the causal mask is missing",
    "B": "the targets are not shifted: each position is trained to predict its own token",
    "C": "the learning rate is 100 times too high",
    "D": "the learning rate is 100 times too low",
    "E": "the targets are shifted by two: each position is trained to predict the token after the next",
    "F": "the residual paths are missing",
    "G": "the loss gets probabilities, softmax already taken, where it expects logits",
    "H": "attention looks at no other position: each token sees only itself",
}
RUNS = dict(zip(("a3", "c8", "e1", "h6", "k2", "n7", "r4", "w9"), "GBFHACED", strict=True))
STEPS, CONTEXT, BATCH, LEARNING_RATE, WIDTH, HEADS = 200, 64, 16, 3e-3, 64, 4


class Block(nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def attention(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (part.view(B, T, HEADS, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if self.fault == "H":
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.eye(T, dtype=torch.bool))
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.fault != "A")
        return self.out(mixed.transpose(1, 2).reshape(B, T, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        if self.fault == "F":
            return self.mlp(self.norms[1](self.attention(self.norms[0](x))))
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class GPT(nn.Module):
    def __init__(self, vocab_size: int, fault: str) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(Block(fault), Block(fault))
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, vocab_size, bias=False)
        nn.init.normal_(self.token.weight, std=0.02), nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.size(1)))
        return self.head(self.norm(self.blocks(x)))


def run(fault: str, train: Tensor, val: Tensor, tokenizer: CharTokenizer) -> dict:
    """Train once with one thing broken. The held-out loss is the faulty program's own; the honest one is not."""
    torch.manual_seed(0)
    generator, model = torch.Generator().manual_seed(0), GPT(tokenizer.vocab_size, fault)
    lr = LEARNING_RATE * {"C": 100, "D": 0.01}.get(fault, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    shift = {"B": 0, "E": 2}.get(fault, 1)

    def loss_of(ids: Tensor) -> Tensor:
        logits = model(ids)[:, : CONTEXT - 2]
        if fault == "G":
            logits = logits.softmax(dim=-1)
        return F.cross_entropy(logits.flatten(0, 1), ids[:, shift : shift + CONTEXT - 2].flatten())

    held_out = val[: 150 * CONTEXT].view(150, CONTEXT)
    log: dict = {"steps": [], "training": [], "held-out": []}
    for step in range(STEPS + 1):
        x, _ = random_batch(train, BATCH, CONTEXT, generator)
        loss = loss_of(x)
        if step % 20 == 0:
            with torch.no_grad():
                log["steps"].append(step)
                log["training"].append(round(loss.item(), 3))
                log["held-out"].append(round(loss_of(held_out).item(), 3))
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    with torch.no_grad():
        logits = model(held_out)
        one_by_one = logits[:, :-1].flatten(0, 1)
        changed = held_out.clone()
        changed[:, 32] = (changed[:, 32] + 7) % tokenizer.vocab_size
        moved = (model(changed) - logits).abs().amax(dim=(0, 2))
        ids = torch.tensor([tokenizer.encode("ROMEO:\n")])
        for _ in range(120):
            p = (model(ids[:, -CONTEXT:])[0, -1] / 0.8).softmax(dim=-1)
            ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)[None]], dim=1)
        log |= {
            "average probability of the likeliest character": round(one_by_one.softmax(-1).amax(-1).mean().item(), 3),
            "positions that notice a change at position 32": {
                "before it": int((moved[:32] > 1e-4).sum()),
                "after it": int((moved[33:] > 1e-4).sum()),
            },
            "sample": tokenizer.decode(ids[0, 7:].tolist()),
        }
    return log


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    results = {name: run(fault, train, val, tokenizer) for name, fault in {"correct": "", **RUNS}.items()}
    for name, log in results.items():
        print(name, RUNS.get(name), {k: v for k, v in log.items() if k != "steps"}, flush=True)
    save_recorded("lab03_faults", results, script=__file__, modules=["llmlib.data.batches"], seeds=(0,))


if __name__ == "__main__":
    main()
