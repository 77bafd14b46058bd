"""Record lecture 08's sweep: 44 models of bytes at budgets over three decades, and slices by shape, optimizer and kind.

Every run reads the first D bytes of the same text, each once, to the end of its schedule. C = 6 N D operations, with
N all parameters. Losses are in nats a byte; rates are chosen on the choose split, the lecture shows the report split.
About an hour of one quiet core, and it goes on where it was interrupted:

    OMP_NUM_THREADS=1 python experiments/scaling_sweep.py
"""

import torch
from scaling import MODULES, SHAPES, VOCAB_SIZE, muon_rates, parameters, recipe, run, shape, texts, train_once
from torch import Tensor, nn

from llmlib.data import Experiment

BUDGETS = {3e9: (0, 5), 1e10: (0, 5), 3e10: (0, 6), 1e11: (1, 7), 3e11: (2, 8), 1e12: (3, 8), 3e12: (5, 9)}
TUNED = ((0, 3e9), (2, 1e10), (4, 1e11), (6, 3e11))  # shapes and budgets at which rates were tried
TIMES = (0.5, 1.0, 2.0)
AGAIN = {3e9: 1, 1e10: 2, 3e10: 3, 1e11: 4, 3e11: 5}  # a shape at each budget that is run with two more seeds
SLICE = 500_000  # bytes
SLICED = (1, 2, 3, 4, 5, 6, 7)  # shapes at that many bytes
COMPARED = (2, 3, 4, 5, 6)
SHAPES_OF_46K = ((52, 1), (40, 2), (32, 3), (24, 6), (18, 12))
RATES = {
    "adamw": (0.0013, 0.004, 0.012, 0.036),
    "sgd": (0.003, 0.01, 0.03, 0.1),
    "lstm": (0.004, 0.012, 0.036),
}
LSTM_WIDTHS = (22, 36, 62, 96, 148)  # about as many parameters as COMPARED


class LSTM(nn.Module):
    """One layer of LSTM between a tied embedding and head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, width)
        nn.init.normal_(self.embedding.weight, std=0.02 * (768 / width) ** 0.5)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.norm = nn.RMSNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(self.lstm(self.embedding(ids))[0]) @ self.embedding.weight.T


def run_lstm(width: int, lr: float, splits: dict[str, Tensor], seed: int = 0) -> dict:
    """One LSTM on the slice's bytes."""
    torch.manual_seed(seed)
    model = LSTM(width)
    log = train_once(model, recipe(SLICE, seed, optimizer="adamw", lr=lr), SLICE, splits)
    return dict(width=width, parameters=sum(p.numel() for p in model.parameters()), **log)


def main() -> None:
    splits = texts()
    experiment = Experiment("scaling_sweep", script=__file__, modules=[*MODULES, "llmlib.train.muon"], seeds=(0, 1, 2))
    results: dict = dict(tuning=[], grid=[], seeds=[], slice=[], shapes=[], compared={}, rates={})

    def once(key: str, compute, *arguments) -> dict:
        log = experiment.once(key, compute, *arguments)
        print(key, log["choose"], log["report"], log["seconds"], flush=True)
        return log

    def at(index: int, budget: float, seed: int = 0) -> dict:
        config = shape(*SHAPES[index])
        tokens = round(budget / 6 / parameters(config))
        log = once(f"{SHAPES[index]} at {budget:.0e}, seed {seed}", run, config, tokens, splits, seed)
        return dict(budget=budget, **log)

    def tuned(index: int, budget: float, times: float) -> dict:
        config = shape(*SHAPES[index])
        n = parameters(config)
        rates = muon_rates(n, times)
        key = f"{SHAPES[index]} at {budget:.0e}, {times} times the rates"
        log = once(key, lambda: run(config, round(budget / 6 / n), splits, **rates))
        return dict(budget=budget, times=times, **log)

    def on_slice(config, **rates) -> dict:
        key = f"slice ({config.d_model}, {config.n_layers}) {rates.get('optimizer', '')} {rates.get('lr', '')}"
        return once(key, lambda: run(config, SLICE, splits, **rates))

    for budget in (3e9, 1e10, 3e10, 1e11, 3e11):
        results["grid"] += [at(index, budget) for index in range(*BUDGETS[budget])]
        results["seeds"] += [at(AGAIN[budget], budget, seed) for seed in (1, 2)]
    results["tuning"] = [tuned(index, budget, times) for index, budget in TUNED for times in TIMES]
    results["slice"] = [on_slice(shape(*SHAPES[index])) for index in SLICED]
    results["shapes"] = [on_slice(shape(*each)) for each in SHAPES_OF_46K]
    for budget in (1e12, 3e12):
        results["grid"] += [at(index, budget) for index in range(*BUDGETS[budget])]
    experiment.save(results)

    middle = SHAPES[COMPARED[2]]
    for name in ("adamw", "sgd", "lstm"):
        lstm = name == "lstm"
        tries = [
            once(f"lstm {LSTM_WIDTHS[2]} {lr}", run_lstm, LSTM_WIDTHS[2], lr, splits)
            if lstm
            else on_slice(shape(*middle), optimizer=name, lr=lr)
            for lr in RATES[name]
        ]
        results["rates"][name] = tries
        best = min(tries, key=lambda log: log["choose"])
        results["compared"][name] = []
        for index, width in zip(COMPARED, LSTM_WIDTHS):
            n = parameters(shape(*SHAPES[index]))
            lr = round(best["lr"] * (46_000 / n) ** 0.25, 5)
            log = (
                once(f"lstm {width} {lr}", run_lstm, width, lr, splits)
                if lstm
                else on_slice(shape(*SHAPES[index]), optimizer=name, lr=lr)
            )
            results["compared"][name].append(log)
        experiment.save(results)


if __name__ == "__main__":
    main()
