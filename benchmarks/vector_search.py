"""One question to 100,000 vectors: llmlib.retrieval.VectorIndex against torch's matrix product and topk.

Both look for the 10 nearest of 384 numbers each, exactly, and must name the same ones. faiss joins in where it is
installed. Processor time of one thread, medians over the questions, in turns. The aim is at most 50 ms a question; the
last line is the ratio to torch.

    OMP_NUM_THREADS=1 python benchmarks/vector_search.py [--vectors 100000] [--questions 30]
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from llmlib.retrieval import FaissIndex, VectorIndex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=30)
    settings = parser.parse_args()
    torch.set_num_threads(1)

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((settings.vectors, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    questions = vectors[: settings.questions] + 0.05 * rng.standard_normal((settings.questions, 384), dtype=np.float32)
    tensor = torch.from_numpy(vectors)
    exact, half = VectorIndex(vectors), VectorIndex(vectors, dtype="float16")
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "torch": lambda question: (tensor @ torch.from_numpy(question)).topk(10).indices.numpy(),
        "VectorIndex": lambda question: exact.search(question).indices[0],
        "VectorIndex, float16": lambda question: half.search(question).indices[0],
    }
    if importlib.util.find_spec("faiss"):
        flat = FaissIndex(vectors)
        ways["faiss, flat"] = lambda question: flat.search(question).indices[0]

    times: dict[str, list[float]] = {name: [] for name in ways}
    for question in questions:
        found = {}
        for name, search in ways.items():
            start = time.process_time()
            found[name] = search(question)
            times[name].append(time.process_time() - start)
        if not np.array_equal(found["VectorIndex"], found["torch"]):
            raise SystemExit("the two name different neighbours: this is no comparison of the same work")
    medians = {name: 1000 * statistics.median(each) for name, each in times.items()}
    for name, milliseconds in medians.items():
        print(f"{name:22}{milliseconds:8.1f} ms a question")
    start = time.process_time()
    exact.search(questions)
    print(f"all {len(questions)} at once: {1000 * (time.process_time() - start) / len(questions):.1f} ms a question")
    print(f"ratio {medians['VectorIndex'] / medians['torch']:.2f}")


if __name__ == "__main__":
    main()
