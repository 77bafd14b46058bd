"""Record how many choices find an expert full, and what that costs: `python experiments/moe_capacity.py`.

Eight experts, two a token, trained on tiny Shakespeare's characters: an expert takes at most capacity_factor times its
even share of a batch; with the auxiliary loss and without, three seeds. Share of the choices dropped in the first and
the last twenty updates, by layer; loss on held-out text, where the library drops none, and on the same text in batches
of training's size with the limit kept. Beside them stand the runs without a limit, which moe_balancing.py recorded. 18
runs, three minutes of one core; goes on where it was interrupted.
"""

import statistics

import torch
from moe_models import CONTEXT, MODULES, RECIPE, SEEDS, built, judged, mixture, rounded, texts, thinned, train

from llmlib.data import Experiment, recorded
from llmlib.data.batches import windows
from llmlib.model import Transformer
from llmlib.train import token_loss

FACTORS, BALANCINGS = (1.0, 1.25, 2.0), ("auxiliary", "none")
FEW = 20


def main() -> None:
    tokenizer, text, _, report = texts()
    experiment = Experiment("moe_capacity", script=__file__, modules=MODULES, seeds=SEEDS)

    @torch.no_grad()
    def limited(model: Transformer) -> float:
        """Held-out loss in batches of training's size, with the capacity of training and without the auxiliary loss."""
        x, y = windows(report, CONTEXT)
        batches = zip(x.split(RECIPE.batch_size), y.split(RECIPE.batch_size))
        return sum(token_loss(model.train()(a), b).item() for a, b in batches) / (len(report) - 1)

    def run(balancing: str, factor: float, seed: int) -> dict:
        model = built(mixture(tokenizer.vocab_size, balancing, capacity_factor=factor), seed)
        watched = train(model, RECIPE.replace(seed=seed), text)
        found = judged(model, report)
        by_layer = lambda rows: [statistics.mean(row[layer] for row in rows) for layer in range(len(rows[0]))]
        curve = [[row[layer] for row in thinned(watched.dropped, FEW)] for layer in range(len(watched.dropped[0]))]
        return {
            "loss": found["loss"],
            "limited": round(limited(model), 4),
            "dropped": rounded(by_layer(watched.dropped[-FEW:]), 4),
            "dropped_first": rounded(by_layer(watched.dropped[:FEW]), 4),
            "least": found["least"],
            "most": [max(row) for row in found["load"]],
            "curve": rounded(curve),
        }

    unlimited = recorded("moe_balancing")["results"]["settings"]["usual start"]  # the same runs without a limit
    results: dict = dict(recipe=RECIPE.to_dict(), factors=[*map(str, FACTORS), "None"], few=FEW, rows={})
    results["steps"] = list(range(FEW, RECIPE.steps + 1, FEW))
    for balancing in BALANCINGS:
        rows = results["rows"][balancing] = {}
        for factor in FACTORS:
            runs = [experiment.once(f"{balancing}, {factor}, seed {s}", run, balancing, factor, s) for s in SEEDS]
            rows[str(factor)] = {name: [one[name] for one in runs] for name in runs[0] if name != "curve"}
            rows[str(factor)]["curve"] = runs[0]["curve"]
            print(balancing, factor, rows[str(factor)], flush=True)
        rows["None"] = {name: unlimited["methods"][balancing][name] for name in ("loss", "least")}
    experiment.save(results)


if __name__ == "__main__":
    main()
