"""Lecture 08's bet: a loss written down before the run, and the run.

    python experiments/scaling_prediction.py            fits the recorded sweep and writes the prediction down
    python experiments/scaling_prediction.py --reveal   trains the model that was predicted (half an hour of one core)

The prediction is committed between the two, and is not written again once its run is recorded. What is fitted (the
form of the law, and how many decades of the sweep) is chosen by back-tests: predictions of runs of the sweep from those
of a tenth of their compute or less.
"""

import math
import sys
from itertools import product

import numpy as np
from scaling import MODULES, SHAPES, parameters, run, shape, texts

from llmlib.data import Experiment, recorded, recorded_names, save_recorded
from llmlib.train.scaling import ScalingLaw, bootstrap, fit_scaling_law, interval

TIMES = 10  # the compute of the largest fitted run
AVAILABLE = 10_300_000  # bytes that may be read once
CANDIDATES = (*SHAPES[5:], (96, 5), (112, 4), (112, 5), (128, 4), (144, 5))
FORMS: dict[str, float | None] = {"sum": 1.0, "sharp": None}
DECADES = (1.0, 1.5, 9.0)  # how far down from the largest budget runs are fitted


class Sweep:
    """The recorded runs, each with its operations."""

    def __init__(self) -> None:
        kept = recorded("scaling_sweep")["results"]
        self.runs = kept["grid"] + kept["seeds"] + kept["slice"]
        self.budgets = sorted({run["budget"] for run in kept["grid"]})

    def columns(self, largest: float, decades: float) -> list[np.ndarray]:
        """N, D and loss of the runs up to `largest` and so many decades below."""
        chosen = [r for r in self.runs if largest / 10**decades * 0.98 <= operations(r) <= largest * 1.02]
        return [np.array([r[name] for r in chosen], float) for name in ("parameters", "tokens", "report")]

    def best(self, budget: float) -> dict:
        """The run with the least loss at a budget."""
        return min((r for r in self.runs if r.get("budget") == budget), key=lambda r: r["report"])

    def line(self, largest: float, decades: float, at: float) -> float:
        """The straight line on logarithmic paper through the best runs of those budgets."""
        chosen = [b for b in self.budgets if largest / 10**decades * 0.98 <= b <= largest * 1.02]
        slope, height = np.polyfit(np.log(chosen), np.log([self.best(b)["report"] for b in chosen]), 1)
        return float(math.exp(height + slope * math.log(at)))

    def back_tests(self, form: str, decades: float) -> list[dict]:
        """Errors at ten times the compute, of the law and of the straight line, wherever the sweep allows it."""
        tests = []
        for largest in self.budgets:
            target = next((b for b in self.budgets if abs(b / largest - TIMES) < 0.1), None)
            if target and sum(largest / 10**decades * 0.98 <= b <= largest * 1.02 for b in self.budgets) >= 3:
                run, law = self.best(target), fit_scaling_law(*self.columns(largest, decades), sharpness=FORMS[form])
                guess = float(law.predict(run["parameters"], run["tokens"]))
                line = self.line(largest, decades, target)
                tests.append(dict(
                    largest=largest, target=target, error=guess / run["report"] - 1, line=line / run["report"] - 1
                ))  # fmt: skip
        return tests[-2:]


def operations(run: dict) -> float:
    """6 N D."""
    return 6.0 * run["parameters"] * run["tokens"]


def predict() -> None:
    if "scaling_held_out" in recorded_names():
        sys.exit("the run is recorded: a prediction written now would not be one")
    sweep = Sweep()
    tried = [
        dict(form=form, decades=decades, tests=sweep.back_tests(form, decades))
        for form, decades in product(FORMS, DECADES)
    ]
    chosen = min(tried, key=lambda each: np.mean([abs(test["error"]) for test in each["tests"]]))
    largest = sweep.budgets[-1]
    compute = TIMES * largest
    used, form = sweep.columns(largest, chosen["decades"]), FORMS[chosen["form"]]
    law = fit_scaling_law(*used, sharpness=form)
    laws = bootstrap(fit_scaling_law, *used, times=200, sharpness=form)
    wanted, _ = law.optimum(compute)
    allowed = [c for c in CANDIDATES if compute / 6 / parameters(shape(*c)) <= AVAILABLE]
    width, layers = min(allowed, key=lambda c: abs(np.log(parameters(shape(*c)) / wanted)))
    n = parameters(shape(width, layers))
    d = round(compute / 6 / n)
    results = dict(
        compute=compute, width=width, layers=layers, parameters=n, tokens=d, optimum=float(wanted), largest=largest,
        form=chosen["form"], decades=chosen["decades"], runs=len(used[0]), back_tests=tried, law=vars(law),
        loss=float(law.predict(n, d)), interval=interval([float(each.predict(n, d)) for each in laws]),
        floor=interval([each.E for each in laws]),
        naive=dict(
            last_point=sweep.best(largest)["report"], straight_line=sweep.line(largest, 9.0, compute),
            line_of_last_decade=sweep.line(largest, 1.0, compute),
        ),
    )  # fmt: skip
    print(results)
    save_recorded("scaling_prediction", results, script=__file__, modules=["llmlib.train.scaling"], seeds=(0,))


def reveal() -> None:
    prediction = recorded("scaling_prediction")["results"]
    splits = texts()
    experiment = Experiment("scaling_held_out", script=__file__, modules=MODULES, seeds=(0,))
    config = shape(prediction["width"], prediction["layers"])
    log = experiment.once("held out", run, config, prediction["tokens"], splits)
    guess = float(ScalingLaw(**prediction["law"]).predict(log["parameters"], log["tokens"]))
    print(log, f"predicted {guess:.4f}, off by {guess / log['report'] - 1:+.2%}")
    experiment.save(log)


if __name__ == "__main__":
    reveal() if "--reveal" in sys.argv else predict()
