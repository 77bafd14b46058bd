"""Record how the course's base models improve under sharp and smooth measures of the same predictions, for lecture 09.

    python experiments/emergence.py

Nine models, five of them checkpoints on the way of the smallest, in the order of their training compute. On documents
that none was trained on: nats per token, the share of tokens that the model would have written, and the share of places
from which greedy writing gives the next 1, 2, 4 and 8 tokens, or characters, exactly (Wei et al., 2022, measure like
that). Were the places independent, k tokens would be right with the k-th power of one token's accuracy: how much of the
sharp curve is that arithmetic (Schaeffer et al., 2023), and could the largest models' scores have been told from the
small ones? Intervals from resampled documents. Four minutes of one free core.
"""

import argparse
import hashlib

import numpy as np
import torch

from llmlib.data import Experiment, prose, recorded
from llmlib.hub import load_base
from llmlib.infer import generate

SOURCES = ("wikipedia", "wikipedia-sections", "wikipedia-articles", "tales", "novels")
CHECKPOINTS = (64, 128, 256, 512, 1024)
MODELS = [("0.3m", updates) for updates in CHECKPOINTS] + [(size, None) for size in ("0.3m", "1m", "3m", "5m")]
LENGTHS, CONTEXT, PLACES, TIMES = (1, 2, 4, 8), 256, 2, 1000
SMALL = 6  # the first models, all of 0.3 million parameters, from which the others are predicted


def documents() -> list[str]:
    """The report documents of the base models, by their hashes."""
    texts = {hashlib.sha256(d.text.encode()).hexdigest()[:12]: d.text for d in prose(*SOURCES)}
    return [texts[digest] for digest in recorded("base_models")["results"]["report_documents"]]


@torch.no_grad()
def measure(size: str, updates: int | None) -> dict:
    """Sums for each document: number of places, and what is summed over them, for each measure."""
    model, tokenizer = load_base(size, updates=updates, device="cpu")
    end = tokenizer.special_tokens["<|endoftext|>"]
    sums: dict[str, list] = {}
    prompts, truths, rng = [], [], np.random.default_rng(0)
    texts = documents()
    for text in texts:
        ids = torch.tensor([end, *tokenizer.encode(text)][:CONTEXT])
        logp = model(ids[None, :-1])[0].log_softmax(-1)
        right = (logp.argmax(-1) == ids[1:]).double()
        own = logp[torch.arange(len(ids) - 1), ids[1:]].double()
        add = lambda name, values: sums.setdefault(name, []).append([len(values), float(f"{values.sum():.7g}")])
        add("nats", -own)
        for k in LENGTHS:
            add(f"exact {k}", right.unfold(0, k, 1).prod(-1))
            add(f"probability {k}", own.unfold(0, k, 1).sum(-1).exp())
        for start in sorted(rng.integers(8, max(9, len(ids) - 10), PLACES)):
            prompts.append(ids[:start].tolist())
            truths.append(tokenizer.decode(ids[start : start + 12].tolist())[: max(LENGTHS)])
    written: list[str] = [""] * len(prompts)
    for batch in np.array_split(np.argsort([len(p) for p in prompts], kind="stable"), 32):
        answers = generate(model, [prompts[i] for i in batch], max_new_tokens=max(LENGTHS), greedy=True)
        for i, answer in zip(batch, answers):
            written[i] = tokenizer.decode(answer)
    for k in LENGTHS:
        hits = [a[:k] == b[:k] for a, b in zip(written, truths)]
        sums[f"characters {k}"] = [[PLACES, sum(hits[i : i + PLACES])] for i in range(0, len(hits), PLACES)]
    total = {name: round(sum(s for _, s in rows) / sum(n for n, _ in rows), 4) for name, rows in sums.items()}
    print(size, updates, total, flush=True)
    return sums


class Ladder:
    """All models' measures, on all documents or on a resample of them."""

    def __init__(self, kept: list[dict], compute: np.ndarray):
        self.compute, self.names = compute, list(kept[0])
        self.counts = {n: np.array([[c for c, _ in sums[n]] for sums in kept], float) for n in self.names}
        self.sums = {n: np.array([[s for _, s in sums[n]] for sums in kept], float) for n in self.names}
        self.documents = self.counts["nats"].shape[1]

    def values(self, weight: np.ndarray) -> dict[str, np.ndarray]:
        """Each measure of each model; weight: how often each document counts. With what follows from the measures."""
        found = {n: self.sums[n] @ weight / (self.counts[n] @ weight) for n in self.names}
        p, x = found["exact 1"], np.log(self.compute)
        for k in LENGTHS[1:]:
            exact = found[f"exact {k}"]
            found[f"ratio {k}"] = exact / p**k  # above 1: right tokens keep company
            rise = np.log(np.maximum(exact[[0, -1]], 0.5 / self.counts[f"exact {k}"][0].sum()))
            found[f"explained {k}"] = np.atleast_1d(k * np.log(p[-1] / p[0]) / max(1e-9, rise[1] - rise[0]))
            small = slice(0, SMALL)
            line = np.polyval(np.polyfit(x[small], exact[small], 1), x[SMALL:])
            power = np.exp(np.polyval(np.polyfit(x[small], np.log(p[small]), 1), x[SMALL:])) ** k
            found[f"by line {k}"] = line
            found[f"by power {k}"] = found[f"ratio {k}"][SMALL - 1] * power
        for name in self.names:
            found[f"sharpness {name}"] = np.atleast_1d(sharpness(found[name]))
        return found


def sharpness(values: np.ndarray) -> float:
    """The breakthroughness of BIG-bench (Srivastava et al., 2022): the whole rise over the size of a typical step.

    A step counts as one in 100,000 at least, about one place of all.
    """
    steps = np.diff(values)
    sign = np.sign(int(values.argmax()) - int(values.argmin()))
    return float(sign * np.ptp(values) / max(1e-5, np.sqrt(np.median(steps**2))))


def three(value: float, low: float, high: float) -> list[float]:
    return [float(f"{v:.3g}") for v in (value, low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    parser.parse_args()
    torch.set_num_threads(1)
    sizes = recorded("base_models")["results"]["sizes"]
    modules = ["llmlib.model.transformer", "llmlib.hub.base", "llmlib.infer.generation"]
    experiment = Experiment("emergence", script=__file__, modules=modules, seeds=(0,))
    kept = [experiment.once(f"{size}, {updates}", measure, size, updates) for size, updates in MODELS]
    updates = [u or sizes[s]["updates"] for s, u in MODELS]
    compute = np.array([6.0 * sizes[s]["parameters"] * 4096 * u for (s, _), u in zip(MODELS, updates)])
    ladder, rng = Ladder(kept, compute), np.random.default_rng(0)
    all_ = ladder.values(np.ones(ladder.documents))
    draws = [
        ladder.values(np.bincount(rng.integers(0, ladder.documents, ladder.documents), minlength=ladder.documents))
        for _ in range(TIMES)
    ]
    low, high = ({n: np.quantile([d[n] for d in draws], q, axis=0) for n in all_} for q in (0.025, 0.975))
    measures = {n: [three(*row) for row in zip(all_[n], low[n], high[n])] for n in all_}
    models = [
        dict(size=s, updates=u, parameters=sizes[s]["parameters"], compute=float(f"{c:.4g}"))
        for (s, _), u, c in zip(MODELS, updates, compute)
    ]
    places = {n: int(ladder.counts[n][0].sum()) for n in ("exact 1", "exact 8", "characters 1")}
    experiment.save(dict(models=models, documents=ladder.documents, places=places, lengths=LENGTHS, measures=measures))


if __name__ == "__main__":
    main()
