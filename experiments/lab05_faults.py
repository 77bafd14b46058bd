"""Record a correct encoder-decoder that pronounces words and faulty ones, one of which lab 05 gives to a student.

Words of four to seven letters of the CMU dictionary are read by a small encoder, and a small decoder writes their
phonemes; 45,000 parameters, 800 updates. One thing is wrong in each faulty run. What is measured afterwards, on
held-out words: the loss with the right phonemes given, the errors of what is written greedily, and by how much a
prediction moves when one thing is exchanged in what the model reads (half the sum of the absolute changes of its
probabilities, between 0 and 1). Three seeds: a student sees the first, and a test holds every observation to all of
them. Run it with `OMP_NUM_THREADS=1 python experiments/lab05_faults.py`; some ten minutes of one core.
"""

import functools
import random
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib.data import Experiment, Pronunciation, edit_distance, pronunciations

FAULTS = {
    "A": "the decoder looks both ways",
    "B": "the cross-attention takes its keys and values from the decoder",
    "C": "the pads behind a word are not masked",
    "D": "the encoder looks to the left only",
    "E": "the decoder reads the phoneme that it is to write: its input is not shifted",
    "F": "the loss counts the places behind the stop",
    "G": "the stop is not among the targets",
    "H": "the encoder has no positions",
    "I": "words and pronunciations are paired at random",
    "J": "the encoder's states are detached from the graph",
}
RUNS = dict(zip(("a6", "d1", "f9", "h3", "k7", "m2", "p5", "q8", "t0", "v4"), "HBEGAJCIFD", strict=True))
SEEDS, UPDATES, ROWS, WIDTH, LOGGED = (0, 1, 2), 800, 64, 8, 20
PHONEMES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
).split()
PAD, START, STOP = 0, 1, 2
LETTER = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyz", 1)}
PHONEME = {p: i for i, p in enumerate(PHONEMES, 3)}


class Attention(nn.Module):
    """Heads of queries from one text, keys and values from another or the same."""

    def __init__(self, d: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))

    def forward(self, x: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        split = lambda y: y.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        out = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(states)), split(self.v(states)), mask)
        return self.o(out.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, d: int, n_heads: int, cross: bool):
        super().__init__()
        self.attention, self.norm = Attention(d, n_heads), nn.LayerNorm(d)
        if cross:
            self.cross, self.norm_cross = Attention(d, n_heads), nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.GELU(), nn.Linear(3 * d, d))

    def forward(self, x: Tensor, mask: Tensor, states: Tensor | None = None, real: Tensor | None = None) -> Tensor:
        y = self.norm(x)
        x = x + self.attention(y, y, mask)
        if real is not None:
            y = self.norm_cross(x)
            x = x + self.cross(y, y if states is None else states, real)
        return x + self.mlp(x)


class Pronouncer(nn.Module):
    """(B, S) letters and (B, T) phonemes so far -> (B, T, vocabulary) logits, with one fault or none."""

    def __init__(self, fault: str, d: int = 40, n_heads: int = 4):
        super().__init__()
        self.fault = fault
        self.letters, self.places = nn.Embedding(27, d, padding_idx=PAD), nn.Embedding(WIDTH + 4, d)
        self.reader, self.reader_norm = Layer(d, n_heads, cross=False), nn.LayerNorm(d)
        self.phonemes, self.steps = nn.Embedding(3 + len(PHONEMES), d), nn.Embedding(WIDTH, d)
        self.writer, self.writer_norm = Layer(d, n_heads, cross=True), nn.LayerNorm(d)
        self.head = nn.Linear(d, 3 + len(PHONEMES))

    def encode(self, source: Tensor) -> Tensor:
        S = source.shape[1]
        x = self.letters(source)
        if self.fault != "H":
            x = x + self.places.weight[:S]
        mask = self.real(source)
        if self.fault == "D":
            mask = mask & torch.ones(S, S, dtype=torch.bool).tril()
        return self.reader_norm(self.reader(x, mask))

    def real(self, source: Tensor) -> Tensor:
        real = (source != PAD)[:, None, None]
        return torch.ones_like(real) if self.fault == "C" else real

    def forward(self, source: Tensor, ids: Tensor) -> Tensor:
        T = ids.shape[1]
        states = self.encode(source)
        if self.fault == "J":
            states = states.detach()
        x = self.phonemes(ids) + self.steps.weight[:T]
        earlier = torch.ones(T, T, dtype=torch.bool)
        earlier = earlier if self.fault == "A" else earlier.tril()
        if self.fault == "B":  # both texts are WIDTH wide, so that nothing complains
            return self.head(self.writer_norm(self.writer(x, earlier, None, self.real(source)[..., :T])))
        return self.head(self.writer_norm(self.writer(x, earlier, states, self.real(source))))

    def read(self, source: Tensor, said: Tensor) -> Tensor:
        """Logits about said (B, T), phonemes and a stop, each place given those before it."""
        return self(source, said if self.fault == "E" else shifted(said))


