"""Record what fewer bits cost the course's own base models, in perplexity, for every method: for lecture 15.

    OMP_NUM_THREADS=1 python experiments/quantization_bases.py

The 5m model: all methods at 8 to 2 bits in groups of 32, those that look at inputs with three calibration texts; group
sizes; the head too. All four sizes in groups of 16, which divide every width. Judged on 60 held-out documents. Some
seven minutes of one core.
"""

import torch
from quantization_data import CODE, DRAWS, base, calibration_rows, costs, nats_before, nats_of

from llmlib.adapt import quantize_model
from llmlib.data import Experiment
from llmlib.hub import base_sizes

BIG = "5m"
SETTINGS = [  # method, bits, draws
    *[(method, 8, (0,)) for method in ("absmax", "rtn", "q8_0", "awq", "gptq")],
    ("nf4", 4, (0,)),
    ("q4_1", 4, (0,)),
    *[(method, bits, (0,)) for bits in (4, 3, 2) for method in ("absmax", "rtn")],
    *[(method, bits, DRAWS) for bits in (4, 3, 2) for method in ("awq", "gptq")],
    *[(method, 5, (0,)) for method in ("rtn", "gptq")],
]
GROUPS = (8, 16, 32, "channel", "tensor")


def measure(size: str, method: str, bits: int, draw: int, group_size=None, head: int | None = None) -> dict:
    """Quantize a fresh model and judge it."""
    model, tokenizer = base(size)
    before, tokens = nats_before(size)
    whole = sum(p.numel() for p in model.parameters())
    report = quantize_model(
        model, method, bits=bits, group_size=group_size, calibration=calibration_rows(tokenizer, draw), head=head,
        form="simulated",
    )  # fmt: skip
    after, _ = nats_of(model, tokenizer)
    return {
        "size": size, "method": method, "bits": bits, "draw": draw, "group_size": report.group_size, "head": head,
        "bits_per_weight": round(report.bits_per_weight, 4), "nbytes": report.nbytes,
        "weights": sum(layer.shape[0] * layer.shape[1] for layer in report.layers), "parameters": whole,
        "output_error": float(f"{report.output_error:.4g}"), **costs(before, after, tokens),
    }  # fmt: skip


def unquantized(size: str) -> dict:
    nats, tokens = nats_before(size)
    return {"size": size, "documents": len(tokens), "tokens": int(tokens.sum()), **costs(nats, nats, tokens)}


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("quantization_bases", script=__file__, modules=CODE, seeds=DRAWS)
    once = lambda *what, **more: experiment.once(f"{what} {more}", lambda: measure(*what, **more))
    full = {size: experiment.once(f"full {size}", unquantized, size) for size in base_sizes()}
    print(full, flush=True)
    methods, groups, heads, sizes = [], [], [], []
    for method, bits, draws in SETTINGS:
        for draw in draws:
            own = method in ("q8_0", "q4_1")
            methods.append(once(BIG, method, bits, draw, group_size=None if own else 32))
            print(methods[-1], flush=True)
    for size in base_sizes():
        for bits in (4, 3):
            sizes.append(once(size, "rtn", bits, 0, group_size=16))
        print(sizes[-1], flush=True)
    for group_size in GROUPS:
        groups.append(once(BIG, "rtn", 4, 0, group_size=group_size))
        print(groups[-1], flush=True)
    groups.append(once(BIG, "gptq", 4, 0, group_size="channel"))
    for head in (8, 4):
        heads.append(once(BIG, "rtn", 4, 0, group_size=32, head=head))
    print(heads, flush=True)
    experiment.save(dict(full=full, methods=methods, sizes=sizes, groups=groups, heads=heads))


if __name__ == "__main__":
    main()
