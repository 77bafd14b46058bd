"""Record lecture 04's sweep over where the norm stands: depth, learning rate, three seeds.

Two controls at 16 layers: post-norm with a warm-up, and with more than twice the steps. All judged on the report text.

Run it with `python experiments/modern_llm_depth.py`; it takes about six minutes on one core and goes on where it was
interrupted.
"""

from dataclasses import asdict

from modern_llm import JUDGED, MODULES, SEEDS, gpt2_like, texts, trained

from llmlib.data import Experiment
from llmlib.train import TrainConfig, evaluate_loss

RATES = (3e-3, 1e-2, 3e-2)
ARMS = {  # where the norm stands, steps of warm-up, steps, depths, learning rates
    "pre": ("pre", 0, 150, (2, 4, 8, 16), RATES),
    "post": ("post", 0, 150, (2, 4, 8, 16), RATES),
    "post, warm-up": ("post", 50, 150, (16,), RATES),
    "post, 400 steps": ("post", 0, 400, (16,), (1e-2,)),
}
RECIPE = TrainConfig(steps=150, batch_size=16, seq_len=32, lr=1e-3, device="cpu", progress=False)


def main() -> None:
    vocab_size, train, _, report = texts()
    experiment = Experiment("modern_llm_depth", script=__file__, modules=MODULES, seeds=SEEDS)

    def loss(position: str, warmup: int, steps: int, n_layers: int, lr: float, seed: int) -> float:
        config = gpt2_like(vocab_size, n_layers, 32, 4, 32).replace(norm_position=position)
        model = trained(config, RECIPE.replace(lr=lr, seed=seed, warmup_steps=warmup, steps=steps), train)
        return round(evaluate_loss(model, report[:JUDGED], seq_len=32), 4)

    rows = []
    for arm, (position, warmup, steps, depths, rates) in ARMS.items():
        for n_layers in depths:
            for lr in rates:
                part = f"{arm}, {n_layers} layers, lr {lr}"
                arguments = (position, warmup, steps, n_layers, lr)
                losses = [experiment.once(f"{part}, seed {seed}", loss, *arguments, seed) for seed in SEEDS]
                rows.append({"arm": arm, "layers": n_layers, "lr": lr, "report": losses})
                print(rows[-1], flush=True)
    experiment.save({"recipe": asdict(RECIPE), "rows": rows})


if __name__ == "__main__":
    main()
