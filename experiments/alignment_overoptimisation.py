"""Record what becomes of the gold reward as PPO climbs a poor reward model, for lecture 13: `python
experiments/alignment_overoptimisation.py`.

From the fine-tuned stage in the package; a reward model of 400 rankings and a PPO run for each seed and KL coefficient.
Every fifth update the policy writes replies to the same 200 held-out requests on covered intents; reward model and gold
reward judge the same replies. Seeds differ in rankings, annotators, the training of the reward model and that of the
policy. About twenty-five minutes of one core.
"""

import copy
from statistics import mean

import torch
from support_desk import COMPARED, MODULES, draws, held_out, prompts_of, write
from support_rewards import accuracy, gold_of, rank_samples, scores_of, train_reward

from llmlib.align import PPOConfig, end_of_turn, train_ppo
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk
from llmlib.model import Transformer

SEEDS, KL_COEFS = (1, 2, 3), (0.0, 0.02, 0.05, 0.1, 0.2)
RANKINGS, EPOCHS, RATE, UPDATES, EVERY = 400, 4, 5e-4, 60, 5
SHOWN = 8  # requests whose last replies are kept as text


def climb(seed: int) -> dict:
    """The reward model of a seed, and the path of the policy at each KL coefficient."""
    desk, (tuned, tokenizer) = SupportDesk(0), load_desk("sft", device="cpu")
    end = end_of_turn(tokenizer)
    reward = train_reward(tuned, rank_samples(tuned, tokenizer, desk, seed, RANKINGS), end, seed, EPOCHS)
    held = rank_samples(tuned, tokenizer, desk, seed, 300, stage="held-out rankings")
    requests = held_out(desk)["demonstrated"]
    prompts = prompts_of(tokenizer, requests)
    asked = prompts_of(tokenizer, desk.requests(3000, draws("policy", seed), COMPARED))

    def proxy(prompts_: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
        return reward.score(prompts_, replies, end)

    def look(policy: Transformer) -> tuple[list[float], list[list[int]]]:
        replies = write(policy, prompts, end, seed)
        golds = [desk.gold(r, tokenizer.decode(reply)) for r, reply in zip(requests, replies, strict=True)]
        scores = proxy(prompts, replies)
        return [round(scores.mean().item(), 4), round(mean(golds), 4)], replies

    def path(kl_coef: float) -> dict:
        policy, points = copy.deepcopy(tuned), [[0, 0.0, *look(tuned)[0]]]

        def note(policy: Transformer, metrics: dict) -> None:
            if metrics["update"] % EVERY == 0:
                points.append([metrics["update"], round(metrics["kl"], 3), *look(policy)[0]])

        config = PPOConfig(updates=UPDATES, lr=RATE, kl_coef=kl_coef, seed=seed)
        train_ppo(policy, proxy, asked, config, end=end, callbacks=[note])
        replies = look(policy)[1][:SHOWN]
        texts = [
            dict(
                request=request.text, reply=(text := tokenizer.decode(reply)), gold=round(desk.gold(request, text), 2),
                proxy=round(proxy([prompt], [reply]).item(), 2),
            )
            for request, prompt, reply in zip(requests, prompts, replies)
        ]  # fmt: skip
        print(f"seed {seed}, kl_coef {kl_coef}: {points[-1]}, best gold {max(p[3] for p in points)}", flush=True)
        return dict(kl_coef=kl_coef, points=points, texts=texts)

    return dict(
        seed=seed, accuracy=round(accuracy(scores_of(reward, held, end)), 4),
        ceiling=round(accuracy(gold_of(desk, tokenizer, held)), 4), paths=[path(kl_coef) for kl_coef in KL_COEFS],
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    modules = [*MODULES, "llmlib.align.ppo", "llmlib.align.reward_models", "experiments/support_rewards.py"]
    experiment = Experiment("alignment_overoptimisation", script=__file__, modules=modules, seeds=SEEDS)
    experiment.save(dict(
        columns=["update", "kl", "proxy", "gold"], runs=[experiment.once(f"seed {seed}", climb, seed) for seed in SEEDS]
    ))  # fmt: skip


if __name__ == "__main__":
    main()
