"""Record lecture 12's ablations: whose replies are ranked, and annotators with a taste for long ones.

    OMP_NUM_THREADS=1 python experiments/reward_replies.py

4,800 rankings of six replies, 150 updates of 32 rankings, three seeds. "own": all six are the fine-tuned model's. "half
agents'": three are agents', as they come. "wordy": one of these agents has mistaken the request, as in reward_data.py,
where the arm to compare with is, and annotators like every word a little. What stands in the rankings is counted.
Twenty minutes of one core.
"""

import torch
from reward_learning import CODE, learn, measured, rankings_of, rounded, world
from support_rewards import AGENTS

from llmlib.data import Experiment

SEEDS, NUMBER, PER_WORD = (0, 1, 2), 4800, 0.04
ARMS = {
    "own": dict(sampled=6, agents=()),
    "half agents'": dict(agents=(None, None, None)),
    "wordy": dict(agents=AGENTS, per_word=PER_WORD),
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
    experiment.save(dict(per_word=PER_WORD, runs=runs))


if __name__ == "__main__":
    main()
