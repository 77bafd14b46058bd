"""Questions of the kind "design": plain data that keeps every budget and reaches a score."""

import math

from courseware.classroom.cases import Question
from courseware.classroom.compare import Failure, Verdict
from courseware.classroom.showing import describe
from llmlib.sandbox.wire import Unsupported


def judge_design(question: Question, value: object) -> list[Verdict]:
    """One verdict on the form, one on each budget, one on the score; the later ones only when the form is right."""
    if isinstance(value, Failure):
        return [Verdict("form", False, value.text or "not started yet", not_started=value.kind == "not started")]
    if isinstance(value, Unsupported) and value.type_name == "ellipsis":
        return [Verdict("form", False, "not started yet", not_started=True)]
    try:
        complaint = question.valid(value)
    except Exception:  # a validity check may assume the right type
        complaint = f"not a design as the question describes it: {describe(value)}"
    if complaint:
        return [Verdict("form", False, complaint)]
    verdicts = []
    for budget in question.budgets:
        cost = _number(budget.cost, value)
        text = f"{show_number(cost)} of at most {show_number(budget.limit)} {budget.unit}"
        kept = cost <= budget.limit
        message = "" if kept else f"over the budget ({budget.name}): {text}"
        verdicts.append(Verdict(f"{budget.name}: {text}", kept, message))
    score = question.score
    reached = _number(score.of, value)
    least = "at least" if score.better == "higher" else "at most"
    text = f"{show_number(reached)} {score.unit}, asked for {least} {show_number(score.goal)}"
    fine = score.reached(reached)
    message = "" if fine else f"not good enough yet ({score.name}): {text}"
    return [*verdicts, Verdict(f"{score.name}: {text}", fine, message)]


def _number(function, value: object) -> float:
    try:
        return float(function(value))
    except Exception:  # a design that cannot even be built costs too much and scores nothing
        return math.nan


def show_number(x: float) -> str:
    if not math.isfinite(x):
        return "not measurable"
    return f"{x:,.0f}" if abs(x) >= 1000 or x == int(x) else f"{x:.4g}"
