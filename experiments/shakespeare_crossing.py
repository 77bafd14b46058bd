"""Record lecture 03's run past Kneser-Ney: the course's recipe with twice the context and half as many steps again.

Nothing was tuned for it, so that nothing was chosen on any held-out split. Characters are judged in windows that slide
by half a context: each is predicted from at least half a context, as the table it is compared with has its whole
context for each. Losses are in bits per character, on the choose and the report split. Seconds are processor time of
one thread, evaluation excluded. Run it with

    OMP_NUM_THREADS=1 python experiments/shakespeare_crossing.py

It goes on where it was interrupted, and records what is done after every run, so that one that is stopped early leaves
the runs it has finished. The first takes about four minutes of a quiet core; a second arm keeps the context at 64, to
tell the two changes apart; two more seeds follow.
"""

import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.model import Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import Trainer, train_preset

TOKENS_PER_STEP, EVALUATIONS = 1536, 6  # as many characters a step as the recipe
STEPS = 3 * train_preset("shakespeare-cpu").steps // 2
RUNS = (("context 128", 128, 0), ("context 64", 64, 0), ("context 128", 128, 1), ("context 128", 128, 2))


@torch.no_grad()
def sliding_bits(model: Transformer, tokens: Tensor, context: int) -> float:
    """Bits per character; all but the first few are given at least context / 2 characters. Lecture 03 writes it."""
    stride = context // 2
    starts = torch.arange(0, len(tokens) - context, stride)[:, None]
    x = tokens[starts + torch.arange(context)]
    y = tokens[starts + torch.arange(context) + 1]
    pairs = zip(x.split(64), y.split(64))
    nats = torch.cat([F.cross_entropy(model(a).transpose(1, 2), b, reduction="none") for a, b in pairs])
    return torch.cat([nats[0, :-stride], nats[:, -stride:].flatten()]).mean().item() / math.log(2)


def trainer_for(context: int, seed: int, train: Tensor, vocab_size: int) -> Trainer:
    """The course's recipe for small models, with another context and more steps of as many characters."""
    torch.manual_seed(seed)
    config = train_preset("shakespeare-cpu").replace(
        steps=STEPS, batch_size=TOKENS_PER_STEP // context, seq_len=context, seed=seed, device="cpu", progress=False
    )
    shape = preset("shakespeare-cpu").replace(vocab_size=vocab_size, max_seq_len=context)
    return Trainer(Transformer(shape), config, train)


def beginning(context: int, train: Tensor, vocab_size: int) -> list[float]:
    """The training losses of the first steps in nats, to tell whether changed code still gives the same run."""
    trainer = trainer_for(context, 0, train, vocab_size)
    return [round(trainer.train_step(), 5) for _ in range(40)]


def run(context: int, seed: int, train: Tensor, choose: Tensor, report: Tensor, vocab_size: int) -> dict:
    """One training run: steps, characters read, seconds and the bits per character on the report split."""
    trainer = trainer_for(context, seed, train, vocab_size)
    log: dict = {"seed": seed, "context": context, "steps": [], "characters": [], "seconds": [], "report_bits": []}
    seconds = 0.0
    for step in range(1, STEPS + 1):
        started = time.process_time()
        trainer.train_step()
        seconds += time.process_time() - started
        if step % (STEPS // EVALUATIONS) == 0:
            log["steps"].append(step)
            log["characters"].append(step * TOKENS_PER_STEP)
            log["seconds"].append(round(seconds, 1))
            trainer.model.eval()
            with trainer.averaged():
                log["report_bits"].append(round(sliding_bits(trainer.model, report, context), 4))
                if step == STEPS:
                    log["choose_bits"] = round(sliding_bits(trainer.model, choose, context), 4)
            print(f"context {context}, seed {seed}, step {step}: {log['report_bits'][-1]}, {seconds:.0f} s", flush=True)
    return log


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_text, rest = split_text(text, 0.1)
    choose_text, report_text = split_text(rest, 0.5)
    splits = [torch.tensor(tokenizer.encode(part)) for part in (train_text, choose_text, report_text)]
    experiment = Experiment(
        "shakespeare_crossing",
        script=__file__,
        modules=[
            "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.presets", "llmlib.train.loop",
            "llmlib.train.muon", "llmlib.train.averaging", "llmlib.train.schedules", "llmlib.train.presets",
        ],
    )  # fmt: skip
    for context in (128, 64):  # the first parts, so that `--confirm` need not run a whole training again
        experiment.once(f"context {context}, beginning", beginning, context, splits[0], tokenizer.vocab_size)
    results: dict = {}
    for label, context, seed in RUNS:
        key = f"{label}, seed {seed}"
        log = experiment.once(key, run, context, seed, *splits, tokenizer.vocab_size)
        results.setdefault(label, []).append(log)
        print(key, log["report_bits"][-1], log["choose_bits"], flush=True)
        experiment.seeds = sorted({log["seed"] for logs in results.values() for log in logs})
        experiment.save(results)


if __name__ == "__main__":
    main()
