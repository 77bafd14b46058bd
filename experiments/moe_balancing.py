"""Record how routers balance alone, with an auxiliary loss and with a bias: `python experiments/moe_balancing.py`.

Eight experts, two a token, trained on tiny Shakespeare's characters in four settings that differ in the deviation of
the first weights, of the router's first weights, and in the learning rate. Of each run: loss on held-out text, the
share of the choices that each expert gets there (1 is its fair share), experts with less than a tenth of it, the
entropy of a token's probabilities; the shares in training, as means over ten updates. Then the router z-loss beside the
auxiliary one: loss and size of the logits. 42 runs of 200 updates, six minutes of one core; goes on where it was
interrupted.
"""

from moe_models import EXPERTS, MODULES, RECIPE, START, built, judged, mixture, rounded, texts, thinned, train

from llmlib.data import Experiment

EVERY = 10
METHODS = {
    "none": {"balancing": "none"},
    "auxiliary": {"balancing": "auxiliary"},
    "bias": {"balancing": "bias"},
    "bias 0.01": {"balancing": "bias", "bias_rate": 0.01},
}
THREE = ("none", "auxiliary", "bias")
SETTINGS: dict[str, dict] = {
    "small start": dict(start=0.02, router=0.02, lr=1e-2, seeds=range(5), methods=THREE),
    "high rate": dict(start=0.02, router=0.02, lr=5e-2, seeds=range(3), methods=("none", "bias", "bias 0.01")),
    "usual start": dict(start=START, router=0.02, lr=1e-2, seeds=range(3), methods=THREE),
    "wide router": dict(start=START, router=1.0, lr=1e-2, seeds=range(3), methods=("none",)),
}
MAIN, Z_SETTING, Z_WEIGHTS = "small start", "usual start", (1e-3, 1e-2)


def main() -> None:
    tokenizer, text, _, report = texts()
    experiment = Experiment("moe_balancing", script=__file__, modules=MODULES, seeds=range(5))

    def run(setting: dict, method: dict, seed: int) -> dict:
        model = built(mixture(tokenizer.vocab_size, start=setting["start"], **method), seed, setting["router"])
        watched = train(model, RECIPE.replace(lr=setting["lr"], seed=seed), text)
        found = judged(model, report)
        load = thinned(watched.load, EVERY)  # (points, layers, experts)
        layers = range(len(load[0]))
        found["curve"] = [[rounded(point[layer], 2) for point in load] for layer in layers]
        found["least_curve"] = [[round(min(point[layer]), 2) for point in load] for layer in layers]
        logits = thinned(watched.logit, EVERY)
        found["logit_curve"] = [[round(point[layer], 2) for point in logits] for layer in layers]
        return found

    def row(runs: list[dict], curves: tuple[str, ...]) -> dict:
        """Runs as lists over seeds; whole curves of the first seed alone."""
        names = ("loss", "least", "starved", "entropy", "logit_max", "logsumexp")
        found = {name: [one[name] for one in runs] for name in names}
        for name in curves:
            found[name] = [one[name] for one in runs] if name == "least_curve" else runs[0][name]
        return found

    results: dict = dict(recipe=RECIPE.to_dict(), n_experts=EXPERTS, every=EVERY, main=MAIN, z_setting=Z_SETTING)
    results["steps"] = list(range(EVERY, RECIPE.steps + 1, EVERY))
    results["settings"], results["z"] = {}, {}
    for name, setting in SETTINGS.items():
        entry = {key: setting[key] for key in ("start", "router", "lr")} | {"methods": {}}
        for method in setting["methods"]:
            key = f"{name}, {method}, seed "
            runs = [experiment.once(key + str(s), run, setting, METHODS[method], s) for s in setting["seeds"]]
            curves = ("curve", "least_curve") if name == MAIN else ()
            entry["methods"][method] = row(runs, curves)
            if name == MAIN:
                entry["methods"][method]["loads"] = [one["load"] for one in runs]
            print(
                name, method, *(f"{k} {entry['methods'][method][k]}" for k in ("loss", "least", "starved")), flush=True
            )
            if name == Z_SETTING and method == "auxiliary":
                results["z"]["0"] = row(runs, ("logit_curve",))
        results["settings"][name] = entry
        for weight in Z_WEIGHTS if name == Z_SETTING else ():
            method = METHODS["auxiliary"] | {"z_weight": weight}
            runs = [experiment.once(f"z {weight}, seed {s}", run, setting, method, s) for s in setting["seeds"]]
            results["z"][str(weight)] = row(runs, ("logit_curve",))
            print("z", weight, {k: v for k, v in results["z"][str(weight)].items() if k != "logit_curve"}, flush=True)
    experiment.save(results)


if __name__ == "__main__":
    main()
