"""Record how well a hidden letter of a word is guessed, from the left and from both sides. For lecture 05.

    OMP_NUM_THREADS=1 python experiments/cloze.py

Transformers of one shape, trained with as many updates on the words of the CMU dictionary: one causal, two masked ones
that give back 15 and 40 % of the letters. Judged on 1,500 words of families that none has met, one letter hidden in
each: bits for it, letters guessed right. The causal model answers in two ways: from the letters to the left, and by
the chain rule, from the probabilities of the 26 whole words. The rate of learning is the better of two by one seed on
the choose split; three seeds. Some six minutes of one core.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from llmlib.data import IGNORE, Experiment, mask_tokens, pronunciations
from llmlib.model import ModelConfig, Transformer
from llmlib.train import AdamW, Muon

SEEDS, ROWS, UPDATES, TRIED, ASKED = (0, 1, 2), 64, 500, 150, 1_500
RATES, WARMUP = (0.01, 0.02), 20
PAD, EDGE, MASK, FIRST = 0, 1, 2, 3
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WAYS = {"causal": None, "masked, 15 %": 0.15, "masked, 40 %": 0.4}


def encode(words: Sequence[str]) -> Tensor:
    """(B, T): a mark, the letters, a mark, padding."""
    width = max(map(len, words)) + 2
    rows = [[EDGE, *(FIRST + LETTERS.index(c) for c in word), EDGE] for word in words]
    return torch.tensor([[*row, *[PAD] * (width - len(row))] for row in rows])


def batches(words: Sequence[str], rng: random.Random) -> Iterator[Tensor]:
    """Without end: ROWS words of like length."""
    while True:
        order = sorted(words, key=lambda word: (len(word), rng.random()))
        groups = [order[i : i + ROWS] for i in range(0, len(order), ROWS)]
        rng.shuffle(groups)
        yield from map(encode, groups)


def loss_of(model: Transformer, ids: Tensor, mask_rate: float | None, generator: torch.Generator) -> Tensor:
    """Mean cross-entropy of the next letter, or of the masked ones. Padding stands at the end alone."""
    if mask_rate is None:
        inputs, targets = ids[:, :-1], ids[:, 1:].masked_fill(ids[:, 1:] == PAD, IGNORE)
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    inputs, targets = mask_tokens(ids, MASK, FIRST + 26, rate=mask_rate, keep=(PAD, EDGE), generator=generator)
    logits = model(inputs, pad_mask=ids != PAD) if (ids == PAD).any() else model(inputs)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def train(way: str, words: Sequence[str], updates: int, rate: float, seed: int) -> Transformer:
    """A model of that way after so many updates."""
    torch.manual_seed(seed)
    config = ModelConfig(FIRST + 26, n_layers=3, d_model=96, n_heads=4, max_seq_len=18, causal=way == "causal")
    model, source = Transformer(config), batches(words, random.Random(seed))
    generator = torch.Generator().manual_seed(seed)
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "blocks" in name)]
    steppers = (Muon(hidden, lr=rate, weight_decay=0.0), rate), (AdamW(rest, lr=rate / 2, weight_decay=0.0), rate / 2)
    for update in range(updates):
        loss = loss_of(model, next(source), WAYS[way], generator)
        for optimizer, lr in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = lr * min(1.0, (update + 1) / WARMUP, 1.02 - update / updates)
        loss.backward()
        for optimizer, _ in steppers:
            optimizer.step()
    return model.eval()


def questions(split: str) -> list[tuple[str, int]]:
    """ASKED words of a split, and the place of the hidden letter in each; drawn once."""
    rng = random.Random(split)
    words = rng.sample([each.word for each in pronunciations(split)], ASKED)
    return [(word, rng.randrange(len(word))) for word in words]


def letter_logits(model: Transformer, how: str, ids: Tensor, place: Tensor) -> Tensor:
    """(B, 26) for the letter at (B,) place of (B, T) ids, words of one length; what stands there is not read."""
    row = torch.arange(len(ids))
    if how == "left":
        return model(ids[:, :-1])[row, place - 1, FIRST:]
    if how == "both sides":
        masked = ids.clone()
        masked[row, place] = MASK
        return model(masked)[row, place, FIRST:]
    words = ids.repeat_interleave(26, 0)
    words[torch.arange(len(words)), place.repeat_interleave(26)] = torch.arange(FIRST, FIRST + 26).repeat(len(ids))
    each = model(words[:, :-1]).log_softmax(-1).gather(2, words[:, 1:, None])
    return each.sum((1, 2)).view(len(ids), 26)


@torch.inference_mode()
def judged(model: Transformer, how: str, asked: Sequence[tuple[str, int]]) -> dict:
    """Bits for the hidden letter, and the share guessed right in per cent."""
    bits, right = 0.0, 0
    by_length: dict[int, list[tuple[str, int]]] = {}
    for word, place in asked:
        by_length.setdefault(len(word), []).append((word, place))
    for some in by_length.values():
        ids, place = encode([word for word, _ in some]), torch.tensor([place for _, place in some]) + 1
        row = torch.arange(len(ids))
        true, found = ids[row, place] - FIRST, letter_logits(model, how, ids, place).log_softmax(-1)
        bits -= found[row, true].sum().item() / math.log(2)
        right += int((found.argmax(-1) == true).sum())
    return {"how": how, "bits": round(bits / len(asked), 3), "right": round(100 * right / len(asked), 1)}


def run(way: str, updates: int, rate: float, seed: int, split: str) -> dict:
    """One model, trained and judged."""
    model = train(way, [each.word for each in pronunciations("train")], updates, rate, seed)
    ways = ("left", "chain rule") if way == "causal" else ("both sides",)
    found = [judged(model, how, questions(split)) for how in ways]
    return dict(way=way, rate=rate, seed=seed, updates=updates, parameters=model.num_parameters(), found=found)


def unigram() -> dict:
    """The same of a table that knows how frequent each letter is."""
    counts = Counter("".join(each.word for each in pronunciations("train")))
    asked, total = [word[place] for word, place in questions("report")], counts.total()
    most = counts.most_common(1)[0][0]
    bits = -sum(math.log2(counts[letter] / total) for letter in asked) / len(asked)
    return {"bits": round(bits, 3), "right": round(100 * asked.count(most) / len(asked), 1)}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "cloze",
        script=__file__,
        modules=[
            "llmlib.data.denoising",
            "llmlib.data.pronunciations",
            "llmlib.model.transformer",
            "llmlib.train.muon",
        ],
        seeds=SEEDS,
    )
    tried, runs = [], []
    for way in WAYS:
        for rate in RATES:
            tried.append(experiment.once(f"{way}, rate {rate}", run, way, TRIED, rate, 0, "choose"))
            print(tried[-1], flush=True)
        mine = [trial for trial in tried if trial["way"] == way]
        rate = min(mine, key=lambda trial: trial["found"][-1]["bits"])["rate"]
        for seed in SEEDS:
            runs.append(experiment.once(f"{way}, seed {seed}", run, way, UPDATES, rate, seed, "report"))
            print(runs[-1], flush=True)
    experiment.save({"asked": ASKED, "unigram": experiment.once("unigram", unigram), "tried": tried, "runs": runs})


if __name__ == "__main__":
    main()
