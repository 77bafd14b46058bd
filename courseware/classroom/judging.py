"""Judge one question of any kind, with ``ask`` standing for the student's code.

``check`` gives an ``ask`` that calls a function of the notebook, the grader one that reaches into a sandbox. Whatever
crosses it is plain data, so this driver, the expected values and the implementations a student's test is tried on stay
on the trusted side.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from courseware.classroom import compare, designing, diagnosing
from courseware.classroom.cases import Case, Key, Question, Subject
from courseware.classroom.compare import Failure, Trial, Verdict
from courseware.classroom.subjects import judge_test


@dataclass(frozen=True)
class Request:
    """One thing to ask of the student's code: the value of ``name`` (``inputs`` is None) or of ``name(*inputs)``.

    ``recipe(student, *inputs)`` is trusted code that runs beside it and returns a value.
    """

    name: str
    inputs: tuple | dict | None
    recipe: Callable | None
    seed: int


Ask = Callable[[Request], object]  # a plain value, or a Failure


def judge_question(
    question: Question,
    hidden: Sequence[Case | Subject | Key],
    ask: Ask,
    *,
    salt: str,
    student: object = "",
) -> tuple[Verdict, ...]:
    """Verdicts on the public part and on ``hidden`` (staff's). The first answer that dies ends it.

    ``salt`` decides what is drawn; ``student`` is who hands in, for what is drawn per student.
    """
    steps = public_then_hidden(question, hidden, ask, salt=salt, student=student)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def public_then_hidden(
    question: Question,
    hidden: Sequence[Case | Subject | Key],
    ask: Ask,
    *,
    salt: str,
    student: object = "",
) -> Generator[None, None, tuple[Verdict, ...]]:
    """:func:`judge_question` with a pause between the two parts; the verdicts are the value it returns.

    A grader asks the public part of every question first: what an answer says there, in an exception, is told to its
    student, so it must not have seen a hidden case of any question.
    """
    verdicts: list[Verdict] = []
    if question.kind == "test":
        more = [entry for entry in hidden if isinstance(entry, Subject)]
        verdicts += judge_test(question, more, ask, Request, salt)
    elif question.kind == "diagnosis":
        key = next((entry for entry in hidden if isinstance(entry, Key)), None)
        verdicts += diagnosing.judge_diagnosis(question, key, ask(Request(question.name, None, None, 0)), student)
    elif question.kind == "design":
        verdicts += designing.judge_design(question, ask(Request(question.name, None, None, 0)))
    cases = [(case, False) for case in question.cases] + [(e, True) for e in hidden if isinstance(e, Case)]
    trials: list[Trial] = []
    for number, (case, is_hidden) in enumerate(cases):
        if number == len(question.cases):
            yield
        seed = compare.case_seed(question, case, salt if salt == "public" else f"{salt}/{number}")
        inputs = compare.draw_inputs(case, seed)
        recipe = (case.recipe or question.recipe) if inputs is not None else None
        outcome = ask(Request(question.name, inputs, recipe, seed))
        trials.append(Trial(case, seed, outcome, is_hidden))
        if isinstance(outcome, Failure) and outcome.kind == "died":
            break
    return (*verdicts, *compare.judge_trials(question, trials))
