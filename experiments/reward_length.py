"""Record what becomes of a reward model whose annotators have a taste for long replies: for lecture 12.

    OMP_NUM_THREADS=1 python experiments/reward_length.py

600 rankings of six replies, twice each; annotators add 0, 0.02 or 0.04 for every word, which the gold reward does not.
The three tastes rank the same replies; one seed. A minute of one core.
"""

import torch
from reward_learning import CODE, N, best_of, gold_accuracy, held_out, longer, rankings_of, rounded, world
from support_rewards import gold_of, scores_of, train_reward

from llmlib.data import Experiment

SEEDS, TASTES, NUMBER = (0,), (0.0, 0.02, 0.04), 600


def run(per_word: float, seed: int) -> dict:
    desk, model, tokenizer, end = world()
    rankings = rankings_of(seed, NUMBER, per_word=per_word, stage="rankings by length")
    reward = train_reward(model, rankings, end, seed)
    held = held_out()
    of_gold = gold_accuracy(scores_of(reward, held, end), gold_of(desk, tokenizer, held))
    return rounded(
        {"per_word": per_word, "seed": seed, "longer": longer(reward), "gold_accuracy": of_gold}
        | {f"best of {N} {group}": best_of(reward, group) for group in ("demonstrated", "compared")}
    )


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("reward_length", script=__file__, modules=CODE, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for per_word in TASTES:
            runs.append(experiment.once(f"{per_word} a word, seed {seed}", run, per_word, seed))
            print(runs[-1], flush=True)
    experiment.save(dict(rankings=NUMBER, runs=runs))


if __name__ == "__main__":
    main()
