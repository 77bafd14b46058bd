"""Ship the base models whose runs have ended and measure them: `python experiments/base_models_report.py`.

Run experiments/base_models.py before. Each size is rounded to bf16, written to llmlib/recorded/ and then measured as it
was written, in fp32, on documents that no size was trained on, and so is the best n-gram model of lecture 01's kind,
counted on the same training documents. It takes about ten minutes on one core and 3 GB, goes on where it was
interrupted, and may be run again when a further size is there: of a size that was shipped before and whose run is gone
the weights are measured again, and what only the run could tell is kept.
"""

import argparse
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from base_models import SIZES, SPECIAL, prepare

from llmlib.data import Experiment, recorded, recorded_names
from llmlib.data.recordings import FOLDER, SAME, difference
from llmlib.data.shards import TokenShards
from llmlib.hub import base_sizes, load_base
from llmlib.hub.base import VOCABULARY, checkpoint_file
from llmlib.hub.packaged import save_packaged
from llmlib.model import Transformer, count_parameters
from llmlib.text import BPETokenizer, NGramModel
from llmlib.train import Checkpoint, TrainConfig, bits_per_byte, document_nats, load_checkpoint

FIRST_CHECKPOINT, EVERY, CURVE = 64, 4, 60  # checkpoints are measured on every fourth of the choose documents
ORDERS = {"tokens": range(4, 7), "bytes": range(10, 11)}
DISCOUNTS = {"witten_bell": (0.75,), "kneser_ney": (0.9, 0.95, 0.98)}  # the first has no use for any
LICENCE = dict(
    licence="CC BY-SA 4.0",
    attribution="Trained on text by the authors of Wikipedia, as collected in BoolQ (Clark et al., 2019; CC BY-SA 3.0),"
    " QuAC (Choi et al., 2018; CC BY-SA 4.0) and LLaMA-Factory (CC BY-SA 4.0), and on tales and novels in the public"
    " domain. Next Token's DATA.md names them all.",
)


def finished(folder: Path, seed: int) -> dict[str, Checkpoint]:
    """The last checkpoints of the runs that came to their end, smallest size first."""
    paths = {size: folder / f"{size}-seed{seed}.safetensors" for size in SIZES}
    runs = {size: load_checkpoint(path) for size, path in paths.items() if path.exists()}
    return {size: run for size, run in runs.items() if run.step == run.state["config"]["steps"]}


def ship(model: Transformer, tokenizer: BPETokenizer, path: Path) -> None:
    """Write the weights in bf16, and the ladder's one vocabulary if it is not there."""
    if not VOCABULARY.exists():
        tokenizer.save(VOCABULARY)
    kept = BPETokenizer.load(VOCABULARY)
    if (kept.ranks, kept.special_tokens) != (tokenizer.ranks, tokenizer.special_tokens):
        raise ValueError(f"{path.name} was trained with another tokenizer than {VOCABULARY.name}: train all sizes anew")
    save_packaged(model, path, torch.bfloat16, **LICENCE)


def facts(run: Checkpoint, epoch: int) -> dict:
    """How a model was trained: the run's own numbers, its losses as means of some 60 stretches of updates."""
    config, history = TrainConfig(**run.state["config"]), run.state["history"]
    stretches = np.array_split(np.arange(run.step), min(CURVE, run.step))
    curve = [[int(s[-1]) + 1, round(float(np.mean(history["train_loss"][s[0] : s[-1] + 1])), 4)] for s in stretches]
    tokens = run.step * config.tokens_per_step * len(run.state["processes"])
    return dict(
        parameters=count_parameters(run.model), tokens=tokens, epochs=round(tokens / epoch, 3), updates=run.step,
        seconds=round(history["seconds"][-1]), train_loss=curve,
    )  # fmt: skip


def measure(model: Transformer, tokenizer: BPETokenizer, texts: list[str]) -> list[float]:
    """Nats of each document."""
    ids = [tokenizer.encode(text) for text in texts]
    return [round(nats, 3) for nats in document_nats(model, ids, tokenizer.special_tokens[SPECIAL[0]])]


def measure_shipped(size: str, texts: dict[str, list[str]]) -> dict[str, list[float]]:
    model, tokenizer = load_base(size, device="cpu")
    return {name: measure(model, tokenizer, texts[name]) for name in ("choose", "report")}


def measure_checkpoint(path: Path, texts: list[str]) -> list[float]:
    checkpoint = load_checkpoint(path)
    for weight in checkpoint.model.parameters():
        weight.data = weight.data.bfloat16().float()  # as if it were shipped
    return measure(checkpoint.model, checkpoint.tokenizer, texts)


