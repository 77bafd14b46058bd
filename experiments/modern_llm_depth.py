"""Record lecture 04's sweep over where the norm stands: depth, learning rate, three seeds; post-norm also warmed up.

Run it with `python experiments/modern_llm_depth.py`; it takes about five minutes on one core and goes on where it was
interrupted.
"""

from dataclasses import asdict

from modern_llm import JUDGED, MODULES, SEEDS, gpt2_like, texts, trained

from llmlib.data import Experiment
from llmlib.train import TrainConfig, evaluate_loss

ARMS = {"pre": ("pre", 0, (2, 4, 8, 16)), "post": ("post", 0, (2, 4, 8, 16)), "post, warm-up": ("post", 50, (16,))}
RATES = (3e-3, 1e-2, 3e-2)
RECIPE = TrainConfig(steps=150, batch_size=16, seq_len=32, lr=1e-3, device="cpu", progress=False)


def main() -> None:
    vocab_size, train, val = texts()
    experiment = Experiment("modern_llm_depth", script=__file__, modules=MODULES, seeds=SEEDS)

    def loss(position: str, warmup: int, n_layers: int, lr: float, seed: int) -> float:
        config = gpt2_like(vocab_size, n_layers, 32, 4, 32).replace(norm_position=position)
        model = trained(config, RECIPE.replace(lr=lr, seed=seed, warmup_steps=warmup), train)
        return round(evaluate_loss(model, val[:JUDGED], seq_len=32), 4)

    rows = []
    for arm, (position, warmup, depths) in ARMS.items():
        for n_layers in depths:
            for lr in RATES:
                part = f"{arm}, {n_layers} layers, lr {lr}"
                arguments = (position, warmup, n_layers, lr)
                losses = [experiment.once(f"{part}, seed {seed}", loss, *arguments, seed) for seed in SEEDS]
                rows.append({"arm": arm, "layers": n_layers, "lr": lr, "val_loss": losses})
                print(rows[-1], flush=True)
    experiment.save({"recipe": asdict(RECIPE), "rows": rows})


if __name__ == "__main__":
    main()
