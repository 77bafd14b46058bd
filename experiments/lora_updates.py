"""Record the rank of what full fine-tuning changes: singular values, and what the largest are worth. Run it with

    OMP_NUM_THREADS=1 python experiments/lora_updates.py

All matrices of the blocks are trained, nothing else, on three tasks, three seeds each: "form" and 512 "facts" on the
support desk's model (see lora_rank.py) and "plays" on the base model of 1 million parameters (see peft_family.py).
The change of each matrix, W - W0, is then cut to its k largest singular values, put back onto W0, and judged.
"energy": the share of the change's squared length in its k largest singular values, the mean over the matrices, beside
that of Gaussian matrices of the same shapes.
"""

import lora_rank
import peft_family
import torch

from llmlib.data import Experiment
from llmlib.hub import load_base, load_desk
from llmlib.model import Transformer
from llmlib.train import TrainConfig, Trainer

SEEDS, KEPT = (0, 1, 2), (0, 1, 2, 4, 8, 16, 32, 64)
RATE, PLAYS_RATE = 3e-3, 3e-3


def matrices(model: Transformer) -> dict[str, torch.Tensor]:
    return {n: w for n, w in model.named_parameters() if n.startswith("blocks.") and w.ndim == 2}


def energy(changes: list[torch.Tensor]) -> list[float]:
    shares = []
    for change in changes:
        squares = torch.linalg.svdvals(change).square()
        total = squares.cumsum(0) / squares.sum()
        shares.append([0.0 if k == 0 else total[min(k, len(total)) - 1].item() for k in KEPT])
    return [round(sum(column) / len(column), 4) for column in zip(*shares)]


def cut_and_judge(model: Transformer, before: dict[str, torch.Tensor], judge) -> dict:
    """Judge the model with each change cut to rank k; k = 0 is the model before."""
    parts, rng = {}, torch.Generator().manual_seed(0)
    for name, weight in matrices(model).items():
        parts[name] = torch.linalg.svd(weight.detach() - before[name], full_matrices=False)
    scores = []
    for k in KEPT:
        with torch.no_grad():
            for name, weight in matrices(model).items():
                u, s, v = parts[name]
                weight.copy_(before[name] + (u[:, :k] * s[:k]) @ v[:k])
        scores.append(judge(model))
    noise = [torch.randn(weight.shape, generator=rng) for weight in before.values()]
    return dict(
        scores=scores, energy=energy([(u * s) @ v for u, s, v in parts.values()]), noise=energy(noise),
        spectrum=[round(x, 4) for x in next(iter(parts.values()))[1].tolist()],
    )  # fmt: skip


def of_desk(task: str, seed: int, pairs: list | None) -> dict:
    model, tokenizer = load_desk("sft", device="cpu")
    lora_rank.prepare(model, "matrices", seed)
    before = {name: weight.detach().clone() for name, weight in matrices(model).items()}
    if task == "facts":
        ids = lora_rank.facts(tokenizer, 512, seed)

        def batch(number: int) -> torch.Tensor:
            rng = torch.Generator().manual_seed(1000 * seed + number)
            return ids[torch.randperm(len(ids), generator=rng)[: lora_rank.FACT_ROWS]]

        recipe = lora_rank.recipe(lora_rank.FACT_UPDATES, RATE)
        Trainer(model, recipe, batch, loss=lora_rank.fact_loss).run()
        return cut_and_judge(model, before, lambda m: lora_rank.recall(m, ids))
    examples = [lora_rank.reply_example(tokenizer, q, lora_rank.written("form", reply)) for q, reply in pairs]
    rows = lora_rank.road.shuffled(examples, lora_rank.ROWS, 8, seed)[: lora_rank.UPDATES["form"]]
    Trainer(model, lora_rank.recipe(len(rows), RATE), rows).run()
    return cut_and_judge(model, before, lambda m: lora_rank.judge_form("form", m, tokenizer, "report"))


def of_plays(seed: int) -> dict:
    model, tokenizer = load_base("1m", device="cpu")
    tokens, texts = peft_family.passages(tokenizer)
    model.requires_grad_(False)
    for weight in matrices(model).values():
        weight.requires_grad = True
    before = {name: weight.detach().clone() for name, weight in matrices(model).items()}
    recipe = TrainConfig(
        steps=peft_family.UPDATES, batch_size=8, seq_len=64, lr=PLAYS_RATE, weight_decay=0.0, warmup_steps=5,
        final_lr=0.05, seed=seed, device="cpu", progress=False,
    )  # fmt: skip
    Trainer(model, recipe, tokens).run()
    return cut_and_judge(model, before, lambda m: dict(bits=peft_family.bits(m, tokenizer, texts["report"])))


def main() -> None:
    torch.set_num_threads(1)
    modules = ["llmlib.train.loop", "llmlib.align.sft", "experiments/lora_rank.py", "experiments/peft_family.py"]
    experiment = Experiment("lora_updates", script=__file__, modules=modules, seeds=SEEDS)
    runs: dict[str, list] = {"form": [], "facts": [], "plays": []}
    for seed in SEEDS:
        pairs = experiment.once(f"pairs {seed}", lora_rank.form_pairs, seed)
        runs["form"].append(experiment.once(f"form {seed}", of_desk, "form", seed, pairs))
        runs["facts"].append(experiment.once(f"facts {seed}", of_desk, "facts", seed, None))
        runs["plays"].append(experiment.once(f"plays {seed}", of_plays, seed))
        print(*(each[-1] for each in runs.values()), sep="\n", flush=True)
    experiment.save(dict(kept=KEPT, runs=runs))


if __name__ == "__main__":
    main()
