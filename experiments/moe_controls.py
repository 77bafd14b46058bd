"""Record two controls that a sceptic asks of lecture 06: `python experiments/moe_controls.py`.

Why do experts starve? moe_balancing.py's "small start" without balancing once more, with the routers left as they were
at the start ("router fixed"), or the experts ("experts fixed"). And is a wide dense model behind the mixture at equal
training FLOPs because its operations allow it few updates? moe_comparison.py's "dense 768" with smaller batches: 6 rows
instead of 16, and as many updates as the mixture. Three rates, tried at full length with the first seed; the best on
the split "choose" with two more. 15 runs, two minutes of one core; goes on where it was interrupted.
"""

import time

from moe_models import CONTEXT, D_EXPERT, EXPERTS, MODULES, RECIPE, SEEDS, built, dense, judged, mixture, texts, train

from llmlib.data import Experiment
from llmlib.model import flops_per_token
from llmlib.train import Trainer, evaluate_loss

RATES, ROWS, START = (5e-3, 1e-2, 2e-2), 6, 0.02
FIXED = ("router fixed", "experts fixed")


def main() -> None:
    tokenizer, text, choose, report = texts()
    v = tokenizer.vocab_size
    experiment = Experiment("moe_controls", script=__file__, modules=MODULES, seeds=range(5))
    wide = dense(v, EXPERTS * D_EXPERT)

    def small_batches(lr: float, seed: int) -> dict:
        model = built(wide, seed)
        began = time.process_time()
        Trainer(model, RECIPE.replace(batch_size=ROWS, lr=lr, seed=seed), text).run()
        seconds = round(time.process_time() - began, 2)
        losses = {name: round(evaluate_loss(model, part, seq_len=CONTEXT), 4) for name, part in
                  (("choose", choose), ("report", report))}  # fmt: skip
        flops = flops_per_token(model, CONTEXT) * RECIPE.steps * ROWS * CONTEXT
        return losses | {"seconds": seconds, "flops": float(f"{flops:.4g}")}

    def fixed(what: str, seed: int) -> dict:
        model = built(mixture(v, "none", start=START), seed)
        for block in model.blocks:
            part = block.mlp.router if what == "router fixed" else block.mlp.experts
            part.requires_grad_(False)
        train(model, RECIPE.replace(seed=seed), text)
        return judged(model, report)

    first = {lr: experiment.once(f"small batches, lr {lr}, seed 0", small_batches, lr, 0) for lr in RATES}
    best = min(RATES, key=lambda lr: first[lr]["choose"])
    runs = [experiment.once(f"small batches, lr {best}, seed {s}", small_batches, best, s) for s in SEEDS]
    batches = {"rows": ROWS, "steps": RECIPE.steps, "chosen": best, "flops": runs[0]["flops"]}
    batches |= {name: [one[name] for one in runs] for name in ("choose", "report", "seconds")}
    batches["rates"] = {str(lr): {name: one[name] for name in ("choose", "report")} for lr, one in first.items()}
    print(batches, flush=True)
    kept = {}
    for what in FIXED:
        runs = [experiment.once(f"{what}, seed {seed}", fixed, what, seed) for seed in range(5)]
        kept[what] = {name: [one[name] for one in runs] for name in ("loss", "least", "starved")}
        print(what, kept[what], flush=True)
    experiment.save({"small batches": batches, "fixed": kept})


if __name__ == "__main__":
    main()
