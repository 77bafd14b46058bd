"""Record a correct run of a search for answers and faulty ones, one of which lab 17 gives to a student.

A library holds the passages of some 115 articles of Wikipedia that have three or four passages each, so that the right
one has neighbours; the questions are people's own (BoolQ). BM25 and MiniLM search it, reciprocal rank fusion joins
them, and the cosine of the nearest passage decides whether a question is answered or refused. The unanswerable
questions are about articles that the library does not hold. One thing is wrong in each faulty run. Three seeds draw
three libraries that have no article in common: a student sees the first, and a test holds every observation to all of
them. Run it with `OMP_NUM_THREADS=1 python experiments/lab17_faults.py`; it takes about two minutes on one core.
"""

import functools
import json
import random
from statistics import mean

import numpy as np
import torch

from llmlib.data import Experiment, fetch
from llmlib.hub import load_minilm
from llmlib.retrieval import BM25, recall_at_k, reciprocal_rank, reciprocal_rank_fusion

FAULTS = {
    "A": "the mean over tokens includes the pads",
    "B": "the vectors are not brought to length 1",
    "C": "the fusion adds scores instead of ranks",
    "D": "the dense search puts the smallest score first",
    "E": "BM25 gives all words the same weight",
    "F": "the dense search's passage numbers are off by one",
    "G": "the encoder reads only the first 12 tokens of a passage",
    "H": "BM25's passages are not lower-cased, the questions are",
    "I": "every second passage is left out of both indexes",
    "J": "the threshold for refusals is applied to the fused score",
}
RUNS = dict(zip(("b2", "c7", "e4", "g0", "j5", "l8", "n1", "r3", "u6", "w9"), "FAHCJEBIDG", strict=True))
SEEDS = (0, 1, 2)
LIBRARY, QUESTIONS, OUTSIDE, THRESHOLD, DEPTH = 115, 160, 100, 0.5, 20


