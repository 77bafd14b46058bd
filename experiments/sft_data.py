"""Record how lecture 11's gold reward depends on the number of demonstrations and on their quality. Run it with

    OMP_NUM_THREADS=1 python experiments/sft_data.py

Every run makes 100 updates of at most 16 demonstrations, so that ten are seen 100 times each and 1,600 once. Gold
rewards of the replies to 100 held-out requests of covered and of uncovered intents, at temperature 1 and greedily.
Three minutes of one core.
"""

import sft_bases
import sft_learning
import support_desk as road
import torch

from llmlib.data import Experiment, SupportDesk

NUMBERS, QUALITIES, SEEDS = (10, 50, 250, 1600), (0.0, 0.2, 0.6), (0, 1, 2)


def run(n: int, quality: float, seed: int) -> dict:
    desk = SupportDesk(0)
    base, tokenizer = sft_bases.base_of(seed)
    model = sft_learning.learn(base, sft_learning.demonstrated(desk, tokenizer, seed, n, quality), seed)
    gold = road.means(road.judge(desk, tokenizer, model, sft_learning.held_out(desk, 100), seed))
    return dict(n=n, quality=quality, seed=seed, gold=gold)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_data", script=__file__, modules=sft_learning.MODULES, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for quality in QUALITIES:
            for n in NUMBERS:
                runs.append(experiment.once(f"{n} of quality {quality}, seed {seed}", run, n, quality, seed))
                print(runs[-1], flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
