"""Questions of the kind "diagnosis": a run drawn for each student, answered by its cause and by evidence.

An answer names one cause and the observations that prove it. It is right when the cause is the run's own, every
observation named is true of the run, and together they are true under no other cause (nor of a correct program, where
the key knows it): so there are many right answers, and a guessed letter is worth little.
"""

import hashlib
import unicodedata

from courseware.classroom.cases import Key, Question, find
from courseware.classroom.compare import Failure, Verdict
from llmlib.sandbox.wire import Unsupported

MAX_EVIDENCE = 3


def normal_id(student: object) -> str:
    """An id as it is compared and drawn from: without spaces, case, or other forms of the same letter."""
    if type(student) not in (str, int):
        return ""
    text = unicodedata.normalize("NFKC", str(student)[:400]).casefold()
    return "".join(c for c in text if not c.isspace())[:200]


def drawn_run(question: Question, student: object) -> str:
    """The run of this student: one of ``question.runs``, the same every time."""
    digest = hashlib.sha256(f"{question.id}/{normal_id(student)}".encode()).digest()
    return question.runs[int.from_bytes(digest[:8], "big") % len(question.runs)]


def my_run(question_id: str, student: object) -> str | None:
    """For the notebook: the name of the run that ``student`` is to diagnose, or None (and what is missing)."""
    _, question = find(question_id)
    if not normal_id(student):
        print(f"{question_id}: first fill in STUDENT above; your run is drawn from it")
        return None
    return drawn_run(question, student)


def judge_diagnosis(question: Question, key: Key | None, answer: object, student: object) -> list[Verdict]:
    """The format, and with staff's ``key`` the answer itself."""
    if isinstance(answer, Failure):
        return [Verdict("format", False, answer.text or "not started yet", not_started=answer.kind == "not started")]
    if isinstance(answer, Unsupported) and answer.type_name == "ellipsis":
        return [Verdict("format", False, "not started yet", not_started=True)]
    if complaint := format_complaint(question, answer):
        return [Verdict("format", False, complaint)]
    if key is None:
        return [Verdict("format", True)]
    return [Verdict("format", True), _right(question, key, answer, student)]


def format_complaint(question: Question, answer: object) -> str:
    """What keeps ``answer`` from being judged; empty when nothing does."""
    example = '{"cause": "A", "evidence": ["a", "b"]}'
    if not isinstance(answer, dict) or set(answer) != {"cause", "evidence"}:
        return f"write it as {example}"
    cause, evidence = answer["cause"], answer["evidence"]
    if not isinstance(cause, str) or cause not in question.faults:
        return f"the cause is one letter of {', '.join(question.faults)}"
    if not isinstance(evidence, list | tuple | set) or not all(isinstance(e, str) for e in evidence):
        return f"the evidence is a list of letters, as in {example}"
    if stray := [e for e in evidence if e not in question.observations]:
        return f"the evidence is letters of {', '.join(question.observations)}; {stray[0][:20]!r} is none of them"
    if not 1 <= len(set(evidence)) <= MAX_EVIDENCE:
        return f"give one to {MAX_EVIDENCE} observations as evidence: those that rule out every other cause"
    return ""


def _right(question: Question, key: Key, answer: dict, student: object) -> Verdict:
    case = "cause and evidence"
    if not normal_id(student):
        return Verdict(case, False, f"{question.student} is not filled in, so no run was drawn for you", hidden=True)
    truth = key.runs[drawn_run(question, student)]
    evidence = sorted(set(answer["evidence"]))
    if untrue := [e for e in evidence if e not in key.true[truth]]:
        return Verdict(case, False, f"observation {untrue[0]} is not true of your run", hidden=True)
    if answer["cause"] != truth:
        return Verdict(case, False, "that is not what went wrong in your run", hidden=True)
    others = [fault for fault in key.true if fault != truth and set(evidence) <= set(key.true[fault])]
    if others:
        message = "the cause is right, but your evidence would also be seen under another cause or with none"
        return Verdict(case, False, message, hidden=True)
    return Verdict(case, True, hidden=True)