def best_ngram(units: str, tokenizer: BPETokenizer, shards: TokenShards, texts: dict[str, list[str]]) -> dict:
    """All orders, smoothings and discounts on the choose documents; the best of them on the report documents.

    As for the Transformers, a document begins behind an end-of-text token, and its own tokens are what is predicted.
    """
    stream = shards[0 : len(shards)].numpy()
    train = [document[:-1] for document in np.split(stream, np.flatnonzero(stream == shards.end) + 1)[:-1]]
    if units == "bytes":
        vocab_size, end = 257, 256
        train = [np.frombuffer(tokenizer.decode_bytes(document.tolist()), np.uint8) for document in train]
        held_out = {name: [list(text.encode()) for text in texts[name]] for name in texts}
    else:
        vocab_size, end = tokenizer.vocab_size, shards.end
        held_out = {name: [tokenizer.encode(text) for text in texts[name]] for name in texts}
    train = [np.concatenate([[end], document]) for document in train]
    held_out = {name: [np.array([end, *document]) for document in held_out[name]] for name in texts}

    def nats(model: NGramModel, name: str) -> list[float]:
        firsts = np.cumsum([0, *map(len, held_out[name][:-1])])
        logprob = model.logprob(held_out[name])
        logprob[firsts] = 0
        return [round(float(value), 3) for value in -np.add.reduceat(logprob, firsts)]

    tried, best = [], None
    for order in ORDERS[units]:
        for smoothing, discounts in DISCOUNTS.items():
            model = NGramModel(order, smoothing, vocab_size=vocab_size).fit(train)
            for discount in discounts:
                model.discount = discount
                row = dict(units=units, order=order, smoothing=smoothing, discount=discount)
                chosen = nats(model, "choose")
                tried.append(row | dict(choose=score(chosen, texts["choose"])[0]))
                if best is None or sum(chosen) < sum(best["choose"]):
                    best = row | dict(choose=chosen, report=nats(model, "report"))
            print(tried[-1], flush=True)
    return dict(tried=tried, best=best)


def score(nats: list[float], texts: list[str]) -> list[float]:
    """Bits per byte, and from where to where 95 % of resampled documents lie. Also of differences of nats."""
    return [round(value, 4) for value in bits_per_byte(nats, list(map(n_bytes, texts)))]


def n_bytes(text: str) -> int:
    return len(text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/base"), help="where base_models.py left its runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--intermediate", nargs="*", default=[], metavar="SIZE:UPDATES", help="checkpoints to ship too")
    parser.add_argument("--confirm", action="store_true", help="only compare with what is recorded")
    args = parser.parse_args()
    tokenizer, shards = prepare(args.folder)
    texts = {n: json.loads((args.folder / f"{n}.json").read_text(encoding="utf-8")) for n in ("choose", "report")}
    runs = finished(args.folder, args.seed)
    known = recorded("base_models")["results"]["sizes"] if "base_models" in recorded_names() else {}
    shipped = base_sizes()
    if not args.confirm:
        for size in shipped or [*runs, *SIZES][:1]:
            if size not in runs and not (size in shipped and size in known):
                parser.error(f"{args.folder} holds no run of {size} that has ended: run base_models.py --size {size}")
        for size, run in runs.items():
            ship(run.model, run.tokenizer, FOLDER / f"base_{size}.safetensors")
        for size, updates in (name.split(":") for name in args.intermediate):
            kept = load_checkpoint(args.folder / f"{size}-seed{args.seed}-{int(updates):08}")
            ship(kept.model, kept.tokenizer, checkpoint_file(size, int(updates)))
    experiment = Experiment(
        "base_models",
        script=__file__,
        modules=[
            "llmlib.train.bits_per_byte",
            "llmlib.text.ngram",
            "llmlib.text.ngram_counts",
            "llmlib.text.smoothing",
        ],
        seeds=(args.seed,),
    )

    def ngrams(units: str) -> dict:
        return experiment.once(f"n-grams of {units}", best_ngram, units, tokenizer, shards, texts)

    found, nats = [ngrams("tokens")], {}
    for size in base_sizes():
        nats[size] = experiment.once(size, measure_shipped, size, texts)
        print(size, *(f"{name}: {score(nats[size][name], texts[name])}" for name in texts), flush=True)
    found.append(ngrams("bytes"))  # not earlier: the first two parts are what --confirm does again
    best = min((each["best"] for each in found), key=lambda each: sum(each["choose"]))

    part, sizes = texts["choose"][::EVERY], {}
    for size in base_sizes():
        if size not in runs:
            sizes[size] = known[size] | dict(report_nats=nats[size]["report"])
            if difference(known[size]["report_nats"], nats[size]["report"]) > SAME:
                raise SystemExit(f"base_{size}.safetensors is not what was recorded and its run is gone: train it anew")
            continue
        run, curve = runs[size], []
        for path in sorted(args.folder.glob(f"{size}-seed{args.seed}-*.safetensors")):
            updates = int(path.stem.rpartition("-")[2])
            if FIRST_CHECKPOINT <= updates < run.step:
                after = experiment.once(f"{size} after {updates} updates", measure_checkpoint, path, part)
                curve.append([updates, *score(after, part)])
        curve.append([run.step, *score(nats[size]["choose"][::EVERY], part)])
        scores = {name: score(nats[size][name], texts[name]) for name in texts}
        sizes[size] = facts(run, len(shards)) | scores | dict(checkpoints=curve, report_nats=nats[size]["report"])

    def beyond(one: dict, other: dict) -> list[float]:
        return score(np.subtract(one["report"], other["report"]), texts["report"])

    results = dict(
        documents={name: dict(number=len(t), bytes=sum(map(n_bytes, t))) for name, t in texts.items()},
        checkpoints_on=f"one in {EVERY} of the choose documents: {len(part)}",
        report_documents=[hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts["report"]],
        report_bytes=[n_bytes(text) for text in texts["report"]],
        sizes=sizes,
        ngram=best | {name: score(best[name], texts[name]) for name in texts} | dict(report_nats=best["report"]),
        ngrams_tried=[row for each in found for row in each["tried"]],
        differences=[[large, small, *beyond(nats[large], nats[small])] for small, large in pairwise(nats)],
        beyond_ngram={size: beyond(nats[size], best) for size in nats},
    )
    experiment.save(results)
    weights = sum(path.stat().st_size for path in FOLDER.glob("base_*.safetensors"))
    print({name: results[name] for name in ("differences", "beyond_ngram")})
    print(f"{weights / 1e6:.2f} MB of weights; 25 MB is the limit")


if __name__ == "__main__":
    main()
