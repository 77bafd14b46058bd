"""PPO, prompt to update, in samples a second: llmlib.align.train_ppo against an implementation without a cache.

The peer does the same updates with the same model, prompts, reward and settings, written as it is explained: every new
token reads the whole text so far again, logits of all places included; each reply is scored by itself; values and
advantages come from loops over the replies. Its rollouts are drawn by the same rule, so that both learn from replies of
the same length, about. The two take turns and the medians of processor time count. Aim: at least 5 times.

    OMP_NUM_THREADS=1 python benchmarks/ppo_throughput.py [--rounds 5]
"""

import argparse
import copy
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.utils import clip_grad_norm_

from llmlib.align import Critic, PPOConfig, chat_prompt, end_of_turn, train_ppo
from llmlib.data import SupportDesk
from llmlib.model import ModelConfig, Transformer, count_parameters
from llmlib.text import BPETokenizer

BATCH, NEW, UPDATES = 64, 48, 2
CONFIG = PPOConfig(updates=UPDATES, batch_size=BATCH, max_new_tokens=NEW)


def good_words(prompts: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
    """A reward that costs nothing: how many different tokens a reply has."""
    return torch.tensor([len(set(reply)) / 10 for reply in replies])


def plain_ppo(policy: Transformer, prompts: list[list[int]], end: int) -> None:
    """PPO as in a textbook: the same arithmetic as `train_ppo`, one reply and one token at a time."""
    reference = copy.deepcopy(policy).requires_grad_(False)
    critic = Critic(policy)
    weights = [*policy.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=CONFIG.lr, eps=1e-5)
    draw = random.Random(0)

    def read(model: Transformer, prompt: list[int], reply: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and values of the reply's tokens."""
        hidden = model.hidden(torch.tensor([prompt + reply]))[0, len(prompt) - 1 : -1]
        logprobs = model.head(hidden).log_softmax(-1)
        return logprobs[range(len(reply)), reply], critic.head(hidden)[:, 0]

    for _ in range(UPDATES):
        samples = []
        for prompt in draw.choices(prompts, k=BATCH):
            reply: list[int] = []
            with torch.no_grad():
                while len(reply) < NEW and (not reply or reply[-1] != end):
                    logits = policy(torch.tensor([prompt + reply]))[0, -1]
                    reply.append(int(torch.multinomial(logits.softmax(-1), 1)))
                old, values = read(policy, prompt, reply)
                anchored, _ = read(reference, prompt, reply)
                rewards = -CONFIG.kl_coef * (old - anchored)
                rewards[-1] += good_words([prompt], [reply])[0] if reply[-1] == end else CONFIG.truncated_reward
                advantages, running = torch.zeros_like(rewards), 0.0
                for t in reversed(range(len(reply))):
                    after = values[t + 1] if t + 1 < len(reply) else 0.0
                    running = rewards[t] + CONFIG.gamma * after - values[t] + CONFIG.gamma * CONFIG.lam * running
                    advantages[t] = running
            samples.append((prompt, reply, old, values, advantages, advantages + values))
        everything = torch.cat([advantages for *_, advantages, _ in samples])
        mean, std = everything.mean(), everything.std()
        for _ in range(CONFIG.epochs):
            draw.shuffle(samples)
            for start in range(0, BATCH, CONFIG.minibatch_size):
                loss, tokens = 0.0, 0
                part = samples[start : start + CONFIG.minibatch_size]
                for prompt, reply, old, old_values, advantages, returns in part:
                    logprobs, values = read(policy, prompt, reply)
                    ratio, white = (logprobs - old).exp(), (advantages - mean) / std
                    loss = loss + torch.maximum(-white * ratio, -white * ratio.clamp(0.8, 1.2)).sum()
                    near = old_values + (values - old_values).clamp(-0.2, 0.2)
                    errors = torch.maximum((values - returns).square(), (near - returns).square())
                    loss, tokens = loss + CONFIG.value_coef * errors.sum() / 2, tokens + len(reply)
                optimizer.zero_grad()
                (loss / tokens).backward()
                clip_grad_norm_(weights, CONFIG.grad_clip)
                optimizer.step()


def seconds(train: Callable[..., object], policy: Transformer, *arguments: object, **options: object) -> float:
    """Processor seconds of training a copy of the policy."""
    policy = copy.deepcopy(policy)
    began = time.process_time()
    train(policy, *arguments, **options)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    desk, rng = SupportDesk(0), random.Random(0)
    texts = desk.transcripts(1000, rng)
    tokenizer = BPETokenizer.train(texts, 512, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    end = end_of_turn(tokenizer)
    prompts = [chat_prompt(tokenizer, request.text) for request in desk.requests(200, rng)]
    torch.manual_seed(0)
    policy = Transformer(ModelConfig(512, 2, 64, 4, d_ff=168, max_seq_len=192))
    print(f"{count_parameters(policy):,} parameters, {BATCH} replies of up to {NEW} tokens an update")
    ours, plain = [], []
    for _ in range(args.rounds):
        ours.append(seconds(train_ppo, policy, good_words, prompts, CONFIG, end=end))
        plain.append(seconds(plain_ppo, policy, prompts, end))
    rates = [UPDATES * BATCH / statistics.median(times) for times in (ours, plain)]
    ratios = sorted(b / a for a, b in zip(ours, plain))
    print(f"train_ppo {rates[0]:.0f} samples/s, without a cache {rates[1]:.1f} samples/s")
    print(f"ratio {statistics.median(ratios):.1f}x (from {ratios[0]:.1f} to {ratios[-1]:.1f}; aim 5)")


if __name__ == "__main__":
    main()
