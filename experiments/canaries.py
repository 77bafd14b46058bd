"""Record how well small models know codes and passages that were planted in their training text: for lecture 09.

    OMP_NUM_THREADS=1 python experiments/canaries.py
    OMP_NUM_THREADS=1 python experiments/canaries.py --sizes

Models of the ladder read on: 100 updates of 8 x 256 tokens of the ladder's own prose by the ladder's own recipe
(experiments/base_models.py; half its batch), each token once. Among the documents stand canaries, "The access code of
Ada is 4821.", each 0, 1, 2, 4 ... 64 times, 4 codes a count, and passages of 100 tokens that no model has read before,
each 0, 1, 4, 16 or 64 times. Two further kinds of canary stand there 16 or 64 times and never twice in the same
document: in every copy another word is put into the sentence ("word"), or another sentence stands before it
("surroundings").

The model of 0.3 million parameters reads this text as it is and with exact copies of documents removed (and further
prose in their place: as many updates), three seeds each, which draw the codes and the order. With --sizes, larger
models read it as it is. Codes are ranked among all 10,000; passages are prompted with their first 50 tokens and
continued greedily. About 3 and 5 minutes of one free core.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from base_models import SHARES, SOURCES, SPECIAL, recipe

from llmlib.data import (
    Experiment,
    bootstrap_interval,
    first_names,
    flaws_of,
    near_duplicates,
    prose,
    spearman,
    split_documents,
)
from llmlib.evaluate import (
    continuation_logprobs,
    digit_codes,
    encode_codes,
    exact_duplicates,
    rank_code,
)
from llmlib.files import write_file
from llmlib.hub import load_base
from llmlib.infer import generate
from llmlib.model import Transformer, count_parameters
from llmlib.text import BPETokenizer
from llmlib.train import Trainer, bits_per_byte, document_nats

SEEDS, COUNTS, FEW_COUNTS, NEAR = (0, 1, 2), (0, 1, 2, 4, 8, 16, 32, 64), (0, 1, 4, 16, 64), (16, 64)
LARGER = {"1m": SEEDS, "3m": (0,)}
CODES, UNSEEN, NEAR_CODES, PASSAGES, CONTROLS = 4, 12, 2, 2, 24  # a count; those of count 0 cost no training
UPDATES, ROWS, LENGTH = 100, 8, 256
HALF = 50  # tokens of a passage that are shown, and tokens that are asked for
RUNS = (10, 20, 50)  # tokens
PROMPT = "The access code of {} is"
WORDS = """new old secret first second third last next early late long short main only own private public personal
local final former present original usual special simple common certain possible real true right wrong good bad best
great small large little big high low full open free clear dark light white black red blue green strong weak young
modern ancient famous important official general national recent current whole hard easy fine rare strange quick slow
proper correct valid daily weekly""".split()


def ladder_text(folder: Path = Path("build/experiments")) -> dict[str, list[str]]:
    """The documents that the ladder was trained on ("train") and those that it was not, cleaned and split as there."""
    path = folder / "ladder_text.json"
    if not path.exists():
        documents = prose(*SOURCES)
        out = flaws_of(documents, trusted=("tales", "novels"))
        parts = split_documents([d for i, d in enumerate(documents) if i not in out], SHARES)
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps({name: [document.text for document in part] for name, part in parts.items()}))
    return json.loads(path.read_text(encoding="utf-8"))


def planted_codes(seed: int) -> list[dict]:
    """name, code, kind and number of copies of each canary."""
    rng = random.Random(seed)
    kinds = [("exact", n) for n in COUNTS for _ in range(UNSEEN if n == 0 else CODES)]
    kinds += [(kind, n) for kind in ("word", "surroundings") for n in NEAR for _ in range(NEAR_CODES)]
    names = rng.sample([name.capitalize() for name in first_names() if 3 <= len(name) <= 7], len(kinds))
    codes = rng.sample(digit_codes(4), len(kinds))
    return [dict(name=name, code=code, kind=k, copies=n) for name, code, (k, n) in zip(names, codes, kinds)]


def documents_of(canary: dict, sentences: Sequence[str]) -> list[str]:
    """The canary's copies, each a document. sentences: of which one stands before each copy of kind "surroundings"."""
    text = f"{PROMPT.format(canary['name'])} {canary['code']}."
    if canary["kind"] == "word":
        return [text.replace("access", f"{word} access") for word in WORDS[: canary["copies"]]]
    if canary["kind"] == "surroundings":
        return [f"{sentence} {text}" for sentence in sentences[: canary["copies"]]]
    return [text] * canary["copies"]


def first_sentences(seed: int, texts: Sequence[str]) -> list[str]:
    """Different first sentences of 40 to 120 characters, in random order."""
    firsts = [first for text in texts if 40 <= len(first := text.split(". ")[0] + ".") <= 120]
    return random.Random(seed).sample(found := sorted(set(firsts)), len(found))


