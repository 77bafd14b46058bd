"""Record a correct fine-tuning and nine faulty ones, one of which lab 11 gives to a student to diagnose.

The support desk's base model is fine-tuned for 60 updates on 16 demonstrations each, 200 in all, padded, with the loss
on the replies. One thing is wrong in each faulty run. Afterwards every model is measured in the same, right way. Run it
with `OMP_NUM_THREADS=1 python experiments/lab11_faults.py`; it takes about a minute on one core.
"""

import random
from collections.abc import Sequence
from statistics import mean

import torch
import torch.nn.functional as F
from lab11 import (
    DESK,
    END,
    HELD_OUT_TEXT,
    RATE,
    ROWS,
    SEQ_LEN,
    TOKENIZER,
    UPDATES,
    Batch,
    examples_of,
    fine_tune,
    loss_on,
    replies_of,
    share,
    shuffled,
)

from llmlib.align import Example, pack_examples, pad_examples
from llmlib.data import Request, save_recorded
from llmlib.data.batches import IGNORE
from llmlib.model import Transformer

FAULTS = {
    "A": "the end token is the padding, and padding is found by its id",
    "B": "the ids are shifted by one, and the mask is not",
    "C": "the mask is turned round",
    "D": "several examples stand in a row, and attention and positions run on",
    "E": "in use, the program waits for <|endoftext|> to end a reply",
    "F": "there are 20 demonstrations, read 48 times",
    "G": "the learning rate is 20 times too low",
    "H": "there is no mask",
    "I": "the demonstrations are replies of the desk as they come",
}
RUNS = dict(zip(("a3", "c8", "e5", "g1", "k6", "n2", "r9", "u4", "x7"), "HDAGFCIBE", strict=True))
QUALITY = 0.5


def batch_of(examples: Sequence[Example], fault: str) -> Batch:
    """A batch as the program makes it."""
    if fault == "D":
        rows = pack_examples(examples, SEQ_LEN)
        return {"ids": rows["ids"], "targets": rows["targets"], "pad_mask": rows["segments"] >= 0}
    if fault == "H":
        examples = [Example(e.ids, [True] * len(e.ids)) for e in examples]
    elif fault == "C":
        examples = [Example(e.ids, [not m for m in e.loss_mask]) for e in examples]
    elif fault == "B":
        examples = [Example(e.ids, [False, *e.loss_mask[:-1]]) for e in examples]
    batch = pad_examples(examples, pad_id=END)
    if fault == "A":
        batch["targets"][batch["targets"] == END] = IGNORE
    return batch


def demonstrations(n: int, name: str, fault: str) -> list[tuple[Request, str]]:
    rng = random.Random(name)
    if fault == "I":
        return [(request, DESK.reply(request, rng)) for request in DESK.requests(n, rng)]
    return DESK.demonstrations(n, rng, QUALITY)


def places(examples: Sequence[Example], which: str) -> Batch:
    """The held-out demonstrations with one kind of target: the first token of each reply, its end, the rest, or the
    request."""
    masks = []
    for e in examples:
        reply = [i for i, m in enumerate(e.loss_mask) if m]
        request = [i for i in range(1, reply[0])]
        kept = {"first": reply[:1], "end": reply[-1:], "rest": reply[1:-1], "request": request}[which]
        masks.append([i in kept for i in range(len(e.ids))])
    return pad_examples([Example(e.ids, mask) for e, mask in zip(examples, masks)])


def change_behind_another(model: Transformer, examples: Sequence[Example], fault: str) -> float:
    """How much the losses of an example's targets change on average when the program's batch holds one before it."""
    changes = []
    for before, example in zip(examples[::2], examples[1::2]):
        alone = target_losses(model, batch_of([example], fault))
        changes.append((target_losses(model, batch_of([before, example], fault))[-len(alone) :] - alone).abs().mean())
    return float(torch.stack(changes).mean())


@torch.no_grad()
def target_losses(model: Transformer, batch: Batch) -> torch.Tensor:
    """The losses of a batch's targets, row by row."""
    losses = F.cross_entropy(
        model(batch["ids"], pad_mask=batch["pad_mask"]).transpose(1, 2), batch["targets"], reduction="none"
    )
    return losses[batch["targets"] != IGNORE]


def run(fault: str) -> dict:
    n = 20 if fault == "F" else 200
    examples = examples_of(demonstrations(n, "training", fault))
    picks = shuffled(n, ROWS, UPDATES, seed=0)
    batches = [batch_of([examples[i] for i in pick], fault) for pick in picks]
    model, losses = fine_tune(batches, seed=0, lr=RATE / 20 if fault == "G" else RATE)
    held_out = DESK.demonstrations(150, random.Random("held-out"), QUALITY)
    requests, right = [request for request, _ in held_out], examples_of(held_out)
    replies, ended = replies_of(model, requests, TOKENIZER.special_tokens["<|endoftext|>"] if fault == "E" else END)
    found = [DESK.findings(request, reply) for request, reply in zip(requests, replies)]
    targets = sum(int((b["targets"] != IGNORE).sum()) for b in batches)
    tokens = sum(int(b["pad_mask"].sum()) for b in batches)
    own = examples_of(demonstrations(150, "held-out, as the program reads it", fault))
    kept = [i for i in range(UPDATES) if i % 2 == 0 or i == UPDATES - 1]
    log = {
        "steps": [i + 1 for i in kept],
        "training": [float(f"{losses[i]:.3g}") for i in kept],
        "share of the tokens that are targets, percent": round(100 * targets / tokens, 1),
        "training loss, last 10 updates": mean(losses[-10:]),
        "held-out loss, as the program computes it": loss_on(model, batch_of(own, fault)),
        "change of a target's loss behind another example": change_behind_another(model, right[:16], fault),
        **{f"loss on {name}": loss_on(model, places(right, which)) for name, which in PROBES.items()},
        "loss on transcripts": loss_on(model, HELD_OUT_TEXT),
        "mean gold reward": mean([DESK.gold(request, reply) for request, reply in zip(requests, replies)]),
        "replies that end, percent": share(ended),
        "words in a reply": round(mean([len(reply.split()) for reply in replies]), 1),
        "broken word pairs, percent": round(100 * mean([DESK.broken(reply) for reply in replies]), 1),
        **{f"{name}, percent": share([finding in f for f in found]) for name, finding in FINDINGS.items()},
        "different replies, percent": round(100 * len(set(replies)) / len(replies), 1),
    }  # fmt: skip
    log = {name: round(value, 3) if isinstance(value, float) else value for name, value in log.items()}
    return log | {"samples": [[r.text, reply] for r, reply in zip(requests[:4], replies)]}


PROBES = {
    "the first token of held-out replies": "first",
    "the rest of held-out replies": "rest",
    "the end token of held-out replies": "end",
    "held-out requests": "request",
}
FINDINGS = {"solved": "solved", "polite": "polite", "evasive": "evasive"}


def main() -> None:
    torch.set_num_threads(1)
    results = {name: run(fault) for name, fault in {"correct": "", **RUNS}.items()}
    for name, log in results.items():
        print(name, RUNS.get(name), {k: v for k, v in log.items() if k not in ("steps", "training")}, flush=True)
    save_recorded(
        "lab11_faults", results, script=__file__, seeds=(0,),
        modules=[
            "experiments/lab11.py", "llmlib.align.sft", "llmlib.align.padding", "llmlib.data.support_desk",
            "llmlib.data.support_phrases",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
