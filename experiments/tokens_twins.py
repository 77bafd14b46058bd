"""Record lecture 02's twins: one model, one task (count a letter in a word), and only the tokens differ. Three seeds.

The functions are those of the lecture, which trains two of the twins live. Run it with
`python experiments/tokens_twins.py`; it takes about eight minutes on one core and goes on where it was
interrupted.
"""

import random
import re
from collections import Counter

import torch
import torch.nn.functional as F

from llmlib.data import Experiment, alice, all_plays, botchan
from llmlib.model import ModelConfig, Transformer
from llmlib.text import BPETokenizer
from llmlib.train import TrainConfig, build_optimizers, wsd_schedule

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARK, DIGIT = 26, 27  # ids 0-25 are letters, 26 a mark, 27-30 the answers 0-3, then come the merges
SEEDS, STEPS, MERGES, N_TEST = (0, 1, 2), 600, 1000, 600
OPTIMIZER = TrainConfig(
    optimizer="muon",
    lr=0.02,
    embedding_lr=0.02,
    head_lr=0.005,
    vector_lr=0.005,
    betas=(0.8, 0.95),
    eps=1e-10,
    weight_decay=0.0,
)

Pairs = dict[int, list[tuple[str, str]]]


def count_words() -> Counter[str]:
    """Lower-case words of 4 to 12 letters of the plays and two novels, with their frequency."""
    text = "\n".join([all_plays(), botchan(), alice()]).lower()
    return Counter(word for word in re.findall(r"[a-z]+", text) if 4 <= len(word) <= 12)


def pairs_by_count(words: list[str]) -> Pairs:
    """(word, letter) pairs by how often the letter occurs in the word, 0 to 3 times."""
    pairs: Pairs = {c: [] for c in range(4)}
    for word in words:
        for letter in LETTERS:
            if word.count(letter) <= 3:
                pairs[word.count(letter)].append((word, letter))
    return pairs


def draw(pairs: Pairs, n: int, rng: random.Random) -> list[tuple[str, str]]:
    """n pairs, the four answers equally often on average, so that guessing scores a quarter."""
    return [rng.choice(pairs[rng.randrange(4)]) for _ in range(n)]


def pieces_of(words: list[str], frequency: Counter[str], merges: int) -> dict[str, list[int]]:
    """word -> its token ids after so many merges, learned from the words as often as they occur."""
    tokenizer = BPETokenizer.train(
        " ".join(" ".join([w] * min(frequency[w], 50)) for w in words), 256 + merges, pattern="[a-z]+"
    )
    return {w: [i - ord("a") if i < 256 else i - 256 + DIGIT + 4 for i in tokenizer.encode(w)] for w in words}


def example(pieces: dict[str, list[int]], word: str, letter: str, spell: str) -> tuple[list[int], list[bool]]:
    """The ids of one example, and which of them the model is trained to predict."""
    letters = [ord(c) - ord("a") for c in word]
    read = [MARK, *pieces[word]]
    spelling = [MARK, *letters, MARK]
    question, answer = ord(letter) - ord("a"), DIGIT + word.count(letter)
    if spell == "first":
        return read + spelling + [question, answer], [False] * (len(read) + 1) + [True] * (len(spelling) - 1) + [
            False,
            True,
        ]
    if spell == "after":
        return [*read, question, answer, *spelling], [False] * (len(read) + 1) + [True] * (1 + len(spelling))
    return [*read, question, answer], [False] * (len(read) + 1) + [True]


