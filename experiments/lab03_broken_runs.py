"""Record the three broken training runs that lab 03 asks students to diagnose.

Every run trains the lab's model (2 layers, 64 wide, context 64) with one thing changed. Run it with
`python experiments/lab03_broken_runs.py`; it takes about a minute on one core.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from llmlib.data import random_batch, save_recorded, split_text, tiny_shakespeare
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer

CAUSES = {"run 1": "targets not shifted", "run 2": "learning rate 100 times too high", "run 3": "no causal mask"}
STEPS, CONTEXT, LEARNING_RATE = 250, 64, 3e-3


def run(cause: str, train: torch.Tensor, val: torch.Tensor, tokenizer: CharTokenizer) -> dict:
    """Train once with one thing broken; the held-out loss is computed by the same (broken) program."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, n_layers=2, d_model=64, n_heads=4, max_seq_len=CONTEXT, mlp="gelu", d_ff=256,
        position="learned", tie_embeddings=False, causal=cause != "no causal mask",
    )  # fmt: skip
    model: nn.Module = Transformer(config)
    shift = 0 if cause == "targets not shifted" else 1
    lr = LEARNING_RATE * (100 if cause.startswith("learning rate") else 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def loss_of(ids: torch.Tensor) -> torch.Tensor:
        logits = model(ids)[:, : CONTEXT - 1]
        return F.cross_entropy(logits.flatten(0, 1), ids[:, shift : shift + CONTEXT - 1].flatten())

    held_out = val[: 200 * CONTEXT].view(200, CONTEXT)
    log: dict = {"train_loss": [], "val_steps": [], "val_loss": []}
    for step in range(1, STEPS + 1):
        x, _ = random_batch(train, 16, CONTEXT, generator)
        loss = loss_of(x)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
        log["train_loss"].append(round(loss.item(), 4))
        if step % 50 == 0:
            with torch.no_grad():
                log["val_steps"].append(step)
                log["val_loss"].append(round(loss_of(held_out).item(), 4))
    ids = torch.tensor([tokenizer.encode("ROMEO:\n")])
    with torch.no_grad():
        for _ in range(120):
            p = (model(ids[:, -CONTEXT:])[0, -1] / 0.8).softmax(dim=-1)
            ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)[None]], dim=1)
    return {**log, "sample": tokenizer.decode(ids[0, 7:].tolist())}


def main() -> None:
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    results = {name: run(cause, train, val, tokenizer) for name, cause in CAUSES.items()}
    for name, log in results.items():
        print(name, CAUSES[name], log["train_loss"][-1], log["val_loss"][-1], repr(log["sample"][:60]))
    save_recorded(
        "lab03_broken_runs",
        results,
        script=__file__,
        modules=["llmlib.model.transformer", "llmlib.model.attention"],
        seeds=(0,),
    )


if __name__ == "__main__":
    main()
