"""Lecture 08's first bet, on the language of facts, whose floor is known: the prediction, and then the run.

    python experiments/scaling_skills_bet.py            fits the recorded sweep and writes the prediction down
    python experiments/scaling_skills_bet.py --reveal   trains the model that was predicted (some minutes)

The prediction is committed between the two. The sweep's own run beyond its range is not fitted.
"""

import sys

import numpy as np
from scaling_skills import train_on_skills

from llmlib.data import Experiment, recorded, recorded_names, save_recorded
from llmlib.text import SkillSource
from llmlib.train.scaling import bootstrap, fit_scaling_law, interval

WIDTH, PARAMETERS, RECORDS = 64, 58_560, 819_200  # 10.7 times the largest fitted run


def predict() -> None:
    if "scaling_skills_outcome" in recorded_names():
        sys.exit("the run is recorded: a prediction written now would not be one")
    kept = recorded("scaling_skills")["results"]
    floor = kept["entropy_bits"] * np.log(2)
    n, d, excess = (np.array([r[key] for r in kept["runs"]], float) for key in ("parameters", "records", "excess"))
    law = fit_scaling_law(n, d, excess + floor)
    laws = bootstrap(fit_scaling_law, n, d, excess + floor, times=200)
    results = dict(
        width=WIDTH, parameters=PARAMETERS, records=RECORDS, times=PARAMETERS * RECORDS / float((n * d).max()),
        law=vars(law), loss=float(law.predict(PARAMETERS, RECORDS)), floor=interval([each.E for each in laws]),
        interval=interval([float(each.predict(PARAMETERS, RECORDS)) for each in laws]),
    )  # fmt: skip
    print(results)
    save_recorded("scaling_skills_bet", results, script=__file__, modules=["llmlib.train.scaling"], seeds=(0,))


def reveal() -> None:
    modules = ["llmlib.model.transformer", "llmlib.train.loop", "llmlib.train.muon", "experiments/scaling_skills.py"]
    experiment = Experiment("scaling_skills_outcome", script=__file__, modules=modules, seeds=(0,))
    log = experiment.once("outcome", train_on_skills, SkillSource(rng=0), WIDTH, RECORDS, 0)
    assert log["parameters"] == PARAMETERS, log
    print(log)
    experiment.save(log)


if __name__ == "__main__":
    reveal() if "--reveal" in sys.argv else predict()
