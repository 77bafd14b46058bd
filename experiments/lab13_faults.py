"""Record a correct run of PPO and ten faulty ones; one of the first nine lab 13 gives to a student to diagnose.

The support desk's fine-tuned model is trained for 16 updates of 32 replies against its reward model. One thing is wrong
in each faulty run. Afterwards every policy is measured in the same, right way on the same requests. Two seeds: a
student sees the first, the other shows whether what is observed is luck. The tenth fault is not
given out: with so few clipped ratios it makes one seed worse and leaves the other much like a correct run. Run it with
`OMP_NUM_THREADS=1 python experiments/lab13_faults.py`; it takes about four minutes on one core.
"""

import copy
import random
from statistics import mean

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from llmlib.align import (
    Critic,
    Rollout,
    chat_prompt,
    end_of_turn,
    gae,
    kl_estimate,
    load_desk_reward,
    masked_mean,
    ppo_loss,
    reply_logprobs,
    sample_replies,
    token_logprobs,
    whiten,
)
from llmlib.data import Experiment, SupportDesk
from llmlib.hub import load_desk
from llmlib.model import Transformer

FAULTS = {
    "A": "nothing is paid for distance",
    "B": "the price is for the distance to the policy of the update before",
    "C": "the loss has max in place of min",
    "D": "the sign of the advantages is wrong",
    "E": "the score stands in the last column of the batch",
    "F": "the learning rate is 20 times too low",
    "G": "the reward model reads the replies without their requests",
    "H": "a reply may have 20 tokens",
    "I": "replies are sampled at temperature 0.5, and their probabilities read at 1",
    "J": "the old log-probabilities are computed anew before every step",
}
RUNS = dict(zip(("b2", "d7", "f4", "h9", "m1", "p6", "s3", "t8", "w5", "y0"), "GCIAFHBJDE", strict=True))
SEEDS = (0, 1)
UPDATES, REPLIES, MINIBATCH, EPOCHS, RATE, CLIP = 16, 32, 16, 4, 5e-4, 0.2
CRITIC_RATE, KL_COEF, LAM, LONGEST_REPLY, LAST = 2e-2, 0.05, 1.0, 48, 5
DESK = SupportDesk(0)
TUNED, TOKENIZER = load_desk("sft", device="cpu")
REWARD, _ = load_desk_reward(device="cpu")
END = end_of_turn(TOKENIZER)


def prompts_of(requests: list) -> list[list[int]]:
    return [chat_prompt(TOKENIZER, request.text) for request in requests]


