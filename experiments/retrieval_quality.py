"""Record how well word search, search by meaning and both together find the passage, for lecture 17. Run it with

    OMP_NUM_THREADS=1 python experiments/retrieval_quality.py

The test questions of `lookup_questions`, in their plain and in their paraphrased wording, over about 2,000 passages
(Python's documentation and the first 1,400 of Wikipedia) and over all 12,850. Nothing is tuned: BM25 with its usual
k1 = 1.5 and b = 0.75, all-MiniLM-L6-v2 in bfloat16, fusion with k = 60. A passage counts as found if it is one of those
that the question is pinned to; "answer" is whether any of the first k holds a right answer's words, which is kinder.
Intervals draw questions with replacement. At last, pieces of 40 to 240 words of Python's documentation, with and
without overlap. Four minutes of one core to embed all passages once (kept in build/), two for the other pieces,
seconds for the rest; with MINUTES=5 in the environment it stops after the part that passes five minutes of those, and
goes on when run again.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from llmlib.data import Experiment, lookup_questions
from llmlib.evaluate import bootstrap_interval, compare, contains_match
from llmlib.retrieval import (
    BM25,
    DenseRetriever,
    HybridRetriever,
    Passage,
    Pinned,
    VectorIndex,
    embed_once,
    minilm_encoder,
    ndcg,
    pin_questions,
    python_docs,
    python_version,
    recall_at_k,
    reciprocal_rank,
    wikipedia_passages,
)

BUILD = Path(__file__).parents[1] / "build" / "retrieval"
SMALL = 1400  # passages of Wikipedia in the small library
DEPTH = 100  # places of a ranking that are looked at
KS = (1, 3, 5, 10)
CHUNKS = ((40, 0), (40, 10), (80, 0), (80, 20), (120, 0), (120, 20), (240, 0), (240, 40))
KINDS = ("plain", "paraphrased")
MODULES = [
    "llmlib.data.lookup_questions",
    *(f"llmlib.retrieval.{name}" for name in ("bm25", "chunking", "corpora", "dense", "fusion", "measures", "pinning")),
    "llmlib.retrieval.vector_index",
    "llmlib.evaluate.answers",
    "llmlib.evaluate.intervals",
    "llmlib.hub.minilm",
]


def encoder():
    return minilm_encoder("cpu", torch.bfloat16, batch_size=64)


def indexed(encode, wikipedia: int | None = None) -> tuple[list[Passage], np.ndarray]:
    """Python's documentation and the first passages of Wikipedia, and their vectors, which are made once and kept."""
    docs, articles = python_docs(), wikipedia_passages()
    vectors = [
        embed_once(BUILD / name, encode, [str(each) for each in passages]).vectors[:limit]
        for name, passages, limit in (("python", docs, None), ("wikipedia", articles, wikipedia))
    ]
    return [*docs, *articles[:wikipedia]], np.concatenate(vectors)


def retrievers(passages: Sequence[Passage], vectors: np.ndarray, encode) -> dict:
    bm25 = BM25([str(each) for each in passages])
    dense = DenseRetriever(encode, index=VectorIndex(np.asarray(vectors, np.float32)))
    return {"bm25": bm25, "dense": dense, "hybrid": HybridRetriever([bm25, dense], depth=DEPTH)}


def judged(passages: Sequence[Passage], pinned: Sequence[Pinned], retriever) -> tuple[dict[str, list[float]], float]:
    """Each measure of each question, and the milliseconds of a question."""
    began = time.process_time()
    rankings = [[hit.document for hit in retriever.search(each.question.question, DEPTH)] for each in pinned]
    milliseconds = 1e3 * (time.process_time() - began) / len(pinned)
    scores: dict[str, list[float]] = {}
    for (question, relevant), ranking in zip(pinned, rankings, strict=True):
        right = [contains_match(passages[i].text, question.answers) for i in ranking[: max(KS)]]
        first = [float(bool(relevant & set(ranking[:k]))) for k in KS]
        gains = [float(i in relevant) for i in ranking[:10]]
        each = dict(
            **{f"recall@{k}": recall_at_k(ranking, relevant, k) for k in KS},
            **{f"found@{k}": hit for k, hit in zip(KS, first)},
            **{f"answer@{k}": max(right[:k], default=0.0) for k in KS},
            mrr=reciprocal_rank(ranking, relevant), **{"ndcg@10": ndcg(gains, 10, ideal=[1.0] * len(relevant))},
        )  # fmt: skip
        for name, value in each.items():
            scores.setdefault(name, []).append(value)
    return scores, milliseconds


def interval(values: Sequence[float]) -> list[float]:
    return [round(each, 3) for each in bootstrap_interval(values)]


