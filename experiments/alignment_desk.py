"""Record the road from base model to assistant on the support desk, for lectures 12 and 13: `python
experiments/alignment_desk.py`.

Five seeds in one world and two in a second. Every contender writes replies to the same held-out requests, sampled and
greedily, and is compared with the fine-tuned model, request by request, by the gold reward that none was trained on.
Settings were chosen on requests of their own in world 0. About nine minutes of one core a seed; it goes on where it was
interrupted. World 0, seed 0 goes on from the stages in the package and puts two more there: `load_desk_reward()` and
`load_desk("ppo")`.
"""

import argparse
import copy
import random
from collections.abc import Callable
from statistics import mean

import torch
from support_desk import (
    COMPARED,
    LONGEST_REPLY,
    MODULES,
    adapt,
    draws,
    fine_tune,
    held_out,
    judge,
    means,
    pretrain,
    prompts_of,
    wins,
)
from support_rewards import Ranking, accuracy, gold_of, rank_samples, scores_of, train_reward

from llmlib.align import (
    GRPOConfig,
    PPOConfig,
    PreferenceLoss,
    best_of_n,
    best_of_n_kl,
    calibration,
    end_of_turn,
    load_desk_reward,
    preference_batches,
    reply_logprobs,
    sample_replies,
    train_grpo,
    train_ppo,
)
from llmlib.data import Experiment, Request, SupportDesk
from llmlib.hub import load_desk
from llmlib.hub.desk import stage_file
from llmlib.hub.packaged import save_packaged
from llmlib.infer.intervals import wilson_interval
from llmlib.model import Transformer
from llmlib.text import BPETokenizer

ROADS = ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1))  # world, seed
N, RATE, KL_COEF, BETA, UPDATES = 8, 3e-4, 0.05, 0.1, 80
KEPT_UPDATES = 10  # one in so many updates is kept in the recording


def pairs_of(rankings: list[Ranking], seed: int) -> list[tuple]:
    """Two pairs out of each ranking, for DPO."""
    rng = random.Random(seed)
    return [
        (prompt, *(replies[i] for i in sorted(rng.sample(range(len(replies)), 2))))
        for _, prompt, replies in rankings
        for _ in range(2)
    ]


