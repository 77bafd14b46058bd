"""Record what large input channels do to each method, in a base model where we plant them: for lecture 15.

    OMP_NUM_THREADS=1 python experiments/quantization_outliers.py

In every norm of the 1m model four channels' gains are multiplied by a factor, and the weights that read them divided by
it: the model computes what it did, and its layers' inputs have outliers as large models have. Three placements. Two
minutes of one core.
"""

import torch
from quantization_data import CODE, base, calibration_rows, costs, nats_before, nats_of

from llmlib.adapt import quantize_model
from llmlib.data import Experiment

SIZE, CHANNELS, FACTORS, SEEDS = "1m", 4, (1, 16, 64), (0, 1, 2)
METHODS = {"rtn": 4, "gptq": 4, "awq": 4, "w8a8": 8}


@torch.no_grad()
def planted(factor: float, seed: int) -> torch.nn.Module:
    """The base model with outliers in the inputs of its layers; it puts out what it did."""
    model, _ = base(SIZE)
    generator = torch.Generator().manual_seed(seed)
    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        for norm, readers in (
            (block.norm1, (attention.q_proj, attention.k_proj, attention.v_proj)),
            (block.norm2, (mlp.gate_proj, mlp.up_proj)),
        ):
            channels = torch.randperm(norm.weight.numel(), generator=generator)[:CHANNELS]
            norm.weight[channels] *= factor
            for linear in readers:
                linear.weight[:, channels] /= factor
    return model


def run(factor: int, seed: int, method: str | None) -> dict:
    model, (_, tokenizer) = planted(factor, seed), base(SIZE)
    if method:
        looks = {"calibration": calibration_rows(tokenizer, seed)} if method in ("awq", "gptq") else {}
        form = "packed" if method == "w8a8" else "simulated"
        group_size = "channel" if METHODS[method] == 8 else 32
        quantize_model(model, method, bits=METHODS[method], group_size=group_size, form=form, **looks)
    after, tokens = nats_of(model, tokenizer)
    return dict(factor=factor, seed=seed, method=method, **costs(nats_before(SIZE)[0], after, tokens))


def main() -> None:
    torch.set_num_threads(1)
    experiment = Experiment("quantization_outliers", script=__file__, modules=CODE, seeds=SEEDS)
    runs = []
    for seed in SEEDS:
        for factor in FACTORS:
            for method in METHODS:
                runs.append(experiment.once(f"{factor} {seed} {method}", run, factor, seed, method))
            print(runs[-4:], flush=True)
    unchanged = [experiment.once(f"{factor} as it is", run, factor, 0, None) for factor in FACTORS[-1:]]
    experiment.save(dict(size=SIZE, channels=CHANNELS, runs=runs, unchanged=unchanged))


if __name__ == "__main__":
    main()
