"""Train a character 5-gram model and score a held-out text: llmlib.text.NGramModel against nltk.lm.

Both learn the same training part of tiny Shakespeare and give the perplexity of the same held-out tenth, with the same
smoothing (Witten-Bell; nltk's Kneser-Ney walks through all contexts for every token and would take hours). The two
perplexities must agree. The last line is the ratio of the times, train + perplexity; the aim is at least 100.

    python benchmarks/ngram_vs_nltk.py [--fraction 1.0] [--order 5]
"""

import argparse
import math
import time
from collections.abc import Callable

import nltk.lm
from nltk.util import everygrams

from llmlib.data import split_text, tiny_shakespeare
from llmlib.text import CharTokenizer, NGramModel


def nltk_perplexity(train: list[str], held_out: list[str], order: int) -> float:
    model = nltk.lm.WittenBellInterpolated(order)
    model.fit([everygrams(train, max_len=order)], vocabulary_text=train)
    return model.perplexity(tuple(held_out[max(0, i - order + 1) : i + 1]) for i in range(len(held_out)))


def our_perplexity(train: list[int], held_out: list[int], order: int, vocab_size: int) -> float:
    return NGramModel(order, "witten_bell", vocab_size=vocab_size).fit(train).perplexity(held_out)


def timed(function: Callable[..., float], *arguments) -> tuple[float, float]:
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fraction", type=float, default=1.0, help="part of the corpus that both work on")
    parser.add_argument("--order", type=int, default=5)
    settings = parser.parse_args()

    text = tiny_shakespeare()
    train, held_out = split_text(text[: int(len(text) * settings.fraction)])
    tokenizer = CharTokenizer.from_text(train + held_out)
    ids = tokenizer.encode(train), tokenizer.encode(held_out)
    print(f"characters: {len(train):,} to train on, {len(held_out):,} held out; order {settings.order}")

    # Ours first: nltk leaves millions of small objects behind. Best of three, since it takes a fraction of a second.
    ours = [timed(our_perplexity, *ids, settings.order, tokenizer.vocab_size) for _ in range(3)]
    our_seconds = min(seconds for _, seconds in ours)
    print(f"llmlib  {our_seconds:8.3f} s   perplexity {ours[0][0]:.6f}")
    peer, peer_seconds = timed(nltk_perplexity, list(train), list(held_out), settings.order)
    print(f"nltk    {peer_seconds:8.3f} s   perplexity {peer:.6f}")
    if not math.isclose(peer, ours[0][0], rel_tol=1e-9):
        raise SystemExit("the two perplexities differ: this is no comparison of the same work")
    print(f"ratio {peer_seconds / our_seconds:.0f}x")


if __name__ == "__main__":
    main()
