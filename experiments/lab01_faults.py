"""Record the perplexity tables of a correct program and of sixteen faulty runs, one of which lab 01 gives to a student.

All count characters of tiny Shakespeare and smooth by adding 0.01; each faulty one has one line changed. Two runs have
the same fault and count different plays. Run it with `python experiments/lab01_faults.py`; it takes about a minute.
"""

import numpy as np

from llmlib.data import save_recorded, split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, NGramModel
from llmlib.text.ngram_counts import IntArray

FAULTS = {
    "A": "the text that is judged was counted as well",
    "B": "it averages the probabilities instead of their logarithms",
    "C": "it takes log2, then exp",
    "D": "the denominator adds k instead of k * V",
    "E": "tokens with an unseen context are left out of the average",
    "F": "the characters of the training text were shuffled before counting",
    "G": "the context is one token too short",
    "H": "the context ends with the token that is to be predicted",
}
RUNS = dict(zip(("b7", "c2", "d5", "f1", "g8", "h3", "k6", "m4", "n9", "p2", "q7", "r5", "s1", "t8", "v3", "w6"),
                "EAHCGBFDCHAGDFBE", strict=True))  # fmt: skip
K, ORDERS, COUNTED, JUDGED = 0.01, range(1, 9), 100_000, 30_000


def perplexity(fault: str, order: int, train: IntArray, test: IntArray, vocab_size: int) -> float:
    """What the program with this fault ("" for none) prints for one order."""
    if fault == "H":
        return _peeking(order, train, test, vocab_size)
    rng = np.random.default_rng(0)
    counted = {"A": np.concatenate([train, test]), "F": rng.permutation(train)}.get(fault, train)
    used = max(order - 1, 1) if fault == "G" else order
    log_p = NGramModel(used, "add_k", k=K, vocab_size=vocab_size).fit(counted).logprob(test)[order - 1 :]
    if fault == "D":
        total = followed(train, order, test, vocab_size)
        log_p = log_p + np.log((total + K * vocab_size) / (total + K))
    if fault == "E":
        log_p = log_p[followed(train, order, test, vocab_size) > 0]
    if not len(log_p):
        return float("nan")
    if fault == "B":
        return float(1 / np.exp(log_p).mean())
    return float(np.exp(-log_p.mean() / (np.log(2) if fault == "C" else 1)))


def _peeking(order: int, train: IntArray, test: IntArray, vocab_size: int) -> float:
    """The window of order - 1 tokens ends with the target: whatever follows such a window is its own last token."""
    if order == 1:
        return perplexity("", 1, train, test, vocab_size)
    total = followed(np.append(train, train[-1]), order, np.append(test, test[-1]), vocab_size)[1:]
    return float(np.exp(-np.log((total + K) / (total + K * vocab_size)).mean()))


def followed(train: IntArray, order: int, test: IntArray, vocab_size: int) -> IntArray:
    """(N - order + 1,) how often the order - 1 tokens before each test token were followed by something in training."""

    def contexts(tokens: IntArray) -> IntArray:
        packed = np.zeros(len(tokens) - order + 1, np.int64)
        for i in range(order - 1):
            packed = packed * vocab_size + tokens[i : len(tokens) - order + 1 + i]
        return packed

    values, counts = np.unique(contexts(train), return_counts=True)
    asked = contexts(test)
    at = np.searchsorted(values, asked).clip(max=len(values) - 1)
    return np.where(values[at] == asked, counts[at], 0)


def rounded(x: float) -> float | None:
    """Four digits; None where no token was left to average."""
    return None if np.isnan(x) else float(f"{x:.4g}")


def main() -> None:
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    plays, val = (np.array(tokenizer.encode(part)) for part in split_text(text, val_fraction=0.1))
    noise = np.random.default_rng(0).integers(tokenizer.vocab_size, size=JUDGED)
    results = {}
    for number, (run, fault) in enumerate({"correct": "", **RUNS}.items()):
        train = plays[:COUNTED] if number % 2 == 0 else plays[-COUNTED:]
        tests = {"training text": train[:JUDGED], "other plays": val[:JUDGED], "random characters": noise}
        results[run] = {
            name: [rounded(perplexity(fault, order, train, test, tokenizer.vocab_size)) for order in ORDERS]
            for name, test in tests.items()
        }
        print(f"--- {run} {fault} ---")
        for name, row in results[run].items():
            print(f"{name:18}", " ".join("  nothing" if p is None else f"{p:9.4g}" for p in row), flush=True)
    save_recorded(
        "lab01_faults",
        results,
        script=__file__,
        modules=["llmlib.text.ngram", "llmlib.text.ngram_counts", "llmlib.text.smoothing"],
        seeds=(0,),
    )


if __name__ == "__main__":
    main()
