"""Record a mixture of experts against dense models at equal budgets: `python experiments/moe_comparison.py`.

Tiny Shakespeare by characters. The mixture has eight experts of width 96, of which a token meets two. Against it, with
one feed-forward network a block: width 192, as many active parameters, for as many updates (its training FLOPs are the
mixture's but for the router), and for as much processor time; width 768, as many parameters in all, for as many
updates, as many training FLOPs, and as much processor time. Processor time per update is measured first, the models
taking turns. Everyone has three learning rates, tried at full length with the first seed; the best on the split
"choose" is run with two more, and all are printed on "report". Then the same three models on 5,000 characters that come
again some forty times. 45 runs, some seven minutes of one core; goes on where it was interrupted.
"""

import statistics
import time

import torch
from moe_models import AUXILIARY, CONTEXT, D_EXPERT, EXPERTS, MODULES, RECIPE, SEEDS, built, dense, mixture, texts

from llmlib.data import Experiment
from llmlib.model import ModelConfig, active_parameters, count_parameters, flops_per_token, weight_bytes_per_pass
from llmlib.train import Trainer, evaluate_loss

RATES = (5e-3, 1e-2, 2e-2)
SMALL, SMALL_EVERY = 5_000, 40
MIXTURE, ACTIVE, TOTAL = "mixture", "dense 192", "dense 768"


def main() -> None:
    tokenizer, text, choose, report = texts()
    v = tokenizer.vocab_size
    models = {MIXTURE: mixture(v, "auxiliary"), ACTIVE: dense(v), TOTAL: dense(v, EXPERTS * D_EXPERT)}
    experiment = Experiment("moe_comparison", script=__file__, modules=MODULES, seeds=SEEDS)

    def seconds_per_update() -> dict:
        """Processor seconds of an update: medians over five rounds in which the models take turns."""
        trainers = {name: Trainer(built(config, 0), RECIPE, text) for name, config in models.items()}
        taken: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(6):
            for name, trainer in trainers.items():
                began = time.process_time()
                for _ in range(15):
                    trainer.train_step()
                taken[name].append((time.process_time() - began) / 15)
        return {"seconds": {name: round(statistics.median(each[1:]), 5) for name, each in taken.items()}}

    def run(config: ModelConfig, steps: int, lr: float, seed: int, small: bool = False) -> dict:
        source = text[:SMALL] if small else text
        model = built(config, seed)
        curve: list[list[float]] = []

        def look(trainer: Trainer, event: str) -> None:
            if event == "step" and small and trainer.step % SMALL_EVERY == 0:
                part = report[: len(report) // 4]
                curve.append([round(evaluate_loss(model, each, seq_len=CONTEXT), 4) for each in (part, source)])

        began = time.process_time()
        recipe = RECIPE.replace(steps=steps, lr=lr, seed=seed, warmup_steps=min(20, steps))
        Trainer(model, recipe, source, callbacks=[look]).run()
        seconds = time.process_time() - began
        parts = (choose, report, source[: len(report)])  # a loss in training would hold the auxiliary one too
        losses = [round(evaluate_loss(model, part, seq_len=CONTEXT), 4) for part in parts]
        return dict(choose=losses[0], report=losses[1], train=losses[2], curve=curve, seconds=round(seconds, 2))

    def contender(label: str, config: ModelConfig, steps: int, small: bool = False) -> dict:
        once = lambda lr, seed: experiment.once(f"{label}, lr {lr}, seed {seed}", run, config, steps, lr, seed, small)
        first = {lr: once(lr, SEEDS[0]) for lr in RATES}
        best = min(RATES, key=lambda lr: first[lr]["choose"])
        runs = [first[best], *(once(best, seed) for seed in SEEDS[1:])]
        splits = ("choose", "report", "train")
        found: dict = dict(steps=steps, chosen=best)
        found["rates"] = {str(lr): {name: one[name] for name in splits} for lr, one in first.items()}
        found |= {name: [one[name] for one in runs] for name in (*splits, "seconds")}
        found["flops"] = float(f"{steps * RECIPE.tokens_per_step * flops_per_token(config, CONTEXT):.4g}")
        if small:
            found["curve"] = torch.tensor([one["curve"] for one in runs]).mean(0).T.tolist()
            found["curve"] = [[round(loss, 3) for loss in each] for each in found["curve"]]
        print(label, steps, best, found["report"], found["seconds"], flush=True)
        return found

    per_update = experiment.once("seconds per update", seconds_per_update)["seconds"]
    sizes = {}
    for name, config in models.items():
        sizes[name] = dict(
            parameters=count_parameters(config), active=active_parameters(config), seconds=per_update[name],
            flops_per_token=flops_per_token(config, CONTEXT),
            bytes_per_pass={str(n): round(weight_bytes_per_pass(config, n, torch.float32)) for n in (1, 8, 256)},
        )  # fmt: skip
        sizes[name]["weight_bytes"] = 4 * sizes[name]["parameters"]
        print(name, sizes[name], flush=True)
    steps, of = RECIPE.steps, lambda part, name: sizes[MIXTURE][part] / sizes[name][part]
    plan = {MIXTURE: (MIXTURE, steps), f"{ACTIVE}, equal updates": (ACTIVE, steps)}
    plan[f"{ACTIVE}, equal time"] = ACTIVE, round(steps * of("seconds", ACTIVE))
    plan[f"{TOTAL}, equal updates"] = TOTAL, steps
    plan[f"{TOTAL}, equal FLOPs"] = TOTAL, round(steps * of("flops_per_token", TOTAL))
    plan[f"{TOTAL}, equal time"] = TOTAL, round(steps * of("seconds", TOTAL))
    small, contenders = {}, {}
    for label, (name, count) in plan.items():
        contenders[label] = {"model": name} | contender(label, models[name], count)
    for name, config in models.items():
        small[name] = contender(f"{SMALL} characters, {name}", config, steps, small=True)
    epochs = round(steps * RECIPE.tokens_per_step / SMALL, 1)
    experiment.save(
        dict(
            recipe=RECIPE.to_dict(), auxiliary=AUXILIARY, seeds=list(SEEDS), rates=list(RATES), models=sizes,
            contenders=contenders, equal={
                "active parameters": f"{ACTIVE}, equal updates", "total parameters": f"{TOTAL}, equal updates",
                "training FLOPs": [f"{ACTIVE}, equal updates", f"{TOTAL}, equal FLOPs"],
                "processor time": [f"{ACTIVE}, equal time", f"{TOTAL}, equal time"],
            }, small=dict(characters=SMALL, epochs=epochs, steps=list(range(SMALL_EVERY, steps + 1, SMALL_EVERY)),
                          contenders=small),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
