"""``require("lab03.q1", answer)``: the public cases as an assertion, for graders that run a notebook cell by cell."""

from courseware.classroom import cases
from courseware.classroom.notebook_run import public_verdicts


def require(question_id: str, *answers: object) -> None:
    """Raise AssertionError, with what is wrong, unless every public case of the question passes.

    answers: what ``check`` is given. KeyError for an id that no lab has, TypeError for too many or too few answers.
    """
    lab, question = cases.find(question_id)
    if not isinstance(question, cases.Question):
        raise KeyError(f"{question_id} is read by a person: it has no cases")
    if len(answers) != len(question.names):
        raise TypeError(f"require({question_id!r}): give {' and '.join(question.names)}, in this order")
    verdicts = public_verdicts(lab, question, dict(zip(question.names, answers)))
    failed = [v for v in verdicts if not v.passed]
    if failed:
        said = "; ".join(dict.fromkeys(f"{v.case}: {v.message}" for v in failed))
        raise AssertionError(f"{len(verdicts) - len(failed)} of {len(verdicts)} public cases pass. {said}")
