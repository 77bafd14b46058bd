"""Record quantization-aware training of the 1m base model, beside training on without it: for lecture 15.

    OMP_NUM_THREADS=1 python experiments/quantization_training.py

50 updates of 2,048 tokens, with 2-bit weights in groups of 32 in the forward pass or without; then rounded to nearest,
or by GPTQ. Each contender's learning rate is the better of two by one run on the choose split, after rounding; three
seeds are reported. Some four minutes of one core.
"""

import copy

import torch
from quantization_data import CODE, base, calibration_rows, costs, nats_before, nats_of, rows_of, texts

from llmlib.adapt import prepare_qat, quantize_model
from llmlib.data import Experiment
from llmlib.train import TrainConfig, Trainer

SIZE, STEPS, ROWS, GROUP = "1m", 50, 8, 32
SEEDS, RATES, BITS = (0, 1, 2), (3e-4, 1e-3), (2,)
ALSO = ["llmlib.adapt.fake_quantization", "llmlib.train.loop", "llmlib.train.adamw", "llmlib.train.schedules"]


def trained(aware: int | None, lr: float, seed: int) -> torch.nn.Module:
    """The base model after a little more training; aware: bits that its forward pass sees, None for all of them."""
    model, tokenizer = base(SIZE)
    if aware:
        prepare_qat(model, aware, GROUP)
    rows = rows_of(tokenizer, texts()["train"])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[: STEPS * ROWS]
    batches = [rows[part] for part in order.split(ROWS)]
    config = TrainConfig(
        steps=STEPS, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, warmup_steps=10, schedule="wsd", decay_fraction=0.9,
        final_lr=0.0, grad_clip=1.0, seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    Trainer(model.train(), config, [(row[:, :-1], row[:, 1:]) for row in batches]).run()
    return model.eval()


def judged(model: torch.nn.Module, method: str | None, bits: int, split: str) -> dict:
    """Round a copy by a method, or not at all, and judge it against the base model as it was."""
    _, tokenizer = base(SIZE)
    model = copy.deepcopy(model)
    if method:
        looks = {"calibration": calibration_rows(tokenizer, 0)} if method == "gptq" else {}
        quantize_model(model, method, bits=bits, group_size=GROUP, form="simulated", **looks)
    after, tokens = nats_of(model, tokenizer, split)
    before = nats_before(SIZE)[0] if split == "report" else after
    return costs(before, after, tokens)


def run(aware: int | None, lr: float, seed: int) -> dict:
    """One training, judged after rounding by every method that is compared; aware 0: the base model as it is."""
    model = base(SIZE)[0] if aware == 0 else trained(aware, lr, seed)
    result = dict(aware=aware, lr=lr, seed=seed)
    for bits in [aware] if aware else BITS:
        result[f"choose {bits} rtn"] = judged(model, "rtn", bits, "choose")["perplexity"] if seed == 0 else None
        for method in ("rtn",) if aware else ("rtn", "gptq"):
            result[f"report {bits} {method}"] = judged(model, method, bits, "report")
    if not aware:
        result["report"] = judged(model, None, 0, "report")
    return result


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("quantization_training", script=__file__, modules=CODE + ALSO, seeds=SEEDS)
    once = lambda aware, lr, seed: experiment.once(f"aware {aware}, rate {lr}, seed {seed}", run, aware, lr, seed)
    runs, chosen = [once(0, 0.0, 0)], {}
    for aware, bits in ((2, 2), (None, 2)):
        tries = [once(aware, lr, 0) for lr in RATES]
        chosen[f"{'aware' if aware else 'plain'} {bits}"] = rate = min(
            RATES, key=lambda lr: tries[RATES.index(lr)][f"choose {bits} rtn"]
        )
        runs += tries + [once(aware, rate, seed) for seed in SEEDS[1:]]
        print(aware, bits, rate, runs[-1], flush=True)
    experiment.save(dict(size=SIZE, steps=STEPS, tokens=STEPS * ROWS * 255, chosen=chosen, runs=runs))


if __name__ == "__main__":
    main()