def shifted(said: Tensor) -> Tensor:
    return torch.cat([torch.full_like(said[:, :1], START), said[:, :-1]], 1)


@functools.cache
def words(split: str) -> tuple[Tensor, Tensor]:
    """(N, WIDTH) letters and (N, WIDTH) phonemes with a stop, 0 behind both."""
    rows: list[Pronunciation] = [
        w for w in pronunciations(split) if 4 <= len(w.word) <= 7 and 4 <= len(w.spoken[0]) <= WIDTH - 1
    ]
    random.Random(split).shuffle(rows)
    rows = rows[: 500 if split != "train" else None]
    letters = [[LETTER[c] for c in w.word] for w in rows]
    said = [[*(PHONEME[p] for p in w.spoken[0]), STOP] for w in rows]
    full = lambda texts: torch.tensor([[*t, *[PAD] * (WIDTH - len(t))] for t in texts])
    return full(letters), full(said)


def loss_of(logits: Tensor, said: Tensor, fault: str = "") -> Tensor:
    real = said != PAD
    if fault == "F":
        real = torch.ones_like(real)
    elif fault == "G":
        real = real & (said != STOP)
    return F.cross_entropy(logits[real], said[real])


def train(model: Pronouncer, seed: int) -> list[float]:
    """The loss as the programme logs it, the mean of each LOGGED updates."""
    letters, said = words("train")
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0, betas=(0.9, 0.98))
    losses = []
    for update in range(UPDATES):
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1, (update + 1) / 50, 1.02 - update / UPDATES)
        chosen = torch.randint(len(letters), (ROWS,), generator=draw)
        other = chosen[torch.randperm(ROWS, generator=draw)] if model.fault == "I" else chosen
        loss = loss_of(model.read(letters[chosen], said[other]), said[other], model.fault)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [mean(losses[i : i + LOGGED]) for i in range(0, UPDATES, LOGGED)]


@torch.inference_mode()
def written(model: Pronouncer, source: Tensor) -> Tensor:
    """(B, WIDTH) greedily, one after the other; what stands behind a stop does not count."""
    ids = torch.full((len(source), WIDTH + 1), PAD)
    ids[:, 0] = START
    for t in range(WIDTH):
        ids[:, t + 1] = model(source, ids[:, :WIDTH])[:, t].argmax(-1)
    return ids[:, 1:]


def until_stop(row: list[int]) -> list[int]:
    return row[: row.index(STOP)] if STOP in row else row