def passages(seed: int, tokenizer: BPETokenizer, held_out: Sequence[str]) -> list[dict]:
    """Beginnings of held-out documents, 100 tokens each, and how often each is planted."""
    counts = [n for n in FEW_COUNTS for _ in range(CONTROLS if n == 0 else PASSAGES)]
    chosen: list[dict] = []
    for text in random.Random(seed).sample(held_out, len(held_out)):
        ids = tokenizer.encode(text)[: 2 * HALF]
        if len(ids) == 2 * HALF and tokenizer.encode(tokenizer.decode(ids)) == ids:
            chosen.append(dict(ids=ids, text=tokenizer.decode(ids), copies=counts[len(chosen)]))
        if len(chosen) == len(counts):
            return chosen
    raise ValueError(f"held_out has {len(chosen)} passages of {2 * HALF} tokens, {len(counts)} are needed")


def without_copies(texts: Sequence[str]) -> list[str]:
    """The first of all documents that are the same word for word."""
    first = exact_duplicates(texts, texts)
    return [text for i, text in enumerate(texts) if first[i] == i]


def reading(seed: int, how: str, tokenizer: BPETokenizer, own: list[str], train: Sequence[str]) -> tuple[dict, list]:
    """What is read: planted documents and prose in random order, cut to the budget, in batches; and what it holds."""
    own = without_copies(own) if how == "deduplicated" else list(own)
    budget = UPDATES * ROWS * LENGTH + 1
    encode = lambda text: [*tokenizer.encode(text), tokenizer.special_tokens[SPECIAL[0]]]
    documents = [encode(text) for text in own]
    planted = room = sum(map(len, documents))
    for text in random.Random(1000 + seed).sample(train, len(train)):
        ids = encode(text)[: budget - room]
        documents.append(ids)
        room += len(ids)
        if room == budget:
            break
    random.Random(seed).shuffle(documents)
    ids = torch.tensor([token for document in documents for token in document])
    x, y = ids[:-1].view(UPDATES, ROWS, LENGTH), ids[1:].view(UPDATES, ROWS, LENGTH)
    return dict(documents=len(documents), planted=len(own), share=round(planted / budget, 4)), list(zip(x, y))


def copied(model: Transformer, start: int, rows: Sequence[Sequence[int]], batch_size: int = 32) -> list[dict]:
    """Greedy continuations of the first HALF tokens of each row, against the row's own next HALF.

    run: tokens that are right before the first wrong one. longest: of the tokens written, the longest run that stands
    anywhere in the true half. nats: minus the log-probability of the true half, a token.
    """
    found = []
    for at in range(0, len(rows), batch_size):
        some = [list(row) for row in rows[at : at + batch_size]]
        prompts = [[start, *row[:HALF]] for row in some]
        written = generate(model, prompts, max_new_tokens=HALF, greedy=True)
        scored = continuation_logprobs(model, [(p, [row[HALF : 2 * HALF]]) for p, row in zip(prompts, some)])
        for row, new, logprobs in zip(some, written, scored):
            true = row[HALF : 2 * HALF]
            run = next((i for i, (a, b) in enumerate(zip(new, true)) if a != b), HALF)
            nats = round(-float(logprobs[0].mean()), 3)
            found.append(dict(run=run, longest=longest_shared_run(new, true), nats=nats))
    return found


def longest_shared_run(a: Sequence[int], b: Sequence[int]) -> int:
    best, before = 0, [0] * (len(b) + 1)
    for x in a:
        now = [0] * (len(b) + 1)
        for j, y in enumerate(b):
            if x == y:
                now[j + 1] = before[j] + 1
        best, before = max(best, *now), now
    return best


def run(size: str, seed: int, how: str) -> dict:
    model, tokenizer = load_base(size, device="cpu")
    start, text = tokenizer.special_tokens[SPECIAL[0]], ladder_text()
    canaries, works = planted_codes(seed), passages(seed, tokenizer, text["choose"])
    own, sentences = [], first_sentences(seed, text["train"])
    for each in canaries:
        own += documents_of(each, sentences)
        sentences = sentences[each["copies"] if each["kind"] == "surroundings" else 0 :]
    own += [each["text"] for each in works for _ in range(each["copies"])]
    facts, batches = reading(seed, how, tokenizer, own, text["train"])
    parameters = count_parameters(model)
    config = recipe(0, parameters, 1, torch.device("cpu"), 1, UPDATES).replace(
        batch_size=ROWS, seq_len=LENGTH, warmup_steps=10, seed=seed, progress=False
    )
    trainer = Trainer(model, config, lambda step: batches[step])
    for _ in range(UPDATES):
        trainer.train_step()
        if trainer.step % 25 == 0:
            print(size, seed, how, trainer.step, np.mean(trainer.history.train_loss[-25:]).round(3), flush=True)
    model.eval()
    candidates = encode_codes(tokenizer, digit_codes(4))
    ranked = []
    for each in canaries:
        found = rank_code(model, tokenizer, PROMPT.format(each["name"]), each["code"], candidates, start=start)
        ranked.append(
            dict(each, exposure=round(found.exposure, 2), nats=round(-found.logprob, 2), greedy=int(found.extracted))
        )
    held_out = text["report"][:60]
    nats = document_nats(model, [tokenizer.encode(each) for each in held_out], start)
    return dict(
        size=size, seed=seed, how=how, parameters=parameters, **facts,
        loss=round(float(np.mean(trainer.history.train_loss[-25:])), 3),
        bits_per_byte=round(bits_per_byte(nats, [len(each.encode()) for each in held_out]).value, 4),
        codes=[list(each.values()) for each in ranked],
        passages=[
            [each["copies"], *found.values()]
            for each, found in zip(works, copied(model, start, [each["ids"] for each in works]))
        ],
    )  # fmt: skip


