"""Record three ways from letters to phonemes: encoder-decoder, prefix decoder and causal decoder. For lecture 05.

    OMP_NUM_THREADS=1 python experiments/pronunciation.py

Models of about the same size, each with the same processor seconds of training on the CMU dictionary, so that a run
cannot be repeated to the digit. Phoneme errors, stress left out, on 1,500 words of families that none has met, the
closest of the dictionary's ways counted; three seeds. The learning rate of each is the better of two by one seed on
the choose split. Some 45 minutes of one core.
"""

import random
import time
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import IGNORE, Experiment, Pronunciation, phoneme_errors, pronunciations
from llmlib.infer import generate_from
from llmlib.model import Decoder, EncoderDecoder, EncoderDecoderConfig, KVCache, ModelConfig
from llmlib.train import AdamW, Muon

SEEDS, ROWS, SECONDS, TRIED, ASKED = (0, 1, 2), 128, 240.0, 40.0, 1_500
RATES, WARMUP = (0.01, 0.02), 1.0
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PHONEMES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
PAD, START, STOP = 0, 1, 2
VOCABULARY = ["<pad>", "<start>", "<stop>", *LETTERS, *PHONEMES]
ID = {symbol: i for i, symbol in enumerate(VOCABULARY)}
LONGEST = 34  # fourteen letters, a start, up to eighteen phonemes, a stop
WAYS = ("encoder-decoder", "prefix decoder", "causal decoder")


def build(way: str) -> nn.Module:
    """A model of that kind: about 0.64M parameters."""
    config = ModelConfig(len(VOCABULARY), n_layers=2, d_model=96, n_heads=4, max_seq_len=LONGEST, dropout=0.0)
    if way == "encoder-decoder":
        return EncoderDecoder(EncoderDecoderConfig(config, n_encoder_layers=3))
    return Decoder(config.replace(n_layers=6))


def pair(word: Pronunciation, rng: random.Random) -> tuple[list[int], list[int]]:
    """Letters and phonemes as ids, without marks; of several ways to say a word one at random."""
    return [ID[c] for c in word.word], [ID[p] for p in rng.choice(word.spoken)]


def padded(rows: Sequence[Sequence[int]], value: int = PAD) -> Tensor:
    """Rows of different lengths as one tensor."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def batches(words: Sequence[Pronunciation], rng: random.Random) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Without end: ROWS pairs of like length."""
    while True:
        pairs = [pair(word, rng) for word in words]
        pairs.sort(key=lambda each: (len(each[0]), rng.random()))
        groups = [pairs[i : i + ROWS] for i in range(0, len(pairs), ROWS)]
        rng.shuffle(groups)
        yield from groups


def loss_of(model: nn.Module, way: str, pairs: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """Mean cross-entropy of the phonemes and the stop after them, in nats."""
    if way == "encoder-decoder":
        source = padded([letters for letters, _ in pairs])
        ids = padded([[START, *said] for _, said in pairs])
        targets = padded([[*said, STOP] for _, said in pairs], IGNORE)
        logits = model(source, ids, source_mask=source != PAD)
    else:
        texts = [[*letters, START, *said] for letters, said in pairs]
        ids = padded(texts)
        targets = padded([[*[IGNORE] * len(letters), *said, STOP] for letters, said in pairs], IGNORE)
        prefix = torch.tensor([len(letters) + 1 for letters, _ in pairs])
        logits = model(ids, prefix=prefix if way == "prefix decoder" else None)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def train(model: nn.Module, way: str, words: Sequence[Pronunciation], seconds: float, rate: float, seed: int) -> int:
    """Train for so many processor seconds, the rate falling with the time; -> the updates made."""
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "blocks" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "blocks" in name)]
    steppers = (Muon(hidden, lr=rate, weight_decay=0.0), rate), (AdamW(rest, lr=rate / 2, weight_decay=0.0), rate / 2)
    source, began, updates = batches(words, random.Random(seed)), time.process_time(), 0
    model.train()
    pairs = next(source)
    while (spent := time.process_time() - began) < seconds:
        scale = min(1.0, (spent + 0.05) / WARMUP, 1.02 - spent / seconds)
        loss = loss_of(model, way, pairs)
        for optimizer, lr in steppers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = lr * scale
        loss.backward()
        for optimizer, _ in steppers:
            optimizer.step()
        updates += 1
        pairs = next(source)
    return updates