@torch.inference_mode()
def moves(model: Pronouncer, seed: int) -> dict[str, float]:
    """By how much a prediction moves, on average over held-out words, when one thing is exchanged."""
    letters, said = words("report")
    draw = random.Random(seed)
    rows = torch.arange(len(letters))
    lengths, n = (letters != PAD).sum(1).tolist(), (said != PAD).sum(1).tolist()
    at = torch.tensor([draw.randrange(2, k - 2) for k in n])  # its input is a phoneme there, before and behind
    ids = said if model.fault == "E" else shifted(said)
    before = model(letters, ids).softmax(-1)[rows, at]

    def moved(source: Tensor, ids: Tensor) -> float:
        after = model(source, ids).softmax(-1)[rows, at]
        return (after - before).abs().sum(-1).mean().item() / 2

    def phoneme(place: Tensor) -> Tensor:
        other = ids.clone()
        other[rows, place] = 3 + (other[rows, place] - 3 + torch.tensor([draw.randrange(1, 39) for _ in n])) % 39
        return other

    def letter(place: list[int]) -> Tensor:
        other = letters.clone()
        other[rows, place] = 1 + (other[rows, place] - 1 + torch.tensor([draw.randrange(1, 26) for _ in n])) % 26
        return other

    swapped = letters.clone()
    for row, length in enumerate(lengths):
        places = [i for i in range(length - 1) if letters[row, i] != letters[row, i + 1]]
        if places:
            i = draw.choice(places)
            swapped[row, [i, i + 1]] = letters[row, [i + 1, i]]
    first = model.encode(letters)[:, 0]
    last = model.encode(letter([k - 1 for k in lengths]))[:, 0]
    apart = ((last - first).norm(dim=-1) / first.norm(dim=-1)).mean()
    return {
        "moved by the decoder's input one place before": moved(letters, phoneme(at - 1)),
        "moved by the decoder's input at this place": moved(letters, phoneme(at)),
        "moved by the decoder's input one place behind": moved(letters, phoneme(at + 1)),
        "moved by a letter of the word": moved(letter([draw.randrange(k) for k in lengths]), ids),
        "moved by two letters that change places": moved(swapped, ids),
        "moved by four more pads behind the word": moved(F.pad(letters, (0, 4)), ids),
        "first state of the encoder, moved by the last letter": apart.item(),
    }


def run(fault: str, seed: int) -> dict:
    """The log of a run."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = Pronouncer(fault)
    start = torch.cat([p.detach().flatten().clone() for p in model.reader.parameters()])
    losses = train(model, seed)
    end = torch.cat([p.detach().flatten() for p in model.reader.parameters()])
    letters, said = words("report")
    with torch.inference_mode():
        held_out = loss_of(model.read(letters, said), said).item()
    out = [until_stop(row) for row in written(model, letters).tolist()]
    right = [until_stop(row) for row in said.tolist()]
    errors = sum(edit_distance(a, b) for a, b in zip(out, right)) / sum(map(len, right))
    numbers = {
        "loss as logged, last 100 updates": mean(losses[-100 // LOGGED :]),
        "loss on held-out words, phonemes and stop": held_out,
        "phoneme errors of what is written, percent": 100 * errors,
        "written words that stop, percent": 100 * mean(len(row) < WIDTH for row in out),
        "change of the encoder's weights, percent": 100 * ((end - start).norm() / start.norm()).item(),
        **moves(model, seed),
    }
    return {
        "updates": list(range(LOGGED, UPDATES + 1, LOGGED)),
        "loss": [float(f"{loss:.3g}") for loss in losses],
        **{name: float(f"{round(value, 4):.3g}") for name, value in numbers.items()},
    }


def main() -> None:
    experiment = Experiment(
        "lab05_faults", script=__file__, seeds=SEEDS, modules=["llmlib.data.pronunciations"],
    )  # fmt: skip
    runs: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, fault in {"correct": "", **RUNS}.items():
            runs.setdefault(name, []).append(experiment.once(f"{fault or 'correct'} {seed}", run, fault, seed))
            print(name, fault, seed, {k: v for k, v in runs[name][-1].items() if not isinstance(v, list)}, flush=True)
    again = {
        name: [{what: value for what, value in log.items() if not isinstance(value, list)} for log in logs[1:]]
        for name, logs in runs.items()
    }
    experiment.save({name: logs[0] | {"other seeds": again[name]} for name, logs in runs.items()})


if __name__ == "__main__":
    main()
