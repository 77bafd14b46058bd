"""Record shell games longer than any in training: what must be found by its place, and what by a mark.

    OMP_NUM_THREADS=1 python experiments/length_generalisation.py

Models of lecture 16 learn games of 1 to 6 swaps, with their steps, and play up to 12. What changes is how places are
known: learned positions, none, and none with a letter before every swap that its step repeats (index
hints; Zhou et al., 2023). Three seeds; whole chains and whole answers on 300 held-out games of every length. Some 10
minutes of one core.
"""

import random
import string

import torch
from chain_of_thought import SEEDS, judged, train

from llmlib.data import Experiment, Problem, ShellGame, encode_problems
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer

TRAINED, LENGTHS, DRAWN, TESTED, SECONDS = (1, 6), (2, 4, 6, 7, 8, 10, 12), 30_000, 300, 45
LETTERS = string.ascii_lowercase
WAYS = {  # name: positions, a letter before every swap
    "learned": ("learned", False),
    "none": ("none", False),
    "none, marked": ("none", True),
}


class MarkedShellGame(ShellGame):
    """ "3:a12b45c13=" with the steps "a3", "b3" and the answer "c1". The letters begin anywhere in the alphabet."""

    separator = ";"

    def __init__(self, cups: int = 5, swaps: int | tuple[int, int] = 12) -> None:
        super().__init__(cups, swaps)
        self.alphabet += LETTERS + self.separator

    def draw(self, rng: random.Random) -> Problem:
        plain = super().draw(rng)
        start, swaps = plain.prompt.rstrip("=").split(":")
        n = len(swaps) // 2
        marks = LETTERS[(first := rng.randrange(len(LETTERS) - n + 1)) : first + n]
        told = "".join(mark + swaps[2 * i : 2 * i + 2] for i, mark in enumerate(marks))
        *steps, answer = (mark + ball for mark, ball in zip(marks, [*plain.steps, plain.answer]))
        return Problem(f"{start}:{told}=", tuple(steps), answer, key=plain.prompt, separator=self.separator)


def task(swaps: int | tuple[int, int], marked: bool) -> ShellGame:
    """Games of so many swaps."""
    return (MarkedShellGame if marked else ShellGame)(5, swaps)


def run(way: str, seed: int) -> dict:
    """One model, trained on short games and judged on each length."""
    position, marked = WAYS[way]
    rng = random.Random(f"{way} {seed}")
    tokenizer = CharTokenizer(task(1, marked).alphabet)
    rows = encode_problems(task(TRAINED, marked).problems(DRAWN, rng), tokenizer.encode)
    tested = {n: task(n, marked).problems(TESTED, rng, held_out=True) for n in LENGTHS}
    longest = max(len(p.prompt) + len(p.reply()) for p in tested[max(LENGTHS)]) + 8
    torch.manual_seed(seed)
    config = ModelConfig(
        tokenizer.vocab_size, n_layers=2, d_model=96, n_heads=4, max_seq_len=longest, position=position
    )
    model = Transformer(config)
    updates, loss = train(model, rows, SECONDS, seed)
    lengths = {}
    for n, problems in tested.items():
        reply = max(len(problem.reply()) for problem in problems) + 4
        lengths[str(n)] = judged(model, tokenizer, task(n, marked), problems, reply)
    return dict(way=way, seed=seed, updates=updates, loss=round(loss, 4), seconds=SECONDS, lengths=lengths)


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "length_generalisation",
        script=__file__,
        modules=[
            "experiments/chain_of_thought.py", "llmlib.data.shell_game", "llmlib.data.verifiable", "llmlib.train.muon",
        ],
        seeds=SEEDS,
    )  # fmt: skip
    results = []
    for seed in SEEDS:
        for way in WAYS:
            results.append(experiment.once(f"{way}, seed {seed}", run, way, seed))
            print(results[-1], flush=True)
    experiment.save({"trained": TRAINED, "tested": TESTED, "drawn": DRAWN, "runs": results})


if __name__ == "__main__":
    main()