def read(policy: Transformer, critic: Critic, rollout: Rollout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities and values (B, T), the value after the last token (B,)."""
    hidden = policy.hidden(rollout.ids, pad_mask=rollout.pad_mask)
    values, after = critic(hidden, rollout)
    return token_logprobs(policy.head(hidden), rollout.ids), values, after


def last_places(mask: torch.Tensor) -> torch.Tensor:
    """(B, T): True at the last marked place of each row."""
    return mask & (mask.flip(1).cumsum(1).flip(1) == 1)


def train(fault: str, seed: int) -> tuple[Transformer, list[dict[str, float]]]:
    """PPO with one thing wrong; the policy, and what its program reports of every update."""
    torch.manual_seed(seed)
    policy, critic, previous = copy.deepcopy(TUNED), Critic(TUNED), copy.deepcopy(TUNED)
    weights = [*policy.parameters(), *critic.parameters()]
    rate = RATE / 20 if fault == "F" else RATE
    groups = [{"params": list(policy.parameters())}, {"params": list(critic.parameters()), "lr": CRITIC_RATE}]
    optimizer = torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.95), eps=1e-5)
    requests = DESK.requests(1000, random.Random(f"to learn from {seed}"), COMPARED)
    prompts, kl_coef = prompts_of(requests), 0.0 if fault == "A" else KL_COEF
    draws, generator = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    log = []
    for update in range(UPDATES):
        optimizer.param_groups[0]["lr"] = rate * min(1, (update + 1) / 4)
        chosen = [prompts[i] for i in torch.randint(len(prompts), (REPLIES,), generator=draws).tolist()]
        longest, temperature = 20 if fault == "H" else LONGEST_REPLY, 0.5 if fault == "I" else 1.0
        rollout = sample_replies(policy, chosen, END, longest, temperature=temperature, generator=generator)
        mask = rollout.reply_mask
        with torch.no_grad():
            asked = [[END]] * REPLIES if fault == "G" else rollout.prompts
            scores = REWARD.score(asked, rollout.replies, END)
            old, values, after = read(policy, critic, rollout)
            kl = kl_estimate(old, reply_logprobs(previous if fault == "B" else TUNED, rollout)) * mask
            place = last_places(mask)
            if fault == "E":
                place = torch.zeros_like(mask)
                place[:, -1] = True
            earned = (scores * rollout.finished)[:, None] * place
            advantages = gae(earned - kl_coef * kl, values, mask, 1.0, LAM, after * ~rollout.finished)
            aims = advantages + values
            advantages = whiten(advantages, mask) * (-1 if fault == "D" else 1)
        previous.load_state_dict(policy.state_dict())
        ratios = []
        policy.train()
        for _ in range(EPOCHS):
            for rows in torch.randperm(REPLIES, generator=draws).split(MINIBATCH):
                part = rollout.rows(rows)
                before, gain, aim, kept = (t[rows, : part.ids.shape[1]] for t in (old, advantages, aims, mask))
                new, guess, _ = read(policy, critic, part)
                if fault == "J":
                    before = new.detach()
                loss = (largest_loss if fault == "C" else ppo_loss)(new, before, gain, kept, CLIP)
                loss = loss + 0.1 * masked_mean((guess - aim).square(), kept)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                clip_grad_norm_(weights, 1.0)
                optimizer.step()
                ratios.append((new.detach() - before).exp()[kept])
        policy.eval()
        every = torch.cat(ratios)
        log.append(
            dict(
                reward=scores.mean().item(), kl=kl.sum(1).mean().item(), earned=(earned * mask).sum(1).mean().item(),
                clipped=((every - 1).abs() > CLIP).float().mean().item(), largest=every.max().item(),
                length=mask.sum(1).float().mean().item(), ended=rollout.finished.float().mean().item(),
            )
        )  # fmt: skip
    return policy, log


def largest_loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensor:
    """The clipped loss with max in place of min."""
    ratio = (new - old).exp()
    return -masked_mean(torch.maximum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages), mask)


def measured(fault: str, seed: int) -> dict:
    """The log of a run."""
    policy, log = train(fault, seed)
    requests = DESK.requests(150, random.Random("held-out"), COMPARED)
    rollout = sample_replies(
        policy, prompts_of(requests), END, LONGEST_REPLY, generator=torch.Generator().manual_seed(1)
    )  # fmt: skip
    replies = [TOKENIZER.decode(reply).strip() for reply in rollout.replies]
    with torch.no_grad():
        distance = (reply_logprobs(policy, rollout) - reply_logprobs(TUNED, rollout)).sum(1).mean().item()
    found = [DESK.findings(request, reply) for request, reply in zip(requests, replies)]
    late = lambda name: mean(entry[name] for entry in log[-LAST:])
    early = lambda name: mean(entry[name] for entry in log[:LAST])
    numbers = {
        "reward, first 5 updates": early("reward"),
        "reward, last 5 updates": late("reward"),
        "scores among the rewards of the tokens, last 5 updates": late("earned"),
        "distance as the program sees it, last 5 updates": late("kl"),
        "ratios that are clipped, percent": 100 * mean(entry["clipped"] for entry in log),
        "largest ratio of an update, mean": mean(entry["largest"] for entry in log),
        "tokens a reply, last 5 updates": late("length"),
        "replies that end, last 5 updates, percent": 100 * late("ended"),
        "distance from the fine-tuned model": distance,
        "proxy reward": REWARD.score(rollout.prompts, rollout.replies, END).mean().item(),
        "gold reward": mean(map(DESK.gold, requests, replies)),
        "replies that end, percent": 100 * rollout.finished.float().mean().item(),
        "words in a reply": mean(len(reply.split()) for reply in replies),
        "broken word pairs, percent": 100 * mean(map(DESK.broken, replies)),
        "different replies, percent": 100 * len(set(replies)) / len(replies),
        **{f"{name}, percent": 100 * mean(name in f for f in found) for name in FINDINGS},
    }
    return {
        "updates": list(range(1, UPDATES + 1)),
        "reward": [round(entry["reward"], 3) for entry in log],
        "distance": [round(entry["kl"], 3) for entry in log],
        **{name: round(value, 1 if "percent" in name else 3) for name, value in numbers.items()},
        "samples": [[request.text, reply] for request, reply in zip(requests[:4], replies)],
    }


COMPARED = ("demonstrated", "compared")
FINDINGS = ("solved", "polite", "next step", "wrong promise")


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab13_faults", script=__file__, seeds=SEEDS,
        modules=[
            "llmlib.align.advantages", "llmlib.align.divergence", "llmlib.align.policy_losses", "llmlib.align.rollouts",
            "llmlib.align.padding", "llmlib.align.ppo", "llmlib.align.reward_models", "llmlib.data.support_desk",
            "llmlib.data.support_phrases",
        ],
    )  # fmt: skip
    runs = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", measured, fault, seed))
            print(name, fault, seed, runs[name][-1], flush=True)
    experiment.save({name: first | {"other seeds": others} for name, (first, *others) in runs.items()})


if __name__ == "__main__":
    main()
