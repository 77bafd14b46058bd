"""Seeds are shifted at every door, claims of several runs compared, and what moves must have a rule in code."""

import subprocess
import sys

import pytest

from courseware.authoring import claims as ledger
from courseware.authoring import execute, stability
from courseware.authoring.stability import OPEN, STABLE, UNSTABLE, Run, compare, problems, report
from courseware.classroom.claims import CONTRADICTED, Claim, claims_table, markdown_table

# In a process of its own: it changes torch, numpy and random for good.
DOORS = """
import random, sys
import numpy as np, torch
from courseware.authoring.shifted_seeds import shift_seeds
from llmlib.data import support_desk

def drawn():
    torch.manual_seed(3)
    yield torch.rand(1).item()
    yield torch.rand(1, generator=torch.Generator().manual_seed(3)).item()
    yield np.random.default_rng(3).random()
    yield np.random.default_rng([3, 4]).random()
    np.random.seed(3)
    yield np.random.random()
    yield random.Random(3).random()
    yield random.Random("three").random()
    random.seed(3)
    yield random.random()

class Module:                                  # a module that is neither the notebook nor llmlib
    space = {"__name__": "elsewhere", "np": np}
exec("def draw(): return np.random.default_rng(3).random()", Module.space)

before, elsewhere, desk = list(drawn()), Module.space["draw"](), support_desk.SupportDesk(0)._habits
shift_seeds(0)
assert list(drawn()) == before, "an offset of nothing changes nothing"
shift_seeds(1000)
after = list(drawn())
assert all(a != b for a, b in zip(before, after)), (before, after)
assert after == list(drawn()), "still repeatable"
assert after[0] == torch.rand(1, generator=torch._C.Generator().manual_seed(1003)).item()
assert Module.space["draw"]() == elsewhere, "another package's seed stays"
assert support_desk.SupportDesk(0)._habits == desk, "the desk's world stays"
generator = np.random.default_rng(3)
assert np.random.default_rng(generator) is generator
assert isinstance(torch.Generator(), torch.Generator) and isinstance(random.Random(1), random.Random)
print("through")
"""


def test_a_seed_moves_at_every_door():
    run = subprocess.run([sys.executable, "-c", DOORS], capture_output=True, text=True)
    assert run.stdout.strip() == "through", run.stderr


def runs(*rows: dict) -> list[Run]:
    return [
        Run(1000 * i, 1.0, [{"says": "s", "paper": "p", "measured": "m", "verdict": "holds"} | row])
        for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "judged"),
    [
        ([{}, {}], STABLE),
        ([{"measured": "1"}, {"measured": "2"}], OPEN),
        ([{"measured": "1", "rule": True}, {"measured": "2", "rule": True}], STABLE),
        ([{"measured": "1", "rule": True}, {"measured": "2", "rule": False}], UNSTABLE),
        ([{"verdict": "holds; by 1"}, {"verdict": "holds; by 2"}], UNSTABLE),
    ],
)
def test_what_a_claim_is_judged(rows, judged):
    (row,) = compare(runs(*rows))
    assert row.judged == judged
    assert bool(problems(runs(*rows))) == (judged != STABLE)


def test_a_failed_cell_and_a_lost_table_are_problems():
    good, bad = runs({}, {})
    bad = Run(1000, 1.0, [], [("cell-7", "AssertionError: not so")])
    found = problems([good, bad])
    assert found[0] == "seeds + 1000: cell-7: AssertionError: not so"
    assert "show 0 claims" in found[1]


def test_the_report_puts_moving_claims_side_by_side():
    moving = runs({"measured": "1 | 2", "rule": True}, {"measured": "3", "rule": True})
    page = report({"03_x": ("2030-01-02", moving), "04_y": ("2030-01-02", runs({}, {}))}, missing=["05_z"])
    assert r"| s | 1 \| 2 | 3 | holds | holds each time |" in page
    assert "| 03_x | 1 | 1 | 0 | 0 | 0 | 1 |" in page and "| 04_y | 1 | 0 | 0 | 0 | 0 | 1 |" in page
    assert "## 04_y" not in page, "nothing of it moves"
    assert "2 claims, of which 1 move" in page and "on 2030-01-02" in page and "Not run as they stand: 05_z" in page


def test_a_lecture_is_run_on_its_own_and_on_shifted_seeds(course, capsys):
    source = course / "lectures" / "source" / "90_waves.py"
    text = source.read_text()
    start = text.index("claims_table(")
    live = 'import random\n\nx = random.Random(0).random()\nassert x > 0.8, "the first draw of seed 0"\n'
    row = 'claims_table([Claim("x is high", "no paper", f"{x:.3f}", "holds", source="hlt", rule=x > 0.8)])\n'
    source.write_text(text[:start] + live + "\n# %%\n" + row)
    assert execute.main(["--root", str(course)]) == 0
    (course / "docs").mkdir(exist_ok=True)
    assert stability.main(["90", "--seeds", "2", "--root", str(course)]) == 1
    printed = capsys.readouterr().out
    assert "AssertionError: the first draw of seed 0" in printed, "the next cells run all the same"
    assert "the verdict changes: 'x is high': 0.844 / 0." in printed
    page = (course / "docs" / "stability.md").read_text()
    assert "holds, **fails**" in page and "its own seeds | seeds + 1,000" in page
    source.write_text(source.read_text() + "\n# a change\n")
    assert stability.main(["--report", "--root", str(course)]) == 1
    assert "without 90_waves" in capsys.readouterr().out, "runs of another source do not count"


def test_a_contradicted_verdict_shows_on_the_page_and_stops_the_ledger(course, capsys, shown):
    claim = Claim("x is high", "no paper", "0.1", "holds; on paper", rule=False)
    assert f"**holds**; on paper ({CONTRADICTED}) |" in markdown_table([claim])
    claims_table([claim, Claim("y", "p", "m", "fails")])
    kept = shown[0].metadata["courseware"]["claims"]
    assert kept[0]["rule"] is False and "rule" not in kept[1]
    source = course / "lectures" / "source" / "90_waves.py"
    source.write_text(source.read_text().replace('source="hlt")', 'source="hlt", rule=1 > 2)'))
    assert execute.main(["--root", str(course)]) == 0
    assert ledger.main(["--root", str(course)]) == 1
    assert "contradicts the verdict on 'lines are straight'" in capsys.readouterr().err
