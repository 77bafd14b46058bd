"""Record what votes add to sums of four two-digit numbers, for lecture 16: `python experiments/voting.py`.

The numbers may be added in any order, so many ways lead to each answer, and no two of the 800 held-out sums are alike.
Greedy decoding, one sample, and votes of up to 32 samples at temperature 1; three seeds, three minutes of a core.
"""

import argparse
import random

import torch
from test_time_compute import answers_of, cut, fit, mean, point, writer

from llmlib.data import AnyOrderSum, Experiment, encode_problems
from llmlib.infer import majority_vote
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer

SEEDS, UPDATES, PROBLEMS, REPORTED = (0, 1, 2), 300, 12_000, 800
SIZES = (1, 2, 4, 8, 16, 32)


def votes(seed: int) -> dict:
    """Accuracy of one model: tokens, share right, and the ends of its interval."""
    task = AnyOrderSum(4, 2)
    tokenizer = CharTokenizer(task.alphabet)
    rows = encode_problems(task.problems(PROBLEMS, random.Random(seed)), tokenizer.encode)
    model = Transformer(ModelConfig(tokenizer.vocab_size, 2, 96, 4, max_seq_len=80, position="learned"))
    model.init_weights(torch.Generator().manual_seed(seed))
    fit(model, rows, UPDATES, seed, 0.01)
    problems = list({p.key: p for p in task.problems(REPORTED, random.Random(7), held_out=True)}.values())
    write = writer(model, tokenizer, problems, 100 + seed)
    prompts = [p.prompt for p in problems]
    greedy = [group[0] for group in write(prompts, greedy=True)]
    right = [task.is_right(p, one.text) for p, one in zip(problems, greedy)]
    found = {"greedy": [point(problems, right, mean(len(one.tokens) for one in greedy))], "vote": []}
    pools = [answers_of(p, pool) for p, pool in zip(problems, write(prompts, n=max(SIZES)))]
    for n in SIZES:
        right = [mean(majority_vote(some) == p.answer for some in cut(pool, n)) for p, pool in zip(problems, pools)]
        found["vote"].append(point(problems, right, n))
    print(seed, {way: [p[:4] for p in points] for way, points in found.items()}, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.data.verifiable", "llmlib.data.arithmetic", "llmlib.infer.selection", "llmlib.train.muon",
        "experiments/test_time_compute.py",
    ]  # fmt: skip
    experiment = Experiment("voting", script=__file__, modules=modules, seeds=SEEDS)
    experiment.save([experiment.once(f"seed {seed}", votes, seed) for seed in SEEDS])


if __name__ == "__main__":
    main()
