"""Record a correct measurement of test-time compute and faulty ones, one of which lab 16 gives to a student.

A small transformer has learned for 150 updates to add four numbers in any order, with steps. A program measures on 400
problems that are in no training set how often it is right: greedily, with one sample, by a vote of 4 and 16 samples,
with the best of 16 by a learned verifier and by an oracle, and what each costs. One thing is wrong in each faulty
program; the model, its samples and the verifier are the same. The verifier is a logistic regression on how sure the
model was of its own tokens, trained on samples of training problems. Three seeds: a student sees the first, and a test
holds every observation to all of them. Run it with `OMP_NUM_THREADS=1 python experiments/lab16_faults.py`; it takes
about two minutes on one core.
"""

import random
import re
from collections.abc import Callable
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import AnyOrderSum, Experiment, Problem, encode_problems
from llmlib.data.verifiable import END
from llmlib.infer import Generation, generate
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import AdamW, Muon, next_token_loss

FAULTS = {
    "A": "the first number of a reply is read as its answer",
    "B": "a sample without an answer votes for having none",
    "C": "all samples of a problem are drawn with the same seed",
    "D": "the learned verifier's scores are the oracle's",
    "E": "only the tokens of the first sample are counted",
    "F": "the sample with the lowest score is taken",
    "G": "greedy decoding samples as well",
    "H": "an answer is looked for in prompt and reply together",
    "I": "replies are cut off after 22 tokens",
    "J": "replies are compared with the answer of the next problem",
}
RUNS = dict(zip(("b2", "c7", "e1", "g5", "h8", "k3", "n6", "r4", "s9", "w0"), "GBIEAJCHDF", strict=True))
SEEDS = (0, 1, 2)
TASK, UPDATES, ROWS, TESTED, SAMPLES, LONGEST, CUT = AnyOrderSum(4, 1), 150, 64, 400, 16, 40, 22
Pool = list[list[Generation]]
_STEP = re.compile(r"[0-9]+\+[0-9]+=[0-9]+")


def trained(seed: int) -> tuple[Transformer, CharTokenizer, list[Problem]]:
    """The model, its tokenizer, and the problems that it has learned from."""
    tokenizer = CharTokenizer(TASK.alphabet)
    config = ModelConfig(
        tokenizer.vocab_size, n_layers=2, d_model=96, n_heads=4, max_seq_len=64, position="learned"
    )  # fmt: skip
    model = Transformer(config)
    model.init_weights(torch.Generator().manual_seed(seed))
    problems = TASK.problems(12_000, random.Random(seed))
    rows, chance = encode_problems(problems, tokenizer.encode), torch.Generator().manual_seed(seed)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    known = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in known]
    steppers = [(Muon(matrices, lr=0.01, weight_decay=0.0), 0.01), (AdamW(rest, lr=0.003, weight_decay=0.0), 0.003)]
    for update in range(UPDATES):
        pick = torch.randint(len(problems), (ROWS,), generator=chance)
        total, count = next_token_loss(model, {name: tensor[pick] for name, tensor in rows.items()})
        for optimizer, rate in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (update + 1) / 10, 1.05 - update / UPDATES)
        (total / count).backward()
        for optimizer, _ in steppers:
            optimizer.step()
    return model.eval(), tokenizer, problems


def drawn(model: Transformer, tokenizer: CharTokenizer, problems: list[Problem], n: int, seed: int, **how) -> Pool:
    """n replies to each problem, with the log-probability of each token."""
    chance, pools = torch.Generator().manual_seed(seed), []
    for start in range(0, len(problems), 16):
        prompts = [tokenizer.encode(problem.prompt) for problem in problems[start : start + 16]]
        found = generate(
            model, prompts, n=n, tokenizer=tokenizer, return_logprobs=True, generator=chance, max_new_tokens=LONGEST,
            stop_tokens=tokenizer.encode(END), **how,
        )  # fmt: skip
        pools += [[one] for one in found] if n == 1 else found
    return pools


def features(sample: Generation) -> list[float]:
    """How sure the model was: its least sure token, the mean, and how long the reply is."""
    logprobs = [float(x) for x in sample.raw_logprobs]
    return [min(logprobs), mean(logprobs), len(logprobs) / 10, 1.0]


def verifier(pools: Pool, right: list[list[bool]]) -> Callable[[Generation], float]:
    """A logistic regression that tells right replies from wrong ones."""
    x = torch.tensor([features(sample) for pool in pools for sample in pool])
    y = torch.tensor([float(each) for marks in right for each in marks])
    weights = torch.zeros(x.size(1), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x @ weights, y) + 1e-3 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return lambda sample: float(torch.tensor(features(sample)) @ weights.detach())


def answer(reply: str) -> str | None:
    """What comes after three steps and the last semicolon; None where a reply is not of this form."""
    *steps, last = reply.split(";")
    return last if len(steps) == 3 and all(map(_STEP.fullmatch, steps)) and re.fullmatch("[0-9]+", last) else None


