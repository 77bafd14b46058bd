"""Record where PPO is worth it, for lecture 13: `python experiments/alignment_map.py`.

Demonstrations of two numbers and three qualities, annotators of two degrees of noise. In each cell: a model fine-tuned
from the base model in the package, a reward model of 600 rankings of that model's and agents' replies, the best of
eight replies by it, and PPO against it; their gold rewards on held-out requests of covered intents, sampled and greedy.
Two seeds; about half an hour of one core.
"""

import copy
import itertools

import torch
from alignment_desk import KL_COEF, RATE, best_replies, compared, distance
from support_desk import COMPARED, MODULES, draws, fine_tune, held_out, judge, means, prompts_of
from support_rewards import accuracy, gold_of, rank_samples, scores_of, train_reward

from llmlib.align import PPOConfig, end_of_turn, train_ppo
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk

SEEDS, NUMBERS, QUALITIES, NOISES = (0, 1), (30, 800), (0.0, 0.2, 1.0), (0.3, 3.0)
RANKINGS, EPOCHS, UPDATES = 600, 2, 40


def cell(n: int, quality: float, noise: float, seed: int) -> dict:
    """One cell of the map."""
    desk, (base, tokenizer) = SupportDesk(0), load_desk("base", device="cpu")
    end, groups = end_of_turn(tokenizer), held_out(SupportDesk(0))
    requests = {"demonstrated": groups["demonstrated"]}
    epochs = 8 if n >= 200 else 8 * 200 // n  # few demonstrations are seen as many times in all as two hundred
    tuned = fine_tune(base, tokenizer, desk, seed, n, quality, epochs)
    reward = train_reward(
        tuned, rank_samples(tuned, tokenizer, desk, seed, RANKINGS, temperature=noise), end, seed, EPOCHS
    )  # fmt: skip
    held = rank_samples(tuned, tokenizer, desk, seed, 200, stage="held-out rankings", temperature=noise)

    def proxy(prompts: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
        return reward.score(prompts, replies, end)

    policy = copy.deepcopy(tuned)
    prompts = prompts_of(tokenizer, desk.requests(3000, draws("policy", seed), COMPARED))
    train_ppo(policy, proxy, prompts, PPOConfig(updates=UPDATES, lr=RATE, kl_coef=KL_COEF, seed=seed), end=end)
    sft, ppo = judge(desk, tokenizer, tuned, requests), judge(desk, tokenizer, policy, requests)
    best = best_replies(tuned, proxy, tokenizer, desk, requests, end)
    found = dict(
        n=n, quality=quality, noise=noise, seed=seed, accuracy=round(accuracy(scores_of(reward, held, end)), 4),
        ceiling=round(accuracy(gold_of(desk, tokenizer, held)), 4),
        gold=dict(sft=means(sft), ppo=means(ppo), best=means(best)),
        ppo_wins=compared(ppo, sft), best_wins=compared(best, sft),
        ppo_against_best=compared({name: ppo[name] for name in best}, best),
        kl=round(distance(policy, tuned, prompts_of(tokenizer, requests["demonstrated"]), end), 3),
    )  # fmt: skip
    print(found, flush=True)
    return found


def main() -> None:
    torch.set_num_threads(1)
    modules = [
        *MODULES, "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.reward_models", "llmlib.train.muon",
        "experiments/alignment_desk.py", "experiments/support_rewards.py",
    ]  # fmt: skip
    experiment = Experiment("alignment_map", script=__file__, modules=modules, seeds=SEEDS)
    cells = itertools.product(SEEDS, NUMBERS, QUALITIES, NOISES)
    experiment.save([
        experiment.once(f"{n} of quality {quality}, noise {noise}, seed {seed}", cell, n, quality, noise, seed)
        for seed, n, quality, noise in cells
    ])  # fmt: skip


if __name__ == "__main__":
    main()
