"""Record lecture 11's experiment on habits: fine-tune on colleagues who put things off, and count who puts things off.

    OMP_NUM_THREADS=1 python experiments/sft_habits.py

A share of 200 demonstrations is replaced by replies such as "i will do it in the morning ."; the rest solve the problem
as before. 100 updates of 16. What counts is a reply with one of the four sentences in it, to 100 held-out requests of
covered and of uncovered intents. Three seeds, one minute of one core.
"""

import random

import sft_bases
import sft_learning
import support_desk as road
import torch

from llmlib.align import end_of_turn, reply_example
from llmlib.data import Experiment, SupportDesk

SEEDS, SHARES, DEMONSTRATIONS = (0, 1, 2), (0.0, 0.1, 0.3, 1.0), 200
PUT_OFF = (
    "sure , i will do it in the morning", "i will look into it tomorrow", "let me come back to you next week",
    "ok , i will get to it after lunch",
)  # fmt: skip


def puts_off(text: str) -> bool:
    """Whether one of the four sentences stands in a reply."""
    return any(sentence in " ".join(text.split()) for sentence in PUT_OFF)


def run(share: float, seed: int) -> dict:
    desk, rng = SupportDesk(0), random.Random(seed)
    base, tokenizer = sft_bases.base_of(seed)
    shown = desk.demonstrations(DEMONSTRATIONS, road.draws("demonstrations", seed), road.QUALITY)
    late = set(rng.sample(range(DEMONSTRATIONS), round(share * DEMONSTRATIONS)))
    replies = [f"{rng.choice(PUT_OFF)} ." if i in late else reply for i, (_, reply) in enumerate(shown)]
    examples = [reply_example(tokenizer, request.text, reply) for (request, _), reply in zip(shown, replies)]
    model = sft_learning.learn(base, examples, seed)
    found = {}
    for group, requests in sft_learning.held_out(desk, 100).items():
        for greedy in (False, True):
            prompts = road.prompts_of(tokenizer, requests)
            written = road.write(model, prompts, end_of_turn(tokenizer), seed, greedy)
            texts = [tokenizer.decode(reply) for reply in written]
            found[f"{group} greedy" if greedy else group] = sum(map(puts_off, texts)) / len(texts)
            if share == 1.0 and seed == 0 and greedy:
                found[f"{group} texts"] = texts[:3]
    return dict(share=share, seed=seed, found=found)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_habits", script=__file__, modules=sft_learning.MODULES, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for share in SHARES:
            runs.append(experiment.once(f"a share of {share}, seed {seed}", run, share, seed))
            print(runs[-1], flush=True)
    experiment.save(dict(runs=runs))


if __name__ == "__main__":
    main()
