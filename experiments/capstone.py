"""Record the capstone in full for lecture 20: `python experiments/capstone.py`.

The ten stages of llmlib.capstone with the "full" preset, five seeds, each with a desk of its own: figures of every
stage, the report card, what it took, and what four models reply to the same six requests. A quarter of an hour a seed
on one core. Runs lie in build/capstone-full-CODE-SEED and go on where they were; `--only 3 4` makes those and records
nothing, for a second process.
"""

import argparse
from typing import Any

import torch

from llmlib.capstone import Pipeline, Workshop, capstone_preset
from llmlib.capstone.report import answers
from llmlib.data import Experiment
from llmlib.evaluate import bootstrap_interval

SEEDS = (0, 1, 2, 3, 4)
MODULES = ["llmlib.capstone.stages", "llmlib.capstone.report", "llmlib.capstone.workshop", "llmlib.align.grpo",
           "llmlib.align.reward_models", "llmlib.data.support_desk", "llmlib.train.loop"]  # fmt: skip


def done(seed: int) -> Pipeline:
    settings = capstone_preset("full").replace(seed=seed, world=seed)
    code = Experiment("capstone_runs", script=__file__, modules=MODULES).code
    pipeline = Pipeline(
        f"build/capstone-full-{code}-{seed}", settings, progress=lambda text: print(f"  {text}", flush=True)
    )
    for record in pipeline.run():
        print(seed, record.name, f"{record.seconds:.0f} s", record.figures, flush=True)
    return pipeline


def one(seed: int) -> dict[str, Any]:
    """What a seed comes to, whatever the machine."""
    pipeline = done(seed)
    found = {record.name: dict(record.figures) for record in pipeline.records}
    card = found["report"]
    card["gold"] = {name: {g: v[0] for g, v in each.items()} for name, each in card["gold"].items()}
    del card["tokens_per_second"]
    return found | ({"replies": replies(pipeline)} if seed == 0 else {})


def bill(seed: int) -> dict[str, Any]:
    """What it took, all attempts and whatever else the machine had to do included."""
    records = done(seed).records
    return dict(
        seconds={record.name: record.seconds for record in records},
        joules={record.name: round(record.joules) for record in records},
        tokens=records[-1].figures["tokens_per_second"],
    )


def replies(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What four models say to two requests of each group, with the gold reward."""
    w = Workshop(pipeline.folder, pipeline.folder, pipeline.settings, print)
    asked = [(group, request) for group, each in w.held_out("choose").items() for request in each[:2]]
    rows: list[dict[str, Any]] = [dict(group=group, request=request.text) for group, request in asked]
    models = {name: w.model(name) for name in ("base", "sft", "policy")} | {"small": w.small_model()}
    for name, model in models.items():
        written = answers(w, model, [request.text for _, request in asked], name == "base")
        for row, (_, request), ids in zip(rows, asked, written):
            text = w.tokenizer.decode(ids)
            row[name] = [text, round(w.desk.gold(request, text), 2)]
    return rows


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=int, nargs="*")
    if only := parser.parse_args().only:
        for seed in only:
            done(seed)
        return
    experiment = Experiment("capstone_runs", script=__file__, modules=MODULES, seeds=SEEDS)
    runs = [experiment.once(f"seed {seed}", one, seed) for seed in SEEDS]
    for run, seed in zip(runs, SEEDS):
        took = experiment.once(f"bill {seed}", bill, seed)
        run["report"]["tokens_per_second"] = took.pop("tokens")
        run |= took
    pairs = runs[0]["report"]["wins"]
    each = {pair: [r["report"]["wins"][pair][0] for r in runs] for pair in pairs}
    wins = {pair: [round(v, 4) for v in bootstrap_interval(values)] for pair, values in each.items()}
    kept = [r["report"]["wins"]["small against sft"][0] / r["report"]["wins"]["policy against sft"][0] for r in runs]
    found = dict(runs={str(seed): run for seed, run in zip(SEEDS, runs)}, wins=wins, kept=[round(k, 4) for k in kept])
    print(found["wins"], found["kept"])
    experiment.took_before(sum(sum(run["seconds"].values()) for run in runs))
    experiment.save(found)


if __name__ == "__main__":
    main()
