"""Record lecture 12's ablation: whose replies are ranked.

    OMP_NUM_THREADS=1 python experiments/reward_replies.py

4,800 rankings of six replies, 150 updates of 32 rankings, one seed. "own": all six are the fine-tuned model's. "half
agents'": three are agents', as they come. The arm to compare with, in which one of the agents has mistaken the request,
is in reward_data.py. What stands in the rankings is counted. Five minutes of one core.
"""

import torch
from reward_learning import CODE, learn, measured, rankings_of, rounded, world

from llmlib.data import Experiment

SEEDS, NUMBER = (0,), 4800  # more seeds: two and a half minutes of one core each arm
ARMS = {
    "own": dict(sampled=6, agents=()),
    "half agents'": dict(agents=(None, None, None)),
}


def run(arm: str, seed: int) -> dict:
    desk, _, tokenizer, _ = world()
    rankings = rankings_of(seed, NUMBER, **ARMS[arm])
    found = [desk.findings(request, tokenizer.decode(r)) for request, _, replies in rankings for r in replies]
    share = {name: sum(name in each for each in found) / len(found) for name in ("solved", "wrong promise", "polite")}
    reward = learn(rankings, seed)
    return dict(arm=arm, seed=seed, ranked=rounded(share)) | measured(reward)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("reward_replies", script=__file__, modules=CODE, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for arm in ARMS:
            runs.append(experiment.once(f"{arm}, seed {seed}", run, arm, seed))
            print({k: v for k, v in runs[-1].items() if k not in ("longer", "calibration")}, flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