@functools.cache
def articles() -> dict[str, dict[str, list[str]]]:
    """Title -> passage -> questions, of the articles with three or four passages."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in fetch("boolq").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        title, _, text = row["passage"].partition(" -- ")
        found.setdefault(title, {}).setdefault(text, []).append(row["question"])
    return {title: passages for title, passages in sorted(found.items()) if 3 <= len(passages) <= 4}


@functools.cache
def library(seed: int) -> tuple[list[str], list[str], list[tuple[str, int]], list[str]]:
    """Titles and texts of the passages, (question, its passage), questions about other articles."""
    titles = list(articles())
    random.Random("lab17").shuffle(titles)
    share = len(titles) // len(SEEDS)
    own = titles[seed * share : (seed + 1) * share]
    names, texts, asked = [], [], []
    for title in own[:LIBRARY]:
        for text, questions in articles()[title].items():
            asked += [(question, len(texts)) for question in questions]
            names.append(title)
            texts.append(text)
    others = [q for title in own[LIBRARY:] for questions in articles()[title].values() for q in questions]
    draw = random.Random(seed)
    return names, texts, draw.sample(asked, QUESTIONS), draw.sample(others, OUTSIDE)


@functools.cache
def minilm() -> tuple:
    torch.set_num_threads(1)
    return load_minilm("cpu")


@torch.inference_mode()
def mean_vectors(texts: list[str], length: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the real tokens, and over all places of a batch of 32 in the order given; neither is normalised."""
    model, tokenizer = minilm()
    real, padded = [], []
    for start in range(0, len(texts), 32):
        ids, mask = tokenizer.encode_batch(texts[start : start + 32], length)
        hidden = model.hidden(ids, pad_mask=mask)
        real.append((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        padded.append(hidden.mean(1))
    return torch.cat(real).numpy(), torch.cat(padded).numpy()


@functools.cache
def vectors(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What is encoded: passages and questions, each in both ways."""
    names, texts, asked, outside = library(seed)
    documents = [f"{name}\n{text}" for name, text in zip(names, texts)]
    short = mean_vectors(documents, 12)
    return {
        "documents": mean_vectors(documents),
        "questions": mean_vectors([q for q, _ in asked] + outside),
        "short": short,
    }


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def bm25_scores(documents: list[str], questions: list[str], fault: str) -> np.ndarray:
    """(questions, documents)."""
    if fault == "H":
        searcher = BM25(
            documents, tokenize=lambda text: "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
        )
    else:
        searcher = BM25(documents)
    if fault != "E":
        return np.stack([searcher.scores(question) for question in questions])
    rows = []
    for question in questions:
        row = np.zeros(len(documents))
        for word in searcher.tokenize(question):
            row += searcher.scores(word) / searcher.idf(word)
        rows.append(row)
    return np.stack(rows)


def ranked(scores: np.ndarray, numbers: np.ndarray, above: float = -np.inf) -> list[list[int]]:
    """Passages, best first."""
    orders = np.argsort(-scores, axis=1, kind="stable")
    return [[int(numbers[i]) for i in order if row[i] > above] for row, order in zip(scores, orders)]


def run(fault: str, seed: int) -> dict:
    """The log of a run."""
    names, texts, asked, outside = library(seed)
    kept = np.arange(0, len(texts), 2) if fault == "I" else np.arange(len(texts))
    pool = 1 if fault == "A" else 0
    given = vectors(seed)
    passages, questions = given["short" if fault == "G" else "documents"][pool][kept], given["questions"][pool]
    if fault != "B":
        passages, questions = unit(passages), unit(questions)
    cosines = questions @ passages.T
    documents = [f"{names[i]}\n{texts[i]}" for i in kept]
    words = bm25_scores(documents, [q for q, _ in asked] + outside, fault)
    numbers = (kept + 1) % len(texts) if fault == "F" else kept
    dense = ranked(-cosines if fault == "D" else cosines, numbers)
    nearest = cosines.min(1) if fault == "D" else cosines.max(1)
    sparse = ranked(words, kept, above=0.0)
    if fault == "C":
        fused, top = ranked(words + cosines, kept), None
    else:
        joined = [reciprocal_rank_fusion([a[:100], b[:100]]) for a, b in zip(sparse, dense)]
        fused, top = [[hit.document for hit in each] for each in joined], [each[0].score for each in joined]
    gate = np.array(top) if fault == "J" else nearest
    refused = gate < THRESHOLD
    n, wanted = len(asked), [{passage} for _, passage in asked]
    recalls = {
        what: [100 * mean(recall_at_k(r, w, k) for r, w in zip(rankings, wanted)) for k in range(1, DEPTH + 1)]
        for what, rankings in (("BM25", sparse), ("dense", dense), ("fused", fused))
    }
    both = [len(set(a[:10]) & set(b[:10])) for a, b in zip(sparse[:n], dense[:n])]
    right = [names[r[0]] == names[p] for r, (_, p) in zip(dense, asked)]
    length = [len(text.split()) for text in texts]
    apart = passages @ passages.T
    numbers_of = {
        "recall@10 of BM25, percent": recalls["BM25"][9],
        "recall@10 of the dense search, percent": recalls["dense"][9],
        "recall@10 of the fusion, percent": recalls["fused"][9],
        "recall@1 of BM25, percent": recalls["BM25"][0],
        "recall@1 of the dense search, percent": recalls["dense"][0],
        "recall@1 of the fusion, percent": recalls["fused"][0],
        "mean reciprocal rank of the fusion": mean(reciprocal_rank(r, w) for r, w in zip(fused, wanted)),
        "first hit of the dense search from the right article, percent": 100 * mean(right),
        "passages that both searches have among their first 10": mean(both),
        "first hit of the fusion is that of BM25, percent": 100
        * mean(f[0] == s[0] for f, s in zip(fused[:n], sparse) if s),
        "first hit of the fusion is that of the dense search, percent": 100
        * mean(f[0] == d[0] for f, d in zip(fused[:n], dense)),
        "score of the first hit of the dense search, mean": float(nearest[:n].mean()),
        "the same for unanswerable questions": float(nearest[n:].mean()),
        "score of two passages, mean over all pairs": float(apart[np.triu_indices(len(apart), 1)].mean()),
        "words in BM25's first hit, mean": mean(length[r[0]] for r in sparse[:n] if r),
        "words in a passage of the library, mean": mean(length),
        "answerable questions refused, percent": 100 * float(refused[:n].mean()),
        "unanswerable questions refused, percent": 100 * float(refused[n:].mean()),
    }  # fmt: skip
    return {
        "k": list(range(1, DEPTH + 1)),
        **{what: [float(f"{value:.3g}") for value in values] for what, values in recalls.items()},
        **{name: float(f"{value:.3g}") for name, value in numbers_of.items()},
    }


def main() -> None:
    experiment = Experiment(
        "lab17_faults", script=__file__, seeds=SEEDS,
        modules=["llmlib.retrieval.bm25", "llmlib.retrieval.fusion", "llmlib.retrieval.measures", "llmlib.hub.minilm"],
    )  # fmt: skip
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", run, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    again = {
        name: [{what: value for what, value in log.items() if not isinstance(value, list)} for log in logs[1:]]
        for name, logs in runs.items()
    }
    experiment.save({name: logs[0] | {"other seeds": again[name]} for name, logs in runs.items()})


if __name__ == "__main__":
    main()
