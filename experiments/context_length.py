"""Record lecture 03's sweep over the context length: same recipe, same number of characters seen, three seeds each.

Run it with `python experiments/context_length.py`; it takes about five minutes on one core.
"""

import torch

from llmlib.data import save_recorded, split_text, tiny_shakespeare
from llmlib.model import Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import Trainer, evaluate_loss, train_preset

CONTEXTS, SEEDS, STEPS, TOKENS_PER_STEP = (4, 8, 16, 32, 64, 128), (0, 1, 2), 300, 768


def main() -> None:
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    results = []
    for context in CONTEXTS:
        for seed in SEEDS:
            config = preset("shakespeare-cpu").replace(vocab_size=tokenizer.vocab_size, max_seq_len=context)
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
            loss = evaluate_loss(model, val, seq_len=context)
            results.append({"context": context, "seed": seed, "val_loss": round(loss, 4)})
            print(results[-1], flush=True)
    save_recorded(
        "context_length",
        results,
        script="experiments/context_length.py",
        modules=["llmlib.model.transformer", "llmlib.model.attention", "llmlib.train.muon", "llmlib.train.loop"],
    )


if __name__ == "__main__":
    main()
