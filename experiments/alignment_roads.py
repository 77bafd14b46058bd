"""Record three other roads to an assistant for lecture 13: `python experiments/alignment_roads.py`.

- PPO with and without pre-training text in its loss (InstructGPT's PPO-ptx): gold rewards, and bits a token on
  transcripts;
- PPO straight from the base model, without a demonstration;
- a model of eight times the parameters, as long pre-trained and fine-tuned on the same demonstrations, against the
  small one after PPO that lies in the package.

World 0, the reward model in the package. Three seeds each, two of the large model; about half an hour of one
core.
"""

import copy

import torch
from alignment_desk import KL_COEF, RATE, UPDATES, compared, distance
from sft_forgetting import bits, documents
from support_desk import (
    COMPARED,
    LONGEST_REPLY,
    MODULES,
    ROW,
    base_prompt,
    draws,
    end_of_line,
    fine_tune,
    held_out,
    judge,
    means,
    pretrain,
    prompts_of,
)

from llmlib.align import PPOConfig, end_of_turn, load_desk_reward, pack_examples, train_ppo
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk

SEEDS, LARGE_SEEDS = (0, 1, 2), (0, 1)
PTX_COEFS, WIDTH, FROM_BASE_UPDATES = (0.0, 1.0), 208, 160


def with_pretraining(ptx_coef: float, seed: int) -> dict:
    """PPO with a weight on the pre-training loss: 8 rows of transcripts beside every minibatch."""
    desk, (tuned, tokenizer), reward = SupportDesk(0), load_desk("sft", device="cpu"), load_desk_reward(device="cpu")[0]
    end, requests = end_of_turn(tokenizer), held_out(desk)
    prompts = prompts_of(tokenizer, desk.requests(3000, draws("policy", seed), COMPARED))
    rows = pack_examples(documents(desk, tokenizer, "transcripts again", seed, 3000), ROW)
    order = torch.randperm(len(rows["ids"]), generator=torch.Generator().manual_seed(seed))
    feed = [{name: tensor[part] for name, tensor in rows.items()} for part in order.split(8)]
    policy = copy.deepcopy(tuned)
    config = PPOConfig(updates=UPDATES, lr=RATE, kl_coef=KL_COEF, ptx_coef=ptx_coef, seed=seed)
    train_ppo(policy, lambda p, r: reward.score(p, r, end), prompts, config, end=end, pretraining=feed)
    held, before = documents(desk, tokenizer, "held-out transcripts", 0, 200), judge(desk, tokenizer, tuned, requests)
    after = judge(desk, tokenizer, policy, requests)
    found = dict(
        ptx_coef=ptx_coef, seed=seed, gold=means(after), wins=compared(after, before), bits=bits(policy, held),
        bits_before=bits(tuned, held), bits_base=bits(load_desk("base", device="cpu")[0], held),
        kl=round(distance(policy, tuned, prompts_of(tokenizer, requests["demonstrated"]), end), 3),
    )  # fmt: skip
    print(found, flush=True)
    return found


def from_base(seed: int) -> dict:
    """PPO from the base model: it gets the transcript's frame, and its reward model reads the chat's."""
    desk, (base, tokenizer), reward = SupportDesk(0), load_desk("base", device="cpu"), load_desk_reward(device="cpu")[0]
    end, requests = end_of_turn(tokenizer), held_out(desk)
    asked = desk.requests(3000, draws("policy", seed), COMPARED)
    prompts = [base_prompt(tokenizer, request) for request in asked]
    framed = {tuple(plain): chat for plain, chat in zip(prompts, prompts_of(tokenizer, asked), strict=True)}
    points = []

    def note(_, metrics: dict) -> None:
        if metrics["update"] % 10 == 0:
            points.append([metrics["update"], round(metrics["reward"], 4), round(metrics["kl"], 3)])

    policy = copy.deepcopy(base)
    config = PPOConfig(updates=FROM_BASE_UPDATES, lr=RATE, kl_coef=KL_COEF, seed=seed, max_new_tokens=LONGEST_REPLY)
    train_ppo(
        policy, lambda p, r: reward.score([framed[tuple(each)] for each in p], r, end), prompts, config,
        end=end_of_line(tokenizer), callbacks=[note],
    )  # fmt: skip
    after = judge(desk, tokenizer, policy, requests, base=True)
    before = judge(desk, tokenizer, load_desk("sft", device="cpu")[0], requests)
    found = dict(seed=seed, gold=means(after), wins=compared(after, before), points=points)
    print(found, flush=True)
    return found


def large(seed: int) -> dict:
    """The fine-tuned large model, and how often the small aligned one beats it."""
    desk, (small, shared), requests = SupportDesk(0), load_desk("ppo", device="cpu"), held_out(SupportDesk(0))
    base, tokenizer = pretrain(desk, seed, width=WIDTH)
    tuned = fine_tune(base, tokenizer, desk, seed)
    found, aligned = judge(desk, tokenizer, tuned, requests), judge(desk, shared, small, requests)
    held = documents(desk, tokenizer, "held-out transcripts", 0, 200)
    result = dict(
        seed=seed, parameters=tuned.num_parameters(), times=round(tuned.num_parameters() / small.num_parameters(), 2),
        gold=means(found), gold_small=means(aligned), small_wins=compared(aligned, found), bits=bits(base, held),
    )  # fmt: skip
    print(result, flush=True)
    return result


def main() -> None:
    torch.set_num_threads(1)
    modules = [
        *MODULES, "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.reward_models", "llmlib.train.muon",
        "experiments/alignment_desk.py", "experiments/sft_forgetting.py",
    ]  # fmt: skip
    experiment = Experiment("alignment_roads", script=__file__, modules=modules, seeds=SEEDS)
    ptx = [experiment.once(f"ptx_coef {c}, seed {s}", with_pretraining, c, s) for s in SEEDS for c in PTX_COEFS]
    base = [experiment.once(f"from base, seed {s}", from_base, s) for s in SEEDS]
    experiment.save(
        dict(ptx=ptx, base=base, large=[experiment.once(f"large, seed {s}", large, s) for s in LARGE_SEEDS])
    )


if __name__ == "__main__":
    main()
