"""Record reinforcement learning from verifiable rewards for lecture 16: `python experiments/reasoning_rl.py`.

A model has seen a task half with steps and half with the answer alone, and was stopped before it knew either well.
GRPO then pays 1 for a right answer and nothing for the way to it. Looked at every ten updates: accuracy, how many
replies show steps, and how long they are. Two tasks: a shell game, where this model's answers at once are right about
as often as a guess among five, and sums, where at the start an answer at once is right more often than one with steps.
Where supervised training stops was chosen in trial runs. Three seeds; some thirteen minutes of one core.
"""

import argparse
import random

import torch
from test_time_compute import fit, mean, writer

from llmlib.align import GRPOConfig, train_grpo
from llmlib.data import AnyOrderSum, Experiment, ShellGame, Task, encode_problems, verifiable_reward
from llmlib.evaluate import bootstrap_interval
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer

SEEDS = (0, 1, 2)
TASKS = {"shell game": ShellGame(5, 8), "sums": AnyOrderSum(5, 1)}
BEFORE = {"shell game": 160, "sums": 150}  # updates
PROBLEMS, REPORTED = 4000, 200
UPDATES, EVERY = 60, 10


def half_trained(name: str, seed: int, look=None) -> tuple[Task, Transformer, CharTokenizer]:
    """A model that writes steps or answers at once, and errs in both."""
    task = TASKS[name]
    tokenizer = CharTokenizer(task.alphabet)
    problems = task.problems(PROBLEMS, random.Random(seed))
    kinds = [encode_problems(problems[k::2], tokenizer.encode, steps=k == 0) for k in (0, 1)]
    width = kinds[0]["ids"].shape[1]
    wide = lambda rows, fill: torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=fill)
    rows = {
        name: torch.cat([wide(kind[name], fill) for kind in kinds]) for name, fill in (("ids", 0), ("targets", -100))
    }
    model = Transformer(ModelConfig(tokenizer.vocab_size, 2, 96, 4, max_seq_len=80, position="learned"))
    model.init_weights(torch.Generator().manual_seed(seed))
    return task, fit(model, rows, BEFORE[name], seed, 0.01, [look] if look else []), tokenizer


def learn(name: str, seed: int) -> list[dict]:
    """One run, looked at on held-out problems before the first update and after every tenth."""
    task, policy, tokenizer = half_trained(name, seed)
    problems = list({p.prompt: p for p in task.problems(1500, random.Random(50 + seed))}.values())
    reported = list({p.prompt: p for p in task.problems(2 * REPORTED, random.Random(7), held_out=True)}.values())[
        :REPORTED
    ]
    looks: list[dict] = []

    def look(model: Transformer, metrics: dict[str, float]) -> None:
        if metrics["update"] % EVERY:
            return
        write = writer(model, tokenizer, reported, 77)
        prompts = [p.prompt for p in reported]
        found = {
            "sampled": [group[0] for group in write(prompts)],
            "greedy": [g[0] for g in write(prompts, greedy=True)],
        }
        note: dict = dict(update=metrics["update"])
        for how, replies in found.items():
            right = [float(task.is_right(p, one.text)) for p, one in zip(reported, replies)]
            shown = [len(p.parts(one.text)) > 1 for p, one in zip(reported, replies)]
            note[how] = [round(x, 4) for x in bootstrap_interval(right, groups=[p.key for p in reported])]
            note[f"{how} steps"] = round(mean(shown), 4)
            note[f"{how} tokens"] = round(mean(len(one.tokens) for one in replies), 2)
            for kind, kept in (("with steps", True), ("at once", False)):
                some = [r for r, s in zip(right, shown) if s == kept]
                note[f"{how} {kind}"] = [sum(some), len(some)]
        note["reply"] = found["greedy"][0].text
        looks.append(note)
        print(name, seed, note, flush=True)

    prompts = [tokenizer.encode(p.prompt) for p in problems]
    reward = verifiable_reward(problems, prompts, tokenizer.decode, task.is_right)
    look(policy, {"update": 0})
    config = GRPOConfig(
        updates=UPDATES, max_new_tokens=44, prompts_per_update=8, group_size=8, minibatch_size=64, epochs=1, lr=2e-4,
        kl_coef=0.0, truncated_reward=0.0, seed=seed,
    )  # fmt: skip
    end = tokenizer.encode("\n")[0]
    train_grpo(policy, reward, prompts, config, end=end, callbacks=[look])
    return looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.align.grpo", "llmlib.align.advantages", "llmlib.align.updates", "llmlib.align.rollouts",
        "llmlib.data.verifiable", "llmlib.data.arithmetic", "llmlib.train.muon", "experiments/test_time_compute.py",
    ]  # fmt: skip
    experiment = Experiment("reasoning_rl", script=__file__, modules=modules, seeds=SEEDS)
    runs = [(name, seed) for name in TASKS for seed in SEEDS]
    experiment.save([dict(task=n, seed=s, looks=experiment.once(f"{n}, seed {s}", learn, n, s)) for n, s in runs])


if __name__ == "__main__":
    main()