@torch.inference_mode()
def said_by(model: nn.Module, way: str, words: Sequence[Pronunciation]) -> list[list[str]]:
    """The phonemes that a model writes for each word, greedily."""
    sources = [[ID[c] for c in word.word] for word in words]
    model.eval()
    if way == "encoder-decoder":
        written = generate_from(model, sources, start=START, stop=STOP, max_new_tokens=18)
    else:
        written = [[] for _ in sources]
        by_length: dict[int, list[int]] = {}
        for i, source in enumerate(sources):
            by_length.setdefault(len(source), []).append(i)
        for length, places in by_length.items():
            ids = torch.tensor([[*sources[i], START] for i in places])
            cache = KVCache(model.config, len(places), LONGEST)
            prefix = torch.full((len(places),), length + 1) if way == "prefix decoder" else None
            h, going = model.hidden(ids, cache=cache, prefix=prefix), torch.ones(len(places), dtype=torch.bool)
            for _ in range(LONGEST - length - 1):
                tokens = model.head(h[:, -1]).argmax(-1)
                going &= tokens != STOP
                for row, i in enumerate(places):
                    if going[row]:
                        written[i].append(int(tokens[row]))
                if not going.any():
                    break
                h = model.hidden(tokens[:, None], cache=cache)
    return [[VOCABULARY[token] for token in text] for text in written]


def errors(model: nn.Module, way: str, words: Sequence[Pronunciation]) -> dict:
    """Errors of each word and the phonemes that are right to say, and words said without an error."""
    counted = [phoneme_errors(word, said) for word, said in zip(words, said_by(model, way, words), strict=True)]
    wrong, phonemes = map(sum, zip(*counted))
    return {
        "phoneme_errors": round(100 * wrong / phonemes, 2),
        "words_right": round(100 * sum(e == 0 for e, _ in counted) / len(counted), 1),
        "each": counted,
    }


def summed(runs: Sequence[list]) -> list[list[int]]:
    """Errors and phonemes of each word, added up over runs."""
    return [[sum(counts) for counts in zip(*of_word)] for of_word in zip(*runs)]


def some(split: str) -> list[Pronunciation]:
    """ASKED words of a split, drawn once."""
    return random.Random(split).sample(pronunciations(split), ASKED)


def run(way: str, seconds: float, rate: float, seed: int, split: str) -> dict:
    """One model, trained and judged."""
    torch.manual_seed(seed)
    model = build(way)
    updates = train(model, way, pronunciations("train"), seconds, rate, seed)
    result = dict(way=way, rate=rate, seed=seed, seconds=seconds, updates=updates, parameters=model.num_parameters())
    found = errors(model, way, some(split))
    if split == "choose":
        found.pop("each")
    return result | found


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment(
        "pronunciation",
        script=__file__,
        modules=["llmlib.data.pronunciations", "llmlib.model.encoder_decoder", "llmlib.train.muon"],
        seeds=SEEDS,
    )
    tried, runs = [], []
    for way in WAYS:
        for rate in RATES:
            tried.append(experiment.once(f"{way}, rate {rate}", run, way, TRIED, rate, 0, "choose"))
            print(tried[-1], flush=True)
        rate = min(RATES, key=lambda r: next(t["phoneme_errors"] for t in tried if (t["way"], t["rate"]) == (way, r)))
        for seed in SEEDS:
            runs.append(experiment.once(f"{way}, seed {seed}", run, way, SECONDS, rate, seed, "report"))
            print({k: v for k, v in runs[-1].items() if k != "each"}, flush=True)
    each = {way: summed([run["each"] for run in runs if run["way"] == way]) for way in WAYS}
    shown = [{key: value for key, value in run.items() if key != "each"} for run in runs]
    experiment.save({"asked": ASKED, "tried": tried, "runs": shown, "each": each})


if __name__ == "__main__":
    main()
