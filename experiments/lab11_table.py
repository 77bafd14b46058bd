"""Record what demonstrations buy: the table that lab 11 chooses from.

For each number of demonstrations, share of them in good style, and share of every update's 16 rows that transcripts
take, the desk's base model is fine-tuned with two seeds. Half of the held-out requests are to choose by, half to
report. Run it with `OMP_NUM_THREADS=1 python experiments/lab11_table.py`; it takes about five minutes on one core.
"""

import random
from statistics import mean

import torch
from lab11 import (
    DESK,
    HELD_OUT_TEXT,
    ROWS,
    SEQ_LEN,
    UPDATES,
    documents,
    examples_of,
    fine_tune,
    loss_on,
    replies_of,
    shuffled,
)

from llmlib.align import pack_examples
from llmlib.data import Experiment

NUMBERS, QUALITIES, REPLAYS, SEEDS = (20, 40, 80, 160), (0.0, 0.5, 1.0), (0.0, 0.25, 0.5), (0, 1)
TEXTS = documents(600, "replay")


def measured(n: int, quality: float, replay: float, seed: int) -> list[float]:
    """Mean gold reward on the requests to choose by and to report; loss on held-out transcripts."""
    examples = examples_of(DESK.demonstrations(n, random.Random(f"demonstrations {seed}"), quality))
    k = round(replay * ROWS)
    picks = zip(shuffled(n, ROWS - k, UPDATES, seed), shuffled(len(TEXTS), max(1, k), UPDATES, seed + 100))
    batches = [pack_examples([examples[i] for i in own] + [TEXTS[i] for i in more][:k], SEQ_LEN) for own, more in picks]
    model, _ = fine_tune(batches, seed)
    golds = []
    for name in ("to choose by", "to report"):
        requests = DESK.requests(150, random.Random(name))
        golds.append(mean([DESK.gold(r, reply) for r, reply in zip(requests, replies_of(model, requests)[0])]))
    return [round(value, 3) for value in (*golds, loss_on(model, HELD_OUT_TEXT))]


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "lab11_table", script=__file__, seeds=SEEDS,
        modules=[
            "experiments/lab11.py", "llmlib.align.sft", "llmlib.align.padding", "llmlib.data.support_desk",
            "llmlib.data.support_phrases",
        ],
    )  # fmt: skip
    table = []
    for n in NUMBERS:
        for quality in QUALITIES:
            for replay in REPLAYS:
                runs = [experiment.once(f"{n} {quality} {replay} {s}", measured, n, quality, replay, s) for s in SEEDS]
                chosen, reported, texts = zip(*runs)
                row = {"n": n, "good": quality, "replay": replay, "gold, to choose by": list(chosen)}
                row |= {"gold, to report": list(reported), "loss on transcripts": list(texts)}
                table.append(row)
                print(row, flush=True)
    experiment.save(table)


if __name__ == "__main__":
    main()
