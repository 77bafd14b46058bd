"""Questions answered in the model's own words: written, read off, scored. Lectures 17 and 18."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from llmlib.data import OpenQuestion
from llmlib.infer import Sampling, Tokenizer, generate

from .answers import Score, exact_match
from .prompts import chat_ids, check_shots, few_shot, question_form
from .records import ItemResult, ResultLog, fingerprint, model_fingerprint

Extract = Callable[[str], str | None]
"""extract(text) -> the answer in what the model wrote, or None where there is none."""


def first_line(text: str) -> str | None:
    """The first line that is not empty, without spaces around it; None if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


def generate_answers(
    model: nn.Module,
    tokenizer: Tokenizer,
    items: Sequence[OpenQuestion],
    extract: Extract = first_line,
    *,
    score: Score = exact_match,
    form: Callable[[OpenQuestion], str] = question_form,
    shots: Sequence[OpenQuestion] = (),
    worked: bool = False,
    chat: bool = False,
    system: str | None = None,
    max_new_tokens: int = 48,
    stop_strings: Sequence[str] = ("\n\n", "\nQuestion:"),
    batch_size: int = 8,
    sampling: Sampling | None = None,
    generator: torch.Generator | None = None,
    path: str | Path | None = None,
    progress: bool = False,
) -> list[ItemResult]:
    """Write an answer to each item, read it off with `extract`, score it; one `ItemResult` each, in their order.

    extract: `first_line`, `llmlib.infer`'s extraction of numbers, or your own. score: `exact_match`, `token_f1`,
    `contains_match` or your own. form: the prompt of a question. shots: examples before it with their first right
    answer, or their worked one with worked=True. chat: put as a chat in ChatML, with `system` if given; the reply then
    ends at <|im_end|>. sampling: greedy by default. path: a JSONL file of results, where a run that was interrupted
    goes on; one file a model, form and length.

    details of a result: "output", all that was written; "tokens", how many; "confidence", the geometric mean of their
    probabilities under the model itself.
    """
    check_shots(items, shots)
    sampling = sampling or Sampling(greedy=True)
    settings: dict[str, Any] = {
        "task": "written answers",
        "model": model_fingerprint(model),
        "form": getattr(form, "__qualname__", repr(form)),
        "shots": [shot.id for shot in shots],
        **dict(worked=worked, chat=chat, system=system, max_new_tokens=max_new_tokens, sampling=repr(sampling)),
        "stop_strings": list(stop_strings),
    }
    log = ResultLog(path, settings)
    shown = [(shot, shot.worked if worked else shot.answers[0]) for shot in shots]

    def prompt(item: OpenQuestion) -> list[int]:
        if chat:
            return chat_ids(tokenizer, form, shown, item, system)
        return tokenizer.encode(few_shot(form, shown, item).rstrip(" "))

    prompts = [prompt(item) for item in items]
    asked = [fingerprint(each) for each in prompts]
    todo = [i for i, item in enumerate(items) if log.find(item.id, asked[i]) is None]
    todo.sort(key=lambda i: len(prompts[i]), reverse=True)
    stop_tokens = [tokenizer.special_tokens["<|im_end|>"]] if chat else []
    with tqdm(total=len(todo), desc="questions", disable=not progress) as bar:
        for start in range(0, len(todo), batch_size):
            some = todo[start : start + batch_size]
            written = generate(
                model, [prompts[i] for i in some], tokenizer=tokenizer, max_new_tokens=max_new_tokens,
                stop_tokens=stop_tokens, stop_strings=stop_strings, return_logprobs=True, sampling=sampling,
                generator=generator,
            )  # fmt: skip
            results = []
            for i, each in zip(some, written):
                output = _before_stop(tokenizer.decode(each.answer), stop_strings)
                logprobs = each.raw_logprobs[: len(each.tokens)]
                confidence = math.exp(logprobs.double().mean().item()) if len(logprobs) else 0.0
                details = dict(output=output, tokens=len(each.tokens), confidence=round(confidence, 5))
                results.append(ItemResult(items[i].id, 0.0, None, list(items[i].answers), asked[i], details))
            log.add(results)
            bar.update(len(some))
    return reread([log.done[item.id] for item in items], extract, score)


def reread(results: Sequence[ItemResult], extract: Extract, score: Score = exact_match) -> list[ItemResult]:
    """The same outputs read and scored another way, without the model."""
    again = []
    for result in results:
        answer = extract(result.details["output"])
        value = 0.0 if answer is None else float(score(answer, result.expected))
        again.append(ItemResult(result.id, value, answer, result.expected, result.asked, result.details))
    return again


def _before_stop(text: str, stop_strings: Sequence[str]) -> str:
    """Ids keep the whole tokens that spell a stop string; the text ends before it."""
    ends = [place for stop in stop_strings if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
