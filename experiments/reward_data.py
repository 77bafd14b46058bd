"""Record lecture 12's curves: what is learned from how many rankings, by how noisy annotators, by which loss.

    OMP_NUM_THREADS=1 python experiments/reward_data.py

300 to 4,800 rankings of six replies, always 150 updates of 32 rankings; at 1,200 also two other temperatures of the
annotators, Plackett and Luce's likelihood in place of the pairs', and, at the end, three models as an ensemble. Three
seeds. Twenty minutes of one core.
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

from llmlib.align import RewardModel, plackett_luce_loss, reward_ranking_loss
from llmlib.data import Experiment

SEEDS = (0, 1, 2)
LOSSES = {"pairs": reward_ranking_loss, "Plackett-Luce": plackett_luce_loss}
FEW, MIDDLE, MANY = 300, 1200, 4800
ARMS = [(n, 0.3, "pairs") for n in (MANY, MIDDLE, FEW)]
ARMS += [(MIDDLE, 0.1, "pairs"), (MIDDLE, 1.0, "pairs"), (MIDDLE, 0.3, "Plackett-Luce")]


@lru_cache(maxsize=3)
def trained(n: int, temperature: float, loss: str, seed: int) -> RewardModel:
    return learn(rankings_of(seed, n, temperature=temperature), seed, LOSSES[loss])


def run(n: int, temperature: float, loss: str, seed: int) -> dict:
    return dict(n=n, temperature=temperature, loss=loss, seed=seed) | measured(
        trained(n, temperature, loss, seed), temperature
    )


def together(n: int) -> dict:
    """Three seeds as one: do their scores beat each alone, and does what they disagree about tell what is wrong?"""
    desk, _, tokenizer, end = world()
    models = [trained(n, 0.3, "pairs", seed) for seed in SEEDS]
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
    for n, temperature, loss in ARMS:
        for seed in SEEDS:
            runs.append(experiment.once(f"{n}, {temperature}, {loss}, seed {seed}", run, n, temperature, loss, seed))
            print({k: runs[-1][k] for k in ("n", "temperature", "loss", "seed", "compared")}, flush=True)
        if (n, temperature, loss) == (MANY, 0.3, "pairs"):
            ensemble = experiment.once("ensemble", together, n)
            print(ensemble, flush=True)
    experiment.save(dict(runs=runs, ensemble=ensemble))


if __name__ == "__main__":
    main()