def read(problem: Problem, reply: str, fault: str) -> str | None:
    """The answer, as a program with this fault reads it."""
    if fault == "A":
        return (re.findall("[0-9]+", reply) or [None])[0]
    if fault == "H":
        return answer(reply) or re.findall("[0-9]+", problem.prompt + reply)[-1]
    return answer(reply)


def vote(answers: list[str | None], fault: str) -> str | None:
    """The answer given most often, of equals the first."""
    counted = answers if fault == "B" else [each for each in answers if each is not None]
    return max(counted, key=counted.count) if counted else None


def measured(seed: int) -> dict[str, dict]:
    """For each fault, and for none, the log of the program."""
    model, tokenizer, known = trained(seed)
    problems = TASK.problems(TESTED, random.Random(f"to measure {seed}"), held_out=True)
    learned_from = known[:300]
    seen = drawn(model, tokenizer, learned_from, 8, seed + 10)
    text = lambda sample, longest=LONGEST: tokenizer.decode(sample.tokens[:longest]).removesuffix(END)
    score = verifier(
        seen, [[TASK.is_right(problem, text(sample)) for sample in pool] for problem, pool in zip(learned_from, seen)]
    )
    pools = drawn(model, tokenizer, problems, SAMPLES, seed + 20)
    greedy = drawn(model, tokenizer, problems, 1, seed, greedy=True)
    again = drawn(model, tokenizer, problems, 1, seed + 30)
    return {
        fault: log(fault, problems, pools, again if fault == "G" else greedy, score, text) for fault in ("", *FAULTS)
    }


def log(fault: str, problems: list[Problem], pools: Pool, greedy: Pool, score, text) -> dict[str, float]:
    """What a program with this fault writes down."""
    longest = CUT if fault == "I" else LONGEST
    answers_to = [problem.answer for problem in problems]
    if fault == "J":
        answers_to = answers_to[1:] + answers_to[:1]
    if fault == "C":
        pools = [[pool[0]] * SAMPLES for pool in pools]
    find = lambda problem, sample: read(problem, text(sample, longest), fault)
    first = [find(problem, one) for problem, (one,) in zip(problems, greedy)]
    answers = [[find(problem, sample) for sample in pool] for problem, pool in zip(problems, pools)]
    right = [[each == true for each in row] for row, true in zip(answers, answers_to)]
    scores = [[score(sample) for sample in pool] for pool in pools]
    if fault == "D":
        scores = [[float(each) for each in row] for row in right]
    best = min if fault == "F" else max
    chosen = [row[best(range(SAMPLES), key=marks.__getitem__)] for row, marks in zip(right, scores)]
    lengths = [[min(longest, len(sample.tokens)) for sample in pool] for pool in pools]
    counted = [row[:1] for row in lengths] if fault == "E" else lengths
    percent = lambda values: 100 * mean(map(float, values))
    voted = {n: [[vote(row[i : i + n], fault) for i in range(0, SAMPLES, n)] for row in answers] for n in (4, 16)}
    won = {n: percent(a == true for row, true in zip(voted[n], answers_to) for a in row) for n in voted}
    numbers = {
        "greedy, right, percent": percent(a == true for a, true in zip(first, answers_to)),
        "one sample, right, percent": percent(each for row in right for each in row),
        "vote of 4, right, percent": won[4],
        "vote of 16, right, percent": won[16],
        "best of 16 by the learned verifier, right, percent": percent(chosen),
        "best of 16 by the oracle, right, percent": percent(map(any, right)),
        "one greedy reply, tokens": mean(min(longest, len(one.tokens)) for (one,) in greedy),
        "a vote of 16, tokens": mean(map(sum, counted)),
        "samples without an answer, percent": percent(each is None for row in answers for each in row),
        "votes of 16 that end without an answer, percent": percent(a is None for (a,) in voted[16]),
        "different answers to a problem in 16 samples": mean(len(set(row) - {None}) for row in answers),
        "answers that are numbers of the prompt, percent": percent(
            each in problem.prompt.rstrip("=").split("+")
            for problem, row in zip(problems, answers)
            for each in row
            if each is not None
        ),
    }
    return {name: float(f"{value:.3g}") for name, value in numbers.items()}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab16_faults", script=__file__, seeds=SEEDS,
        modules=[
            "llmlib.data.arithmetic", "llmlib.data.verifiable", "llmlib.infer.generation", "llmlib.infer.sampling",
        ],
    )  # fmt: skip
    logs = [experiment.once(f"seed {seed}", measured, seed) for seed in SEEDS]
    results = {}
    for name, fault in {"correct": "", **RUNS}.items():
        first, *others = (log[fault] for log in logs)
        results[name] = first | {"other seeds": others}
        print(name, fault, [[*log[fault].values()] for log in logs], flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
