"""Record suffixes found by gradient (GCG, Zou et al., 2023, in small) against suffixes found by chance: for lecture 18.

    OMP_NUM_THREADS=1 python experiments/gcg_suffix.py

The aim is that a sentence goes on in a given way after a base model has read a suffix of eight plain words. Three ways
to spend the same number of tries: GCG (replacements from the gradient's best 64 at each place), the same greedy search
with replacements drawn from all plain words, and fresh random suffixes, the likeliest kept. Three seeds, each with
another aim.
"""

import random
import time

import torch

from llmlib.data import Experiment
from llmlib.evaluate import continuation_logprobs
from llmlib.hub import load_base

METHODS, SEEDS = ("gradient", "random replacements", "random suffixes"), (0, 1, 2)
STEPS, CANDIDATES, PLACES, TOP = 40, 32, 8, 64
SIZES = ("0.3m", "1m")
PROMPT, TARGETS = (
    "The lighthouse was built in",
    ("the forest of gold", "a secret garden", "the king and his wife"),
)


def gradients(model, before, suffix, after, target) -> torch.Tensor:
    """(places, vocabulary): how the loss of the target would change, to first order, if a token stood there."""
    ids = torch.tensor([[*before, *suffix, *after, *target]])
    table = model.token_embedding.weight.detach()
    one_hot = torch.nn.functional.one_hot(torch.tensor(suffix), len(table)).float().requires_grad_()
    embeds = table[ids]
    start = len(before)
    embeds = torch.cat([embeds[:, :start], (one_hot @ table)[None], embeds[:, start + len(suffix) :]], 1)
    h = model.hidden(embeds=embeds)[0, -len(target) - 1 : -1]
    loss = torch.nn.functional.cross_entropy(model.head(h), torch.tensor(target))
    return torch.autograd.grad(loss, one_hot)[0]


def losses(model, before, suffixes, after, target) -> list[float]:
    """Nats a token of the target, for each suffix: one reading of what stands before."""
    ends = [[*suffix, *after, *target] for suffix in suffixes]
    logprobs = continuation_logprobs(model, [(before, ends)])[0]
    return [-each[-len(target) :].mean().item() for each in logprobs]


def search(model, words, before, after, target, method, seed, steps, candidates) -> dict:
    """The best suffix of `PLACES` tokens after `steps` rounds of `candidates`, and the loss after each round."""
    rng = random.Random(seed)
    best = [rng.choice(words) for _ in range(PLACES)]
    (loss,) = losses(model, before, [best], after, target)
    path, began = [loss], time.process_time()
    allowed = torch.full((model.config.vocab_size,), float("inf"))
    allowed[words] = 0
    for _ in range(steps):
        if method == "gradient":
            likely = (gradients(model, before, best, after, target) + allowed).topk(TOP, largest=False).indices
        tried = []
        for _ in range(candidates):
            new, place = list(best), rng.randrange(PLACES)
            if method == "gradient":
                new[place] = int(likely[place, rng.randrange(TOP)])
            elif method == "random replacements":
                new[place] = rng.choice(words)
            else:
                new = [rng.choice(words) for _ in range(PLACES)]
            tried.append(new)
        found = losses(model, before, tried, after, target)
        if min(found) < loss:
            loss = min(found)
            best = tried[found.index(loss)]
        path.append(loss)
    return dict(method=method, seed=seed, suffix=best, path=[round(x, 4) for x in path],
                seconds=round(time.process_time() - began, 1))  # fmt: skip


def plain_words(tokenizer, size: int) -> list[int]:
    """Tokens that are a space and lower-case letters: what a filter for odd characters would not notice."""
    return [i for i in range(size) if (text := tokenizer.decode([i])).startswith(" ") and text[1:].isalpha()
            and text.isascii() and text.islower() and len(text) > 2]  # fmt: skip


def on_base(size: str, method: str, seed: int) -> dict:
    model, tokenizer = load_base(size, device="cpu")
    before = [tokenizer.special_tokens["<|endoftext|>"], *tokenizer.encode(PROMPT)]
    target = tokenizer.encode(" " + TARGETS[seed])
    words = plain_words(tokenizer, model.config.vocab_size)
    found = search(model, words, before, [], target, method, seed, STEPS, CANDIDATES)
    found["text"] = tokenizer.decode(found.pop("suffix"))
    return found | dict(size=size, target=TARGETS[seed])


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("gcg_suffix", script=__file__, modules=["llmlib.evaluate.scoring"], seeds=SEEDS)
    runs = []
    for size in SIZES:
        for method in METHODS:
            for seed in SEEDS:
                runs.append(experiment.once(f"{size}, {method}, {seed}", on_base, size, method, seed))
                print(size, method, seed, runs[-1]["path"][::10], runs[-1]["text"], flush=True)
    experiment.save(dict(runs=runs, steps=STEPS, candidates=CANDIDATES, places=PLACES, prompt=PROMPT))


if __name__ == "__main__":
    main()