def library(wikipedia: int | None) -> dict:
    """All measures over one library, and what the paraphrase costs each method on the same facts."""
    encode = encoder()
    passages, vectors = indexed(encode, wikipedia)
    found, left_out = pin_questions([each for each in lookup_questions("test") if each.answerable], passages)
    found = [each for each in found if each.question.answerable]
    results: dict = {
        "passages": len(passages),
        "left_out": len(left_out),
        "questions": {},
        "methods": {},
        "by_corpus": {},
    }
    searchers = retrievers(passages, vectors, encode)
    scores: dict = {}
    for kind in KINDS:
        asked = [each for each in found if each.question.kind == kind]
        results["questions"][kind] = len(asked)
        for name, searcher in searchers.items():
            scores[name, kind], milliseconds = judged(passages, asked, searcher)
            measures = {measure: interval(values) for measure, values in scores[name, kind].items()}
            results["methods"].setdefault(name, {})[kind] = dict(milliseconds=round(milliseconds, 2), **measures)
            for corpus in ("python", "wikipedia"):
                rows = [i for i, each in enumerate(asked) if each.question.corpus == corpus]
                part = {m: interval([scores[name, kind][m][i] for i in rows]) for m in ("recall@1", "recall@10", "mrr")}
                results["by_corpus"].setdefault(corpus, {}).setdefault(name, {})[kind] = dict(
                    questions=len(rows), **part
                )
    paired = lambda a, b: [round(each, 3) for each in compare(a, b)[:3]]
    results["paraphrase_minus_plain"] = {
        name: {m: paired(scores[name, "plain"][m], scores[name, "paraphrased"][m]) for m in ("recall@1", "recall@10")}
        for name in searchers
    }
    results["dense_minus_bm25"] = {
        kind: {m: paired(scores["bm25", kind][m], scores["dense", kind][m]) for m in ("recall@1", "recall@10", "mrr")}
        for kind in KINDS
    }
    results["hybrid_minus_best"] = {
        kind: {
            m: min(paired(scores[one, kind][m], scores["hybrid", kind][m]) for one in ("bm25", "dense"))
            for m in ("recall@1", "recall@10", "mrr")
        }
        for kind in KINDS
    }
    return results


def gate(wikipedia: int | None) -> dict:
    """The best cosine and the best BM25 score of every question, by kind and side: what a refusal can go by."""
    encode = encoder()
    passages, vectors = indexed(encode, wikipedia)
    searchers = retrievers(passages, vectors, encode)
    found, _ = pin_questions(lookup_questions(), passages)
    scores: dict = {}
    for question, _ in found:
        for name in ("bm25", "dense"):
            hits = searchers[name].search(question.question, 1)
            of = scores.setdefault(name, {}).setdefault(question.split, {}).setdefault(question.kind, [])
            of.append(round(hits[0].score if hits else 0.0, 3))
    return scores


def pieces(size: int, overlap: int) -> dict:
    """Python's documentation alone in pieces of this many words: is the answer in the first 1, 3, 10 pieces?

    What counts is the answer's words among as many words read, since short pieces are cheaper to read: besides fixed k
    the table holds "answer@480w", the best pieces up to 480 words.
    """
    encode = encoder()
    passages = python_docs(size, overlap)
    vectors = np.asarray(encode([str(each) for each in passages]), np.float32)
    asked = [each for each in lookup_questions("test", corpus="python")]
    whole, _ = pin_questions(asked, python_docs())
    asked = [each.question for each in whole]  # the same questions for every size
    results: dict = {"pieces": len(passages), "questions": len(asked), "methods": {}}
    words = [len(each.text.split()) for each in passages]
    results["mean_words"] = round(sum(words) / len(words), 1)
    for name, searcher in retrievers(passages, vectors, encode).items():
        rows: dict = {}
        for question in asked:
            ranking = [hit.document for hit in searcher.search(question.question, 20)]
            evidence = [_evidence(passages[i], question) for i in ranking]
            read = np.cumsum([words[i] for i in ranking])
            for k in (1, 3, 10):
                rows.setdefault((question.kind, f"evidence@{k}"), []).append(max(evidence[:k], default=0.0))
            within = max((e for e, total in zip(evidence, read) if total <= 480), default=0.0)
            rows.setdefault((question.kind, "evidence@480w"), []).append(within)
        for (kind, measure), values in rows.items():
            results["methods"].setdefault(name, {}).setdefault(kind, {})[measure] = interval(values)
    return results


def _evidence(passage: Passage, question) -> float:
    text = " ".join(passage.text.split())
    return float(any(" ".join(quote.split()) in text for quote in question.quotes))


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("retrieval_quality", script=__file__, modules=MODULES)
    results = {
        "python": python_version(),
        "small": experiment.once("small", library, SMALL),
        "all": experiment.once("all", library, None),
        "gate": {"small": experiment.once("gate small", gate, SMALL), "all": experiment.once("gate all", gate, None)},
    }
    limit, began, chunks = float(os.environ.get("MINUTES", "inf")), time.monotonic(), {}
    for size, overlap in CHUNKS:
        if time.monotonic() - began > 60 * limit:
            sys.exit("stopped: run again to go on")
        key = f"{size} words, overlap {overlap}"
        chunks[key] = experiment.once(key, pieces, size, overlap)
    results["chunks"] = chunks
    for size in ("small", "all"):
        for name, kinds in results[size]["methods"].items():
            for kind, row in kinds.items():
                print(size, name, kind, {m: row[m] for m in ("recall@1", "recall@3", "recall@10", "mrr", "ndcg@10")})
    experiment.save(results)


if __name__ == "__main__":
    main()