def distance(policy: Transformer, reference: Transformer, prompts: list[list[int]], end: int) -> float:
    """KL(policy || reference) in nats a reply, estimated by k1 on the policy's own samples."""
    rollout = sample_replies(policy, prompts, end, LONGEST_REPLY, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return (reply_logprobs(policy, rollout) - reply_logprobs(reference, rollout)).sum(1).mean().item()


def contenders(
    tuned: Transformer, reward: Callable, prompts: list[list[int]], rankings: list[Ranking], end: int, seed: int
) -> dict[str, Callable[[], tuple[Transformer, list[dict]]]]:
    """How each is trained, from the fine-tuned model; -> the model and the metrics of its updates."""

    def ppo(**changes: object) -> tuple[Transformer, list[dict]]:
        policy = copy.deepcopy(tuned)
        config = PPOConfig(updates=UPDATES, lr=RATE, kl_coef=KL_COEF, seed=seed, **changes)
        return policy, train_ppo(policy, reward, prompts, config, end=end)

    def grpo(std: bool) -> tuple[Transformer, list[dict]]:
        policy = copy.deepcopy(tuned)
        config = GRPOConfig(updates=UPDATES, lr=RATE, kl_coef=KL_COEF, std=std, seed=seed)
        return policy, train_grpo(policy, reward, prompts, config, end=end)

    def dpo(pairs: list[tuple]) -> tuple[Transformer, list[dict]]:
        policy = copy.deepcopy(tuned)
        batches = preference_batches(pairs, end, tuned, 32, seed=seed)
        losses = adapt(policy, batches, RATE, loss=PreferenceLoss(BETA))
        return policy.eval(), [{"update": i + 1, "loss": loss} for i, loss in enumerate(losses)]

    pairs = pairs_of(rankings, seed)
    return {
        "PPO": ppo, "GRPO": lambda: grpo(True), "GRPO without std": lambda: grpo(False),
        "DPO": lambda: dpo(pairs[: UPDATES * 32]),  # as many replies as the others write
        "DPO on all rankings": lambda: dpo(pairs),
    }  # fmt: skip


def compared(found: dict[str, list[float]], with_: dict[str, list[float]]) -> dict[str, list[float]]:
    """By group: the share of wins against the other, ties half, and its 95 % interval."""
    shares = {}
    for name, values in found.items():
        won = wins(values, with_[name])
        shares[name] = [round(value, 4) for value in (mean(won), *wilson_interval(sum(won), len(won)))]
    return shares


def road(world: int, seed: int) -> dict:
    """All stages of one seed."""
    desk, requests, shipped = SupportDesk(world), held_out(SupportDesk(world)), (world, seed) == ROADS[0]
    if shipped:
        (base, tokenizer), tuned = load_desk("base", device="cpu"), load_desk("sft", device="cpu")[0]
    else:
        base, tokenizer = pretrain(desk, seed)
        tuned = fine_tune(base, tokenizer, desk, seed)
    end = end_of_turn(tokenizer)
    rankings = rank_samples(tuned, tokenizer, desk, seed)
    reward = train_reward(tuned, rankings, end, seed)
    if shipped:
        save_packaged(reward, stage_file("reward"), torch.bfloat16)
        reward = load_desk_reward(device="cpu")[0]
    results = dict(reward=judged_reward(reward, tuned, tokenizer, desk, seed), gold={}, wins={}, kl={}, updates={})

    def proxy(prompts_: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
        return reward.score(prompts_, replies, end)

    after_sft = judge(desk, tokenizer, tuned, requests)
    shown = prompts_of(tokenizer, requests["demonstrated"])

    def note(name: str, found: dict[str, list[float]], kl: float) -> None:
        results["gold"][name], results["kl"][name] = means(found), round(kl, 3)
        results["wins"][name] = compared(found, after_sft)
        print(f"world {world}, seed {seed}: {name} {results['gold'][name]} KL {kl:.2f}", flush=True)

    note("base", judge(desk, tokenizer, base, requests, base=True), 0.0)
    note("SFT", after_sft, 0.0)
    note(f"best of {N}", best_replies(tuned, proxy, tokenizer, desk, requests, end), best_of_n_kl(N))
    prompts = prompts_of(tokenizer, desk.requests(3000, draws("policy", seed), COMPARED))
    for name, train in contenders(tuned, proxy, prompts, rankings, end, seed).items():
        policy, history = train()
        note(name, judge(desk, tokenizer, policy, requests), distance(policy, tuned, shown, end))
        kept = [*history[::KEPT_UPDATES], history[-1]]
        results["updates"][name] = [{key: round(value, 4) for key, value in each.items()} for each in kept]
        if shipped and name == "PPO":
            save_packaged(policy, stage_file("ppo"), torch.bfloat16)
    return results


def judged_reward(reward, tuned: Transformer, tokenizer: BPETokenizer, desk: SupportDesk, seed: int) -> dict:
    """Accuracy on held-out rankings, beside that of the gold reward: the ceiling that the annotators' noise sets."""
    held = rank_samples(tuned, tokenizer, desk, seed, n=500, stage="held-out rankings")
    scores, gold = scores_of(reward, held, end_of_turn(tokenizer)), gold_of(desk, tokenizer, held)
    return dict(
        accuracy=round(accuracy(scores), 4), ceiling=round(accuracy(gold), 4),
        calibration=[[round(a, 4), round(b, 4), n] for a, b, n in calibration(scores, 8)],
    )  # fmt: skip


def best_replies(
    tuned: Transformer, proxy: Callable, tokenizer: BPETokenizer, desk: SupportDesk, requests: dict[str, list[Request]],
    end: int,
) -> dict[str, list[float]]:  # fmt: skip
    """Gold rewards of the best of N replies; there is no greedy form of it."""
    generator = torch.Generator().manual_seed(5)
    found = {}
    for group, each in requests.items():
        chosen = best_of_n(
            tuned, proxy, prompts_of(tokenizer, each), N, end, LONGEST_REPLY, generator=generator
        )  # fmt: skip
        found[group] = [round(desk.gold(r, tokenizer.decode(reply)), 4) for r, reply in zip(each, chosen, strict=True)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        *MODULES, "llmlib.align.ppo", "llmlib.align.grpo", "llmlib.align.reward_models", "llmlib.train.muon",
        "experiments/support_rewards.py",
    ]  # fmt: skip
    experiment = Experiment("alignment_desk", script=__file__, modules=modules, seeds=range(5))
    roads = []
    for world, seed in ROADS:
        done = experiment.once(f"world {world}, seed {seed}", road, world, seed)
        roads.append(dict(world=world, seed=seed) | done)
    experiment.save(roads)


if __name__ == "__main__":
    main()
