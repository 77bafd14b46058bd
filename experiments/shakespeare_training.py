"""Record lecture 03's learning curves: the plain GPT with AdamW and the course's recipe, three seeds each.

Time is processor time of one thread, evaluation excluded, so that a busy machine does not bend the curves. Run it with
`OMP_NUM_THREADS=1 python experiments/shakespeare_training.py`; it takes about ten minutes on one core
and goes on where it was interrupted.
"""

import time

import torch

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.infer import generate
from llmlib.model import Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import Trainer, evaluate_loss, train_preset

RECIPES, SEEDS, EVALUATIONS = {"plain": "nanogpt-cpu", "fast": "shakespeare-cpu"}, (0, 1, 2), 20
SAMPLE_AT = (0, 1, EVALUATIONS)  # evaluations at which the first seed also writes a few lines


def write(model: Transformer, tokenizer: CharTokenizer) -> str:
    """A few lines in Romeo's name."""
    generator = torch.Generator().manual_seed(0)
    return generate(
        model, "ROMEO:\n", tokenizer=tokenizer, max_new_tokens=120, temperature=0.8, generator=generator, sliding=True
    )


def run(name: str, seed: int, train: torch.Tensor, val: torch.Tensor, tokenizer: CharTokenizer) -> dict:
    """One training run: steps, seconds of processor time and the loss over the whole validation split."""
    torch.manual_seed(seed)
    config = train_preset(name).replace(seed=seed, device="cpu", progress=False)
    trainer = Trainer(Transformer(preset(name).replace(vocab_size=tokenizer.vocab_size)), config, train)
    log: dict = {"samples": [], "seed": seed, "steps": [], "seconds": [], "val_loss": []}
    seconds = 0.0
    for step in range(config.steps + 1):
        if step % (config.steps // EVALUATIONS) == 0:
            trainer.model.eval()
            log["steps"].append(step)
            log["seconds"].append(round(seconds, 2))
            with trainer.averaged():
                log["val_loss"].append(round(evaluate_loss(trainer.model, val, seq_len=64), 4))
                if seed == 0 and step // (config.steps // EVALUATIONS) in SAMPLE_AT:
                    log["samples"].append({"step": step, "text": write(trainer.model, tokenizer)})
        if step < config.steps:
            started = time.process_time()
            trainer.train_step()
            seconds += time.process_time() - started
    return log


def beginning(name: str, train: torch.Tensor, vocab_size: int) -> list[float]:
    """The training losses of the first steps in nats, to tell whether changed code still gives the same run."""
    torch.manual_seed(0)
    config = train_preset(name).replace(seed=0, device="cpu", progress=False)
    trainer = Trainer(Transformer(preset(name).replace(vocab_size=vocab_size)), config, train)
    return [round(trainer.train_step(), 5) for _ in range(40)]


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (torch.tensor(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    experiment = Experiment(
        "shakespeare_training",
        script=__file__,
        modules=[
            "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.presets", "llmlib.train.loop",
            "llmlib.train.muon", "llmlib.train.averaging", "llmlib.train.schedules", "llmlib.train.presets",
        ],
        seeds=SEEDS,
    )  # fmt: skip
    for label, name in RECIPES.items():  # the first parts, so that `--confirm` need not run a whole training again
        experiment.once(f"{label}, beginning", beginning, name, train, tokenizer.vocab_size)
    results: dict = {name: [] for name in RECIPES}
    for seed in SEEDS:
        for label, name in RECIPES.items():
            results[label].append(experiment.once(f"{label}, seed {seed}", run, name, seed, train, val, tokenizer))
            print(label, seed, results[label][-1]["seconds"][-1], results[label][-1]["val_loss"][-1], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