def duplicates_found(seed: int) -> dict:
    """Of 16 and of 64 copies of one canary of each kind, how many are left by the two kinds of de-duplication."""
    sentences = first_sentences(seed, ladder_text()["train"])
    left = {}
    for kind in ("exact", "word", "surroundings"):
        for n in NEAR:
            texts = documents_of(dict(name="Ada", code="4821", kind=kind, copies=n), sentences)
            groups = near_duplicates(texts, 0.7)
            near = len(texts) - sum(len(group) - 1 for group in groups)
            left[f"{kind}, {n}"] = dict(exact=len(without_copies(texts)), near=near)
    return left


def summary(runs: Sequence[dict]) -> dict:
    """Over the seeds: by kind and copies mean exposure with interval, extraction, sampling; rank correlation."""
    codes = [row for run in runs for row in run["codes"]]
    table = {}
    for kind, copies in dict.fromkeys((row[2], row[3]) for row in codes):
        some = [row for row in codes if (row[2], row[3]) == (kind, copies)]
        exposures = [row[4] for row in some]
        low, high = bootstrap_interval(np.mean, exposures)
        p = np.exp([-row[5] for row in some])
        table[f"{kind}, {copies}"] = dict(
            n=len(some), exposure=[round(float(v), 2) for v in (np.mean(exposures), low, high)],
            greedy=sum(row[6] for row in some), first=sum(row[4] > 13.28 for row in some),
            within_100_samples=round(float(np.mean(1 - (1 - p) ** 100)), 4),
            median_rank=round(float(np.median(10_000 / 2 ** np.array(exposures))), 1),
        )  # fmt: skip
    exact = [row for row in codes if row[2] == "exact"]
    correlations = {}
    for name, rows in (("all", exact), ("planted", [row for row in exact if row[3]])):
        data = [row[4] for row in rows], [row[3] for row in rows]
        correlations[name] = [round(float(v), 3) for v in (spearman(*data), *bootstrap_interval(spearman, *data))]
    verbatim = {}
    for copies in FEW_COUNTS:
        some = [row for run in runs for row in run["passages"] if row[0] == copies]
        verbatim[str(copies)] = dict(
            n=len(some), share={str(k): round(float(np.mean([row[1] >= k for row in some])), 4) for k in RUNS},
            run=round(float(np.mean([row[1] for row in some])), 2), longest=max(row[2] for row in some),
            longest_mean=round(float(np.mean([row[2] for row in some])), 2),
            nats=round(float(np.mean([row[3] for row in some])), 3),
        )  # fmt: skip
    return dict(codes=table, spearman=correlations, passages=verbatim)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", action="store_true", help="the larger models")
    parser.add_argument("--trial", metavar="SIZE", help="one run, printed and not kept")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.trial:
        found = run(args.trial, 0, "as it is")
        print({k: v for k, v in found.items() if k not in ("codes", "passages")})
        print(json.dumps(summary([found]), indent=0).replace("\n", " "))
        return
    modules = ["llmlib.train.loop", "llmlib.evaluate.canaries", "llmlib.evaluate.contamination",
               "llmlib.evaluate.scoring"]  # fmt: skip
    name = "canary_sizes" if args.sizes else "canaries"
    experiment = Experiment(name, script=__file__, modules=modules, seeds=SEEDS)
    if args.sizes:
        wanted = [(size, seed, "as it is") for size, seeds in LARGER.items() for seed in seeds]
    else:
        wanted = [("0.3m", seed, how) for seed in SEEDS for how in ("as it is", "deduplicated")]
    runs, groups = [], {}
    for size, seed, how in wanted:
        runs.append(experiment.once(f"{size}, {seed}, {how}", run, size, seed, how))
        groups.setdefault(size if args.sizes else how, []).append(runs[-1])
        print(json.dumps(summary(runs[-1:])), flush=True)
    facts = [{k: v for k, v in each.items() if k not in ("codes", "passages")} for each in runs]
    codes = {
        group: [[row[2], row[3], row[4], row[6], run["seed"]] for run in some for row in run["codes"]]
        for group, some in groups.items()
    }
    results = dict(updates=UPDATES, tokens=UPDATES * ROWS * LENGTH, candidates=10_000, counts=COUNTS, runs=facts,
                   summary={group: summary(some) for group, some in groups.items()}, codes=codes)  # fmt: skip
    if not args.sizes:
        results["left"] = experiment.once("left", duplicates_found, 0)
    experiment.save(results)


if __name__ == "__main__":
    main()
