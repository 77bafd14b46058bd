"""Learn a BPE vocabulary: llmlib.text.BPETokenizer against a recount after every merge and against `tokenizers`.

Two jobs: 500 tokens from 130 kB of text (aim: 0.3 s) and 10,000 tokens from all the plays (aim: 30 s, under 500 MB).
Times are processor seconds of one thread, so that a busy machine does not bend them; the words are the same for all,
cut by GPT-2's pattern. The recount is the textbook's loop in the same Python, so its ratio shows what the incremental
counts are worth; it does the first job only, as the second would take it hours. The package `tokenizers` is compiled
Rust. It breaks ties differently, so the vocabularies may differ in places; the length of the text in tokens shows that
the work is the same.

    python benchmarks/bpe.py
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import resource
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from llmlib.data import all_plays, botchan
from llmlib.text import BPETokenizer
from llmlib.text.bpe_training import count_words

Result = Callable[[], int]  # how many tokens the training text has with the new vocabulary, found out afterwards


def ours(texts: list[str], vocab_size: int) -> Result:
    tokenizer = BPETokenizer.train(texts, vocab_size)
    return lambda: sum(len(tokenizer.encode(text)) for text in texts)


def recount(texts: list[str], vocab_size: int) -> Result:
    """Count every pair, merge the best, and start over: the same definition without the bookkeeping."""
    frequency = count_words(texts)
    words = {word: [bytes([b]) for b in word.encode()] for word in frequency}
    for _ in range(vocab_size - 256):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word, parts in words.items():
            for pair in pairwise(parts):
                counts[pair] += frequency[word]
        best = max(counts, key=lambda pair: (counts[pair], pair))
        for parts in words.values():
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == best:
                    parts[i : i + 2] = [best[0] + best[1]]
                i += 1
    return lambda: sum(len(parts) * frequency[word] for word, parts in words.items())


def huggingface(texts: list[str], vocab_size: int) -> Result:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return lambda: sum(len(tokenizer.encode(text).ids) for text in texts)


def timed(name: str, train: Callable[[list[str], int], Result], texts: list[str], vocab_size: int, n: int) -> float:
    """The best time of `n` trainings; encoding the text afterwards is not part of it."""
    seconds = []
    for _ in range(n):
        start = time.process_time()
        n_tokens = train(texts, vocab_size)
        seconds.append(time.process_time() - start)
    print(f"  {name:<20}{min(seconds):8.3f} s   the text then has {n_tokens():,} tokens", flush=True)
    return min(seconds)


def pieces(text: str, size: int = 20_000) -> list[str]:
    """Cut at ends of lines after about `size` characters: `tokenizers` slows down on texts of megabytes."""
    parts, start = [], 0
    while start < len(text):
        end = text.find("\n", start + size) + 1 or len(text)
        parts.append(text[start:end])
        start = end
    return parts


def main() -> None:
    small, large = pieces(botchan()[:130_000]), pieces(all_plays())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"500 tokens from {sum(map(len, small)):,} characters")
    our_small = timed("llmlib", ours, small, 500, n=3)
    print(f"10,000 tokens from {sum(map(len, large)):,} characters")
    our_large = timed("llmlib", ours, large, 10_000, n=2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory {peak:.0f} MB, of which {before:.0f} MB were there before (Python, torch, the texts)")

    print("the peers on the same texts")
    naive_small = timed("recount, 500", recount, small, 500, n=1)
    their_small = timed("tokenizers, 500", huggingface, small, 500, n=3)
    their_large = timed("tokenizers, 10,000", huggingface, large, 10_000, n=2)
    print(f"recount / llmlib, 500 tokens: {naive_small / our_small:.0f}x")
    print(f"tokenizers / llmlib, 500 tokens: {their_small / our_small:.2f}x")
    print(f"ratio tokenizers / llmlib, 10,000 tokens: {their_large / our_large:.2f}x")


if __name__ == "__main__":
    main()
