"""Record moe_comparison.py's mixture against its dense twin in runs twice as long: `python experiments/moe_longer.py`.

The mixture and the dense model with as many active parameters, 400 updates instead of 200. Three learning rates each,
tried at full length with the first seed; the best on the split "choose" with two more, printed on "report". 10 runs,
three minutes of one core; goes on where it was interrupted.
"""

import time

from moe_models import CONTEXT, MODULES, RECIPE, SEEDS, built, dense, mixture, texts

from llmlib.data import Experiment
from llmlib.model import ModelConfig
from llmlib.train import Trainer, evaluate_loss

RATES, STEPS = (5e-3, 1e-2, 2e-2), 400
SPLITS = ("choose", "report")


def main() -> None:
    tokenizer, text, *held_out = texts()
    experiment = Experiment("moe_longer", script=__file__, modules=MODULES, seeds=SEEDS)
    vocab_size = tokenizer.vocab_size
    plan = {"mixture": mixture(vocab_size, "auxiliary"), "dense 192, equal updates": dense(vocab_size)}

    def run(config: ModelConfig, lr: float, seed: int) -> dict:
        model = built(config, seed)
        began = time.process_time()
        Trainer(model, RECIPE.replace(steps=STEPS, lr=lr, seed=seed), text).run()
        seconds = round(time.process_time() - began, 2)
        losses = (round(evaluate_loss(model, part, seq_len=CONTEXT), 4) for part in held_out)
        return dict(zip(SPLITS, losses)) | {"seconds": seconds}

    contenders = {}
    for label, config in plan.items():
        once = lambda lr, seed, label=label, config=config: experiment.once(
            f"{label}, lr {lr}, seed {seed}", run, config, lr, seed
        )
        first = {lr: once(lr, SEEDS[0]) for lr in RATES}
        best = min(RATES, key=lambda lr: first[lr]["choose"])
        runs = [first[best], *(once(best, seed) for seed in SEEDS[1:])]
        found: dict = {"steps": STEPS, "chosen": best}
        found["rates"] = {str(lr): {name: one[name] for name in SPLITS} for lr, one in first.items()}
        contenders[label] = found | {name: [one[name] for one in runs] for name in (*SPLITS, "seconds")}
        print(label, contenders[label], flush=True)
    experiment.save(dict(recipe=RECIPE.replace(steps=STEPS).to_dict(), rates=list(RATES), contenders=contenders))


if __name__ == "__main__":
    main()
