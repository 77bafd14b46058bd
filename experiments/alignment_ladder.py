"""Record what each part of PPO is for, from REINFORCE up, for lecture 13: `python experiments/alignment_ladder.py`.

All from the fine-tuned stage, against the reward model in the package, each rung with the same number of replies.
Every fifth update the policy replies to 200 held-out requests on covered intents. Three seeds; about twenty minutes of
one core.
"""

import copy
import math
from statistics import mean

import torch
from support_desk import COMPARED, MODULES, draws, held_out, prompts_of, write

from llmlib.align import PPOConfig, end_of_turn, load_desk_reward, train_ppo
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk
from llmlib.model import Transformer

SEEDS, UPDATES, EVERY, BATCH = (0, 1, 2), 60, 5, 64
PLAIN = dict(baseline="none", whiten=False, clip=math.inf, kl_coef=0.0, epochs=1, minibatch_size=BATCH)
OFTEN = dict(epochs=8, minibatch_size=16)
OFFSET = 3.0  # a reward is free by a constant: the best replies stay the best
RUNGS: dict[str, dict] = {
    "REINFORCE": PLAIN,
    "REINFORCE, rewards + 3": PLAIN,
    "baseline, rewards + 3": PLAIN | dict(baseline="mean"),
    "each reply used 8 times": PLAIN | OFTEN | dict(baseline="mean"),
    "8 times, clipped": PLAIN | OFTEN | dict(baseline="mean", clip=0.2),
    "8 times, clipped, KL": PLAIN | OFTEN | dict(baseline="mean", clip=0.2, kl_coef=0.05),
    "PPO": dict(),
}


def rung(name: str, seed: int) -> dict:
    """The path of one rung and one seed: [update, kl, proxy, gold], and the spread of the gradient's length."""
    desk, (policy, tokenizer), reward = (
        SupportDesk(0),
        load_desk("sft", device="cpu"),
        load_desk_reward(device="cpu")[0],
    )
    end = end_of_turn(tokenizer)
    requests = held_out(desk)["demonstrated"]
    prompts = prompts_of(tokenizer, requests)
    asked = prompts_of(tokenizer, desk.requests(3000, draws("policy", seed), COMPARED))
    offset = OFFSET if "+ 3" in name else 0.0
    points, norms = [], []

    def look(policy: Transformer, metrics: dict) -> None:
        norms.append(metrics.get("grad_norm", 0.0))
        if metrics["update"] % EVERY:
            return
        replies = write(policy, prompts, end, seed)
        golds = [desk.gold(r, tokenizer.decode(reply)) for r, reply in zip(requests, replies, strict=True)]
        scores = reward.score(prompts, replies, end)
        points.append([metrics["update"], *(round(v, 4) for v in (metrics["kl"], scores.mean().item(), mean(golds)))])

    look(copy.deepcopy(policy), dict(update=0, kl=0.0))
    config = PPOConfig(**(dict(updates=UPDATES, batch_size=BATCH, lr=3e-4, reward_clip=10.0, seed=seed) | RUNGS[name]))
    train_ppo(
        policy, lambda p, r: reward.score(p, r, end) + offset, asked, config, end=end, callbacks=[look]
    )  # fmt: skip
    print(f"{name}, seed {seed}: {points[-1]}", flush=True)
    return dict(rung=name, seed=seed, points=points, grad_norm=round(mean(norms[1:]), 4))


def main() -> None:
    torch.set_num_threads(1)
    modules = [*MODULES, "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.reward_models"]
    experiment = Experiment("alignment_ladder", script=__file__, modules=modules, seeds=SEEDS)
    runs = [experiment.once(f"{name}, seed {seed}", rung, name, seed) for seed in SEEDS for name in RUNGS]
    experiment.save(dict(columns=["update", "kl", "proxy", "gold"], offset=OFFSET, runs=runs))


if __name__ == "__main__":
    main()
