"""From a question to what the model reads: zero or a few examples before it, options listed or not, plain or as a chat.

How a question is put moves a score by more than many a change to the model, so the form is part of every result.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from llmlib.data import ChoiceQuestion, OpenQuestion
from llmlib.infer import Tokenizer, few_shot_prompt
from llmlib.text import encode_chat

Question = TypeVar("Question", ChoiceQuestion, OpenQuestion)
ChoiceForm = Callable[[ChoiceQuestion], tuple[str, Sequence[str]]]
"""form(item) -> the prompt and what stands for each option."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BETWEEN = "\n\n"


def cloze(item: ChoiceQuestion) -> tuple[str, Sequence[str]]:
    """The question alone; each option's own words are scored (Brown et al., 2020). For models that know no letters.

    "Question: …\\nAnswer:" after the context, if there is one; the context alone where the options continue it.
    """
    if not item.question:
        return item.context, item.options
    return _lines(item.context, f"Question: {item.question}", "Answer:"), item.options


def lettered(item: ChoiceQuestion) -> tuple[str, Sequence[str]]:
    """The options listed as A, B, …, of which the letters are scored, as MMLU is (Hendrycks et al., 2021).

    It asks for one thing more, that the model ties a letter to its option; small models do not and stay at chance.
    """
    listed = [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options)]
    question = f"Question: {item.question}" if item.question else "How does it go on?"
    return _lines(item.context, question, *listed, "Answer:"), LETTERS[: len(item.options)]


def question_form(item: OpenQuestion) -> str:
    """ "Question: …\\nAnswer:", what `generate_answers` puts by default."""
    return _lines(f"Question: {item.question}", "Answer:")


def few_shot(form: Callable[[Question], str], shots: Sequence[tuple[Question, str]], item: Question) -> str:
    """The prompt after examples with their answers, an empty line between two. shots: (question, its answer)."""
    return BETWEEN.join([*(f"{form(shot)} {answer}".strip() for shot, answer in shots), form(item)])


def chat_ids(
    tokenizer: Tokenizer,
    form: Callable[[Question], str],
    shots: Sequence[tuple[Question, str]],
    item: Question,
    system: str | None = None,
) -> list[int]:
    """The same as a chat, each example a turn of the user and its answer one of the assistant, as token ids."""
    shown = [(form(shot), answer) for shot, answer in shots]
    return encode_chat(tokenizer, few_shot_prompt(form(item), shown, system=system, chat=True))


def check_shots(items: Sequence[Question], shots: Sequence[Question]) -> None:
    """ValueError if an item is among its own examples: the model would only have to copy."""
    shown = {shot.id for shot in shots} & {item.id for item in items}
    if shown:
        raise ValueError(f"shots holds {min(shown)}, which is also asked: take shots from the split 'shots'")
    if len({item.id for item in items}) < len(items):
        raise ValueError("items holds two with the same id: results are kept by id, so leave one out or rename it")


def chance_level(items: Sequence[ChoiceQuestion]) -> float:
    """What guessing gives: the mean of 1 / the number of options."""
    if not items:
        raise ValueError("items is empty: there is no question to guess")
    return sum(1 / len(item.options) for item in items) / len(items)


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))
