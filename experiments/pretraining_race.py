"""Record lecture 07's race of optimizers, the ablation of lecture 03's recipe, and its gain against the model's size.

Characters of tiny Shakespeare; every run makes the same number of updates with batches of the same size. Rates are
chosen by the loss on the choose split, four for each contender; all losses kept for the lecture are from the report
split, in bits per character. Seconds are processor time of one thread, evaluation excluded. Run it with

    OMP_NUM_THREADS=1 python experiments/pretraining_race.py

About half an hour of one quiet core. It goes on where it was interrupted, and records what is done after every part.
"""

import time

import torch
from torch import Tensor

from llmlib.data import Experiment, split_text, tiny_shakespeare
from llmlib.model import ModelConfig, Transformer, preset
from llmlib.text import CharTokenizer
from llmlib.train import TrainConfig, Trainer, bits, evaluate_loss, train_preset

STEPS, EVERY, CURVE_CHARACTERS, WIDTH, SEEDS = 300, 25, 8193, 64, (1, 2, 3)
RECIPE = train_preset("shakespeare-cpu").replace(steps=STEPS, batch_size=16, device="cpu", progress=False)
ONE_RATE = dict(embedding_lr=None, head_lr=None, vector_lr=None)
PLAIN = train_preset("nanogpt-cpu").replace(
    steps=STEPS, batch_size=16, warmup_steps=20, device="cpu", progress=False
)  # nanoGPT warms up over a twentieth of its steps, which is about as many

# A contender's settings on top of the recipe's, and its four learning rates, three times apart.
CONTENDERS: dict[str, tuple[TrainConfig, tuple[float, ...]]] = {
    "muon": (RECIPE, (0.006, 0.02, 0.06, 0.2)),
    "adamw, matrices": (RECIPE.replace(optimizer="adamw", betas=(0.9, 0.95)), (0.001, 0.003, 0.01, 0.03)),
    "soap": (RECIPE.replace(optimizer="soap"), (0.001, 0.003, 0.01, 0.03)),
    "sgd": (RECIPE.replace(optimizer="sgd", momentum=0.9, **ONE_RATE), (0.01, 0.03, 0.1, 0.3)),
    "plain": (PLAIN, (0.001, 0.003, 0.01, 0.03)),
    "adamw": (RECIPE.replace(optimizer="adamw", betas=(0.9, 0.95), **ONE_RATE), (0.001, 0.003, 0.01, 0.03)),
}


def shape(width: int, plain: bool) -> ModelConfig:
    """Two layers with heads of 32, of lecture 03's fast model or of nanoGPT's."""
    return preset("nanogpt-cpu" if plain else "shakespeare-cpu").replace(
        n_layers=2, d_model=width, n_heads=width // 32, n_kv_heads=width // 32, d_ff=4 * width
    )


def run(config: TrainConfig, width: int, plain_shape: bool, train: Tensor, choose: Tensor, report: Tensor) -> dict:
    """One training run; bits are None from where it diverged on."""
    torch.manual_seed(config.seed)
    model = Transformer(shape(width, plain_shape))
    trainer = Trainer(model, config, train)
    parameters = sum(p.numel() for p in model.parameters())
    log: dict = dict(seed=config.seed, lr=config.lr, width=width, parameters=parameters, steps=[], seconds=[], curve=[])
    seconds = 0.0
    try:
        for step in range(1, config.steps + 1):
            started = time.process_time()
            trainer.train_step()
            seconds += time.process_time() - started
            if step % EVERY == 0:
                with trainer.averaged():
                    loss = evaluate_loss(model, report[:CURVE_CHARACTERS], seq_len=64)
                log["steps"].append(step)
                log["seconds"].append(round(seconds, 2))
                log["curve"].append(round(bits(loss), 4))
        with trainer.averaged():
            for name, split in (("choose", choose), ("report", report)):
                log[name] = round(bits(evaluate_loss(model, split, seq_len=64)), 4)
    except FloatingPointError:
        log.update(choose=None, report=None)
    return log


