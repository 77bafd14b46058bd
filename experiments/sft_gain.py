"""Record lecture 11's first table: what 200 demonstrations do to a base model, by seed, in two worlds. Run it with

    OMP_NUM_THREADS=1 python experiments/sft_gain.py

Gold rewards and what is found in the replies to 200 held-out requests of each group, at temperature 1 and greedily; how
often the fine-tuned model's reply is the better one; and what both trainings took. One and a half minutes of one core
beside the base models (`sft_bases`), a minute each.
"""

import time
from collections import Counter

import sft_bases
import support_desk as road
import torch

from llmlib.align import end_of_turn, reply_example
from llmlib.data import Experiment, SupportDesk
from llmlib.model import Transformer, flops_per_token
from llmlib.text import BPETokenizer

RUNS = [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]  # world and seed


def found_in(desk: SupportDesk, tokenizer: BPETokenizer, model: Transformer, requests: dict, base: bool) -> dict:
    """The share of replies at temperature 1 in which each finding occurs, by group."""
    end = road.end_of_line(tokenizer) if base else end_of_turn(tokenizer)
    shares = {}
    for group, each in requests.items():
        prompts = [road.base_prompt(tokenizer, r) for r in each] if base else road.prompts_of(tokenizer, each)
        texts = [tokenizer.decode(reply) for reply in road.write(model, prompts, end)]
        counts = Counter(name for r, text in zip(each, texts, strict=True) for name in desk.findings(r, text))
        shares[group] = {name: round(count / len(each), 3) for name, count in sorted(counts.items())}
    return shares


def compare(world: int, seed: int) -> dict:
    """Base and fine-tuned model of one seed."""
    desk = SupportDesk(world)
    base, tokenizer = sft_bases.base_of(seed, world)
    began = time.process_time()
    tuned = road.fine_tune(base, tokenizer, desk, seed)
    seconds = time.process_time() - began
    requests = road.held_out(desk)
    before = road.judge(desk, tokenizer, base, requests, seed, base=True)
    after = road.judge(desk, tokenizer, tuned, requests, seed)
    shown = desk.demonstrations(road.DEMONSTRATIONS, road.draws("demonstrations", seed), road.QUALITY)
    examples = [reply_example(tokenizer, request.text, reply) for request, reply in shown]
    tokens = 8 * sum(len(e.ids) for e in examples)
    costs = dict(
        base=dict(tokens=road.UPDATES * 16 * road.ROW, updates=road.UPDATES, seconds=sft_bases.seconds_of(seed, world)),
        sft=dict(
            tokens=tokens, targets=8 * sum(map(sum, (e.loss_mask for e in examples))),
            updates=8 * -(-len(examples) // 16), seconds=round(seconds, 1),
        ),
    )  # fmt: skip
    for cost in costs.values():
        cost["flops"] = cost["tokens"] * flops_per_token(base, 64)
    return dict(
        world=world, seed=seed, base=road.means(before), sft=road.means(after),
        wins={name: round(sum(road.wins(after[name], before[name])) / len(after[name]), 3) for name in after},
        found=dict(
            base=found_in(desk, tokenizer, base, requests, True), sft=found_in(desk, tokenizer, tuned, requests, False)
        ),
        costs=costs, gold_of_demonstrations=round(sum(desk.gold(*pair) for pair in shown) / len(shown), 3),
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("sft_gain", script=__file__, modules=sft_bases.MODULES, seeds=(0, 1, 2, 3, 4))
    runs = []
    for world, seed in RUNS:
        runs.append(experiment.once(f"world {world}, seed {seed}", compare, world, seed))
        print({name: runs[-1][name] for name in ("world", "seed", "base", "sft", "wins")}, flush=True)
    experiment.save(dict(runs=runs, intents={w: SupportDesk(w).group for w in (0, 1)}))


if __name__ == "__main__":
    main()
