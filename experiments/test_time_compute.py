"""Record accuracy against generated tokens for lecture 16: `python experiments/test_time_compute.py`.

Two tasks, three seeds. Sums of five digits that may be added in any order, by a model stopped half way, so that it
errs: greedy, one sample, voting, best of n, verified steps, beam search and tree search. The Game of 24: sampling
against tree search. What values beginnings is made of the writer's own doubts: a logistic regression on the lowest
log-probabilities in a beginning, fit on judged replies to training problems. Some six minutes of one core.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from llmlib.data import (
    AnyOrderSum,
    Experiment,
    GameOf24,
    Problem,
    ShuffledExamples,
    Task,
    encode_problems,
    step_verifier,
)
from llmlib.evaluate import bootstrap_interval
from llmlib.infer import (
    Budget,
    Thought,
    Writer,
    Written,
    beam_search,
    best_of,
    majority_vote,
    tree_search,
    verified_steps,
)
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer

SEEDS = (0, 1, 2)
TASKS: dict[str, Callable[[], Task]] = {
    "sums": lambda: AnyOrderSum(5, 1),
    "game": lambda: GameOf24(expression=False),
}
UPDATES = {"sums": 200, "game": 220}
LOOKS = {"sums": (130, 165), "game": ()}  # updates at which voting is measured on the way
PROBLEMS, ROLLOUTS = 5_000, (500, 4)  # to train on; problems whose replies the value model learns from, and how many
REPORTED = {"sums": 400, "game": 120}
SIZES = (1, 2, 4, 8, 16)
LONGEST, PART = 320, 24  # tokens: of everything together, and of one part of a reply in steps and trees
RETRIES, DEEPEST = 4, 10
SEARCHES = [(2, 2), (3, 3)]  # width of the beam, ways to go on from each of its thoughts


# --- models -----------------------------------------------------------------------------------------------------------


def fit(model: Transformer, rows: dict[str, Tensor], updates: int, seed: int, lr: float, looks=()) -> Transformer:
    config = TrainConfig(
        steps=updates, batch_size=64, optimizer="muon", lr=lr, embedding_lr=lr, head_lr=0.3 * lr, vector_lr=0.3 * lr,
        weight_decay=0.0, schedule="wsd", seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    Trainer(model, config, ShuffledExamples(rows, 64, seed=seed), callbacks=looks).run()
    return model.eval()


def reasoner(task: Task, updates: int, seed: int, look: Callable | None = None) -> tuple[Transformer, CharTokenizer]:
    """A model that writes steps, of a quarter of a million parameters. look(model, tokenizer, update) is called."""
    tokenizer = CharTokenizer(task.alphabet)
    rows = encode_problems(task.problems(PROBLEMS, random.Random(seed)), tokenizer.encode)
    shape = ModelConfig(tokenizer.vocab_size, 2, 96, 4, max_seq_len=LONGEST, position="learned")
    model = Transformer(shape)
    model.init_weights(torch.Generator().manual_seed(seed))
    looks = [lambda trainer, event: look(model, tokenizer, trainer.step) if event == "step" else None] if look else []
    return fit(model, rows, updates, seed, 0.01, looks), tokenizer


def writer(model: Transformer, tokenizer: CharTokenizer, problems: Sequence[Problem], seed: int) -> Writer:
    longest = max(len(problem.reply()) for problem in problems) + 8
    return Writer(
        model, tokenizer, max_new_tokens=longest, stop_tokens=tokenizer.encode("\n"), temperature=1.0,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def hopeful(task: Task, problem: Problem, parts: Sequence[str], ended: bool) -> bool:
    """Whether a beginning can still end well, or, if it has ended, has: what a perfect judge would say."""
    if ended:
        return task.chain_is_right(problem, problem.separator.join(parts))
    if isinstance(task, GameOf24):
        return task.can_win(problem, parts)
    return all(task.step_is_right(problem, parts[: k + 1]) for k in range(len(parts)))


class Value:
    """How likely a beginning is to end well, by the writer's own doubts: a logistic regression on five numbers.

    They are the lowest log-probability of a token before the first sign of a part, between it and "=", between "=" and
    ":", and after it; and 1.
    """

    def __init__(self, model: Transformer, tokenizer: CharTokenizer, task: Task, seed: int) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.region = torch.zeros(tokenizer.vocab_size, dtype=torch.long) - 1  # that a character begins, or none
        for marks, region in ((";", 0), ("+-*/", 1), ("=", 2), (":", 3)):
            self.region[tokenizer.encode("".join(m for m in marks if m in task.alphabet))] = region
        problems = task.problems(ROLLOUTS[0], random.Random(1000 + seed))
        pools = writer(model, tokenizer, problems, seed)([p.prompt for p in problems], n=ROLLOUTS[1])
        texts, labels, ends = [], [], []
        for problem, one in (
            (p, one) for p, pool in zip(problems, pools) for one in pool if one.finish == "stop_token"
        ):
            parts = problem.parts(one.text)
            for k in range(len(parts)):
                ended = k == len(parts) - 1
                texts.append(problem.prompt + problem.separator.join(parts[: k + 1]) + (";\n"[ended]))
                labels.append(float(hopeful(task, problem, parts[: k + 1], ended)))
                ends.append(task.is_right(problem, one.text) if ended else None)
        self.right = mean(end for end in ends if end is not None)
        doubts, wanted = self.doubts(texts), torch.tensor(labels)
        self.weights = torch.zeros(doubts.shape[1], requires_grad=True)
        optimizer = torch.optim.LBFGS([self.weights], max_iter=100)

        def loss() -> Tensor:
            optimizer.zero_grad()
            ridge = 1e-4 * self.weights.square().sum()
            value = torch.nn.functional.binary_cross_entropy_with_logits(doubts @ self.weights, wanted) + ridge
            value.backward()
            return value

        optimizer.step(loss)
        self.weights = self.weights.detach()

    @torch.no_grad()
    def doubts(self, texts: Sequence[str]) -> Tensor:
        """(texts, 5): the lowest log-probabilities of the reply, by region, and 1."""
        found = []
        for start in range(0, len(texts), 512):
            rows = [self.tokenizer.encode(text) for text in texts[start : start + 512]]
            ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
            real = torch.zeros_like(ids, dtype=torch.bool)
            for i, row in enumerate(rows):
                ids[i, : len(row)] = torch.tensor(row)
                real[i, row.index(self.tokenizer.encode("=")[0]) + 1 : len(row)] = True
            logp = self.model(ids[:, :-1]).log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
            begun = self.region[ids[:, :-1]]
            begun[~real[:, :-1]] = 0  # a reply begins like a part
            place = torch.arange(begun.shape[1]).expand_as(begun).where(begun >= 0, -1).cummax(1).values
            region = begun.gather(1, place)
            lowest = [logp.where(real[:, 1:] & (region == k), torch.zeros(())).amin(1) for k in range(4)]
            found.append(torch.stack([*lowest, torch.ones(len(rows))], 1))
        return torch.cat(found)

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """The probability of a right end for each text, which ends with a separator or the end."""
        return (self.doubts(texts) @ self.weights).sigmoid().tolist() if texts else []

    def thoughts(self, thoughts: Sequence[Thought]) -> list[float]:
        return self([thought.text + ("\n" if thought.ended else "") for thought in thoughts])


# --- methods ----------------------------------------------------------------------------------------------------------


def point(problems: Sequence[Problem], right: Sequence[float], tokens: float) -> list:
    """Tokens a problem, accuracy and its interval, in which the orders of one sum stay together; and each problem's
    share of right answers, in sixteenths from a to q."""
    found = bootstrap_interval([float(x) for x in right], groups=[problem.key for problem in problems])
    each = "".join(chr(ord("a") + round(16 * float(x))) for x in right)
    return [*(round(float(x), 4) for x in (tokens, found.value, found.low, found.high)), each]


def measure(name: str, seed: int) -> dict:
    """The curve of every method: for each budget tokens a problem, accuracy, and the ends of its interval."""
    task = TASKS[name]()
    problems = reported(name)
    prompts = [problem.prompt for problem in problems]
    stages: list[dict] = []
    # The oracle checks the steps too: of sixteen guesses at a small sum one is often right by luck.
    sound = lambda i, one: task.chain_is_right(problems[i], one.text)

    def look(model: Transformer, tokenizer: CharTokenizer, update: int) -> None:
        if update in LOOKS[name]:
            stages.append(voting(task, problems, writer(model, tokenizer, problems, seed), update))

    model, tokenizer = reasoner(task, UPDATES[name], seed, look)
    value = Value(model, tokenizer, task, seed)
    write = writer(model, tokenizer, problems, 100 + seed)
    right = lambda i, one: one is not None and task.is_right(problems[i], getattr(one, "text", one))
    curves: dict[str, list] = {
        "stages": stages,
        "rollouts right": round(value.right, 4),
        "weights": value.weights.tolist(),
    }

    greedy = [group[0] for group in write(prompts, greedy=True)]
    is_right = [right(i, one) for i, one in enumerate(greedy)]
    curves["greedy"] = [point(problems, is_right, mean(len(one.tokens) for one in greedy))]

    pools = write(prompts, n=max(SIZES))
    ended = [(i, one) for i, pool in enumerate(pools) for one in pool if one.finish == "stop_token"]
    scores = {id(one): 0.0 for pool in pools for one in pool}  # what does not end is not right
    scores |= zip([id(one) for _, one in ended], value([f"{prompts[i]}{one.text}\n" for i, one in ended]))
    by_score = lambda i, some: best_of(some, [scores[id(one)] for one in some])
    by_truth = lambda i, some: best_of(some, [float(sound(i, one)) for one in some])
    by_weight = lambda i, some: majority_vote(answers_of(problems[i], some), [scores[id(one)] for one in some])
    ways = {"best of n, learned verifier": by_score, "best of n, oracle": by_truth}
    if name == "sums":
        ways["vote"] = lambda i, some: majority_vote(answers_of(problems[i], some))
        ways["vote weighted by the learned verifier"] = by_weight
    for way, choose in ways.items():
        curves[way] = [
            point(
                problems,
                [mean(right(i, choose(i, some)) for some in cut(pool, n)) for i, pool in enumerate(pools)],
                mean(sum(len(one.tokens) for one in some) for pool in pools for some in cut(pool, n)),
            )
            for n in SIZES
        ]
    curves["one sample"] = curves["best of n, oracle"][:1]

    think = partial(write.think, max_new_tokens=PART)
    truth = step_verifier(task, problems)
    learned = lambda i, parts, ended: value.thoughts([Thought(prompts[i], tuple(parts), ended=ended)])[0] >= 0.5
    for way, accept in {"verified steps, oracle": truth, "verified steps, learned": learned}.items():
        found = verified_steps(think, prompts, accept, retries=RETRIES, max_steps=DEEPEST)
        is_right = [right(i, one.reply) for i, one in enumerate(found)]
        curves[way] = [point(problems, is_right, mean(one.tokens for one in found))]

    for width in (2, 4):
        budget = Budget()
        beams = beam_search(
            model, [tokenizer.encode(p) for p in prompts], width, max_new_tokens=write.max_new_tokens,
            stop_tokens=tokenizer.encode("\n"), budget=budget,
        )  # fmt: skip
        best = [tokenizer.decode(found[0].answer) for found in beams]
        curves.setdefault("beam search", []).append(
            point(problems, [right(i, one) for i, one in enumerate(best)], budget.generated / len(prompts))
        )
    curves |= trees(task, problems, write, value)
    for way, points in curves.items():
        print(
            name,
            seed,
            way,
            [p[:4] if isinstance(p, list) else p for p in points] if way != "rollouts right" else points,
        )
    return curves


def voting(task: Task, problems: list[Problem], write: Writer, update: int) -> dict:
    """Greedy, one sample and the vote of eight, each with its interval, part of the way through training."""
    prompts = [problem.prompt for problem in problems]
    greedy = [task.is_right(p, one.text) for p, (one,) in zip(problems, write(prompts, greedy=True))]
    pools = write(prompts, n=8)
    single = [mean(task.is_right(p, one.text) for one in pool) for p, pool in zip(problems, pools)]
    voted = [majority_vote(answers_of(p, pool)) == p.answer for p, pool in zip(problems, pools)]
    stage = {"greedy": greedy, "one sample": single, "vote of 8": voted}
    return dict(update=update) | {way: point(problems, right, 0)[1:4] for way, right in stage.items()}


def trees(task: Task, problems: list[Problem], write: Writer, value: Value) -> dict[str, list[list[float]]]:
    """Level by level, the most valued thoughts kept. With the learned value the answer is the ended thought that it
    values most; the game knows by its rules whether one has won, and forbids moves that break them."""
    number = {problem.prompt: problem for problem in problems}
    game = isinstance(task, GameOf24)
    of = lambda thought: number[thought.prompt]
    goal = lambda thought: thought.ended and (not game or task.is_right(of(thought), thought.reply))
    legal = lambda thought: not game or task.step_is_right(of(thought), thought.parts)

    values = {
        "tree search, learned value": lambda thoughts: [
            v if legal(t) else -1.0 for t, v in zip(thoughts, value.thoughts(thoughts))
        ],
        "tree search, oracle value": lambda thoughts: [
            float(hopeful(task, of(t), t.parts, t.ended)) if legal(t) else -1.0 for t in thoughts
        ],
    }  # fmt: skip
    if game:
        values["tree search, rules alone"] = lambda thoughts: [0.0 if legal(t) else -1.0 for t in thoughts]
    curves: dict[str, list[list[float]]] = {name: [] for name in values}
    roots = [Thought(problem.prompt) for problem in problems]
    for name, judge in values.items():
        for width, ways in SEARCHES:
            think = partial(write.think, n=ways, max_new_tokens=PART)
            found = tree_search(
                roots, think, judge, goal,
                width=width, max_depth=DEEPEST, threshold=0.0, cost=lambda thought: thought.tokens, first=game,
            )  # fmt: skip
            right = [tree.solved and task.is_right(p, tree.best.reply) for tree, p in zip(found, problems)]
            curves[name].append(point(problems, right, mean(tree.spent for tree in found)))
    return curves


def answers_of(problem: Problem, some: Sequence[Written]) -> list[str | None]:
    return [problem.parts(one.text)[-1] if one.finish == "stop_token" else None for one in some]


def reported(name: str) -> list[Problem]:
    """Problems kept from training: hands once each, sums in some of their orders."""
    task, n = TASKS[name](), REPORTED[name]
    found = {problem.prompt: problem for problem in task.problems(2 * n, random.Random(7), held_out=True)}
    return list(found.values())[:n]


def cut(pool: list[Written], n: int) -> list[list[Written]]:
    """A pool of samples in as many parts of n as it holds."""
    return [pool[k : k + n] for k in range(0, len(pool) - n + 1, n)]


def mean(numbers) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    modules = [
        "llmlib.data.verifiable", "llmlib.data.arithmetic", "llmlib.data.game_of_24", "llmlib.infer.selection",
        "llmlib.infer.verification", "llmlib.infer.beam_search", "llmlib.infer.tree_search", "llmlib.infer.writer",
        "llmlib.train.muon",
    ]  # fmt: skip
    experiment = Experiment("test_time_compute", script=__file__, modules=modules, seeds=SEEDS)
    found = {name: [experiment.once(f"{name}, seed {s}", measure, name, s) for s in SEEDS] for name in TASKS}
    groups = {name: [problem.key for problem in reported(name)] for name in TASKS}
    experiment.save(
        found | {"groups": {name: " ".join(map(str, map(keys.index, keys))) for name, keys in groups.items()}}
    )


if __name__ == "__main__":
    main()
