"""Record lecture 08's sweep on a language whose entropy is known: does a fitted floor find it?

Models of one block on `SkillSource`'s records, each seen once, to the end of the schedule. The excess is the mean over
all answers that could have come, minus the entropy: it has no luck of a held-out sample's answers in it. Run it with

    OMP_NUM_THREADS=1 python experiments/scaling_skills.py

About five minutes of one quiet core.
"""

import math

import torch

from llmlib.data import Experiment
from llmlib.model import ModelConfig, Transformer
from llmlib.text import SkillSource
from llmlib.train import TrainConfig, Trainer

RECORDS_A_ROW = 32
WIDTHS = (6, 8, 12, 16, 24, 32)
SIZES = {8_192: 3, 16_384: 3, 32_768: 2, 65_536: 2, 131_072: 1, 262_144: 1}  # records, and seeds
BEYOND = (48, 1_048_576)  # a run with some ten times the compute of the largest above


def batches(source: SkillSource, records: int, rows: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and targets, the answers' places alone; no record twice."""
    steps = records // RECORDS_A_ROW // rows
    symbols, _ = source.sample(steps * rows * RECORDS_A_ROW, rng=seed)
    ids = torch.from_numpy(symbols).view(steps, rows, 3 * RECORDS_A_ROW)
    targets = ids[..., 1:].clone()
    targets[..., 0::3] = targets[..., 2::3] = -100
    return list(zip(ids[..., :-1], targets))


def excess(model: Transformer, source: SkillSource, records: int = 65_536) -> float:
    """Nats an answer above the source's entropy."""
    symbols, skills = source.sample(records, rng=12345)
    ids = torch.from_numpy(symbols).view(-1, 3 * RECORDS_A_ROW)
    with torch.no_grad():
        log_p = torch.cat([model(part)[:, 1::3].log_softmax(-1).flatten(0, 1) for part in ids[:, :-1].split(256)])
    return source.cross_entropy(log_p, skills) - source.entropy_rate * math.log(2)


def train_on_skills(source: SkillSource, width: int, records: int, seed: int) -> dict:
    """One model of one block, trained to the end."""
    config = ModelConfig(
        source.vocab_size, n_layers=1, d_model=width, n_heads=1, d_ff=4 * width, mlp="relu2",
        max_seq_len=3 * RECORDS_A_ROW, init_std=0.02 * (768 / width) ** 0.5,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Transformer(config)
    n = sum(p.numel() for p in model.parameters())
    rows = max(4, round(8 * (records / 65_536) ** 0.5))
    data = batches(source, records, rows, seed=seed + 1)
    rate = (46_000 / n) ** 0.25
    recipe = TrainConfig(
        steps=len(data), batch_size=rows, seq_len=3 * RECORDS_A_ROW, optimizer="muon", lr=0.04 * rate,
        embedding_lr=0.05 * rate, vector_lr=0.01 * rate, betas=(0.8, 0.95), weight_decay=0.0, schedule="wsd",
        warmup_steps=len(data) // 20, decay_fraction=0.95, final_lr=0.0, seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    Trainer(model, recipe, data).run()
    model.eval()
    return dict(width=width, parameters=n, records=records, seed=seed, excess=round(excess(model, source), 5))


def main() -> None:
    torch.set_num_threads(1)
    source = SkillSource(rng=0)
    modules = ["llmlib.model.transformer", "llmlib.train.loop", "llmlib.train.muon", "llmlib.text.skills"]
    experiment = Experiment("scaling_skills", script=__file__, modules=modules, seeds=(0, 1, 2))
    runs = []
    for records, seeds in SIZES.items():
        for width in WIDTHS:
            for seed in range(seeds):
                key = f"width {width}, {records} records, seed {seed}"
                runs.append(experiment.once(key, train_on_skills, source, width, records, seed))
                print(runs[-1], flush=True)
    beyond = experiment.once("beyond", train_on_skills, source, *BEYOND, 0)
    print(beyond)
    experiment.save(dict(runs=runs, beyond=beyond, entropy_bits=source.entropy_rate))


if __name__ == "__main__":
    main()
