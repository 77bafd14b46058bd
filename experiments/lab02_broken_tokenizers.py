"""Record three broken tokenizers for lab 02 to diagnose: BPE of 700 tokens from Shakespeare, one thing wrong in each.

Run it with `python experiments/lab02_broken_tokenizers.py`; it takes half a minute.
"""

from collections import Counter

from llmlib.data import botchan, save_recorded, split_text, tiny_shakespeare
from llmlib.text import BPETokenizer
from llmlib.text.bpe_training import count_words

VOCAB_SIZE = 700
PROBE = "KING RICHARD:\nWhat is the matter with the naïve gentleman?"
CAUSES = {
    "correct": "nothing wrong",
    "run 1": "each word counted once, however often it occurs",
    "run 2": "no pre-tokenizer",
    "run 3": "trained on lower-cased text",
}


def train(cause: str, text: str) -> BPETokenizer:
    if cause.startswith("each word"):
        return BPETokenizer.train(list(count_words(text)), VOCAB_SIZE)
    if cause == "no pre-tokenizer":
        return BPETokenizer.train(text, VOCAB_SIZE, pattern=r"[^\n]+\n?")
    return BPETokenizer.train(text.lower() if "lower" in cause else text, VOCAB_SIZE)


def main() -> None:
    text, val = split_text(tiny_shakespeare(), val_fraction=0.1)
    results = {}
    for name, cause in CAUSES.items():
        tokenizer = train(cause, text)
        tokens = sorted(tokenizer.ranks, key=tokenizer.ranks.__getitem__)[256:]
        used = Counter(tokenizer.encode(val))
        results[name] = {
            "first_merges": [token.decode(errors="replace") for token in tokens[:14]],
            "longest": [token.decode(errors="replace") for token in sorted(tokens, key=len)[-10:]],
            "most_used": [tokenizer.decode([i]) for i, _ in used.most_common(12)],
            "characters_per_token": {
                "training": round(len(text) / len(tokenizer.encode(text)), 2),
                "held out": round(len(val) / sum(used.values()), 2),
                "another book": round(len(botchan()) / len(tokenizer.encode(botchan())), 2),
                "held out, CAPITALS": round(len(val) / len(tokenizer.encode(val.upper())), 2),
            },
            "round_trip": all(tokenizer.decode(tokenizer.encode(t)) == t for t in (val, PROBE)),
            "probe": [tokenizer.token_bytes(i).decode("utf-8", errors="replace") for i in tokenizer.encode(PROBE)],
        }
        print(name, cause, results[name], flush=True)
    save_recorded(
        "lab02_broken_tokenizers",
        results,
        script=__file__,
        modules=["llmlib.text.bpe_training"],
    )


if __name__ == "__main__":
    main()
