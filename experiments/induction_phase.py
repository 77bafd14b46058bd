"""Record how induction heads form and what they are worth, for lecture 09: `python experiments/induction_phase.py`.

Attention alone, no MLP: 4 heads, width 64, learned positions, 64 tokens. Rows of 48 tokens are random and come again
after 12 to 24, another period in each row, so that no fixed distance helps. Five seeds of two layers, three of one.
Every ten steps: loss on new and on repeated tokens, induction and previous-token scores. At the end the heads of
high induction score on other rows are replaced by their mean, and so is every set of as many other heads. Two minutes
of one thread.
"""

import itertools
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment
from llmlib.evaluate.induction import induction_scores, previous_token_scores, repeated_tokens, token_losses
from llmlib.model import ModelConfig, Transformer, intervene
from llmlib.train import AdamW, Muon

VOCAB, LENGTH, D_MODEL, HEADS, HEAD_DIM, PERIOD = 64, 48, 64, 4, 32, 20
STEPS, EVERY, BATCH, SEEDS, REPORTED, FOUND = 200, 10, 32, {2: (0, 1, 2, 3, 4), 1: (0, 1, 2)}, 99, 98
MODULES = ["llmlib.evaluate.induction", "llmlib.model.attention", "llmlib.model.transformer", "llmlib.train.muon"]


class Nothing(nn.Module):
    """An MLP that adds nothing to the stream."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def attention_only(n_layers: int, seed: int) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(
        ModelConfig(VOCAB, n_layers, D_MODEL, HEADS, head_dim=HEAD_DIM, max_seq_len=LENGTH, position="learned",
                    tie_embeddings=False)
    )  # fmt: skip
    for block in model.blocks:
        block.mlp, block.norm2 = Nothing(), nn.Identity()
    return model


def draw_rows(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n, LENGTH) tokens and the period of each row, (n, 1)."""
    period = torch.randint(LENGTH // 4, LENGTH // 2 + 1, (n, 1), generator=generator)
    first = torch.randint(VOCAB, (n, LENGTH), generator=generator)
    return first.gather(1, torch.arange(LENGTH) % period), period


def new_and_repeated(model: Transformer, seed: int = REPORTED, n: int = 128) -> tuple[float, float]:
    """Nats on tokens of the first copy, and on those of later ones but its very first, which nothing announces."""
    ids, period = draw_rows(n, torch.Generator().manual_seed(seed))
    losses, position = token_losses(model, ids), torch.arange(1, LENGTH)
    return losses[position < period].mean().item(), losses[position > period].mean().item()


def scores(model: Transformer, seed: int) -> tuple[list, list]:
    """Induction and previous-token scores, layer by layer."""
    ids = repeated_tokens(32, PERIOD, VOCAB, seed=seed)
    both = induction_scores(model, ids, PERIOD), previous_token_scores(model, ids)
    return tuple([[round(score, 3) for score in layer] for layer in each.tolist()] for each in both)


def without(model: Transformer, heads: Iterable[tuple[int, int]], change: str = "mean") -> float:
    """The in-context gain, loss on new minus loss on repeated tokens, with these heads replaced by their mean."""
    with intervene(model, {f"blocks.{layer}.attention.heads.{head}": change for layer, head in heads}):
        new, repeated = new_and_repeated(model)
    return round(new - repeated, 3)


def ablations(model: Transformer) -> dict:
    """What heads are worth. Induction heads: half of the best one's score or more, on rows that report nothing else."""
    induction, previous = scores(model, FOUND)
    heads = [(layer, head) for layer in range(len(induction)) for head in range(HEADS)]
    by = lambda table: sorted(heads, key=lambda place: -table[place[0]][place[1]])
    ranked, before = by(induction), by(previous)[:2]
    best = induction[ranked[0][0]][ranked[0][1]]
    found = [place for place in ranked if induction[place[0]][place[1]] >= best / 2]
    rest = [place for place in heads if place not in found]
    sets = list(itertools.combinations(rest, len(found)))
    return {
        "found": found, "previous": before, "gain": without(model, []),
        "best": [without(model, ranked[:n]) for n in range(1, 5)],  # the n with the highest scores
        "without_found": without(model, found), "without_found_zero": without(model, found, "zero"),
        "without_rest_of_layer": without(model, [place for place in rest if place[0] == found[0][0]]),
        "without_previous": without(model, before),
        "single_others": [[*place, without(model, [place])] for place in rest],
        "sets": [[[list(place) for place in some], without(model, some)] for some in sets],
    }  # fmt: skip


def run(n_layers: int, seed: int) -> dict:
    model, generator = attention_only(n_layers, seed), torch.Generator().manual_seed(seed)
    matrices = [p for name, p in model.named_parameters() if "proj" in name]
    rest = [p for name, p in model.named_parameters() if "proj" not in name]
    optimizers = Muon(matrices, lr=0.02), AdamW(rest, lr=0.01, weight_decay=0.0)
    log: dict = {"layers": n_layers, "seed": seed, "new": [], "repeated": [], "induction": [], "previous": []}
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            new, repeated = new_and_repeated(model, REPORTED - 2, n=48)
            induction, previous = scores(model, REPORTED)
            log["new"].append(round(new, 2))
            log["repeated"].append(round(repeated, 2))
            log["induction"].append([round(max(layer), 2) for layer in induction])
            log["previous"].append([round(max(layer), 2) for layer in previous])
        ids, _ = draw_rows(BATCH, generator)
        if step == STEPS:
            break
        loss = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    log["scores"] = {"induction": induction, "previous": previous}
    return log | {"ablations": ablations(model) if n_layers == 2 else None}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("induction_phase", script=__file__, modules=MODULES, seeds=SEEDS[2])
    found: dict = {"every": EVERY, "vocab": VOCAB, "runs": []}
    for n_layers, seed in [(layers, seed) for layers, seeds in SEEDS.items() for seed in seeds]:
        found["runs"].append(experiment.once(f"{n_layers} layers, seed {seed}", run, n_layers, seed))
        print(found["runs"][-1], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
