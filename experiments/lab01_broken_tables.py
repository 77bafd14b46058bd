"""Record the perplexity tables of a correct program and of three broken ones, which lab 01 asks students to diagnose.

All count characters of tiny Shakespeare and smooth by adding 0.01; each broken one has one line changed. Run it with
`python experiments/lab01_broken_tables.py`; it takes a few seconds.
"""

import numpy as np

from llmlib.data import save_recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, NGramModel
from llmlib.text.ngram_counts import IntArray

CAUSES = {
    "correct": "",
    "program 1": "k instead of k * V in the denominator",
    "program 2": "test text among the training text",
    "program 3": "mean of probabilities instead of mean of logarithms",
}
K, ORDERS = 0.01, range(1, 9)


def perplexity(cause: str, order: int, train: IntArray, test: IntArray, vocab_size: int) -> float:
    """What the program with this fault prints for one order."""
    counted = np.concatenate([train, test]) if cause.startswith("test text") else train
    p = np.exp(NGramModel(order, "add_k", k=K, vocab_size=vocab_size).fit(counted).logprob(test))
    if cause.startswith("k instead"):
        total = _context_totals(order, train, test, vocab_size)
        p *= (total + K * vocab_size) / (total + K)
    return float(1 / p.mean()) if cause.startswith("mean of") else float(np.exp(-np.log(p).mean()))


def _context_totals(order: int, train: IntArray, test: IntArray, vocab_size: int) -> IntArray:
    """(N,) how often the context of each test token was followed by something in training."""
    totals = np.empty(len(test), np.int64)
    for start in range(min(order, len(test))):  # the first tokens have shorter contexts
        totals[start] = _followed(train, start + 1, test[: start + 1], vocab_size)[-1]
    totals[order - 1 :] = _followed(train, order, test, vocab_size)
    return totals


def _followed(train: IntArray, order: int, test: IntArray, vocab_size: int) -> IntArray:
    """(N - order + 1,) the same for a fixed context length; contexts packed into one integer each."""

    def contexts(tokens: IntArray) -> IntArray:
        packed = np.zeros(len(tokens) - order + 1, np.int64)
        for i in range(order - 1):
            packed = packed * vocab_size + tokens[i : len(tokens) - order + 1 + i]
        return packed

    values, counts = np.unique(contexts(train), return_counts=True)
    asked = contexts(test)
    at = np.searchsorted(values, asked).clip(max=len(values) - 1)
    return np.where(values[at] == asked, counts[at], 0)


def main() -> None:
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train, val = (np.array(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    noise = np.random.default_rng(0).integers(tokenizer.vocab_size, size=100_000)
    tests = {"held-out Shakespeare": val, "random characters": noise}
    results = {
        name: {
            test: [round(perplexity(cause, order, train, tokens, tokenizer.vocab_size), 2) for order in ORDERS]
            for test, tokens in tests.items()
        }
        for name, cause in CAUSES.items()
    }
    for name, table in results.items():
        for test, row in table.items():
            print(f"{name:10} {test:22}", " ".join(f"{p:9.2f}" for p in row))
    save_recorded(
        "lab01_broken_tables",
        results,
        script=__file__,
        modules=["llmlib.text.ngram", "llmlib.text.ngram_counts", "llmlib.text.smoothing"],
        seeds=(0,),
    )


if __name__ == "__main__":
    main()
