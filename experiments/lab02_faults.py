"""Record a correct tokenizer and sixteen faulty ones, one of which lab 02 gives to a student to diagnose.

All have 500 tokens, learned from a part of tiny Shakespeare; two have the same fault and learned from different plays.
Run it with `python experiments/lab02_faults.py`; it takes about a minute.
"""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from llmlib.data import botchan, save_recorded, split_text, tiny_shakespeare
from llmlib.text import BPETokenizer
from llmlib.text.bpe_training import count_words

FAULTS = {
    "A": "learned from lower-cased text",
    "B": "the pairs were counted once, at the start, and never again",
    "C": "each different word was counted once, however often it occurs",
    "D": "encodes by longest match instead of by rank",
    "E": "the text was not cut into words before learning",
    "F": "decodes each token to UTF-8 by itself",
    "G": "the learned tokens were saved in alphabetical order, so their ranks are lost",
    "H": "the text was cut at spaces, and the spaces were thrown away",
}
RUNS = dict(zip(("a4", "b9", "d2", "e6", "f3", "g1", "h8", "k5", "m7", "n2", "p6", "r9", "s4", "t1", "v8", "w3"),
                "CGBHEADFGCFAHDBE", strict=True))  # fmt: skip
SIZE, LEARNED, JUDGED = 500, 200_000, 40_000
PROBE = "KING RICHARD:\nWhat is the matter with the naïve gentleman?"
NO_SPACES = r"\w+|[^\w\s]+"


def learned(fault: str, text: str) -> list[bytes]:
    """The tokens after the 256 bytes, in the order of their ranks."""
    if fault == "B":
        words = count_words(text)
        counts: Counter = Counter()
        for word, frequency in words.items():
            for pair in pairwise(word.encode()):
                counts[bytes(pair)] += frequency
        return [pair for pair, _ in counts.most_common(SIZE - 256)]
    if fault == "C":
        tokenizer = BPETokenizer.train(list(count_words(text)), SIZE)
    elif fault == "E":
        tokenizer = BPETokenizer.train(text, SIZE, pattern=r"[^\n]*\n|[^\n]+")
    elif fault == "H":
        tokenizer = BPETokenizer.train(text, SIZE, pattern=NO_SPACES)
    else:
        tokenizer = BPETokenizer.train(text.lower() if fault == "A" else text, SIZE)
    tokens = sorted(tokenizer.ranks, key=tokenizer.ranks.__getitem__)[256:]
    return sorted(tokens) if fault == "G" else tokens


def encoder(fault: str, tokens: list[bytes]) -> Callable[[str], list[bytes]]:
    ranks = {bytes([b]): b for b in range(256)} | {token: 256 + i for i, token in enumerate(tokens)}
    pattern = {"E": r"[^\n]*\n|[^\n]+", "H": NO_SPACES}.get(fault, r"\s?\w+|\s?[^\w\s]+|\s+")
    known: dict[str, list[bytes]] = {}

    def encode_word(word: bytes) -> list[bytes]:
        if fault == "D":
            parts = []
            while word:
                n = next(n for n in range(min(len(word), 40), 0, -1) if word[:n] in ranks)
                parts.append(word[:n])
                word = word[n:]
            return parts
        parts = [bytes([b]) for b in word]
        while found := [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]:
            rank = min(found)[0]
            merged, i = [], 0
            while i < len(parts):
                hit = i + 1 < len(parts) and ranks.get(parts[i] + parts[i + 1]) == rank
                merged.append(parts[i] + parts[i + 1] if hit else parts[i])
                i += 2 if hit else 1
            parts = merged
        return parts

    def encode(text: str) -> list[bytes]:
        parts = []
        for word in re.findall(pattern, text):
            if word not in known:
                known[word] = encode_word(word.encode())
            parts += known[word]
        return parts

    return encode


def too_short(words: list[list[bytes]], vocabulary: set[bytes]) -> int:
    """At how many places in these words a longer token of the vocabulary would fit."""
    places = 0
    for parts in words:
        rest = b"".join(parts)
        for part in parts:
            places += any(rest[:n] in vocabulary for n in range(len(part) + 1, min(len(rest), 40) + 1))
            rest = rest[len(part) :]
    return places


def decode(fault: str, parts: list[bytes]) -> str:
    if fault == "F":
        return "".join(part.decode(errors="replace") for part in parts)
    return b"".join(parts).decode(errors="replace")


def main() -> None:
    plays, val = split_text(tiny_shakespeare(), val_fraction=0.1)
    results = {}
    for number, (run, fault) in enumerate({"correct": "", **RUNS}.items()):
        text = plays[:LEARNED] if number % 2 == 0 else plays[-LEARNED:]
        tokens = learned(fault, text)
        encode = encoder(fault, tokens)
        judged = {"plays it learned from": text, "other plays": val, "a novel": botchan()}
        judged["OTHER PLAYS IN CAPITALS"] = val.upper()
        used = Counter(encode(val[:JUDGED]))
        results[run] = {
            "first": [token.decode(errors="replace") for token in tokens[:12]],
            "longest": [token.decode(errors="replace") for token in sorted(tokens, key=len)[-10:]],
            "most used": [token.decode(errors="replace") for token, _ in used.most_common(12)],
            "characters per token": {
                name: round(len(part[:JUDGED]) / len(encode(part[:JUDGED])), 2) for name, part in judged.items()
            },
            "never used": sum(token not in used for token in tokens),
            "places where a longer token would fit": too_short(
                [encode(word) for word in re.findall(r"\w+", val[:JUDGED])], set(tokens)
            ),
            "gives back": {
                name: decode(fault, encode(part)) == part
                for name, part in (("plain letters", val[:JUDGED]), ("the sample", PROBE))
            },
            "sample": [part.decode(errors="replace") for part in encode(PROBE)],
        }
        print(run, fault, {k: v for k, v in results[run].items() if k != "most used"}, flush=True)
    save_recorded("lab02_faults", results, script=__file__, modules=["llmlib.text.bpe_training"])


if __name__ == "__main__":
    main()
