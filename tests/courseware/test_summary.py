"""The page about a class: its numbers are those of another computation, and it asks no other host for anything."""

import re
import statistics as plain

import numpy as np
import pytest
from minilab import LAB
from test_records import report

from courseware.grading import similarity, summary
from courseware.grading.fingerprint import shapes
from courseware.grading.records import Record, keep
from courseware.grading.statistics import common_mistakes, discrimination, items
from courseware.grading.summary import page

CLASS = [
    [],
    [],
    [],
    ["q1"],
    ["q1"],
    ["q1", "q2"],
    ["q3"],
    ["q1", "q3", "q5"],
    ["q4"],
    [],
    ["q1", "q2", "q3", "q5"],
    ["q2"],
]


@pytest.fixture
def records():
    return [Record(report(f"s{n:02}", wrong=wrong)) for n, wrong in enumerate(CLASS)]


def test_difficulty_and_discrimination_agree_with_another_computation(records):
    first = items(records)[0]
    solved = ["q1" not in wrong for wrong in CLASS]
    rest = [sum(q.points for q in LAB.questions[1:] if q.id[-2:] not in wrong) for wrong in CLASS]
    assert (first.solved, first.n, first.wrong, first.not_started) == (sum(solved), 12, 5, 0)
    assert first.low < first.share < first.high
    assert first.discrimination.r == pytest.approx(plain.correlation(list(map(float, solved)), list(map(float, rest))))
    assert -1 <= first.discrimination.low <= first.discrimination.r <= first.discrimination.high <= 1


def test_discrimination_is_left_out_where_it_says_nothing():
    solved, rest = np.ones(20, bool), np.arange(20)
    assert discrimination(solved, rest).r is None, "everybody solved it"
    solved[0] = False
    assert discrimination(solved[:5], rest[:5]).r is None, "too few"
    one = discrimination(solved, rest)
    assert one.r is not None and one.low is None, "one student decides"


def test_its_interval_covers_what_it_should():
    """Of 100 classes of 40 whose correlation is known, about 95 intervals hold it."""
    draw, inside, truth = np.random.default_rng(1), 0, 0.3745  # from the 100,000 students below
    skill = draw.normal(size=100_000)
    big = np.corrcoef(skill + draw.normal(size=100_000) > 0, np.round(2 * skill + draw.normal(size=100_000) * 2))[0, 1]
    truth = float(big)
    for _ in range(100):
        skill = draw.normal(size=40)
        one = discrimination(
            skill + draw.normal(size=40) > 0, np.round(2 * skill + draw.normal(size=40) * 2), resamples=400
        )
        inside += one.low <= truth <= one.high
    assert 86 <= inside <= 100


def test_mistakes_that_differ_in_numbers_are_counted_together():
    import dataclasses

    def said(text):
        made = report("x", wrong=["q3"])
        third = made.results[2]
        wrong = dataclasses.replace(third.verdicts[1], message=text)
        third = dataclasses.replace(third, verdicts=(third.verdicts[0], wrong))
        return Record(dataclasses.replace(made, results=(*made.results[:2], third, *made.results[3:])))

    texts = [
        "expected 0.5 at [0, 1], got 2",
        "expected -7e-05 at [2], got 1.5",
        "is x1 used?",
        "is x2 used?",
        "not started yet",
    ]
    found = common_mistakes([said(text) for text in texts], "lab90.q3")
    assert [(m.message, m.count) for m in found] == [(texts[0], 2), (texts[2], 1), (texts[3], 1)]
    assert not found[0].told, "a hidden case"


def test_the_page_holds_what_it_shows_and_names_nobody_when_it_should_not(records, tmp_path, capsys):
    whole, blank = page(records, similarity.Likeness()), page(records, names=False)
    for text in (whole, blank):
        assert not re.findall(r"""(?:src|href)=["'](?!data:)|url\((?!data:)|https?://""", text)
        pictures = re.findall(r"<img [^>]*>", text)
        assert len(pictures) == 3 and all(re.search(r'alt="[^"]{40,}"', picture) for picture in pictures)
    assert "s03" in whole and "s03" not in blank and "12 submissions" in blank
    mean = sum(r.report.score for r in records) / 12
    assert f"Mean {mean:.1f}" in blank
    book = tmp_path / "g.csv"
    for record in records:
        keep(book, record.report, tmp_path / "gone.ipynb")
    assert summary.main([str(book), "--lab", "90", "--out", str(tmp_path / "s.html")]) == 0
    assert "Not compared, because the file is gone or has changed: 12" in (tmp_path / "s.html").read_text()
    next(iter((tmp_path / "g.records" / "lab90").iterdir())).write_text("{")
    assert summary.main([str(book), "--lab", "90", "--out", str(tmp_path / "t.html")]) == 2
    assert "damaged" in capsys.readouterr().err and not (tmp_path / "t.html").exists()


# -- likeness --------------------------------------------------------------------------------------------------------

ONE = '''
def f(x, size=3):
    """Text."""
    total = 0
    for item in x:  # each
        total = total + item.sum() * 2
    return total / len(x)
'''
SAME = """
def f(x: list, size: int = 4) -> float:
    s = 0.0
    for y in x:
        s = s + y.sum() * 7
    return s / len(x)
"""
OTHER = "def f(x):\n    return sum(map(lambda y: 2 * y.mean(), x)) / max(1, len(x))\n"


def shape(source, name="f"):
    return frozenset(shapes([source], {"q": [name]})["q"])


def test_a_shape_has_no_names_no_constants_and_no_comments():
    assert shape(ONE) == shape(SAME) and len(shape(ONE)) > 15
    assert similarity.jaccard(shape(ONE), shape(OTHER)) < 0.3
    assert shape(ONE.replace("sum()", "max()")) != shape(ONE), "what is called counts"
    assert shape("def g(x):\n    return 1") == frozenset() == shape("def f(:")
    assert shape(f"{OTHER}\n{ONE}") == shape(ONE), "the last definition"


def test_a_tree_of_any_depth_is_read():
    assert len(shape("def f(x):\n    return " + "+".join(["x"] * 900))) > 3
    assert shape("def f(x):\n    return " + "-" * 100_000 + "1") == frozenset()


def test_rare_likeness_comes_first_and_short_answers_say_nothing():
    long = [frozenset(f"{who} {n}" for n in range(40)) for who in "abcdef"]
    common = frozenset(f"c {n}" for n in range(40))
    given = {f"s{n}": {"q1": long[n], "q2": common, "q3": frozenset("xyz")} for n in range(6)}
    given["copy"] = {"q1": long[0], "q2": common, "q3": frozenset("xyz")}
    found = similarity.compare(given, {"q1": long[:3]})
    assert (found.pairs[0].first, found.pairs[0].second) == ("s0", "copy")
    assert found.pairs[0].rarity == pytest.approx(np.log10(21)) and found.pairs[1].rarity == 0
    assert set(found.pairs[0].likeness) == {"q1", "q2"} and found.compared == {"q1": 21, "q2": 21}
    assert found.share_at("q1", 0.9) == (1, 21) and found.base_at("q1", 0.9) == (0, 3)
