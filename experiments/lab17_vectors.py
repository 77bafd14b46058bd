"""Encode the library that lab 17 searches, and questions about it, with MiniLM.

The passages are those of the 85 articles of Wikipedia in BoolQ that have five or more: many are about the same thing,
so that finding the article is not finding the passage. A passage has at most one question, drawn from people's own;
half of the questions are for the lab's measurements, half for its challenge. A vector is kept as 5-bit numbers without
a scale, since it is brought to length 1 again; how far a cosine is off at most is recorded. Run it with
`OMP_NUM_THREADS=1 python experiments/lab17_vectors.py`; it takes half a minute on one core.
"""

import base64
import json
import random

import numpy as np
import torch

from llmlib.data import Experiment, fetch
from llmlib.retrieval import minilm_encoder

QUESTIONS, FROM = 120, 5


def chosen() -> tuple[list[int], list[list[int]]]:
    """Where the passages stand in BoolQ's file; of all questions drawn the place there, and the passage's number."""
    first: dict[str, int] = {}
    asked: dict[str, list[int]] = {}
    articles: dict[str, list[str]] = {}
    for place, line in enumerate(fetch("boolq").read_text(encoding="utf-8").splitlines()):
        text = json.loads(line)["passage"]
        if text not in first:
            first[text] = place
            articles.setdefault(text.partition(" -- ")[0], []).append(text)
        asked.setdefault(text, []).append(place)
    passages = [text for title in sorted(articles) if len(articles[title]) >= FROM for text in articles[title]]
    draw = random.Random("lab17")
    drawn = draw.sample(range(len(passages)), 2 * QUESTIONS)
    return [first[text] for text in passages], [[draw.choice(asked[passages[i]]), i] for i in drawn]


def five_bits(codes: np.ndarray) -> np.ndarray:
    """Numbers from -16 to 15 as rows of five bits, the highest first: (...) -> (n, 5) of 0 and 1."""
    return np.unpackbits((codes.reshape(-1, 1) + 16).astype(np.uint8), axis=1)[:, 3:]


def encoded() -> dict:
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in fetch("boolq").read_text(encoding="utf-8").splitlines()]
    places, drawn = chosen()
    texts = [rows[place]["passage"].replace(" -- ", "\n", 1) for place in places]
    vectors = minilm_encoder("cpu")([*texts, *(rows[place]["question"] for place, _ in drawn)])
    small = np.rint(15 * vectors / np.abs(vectors).max(1, keepdims=True)).astype(np.int8)
    again = small / np.linalg.norm(small.astype(np.float32), axis=1, keepdims=True)
    n = len(texts)
    return {
        "passages": places,
        "questions": drawn[:QUESTIONS],
        "challenge": drawn[QUESTIONS:],
        "vectors": base64.b64encode(np.packbits(five_bits(small)).tobytes()).decode(),
        "largest error of a cosine": float(
            f"{np.abs(again[n:] @ again[:n].T - vectors[n:] @ vectors[:n].T).max():.1g}"
        ),
    }


def main() -> None:
    experiment = Experiment(
        "lab17_vectors", script=__file__, modules=["llmlib.retrieval.dense", "llmlib.hub.minilm"], seeds=("lab17",)
    )
    experiment.save(encoded())


if __name__ == "__main__":
    main()
