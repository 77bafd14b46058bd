import math

import pytest

from llmlib.train import cosine_schedule, wsd_schedule


def test_cosine_corners():
    at = lambda step: cosine_schedule(step, 110, warmup_steps=10, final=0.1)
    assert at(0) == pytest.approx(0.1)  # the first of ten warm-up steps already learns
    assert at(9) == pytest.approx(1.0)
    assert at(10) == pytest.approx(1.0)
    assert at(60) == pytest.approx(0.55)  # halfway down
    assert at(110) == pytest.approx(0.1)
    assert at(1000) == pytest.approx(0.1)


def test_cosine_without_warmup_starts_at_one_and_only_falls():
    values = [cosine_schedule(step, 50, final=0.0) for step in range(51)]
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(0.0)
    assert values == sorted(values, reverse=True)
    assert values[25] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))


def test_wsd_corners():
    at = lambda step: wsd_schedule(step, 100, warmup_steps=4, decay_fraction=0.2, final=0.0)
    assert [at(step) for step in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert at(50) == 1.0
    assert at(80) == 1.0
    assert at(90) == pytest.approx(0.5)
    assert at(99) == pytest.approx(0.05)
    assert at(100) == 0.0
    assert at(200) == 0.0


def test_wsd_stable_part_does_not_depend_on_the_length():
    short = [wsd_schedule(step, 100, warmup_steps=10, decay_fraction=0.5) for step in range(50)]
    long = [wsd_schedule(step, 1000, warmup_steps=10, decay_fraction=0.5) for step in range(50)]
    assert short == long


def test_wsd_without_decay_ends_at_one():
    assert wsd_schedule(99, 100, decay_fraction=0.0) == 1.0
    assert wsd_schedule(0, 100, decay_fraction=1.0) == 1.0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (dict(step=-1, total_steps=10), "step=-1"),
        (dict(step=0, total_steps=0), "total_steps=0"),
        (dict(step=0, total_steps=10, warmup_steps=11), "warmup_steps=11"),
        (dict(step=0, total_steps=10, final=2.0), "final=2.0"),
    ],
)
@pytest.mark.parametrize("schedule", [cosine_schedule, wsd_schedule])
def test_bad_arguments_are_named(schedule, arguments, name):
    with pytest.raises(ValueError, match=name):
        schedule(**arguments)


def test_wsd_decay_fraction_is_a_share():
    with pytest.raises(ValueError, match=r"decay_fraction=1\.5"):
        wsd_schedule(0, 10, decay_fraction=1.5)
