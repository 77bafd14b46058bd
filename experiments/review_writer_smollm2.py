"""Record SmolLM2 as a writer of film reviews that learns to please people, for lecture 13: `python
experiments/review_writer_smollm2.py`.

As review_writer.py, with a writer that can write: SmolLM2-135M, of which the last blocks may move, asked for one
sentence about a film. Its reward comes from the ratings of one half of the snippets; a second judge knows the other
half only. One seed; about twenty minutes of two cores and 3 GB.
"""

import copy
import itertools
import random

import torch
from review_writer import Judge

from llmlib.align import PPOConfig, Rollout, chat_prompt, end_of_turn, reply_logprobs, sample_replies, train_ppo
from llmlib.align.updates import frozen
from llmlib.data import Experiment, rated_texts, split_ratings
from llmlib.hub import load_smollm2
from llmlib.model import Transformer

SEED, KL_COEFS = 0, (0.05, 0.2)
MOVING, UPDATES, EVERY, BATCH, LONGEST, JUDGED, RATE = 4, 24, 6, 24, 28, 48, 1e-4
KINDS = (
    "a comedy",
    "a thriller",
    "a war film",
    "a love story",
    "a documentary",
    "a film for children",
    "a horror film",
)
ABOUT = ("two sisters", "a lost dog", "a small town", "a bank robbery", "an old teacher", "the sea", "a long journey")


def asks() -> list[str]:
    return [
        f"Write one short sentence from a critic's review of {kind} about {about}."
        for kind, about in itertools.product(KINDS, ABOUT)
    ]


def please(kl_coef: float) -> list[dict]:
    """One run of PPO: what its own judge and the other one say as it goes, its distance, and some of its sentences."""
    train = split_ratings(rated_texts("film"), seed=0)["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SEED)).tolist()
    proxy, other = Judge([train[i] for i in order[::2]]), Judge([train[i] for i in order[1::2]])
    policy, tokenizer = load_smollm2(device="cpu")
    end = end_of_turn(tokenizer)
    reference = frozen(policy)
    policy.requires_grad_(False)
    policy.blocks[-MOVING:].requires_grad_(True)
    prompts = [chat_prompt(tokenizer, ask) for ask in asks()]
    random.Random(SEED).shuffle(prompts)
    held, practice = prompts[: len(prompts) // 4], prompts[len(prompts) // 4 :]
    judged = [held[i % len(held)] for i in range(JUDGED)]
    notes: list[dict] = []

    def written(model: Transformer) -> tuple[Rollout, list[str]]:
        rollout = sample_replies(model, judged, end, LONGEST, generator=torch.Generator().manual_seed(77))
        return rollout, [tokenizer.decode(reply).strip() for reply in rollout.replies]

    def look(model: Transformer, metrics: dict[str, float]) -> None:
        if metrics["update"] % EVERY:
            return
        rollout, texts = written(model)
        with torch.no_grad():
            kl = (reply_logprobs(model, rollout) - reply_logprobs(reference, rollout)).sum(1).mean().item()
        words = [word for text in texts for word in text.split()]
        notes.append(
            dict(update=metrics["update"], kl=round(kl, 3), distinct_words=round(len(set(words)) / len(words), 4),
                 texts=texts[:6])
            | {name: [round(s.mean().item(), 4), round(s.std().item() / JUDGED**0.5, 4)]
               for name, s in (("proxy", proxy(texts)), ("other", other(texts)))}
        )  # fmt: skip
        print(kl_coef, notes[-1], flush=True)

    look(policy, {"update": 0})
    config = PPOConfig(
        updates=UPDATES, batch_size=BATCH, minibatch_size=BATCH, epochs=2, max_new_tokens=LONGEST, lr=RATE,
        kl_coef=kl_coef, truncated_reward=None, seed=SEED, warmup=2,
    )  # fmt: skip
    train_ppo(
        policy, lambda _, replies: proxy([tokenizer.decode(reply).strip() for reply in replies]), practice, config,
        end=end, reference=reference, callbacks=[look],
    )  # fmt: skip
    return copy.deepcopy(notes)


def main() -> None:
    modules = [
        "llmlib.align.ppo", "llmlib.align.updates", "llmlib.align.padding", "llmlib.align.rollouts",
        "llmlib.data.reviews", "experiments/review_rewards.py", "experiments/review_writer.py",
    ]  # fmt: skip
    experiment = Experiment("review_writer_smollm2", script=__file__, modules=modules, seeds=(SEED,))
    experiment.save([dict(kl_coef=c, looks=experiment.once(f"kl_coef {c}", please, c)) for c in KL_COEFS])


if __name__ == "__main__":
    main()
