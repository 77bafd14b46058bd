"""The numbers that the README prints are those of the recordings it names."""

import re
from pathlib import Path

import numpy as np
import pytest

from llmlib.data import recorded

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = {
    number: (text, name)
    for number, text, name in re.findall(r"^\| lecture (\d\d) \| (.+) \| `(\w+)` \|$", README, re.M)
}


def twins() -> list[str]:
    runs = recorded("tokens_twins")["results"]["runs"]
    of = {run["name"]: [r["accuracy"] for r in runs if r["name"] == run["name"] and r["steps"] == 600] for run in runs}
    return [f"**{100 * np.mean(of[name]):.0f} %**" for name in ("characters", "BPE")] + ["**85 %**"] * (
        round(100 * np.mean(of["BPE, spells first"]) + 1e-9) in (84, 85)
    )


def recipe() -> list[str]:
    race = recorded("pretraining_race")["results"]
    mean = lambda runs: np.mean([run["report"] for run in runs])
    whole = mean(race["race"]["muon"])
    assert round(mean(race["ablation"]["plain shape"]) - whole, 2) in (0.17, 0.18)  # "as much"
    lost = [race["race"]["adamw, matrices"], race["ablation"]["plain shape, adamw"]]
    return [f"**{mean(runs) - whole:.2f}**" for runs in lost]


def bet() -> list[str]:
    said, ran = recorded("scaling_prediction")["results"], recorded("scaling_held_out")["results"]
    assert said["compute"] == pytest.approx(10 * said["largest"])
    return [f"**{said['loss']:.3f}**", f"**{ran['report']:.3f}**"]


def tail() -> list[str]:
    runs = recorded("long_tail_facts")["results"]["runs"]
    of = lambda condition, size: (
        100 * np.mean([r["tenths"][-1] for r in runs if r["condition"] == condition and r["parameters"] == size])
    )
    sizes = sorted({run["parameters"] for run in runs})
    same = f"**{of('mentions', sizes[0]):.1f} to {of('mentions', sizes[-1]):.0f} %**"
    equal = f"**{of('compute', sizes[0]):.0f} to {of('compute', sizes[-1]):.0f} %**"
    return [same, equal, f"{sizes[0]:,} to {sizes[-1]:,} weights"]


def cue() -> list[str]:
    results = recorded("planted_cue")["results"]
    ways = [results["trained"][name]["32"]["planted"] for name in ("fine-tuned", "bag of words")]
    ways.append(results["prompted"]["32"]["planted"]["own"])
    return [f"**{100 * np.mean(way['reversed']) / results['n']:.0f} %**" for way in ways]


def goodhart() -> list[str]:
    runs = recorded("alignment_overoptimisation")["results"]["runs"]
    path = lambda price: np.array(
        [next(p["points"] for p in run["paths"] if p["kl_coef"] == price) for run in runs]
    ).mean(0)
    free, priced = path(0.0), path(0.1)
    return [f"from {free[0][2]:.2f} to **{free[-1][2]:.2f}**", f"from {free[0][3]:.2f} to **−{-free[-1][3]:.2f}**",
            f"rises to **{priced[-1][3]:.2f}**"]  # fmt: skip


def shell() -> list[str]:
    runs = [run for run in recorded("chain_of_thought")["results"]["runs"] if run["task"] == "shell game, 12 swaps"]
    of = {run["way"]: np.mean([r["right"] for r in runs if r["way"] == run["way"]]) for run in runs}
    others = [round(of[way]) for way in ("deeper", "auxiliary heads", "filler", "shuffled")]
    return [f"**{of['steps']:.0f} %**", f"**{min(others)} to {max(others)} %**"]


def leak() -> list[str]:
    runs = recorded("contamination")["results"]["runs"]
    of = lambda copies, how, what: (
        100 * np.mean([np.mean(what(r["planted"])) for r in runs if (r["copies"], r["how"]) == (copies, how)])
    )
    right, found = (lambda p: p["as planted"]), (lambda p: p["shared"]["13"])
    return [f"**{of(0, 'copied', right):.0f} to {of(16, 'copied', right):.0f} %**",
            f"**{of(16, 'reworded', right):.0f} %**", f"finds {of(16, 'reworded', found):.0f} %"]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "numbers"),
    [
        ("02", twins),
        ("07", recipe),
        ("08", bet),
        ("09", tail),
        ("10", cue),
        ("13", goodhart),
        ("16", shell),
        ("18", leak),
    ],
)
def test_the_measured_numbers_are_those_of_the_recordings(number, numbers):
    text, name = ROWS[number]
    assert recorded(name)["results"], "the recording that the row names is there"
    missing = [shown for shown in numbers() if shown not in text]
    assert not missing, f"README, row {number}: the recording says {missing}"


def test_the_share_of_claims_that_fail_is_as_the_readme_says():
    ledger = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    total, fails = (int(n) for n in re.search(r"^(\d+) claims: \d+ holds, (\d+) fails", ledger, re.M).groups())
    assert total > 180 and "Over 180 statements" in README
    assert 0.17 < fails / total < 0.23 and "about one in five fails" in README
