"""Multiple choice by log-likelihood: which option does the model find most likely? Lecture 18."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn
from tqdm import tqdm

from llmlib.data import ChoiceQuestion
from llmlib.infer import Tokenizer

from .prompts import ChoiceForm, chat_ids, check_shots, cloze, few_shot
from .records import ItemResult, ResultLog, fingerprint, model_fingerprint
from .scoring import Request, continuation_logprobs, split_at_answer

Normalisation = Literal["raw", "token", "byte", "prior"]
PRIOR_PROMPT = "Answer:"


def multiple_choice(
    model: nn.Module,
    tokenizer: Tokenizer,
    items: Sequence[ChoiceQuestion],
    normalisation: Normalisation = "byte",
    *,
    form: ChoiceForm = cloze,
    shots: Sequence[ChoiceQuestion] = (),
    chat: bool = False,
    batch_size: int = 8,
    path: str | Path | None = None,
    progress: bool = False,
) -> list[ItemResult]:
    """The option of the highest score for each item, one `ItemResult` each, in their order. Built in lecture 18.

    normalisation, of the log-probability of an option's tokens after the prompt:
    - "raw": their sum. Every further token costs, so short options win.
    - "token": divided by the number of tokens, which differs from tokenizer to tokenizer.
    - "byte": divided by the bytes of the option in UTF-8, the same for all models.
    - "prior": minus that of the same option after a bare "Answer:", which takes out how common its words are (Brown et
      al., 2020, section 2.4; Holtzman et al., 2021). Reads everything twice.

    form: `cloze`, `lettered` or your own. shots: examples with their right options before each question. chat: put as
    a chat in ChatML without a system message, the option as the reply. path: a JSONL file of results, where a run that
    was interrupted goes on; one file a model and form, for any normalisation but "prior", which has its own. Of options
    with equal scores the first wins.

    details of a result: "logprobs" (nats), "tokens" and "bytes" of each option and, for "prior", "priors": so that
    `rescore` gives the other normalisations without the model.
    """
    _check(normalisation)
    check_shots(items, shots)
    settings: dict[str, Any] = {
        "task": "multiple choice",
        "model": model_fingerprint(model),
        "form": getattr(form, "__qualname__", repr(form)),
        "shots": [shot.id for shot in shots],
        "chat": chat,
        "priors": normalisation == "prior",
    }
    log = ResultLog(path, settings)
    shown = [(shot, form(shot)[1][shot.answer]) for shot in shots]
    ask = lambda item: form(item)[0]

    def request(item: ChoiceQuestion) -> Request:
        options = form(item)[1]
        if chat:
            return chat_ids(tokenizer, ask, shown, item), [tokenizer.encode(option) for option in options]
        return split_at_answer(tokenizer, few_shot(ask, shown, item), options)

    def prior(item: ChoiceQuestion) -> Request:
        options = form(item)[1]
        if chat:
            bare = chat_ids(tokenizer, lambda _: PRIOR_PROMPT, (), item)
            return bare, [tokenizer.encode(option) for option in options]
        return split_at_answer(tokenizer, PRIOR_PROMPT, options)

    requests = [request(item) for item in items]
    asked = [fingerprint(*each) for each in requests]
    todo = [i for i, item in enumerate(items) if log.find(item.id, asked[i]) is None]
    todo.sort(key=lambda i: len(requests[i][0]), reverse=True)  # so that a batch holds prompts of like length
    step = max(batch_size, 64)
    with tqdm(total=len(todo), desc="questions", disable=not progress) as bar:
        for start in range(0, len(todo), step):
            some = todo[start : start + step]
            scored = continuation_logprobs(model, [requests[i] for i in some], batch_size=batch_size)
            priors: list[Any] = [None] * len(some)
            if normalisation == "prior":
                priors = continuation_logprobs(model, [prior(items[i]) for i in some], batch_size=batch_size)
            log.add([_result(items[i], asked[i], form, *pair) for i, *pair in zip(some, scored, priors)])
            bar.update(len(some))
    return rescore([log.done[item.id] for item in items], normalisation)


def rescore(results: Sequence[ItemResult], normalisation: Normalisation) -> list[ItemResult]:
    """The same results under another normalisation, from the log-probabilities that they hold."""
    _check(normalisation)
    return [_chosen(result, normalisation) for result in results]


def option_scores(result: ItemResult, normalisation: Normalisation) -> list[float]:
    """The score of each option, see `multiple_choice`."""
    _check(normalisation)
    details = result.details
    if normalisation == "prior" and "priors" not in details:
        raise ValueError(f"{result.id} has no priors: call multiple_choice with normalisation='prior'")
    if normalisation == "prior":
        return [a - b for a, b in zip(details["logprobs"], details["priors"])]
    if normalisation == "raw":
        return list(details["logprobs"])
    return [logprob / size for logprob, size in zip(details["logprobs"], details[f"{normalisation}s"])]


def _chosen(result: ItemResult, normalisation: Normalisation) -> ItemResult:
    scores = option_scores(result, normalisation)
    answer = scores.index(max(scores))
    return replace(result, answer=answer, score=float(answer == result.expected))


def _result(item: ChoiceQuestion, asked: str, form: ChoiceForm, logprobs: Sequence, priors: Sequence | None):
    details = {
        "logprobs": [round(each.double().sum().item(), 5) for each in logprobs],
        "tokens": [len(each) for each in logprobs],
        "bytes": [len(option.encode()) for option in form(item)[1]],
    }
    if priors is not None:
        details["priors"] = [round(each.double().sum().item(), 5) for each in priors]
    return _chosen(ItemResult(item.id, 0.0, None, item.answer, asked, details), "raw")


def _check(normalisation: str) -> None:
    if normalisation not in get_args(Normalisation):
        known = ", ".join(get_args(Normalisation))
        raise ValueError(f"normalisation is {normalisation!r}: choose one of {known}")