def main() -> None:
    torch.set_num_threads(1)
    text = tiny_shakespeare()
    tokenizer = CharTokenizer.from_text(text)
    train_text, rest = split_text(text, 0.1)
    choose_text, report_text = split_text(rest, 0.5)
    splits = [torch.tensor(tokenizer.encode(part)) for part in (train_text, choose_text, report_text)]
    experiment = Experiment(
        "pretraining_race",
        script=__file__,
        modules=[
            "llmlib.model.transformer", "llmlib.model.attention", "llmlib.model.presets", "llmlib.train.loop",
            "llmlib.train.sgd", "llmlib.train.adamw", "llmlib.train.muon", "llmlib.train.soap",
            "llmlib.train.averaging", "llmlib.train.schedules", "llmlib.train.presets",
        ],
        seeds=(0, *SEEDS),
    )  # fmt: skip
    results: dict = dict(tuning={}, best={}, race={}, ablation={}, sizes={})

    def train_once(key: str, config: TrainConfig, width: int = WIDTH, plain_shape: bool = False) -> dict:
        log = experiment.once(f"{key}, lr {config.lr:g}, seed {config.seed}", run, config, width, plain_shape, *splits)
        print(f"{key}, lr {config.lr:g}, seed {config.seed}: {log['choose']}, {log['report']}", flush=True)
        return log

    def tune(name: str) -> None:
        config, rates = CONTENDERS[name]
        logs = [train_once(name, config.replace(lr=lr, seed=0), plain_shape=config is PLAIN) for lr in rates]
        results["tuning"][name] = [dict(lr=log["lr"], choose=log["choose"], report=log["report"]) for log in logs]
        results["best"][name] = min(logs, key=lambda log: log["choose"] or 99)["lr"]

    def best(name: str) -> TrainConfig:
        return CONTENDERS[name][0].replace(lr=results["best"][name])

    def race(name: str) -> None:
        config = best(name)
        plain_shape = CONTENDERS[name][0] is PLAIN
        results["race"][name] = [train_once(name, config.replace(seed=s), plain_shape=plain_shape) for s in SEEDS]
        experiment.save(results)

    def ablate(name: str, config: TrainConfig, plain_shape: bool = False) -> None:
        results["ablation"][name] = [train_once(name, config.replace(seed=s), plain_shape=plain_shape) for s in SEEDS]
        experiment.save(results)

    def at_width(width: int, seed: int) -> None:
        """The recipe at its rate; the plain run at its own and at a third of it, the better one kept."""
        recipe = train_once(f"recipe, width {width}", best("muon").replace(seed=seed), width)
        rates = [best("plain").lr * share for share in (1, 1 / 3)]
        key = f"plain, width {width}"
        logs = [train_once(key, best("plain").replace(lr=lr, seed=seed), width, True) for lr in rates]
        plain = min(logs, key=lambda log: log["choose"] or 99)
        results["sizes"].setdefault(str(width), []).append(dict(recipe=recipe, plain=plain))
        experiment.save(results)

    for name in ("muon", "adamw, matrices", "soap", "sgd", "plain"):
        tune(name)
    for name in ("muon", "adamw, matrices", "plain", "soap", "sgd"):
        race(name)
    third = best("plain").replace(lr=best("plain").lr / 3)  # 0.01, the best for one seed, proved unlucky for others
    results["race"]["plain, a third of the rate"] = [
        train_once("plain", third.replace(seed=s), plain_shape=True) for s in SEEDS
    ]
    ablate("no average", best("muon").replace(average=0.0))
    ablate("cosine", best("muon").replace(schedule="cosine", final_lr=0.1))
    ablate("plain shape", best("muon"), plain_shape=True)
    at_width(32, 1)
    tune("adamw")
    race("adamw")
    ablate("plain shape, adamw", best("adamw, matrices"), plain_shape=True)
    at_width(128, 1)


if __name__ == "__main__":
    main()
