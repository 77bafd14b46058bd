"""Record for lecture 12 what reward models learn from 4,800 rankings, and from 1,200 that they read four times.

    OMP_NUM_THREADS=1 python experiments/reward_data.py

Rankings of six replies, always 150 updates of 32 rankings. Three seeds of 4,800, which are also measured together, as
an ensemble, and one of 1,200. Nine minutes of one core.
"""

import random
from functools import lru_cache

import torch
from reward_learning import (
    CODE,
    contests,
    gold_accuracy,
    held_out,
    learn,
    measured,
    rankings_of,
    rounded,
    scored,
    shuffled_words,
    world,
)
from support_desk import COMPARED
from support_rewards import gold_of, scores_of

from llmlib.align import RewardModel
from llmlib.data import Experiment

SEEDS, MANY, FEWER = (0, 1, 2), 4800, 1200


@lru_cache(maxsize=3)
def trained(n: int, seed: int) -> RewardModel:
    return learn(rankings_of(seed, n), seed)


def run(n: int, seed: int) -> dict:
    return dict(n=n, seed=seed) | measured(trained(n, seed))


def together(n: int) -> dict:
    """Three seeds as one: do their scores beat each alone, and does what they disagree about tell what is wrong?"""
    desk, _, tokenizer, end = world()
    models = [trained(n, seed) for seed in SEEDS]
    found: dict = {}
    for name, groups in (("compared", COMPARED), ("unseen", ("unseen",))):
        held = held_out(0.3, groups)
        gold = gold_of(desk, tokenizer, held)
        scores = torch.stack([scores_of(model, held, end) for model in models])
        first, second = torch.triu_indices(6, 6, 1)
        truth = (gold[:, first] - gold[:, second]).round(decimals=4).flatten()
        said = (scores[:, :, first] - scores[:, :, second]).flatten(1)[:, truth != 0]
        right = (said.mean(0) * truth[truth != 0] > 0).float()
        thirds = lambda by, right=right: [part.mean().item() for part in right[by.argsort()].tensor_split(3)]
        found[name] = dict(
            single=[gold_accuracy(each, gold) for each in scores], mean=gold_accuracy(scores.mean(0), gold),
            deviation=scores.std(0).mean().item(), by_deviation=thirds(said.std(0)),
            by_difference=thirds(said.mean(0).abs()),
        )  # fmt: skip
    rng = random.Random(0)
    right = [(request, f"{texts[0]}") for request, texts in contests("demonstrated")["manner"]]
    odd = {
        "polite and solved": [text for _, text in right],
        "words shuffled": [shuffled_words(text, rng) for _, text in right],
        "polite sentence, six times": [" ".join([text.split(" . ")[0] + " ."] * 6) for _, text in right],
        "empty": ["" for _ in right],
    }
    for name, texts in odd.items():
        contest = [(request, [text]) for (request, _), text in zip(right, texts)]
        scores = torch.stack([scored(model, contest)[:, 0] for model in models])
        gold = sum(desk.gold(request, text[0]) for request, text in contest) / len(contest)
        found[name] = dict(score=scores.mean().item(), deviation=scores.std(0).mean().item(), gold=gold)
    return rounded(found)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("reward_data", script=__file__, modules=CODE, seeds=SEEDS)
    runs = []
    for n, seed in ((MANY, 0), (MANY, 1), (MANY, 2), (FEWER, 0)):
        runs.append(experiment.once(f"{n} rankings, seed {seed}", run, n, seed))
        print({key: runs[-1][key] for key in ("n", "seed", "compared")}, flush=True)
    ensemble = experiment.once("ensemble", together, MANY)
    experiment.save(dict(runs=runs, ensemble=ensemble))


if __name__ == "__main__":
    main()
