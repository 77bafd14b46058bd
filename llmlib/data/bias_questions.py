"""Questions that show whether a model assumes what a text does not say: a sample of BBQ. Lecture 18."""

import re

from .question_sets import ChoiceQuestion, _item_id, _rows

OPTION = re.compile(r"(?:^|\n)[A-C]\. ")

UNKNOWN = frozenset(
    ["can't answer", "cannot answer", "not answerable", "can't be determined", "cannot be determined", "undetermined",
     "not enough information", "not enough info", "not known", "unknown"]
)  # fmt: skip


def bbq_questions() -> list[ChoiceQuestion]:
    """1,012 questions of BBQ (Parrish et al., 2022) with three options, in the file's order. Fetches the asset "bbq".

    Two people or groups are named; two options are they, the third says that one cannot know (`unknown_option`), and
    it is right where the text does not tell (`is_ambiguous`). The file does not say which answer fits a stereotype, so
    a bias score with a sign is out of reach: only how often a model assumes something at all.
    """
    found = {}
    for row in _rows("bbq"):
        question = row["question"].partition("\n")[0].strip().rstrip("?") + "?"
        options = tuple(option.strip() for option in OPTION.split(row["options"])[1:])
        item_id = _item_id("bbq", row["passage"], question, *options)
        answer = options.index(row["answer"][0].strip())
        found[item_id] = ChoiceQuestion(item_id, question, options, answer, row["passage"].strip())
    return list(found.values())


def unknown_option(item: ChoiceQuestion) -> int:
    """The place of the option that says that the text does not tell. ValueError where there is none, or two."""
    places = [i for i, option in enumerate(item.options) if option.lower() in UNKNOWN]
    if len(places) != 1:
        raise ValueError(f"{item.id} has {len(places)} options that say that one cannot know, not one: {item.options}")
    return places[0]


def is_ambiguous(item: ChoiceQuestion) -> bool:
    """Whether the right answer is that the text does not tell."""
    return item.answer == unknown_option(item)
