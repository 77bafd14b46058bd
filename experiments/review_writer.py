"""Record a small writer of film reviews that learns to please people, for lecture 13: `python
experiments/review_writer.py`.

Ziegler et al.'s (2019) first task: a language model of review snippets, a reward from human ratings of half of the
snippets, PPO against it. What it has learned is judged by a second model, of the same kind, that knows the ratings of
the other half only. Three seeds and three prices of distance; some twelve minutes of one core.
"""

import argparse

import torch
from review_rewards import bag_of_words, ridge
from support_desk import pretrain_on
from torch import Tensor

from llmlib.align import PPOConfig, Rollout, reply_logprobs, sample_replies, train_ppo
from llmlib.align.updates import frozen
from llmlib.data import Experiment, RatedText, rated_texts, split_ratings
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer

END = "<|endoftext|>"
SEEDS, KL_COEFS = (0, 1, 2), (0.0, 0.05, 0.2)
PENALTY = 1.0  # the ridge that review_rewards.py chose
LONGEST, UPDATES, EVERY, JUDGED = 40, 60, 10, 256


class Judge:
    """A ridge on 1- and 2-grams from some people's ratings, in standard deviations of what it says of real snippets."""

    def __init__(self, texts: list[RatedText]) -> None:
        self.features = bag_of_words(texts)
        x = self.features(texts)
        every = torch.eye(x.shape[1], dtype=torch.double)
        ratings = torch.tensor([each.mean for each in texts])
        self.weights = ridge(x, ratings, [PENALTY], every)[PENALTY][0] - ratings.mean()
        said = x @ self.weights
        self.mean, self.std = said.mean(), said.std()

    def __call__(self, texts: list[str]) -> Tensor:
        rows = self.features([RatedText(text, 0.0, None, "") for text in texts])
        return ((rows @ self.weights - self.mean) / self.std).float()


def writer(texts: list[RatedText], seed: int) -> tuple[Transformer, BPETokenizer]:
    """A language model of review snippets, 0.4 million parameters. A minute."""
    plain = [each.text for each in texts]
    tokenizer = BPETokenizer.train(plain, 1500, special_tokens=[END])
    end = tokenizer.special_tokens[END]
    encoded = [[end, *tokenizer.encode(text), end] for text in plain]
    config = ModelConfig(1500, 2, 96, 6, d_ff=256, max_seq_len=128, init_std=0.02 * (768 / 96) ** 0.5)
    return pretrain_on(encoded, config, seed, updates=600), tokenizer


def written(model: Transformer, tokenizer: BPETokenizer, seed: int) -> tuple[Rollout, list[str]]:
    """What the writer writes from nothing, at temperature 1."""
    end = tokenizer.special_tokens[END]
    rollout = sample_replies(model, [[end]] * JUDGED, end, LONGEST, generator=torch.Generator().manual_seed(seed))
    return rollout, [tokenizer.decode(reply) for reply in rollout.replies]


def please(kl_coef: float, seed: int) -> list[dict]:
    """One run of PPO: what its own judge and the other one say as it goes, its distance, and some of its texts."""
    train = split_ratings(rated_texts("film"), seed=0)["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
    halves = [train[i] for i in order[::2]], [train[i] for i in order[1::2]]
    proxy, other = map(Judge, halves)
    policy, tokenizer = writer(train, seed)
    reference, end = frozen(policy), tokenizer.special_tokens[END]
    notes: list[dict] = []

    def look(model: Transformer, metrics: dict[str, float]) -> None:
        if metrics["update"] % EVERY:
            return
        rollout, texts = written(model, tokenizer, 77)
        with torch.no_grad():
            kl = (reply_logprobs(model, rollout) - reply_logprobs(reference, rollout)).sum(1).mean().item()
        scores = dict(proxy=proxy(texts), other=other(texts))
        distinct = len({word for text in texts for word in text.split()}) / sum(len(text.split()) for text in texts)
        notes.append(
            dict(update=metrics["update"], kl=round(kl, 3), distinct_words=round(distinct, 4), texts=texts[:6])
            | {name: [round(s.mean().item(), 4), round(s.std().item() / JUDGED**0.5, 4)] for name, s in scores.items()}
        )  # fmt: skip
        print(kl_coef, seed, notes[-1], flush=True)

    look(policy, {"update": 0})
    config = PPOConfig(updates=UPDATES, max_new_tokens=LONGEST, lr=5e-4, kl_coef=kl_coef, seed=seed)
    train_ppo(
        policy, lambda _, replies: proxy([tokenizer.decode(reply) for reply in replies]), [[end]], config, end=end,
        callbacks=[look],
    )  # fmt: skip
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.padding", "llmlib.align.rollouts",
        "llmlib.data.reviews", "llmlib.train.muon",
        "experiments/review_rewards.py", "experiments/support_desk.py",
    ]  # fmt: skip
    experiment = Experiment("review_writer", script=__file__, modules=modules, seeds=SEEDS)
    runs = [(kl_coef, seed) for kl_coef in KL_COEFS for seed in SEEDS]
    experiment.save(
        [dict(kl_coef=c, seed=s, looks=experiment.once(f"kl_coef {c}, seed {s}", please, c, s)) for c, s in runs]
    )


if __name__ == "__main__":
    main()
