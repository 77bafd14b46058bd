"""Record the induction heads of the course's base models, for lecture 09: `python experiments/induction_ladder.py`.

Four sizes, and five moments in the training of the smallest. Rows: the token that begins a text, 40 random tokens, the
same 40 again. Recorded: each head's induction score there and on Shakespeare, which no model has read; the loss on the
first and on the second copy; the gain (first minus second) with the head of the highest score, found on other rows,
replaced by its mean, and with every other head. On Shakespeare the gain is early minus late, tokens 8 to 40 against 160
to 250, and the loss is that of all tokens. Two minutes of one thread.
"""

import torch
from torch import Tensor

from llmlib.data import Experiment, tiny_shakespeare
from llmlib.evaluate.induction import (
    in_context_gain,
    induction_scores,
    previous_token_scores,
    repeated_tokens,
    token_losses,
)
from llmlib.hub import load_base
from llmlib.model import Transformer, intervene

MODELS = [("0.3m", updates) for updates in (64, 128, 256, 512, 1024)]
MODELS += [(size, None) for size in ("0.3m", "1m", "3m", "5m")]
PERIOD, ROWS, LOW, VOCAB, TEXTS, CONTEXT, OTHERS = 40, 8, 300, 4096, 8, 256, 4
MODULES = ["llmlib.evaluate.induction", "llmlib.hub.base", "llmlib.model.attention", "llmlib.model.transformer"]


def gain_on_copies(model: Transformer, ids: Tensor) -> tuple[float, float]:
    """Loss on the first copy (but its first token) minus that on the second, and the loss on the second; nats."""
    losses = token_losses(model, ids)
    gain = in_context_gain(losses, slice(1, PERIOD), slice(PERIOD + 1, None))
    return round(gain, 3), round(losses[:, PERIOD + 1 :].mean().item(), 3)


def gain_on_text(model: Transformer, ids: Tensor) -> tuple[float, float]:
    losses = token_losses(model, ids)
    return round(in_context_gain(losses, slice(8, 40), slice(160, 250)), 3), round(losses.mean().item(), 3)


def run(size: str, updates: int | None) -> dict:
    model, tokenizer = load_base(size, updates=updates, device="cpu")
    start = tokenizer.special_tokens["<|endoftext|>"]
    found, reported = (repeated_tokens(ROWS, PERIOD, VOCAB, seed=seed, low=LOW, start=start) for seed in (1, 2))
    tokens = tokenizer.encode(tiny_shakespeare()[:60_000])
    pieces = [[start, *tokens[i * (CONTEXT - 1) : (i + 1) * (CONTEXT - 1)]] for i in range(TEXTS)]
    text = torch.tensor(pieces)
    chosen = induction_scores(model, found, PERIOD)
    ranked = [divmod(i, chosen.shape[1]) for i in chosen.flatten().argsort(descending=True).tolist()]
    top, others = ranked[0], ranked[1:]

    def without(places: list, measure, ids: Tensor) -> tuple[float, float]:
        with intervene(model, {f"blocks.{layer}.attention.heads.{head}": "mean" for layer, head in places}):
            return measure(model, ids)

    rounded = lambda table: [[round(score, 3) for score in layer] for layer in table.tolist()]
    log = {"size": size, "updates": updates, "top": top, "scores": rounded(induction_scores(model, reported, PERIOD))}
    log["scores_text"] = rounded(induction_scores(model, text))
    log["previous"] = rounded(previous_token_scores(model, reported))
    log["gain"], log["second"] = gain_on_copies(model, reported)
    log["gain_without_top"] = without([top], gain_on_copies, reported)[0]
    log["gain_without_others"] = [[*place, without([place], gain_on_copies, reported)[0]] for place in others]
    log["gain_text"], log["loss_text"] = gain_on_text(model, text)
    log["text_without_top"] = without([top], gain_on_text, text)
    spread = [others[len(others) * i // OTHERS] for i in range(OTHERS)]  # some of every rank
    log["text_without_others"] = [[*place, *without([place], gain_on_text, text)] for place in spread]
    return log


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("induction_ladder", script=__file__, modules=MODULES)
    found: dict = {"period": PERIOD, "rows": ROWS, "models": []}
    for size, updates in MODELS:
        found["models"].append(experiment.once(f"{size}, updates {updates}", run, size, updates))
        print(found["models"][-1], flush=True)
    experiment.save(found)


if __name__ == "__main__":
    main()
