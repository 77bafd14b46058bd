"""Record how much of its training text the ladder gives back word for word: for lecture 09.

    OMP_NUM_THREADS=1 python experiments/verbatim.py

The finished base models (`load_base`) have read three million tokens of prose twice, cleaned of near-duplicates. Each
is shown 50 tokens of a document and continues greedily for 50; what comes is compared with what stands there (Carlini
et al., 2023). The documents: 150 passages of the training text, 150 that were held out, and the 60 training passages
whose following 50 tokens share most runs of 10 tokens with the rest of the training text: what de-duplication left.
Then the first 1,500 tokens of five long documents of either side: prompts of 50 tokens every 50 tokens, and the share
of the tokens asked for that comes back in exact runs of 10 tokens or more. About three minutes of one free core.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from base_models import SPECIAL
from canaries import HALF, RUNS, copied, ladder_text

from llmlib.data import Experiment
from llmlib.evaluate import bootstrap_interval
from llmlib.hub import base_sizes, load_base
from llmlib.hub.base import VOCABULARY
from llmlib.infer import wilson_interval
from llmlib.text import BPETokenizer

PASSAGES, FREQUENT, WORKS, WORK_TOKENS, RUN = 150, 60, 5, 1500, 10


def rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]


def often(train: Sequence[Sequence[int]], n: int) -> list[tuple[float, list[int]]]:
    """The n stretches of 100 tokens whose second half holds the most runs of 10 tokens that occur more than once.

    With each the mean number of occurrences of those runs. At most one stretch a document.
    """
    factors = np.random.default_rng(0).integers(1, 2**63, RUN, dtype=np.uint64)
    hashes = lambda ids: np.lib.stride_tricks.sliding_window_view(np.array(ids, np.uint64), RUN) @ factors
    of_document = [hashes(ids) for ids in train if len(ids) >= 2 * HALF]
    _, place, count = np.unique(np.concatenate(of_document), return_inverse=True, return_counts=True)
    times = np.split(count[place], np.cumsum([len(each) for each in of_document])[:-1])
    best = []
    for ids, occurrences in zip((ids for ids in train if len(ids) >= 2 * HALF), times):
        inside = np.lib.stride_tricks.sliding_window_view(occurrences, HALF - RUN + 1)[HALF:]  # the runs of each half
        repeated = (inside > 1).sum(1)
        at = int(repeated.argmax())
        best.append((int(repeated[at]), float(inside[at].mean()), ids[at : at + 2 * HALF]))
    best.sort(key=lambda each: -each[0])
    return [(mean, ids) for _, mean, ids in best[:n]]


def rows() -> dict[str, list[list[int]]]:
    tokenizer, text = BPETokenizer.load(VOCABULARY), ladder_text()
    train = [tokenizer.encode(each) for each in text["train"]]
    held = [tokenizer.encode(each) for name in ("choose", "report") for each in text[name]]
    rng = random.Random(0)
    long = lambda documents: [ids[: 2 * HALF] for ids in documents if len(ids) >= 2 * HALF]
    frequent = often(train, FREQUENT)
    found = {
        "training": rng.sample(long(train), PASSAGES),
        "held out": rng.sample(long(held), PASSAGES),
        "repeated": [ids for _, ids in frequent],
    }
    for name, documents in (("training", train), ("held out", held)):
        whole = [ids for ids in documents if len(ids) >= WORK_TOKENS + HALF]
        for k, ids in enumerate(rng.sample(whole, min(WORKS, len(whole)))):
            stretch = ids[: WORK_TOKENS + HALF]
            found[f"work, {name}, {k}"] = [stretch[i : i + 2 * HALF] for i in range(0, WORK_TOKENS - HALF + 1, HALF)]
    found["occurrences"] = [[round(mean, 2)] for mean, _ in frequent]
    return found


def measure(size: str, texts: dict[str, list[list[int]]]) -> dict:
    model, tokenizer = load_base(size, device="cpu")
    start = tokenizer.special_tokens[SPECIAL[0]]
    found = {}
    works: dict[str, list[tuple[int, int]]] = {}
    for name, some in texts.items():
        if name == "occurrences":
            continue
        results = copied(model, start, some, batch_size=50)
        lengths = [each["run"] for each in results]
        if name.startswith("work"):
            kind = name.split(", ")[1]
            works.setdefault(kind, []).append((sum(n for n in lengths if n >= RUN), HALF * len(some)))
            continue
        found[name] = dict(
            n=len(some), exact={str(k): sum(n >= k for n in lengths) for k in RUNS},
            interval={str(k): rounded(wilson_interval(sum(n >= k for n in lengths), len(some))) for k in RUNS},
            run=rounded(bootstrap_interval(lengths)), longest_run=max(lengths),
            longest=max(each["longest"] for each in results),
            nats=rounded(bootstrap_interval([each["nats"] for each in results])),
        )  # fmt: skip
        if name == "repeated":
            found[name]["runs"] = lengths
    found["works"] = {
        kind: dict(works=len(pairs), tokens=sum(n for _, n in pairs), obtained=sum(n for n, _ in pairs),
                   share=round(sum(n for n, _ in pairs) / sum(n for _, n in pairs), 4))
        for kind, pairs in works.items()
    }  # fmt: skip
    return found


def main() -> None:
    torch.set_num_threads(1)
    modules = ["llmlib.evaluate.scoring", "llmlib.hub.base", "llmlib.infer.generation"]
    experiment = Experiment("verbatim", script=__file__, modules=modules, seeds=(0,))
    texts = rows()
    sizes = {}
    for size in base_sizes():
        sizes[size] = experiment.once(size, measure, size, texts)
        print(size, sizes[size], flush=True)
    tokenizer = BPETokenizer.load(VOCABULARY)
    repeated = [
        [*mean, tokenizer.decode(ids[HALF:])[:160]] for mean, ids in zip(texts["occurrences"], texts["repeated"])
    ]
    experiment.save(dict(shown=HALF, asked=HALF, sizes=sizes, repeated=repeated[:8],
                         occurrences=[mean for mean, _ in repeated]))  # fmt: skip


if __name__ == "__main__":
    main()
