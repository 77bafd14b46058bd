"""Record lecture 02's questions to SmolLM2: which number is bigger, by digits and by sign, and deck J's four failures.

Run it with `python experiments/tokens_numbers.py`; it needs SmolLM2, takes about ten minutes on one core and goes on
where it was interrupted.
"""

import copy
import random

import torch

from llmlib.data import Experiment
from llmlib.hub import load_smollm2
from llmlib.infer import generate
from llmlib.model import KVCache, Transformer
from llmlib.text import BPETokenizer, encode_chat

PAIRS = 60
EQUAL, UNEQUAL = ((1, 1), (2, 2), (3, 3), (5, 5), (8, 8), (11, 11)), ((1, 2), (3, 5), (6, 11))
ASKED = (
    "which number is bigger, 999934 or 32323232332?",
    "which number is bigger, -999934 or -32323232332?",
    "how many more legs does a spider have than an ant?",
    "Who won the 2020 presidential election?",
    "How many R's are in the word strawberry",
)
CONTROL = ((1, 1), (2, 2), (3, 3))
PEOPLE = ("George W. Bush", "Barack Obama", "Donald Trump", "Hillary Clinton", "Joe Biden", "Kamala Harris")


@torch.no_grad()
def log_likelihoods(
    model: Transformer, tokenizer: BPETokenizer, question: str, begin: str, options: list[str]
) -> list[float]:
    """log P(option | question, begin) in nats, for each way the answer might go on. The question is read once."""
    prompt = encode_chat(tokenizer, [{"role": "user", "content": question}]) + tokenizer.encode(begin)
    cache = KVCache(model.config)
    model.hidden(torch.tensor([prompt[:-1]]), cache=cache)
    scores = []
    for option in options:
        ids = tokenizer.encode(option)
        log_p = model(torch.tensor([[prompt[-1], *ids[:-1]]]), cache=copy.deepcopy(cache))[0].log_softmax(dim=-1)
        scores.append(log_p.gather(1, torch.tensor(ids)[:, None]).sum().item())
    return scores


def draw(digits: int, rng: random.Random) -> int:
    """A number with so many digits, the first not 0."""
    return rng.randrange(10 ** (digits - 1), 10**digits)


def compare(
    model: Transformer,
    tokenizer: BPETokenizer,
    digits: tuple[int, int],
    sign: int,
    rng: random.Random,
    word: str = "bigger",
) -> dict:
    """Each pair is asked about in both orders. How often the likelier answer is right (of 2 n), and how often it is the
    number named first; how often (of n) the preference with both orders taken together is right, and how often it is
    for the number that comes later in a dictionary of digits. `word` "smaller" asks the opposite: a check whether the
    model compares at all or likes large digits."""
    row = {"digits": digits, "sign": sign, "n": PAIRS, "right": 0, "named_first": 0, "balanced": 0, "dictionary": 0}
    for _ in range(PAIRS):
        a, b = (sign * draw(d, rng) for d in digits)
        while a == b:
            b = sign * draw(digits[1], rng)
        larger, smaller = max(a, b), min(a, b)
        options = [f"{larger}.", f"{smaller}."]
        margins = []
        for first, second in ((larger, smaller), (smaller, larger)):
            question = f"which number is {word}, {first} or {second}?"
            scores = log_likelihoods(model, tokenizer, question, f"The {word} number is ", options)
            margins.append(scores[0] - scores[1] if word == "bigger" else scores[1] - scores[0])
            row["right"] += margins[-1] > 0
            row["named_first"] += (scores[0] > scores[1]) == (first == larger)
        row["balanced"] += sum(margins) > 0
        row["dictionary"] += ((sum(margins) > 0) == (word == "bigger")) == (str(abs(larger)) > str(abs(smaller)))
    return row


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load_smollm2(fallback=False)
    signed = [(digits, sign) for sign in (1, -1) for digits in EQUAL + UNEQUAL]
    experiment = Experiment(
        "tokens_numbers",
        script=__file__,
        modules=["llmlib.text.published", "llmlib.text.chat", "llmlib.hub.gguf_blocks"],
        seeds=[f"{digits} {sign}" for digits, sign in signed] + [f"{digits} smaller" for digits in CONTROL],
    )

    def compared(digits: tuple[int, int], sign: int, seed: str, word: str = "bigger") -> dict:
        row = experiment.once(seed, lambda: compare(model, tokenizer, digits, sign, random.Random(seed), word))
        print(row, flush=True)
        return row

    rows = [compared(digits, sign, f"{digits} {sign}") for digits, sign in signed]
    control = [compared(digits, 1, f"{digits} smaller", word="smaller") for digits in CONTROL]
    replies = []
    for question in ASKED:
        prompt = encode_chat(tokenizer, [{"role": "user", "content": question}])
        ids = generate(
            model, prompt, max_new_tokens=60, greedy=True, stop_tokens=[tokenizer.special_tokens["<|im_end|>"]]
        )
        replies.append({"question": question, "reply": tokenizer.decode(ids).replace("<|im_end|>", "")})
        print(replies[-1], flush=True)
    elections = []
    for year in range(2000, 2025, 4):
        question = f"Who won the {year} United States presidential election?"
        scores = log_likelihoods(
            model,
            tokenizer,
            question,
            f"The {year} United States presidential election was won by",
            [f" {p}." for p in PEOPLE],
        )
        elections.append({"year": year, "log_likelihoods": [round(s, 2) for s in scores]})
        print(elections[-1], flush=True)
    experiment.save(
        {"comparisons": rows, "smaller": control, "replies": replies, "elections": elections, "people": PEOPLE}
    )


if __name__ == "__main__":
    main()
