"""Record what rankings buy: the table that lab 12 chooses from.

For each number of requests and of replies to a request a reward model is trained with two seeds, each with rankings of
its own, at a constant rate, and measured after one, two and four passes over them. Half of the held-out requests are to
choose by, half to report. Run it with `OMP_NUM_THREADS=1 python experiments/lab12_table.py`; it takes about four
minutes on one core.
"""

import torch
from lab12 import MODULES, accuracies, half_width, rankings_of, scores_of, texts_of, train_reward

from llmlib.align import RewardModel, reward_ranking_loss
from llmlib.data import Experiment

NUMBERS, REPLIES, PASSES, SEEDS, HELD = (40, 80, 160, 320), (2, 4, 8), (1, 2, 4), (0, 1), 200
PARTS = ("to choose by", "to report")
NEW = {part: rankings_of(HELD, part) for part in PARTS}


def measured(n: int, K: int, seed: int) -> dict[str, dict[str, list[float]]]:
    """After each number of passes, of each held-out part: the loss in nats per pair, and every request's accuracy."""
    found = {}

    def measure(model: RewardModel, passes: int) -> None:
        if passes in PASSES:
            scores = {part: scores_of(model, texts_of(new)).view(HELD, -1) for part, new in NEW.items()}
            found[str(passes)] = {
                part: [round(value, 4) for value in (reward_ranking_loss(s).item(), *accuracies(s).tolist())]
                for part, s in scores.items()
            }

    train_reward(rankings_of(n, f"rankings {seed}", K), max(PASSES), seed, decay=False, after_pass=measure)
    return found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("lab12_table", script=__file__, seeds=SEEDS, modules=MODULES)
    table = []
    for n in NUMBERS:
        for K in REPLIES:
            runs = [experiment.once(f"{n} {K} {seed}", measured, n, K, seed) for seed in SEEDS]
            for passes in PASSES:
                row = {"requests": n, "replies": K, "passes": passes}
                for part in PARTS:
                    found = [run[str(passes)][part] for run in runs]
                    seeds = torch.tensor([each[1:] for each in found])  # the same requests, judged by two models
                    row[f"accuracy, {part}"] = [round(float(each.mean()), 4) for each in seeds]
                    row[f"half width, {part}"] = round(half_width(seeds.mean(0)), 4)
                    row[f"loss, {part}"] = [each[0] for each in found]
                table.append(row)
                print(row, flush=True)
    experiment.save(table)


if __name__ == "__main__":
    main()