def batch_of(examples: list[tuple[list[int], list[bool]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets (B, T), padded on the right; -100 where nothing is to be predicted."""
    T = max(len(ids) for ids, _ in examples)
    x, y = torch.zeros(len(examples), T, dtype=torch.long), torch.full((len(examples), T), -100)
    for row, (ids, wanted) in enumerate(examples):
        x[row, : len(ids)] = torch.tensor(ids)
        y[row, : len(ids) - 1] = torch.tensor([i if w else -100 for i, w in zip(ids[1:], wanted[1:])])
    return x, y


def train(
    pieces: dict[str, list[int]], spell: str, pairs: Pairs, vocab_size: int, seed: int, steps: int
) -> Transformer:
    torch.manual_seed(seed)
    rng = random.Random(seed)
    model = Transformer(
        ModelConfig(
            vocab_size=vocab_size,
            n_layers=2,
            d_model=64,
            n_heads=2,
            d_ff=256,
            max_seq_len=48,
            mlp="gelu",
            tie_embeddings=False,
        )
    )
    optimizers = build_optimizers(model, OPTIMIZER)
    rates = [[group["lr"] for group in o.param_groups] for o in optimizers]
    for step in range(steps):
        scale = wsd_schedule(step, steps, warmup_steps=20)
        for optimizer, its_rates in zip(optimizers, rates):
            for group, rate in zip(optimizer.param_groups, its_rates):
                group["lr"] = rate * scale
        x, y = batch_of([example(pieces, w, letter, spell) for w, letter in draw(pairs, 64, rng)])
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100)
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    return model


@torch.no_grad()
def spell_out(model: Transformer, read: list[int]) -> list[int]:
    """The spelling that the model itself writes after reading a word's tokens, greedily, up to the closing mark."""
    ids = [*read, MARK]
    for _ in range(13):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == MARK:
            break
    return ids[len(read) + 1 :]


@torch.no_grad()
def evaluate(model: Transformer, pieces: dict[str, list[int]], spell: str, tests: list[tuple[str, str]]) -> dict:
    """Accuracy, overall and by the right answer; with spelling first, the model counts in its own writing."""
    right: list[list[bool]] = [[], [], [], []]
    spelled = []
    for word, letter in tests:
        ids = [MARK, *pieces[word]]
        if spell == "first":
            spelling = spell_out(model, ids)
            spelled.append(spelling[:-1] == [ord(c) - ord("a") for c in word])
            ids += [MARK, *spelling]
        guess = int(model(torch.tensor([[*ids, ord(letter) - ord("a")]]))[0, -1].argmax()) - DIGIT
        right[word.count(letter)].append(guess == word.count(letter))
    result = {"accuracy": sum(map(sum, right)) / len(tests), "by_count": [sum(r) / len(r) for r in right if r]}
    return result | ({"spelled": sum(spelled) / len(tests)} if spelled else {})


def strawberry(model: Transformer, pieces: dict[str, list[int]], spell: str) -> int:
    """How many r the model finds in a word it was not trained on."""
    ids = [MARK, *pieces["strawberry"]]
    if spell == "first":
        ids += [MARK, *spell_out(model, ids)]
    with torch.no_grad():
        return int(model(torch.tensor([[*ids, ord("r") - ord("a")]]))[0, -1].argmax()) - DIGIT


def main() -> None:
    torch.set_num_threads(1)
    frequency = count_words()
    frequency["strawberry"] += 1
    words = sorted(frequency)
    random.Random(0).shuffle(words)
    words.remove("strawberry")
    held_out, training = ["strawberry", *words[: len(words) // 5]], words[len(words) // 5 :]
    pairs, tests = pairs_by_count(training), draw(pairs_by_count(held_out), N_TEST, random.Random(1))

    runs = []
    # name, merges, spell, steps; the vocabulary has room for MERGES merges in all but one
    plan = [("characters", 0, "", STEPS), ("BPE", MERGES, "", STEPS), ("BPE, spells first", MERGES, "first", STEPS)]
    plan += [("BPE, spells afterwards", MERGES, "after", STEPS), ("BPE, trained longer", MERGES, "", 3 * STEPS)]
    plan += [(f"BPE, {merges} merges", merges, "", STEPS) for merges in (100, 300, 3000)]
    experiment = Experiment(
        "tokens_twins",
        script=__file__,
        modules=["llmlib.model.transformer", "llmlib.model.attention", "llmlib.train.muon", "llmlib.text.bpe_training"],
        seeds=SEEDS,
    )

    def run(name: str, merges: int, spell: str, steps: int, seed: int) -> dict:
        pieces = pieces_of([*words, "strawberry"], frequency, merges)
        model = train(pieces, spell, pairs, DIGIT + 4 + max(merges, MERGES), seed, steps)
        row = {"name": name, "merges": merges, "spell": spell, "steps": steps, "seed": seed}
        row["tokens_per_word"] = round(sum(len(pieces[w]) for w in words) / len(words), 2)
        row["tokens_per_example"] = round(sum(len(example(pieces, w, a, spell)[0]) for w, a in tests) / N_TEST, 1)
        row |= evaluate(model, pieces, spell, tests)
        return row | {"strawberry": strawberry(model, pieces, spell), "parameters": model.num_parameters()}

    for seed in SEEDS:
        for name, merges, spell, steps in plan:
            runs.append(experiment.once(f"{name}, seed {seed}", run, name, merges, spell, steps, seed))
            print(runs[-1], flush=True)
    experiment.save({"words": len(words), "held_out": len(held_out), "tests": N_TEST, "runs": runs})


if __name__ == "__main__":
    main()
