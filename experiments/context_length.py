"""Record lecture 03's sweep over the context length: same recipe, same number of characters seen, three seeds each.

Run it with `python experiments/context_length.py`; it takes about five minutes on one core, and
goes on where it was interrupted.
"""

import torch

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.model import Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import Trainer, evaluate_loss, train_preset

CONTEXTS, SEEDS, STEPS, TOKENS_PER_STEP = (4, 8, 16, 32, 64, 128), (0, 1, 2), 300, 768


def run(context: int, seed: int, train: torch.Tensor, val: torch.Tensor, vocab_size: int) -> dict:
    """One training run: the held-out loss of the model that reads so many characters."""
    config = preset("shakespeare-cpu").replace(vocab_size=vocab_size, max_seq_len=context)
    train_config = train_preset("shakespeare-cpu").replace(
        steps=STEPS,
        batch_size=TOKENS_PER_STEP // context,
        seq_len=context,
        seed=seed,
        device="cpu",
        progress=False,
    )
    torch.manual_seed(seed)
    model = Transformer(config)
    Trainer(model, train_config, train).run()
    return {"context": context, "seed": seed, "val_loss": round(evaluate_loss(model, val, seq_len=context), 4)}


def main() -> None:
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    experiment = Experiment(
        "context_length",
        script=__file__,
        modules=["llmlib.model.transformer", "llmlib.model.attention", "llmlib.train.muon", "llmlib.train.loop"],
        seeds=SEEDS,
    )
    results = []
    for context in CONTEXTS:
        for seed in SEEDS:
            key = f"context {context}, seed {seed}"
            results.append(experiment.once(key, run, context, seed, train, val, tokenizer.vocab_size))
            print(results[-1], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
