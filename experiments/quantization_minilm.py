"""Record what fewer bits cost a published encoder, MiniLM: layers' outputs, sentence vectors, retrieval (lecture 15).

    OMP_NUM_THREADS=1 python experiments/quantization_minilm.py

240 passages of Wikipedia without their titles, cut to 40 tokens, and for 160 of them a question that people asked about
it. Calibrated on 64 other passages, three draws at 4 and 3 bits. Errors of layers are measured on a third set of
passages, which calibrated nothing. Some six minutes of one core.
"""

import json
from functools import lru_cache

import torch
from quantization_data import CODE, DRAWS

from llmlib.adapt import InputStatistics, calibrate, output_error, quantize_model
from llmlib.data import Experiment, bootstrap_interval, fetch
from llmlib.hub import embed_texts, load_minilm

ASKED, PASSAGES, CALIBRATED, LENGTH, GROUP = 160, 240, 64, 40, 32
AMOUNTS = (4, 16, 256)  # passages to calibrate on, at 3 bits
SETTINGS = [  # method, bits, draws
    ("q8_0", 8, (0,)),
    ("nf4", 4, (0,)),
    ("q4_1", 4, (0,)),
    *[(method, bits, (0,)) for bits in (4, 3, 2) for method in ("absmax", "rtn")],
    *[(method, bits, DRAWS) for bits in (4, 3) for method in ("awq", "gptq")],
    *[(method, 2, (0,)) for method in ("awq", "gptq")],
]


@lru_cache
def pairs() -> list[tuple[str, str]]:
    """(question, passage), each passage once, in an order of its own."""
    seen, found = set(), []
    for line in fetch("boolq").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["passage"] not in seen:
            seen.add(row["passage"])
            found.append((row["question"], row["passage"].partition(" -- ")[2] or row["passage"]))
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0)).tolist()
    return [found[i] for i in order]


@lru_cache
def batches(draw: int, amount: int = CALIBRATED) -> list[dict]:
    """Passages to calibrate on, cut to 128 tokens, others for each draw; -1: those that errors are measured on."""
    _, tokenizer = load_minilm("cpu")
    start = PASSAGES + max(AMOUNTS) * (draw + 1)
    texts = sorted((passage for _, passage in pairs()[start : start + amount]), key=len)
    made = []
    for start in range(0, amount, 16):
        ids, pad_mask = tokenizer.encode_batch(texts[start : start + 16], 128)
        made.append({"ids": ids, "pad_mask": pad_mask})
    return made


def linears(model: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    found = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    return {name: part for name, part in found.items() if name.startswith("blocks.")}


@lru_cache
def inputs() -> dict[str, InputStatistics]:
    """What the layers of the model as it is read, in passages that nothing is calibrated on."""
    model, _ = load_minilm("cpu")
    return calibrate(model, batches(-1), list(linears(model)))


def vectors_of(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    _, tokenizer = load_minilm("cpu")
    questions, texts = zip(*pairs()[:PASSAGES])
    embed = lambda each: embed_texts(model, tokenizer, list(each), max_length=LENGTH)
    return embed(questions[:ASKED]), embed(texts)


@lru_cache
def vectors_before() -> tuple[torch.Tensor, torch.Tensor]:
    return vectors_of(load_minilm("cpu")[0])


def judge(questions: torch.Tensor, texts: torch.Tensor) -> dict:
    """How far the vectors have moved, and how often a question finds its passage first, with a 95 % interval."""
    moved = 1 - torch.cat([(a * b).sum(1) for a, b in zip((questions, texts), vectors_before())])
    first = ((questions @ texts.T).argmax(1) == torch.arange(ASKED)).float()
    interval = bootstrap_interval(lambda each: float(each.mean()), first.numpy())
    return {
        "moved": float(f"{moved.mean():.4g}"), "recall": round(float(first.mean()), 4),
        "interval": [round(end, 4) for end in interval], "found": [int(each) for each in first],
    }  # fmt: skip


def quantized(method: str, bits: int, draw: int, amount: int = CALIBRATED) -> tuple[torch.nn.Module, dict]:
    """A model, and the mean error of its layers: on passages that calibrated nothing, and on those that did."""
    model, _ = load_minilm("cpu")
    before = {name: part.weight.detach().clone() for name, part in linears(model).items()}
    group_size = None if method in ("q8_0", "q4_1") else GROUP
    looks = {"calibration": batches(draw, amount)} if method in ("awq", "gptq") else {}
    report = quantize_model(model, method, bits=bits, group_size=group_size, form="simulated", **looks)
    after = {name: part.weight.detach() for name, part in linears(model).items()}
    errors = [output_error(weight, after[name], inputs()[name].second_moment) for name, weight in before.items()]
    return model, {
        "method": method, "bits": bits, "draw": draw, "bits_per_weight": round(report.bits_per_weight, 4),
        "error": float(f"{sum(errors) / len(errors):.4g}"),
        "error on its own": float(f"{report.output_error:.4g}") if looks else None,
    }  # fmt: skip


def measure(method: str, bits: int, draw: int) -> dict:
    model, facts = quantized(method, bits, draw)
    return facts | judge(*vectors_of(model))


def by_amount(method: str, amount: int, draw: int) -> dict:
    return {"amount": amount} | quantized(method, 3, draw, amount)[1]


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("quantization_minilm", script=__file__, modules=CODE, seeds=DRAWS)
    full = experiment.once("full", lambda: judge(*vectors_before()))
    runs = []
    for method, bits, draws in SETTINGS:
        for draw in draws:
            runs.append(experiment.once(f"{method} {bits} {draw}", measure, method, bits, draw))
            print({key: value for key, value in runs[-1].items() if key != "found"}, flush=True)
    amounts = []
    for amount in AMOUNTS:
        amounts.append(experiment.once(f"from {amount}", by_amount, "gptq", amount, 0))
        print(amounts[-1], flush=True)
    experiment.save(dict(full=full, questions=ASKED, passages=PASSAGES, runs=runs, amounts=amounts))


if __name__ == "__main__":
    main()
