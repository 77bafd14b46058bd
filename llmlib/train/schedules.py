"""Learning-rate schedules: pure functions from a step to a number between 0 and 1 that multiplies every learning rate.

Steps count from 0. Lecture 03 draws both, lecture 07 compares them.
"""

import math


def warmup(step: int, warmup_steps: int) -> float:
    """Linear warm-up: 1 / warmup_steps at step 0, and 1 from step warmup_steps - 1 on."""
    return 1.0 if step >= warmup_steps else (step + 1) / warmup_steps


def cosine_schedule(step: int, total_steps: int, *, warmup_steps: int = 0, final: float = 0.1) -> float:
    """Warm up, then fall along half a cosine from 1 to `final` (SGDR, Loshchilov and Hutter, 2017, without restarts).

    The curve leaves 1 at step `warmup_steps` and reaches `final` at step `total_steps`, one after the last update;
    later steps stay there. `final=0.1` is the value of GPT-3 (Brown et al., 2020) and nanoGPT.
    """
    _check(step, total_steps, warmup_steps, final)
    if step < warmup_steps:
        return warmup(step, warmup_steps)
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


def wsd_schedule(
    step: int, total_steps: int, *, warmup_steps: int = 0, decay_fraction: float = 0.5, final: float = 0.0
) -> float:
    """Warm up, stay at 1, then fall in a straight line to `final` (warmup-stable-decay; MiniCPM, Hu et al., 2024).

    The fall takes the last `decay_fraction` of all steps and reaches `final` at step `total_steps`, one after the last
    update. What comes before it does not depend on `total_steps`: a run can be prolonged from before the fall.
    """
    _check(step, total_steps, warmup_steps, final)
    if not 0 <= decay_fraction <= 1:
        raise ValueError(f"decay_fraction={decay_fraction} must lie between 0 and 1: it is the share that decays")
    decay_steps = decay_fraction * total_steps
    left = max(0, total_steps - step)
    fall = 1.0 if left >= decay_steps else final + (1 - final) * left / decay_steps
    return warmup(step, warmup_steps) * fall


def _check(step: int, total_steps: int, warmup_steps: int, final: float) -> None:
    if step < 0:
        raise ValueError(f"step={step} must not be negative: steps count from 0")
    if total_steps < 1:
        raise ValueError(f"total_steps={total_steps} must be at least 1")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie between 0 and total_steps={total_steps}")
    if not 0 <= final <= 1:
        raise ValueError(f"final={final} must lie between 0 and 1: it multiplies the learning rate")
