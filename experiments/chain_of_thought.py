"""Record small models that answer at once and models that work in steps, with the controls that tell them apart.

    OMP_NUM_THREADS=1 python experiments/chain_of_thought.py

A shell game of 12 swaps and additions of 2, 4, 6 and 8 digits, three seeds each; all contenders of a task have the same
processor seconds of training, so that a run cannot be repeated to the digit. In the game, beside the answer at once and
the answer after steps, stand a model four times as deep, auxiliary heads that predict the same steps, filler tokens in
their place, the steps in a random order, and the answer at once with four times the time. Accuracy is that of whole
answers, written freely, on 1,000 held-out problems (of two digits some come twice). Lecture 16. Some 40 minutes of one
core.
"""

import random
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import (
    Addition,
    Experiment,
    Problem,
    ShellGame,
    Task,
    encode_problems,
    filler_steps,
    shuffled_steps,
)
from llmlib.data.verifiable import END
from llmlib.infer import Writer
from llmlib.model import ModelConfig, Transformer
from llmlib.text import CharTokenizer
from llmlib.train import AdamW, Muon

SEEDS, ROWS, DRAWN, TESTED, WARMUP = (0, 1, 2), 64, 30_000, 1_000, 1.0
TASKS = {  # name: the task, processor seconds of training
    "shell game, 12 swaps": (ShellGame(5, 12), 20),
    "addition, 2 digits": (Addition(2), 20),
    "addition, 4 digits": (Addition(4), 30),
    "addition, 6 digits": (Addition(6), 50),
    "addition, 4 digits, 45 s": (Addition(4), 45),
    "addition, 8 digits": (Addition(8), 70),
}
PLAIN, CONTROLS = ("steps", "direct"), ("deeper", "auxiliary heads", "filler", "shuffled", "four times the time")


def build(tokenizer: CharTokenizer, longest: int, n_layers: int = 2) -> Transformer:
    """The small transformer of this lecture; longest: the tokens of its longest text."""
    config = ModelConfig(
        tokenizer.vocab_size, n_layers=n_layers, d_model=96, n_heads=4, max_seq_len=longest, position="learned"
    )
    return Transformer(config)


class StepHeads(nn.Module):
    """Beside the model: from the last token of the prompt, one head for each character of the steps."""

    def __init__(self, d_model: int, characters: int, vocabulary: int) -> None:
        super().__init__()
        self.out = nn.Linear(d_model, characters * vocabulary)
        self.shape = (characters, vocabulary)

    def forward(self, h: Tensor) -> Tensor:
        """(B, d_model) -> (B, characters, vocabulary)."""
        return self.out(h).unflatten(-1, self.shape)


def optimizers(model: nn.Module, heads: nn.Module | None) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for hidden matrices and AdamW for the rest, each with its learning rate."""
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    known = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in known] + (list(heads.parameters()) if heads else [])
    return [(Muon(hidden, lr=0.01, weight_decay=0.0), 0.01), (AdamW(rest, lr=0.003, weight_decay=0.0), 0.003)]


def train(
    model: Transformer, rows: dict[str, Tensor], seconds: float, seed: int, labels: Tensor | None = None
) -> tuple[int, float]:
    """Train for so many processor seconds, the rate falling with the time; the updates made and the last loss.

    labels: (n, characters), the steps as token ids, for auxiliary heads at the last token of the prompt.
    """
    generator = torch.Generator().manual_seed(seed)
    heads = StepHeads(model.config.d_model, labels.size(1), model.config.vocab_size) if labels is not None else None
    steppers, began, updates, recent = optimizers(model, heads), time.process_time(), 0, 0.0
    while (spent := time.process_time() - began) < seconds:
        scale = min(1.0, (spent + 0.05) / WARMUP, 1.05 - spent / seconds)
        pick = torch.randint(len(rows["ids"]), (ROWS,), generator=generator)
        ids, targets = rows["ids"][pick], rows["targets"][pick]
        ids, targets = ids[:, : (n := int((ids != 0).any(0).nonzero().max()) + 1)], targets[:, :n]
        hidden = model.hidden(ids)
        loss = F.cross_entropy(model.head(hidden).flatten(0, 1), targets.flatten())
        recent = loss.item()
        if heads is not None:
            at = (targets >= 0).float().argmax(dim=1)  # where the reply's first token is predicted
            loss = loss + F.cross_entropy(heads(hidden[torch.arange(ROWS), at]).flatten(0, 1), labels[pick].flatten())
        for optimizer, rate in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        loss.backward()
        for optimizer, _ in steppers:
            optimizer.step()
        updates += 1
    return updates, recent


def judged(model: Transformer, tokenizer: CharTokenizer, task: Task, problems: list[Problem], longest: int) -> dict:
    """Free-running greedy replies to problems: whole answers and whole chains right, per cent; tokens of a reply."""
    writer = Writer(model.eval(), tokenizer, max_new_tokens=longest, stop_tokens=tokenizer.encode(END), greedy=True)
    replies = [group[0].text for group in writer([problem.prompt for problem in problems])]
    share = lambda judge: round(100 * sum(map(judge, problems, replies)) / len(problems), 1)
    return {
        "right": share(task.is_right),
        "chain": share(task.chain_is_right),
        "tokens": round(writer.budget.generated / len(problems), 1),
    }


def run(name: str, way: str, seed: int) -> dict:
    """One model of one contender, trained and judged."""
    task, seconds = TASKS[name]
    rng = random.Random(f"{name} {seed}")
    tokenizer = CharTokenizer(task.alphabet)
    drawn, tested = task.problems(DRAWN, rng), task.problems(TESTED, rng, held_out=True)
    change = {"filler": filler_steps, "shuffled": lambda problem: shuffled_steps(problem, rng)}.get(way, lambda p: p)
    with_steps = way in ("steps", "filler", "shuffled")
    rows = encode_problems([change(problem) for problem in drawn], tokenizer.encode, steps=with_steps)
    labels = None
    if way == "auxiliary heads":
        labels = torch.tensor([tokenizer.encode(task.separator.join(problem.steps)) for problem in drawn])
    longest = rows["ids"].size(1) + 8
    torch.manual_seed(seed)
    model = build(tokenizer, longest, 8 if way == "deeper" else 2)
    seconds *= 4 if way == "four times the time" else 1
    updates, loss = train(model, rows, seconds, seed, labels)
    flops = model.flops_per_token(rows["ids"].size(1)) * updates * ROWS * rows["ids"].size(1)
    result = dict(task=name, way=way, seed=seed, updates=updates, loss=round(loss, 4), seconds=seconds)
    result |= dict(parameters=model.num_parameters(), teraflops=round(flops / 1e12, 2))
    longer = longest - max(len(problem.prompt) for problem in tested) - 1
    return result | judged(model, tokenizer, task, tested, longer)


def contenders() -> list[tuple[str, str]]:
    """What is trained, the quick and the telling first."""
    game, plain = "shell game, 12 swaps", [(name, way) for name in TASKS for way in PLAIN]
    return plain[:2] + [(game, way) for way in CONTROLS] + plain[2:]


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "chain_of_thought",
        script=__file__,
        modules=["llmlib.data.shell_game", "llmlib.data.arithmetic", "llmlib.data.verifiable", "llmlib.train.muon"],
        seeds=SEEDS,
    )
    results = []
    for name, way in contenders():
        for seed in SEEDS:
            results.append(experiment.once(f"{name}, {way}, seed {seed}", run, name, way, seed))
            print(results[-1], flush=True)
    experiment.save({"tested": TESTED, "drawn": DRAWN, "rows": ROWS, "runs": results})


if __name__ == "__main__":
    main()
